"""What became of a run: one of six outcomes, never just "failed"."""

import math
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bounds import Setting
from clopsim import metrics
from clopsim.dynamics import step


class Outcome(StrEnum):
    """Outcomes in the order in which they are tried; the first that fits is the run's."""

    DIVERGED = "diverged"  # not finite
    COLLAPSED = "collapsed"  # one point: R >= 1 - POINT
    LINE = "line"  # rank one, both ends: leading share >= 1 - POINT
    OSCILLATING = "oscillating"  # the cosines repeat after two steps but not after one
    UNIFORM = "uniform"  # no harmonic of degree 1 to 4 above chance
    CLUSTERED = "clustered"  # everything between: ordered, but neither a line nor a point


POINT = 1e-2
"""How far from a point or a line still counts: 1 - R and 1 - share; between mu_A and mu_c runs stop short of it."""

MOVED = 1e-3
"""Smallest change of a cosine that counts as movement in one step."""

REPEATED = 0.1
"""A period-two run returns after two steps to within this share of the change of one step."""

CHANCE = 4.0
"""Standard deviations above the mean energy of independent uniform points that count as order; at least once the mean,
because in high dimension the deviation vanishes and a finite batch's own structure would count."""


def is_uniform(z: Tensor, setting: Setting, *, degrees: int = 4) -> Tensor:
    """Whether no harmonic of degree 1 .. degrees carries more energy than CHANCE allows independent uniform points.

    For N points and N_l harmonics of degree l the energy has mean 1/N and standard deviation about sqrt(2/N_l)/N
    (Gine's test of uniformity, degree by degree). Aligned views count once: N = n/2 for the full loss.

    z: (..., n, d). Returns (...) bool.
    """
    points = setting.samples // (2 if setting.loss == "full" else 1)
    count = torch.tensor(
        [harmonics(degree, setting.dimension) for degree in range(1, degrees + 1)], dtype=torch.float64
    )
    ceiling = (1 + (CHANCE * (2 / count).sqrt()).clamp_min(1)) / points
    energy = metrics.harmonic_energy(z, degrees=degrees)
    return (energy <= ceiling.to(energy.device)).all(dim=-1)


def harmonics(degree: int, dimension: int) -> int:
    """Number N_l of linearly independent spherical harmonics of a degree l >= 1 in dimension d (2 for d = 2)."""
    upper = math.comb(degree + dimension - 1, degree)
    return upper - (math.comb(degree + dimension - 3, degree - 2) if degree >= 2 else 0)


def classify(z: Tensor, rate: Tensor, tau: Tensor, setting: Setting) -> NDArray[np.str_]:
    """Outcome of every run, as an array of strings (runs,); takes two more steps to see a period of two.

    z: (runs, n, d) final embeddings; rate, tau: (runs,).
    """
    once = step(z, rate, tau, setting)
    twice = step(once, rate, tau, setting)
    now, next_, after = (s @ s.mT for s in (z, once, twice))  # cosines: blind to a common rotation or flip
    moved = (next_ - now).abs().amax(dim=(-2, -1))
    back = (after - now).abs().amax(dim=(-2, -1))
    tests = {
        Outcome.DIVERGED: ~z.isfinite().all(dim=-1).all(dim=-1),
        Outcome.COLLAPSED: metrics.mean_resultant_length(z) >= 1 - POINT,
        Outcome.LINE: metrics.leading_share(z) >= 1 - POINT,
        Outcome.OSCILLATING: (moved > MOVED) & (back < REPEATED * moved),
        Outcome.UNIFORM: is_uniform(z, setting),
    }
    conditions = [test.cpu().numpy() for test in tests.values()]
    return np.select(conditions, [str(outcome) for outcome in tests], default=str(Outcome.CLUSTERED))
