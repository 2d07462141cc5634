"""`clopsim verify` as a user meets it."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from clopsim import cli
from clopsim.audit import ledger
from clopsim.audit.experiments import Experiment


@pytest.fixture
def verify(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(cli.app, ["verify", *(str(word) for word in words)])


def test_one_claim_as_a_table(verify):
    result = verify("--only", "T6")
    assert result.exit_code == 0
    verdict, _, header, rule, first, *rest = result.stdout.splitlines()
    assert verdict == "Every recorded verdict is supported: 1 proved."
    assert header.split() == ["claim", "verdict", "statement"]
    assert first.startswith("T6     proved   With two labelled classes no rank-1 state of the CLOP loss")
    assert rest[-1].startswith("Examined in ")
    assert "3 identities" in rest[-1]
    assert max(len(line) for line in (header, rule, first, *rest)) <= 80


def test_the_whole_ledger_fits_the_table():
    from clopsim.audit import run
    from clopsim.show import tables

    rows = [run.Finding(claim, (), (), {}, 12.3).as_row() for claim in ledger.CLAIMS]
    assert max(len(line) for line in tables.audit_table(rows).splitlines()) <= 80


def test_json_has_what_was_examined(verify):
    result = verify("--only", "T6", "--json")
    assert result.exit_code == 0
    (claim,) = json.loads(result.stdout)
    assert claim["identifier"] == "T6"
    assert claim["verdict"] == claim["recorded"] == "proved"
    assert claim["failures"] == []
    assert claim["identities"]
    assert all(experiment["holds"] for experiment in claim["experiments"])


def test_claims_come_with_what_they_rest_on(verify):
    result = verify("--only", "T6", "--only", "P8", "--json")
    assert [claim["identifier"] for claim in json.loads(result.stdout)] == ["T6", "P8"]
    rests = verify("--only", "P6", "--json")
    assert [claim["identifier"] for claim in json.loads(rests.stdout)] == ["T6", "T7", "T16", "P6"]


@pytest.mark.parametrize("name", ("audit.html", "audit.md"))
def test_a_report_beside_the_table(verify, tmp_path, name):
    result = verify("--only", "T6", "--report", name)
    assert result.exit_code == 0
    assert "supported" in result.stdout
    text = (tmp_path / name).read_text()
    assert "With two labelled classes" in text
    assert f"clopsim verify --only T6 --report {name}" in text


@pytest.mark.parametrize("name", ("audit.html", "audit.md"))
def test_the_report_begins_with_what_the_papers_said(verify, tmp_path, name):
    """Statement, source, verdict and finding in one table, before the theorems and any derivation."""
    result = verify("--only", "P13", "--only", "P21", "--only", "T1", "--report", name)
    assert result.exit_code == 0
    _, title, text = (tmp_path / name).read_text().rpartition("What the papers claim, and what holds")
    assert title
    theorems = text.index("The theorems")
    for words in (
        "cannot tell",
        "Runs over learning rates with LARS",
        "the authors' code: LARS",
        "LARS turns the layer",
    ):
        assert text.index(words) < theorems
    assert theorems < text.index("Proof of T1")


def test_a_verdict_that_no_longer_holds_is_status_1(verify, monkeypatch, tmp_path):
    def wrong() -> Experiment:
        return Experiment("a floor", "x", "y", (0.0,), (1.05,), (1.0,), 0.01)

    claims = [replace(claim, experiments=(wrong,)) if claim.identifier == "T6" else claim for claim in ledger.CLAIMS]
    monkeypatch.setattr("clopsim.audit.run.CLAIMS", tuple(claims))
    result = verify("--only", "T6", "--report", "audit.md")
    assert result.exit_code == 1
    assert "T6 FAILS: a floor: gap 0.05 over 0.01" in result.stdout
    assert "open" in result.stdout
    assert "FAILS" in (tmp_path / "audit.md").read_text()
    assert json.loads(verify("--only", "T6", "--json").stdout)[0]["verdict"] == "open"


@pytest.mark.parametrize(
    "words, message",
    [
        (["--only", "T99"], "clopsim: --only must name claims of the ledger, got 'T99'; they are T0, T1"),
        (["--report", "audit.pdf"], "clopsim: --report must end in .md or .html, got 'audit.pdf'; rename it"),
        (["--report", "nowhere/audit.md"], "clopsim: --report must be a file in a folder that exists"),
        (["--report"], "clopsim: "),
        (["--onyl", "T1"], "clopsim: No such option: --onyl"),
    ],
)
def test_wrong_input_is_one_plain_line_and_nothing_is_written(verify, tmp_path, words, message):
    result = verify(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(message)
    assert "Traceback" not in line
    assert list(tmp_path.iterdir()) == []
