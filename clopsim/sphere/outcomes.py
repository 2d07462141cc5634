"""What became of a run: one of seven outcomes, never just "failed"."""

from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import chdtri
from torch import Tensor

from clopsim.bounds import Setting, harmonics
from clopsim.metrics import geometry
from clopsim.metrics.geometry import POINT
from clopsim.sphere.dynamics import step


class Outcome(StrEnum):
    """Outcomes in the order in which they are tried; the first that fits is the run's."""

    DIVERGED = "diverged"  # not finite
    COLLAPSED = "collapsed"  # one point: R >= 1 - POINT
    LINE = "line"  # rank one, both ends: leading share >= 1 - POINT
    OSCILLATING = "oscillating"  # the cosines repeat after two steps but not after one
    RESTLESS = "restless"  # the cosines keep changing by more than RESTLESS a step, and do not repeat
    UNIFORM = "uniform"  # no harmonic of degree 1 to 4 above chance
    CLUSTERED = "clustered"  # everything between: ordered, but neither a line nor a point


MOVED = 1e-3
"""Smallest change of a cosine that counts as movement in one step."""

REPEATED = 0.1
"""A period-two run returns after two steps to within this share of the change of one step."""

CHANCE = 1e-4
"""Share of independent uniform batches whose energy of one degree exceeds the ceiling of is_uniform."""

RESTLESS = 0.05
"""Change of a cosine in one step above which a run is not at rest, however evenly its points lie at that moment. A run
that settles on the even spread has slowed down to 0.002 after 1000 steps; beyond mu_T it moves by 0.3 to 2 for ever."""

ORDER = 3.0
"""Smallest energy, in units of the mean energy of independent points, that counts as order. In high dimension chance
allows next to nothing, and the best-spread batches (2d points on d axes: up to 2.9 at degree 4) would count as order;
clusters of three and more points exceed it."""


def is_uniform(z: Tensor, setting: Setting, *, degrees: int = 4) -> Tensor:
    """Whether no harmonic of degree 1 .. degrees carries more energy than chance allows independent uniform points.

    For N points and N_l harmonics of degree l, N N_l times the energy is chi-squared with N_l degrees of freedom
    (Gine's test of uniformity, degree by degree). Aligned views count once: N = n/2 for the full loss.

    z: (..., n, d). Returns (...) bool.
    """
    points = setting.samples // (2 if setting.loss == "full" else 1)
    count = np.array([harmonics(degree, setting.dimension) for degree in range(1, degrees + 1)], dtype=np.float64)
    ceiling = np.maximum(chdtri(count, CHANCE) / count, ORDER) / points
    energy = geometry.harmonic_energy(z, degrees=degrees)
    return (energy <= torch.from_numpy(ceiling).to(energy.device)).all(dim=-1)


def classify(
    z: Tensor, rate: Tensor, tau: Tensor, setting: Setting, *, velocity: Tensor | None = None
) -> NDArray[np.str_]:
    """Outcome of every run, as an array of strings (runs,); takes two more steps to see a period of two.

    z: (runs, n, d) final embeddings; rate, tau: (runs,); velocity: as z, kept, needed with momentum.
    """
    velocity = None if velocity is None else velocity.clone()
    once = step(z, rate, tau, setting, velocity=velocity)
    twice = step(once, rate, tau, setting, velocity=velocity)
    now, next_, after = (s @ s.mT for s in (z, once, twice))  # cosines: blind to a common rotation or flip
    moved = (next_ - now).abs().amax(dim=(-2, -1))
    back = (after - now).abs().amax(dim=(-2, -1))
    tests = {
        Outcome.DIVERGED: ~z.isfinite().all(dim=-1).all(dim=-1),
        Outcome.COLLAPSED: geometry.mean_resultant_length(z) >= 1 - POINT,
        Outcome.LINE: geometry.leading_share(z) >= 1 - POINT,
        Outcome.OSCILLATING: (moved > MOVED) & (back < REPEATED * moved),
        Outcome.RESTLESS: moved > RESTLESS,
        Outcome.UNIFORM: is_uniform(z, setting),
    }
    conditions = [test.cpu().numpy() for test in tests.values()]
    return np.select(conditions, [str(outcome) for outcome in tests], default=str(Outcome.CLUSTERED))
