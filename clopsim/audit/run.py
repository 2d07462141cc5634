"""Run the evidence of claims and compare what comes out with the recorded verdicts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clopsim.audit.claim import Claim
from clopsim.audit.experiments import Experiment
from clopsim.audit.ledger import CLAIMS

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation

OPEN = "open"
"""Verdict of a claim some of whose evidence failed."""


@dataclass(frozen=True)
class Proof:
    """A derivation, the identities in it that did not simplify to zero, and where the code computes something else."""

    derivation: "Derivation"
    rest: dict[str, str]
    apart: dict[str, str]


@dataclass(frozen=True)
class Finding:
    """What the evidence of one claim gave."""

    claim: Claim
    proofs: tuple[Proof, ...]
    experiments: tuple[Experiment, ...]
    certificates: dict[str, bool]
    seconds: float
    errors: tuple[str, ...] = ()  # evidence that broke instead of answering, ground that fell

    @property
    def failures(self) -> list[str]:
        """What does not hold, one clause each; empty when all evidence does."""
        return [
            *(
                f"{proof.derivation.theorem}: {name} leaves {rest}"
                for proof in self.proofs
                for name, rest in proof.rest.items()
            ),
            *(
                f"{proof.derivation.theorem}: {name}: {how}"
                for proof in self.proofs
                for name, how in proof.apart.items()
            ),
            *(f"{one.title}: gap {one.gap:.3g} over {one.tolerance:g}" for one in self.experiments if not one.holds),
            *(f"not certified: {statement}" for statement, certain in self.certificates.items() if not certain),
            *self.errors,
        ]

    @property
    def verdict(self) -> str:
        """The recorded verdict if all evidence holds, else "open"."""
        return OPEN if self.failures else self.claim.verdict

    @property
    def evidence(self) -> str:
        """The evidence in a few words."""
        identities = sum(len(proof.derivation.zeros) for proof in self.proofs)
        agreements = sum(len(proof.derivation.agreements) for proof in self.proofs)
        parts = [
            _counted(identities, "identity", "identities"),
            _counted(agreements, "agreement", "agreements"),
            _counted(len(self.certificates), "enclosure", "enclosures"),
            _counted(len(self.experiments), "experiment", "experiments"),
            f"that of {', '.join(self.claim.rests_on)}" if self.claim.rests_on else "",
        ]
        return ", ".join(part for part in parts if part)

    def as_row(self) -> dict[str, Any]:
        """The finding as plain values for --json."""
        return {
            "identifier": self.claim.identifier,
            "system": self.claim.system,
            "statement": self.claim.statement,
            "source": self.claim.source,
            "assumptions": self.claim.assumptions,
            "recorded": self.claim.verdict,
            "verdict": self.verdict,
            "finding": self.claim.finding,
            "failures": self.failures,
            "identities": [name for proof in self.proofs for name in proof.derivation.zeros],
            "agreements": [name for proof in self.proofs for name in proof.derivation.agreements],
            "certificates": self.certificates,
            "experiments": [
                {"title": one.title, "gap": one.gap, "tolerance": one.tolerance, "holds": one.holds}
                | ({"verdicts": [list(each) for each in one.verdicts]} if one.verdicts else {})
                for one in self.experiments
            ],
            "seconds": round(self.seconds, 2),
        }


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}" if number else ""


def chosen(identifiers: Sequence[str], *, more: Sequence[Claim] = ()) -> list[Claim]:
    """The claims with these identifiers and those that they rest on, in the order of the ledger; all for none.

    more: claims beyond the ledger, of rooms above this one.
    """
    ledger = (*CLAIMS, *more)
    known = [claim.identifier for claim in ledger]
    spelt = {name.lower(): name for name in known}
    identifiers = [spelt.get(name.lower(), name) for name in identifiers]
    for identifier in identifiers:
        if identifier not in known:
            raise ValueError(f"only must name claims of the ledger, got {identifier!r}; they are {', '.join(known)}")
    wanted = set(identifiers) | {name for claim in ledger if claim.identifier in identifiers for name in claim.rests_on}
    return [claim for claim in ledger if not wanted or claim.identifier in wanted]


def examine(claim: Claim) -> Finding:
    """Run all evidence of one claim; evidence that raises counts as failed and is named, the rest still runs."""
    began = time.perf_counter()
    proofs: list[Proof] = []
    experiments: list[Experiment] = []
    certificates: dict[str, bool] = {}
    errors: list[str] = []

    def prove(derive: "Callable[[], Derivation]") -> None:
        derivation = derive()
        rest = {name: str(expression) for name, expression in derivation.open_zeros().items()}
        proofs.append(Proof(derivation, rest, derivation.disagreements()))

    evidence: list[Callable[[], None]] = [
        *(partial(prove, derive) for derive in claim.derivations),
        *(lambda certify=certify: certificates.update(certify()) for certify in claim.certificates),
        *(lambda experiment=experiment: experiments.append(experiment()) for experiment in claim.experiments),
    ]
    for run in evidence:
        try:
            run()
        except Exception as problem:
            errors.append(f"{type(problem).__name__}: {problem}")
    seconds = time.perf_counter() - began
    return Finding(claim, tuple(proofs), tuple(experiments), certificates, seconds, tuple(errors))


def audit(claims: Sequence[Claim], *, on_finding: Callable[[Finding], None] = lambda finding: None) -> list[Finding]:
    """Examine every claim in turn; one whose ground is open is open too. on_finding is called after each."""
    findings: list[Finding] = []
    for claim in claims:
        fallen = {finding.claim.identifier for finding in findings if finding.failures} & set(claim.rests_on)
        finding = examine(claim)
        if fallen:
            ground = f"rests on {', '.join(sorted(fallen))}, which {'is' if len(fallen) == 1 else 'are'} open"
            finding = replace(finding, errors=(*finding.errors, ground))
        findings.append(finding)
        on_finding(finding)
    return findings
