"""Where a loss would rest: the best of a few descents, polished until its gradient is rounding."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from clopsim.cards import calculus, states
from clopsim.cards.call import Broken
from clopsim.cards.subject import Subject, random_rows

STARTS = 2
"""Random ones, beside one near the simplex of the classes."""

SPREAD = 0.3
"""How far the start near the simplex is from it."""

ITERATIONS = 1000
"""Of L-BFGS; a descent that needs more creeps along a valley, and is told so by its residual."""

POLISHING = 8
"""Newton steps at most."""

FLAT = 1e-7
"""Levels below this, in units of the largest, are left alone by Newton's step."""


def own_optimum(subject: Subject) -> Tensor:
    """Rows (n, d) of the lowest value that was found."""
    starts = [random_rows(subject, seed=seed) for seed in range(1, STARTS + 1)]
    classes = states.simplex(subject)
    if classes is not None:
        starts.append(calculus.unit(classes + SPREAD * random_rows(subject, seed=STARTS + 1)))
    ends = [end for start in starts if (end := _descended(subject, start)) is not None]
    if not ends:
        return starts[0]
    return polished(subject, min(ends, key=lambda end: end[0])[1])


def _descended(subject: Subject, start: Tensor) -> tuple[float, Tensor] | None:
    """The value and the place where L-BFGS ends; None where it breaks or leaves the finite numbers."""
    shape = tuple(start.shape)

    def of(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = calculus.value_and_gradient(
            lambda u: subject.value(calculus.unit(u)), torch.from_numpy(x.copy()).view(shape)
        )
        return float(value), slope.reshape(-1).numpy()

    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": 0.0, "gtol": 1e-12}
    try:
        found = minimize(of, start.reshape(-1).numpy(), jac=True, method="L-BFGS-B", options=options)
    except Broken:
        return None
    end = calculus.unit(torch.from_numpy(found.x).view(shape))
    return (float(found.fun), end) if np.isfinite(found.fun) and bool(end.isfinite().all()) else None


def polished(subject: Subject, z: Tensor) -> Tensor:
    """z after Newton's steps on the sphere, as long as they shorten the gradient; flat directions stay."""
    slope = calculus.tangent(z, calculus.value_and_gradient(subject.value, z)[1])
    for _ in range(POLISHING):
        hessian, _, frames, _ = calculus.curvature(subject.value, z)
        if not bool(hessian.isfinite().all()):
            break
        c, basis = torch.linalg.eigh((hessian + hessian.mT) / 2)
        inside = torch.einsum("iap,ia->ip", frames, slope).reshape(-1)
        inverse = torch.where(c.abs() > FLAT * c.abs().max(), 1 / c, 0.0)
        move = basis @ (inverse * (basis.mT @ inside))
        there = calculus.unit(z - torch.einsum("iap,ip->ia", frames, move.view(len(z), -1)))
        try:
            new = calculus.tangent(there, calculus.value_and_gradient(subject.value, there)[1])
        except Broken:
            break
        if not float(new.norm()) < float(slope.norm()):
            break
        z, slope = there, new
    return z
