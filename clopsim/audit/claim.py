"""One claim: what is said, by whom, under which assumptions, what became of it, and the evidence."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clopsim.audit.experiments import Experiment

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation

Verdict = Literal["proved", "certified", "measured", "refined", "refuted", "cannot tell"]
"""proved: symbolically, for all symbols. certified: by enclosures in rigorous arithmetic. measured: simulation alone.
refined: true in a sharper or narrower form, which is given. refuted: false as stated, with a counterexample.
cannot tell: nothing here decides it; the finding says why, and what is known."""

V1 = "arXiv:2403.18699v1"
V2 = "arXiv:2403.18699v2"
SUCCESSOR = "arXiv:2512.07880"
CODE = "the authors' code"
OURS = "ours"


@dataclass(frozen=True)
class Claim:
    """One claim and its evidence; the audit runs the evidence and compares the verdict with the recorded one."""

    identifier: str  # T1 ..: theorems; P1 ..: claims of the papers
    statement: str
    source: str  # paper, version and number, or "ours"
    assumptions: str
    verdict: Verdict  # recorded; the audit confirms it or exits with 1
    finding: str  # what the evidence says; the first sentence alone is what holds, for tables
    derivations: tuple[Callable[[], "Derivation"], ...] = ()
    certificates: tuple[Callable[[], dict[str, bool]], ...] = ()  # statement -> whether it is certified
    experiments: tuple[Callable[[], Experiment], ...] = ()
    rests_on: tuple[str, ...] = ()  # claims whose evidence this one uses too
    system: str = ""  # of a claim of the zoo: the loss or method, as its authors call it

    @property
    def holds(self) -> str:
        """The first sentence of the finding."""
        first, stop, _ = self.finding.partition(". ")
        return first + stop.rstrip()


def derivation_of(module: str) -> "Callable[[], Derivation]":
    """The derive() of a file in bounds, imported when it runs: sympy is slow to load."""
    return lambda: importlib.import_module(f"clopsim.bounds.{module}").derive()
