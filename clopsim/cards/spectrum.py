"""The spectrum of a loss at a state: levels with multiplicities, pulls, and the learning rates that they make critical.

Where every row has the same pull a, T27 gives one rate per level: 2/(c + 2a) ambient, 2/c tangent. Where the pulls
differ, levels mix in an ambient step and only the state as a whole has a rate (T27a).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from clopsim.bounds import Gradient
from clopsim.bounds.effective_rate import AttractingRates, critical_rate, stable_side, why_never
from clopsim.bounds.unequal_pulls import FLAT, unequal_attracting_rates
from clopsim.cards import calculus
from clopsim.cards.call import Broken
from clopsim.cards.states import rotations
from clopsim.cards.subject import Subject, random_rows, same
from clopsim.metrics.geometry import effective_rank

Kind = Literal["minimum", "maximum", "saddle", "flat"]

OPTIMUM = "optimum"
"""Name of the state that descent finds."""

RESTED = 1e-6
"""Radians: descent has come to rest where Newton's step along the softest level is shorter, and none falls."""

STATIONARY = 1e-8
"""Largest tangent gradient of a stationary state, in units of that at random rows."""

CLOSE = FLAT
"""Eigenvalues this near to each other, in units of the largest, are one level; and those this near to 0 are 0."""

ROUNDED = 1e-12
"""And those this small beside the second derivatives that cancel in them."""

EQUAL = 1e-8
"""Pulls that differ by less than this, in units of the largest level or pull, are one."""


TURNED_OVER = (
    "the loss falls along it; the step that would turn it round turns the state over, and the loss tells z from -z"
)
"""Why a falling direction has no rate in a loss that is not even: T27's lies beyond 1/a."""


class Level(NamedTuple):
    """Directions along which the loss curves alike."""

    curvature: float  # eigenvalue c of the Riemannian Hessian; 0: flat
    multiplicity: int


class Critical(NamedTuple):
    """The learning rate at which one level, or a state as a whole, turns under one gradient."""

    gradient: Gradient
    curvature: float | None  # None: the state as a whole, where the rows are pulled unequally
    multiplicity: int
    rate: float | None  # None: there is none, and why says so
    side: Literal["below", "above"] | None  # on which side of it the directions are stable
    why: str


@dataclass(frozen=True)
class Spectrum:
    """A loss at one state."""

    name: str
    title: str
    z: Tensor  # (n, d)
    value: float
    rank: float  # effective
    residual: float  # largest tangent gradient of a row, in units of that at random rows; nan: not finite
    pulls: tuple[float, float]  # smallest and largest z_i . g_i
    turns: int  # dimension of the turns of the whole state that the loss cannot see
    has_ambient: bool
    levels: tuple[Level, ...] = ()  # rising; empty where trouble says why, or where the state is not stationary
    trouble: str = ""  # why there is no spectrum, a sentence
    unequal: bool = False  # whether the pulls of the rows differ, under an ambient step
    whole: AttractingRates | None = None  # where they do: at which ambient rates the state attracts; None: at none
    even: bool = True  # the loss is the same at -z, to which a large ambient step turns the state over
    hessian: Tensor | None = None  # in tangent coordinates
    frames: Tensor | None = None  # (n, d, d - 1)
    pull_of_rows: Tensor | None = None  # (n,)

    @property
    def pull(self) -> float | None:
        """The pull where all rows have one."""
        return self.pulls[0] if self.levels and not self.unequal else None

    @property
    def stationary(self) -> bool:
        """Whether the tangent gradient vanishes."""
        return self.residual < STATIONARY

    @property
    def flat(self) -> int:
        """Directions beside the turns along which the loss does not curve."""
        return max(0, sum(level.multiplicity for level in self.levels if level.curvature == 0) - self.turns)

    @property
    def kind(self) -> Kind:
        """What the levels other than 0 make of the state."""
        signs = {math.copysign(1, level.curvature) for level in self.levels if level.curvature != 0}
        if not signs:
            return "flat"
        return "saddle" if len(signs) == 2 else "minimum" if signs == {1.0} else "maximum"

    def criticals(self) -> list[Critical]:
        """Every critical rate of the state, ambient first."""
        gradients: Sequence[Gradient] = ("ambient", "tangent") if self.has_ambient else ("tangent",)
        found = []
        for gradient in gradients:
            if gradient == "ambient" and self.unequal:
                found.append(self._whole())
                continue
            for c, count in self.levels:
                if c == 0:
                    continue
                a = self._pull_beside(c) if gradient == "ambient" else 0.0
                rate, why = critical_rate(c, pull=a, gradient=gradient), why_never(c, pull=a, gradient=gradient)
                if rate is not None and c < 0 and not self.even:
                    rate, why = None, TURNED_OVER
                found.append(Critical(gradient, c, count, rate, None if rate is None else stable_side(c), why))
        return found

    def _pull_beside(self, c: float) -> float:
        """The pull, exactly -c/2 where c + 2a is nothing but rounding: of that no rate can be made."""
        a = self.pulls[0]
        size = max(abs(a), *(abs(level.curvature) for level in self.levels))
        return -c / 2 if abs(c + 2 * a) <= ROUNDED * size else a

    def _whole(self) -> Critical:
        """The ambient rate of the state as a whole (T27a)."""
        count = sum(level.multiplicity for level in self.levels if level.curvature != 0)
        whole = self.whole
        if whole is None or not self.unequal:
            why = (
                "a saddle attracts at no rate"
                if self.kind == "saddle"
                else "it attracts at no rate: H + 2A <= 0 somewhere"
            )
            return Critical("ambient", None, count, None, None, why)
        if whole.below < math.inf:
            return Critical("ambient", None, count, whole.below, "below", "")
        if whole.above > 0 and not self.even:
            return Critical("ambient", None, count, None, None, TURNED_OVER)
        if whole.above > 0:
            return Critical("ambient", None, count, whole.above, "above", "")
        return Critical("ambient", None, count, None, None, "it is stable at every rate: H + 2A <= 0")


