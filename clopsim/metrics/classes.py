"""Observables of labelled embeddings: how a class sits around its mean, and how the class means sit to each other."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from bounds.setting import one_of
from clopsim.metrics.geometry import noise_floor

Frame = Literal["simplex", "orthonormal"]


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


def neural_collapse(s: Scatter) -> float:
    """NC1 = tr(W B^+)/K: within-class covariance W against the between-class covariance B; 0 when classes are points.

    B is the covariance of the K class means, each with weight 1/K. nan where the class means coincide.

    Source: NC1 of Papyan, Han & Donoho, arXiv:2008.08186, with the 1/K of the code in use.
    """
    left = s.means - s.means.mean(dim=0)
    _, sigma, directions = torch.linalg.svd(left / math.sqrt(len(left)), full_matrices=False)
    scale = s.means.square().sum(dim=1).mean() + s.within.trace()
    kept = sigma.square() > noise_floor(size=max(s.means.shape), eps=torch.finfo(torch.float64).eps) * scale
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
    gram = means @ means.T
    k = len(gram)
    target = torch.eye(k, dtype=gram.dtype, device=gram.device)
    if frame == "simplex":
        target = target - 1 / k
    return float((gram / gram.norm() - target / target.norm()).norm())
