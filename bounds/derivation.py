"""The form of a proof: steps to read, expressions that must be zero, and the code held against what was derived.

Every theorem file has a `derive() -> Derivation`. sympy is imported here and inside the derive functions only, so that
the closed forms themselves load fast.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, get_args

import numpy as np
import sympy as sp

from clopsim.bounds.setting import Floats, Gradient, Keys, Loss, Reduction, Setting

AGREE = 1e-12
"""Relative difference up to which the code equals its formula: rounding of a few operations."""


@dataclass(frozen=True)
class Step:
    """One line of a proof: a sentence and, where it helps, a formula (an expression, an equation or a matrix)."""

    text: str
    formula: sp.Basic | None = None
    left: str = ""  # its left-hand side in plain text, such as "mu_c" or "|g_i| <="; empty for an equation


@dataclass(frozen=True)
class Agreement:
    """A number that the code gives to users beside the derived formula at the same point; None where there is none."""

    code: Callable[[], Floats | None]  # asked when the two are compared, so that tests.mutate can change the code
    derived: sp.Expr | float | None
    tolerance: float = AGREE  # relative; more only where the code solves numerically

    @property
    def apart(self) -> str:
        """How the two differ, in words; empty where they agree."""
        found = self.code()
        if found is None or self.derived is None:
            return "" if found is self.derived else f"the code gives {found}, the derivation {self.derived}"
        code, derived = float(np.asarray(found)), float(sp.N(self.derived, 30))
        if abs(code - derived) <= self.tolerance * max(abs(code), abs(derived)):
            return ""
        return f"the code gives {code!r}, the derivation {derived!r}"


@dataclass(frozen=True)
class Derivation:
    """A symbolic derivation of one theorem, for generic symbols."""

    theorem: str  # identifier such as "T4"
    statement: str  # one or two sentences
    steps: tuple[Step, ...]
    zeros: dict[str, sp.Expr] = field(default_factory=dict)  # name -> expression that must simplify to 0
    formulas: dict[str, sp.Expr] = field(default_factory=dict)  # name -> closed form as derived, for tests and reports
    agreements: Mapping[str, Agreement] = field(default_factory=dict)  # name of a function and a point -> both values

    def open_zeros(self) -> dict[str, sp.Expr]:
        """The zeros that do not simplify to 0, with what is left of them; empty when the proof is complete."""
        rest = {name: sp.simplify(expression) for name, expression in self.zeros.items()}
        return {name: expression for name, expression in rest.items() if expression != 0}

    def disagreements(self) -> dict[str, str]:
        """Where the code gives another number than the derivation, in words; empty when it computes what is proved."""
        found = {name: agreement.apart for name, agreement in self.agreements.items()}
        return {name: words for name, words in found.items() if words}


def every_setting(temperature: float, dimension: int, samples: int) -> list[Setting]:
    """All losses, gradients, keys and reductions, so that an agreement covers every branch of the code."""
    choices = product(get_args(Loss), get_args(Gradient), get_args(Keys), get_args(Reduction))
    return [Setting(temperature, dimension, samples, *choice) for choice in choices]


def written_out(setting: Setting) -> str:
    """A setting's choices in words, for the name of an agreement."""
    return f"{setting.loss}, {setting.gradient}, {setting.keys}, {setting.reduction}"


def defined_pull(setting: Setting) -> sp.Rational:
    """The pull by its definition, not by the code: anchor and key, or anchor alone; over n for the mean."""
    return sp.Rational(2 if setting.keys == "symmetric" else 1, setting.samples if setting.reduction == "mean" else 1)


def entry(code: Callable[[], Any], place: int) -> Callable[[], float]:
    """The code that gives one entry of what some code returns, an array laid flat, for an agreement."""
    return lambda: float(np.ravel(code())[place])