def spectrum(subject: Subject, z: Tensor, *, name: str, title: str, scale: float, turns: bool) -> Spectrum:
    """The spectrum at rows z (n, d). scale: the tangent gradient of a row at random rows; turns: whether the loss is
    blind to turns of the whole state."""
    count = rotations(subject, z) if turns else 0
    rank = float(effective_rank(z))
    plain = Spectrum(name, title, z, math.nan, rank, math.nan, (math.nan, math.nan), count, subject.has_ambient)

    def without(trouble: str) -> Spectrum:
        return replace(plain, trouble=trouble)

    try:
        value, gradient = calculus.value_and_gradient(subject.value, z)
    except Broken as error:
        return without(f"The loss breaks there: {error.short}.")
    a = calculus.pulls(z, gradient)
    residual = float(calculus.tangent(z, gradient).norm(dim=-1).max()) / scale
    plain = replace(plain, value=float(value), residual=residual, pulls=(float(a.min()), float(a.max())))
    if not (math.isfinite(value) and bool(gradient.isfinite().all())):
        return without("The loss or its gradient is not finite there.")
    if not plain.stationary:
        what = "Descent found no place where the gradient vanishes" if name == OPTIMUM else "Not stationary"
        return without(f"{what}: {residual:.2g} of the gradient at random rows is left.")
    found = calculus.curvature(subject.value, z)
    if not bool(found.hessian.isfinite().all()):
        return without("Its second derivatives are not finite there, so nothing can be said about the directions.")
    if why := calculus.not_smooth(subject, z, found):
        return without(f"No curvature: {why}.")
    hessian = (found.hessian + found.hessian.mT) / 2
    eigenvalues = torch.linalg.eigvalsh(hessian)
    largest = float(eigenvalues.abs().max())
    levels = _levels(eigenvalues, max(CLOSE * largest, ROUNDED * found.size))
    softest = min((level.curvature for level in levels if level.curvature != 0), default=math.inf)
    if name == OPTIMUM and not residual * scale < RESTED * softest:
        return without("Descent has not come to rest: it creeps along a valley that hardly curves.")
    a = torch.where(found.pulls.abs() <= EQUAL * largest, 0.0, found.pulls)
    unequal = subject.has_ambient and float(a.max() - a.min()) > EQUAL * max(largest, float(a.abs().max()))
    whole = None
    if unequal and any(level.curvature != 0 for level in levels):
        whole = unequal_attracting_rates(hessian.numpy(), pulls=a.repeat_interleave(found.frames.shape[2]).numpy())
    return replace(
        plain,
        pulls=(float(a.min()), float(a.max())),
        levels=levels,
        unequal=unequal,
        whole=whole,
        even=turns or _even(subject),
        hessian=hessian,
        frames=found.frames,
        pull_of_rows=a,
    )


def _even(subject: Subject) -> bool:
    z = random_rows(subject)
    try:
        return same(subject.value(-z), subject.value(z))
    except Broken:
        return False


def _levels(eigenvalues: Tensor, close: float) -> tuple[Level, ...]:
    """Rising eigenvalues as levels: a new one wherever there is a gap; those within a gap of 0 are 0."""
    groups: list[list[float]] = []
    for c in eigenvalues.tolist():
        if groups and c - groups[-1][-1] <= close:
            groups[-1].append(c)
        else:
            groups.append([c])
    means = [(math.fsum(group) / len(group), len(group)) for group in groups]
    zero = [abs(c) <= close for c, _ in means]
    levels = [Level(c, count) for (c, count), flat in zip(means, zero, strict=True) if not flat]
    if any(zero):
        levels.append(Level(0.0, sum(count for (_, count), flat in zip(means, zero, strict=True) if flat)))
    return tuple(sorted(levels))
