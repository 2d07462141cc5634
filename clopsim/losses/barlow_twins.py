"""Barlow Twins: the coordinates of one view are correlated with themselves in the other view, and with no others."""

import torch
from torch import Tensor

from clopsim.losses.views import at_least_float32, check_number, check_views, full_precision

VARIANCE_EPSILON = 1e-5
"""Inside the square root of the standardisation; that of the batch normalisation in the authors' code."""


def barlow_twins(
    first: Tensor,
    second: Tensor,
    labels: Tensor | None = None,
    *,
    redundancy: float | Tensor = 0.0051,
) -> Tensor:
    """Barlow Twins: the cross-correlation of the two views' coordinates becomes the identity.

        L = sum_j (C_jj - 1)^2 + redundancy sum_(j != k) C_jk^2
        C = xhat^T xhat' / N,    xhat = (x - mean) / sqrt(Var + 1e-5), biased Var, over the batch

    Reduction: sum over the coordinates, mean over the batch inside C; there are no anchors.
    At complete collapse: d, for every N (each C_jj is 0); the extreme curvatures there are -+2/(N 1e-5) (ours).
    Critical rates: no temperature; the loss does not change when a coordinate is moved, nor when it is rescaled as long
    as its spread (standard deviation over the batch) stays far above sqrt(1e-5) = 0.003: below a spread of about 0.03
    the constant is felt. So rates scale with the embeddings' variance, and with N.

    Not a function of the cosines: a line with views that differ is not stationary.

    Valid for: N >= 2; with one sample nothing varies.
    Source: Zbontar et al., arXiv:2103.03230 (authors' code).
    first, second: (N, d) raw embeddings, not normalised inside; labels are not used. Returns a scalar, float32 or
    better. Raises ValueError for wrong shapes and N < 2.
    """
    check_views(first, second, labels, low=2)
    check_number(redundancy, "redundancy")
    x, y = _standardised(first), _standardised(second)
    with full_precision(x):
        correlation = x.mT @ y / x.shape[0]  # (d, d)
    diagonal = correlation.diagonal()
    others = correlation - diagonal.diag_embed()
    return (diagonal - 1).square().sum() + redundancy * others.square().sum()


def _standardised(x: Tensor) -> Tensor:
    x = at_least_float32(x)
    centred = x - x.mean(dim=0)
    peak = centred.detach().abs().amax(dim=0)  # of a coordinate whose square overflows: divided out, it is the same
    scale = torch.where((peak > torch.finfo(x.dtype).max ** 0.5 / len(x)) & peak.isfinite(), peak, 1.0)
    return centred / scale / ((centred / scale).square().mean(dim=0) + VARIANCE_EPSILON / scale / scale).sqrt()
