"""`clopsim bounds --classes` as a user meets it."""

import json

import pytest
from typer.testing import CliRunner

import clopsim
from clopsim import cli


@pytest.fixture
def bounds(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(cli.app, ["bounds", *(str(word) for word in words)])


def test_classes_add_a_table(bounds):
    plain = bounds()
    result = bounds("--classes", 4, "--weight", 8)
    assert result.exit_code == 0
    assert result.stdout.startswith(plain.stdout)
    assert "point_weight       " in result.stdout
    assert "3.28229" in result.stdout
    assert "point_weight" not in plain.stdout
    found = clopsim.critical_rates(classes=4, weight=8.0)
    assert f"{found}\n" == result.stdout
    assert found.with_prototypes.point_weight == pytest.approx(3.28229, abs=1e-5)
    assert clopsim.critical_rates().with_prototypes is None


def test_json(bounds):
    document = json.loads(bounds("--classes", 4, "--prototypes", "simplex", "--json").stdout)
    assert document["with_prototypes"]["point_weight"] == pytest.approx(3.43538, abs=1e-5)
    assert document["with_prototypes"]["effective_rank"] is None
    assert "with_prototypes" not in json.loads(bounds("--json").stdout)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--weight", "3"], "clopsim: --weight must come with classes, got 3 alone"),
        (["--classes", "5"], "clopsim: --samples must be a multiple of classes = 5, got 32"),
        (["--classes", "0"], "clopsim: --classes must be a whole number >= 2, got 0"),
        (["--classes", "4", "--loss", "full"], "clopsim: --loss must be merged with classes, got 'full'"),
        (["--classes", "4", "--prototypes", "etc"], "clopsim: --prototypes must be one of orthonormal, etf, simplex"),
    ],
)
def test_wrong_input_is_one_plain_line(bounds, words, message):
    result = bounds(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(message)
