"""The form of a proof: steps to read, expressions that must be zero, formulas that the code must equal.

Every theorem file has a `derive() -> Derivation`. sympy is imported here and inside the derive functions only, so that
the closed forms themselves load fast.
"""

from dataclasses import dataclass, field

import sympy as sp


@dataclass(frozen=True)
class Step:
    """One line of a proof: a sentence and, where it helps, a formula (an expression, an equation or a matrix)."""

    text: str
    formula: sp.Basic | None = None


@dataclass(frozen=True)
class Derivation:
    """A symbolic derivation of one theorem, for generic symbols."""

    theorem: str  # identifier such as "T4"
    statement: str  # one or two sentences
    steps: tuple[Step, ...]
    zeros: dict[str, sp.Expr] = field(default_factory=dict)  # name -> expression that must simplify to 0
    formulas: dict[str, sp.Expr] = field(default_factory=dict)  # name -> what a test holds against the code to 1e-12

    def open_zeros(self) -> dict[str, sp.Expr]:
        """The zeros that do not simplify to 0, with what is left of them; empty when the proof is complete."""
        rest = {name: sp.simplify(expression) for name, expression in self.zeros.items()}
        return {name: expression for name, expression in rest.items() if expression != 0}
