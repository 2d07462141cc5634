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
    assert plain.stdout.split("\n\n", 1)[1].rstrip() in result.stdout
    assert "With prototypes and the cosine distance every class is one point above weight" in " ".join(
        result.stdout.split()
    )
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
    "words, shown",
    [
        (["--distance", "euclidean"], "euclidean distance every sample stays on its prototype above weight 0.731949."),
        (["--distance", "manhattan"], "manhattan distance every sample stays on its prototype above weight 0.422591."),
        (["--labelled", "0.5"], "there is no answer: unlabelled samples pull and push too"),
    ],
)
def test_the_distance_and_the_labels_decide_the_sentence(bounds, words, shown):
    assert shown in " ".join(bounds("--classes", 4, *words).stdout.split())


@pytest.mark.parametrize(
    "words, message",
    [
        (["--weight", "3"], "clopsim: --weight must come with classes, got 3 alone"),
        (["--queue", "2"], "clopsim: --queue must come with ema, got 2 alone"),
        (["--ema", "0.9"], "clopsim: --loss, gradient and keys must be full, tangent and detached for MoCo"),
        (["--batch-of", "100"], "clopsim: --batch-of needs loss full with two samples or more"),
        (["--batch-of", "33", "--loss", "full"], "clopsim: --batch-of must be even, got 33"),
        (["--batch-of", "8", "--loss", "full"], "clopsim: --batch-of must be a whole number >= 32, got 8"),
        (["--classes", "4", "--distance", "l2"], "clopsim: --distance must be one of cosine, euclidean, manhattan"),
        (["--classes", "4", "--labelled", "0"], "clopsim: --labelled must be in (0, 1], got 0"),
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
