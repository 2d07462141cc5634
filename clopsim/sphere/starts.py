"""Where a table embedder starts: every sample (full loss: every view) owns one unit vector.

All starts are drawn on the CPU in float64 from a seed of their own, so they do not depend on device, order or batching.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.bounds import Setting, uniform_rate
from clopsim.bounds.setting import positive_number
from clopsim.sphere.data import views_of_points
from clopsim.sphere.dynamics import step

RELAXATION_STEPS = 200
"""Steps at half the uniform state's critical rate: the noise of independent points fades by about 2^-200."""


def from_data(
    setting: Setting, x: NDArray[np.float64], *, view_noise: float = 0.05, antipodal: bool = False, seed: int
) -> Tensor:
    """(n, d): the data points x, normalised; for the full loss two noisy views of n/2 points, stacked."""
    if setting.loss == "full":
        x = np.concatenate(views_of_points(x, noise=view_noise, antipodal=antipodal, seed=seed))
    return _unit(torch.from_numpy(x))


def random_directions(setting: Setting, *, seed: int) -> Tensor:
    """(n, d) independent uniform points on the sphere; in the full loss the views are independent too."""
    return _unit(_normal(setting, seed))


def near_uniform(setting: Setting, *, temperature: float, seed: int, view_angle: float = 0.0) -> Tensor:
    """(n, d) points as uniform as a batch can be: random ones, relaxed by the merged tangent dynamics at a safe rate.

    For the full loss n/2 samples are relaxed and both views start there, apart by about view_angle radians; for the
    merged loss every point starts about that far from its place.
    """
    count = setting.samples // (2 if setting.loss == "full" else 1)
    relaxing = Setting(temperature, setting.dimension, max(count, 2), gradient="tangent")
    rate = float(uniform_rate(relaxing, limit=True).rate) / 2
    z = _unit(_normal(setting, seed)[:count])
    for _ in range(RELAXATION_STEPS if count > 1 else 0):
        z = step(z, rate, temperature, relaxing)
    if setting.loss == "full":
        z = torch.cat([z, z])
    shift = view_angle / setting.dimension**0.5 * _normal(setting, seed, stream=1)
    return _unit(z + shift) if view_angle else z


def near_collapse(setting: Setting, *, spread: float, seed: int, views: str = "together") -> Tensor:
    """(n, d) points about spread radians away from one random point.

    views="apart" (full loss): the perturbations of the two views are opposite, so only the alignment is disturbed.
    """
    positive_number("spread", spread, remedy="it is an angle in radians, such as 1e-4")
    normal = _normal(setting, seed)
    shift = normal - normal.mean(dim=0)  # zero mean: a common shift is only a rotation
    if views == "apart":
        half = setting.samples // 2
        shift = torch.cat([normal[:half], -normal[:half]])
    point = _unit(_normal(setting, seed, stream=1)[:1])
    shift = shift - (shift * point).sum(dim=-1, keepdim=True) * point  # tangent
    return _unit(point + spread / setting.dimension**0.5 * shift)


def near_line(setting: Setting, *, spread: float, seed: int) -> Tensor:
    """(n, d) points about spread radians away from the antipodal line: first views at one end, second at the other."""
    z = near_collapse(setting, spread=spread, seed=seed)
    return torch.cat([z[: setting.samples // 2], -z[setting.samples // 2 :]])


def _normal(setting: Setting, seed: int, *, stream: int = 0) -> Tensor:
    """(n, d) standard normal numbers; streams of one seed are independent of each other and of every other seed."""
    rng = np.random.default_rng((seed, stream))
    return torch.from_numpy(rng.standard_normal((setting.samples, setting.dimension)))


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)
