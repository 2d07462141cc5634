"""A class in an hour: three notebooks, each with a prediction and exercises, and `check`, which marks the answers.

The notebooks are stored without outputs beside this file, and so is the teacher's page. A right answer is computed from
`clopsim.bounds` when it is asked for; none is written down in the code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

from clopsim.bounds import (
    Setting,
    class_effective_rank,
    class_equilibrium,
    exact_rate,
    gradient_bound,
    paper_range,
    spread_multiplier,
    uniform_rate,
)
from clopsim.bounds.setting import one_of

__all__ = ["EXERCISES", "LAB", "NOTEBOOKS", "TEACHER", "Exercise", "Verdict", "check", "read"]

NOTEBOOKS = ("1-see-the-collapse.ipynb", "2-derive-the-bound.ipynb", "3-rescue-with-prototypes.ipynb")

LAB = "lab.html"
"""The lab's page beside the notebooks, whose stops they link to."""

TEACHER = Path(__file__).with_name("README.md")
"""Audience, timing, solutions."""

TOLERANCE = 5e-3
"""Relative error that a number may have: three digits, copied by hand, are right."""


def read(notebook: str) -> str:
    """The text of one of the NOTEBOOKS."""
    one_of("notebook", notebook, NOTEBOOKS)
    return resources.files(__name__).joinpath(notebook).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Verdict:
    """What the checker says; a notebook shows it as its message."""

    right: bool | None  # None: not answered yet
    message: str

    def __repr__(self) -> str:
        """The message alone, without quotes."""
        return self.message


def check(exercise: str, answer: Any) -> Verdict:
    """Mark one answer.

    exercise: a key of EXERCISES, such as "collapse.1"; answer: a number, a pair of numbers or a sympy formula, as the
    exercise asks; Ellipsis (the `...` of the empty cell) is not answered yet. Numbers are right to 0.5 %.
    Errors: ValueError for an exercise that does not exist.
    """
    one_of("exercise", exercise, tuple(EXERCISES))
    task = EXERCISES[exercise]
    if answer is Ellipsis:
        return Verdict(None, f"{exercise}: not answered yet")
    if task.is_right(answer):
        return Verdict(True, f"{exercise}: right")
    why = next((slip.why for slip in task.slips if task.agrees(answer, slip.gives)), None)
    return Verdict(False, f"{exercise}: wrong. {f'Hint: {task.hint}' if why is None else why}")


