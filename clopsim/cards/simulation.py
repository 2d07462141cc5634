"""Gradient descent on the sphere with any loss: one step's factors near a state, and where runs end."""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.bounds import Gradient
from clopsim.bounds.effective_rate import multiplier
from clopsim.cards import calculus
from clopsim.cards.call import Broken
from clopsim.cards.spectrum import Critical, Spectrum
from clopsim.cards.states import point
from clopsim.cards.subject import Subject, random_rows
from clopsim.metrics.geometry import effective_rank

SIDES = (0.97, 1.03)
"""Of a critical rate: where it is simulated."""

AMPLITUDE = 1e-6
"""Length of the deviation at the start, radians: its square is lost beside it, and rounding too."""

MOST_STEPS = 12
"""Of a check; fewer where another direction grows fast."""

ROOM = 1e6
"""How much the fastest direction may grow from what the square of the deviation gives it."""

LEFT = 1e-3
"""How far a deviation may shrink in a check: its square at the start is 1e-6 of it, and stays."""

AGREE = 1e-3
"""Largest gap between predicted and observed factor, relative to the predicted one, or to a tenth if that is less."""

MULTIPLES = (0.1, 0.3, 0.6, 0.9, 1.1, 1.5, 3.0, 7.0, 20.0, 50.0)
"""Learning rates of the long runs, in units of the card's own rate."""

STEPS = 500
"""Of a long run."""

NEAR = 0.03
"""Spread of the start near collapse, radians."""

STARTS = ("near collapse", "random")


class Check(NamedTuple):
    """One step's factor of a deviation, predicted and observed, at a multiple of a critical rate."""

    at: float
    stable: bool  # whether the deviation should shrink there
    predicted: float
    observed: float

    @property
    def agrees(self) -> bool:
        """Whether the deviation shrinks where it should, by the factor that it should."""
        close = abs(self.observed - self.predicted) <= AGREE * max(self.predicted, 0.1)
        return close and (self.observed < 1) == self.stable


class Run(NamedTuple):
    """Where runs from one start end: the effective rank at each of MULTIPLES; nan where a run left the numbers."""

    gradient: Gradient
    start: str
    ranks: tuple[float, ...]


def step(z: Tensor, slope: Tensor, rate: Tensor | float, gradient: Gradient) -> Tensor:
    """normalise(z - rate g), g the gradient or its tangent part; slope as z, rate broadcasts to it."""
    moved = z - rate * (calculus.tangent(z, slope) if gradient == "tangent" else slope)
    return moved / moved.norm(dim=-1, keepdim=True)


def check(subject: Subject, state: Spectrum, critical: Critical) -> tuple[Check, ...]:
    """A critical rate on both sides: a small deviation along the level, its factor a step predicted and observed."""
    if critical.rate is None or state.hessian is None or state.frames is None or state.pull_of_rows is None:
        return ()
    repeated = state.pull_of_rows.repeat_interleave(state.frames.shape[2])
    a = repeated if critical.gradient == "ambient" else torch.zeros_like(repeated)
    checks = []
    for at in SIDES:
        linear = _Linear.of(state.hessian, a, at * critical.rate, critical)
        if linear is not None:
            observed = _observed(subject, state, at * critical.rate, critical.gradient, linear)
            checks.append(Check(at, (at < 1) == (critical.side == "below"), linear.factor, observed))
    return tuple(checks)


class _Linear(NamedTuple):
    """One step near a state: the deviations of one factor, what reads them off, and the fastest factor of all."""

    deviations: Tensor  # (size, m)
    readers: Tensor  # (size, m); readers' deviations = 1
    factor: float  # |.|
    fastest: float

    @staticmethod
    def of(hessian: Tensor, a: Tensor, rate: float, critical: Critical) -> "_Linear | None":
        """D^-1 (I - rate (H + A)), D = I - rate A, made symmetric; None where D has both signs: a pole is passed."""
        d = 1 - rate * a
        if not (bool((d > 0).all()) or bool((d < 0).all())):
            return None
        root = d.abs().sqrt()
        inner = torch.eye(len(a), dtype=a.dtype) - rate * (hessian + torch.diag(a))
        factors, basis = torch.linalg.eigh(d[0].sign() * inner / root[:, None] / root)
        fastest = float(factors.abs().max())
        if critical.curvature is None:  # the one that passes -1
            return _Linear(basis[:, :1] / root[:, None], basis[:, :1] * root[:, None], abs(float(factors[0])), fastest)
        factor = float(multiplier(rate, curvature=critical.curvature, pull=float(a[0]), gradient=critical.gradient))
        level = (factors - factor).abs().argsort()[: critical.multiplicity]
        return _Linear(basis[:, level], basis[:, level], abs(factor), fastest)


