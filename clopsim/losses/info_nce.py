"""InfoNCE in the form of SimCLR, NT-Xent."""

import torch
from torch import Tensor

from clopsim.losses.views import Reduction, check_views, logits, pair_logits, reduce, self_mask


def info_nce(
    first: Tensor,
    second: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
) -> Tensor:
    """InfoNCE / NT-Xent: every embedding is an anchor, its other view the positive, the 2N - 2 others negatives.

        L_i = -s_ij(i)/tau + log sum_(a != i) exp(s_ia/tau),  s the cosine, j(i) the other view

    Reduction: mean over the 2N anchors (SimCLR's code returns twice this), or sum (the theory's).
    At complete collapse: log(2N - 1), at every temperature. With N = 1 there is no negative and the loss is 0.
    Critical rates: proportional to tau, times 2N for the mean (bounds.critical_rates with loss="full").

    Source: SimCLR, arXiv:2002.05709 (authors' code).
    first, second: (N, d) raw embeddings, normalised inside; labels are not used. Returns a scalar, float32 or better.
    Raises ValueError for wrong shapes, a temperature <= 0, an unknown reduction.

    >>> import torch, clopsim
    >>> clopsim.losses.info_nce(torch.ones(2, 3), torch.ones(2, 3))  # collapsed: log 3
    tensor(1.0986)
    """
    check_views(first, second, labels)
    s = logits(first, second, temperature)  # (2N, 2N)
    return reduce(torch.logsumexp(s.masked_fill(self_mask(s), -torch.inf), dim=-1) - pair_logits(s), reduction)
