"""Synthetic data sets: Gaussian clusters, the paper's antipodal lines, and two noisy views of either."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import is_number, number_from_zero, whole_number

Array = NDArray[np.float64]


VIEWS = 1
"""Random stream of the views: independent of the points that the same seed draws."""


class Labelled(NamedTuple):
    """Points x of shape (N, d), float64, and their classes y of shape (N,), int64."""

    x: Array
    y: NDArray[np.int64]


@dataclass(frozen=True)
class GaussianClusters:
    """Isotropic Gaussian clusters around random centres; draw them with gaussian_clusters."""

    samples: int = 32  # N points in all; samples / clusters points per cluster when balanced
    clusters: int = 4  # K <= samples
    dimension: int = 8  # d >= 2
    noise: float = 0.1  # standard deviation of every coordinate around the centre, >= 0
    separation: float = 1.0  # length of every centre, >= 0
    imbalance: float = 1.0  # largest over smallest cluster size, >= 1; sizes fall geometrically

    def __post_init__(self) -> None:
        whole_number("samples", self.samples, low=1)
        whole_number("clusters", self.clusters, low=1)
        whole_number("dimension", self.dimension, low=2)
        number_from_zero("noise", self.noise, remedy="0 leaves it out")
        number_from_zero("separation", self.separation, remedy="0 puts every centre at the origin")
        if not (is_number(self.imbalance) and 1 <= self.imbalance < np.inf):
            raise ValueError(f"imbalance must be >= 1, got {self.imbalance!r}; 1 makes all clusters equal")
        if self.clusters > self.samples:
            raise ValueError(
                f"clusters must be <= samples, got {self.clusters} clusters and {self.samples} samples; "
                "lower the clusters or raise the samples"
            )


def cluster_sizes(samples: int, clusters: int, imbalance: float = 1.0) -> NDArray[np.int64]:
    """Sizes (clusters,) that add up to samples, none empty, falling geometrically: first / last is about imbalance.

    Rounded by largest remainder, so balanced sizes differ by at most one point.
    """
    weights = imbalance ** -np.linspace(0, 1, clusters)
    wanted = np.maximum(samples * weights / weights.sum(), 1)
    shares = 1 + (wanted - 1) * (
        (samples - clusters) / max(wanted.sum() - clusters, 1e-300)
    )  # ones kept, rest rescaled
    sizes = np.floor(shares + 1e-9).astype(np.int64)  # 1e-9: a whole share must not round down
    order = np.argsort(sizes - shares, kind="stable")
    sizes[order[: samples - sizes.sum()]] += 1
    return sizes


def gaussian_clusters(spec: GaussianClusters, *, seed: int) -> Labelled:
    """Draw the clusters: x = separation * centre_k + noise * standard normal, centres uniform on the unit sphere."""
    rng = np.random.default_rng(seed)
    centres = _unit(rng.standard_normal((spec.clusters, spec.dimension)))  # (K, d)
    y = np.repeat(np.arange(spec.clusters), cluster_sizes(spec.samples, spec.clusters, spec.imbalance))
    x = spec.separation * centres[y] + spec.noise * rng.standard_normal((spec.samples, spec.dimension))
    return Labelled(x, y)


def antipodal_lines(
    samples: int = 300, *, dimension: int = 3, classes: int = 3, noise: float = 0.05, seed: int
) -> Labelled:
    """The paper's one-dimensional subspace clusters: class k lies on a line through the origin, half of it at each end.

    x = sign * direction_k + noise * standard normal, directions orthonormal while they fit (K <= d), else uniform.

    Source: arXiv:2403.18699v1, section 3; sizes and noise are ours.
    """
    whole_number("dimension", dimension, low=2)
    whole_number("classes", classes, low=1)
    whole_number("samples", samples, low=classes)
    number_from_zero("noise", noise, remedy="0 leaves it out")
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((classes, dimension))  # (K, d)
    directions = np.linalg.qr(directions.T)[0].T if classes <= dimension else _unit(directions)
    y = np.repeat(np.arange(classes), cluster_sizes(samples, classes))
    sign = np.where(np.arange(y.size) % 2, -1.0, 1.0)
    x = sign[:, None] * directions[y] + noise * rng.standard_normal((y.size, dimension))
    return Labelled(x, y)


def views_of_points(x: Array, *, noise: float, antipodal: bool = False, seed: int) -> tuple[Array, Array]:
    """Two views of every point, both of shape (N, d).

    Independent Gaussian noise on either copy; with antipodal the second view is -x + noise, the paper's augmentation
    of the lines (arXiv:2403.18699v1, section 3), and the first is x itself.
    """
    number_from_zero("noise", noise, remedy="0 leaves it out")
    rng = np.random.default_rng((seed, VIEWS))
    first, second = noise * rng.standard_normal((2, *x.shape))
    return (x, -x + second) if antipodal else (x + first, x + second)


def _unit(x: Array) -> Array:
    unit: Array = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return unit