@dataclass(frozen=True)
class Slip:
    """A wrong answer that students give, computed as they come to it, and why it is wrong."""

    gives: Callable[..., Any]
    why: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: its right answer, computed, what is wrong with the usual wrong ones, and the hint for any other.

    With symbols the answer is a formula in them, and solution its value at one point (by keyword).
    """

    solution: Callable[..., Any]
    hint: str
    symbols: tuple[str, ...] = ()
    slips: tuple[Slip, ...] = ()

    def is_right(self, answer: Any) -> bool:
        """Whether the answer is the solution: to TOLERANCE, a formula to 1e-9 at every one of POINTS."""
        return self.agrees(answer, self.solution)

    def agrees(self, answer: Any, other: Callable[..., Any]) -> bool:
        """Whether the answer is what `other` gives, as exactly as is_right asks it of the solution."""
        if not self.symbols:
            return _close(answer, other(), TOLERANCE)
        for point in POINTS:
            values = {name: point[name] for name in self.symbols}
            if not _close(_value_of(answer, values), other(**values), 1e-9):
                return False
        return True


POINTS = (
    {"n": 5, "mu": 0.3, "tau": 0.7},
    {"n": 12, "mu": 1.9, "tau": 0.4},
    {"n": 64, "mu": 0.05, "tau": 1.3},
)
"""Where formulas are compared: no two of them that a student could mean agree at all three."""


def _close(answer: Any, right: Any, tolerance: float) -> bool:
    """Whether numbers, or tuples of numbers, agree; False for anything else."""
    if isinstance(right, tuple):
        return (
            isinstance(answer, tuple | list)
            and len(answer) == len(right)
            and all(_close(mine, theirs, tolerance) for mine, theirs in zip(answer, right, strict=True))
        )
    number = _real(answer)
    return number is not None and bool(abs(number - right) <= tolerance * abs(right))


def _real(answer: Any) -> float | None:
    """The answer as a float, from any kind of number (numpy's, torch's, sympy's); None for anything else."""
    if isinstance(answer, bool | str) or getattr(answer, "ndim", 0) != 0:
        return None
    try:
        return float(answer)
    except (TypeError, ValueError, OverflowError):
        return None


def _value_of(formula: Any, values: dict[str, float]) -> Any:
    """The formula's value with its symbols, known by their names, replaced; as it is if it has none."""
    import sympy as sp

    if not isinstance(formula, sp.Expr):
        return formula
    return formula.subs({symbol: values[str(symbol)] for symbol in formula.free_symbols if str(symbol) in values})


def _smallest_collapsing_batch() -> int:
    return next(samples for samples in count(3) if exact_rate(Setting(0.5, 8, samples)) < 0.56)


def _class_cosine(weight: float) -> float:
    return class_equilibrium(weight, classes=4, per_class=8, temperature=0.5, dimension=8).cosine


EXERCISES = {
    "collapse.1": Exercise(
        lambda: exact_rate(Setting(0.1, 128, 64, reduction="mean")),
        'PyTorch\'s mean divides the gradient by n; pass reduction="mean" to Setting.',
        slips=(
            Slip(
                lambda: exact_rate(Setting(0.1, 128, 64)),
                "That is the rate for the sum over the anchors; the mean's gradient is n times smaller.",
            ),
            Slip(
                lambda: 64 * 0.1, "That is n tau, the edge of the paper; at n = 64 the factor (n-1)/(n-2) is missing."
            ),
        ),
    ),
    "collapse.2": Exercise(
        lambda: uniform_rate(Setting(0.2, 3, 48)).degree,
        "uniform_rate returns a rate and a degree; the degree is a whole number.",
        slips=(
            Slip(
                lambda: uniform_rate(Setting(0.2, 3, 48)).rate,
                "That is the rate at which it breaks; the degree is asked.",
            ),
        ),
    ),
    "collapse.3": Exercise(
        _smallest_collapsing_batch,
        "collapse attracts once mu_c < 0.56, and mu_c falls as n grows; try some n.",
        slips=(Slip(lambda: _smallest_collapsing_batch() - 1, "Just too small: there mu_c is still above 0.56."),),
    ),
    "bound.1": Exercise(
        lambda n, mu, tau: spread_multiplier(mu, Setting(tau, 8, n, gradient="tangent")),
        "replace g by g - (z.g) z before the step; the mean keeps its length then, so the 1 - 2 mu/tau goes.",
        ("n", "mu", "tau"),
        slips=(
            Slip(
                lambda n, mu, tau: spread_multiplier(mu, Setting(tau, 8, n)),
                "That is the factor of the ambient gradient; project g first.",
            ),
            Slip(
                lambda n, mu, tau: 1 + 2 * mu / tau, "That is the limit of many points; the exact factor keeps n/(n-1)."
            ),
        ),
    ),
    "bound.2": Exercise(
        lambda tau: float(paper_range(Setting(tau, 8, 32))[1]) / 2,
        "the collapsed point itself is multiplied by 1 - 2 mu/tau; where is that 0?",
        ("tau",),
        slips=(
            Slip(
                lambda tau: tau,
                "That is the edge of the range, where the point is thrown to its opposite; 0 lies in the middle.",
            ),
        ),
    ),
    "bound.3": Exercise(
        lambda n, tau: exact_rate(Setting(tau, 8, int(n), keys="detached")),
        "without the keys' share every gradient near collapse is half as long.",
        ("n", "tau"),
        slips=(
            Slip(
                lambda n, tau: exact_rate(Setting(tau, 8, int(n))),
                "That is the rate with symmetric keys, of the notebook.",
            ),
            Slip(lambda n, tau: 2 * tau, "That is the limit of many points; a finite batch has (n-1)/(n-2)."),
        ),
    ),
    "rescue.1": Exercise(
        lambda: gradient_bound(1.0, Setting(0.5, 8, 32)) + 1 / 2.0,
        "T7 needs mu lambda > 1 + mu H with H = gradient_bound(1.0, setting); solve it for lambda.",
        slips=(
            Slip(
                lambda: gradient_bound(1.0, Setting(0.5, 8, 32)),
                "That is H alone; a step also has to turn z itself, which adds 1/mu.",
            ),
        ),
    ),
    "rescue.2": Exercise(
        lambda: _class_cosine(16.0),
        "class_equilibrium(...).cosine; it lies between the simplex's -1/(K - 1) and 0.",
        slips=(
            Slip(lambda: -1 / 3, "That is the simplex, the limit of small lambda."),
            Slip(lambda: _class_cosine(4.0), "That is the cosine at another weight, lambda = 4."),
        ),
    ),
    "rescue.3": Exercise(
        lambda: tuple(class_effective_rank(cosine, classes=10) for cosine in (-1 / 9, 0.0)),
        "a simplex of K classes adds up to zero, so it lacks one direction; an orthonormal frame does not.",
        slips=(Slip(lambda: (10.0, 9.0), "The other way round: the simplex is the one that lacks a direction."),),
    ),
}
"""Every exercise of the notebooks, by lesson and number."""