def _observed(subject: Subject, state: Spectrum, rate: float, gradient: Gradient, linear: _Linear) -> float:
    """The factor a step of a small deviation, simulated; a state that was turned over is looked at turned back."""
    if state.frames is None:
        return math.nan
    steps = MOST_STEPS
    if linear.fastest > 1:
        steps = min(steps, int(math.log(ROOM) / math.log(linear.fastest)))
    if linear.factor < 1:
        steps = min(steps, int(math.log(LEFT) / math.log(max(linear.factor, LEFT))))
    steps = max(1, steps)
    mix = torch.linspace(1, 2, linear.deviations.shape[1], dtype=state.z.dtype)  # any direction of the level
    start = linear.deviations @ mix
    start = AMPLITUDE * start / start.norm()
    z = calculus.unit(state.z + torch.einsum("iap,ip->ia", state.frames, start.view(len(state.z), -1)))

    def size(z: Tensor) -> float:
        sign = (z * state.z).sum(dim=-1, keepdim=True).sign()
        inside = torch.einsum("iap,ia->ip", state.frames, sign * z - state.z).reshape(-1)
        return float((linear.readers.mT @ inside).norm())

    before = size(z)
    for _ in range(steps):
        z = step(z, calculus.value_and_gradient(subject.value, z)[1], rate, gradient)
    return (size(z) / before) ** (1 / steps)


def long_runs(subject: Subject, unit_rate: float, on_progress: Callable[[float], None]) -> tuple[Run, ...]:
    """The effective rank after STEPS steps at MULTIPLES of a rate, from two starts, under every gradient."""
    gradients: Sequence[Gradient] = ("ambient", "tangent") if subject.has_ambient else ("tangent",)
    starts = (calculus.unit(point(subject) + NEAR / subject.dimension**0.5 * _normal(subject)), random_rows(subject))
    kinds = [(gradient, name) for gradient in gradients for name in STARTS]
    z = torch.cat([start.expand(len(MULTIPLES), -1, -1) for _ in gradients for start in starts])
    rates = unit_rate * torch.tensor(MULTIPLES * len(kinds), dtype=z.dtype)[:, None, None]
    projected = torch.tensor([kind[0] == "tangent" for kind in kinds for _ in MULTIPLES])[:, None, None]
    slope_of = batched_gradient(subject)
    alive = torch.ones(len(z), dtype=torch.bool)
    for done in range(STEPS):
        slope, works = _slopes(slope_of, z[alive])
        alive[alive.clone()] = works
        now, slope = z[alive], slope[works]
        slope = torch.where(projected[alive], calculus.tangent(now, slope), slope)
        z[alive] = step(now, slope, rates[alive], "ambient")
        alive &= z.isfinite().all(dim=(1, 2))
        if not bool(alive.any()):
            break
        on_progress(done / STEPS)
    ranks = torch.full((len(z),), torch.nan, dtype=z.dtype)
    ranks[alive] = effective_rank(z[alive])
    return tuple(Run(*kind, tuple(part)) for kind, part in zip(kinds, ranks.view(len(kinds), -1).tolist(), strict=True))


def _slopes(slope_of: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of every run, as z, and at which of them the loss works, (runs,)."""
    try:
        return slope_of(z), torch.ones(len(z), dtype=torch.bool)
    except Broken:  # one of them took somebody's loss where it has no value
        slopes, works = torch.full_like(z, torch.nan), torch.zeros(len(z), dtype=torch.bool)
        for number in range(len(z)):
            with contextlib.suppress(Broken):
                slopes[number] = slope_of(z[number : number + 1])[0]
                works[number] = True
        return slopes, works


def batched_gradient(subject: Subject) -> Callable[[Tensor], Tensor]:
    """The gradient of every run, (runs, n, d) -> the same: at once where the loss allows it, else one by one."""

    def one_by_one(z: Tensor) -> Tensor:
        leaf = z.detach().requires_grad_()
        total = torch.stack([subject.value(run) for run in leaf]).sum()
        return torch.autograd.grad(total, leaf)[0]

    at_once: Callable[[Tensor], Tensor] = torch.func.vmap(torch.func.grad(subject.value), randomness="same")
    probe = torch.stack([random_rows(subject, seed=seed) for seed in (1, 2)])
    try:
        alike = torch.allclose(at_once(probe), one_by_one(probe), rtol=1e-9, atol=1e-12)
    except Exception:  # torch cannot batch what somebody's loss does
        alike = False
    return at_once if alike else one_by_one


def _normal(subject: Subject) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(subject.rows, subject.dimension, generator=generator, dtype=torch.float64)
