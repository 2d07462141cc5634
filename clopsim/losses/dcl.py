"""Decoupled contrastive loss: InfoNCE without the positive in the denominator."""

import torch
from torch import Tensor

from clopsim.losses.views import Reduction, check_views, logits, pair_logits, pair_mask, reduce, self_mask


def dcl(
    first: Tensor,
    second: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
) -> Tensor:
    """DCL: InfoNCE whose denominator holds the 2N - 2 negatives only.

        L_i = -s_ij(i)/tau + log sum_(a != i, j(i)) exp(s_ia/tau)

    Reduction: mean over the 2N anchors, or sum.
    At complete collapse: log(2N - 2), at every temperature.
    Critical rates: proportional to tau, times 2N for the mean. In the sum the views of a sample come apart at collapse
    above tau exactly, whatever the batch (ours).

    Valid for: N >= 2; a single sample has no negatives.
    Source: Yeh et al., arXiv:2110.06848 (reconstruction from the paper and two public implementations).
    first, second: (N, d) raw embeddings, normalised inside; labels are not used. Returns a scalar, float32 or better.
    Raises ValueError for wrong shapes, N < 2, a temperature <= 0, an unknown reduction.
    """
    check_views(first, second, labels, low=2)
    s = logits(first, second, temperature)  # (2N, 2N)
    no_negative = self_mask(s) | pair_mask(s)
    return reduce(torch.logsumexp(s.masked_fill(no_negative, -torch.inf), dim=-1) - pair_logits(s), reduction)
