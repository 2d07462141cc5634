"""The protocols as evidence of the audit: a short run that must give the recorded verdicts, or the claim falls."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import xarray as xr

from clopsim.audit import claim, run
from clopsim.audit.ledger import CLAIMS as LEDGER
from clopsim.protocols import ledger
from clopsim.protocols.judgement import judge
from clopsim.protocols.protocol import Comparison
from clopsim.protocols.registry import PROTOCOLS
from clopsim.show.tables import audit_table

UP = xr.DataArray([1.0, 1.1, 0.9], dims="seed")


def made_up(*claims):
    """A protocol of these claims that trains nothing."""
    first = next(iter(PROTOCOLS.values()))
    return replace(
        first,
        run=lambda setting, on_progress: xr.Dataset(coords={"seed": [0, 1, 2]}),
        variables={"seed": "seed"},
        claims=claims,
        columns={},
    )


def test_every_claim_is_complete_and_in_the_text():
    text = (Path(__file__).parents[3] / "bounds" / "THEORY.md").read_text()
    assert len({each.identifier for each in (*LEDGER, *ledger.CLAIMS)}) == len(LEDGER) + len(ledger.CLAIMS)
    for each in ledger.CLAIMS:
        assert each.statement.endswith(".")
        assert each.finding.endswith(".")
        assert each.verdict in get_args(claim.Verdict)
        (row,) = re.findall(rf"^\| {each.identifier} \|.*\| (cannot tell|\w+)[^|]*\|$", text, re.MULTILINE)
        assert row == each.verdict
    for protocol in PROTOCOLS.values():
        assert sum(each.short is not None for each in protocol.claims) >= 2


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_short_run_gives_the_verdicts_that_are_recorded(name):
    found = ledger.short_run(PROTOCOLS[name])
    assert found.holds, found.verdicts
    assert [verdict for verdict, _ in found.verdicts if verdict != "cannot tell"]


@pytest.mark.parametrize("sign, recorded, holds", [
    (1, "supported", True), (-1, "not supported", True), (1, "not supported", False), (-1, "supported", False),
])  # fmt: skip
def test_a_verdict_that_the_numbers_do_not_give_falls(sign, recorded, holds):
    said = Comparison("it helps", "accuracy", lambda data: sign * UP, 0.1, short=recorded)
    not_asked = Comparison("it cures", "accuracy", lambda data: 0 * UP, 0.1)
    found = ledger.short_run(made_up(said, not_asked))
    assert found.holds is holds
    assert found.x == (1.0,)
    assert len(found.verdicts) == 2


@pytest.mark.parametrize("values", ([1.0, -1.0, 0.1], [0.02, 0.03, 0.02], [1.0], [float("nan"), 1.0, 1.0]))
@pytest.mark.parametrize("recorded", ("supported", "not supported"))
def test_an_interval_clears_exactly_the_verdict_that_it_gives(values, recorded):
    found = judge(xr.DataArray(values).to_numpy(), matters=0.1)
    assert (ledger.clearance(found, recorded) > 0) == (found.verdict == recorded)


def test_verify_shows_the_zoo_one_claim_a_line_and_fails_with_it(clopsim, monkeypatch):
    claims = (
        Comparison("it helps", "accuracy, it less nothing", lambda data: UP, 0.1, short="supported"),
        Comparison("it harms none", "accuracy, none", lambda data: -UP, 0.1, short="not supported"),
    )
    monkeypatch.setattr(ledger, "CLAIMS", (ledger.claim_of(made_up(*claims)),))
    identifier = ledger.CLAIMS[0].identifier
    done = clopsim("verify", "--only", identifier, "--report", "audit.md")
    assert done.exit_code == 0, done.output
    assert "the zoo: what is claimed, and the evidence" in done.stdout
    assert re.search(r"^ +supported +- it helps: \+1 \[", done.stdout, re.MULTILINE)
    assert re.search(r"^ +not supported +- it harms none", done.stdout, re.MULTILINE)
    assert "What the authors of other losses claim" in Path("audit.md").read_text()
    (row,) = json.loads(clopsim("verify", "--only", identifier, "--json").stdout)
    assert [verdict for verdict, _ in row["experiments"][0]["verdicts"]] == ["supported", "not supported"]
    wrong = (replace(claims[0], short="not supported"), claims[1])
    monkeypatch.setattr(ledger, "CLAIMS", (ledger.claim_of(made_up(*wrong)),))
    done = clopsim("verify", "--only", identifier)
    assert done.exit_code == 1
    assert f"{identifier} FAILS: " in done.stdout


def test_the_table_fits_a_terminal():
    experiment = ledger.short_run(
        made_up(Comparison("it helps " * 12, "accuracy, it less nothing", lambda data: -UP, 0.1, short="not supported"))
    )
    rows = [run.Finding(each, (), (experiment,), {}, 12.3).as_row() for each in (*ledger.CLAIMS, *LEDGER)]
    assert max(len(line) for line in audit_table(rows).splitlines()) <= 80
