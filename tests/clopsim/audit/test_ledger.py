import re
from pathlib import Path
from typing import get_args

from clopsim.audit.claim import Verdict
from clopsim.audit.ledger import CLAIMS


def test_every_claim_is_complete_and_unique():
    identifiers = [claim.identifier for claim in CLAIMS]
    assert len(set(identifiers)) == len(identifiers)
    assert {f"T{k}" for k in range(1, 11)} <= set(identifiers)
    assert {f"P{k}" for k in range(1, 22)} <= set(identifiers)
    for claim in CLAIMS:
        assert claim.statement.endswith(".")
        assert claim.source
        assert claim.assumptions
        assert claim.finding
        assert claim.verdict in get_args(Verdict)
        evidence = claim.derivations or claim.experiments or claim.rests_on
        assert bool(evidence) == (claim.verdict != "cannot tell"), claim.identifier


def test_evidence_fits_the_verdict():
    """Proved needs a proof, certified an enclosure, refuted and measured an experiment, here or in what it rests on."""
    by_name = {claim.identifier: claim for claim in CLAIMS}
    for claim in CLAIMS:
        evidence = [claim, *(by_name[name] for name in claim.rests_on)]
        if claim.verdict in ("proved", "certified"):
            assert any(one.derivations for one in evidence), claim.identifier
        if claim.verdict == "certified":
            assert any(one.certificates for one in evidence), claim.identifier
        if claim.verdict in ("refuted", "measured"):
            assert any(one.experiments for one in evidence), claim.identifier


def test_the_text_has_every_claim_and_names_none_that_is_not_there():
    """Every theorem has its section and its command in bounds/THEORY.md, every claim of the paper its row."""
    text = (Path(__file__).parents[3] / "bounds" / "THEORY.md").read_text()
    identifiers = {claim.identifier for claim in CLAIMS}
    commands = set(re.findall(r"clopsim verify --only (\w+)", text))
    assert commands <= identifiers
    for identifier in identifiers:
        if identifier.startswith("T"):
            assert identifier in commands
            assert re.search(rf"^##+ {identifier}\. ", text, re.MULTILINE)
        else:
            assert f"| {identifier} |" in text


def test_verdicts_in_the_text_are_the_recorded_ones():
    text = (Path(__file__).parents[3] / "bounds" / "THEORY.md").read_text()
    for claim in CLAIMS:
        if claim.identifier.startswith("P"):
            (row,) = re.findall(rf"^\| {claim.identifier} \|.*\| (cannot tell|\w+)[^|]*\|$", text, re.MULTILINE)
            assert row == claim.verdict
