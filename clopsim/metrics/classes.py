"""Observables of labelled embeddings: how a class sits around its mean, and how the class means sit to each other."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.bounds.setting import one_of
from clopsim.metrics.geometry import rounding_length

Frame = Literal["simplex", "orthonormal"]


EPS = torch.finfo(torch.float64).eps

BLOCK = 256
"""Classes whose angles to all others are held at once."""

UNLABELLED = -1
"""Class of a row that has none."""


def numbered(
    labels: NDArray[Any], rule: str = "labels must be whole numbers or words"
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Names (K,), sorted, and class of every row (n,) in 0 .. K-1, or -1 where it has none.

    labels: (n,) whole numbers or words. Every number below 0, every nan and every None stand for unlabelled, as in the
    losses.
    rule: how the error begins.
    """
    given = labels.dtype
    known = np.ones(labels.shape, dtype=bool)
    if labels.dtype.kind == "O":  # as tables hold words, and numbers with gaps
        known = np.array([not (each is None or each != each) for each in labels.flat], dtype=bool).reshape(labels.shape)
        words = {isinstance(each, str) for each in labels[known]}
        if len(words) > 1:
            raise ValueError(f"{rule}, got both; number the classes from 0")
        filled = np.where(known, labels, "" if True in words else UNLABELLED)
        labels = filled.astype(str) if True in words else np.array(filled.tolist())
    if labels.dtype.kind == "f":
        known = known & ~np.isnan(labels)
        if not bool((np.isfinite(labels[known]) & (labels[known] == np.floor(labels[known]))).all()):
            raise ValueError(f"{rule}, got {labels.dtype} with others; number the classes from 0")
    elif labels.dtype.kind not in "iuUSb":
        raise ValueError(f"{rule}, got {given}; number the classes from 0")
    if labels.dtype.kind in "fi":
        known = known & (np.where(known, labels, 0) >= 0)
    y = np.full(labels.shape, UNLABELLED, dtype=np.int64)
    names, y[known] = np.unique(labels[known], return_inverse=True)
    return names.astype(np.int64) if names.dtype.kind == "f" else names, y


class Scatter(NamedTuple):
    """Class means (K, d), shares n_k/n (K,) and within-class covariance (d, d), all float64: what every function takes.

    The sums behind it add up over chunks of rows, so it can be made of any number of rows.
    """

    means: Tensor
    shares: Tensor
    within: Tensor


def scatter(z: Tensor, y: Tensor) -> Scatter:
    """Scatter of rows z (n, d) with classes y (n,), whole numbers 0 .. K-1, none of them empty."""
    one_hot = torch.nn.functional.one_hot(y).to(torch.float64)  # (n, K)
    counts = one_hot.sum(dim=0)
    if not bool((counts > 0).all()):
        raise ValueError("y must use every class 0 .. K-1, got an empty one; renumber the classes")
    means = one_hot.T @ z.double() / counts[:, None]
    residual = z.double() - means[y]
    return Scatter(means, counts / len(z), residual.T @ residual / len(z))


def neural_collapse(s: Scatter, *, eps: float = EPS) -> float:
    """NC1 = tr(W B^+)/K: within-class covariance W against the between-class covariance B; 0 when classes are points.

    B is the covariance of the K class means, each with weight 1/K. nan where the class means coincide.
    eps: precision in which the rows were stored; where the means spread less than that, they span no direction.

    Source: NC1 of Papyan, Han & Donoho, arXiv:2008.08186, with the 1/K of the code in use.
    """
    left = s.means - s.means.mean(dim=0)
    _, sigma, directions = torch.linalg.svd(left / math.sqrt(len(left)), full_matrices=False)
    scale = float((s.means.square().sum(dim=1).mean() + s.within.trace()).sqrt())
    rounding = rounding_length(max(eps, EPS)) * scale / math.sqrt(s.means.shape[1])  # on one direction
    kept = sigma > max(rounding, EPS * max(s.means.shape) * float(sigma[0]))
    if not bool(kept.any()):
        return math.nan
    v = directions[kept]  # (rank, d)
    return float(((v @ s.within * v).sum(dim=1) / sigma[kept].square()).sum() / len(left))


def variation_ratio(s: Scatter) -> float:
    """tr W / tr B in [0, inf]: spread inside the classes over the spread of their means; needs no inverse."""
    between = float((s.means - s.means.mean(dim=0)).square().sum(dim=1).mean())
    within = float(s.within.trace())
    return within / between if between > 0 else (math.inf if within > 0 else math.nan)


def mean_angles(s: Scatter, *, centered: bool = False) -> Tensor:
    """Angles in degrees between the class means, one for each pair (K (K-1)/2,); centred: about their mean.

    Simplex ETF: arccos(-1/(K-1)) either way. Orthonormal frame: 90 uncentred, arccos(-1/(K-1)) centred.
    """
    means = s.means - s.means.mean(dim=0) if centered else s.means
    unit = means / means.norm(dim=1, keepdim=True)
    upper = torch.triu_indices(len(unit), len(unit), offset=1)
    return (unit @ unit.T)[upper[0], upper[1]].clamp(-1, 1).arccos().rad2deg()


def angle_range(s: Scatter, *, centered: bool = False) -> dict[str, float]:
    """Smallest, mean and largest of mean_angles, block by block: thousands of classes need no K x K matrix."""
    means = s.means - s.means.mean(dim=0) if centered else s.means
    unit, low, high, total = means / means.norm(dim=1, keepdim=True), math.inf, -math.inf, 0.0
    for first in range(0, len(unit) - 1, BLOCK):
        rows = unit[first : first + BLOCK]
        pairs = torch.ones(len(rows), len(unit) - first, dtype=torch.bool).triu(diagonal=1)
        angles = (rows @ unit[first:].T)[pairs].clamp(-1, 1).arccos().rad2deg()
        low, high = min(low, float(angles.min())), max(high, float(angles.max()))
        total += float(angles.sum())
    mean = total / (len(unit) * (len(unit) - 1) / 2)
    return (
        {"min": low, "mean": mean, "max": high} if math.isfinite(mean) else dict.fromkeys(("min", "mean", "max"), mean)
    )


def frame_distance(s: Scatter, frame: Frame, *, centered: bool = False) -> float:
    """Distance |G/|G| - F/|F|| in [0, 2] of the class means' Gram matrix G from that of a frame, Frobenius norms.

        simplex: F = I - 11'/K;   orthonormal: F = I

    Uncentred, an orthonormal frame is 0 from orthonormal and 0.518 (K = 4) from the simplex. Centring makes the two the
    same: centred, the simplex distance is 0 for either, so the uncentred number is the one that tells them apart.
    nan where the means are all zero.

    Source: NC2 of arXiv:2008.08186, in the form of a Gram matrix; the uncentred and orthonormal forms are ours.
    """
    one_of("frame", frame, ("simplex", "orthonormal"))
    means = s.means - s.means.mean(dim=0) if centered else s.means
    k, d = means.shape
    if k > d + 1:  # no such frame fits, so the distance is far from 0 and may come from the d x d matrix
        size, total, trace = (means.T @ means).norm(), means.sum(dim=0).square().sum() / k, means.square().sum()
        product = trace - total if frame == "simplex" else trace
        cosine = product / (size * math.sqrt(k - 1 if frame == "simplex" else k))
        return float((2 - 2 * cosine).clamp_min(0).sqrt())
    gram = means @ means.T
    target = torch.eye(k, dtype=gram.dtype, device=gram.device)
    if frame == "simplex":
        target = target - 1 / k
    return float((gram / gram.norm() - target / target.norm()).norm())
