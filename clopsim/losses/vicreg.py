"""VICReg: invariance, variance and covariance of the embedding's coordinates."""

import torch
from torch import Tensor

from clopsim.losses.views import at_least_float32, check_number, check_views, full_precision

VARIANCE_EPSILON = 1e-4
"""Keeps the standard deviation smooth where a coordinate does not vary; the authors' value."""


def vicreg(
    first: Tensor,
    second: Tensor,
    labels: Tensor | None = None,
    *,
    invariance: float | Tensor = 25.0,
    variance: float | Tensor = 25.0,
    covariance: float | Tensor = 1.0,
    target: float | Tensor = 1.0,
) -> Tensor:
    """VICReg: the views agree, every coordinate keeps its spread, no two coordinates are correlated.

        L = invariance mean_ij (x_ij - x'_ij)^2 + (variance/2) [v(x) + v(x')] + covariance [c(x) + c(x')]
        v(x) = mean_j max(0, target - sqrt(Var_j + 1e-4)),    c(x) = (1/d) sum_(j != k) Cov_jk^2

    Var and Cov unbiased, over the batch.
    Reduction: the means in the formula; there are no anchors.
    At complete collapse: variance (target - 0.01), 24.75 by default, for every N and d.
    Critical rates: no temperature; at collapse the lowest curvature is -variance/(2 d sqrt(1e-4) (N - 1)), so rates
    scale with d (N - 1)/variance (ours).

    Not a function of the cosines: a line is not stationary. On unit rows no coordinate can reach a spread of 1; give
    target = 1/sqrt(d) there.

    Valid for: N >= 2.
    Source: Bardes et al., arXiv:2105.04906 (authors' code, which has the factor 1/2).
    first, second: (N, d) raw embeddings, not normalised inside; labels are not used. Returns a scalar, float32 or
    better. Raises ValueError for wrong shapes and N < 2.
    """
    check_views(first, second, labels, low=2)
    for name, weight in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
        check_number(weight, name)
    check_number(target, "target", shape=first.shape[1:])
    first, second = at_least_float32(first), at_least_float32(second)
    loss = invariance * (first - second).square().mean()
    for x in (first, second):
        centred = x - x.mean(dim=0)
        with full_precision(x):
            cov = centred.mT @ centred / (x.shape[0] - 1)  # (d, d)
        deviation = (cov.diagonal() + VARIANCE_EPSILON).sqrt()
        loss = loss + variance / 2 * torch.relu(target - deviation).mean()
        loss = loss + covariance * (cov - cov.diagonal().diag_embed()).square().sum() / x.shape[1]
    return loss
