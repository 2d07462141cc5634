import json
from dataclasses import replace

import pytest
import sympy as sp

from clopsim.audit import run
from clopsim.audit.claim import Claim
from clopsim.audit.experiments import Experiment
from clopsim.audit.ledger import CLAIMS
from clopsim.bounds.derivation import Agreement, Derivation, Step

X = sp.Symbol("x", positive=True)


def proof(rest: sp.Expr, code: float | None = 2.0) -> Derivation:
    steps = (Step("Look at", X**2), Step("and stop"))
    return Derivation(
        "T", "A statement.", steps, {"identity": rest}, agreements={"f(4)": Agreement(lambda: code, sp.sqrt(4))}
    )


def experiment(gap: float) -> Experiment:
    return Experiment("t", "x", "y", (0.0,), (1.0 + gap,), (1.0,), 0.01)


SOUND = Claim(
    "A", "It is so.", "ours", "none", "proved", "Indeed.",
    derivations=(lambda: proof((X + 1) ** 2 - X**2 - 2 * X - 1),),
    certificates=(lambda: {"it lies in [0, 1]": True},),
    experiments=(lambda: experiment(0.001),),
)  # fmt: skip


def test_a_sound_claim_keeps_its_verdict():
    finding = run.examine(SOUND)
    assert (finding.verdict, finding.failures) == ("proved", [])
    assert finding.evidence == "1 identity, 1 agreement, 1 enclosure, 1 experiment"
    json.dumps(finding.as_row(), allow_nan=False)


def broken() -> Experiment:
    raise RuntimeError("no luck")


@pytest.mark.parametrize(
    "change, failure",
    [
        ({"derivations": (lambda: proof(X - 1),)}, "T: identity leaves x - 1"),
        ({"derivations": (lambda: proof(X - X, 2.1),)}, "T: f(4): the code gives 2.1, the derivation 2.0"),
        ({"derivations": (lambda: proof(X - X, None),)}, "T: f(4): the code gives None, the derivation 2"),
        ({"derivations": (lambda: proof(X - X, float("nan")),)}, "T: f(4): the code gives nan, the derivation 2.0"),
        ({"certificates": (lambda: {"it lies in [2, 3]": False},)}, "not certified: it lies in [2, 3]"),
        ({"experiments": (lambda: experiment(0.05),)}, "t: gap 0.05 over 0.01"),
        ({"experiments": (lambda: experiment(float("nan")),)}, "t: gap nan over 0.01"),
        ({"experiments": (broken,)}, "RuntimeError: no luck"),
    ],
)
def test_failed_evidence_opens_the_claim_and_is_named(change, failure):
    finding = run.examine(replace(SOUND, **change))
    assert finding.verdict == run.OPEN
    assert failure in finding.failures


def test_one_broken_piece_of_evidence_does_not_hide_the_rest():
    finding = run.examine(
        replace(SOUND, derivations=(broken, *SOUND.derivations), experiments=(broken, lambda: experiment(0.0)))
    )
    assert finding.failures == ["RuntimeError: no luck"] * 2
    assert (len(finding.proofs), len(finding.certificates), len(finding.experiments)) == (1, 1, 1)


def test_a_claim_falls_with_what_it_rests_on():
    bad = replace(SOUND, identifier="B", experiments=(broken,))
    rests = replace(SOUND, identifier="C", rests_on=("B",))
    seen: list[str] = []
    findings = run.audit([SOUND, bad, rests], on_finding=lambda finding: seen.append(finding.claim.identifier))
    assert seen == ["A", "B", "C"]
    assert [finding.verdict for finding in findings] == ["proved", "open", "open"]
    assert "rests on B, which is open" in findings[2].failures


def test_choosing_claims_brings_what_they_rest_on():
    assert run.chosen(()) == list(CLAIMS)
    assert [claim.identifier for claim in run.chosen(["P1"])] == ["T1", "P1"]
    with pytest.raises(ValueError, match="^only must name claims of the ledger, got 'T99'; they are T0, T1"):
        run.chosen(["T99"])
