"""What orthonormal prototypes would change: two critical weights of the loss with them, at its class points.

    L + lambda mean_i (1 - z_i . c_y(i)),   every row labelled

The mean is over the rows, as clopsim.CLOP takes it. The class points tilt from the simplex towards the prototypes as
lambda grows (T8); for every loss that treats the classes alike the tilt is one angle, found here along the loss itself.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from torch import Tensor

from clopsim.cards import calculus, states
from clopsim.cards.call import Broken
from clopsim.cards.spectrum import STATIONARY
from clopsim.cards.subject import Subject

FACTOR = 4.0
"""Between two weights that are tried before the search narrows."""

TRIES = 30

FINE = 1e-10
"""Relative width at which the search ends."""

WIDEST = -1.2
"""Smallest tilt: classes that nearly meet; below it they are no classes."""


class Weights(NamedTuple):
    """Two critical weights; None, with a reason, where there is none."""

    lambda_star: float | None  # above it the class points are stable; 0: they are without prototypes
    lambda_infinity: float | None  # above it they are so at every ambient rate; None for tangent steps alone
    why: str  # why there is none, a clause; empty else


class _Unsettled(Exception):
    """The class points have no equilibrium, or no curvature, in words."""


def critical_weights(subject: Subject, *, scale: float) -> Weights:
    """The critical weights of a loss. scale: the tangent gradient of a row at random rows."""
    if subject.classes < 2:
        return Weights(None, None, "there are no classes; give --classes")
    if subject.classes > subject.dimension:
        return Weights(None, None, f"{subject.classes} prototypes have no room in {subject.dimension} dimensions")
    start = 1e-3 * scale * subject.rows
    ends = cache(lambda weight: _ends(subject, weight, scale))
    try:
        lambda_star = _crossing(lambda weight: -ends(weight)[0], start)
        lambda_infinity = _crossing(lambda weight: ends(weight)[1], start) if subject.has_ambient else None
    except Broken as error:
        return Weights(None, None, f"the loss breaks at the class points: {error.short}")
    except _Unsettled as reason:
        return Weights(None, None, str(reason))
    return Weights(lambda_star, lambda_infinity, "")


def _ends(subject: Subject, weight: float, scale: float) -> tuple[float, float]:
    """The smallest eigenvalue of H and the largest of H + 2A at the class points with prototypes of this weight."""
    prototypes = states.orthonormal(subject)
    z = states.tilted(subject, _tilt(subject, weight))
    if prototypes is None or z is None:
        raise _Unsettled("the prototypes have no room")

    def value(z: Tensor) -> Tensor:
        return subject.value(z) + weight * (1 - (z * prototypes).sum(dim=-1)).mean()

    here, slope = calculus.value_and_gradient(value, z)
    if not (bool(here.isfinite()) and bool(slope.isfinite().all())):
        raise _Unsettled("the loss or its gradient is not finite at the class points")
    residual = float(calculus.tangent(z, slope).norm(dim=-1).max())
    if not residual < 10 * STATIONARY * (scale + weight / subject.rows):
        raise _Unsettled(
            "the class points do not come to rest at one tilt: the loss does not treat all classes alike, or has a kink"
        )
    hessian, a, frames, _ = calculus.curvature(value, z)
    if not bool(hessian.isfinite().all()):
        raise _Unsettled("the second derivatives are not finite at the class points")
    hessian = (hessian + hessian.mT) / 2
    doubled = hessian + 2 * torch.diag(a.repeat_interleave(frames.shape[2]))
    return float(torch.linalg.eigvalsh(hessian)[0]), float(torch.linalg.eigvalsh(doubled)[-1])


def _tilt(subject: Subject, weight: float) -> float:
    """The angle at which the class points rest, by the slope of the loss along it."""
    widest = math.atan(1 / math.sqrt(subject.classes - 1))

    def slope(angle: float) -> float:
        theta = torch.tensor(angle, dtype=torch.float64, requires_grad=True)
        z = states.tilted(subject, theta)
        if z is None:
            raise _Unsettled("the prototypes have no room")
        (found,) = torch.autograd.grad(subject.value(z), theta)
        if not bool(found.isfinite()):
            raise _Unsettled("the gradient of the loss is not finite at the class points")
        return float(found) + weight * math.sin(angle)

    level = slope(0.0)
    if abs(level) <= 1e-12 * max(1.0, weight):
        return 0.0
    low, high = (0.0, widest) if level < 0 else (WIDEST, 0.0)
    if not slope(low) < 0 < slope(high):
        raise _Unsettled("the classes fall into one: no tilt holds them apart")
    return float(brentq(slope, low, high, xtol=1e-15, rtol=1e-14))


def _crossing(above: Callable[[float], float], start: float) -> float:
    """The weight from which on a function of it is negative; 0 where it is from the start."""
    low = start
    if above(low) < 0:
        return 0.0
    for _ in range(TRIES):
        high = FACTOR * low
        if above(high) < 0:
            return float(brentq(above, low, high, rtol=FINE, xtol=FINE * start))
        low = high
    raise _Unsettled(f"no weight up to {low:.3g} does")
