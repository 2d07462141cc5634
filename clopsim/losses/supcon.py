"""Supervised contrastive loss, with the mean over positives outside or inside the logarithm."""

from typing import Literal

import torch
from torch import Tensor

from bounds.setting import one_of
from clopsim.losses.views import Reduction, check_views, logits, pair_mask, reduce, self_mask

Form = Literal["out", "in"]


def supcon(
    first: Tensor,
    second: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.1,
    form: Form = "out",
    reduction: Reduction = "mean",
) -> Tensor:
    """SupCon: the positives P(i) are the anchor's other view and both views of every sample with its label.

        out: L_i = -1/|P(i)| sum_(p in P(i)) s_ip/tau + log sum_(a != i) exp(s_ia/tau)
        in:  L_i = -log [ 1/|P(i)| sum_(p in P(i)) exp(s_ip/tau) ] + log sum_(a != i) exp(s_ia/tau)

    No anchor is without a positive: its own other view always is one. An unlabelled sample (label < 0) has that one
    only, and is a negative to all others; without any label both forms equal info_nce.

    Reduction: mean over the 2N anchors, without the factor tau/0.07 of the authors' code, or sum.
    At complete collapse: log(2N - 1), both forms, whatever the labels.
    Critical rates: proportional to tau, times 2N for the mean; they depend on the class sizes.

    Source: Khosla et al., arXiv:2004.11362; out: authors' code, in: paper, reconstruction.
    first, second: (N, d) raw embeddings, normalised inside; labels: (N,) integers or None. Returns a scalar, float32 or
    better. Raises ValueError for wrong shapes, a temperature <= 0, an unknown form or reduction.
    """
    one_of("form", form, ("out", "in"))
    check_views(first, second, labels)
    s = logits(first, second, temperature)  # (2N, 2N)
    itself = self_mask(s)
    positives = pair_mask(s)
    if labels is not None:
        y = torch.cat([labels, labels])
        positives = positives | ((y[:, None] == y) & (y >= 0) & ~itself)
    count = positives.sum(dim=-1, dtype=s.dtype)  # an integer count would make the logarithm float32
    if form == "out":
        attraction = torch.where(positives, s, 0.0).sum(dim=-1) / count
    else:
        attraction = torch.logsumexp(s.masked_fill(~positives, -torch.inf), dim=-1) - count.log()
    return reduce(torch.logsumexp(s.masked_fill(itself, -torch.inf), dim=-1) - attraction, reduction)
