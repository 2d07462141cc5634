"""Unhinged: the pull to the direction of one's class minus that to all others, without softmax or margin."""

import math

import torch
from torch import Tensor

from clopsim.bounds.setting import number_from_zero
from clopsim.losses.info import LossInfo
from clopsim.losses.views import Views, check_directions, of_class, stacked, with_labels


def unhinged(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    directions: Tensor | None = None,
    gamma: float | None = None,
) -> Tensor:
    """Unhinged loss on the sphere with K fixed class directions w_k.

        L = mean_i [ -w_y . z_i + gamma sum_(k != y) w_k . z_i ] = -mean_i q_y(i) . z_i
        q_k = (1 + gamma) w_k - gamma sum_l w_l

    Linear in every row, no temperature. A simplex adds up to 0, so there q_k = (1 + gamma) w_k; orthonormal directions
    and gamma = 0 give the prototype term of CLOP minus 1, with gamma = 1/(K - 1) the simplex again.

    Unlabelled samples (label < 0) are left out; without a labelled one the loss is 0.
    Reduction: mean over the labelled rows, all views.
    At complete collapse: -z . mean_i q_y(i), which is 0 where the directions add up to 0 and classes are balanced. Not
    stationary (K >= 3), so no run is stuck there.
    Critical rates: clopsim.bounds.unhinged; 2n/|q| for tangent steps, n labelled rows, and none for ambient ones.

    Source: Zhou et al., arXiv:2312.07841, equation (1) on the sphere (paper, reconstruction).
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views;
    labels: (N,) integers below K. directions: (K, d), K >= 2, such as the vectors of OrthonormalPrototypes with kind
    "simplex", taken as they are: twice as long ones halve the critical rate; None: those of simplex_axes, for d classes
    or fewer. gamma >= 0, None: 1/(K - 1). Returns float32 or better. Raises ValueError for wrong shapes, without labels
    and for a label >= K.
    """
    z, count = stacked(first, second, labels)
    if directions is not None:
        check_directions(directions, z, "directions", low=2)
    return unhinged_of_rows(
        z, None if labels is None else torch.cat([labels] * count), directions=directions, gamma=gamma
    )


def unhinged_of_rows(
    z: Tensor, labels: Tensor | None = None, *, directions: Tensor | None = None, gamma: float | None = None
) -> Tensor:
    """The formula of unhinged on unit rows z (n, d), labels (n,), which it does not normalise.

    Errors: as unhinged, except for the shapes.
    """
    labels = with_labels("unhinged", labels)
    w = simplex_axes(z) if directions is None else directions.to(z.dtype)  # (K, d)
    gamma = 1 / (len(w) - 1) if gamma is None else gamma
    number_from_zero("gamma", gamma, remedy="1/(K - 1) is the multi-class hinge without its hinge")
    q = (1 + gamma) * w - gamma * w.sum(dim=0)
    known = labels >= 0
    pull = (of_class(q, labels, "directions") * z).sum(dim=-1)  # (n,)
    return -torch.where(known, pull, 0.0).sum() / known.sum().clamp(min=1)


def simplex_axes(like: Tensor) -> Tensor:
    """A regular simplex of d unit vectors in the d dimensions of like (n, d), (d, d): the axes less their mean.

    Errors: ValueError for d < 2.
    """
    d = like.shape[-1]
    if d < 2:
        raise ValueError(f"first must have >= 2 coordinates for two class directions, got {d}; use a larger embedding")
    return (torch.eye(d, dtype=like.dtype, device=like.device) - 1 / d) / math.sqrt(1 - 1 / d)


INFO = LossInfo(
    unhinged,
    "-mean_i q_y . z_i, q_k = (1 + g) w_k - g sum_l w_l, w a simplex of fixed class directions, g = 1/(K - 1)",
    "mean over the labelled embeddings",
    "arXiv:2312.07841, reconstruction from the paper's equation (1)",
    cosine_only=True,
    at_collapse=lambda *_: 0.0,
    status="paper",
    takes_temperature=False,
    needs_labels=True,
    fixed_directions=True,
    of_rows=unhinged_of_rows,
)
