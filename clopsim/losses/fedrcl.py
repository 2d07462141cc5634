"""FedRCL's loss of a client: supervised contrast, and the relaxed penalty that keeps classes from falling together."""

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from clopsim.bounds.setting import number_from_zero, one_of
from clopsim.losses.info import LossInfo, Named
from clopsim.losses.pairs import Reduction, check_anchors, chosen, reduced, scalar_temperature
from clopsim.losses.views import Views, check_number, full_precision, stacked, with_labels

NEGATIVES = 2
"""The hardest negatives that the authors' code takes."""

EXACT = 80.0
"""Where softplus(x) may be x: exp(-80) is below float64's rounding, exp(80) below float32's largest number."""

FedRCLForm = Literal["code", "dense"]


def fedrcl(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.05,
    form: FedRCLForm = "code",
    beta: float | Tensor = 1.0,
    threshold: float = 0.7,
    reduction: Reduction = "mean",
    anchors: Tensor | None = None,
) -> Tensor:
    """FedRCL: L_i = scl_i + beta pen_i, P(i) the embeddings with the anchor's label, its other views among them.

        code:  scl_i = -hp/tau + log[exp(hp/tau) + sum of exp(s_ia/tau) over the two hardest negatives]
               pen_i = log[1 + exp((t_i - 1)/tau)],  hp = t_i = min_(p in P(i)) s_ip;  t_i = -1 where below threshold
        dense: scl_i = mean_(p in P(i)) log[1 + sum_(a negative) exp((s_ia - s_ip)/tau)]
               pen_i = log[1 + sum_(p in P(i)) exp((t_ip - 1)/tau)],  t_ip = s_ip;  t_ip = -1 where below threshold

    dense (ours) sees all pairs and is smooth with threshold=-1, as registered under fedrcl_dense. The 1 of the penalty
    is a number, not the anchor's cosine to itself: that has no tangent gradient, but an ambient one.
    An unlabelled sample (label < 0) is a class of its own, and a negative to all others. An anchor alone in its class
    (one view only) has the number 1 as its positive, and a constant penalty. In a batch of one class scl is 0 and only
    the penalty is left.

    Reduction: mean over the V N anchors (the authors add the mean over feature levels, and cross-entropy), sum, or
    none: (V N,), view after view.
    At complete collapse, K classes of m: code log 3 + beta log 2 (K, m >= 2), dense log(n - m + 1) + beta log m.
    Critical rates: dense: collapse attracts ambient steps above a rate once beta > m n/(2 (m - 1)(n - m + 1))
    (clopsim.bounds.relaxed_penalty); proportional to tau, times n for the mean.

    Source: Seo et al., arXiv:2401.04928 (code: authors' code, skynbe/FedRCL at 378beb4; dense: a reconstruction, ours).
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views;
    labels: (N,) integers; beta: >= 0, 0 leaves the penalty out; threshold: a cosine; anchors: as in supcon.
    Returns float32 or better. Raises ValueError for missing labels, wrong shapes, a temperature <= 0, a beta < 0, an
    unknown form or reduction.
    """
    labels = with_labels("fedrcl", labels)
    z, count = stacked(first, second, labels)
    return fedrcl_of_rows(
        z,
        torch.cat([labels] * count),
        temperature=temperature,
        form=form,
        beta=beta,
        threshold=threshold,
        reduction=reduction,
        anchors=anchors,
        views=count,
    )


def fedrcl_of_rows(
    z: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor = 0.05,
    form: FedRCLForm = "code",
    beta: float | Tensor = 1.0,
    threshold: float = 0.7,
    reduction: Reduction = "mean",
    anchors: Tensor | None = None,
    views: int = 2,
) -> Tensor:
    """The formula of fedrcl on unit rows z (V N, d), view after view, which it does not normalise; labels: (V N,).

    Errors: as fedrcl, except for the shapes of views.
    """
    one_of("form", form, ("code", "dense"))
    if not isinstance(beta, Tensor):
        number_from_zero("beta", beta, remedy="0 leaves the penalty out")
    if anchors is not None:
        check_anchors(anchors, z)
    check_number(beta, "beta", shape=(len(z) if anchors is None else len(anchors),))
    check_number(threshold, "threshold")
    tau = scalar_temperature(temperature, z)
    sample = torch.arange(len(z), device=z.device) % (len(z) // views)
    number = torch.where(labels >= 0, labels.long(), -1 - sample)
    columns = torch.arange(len(z), device=z.device)
    rows = columns if anchors is None else anchors
    with full_precision(z):
        s = chosen(z, anchors) @ z.mT  # (n, n), of the anchors (r, n)
    same = number[rows][:, None] == number
    positive = same & (rows[:, None] != columns)
    contrast, penalty = (_as_coded if form == "code" else _dense)(s, tau, same, positive, threshold)
    return reduced(contrast + beta * penalty, None, reduction, total=None if anchors is None else len(z))


def _as_coded(s: Tensor, tau: Tensor, same: Tensor, positive: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Contrast and penalty of every anchor, (n,) each, from the hardest pairs."""
    company = positive.any(dim=-1)
    hardest = s.masked_fill(~positive, torch.inf).amin(dim=-1)  # amin shares the gradient among ties
    positive_cosine = torch.where(company, hardest, 1.0)
    negatives = s.masked_fill(same, -torch.inf).topk(min(NEGATIVES, s.shape[-1]), dim=-1).values
    logits = torch.cat([positive_cosine[:, None], negatives], dim=-1) / tau
    contrast = torch.logsumexp(logits, dim=-1) - positive_cosine / tau
    t = torch.where(company & ~(hardest < threshold), hardest, -1.0)
    return contrast, softplus((t - 1) / tau, threshold=EXACT)


def _dense(s: Tensor, tau: Tensor, same: Tensor, positive: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The same from all pairs."""
    company, all_same = positive.any(dim=-1), same.all(dim=-1, keepdim=True)
    negatives = torch.logsumexp((s / tau).masked_fill(same & ~all_same, -torch.inf), dim=-1, keepdim=True)
    negatives = torch.where(all_same, -torch.inf, negatives)  # (n, 1)
    each = softplus(negatives - s / tau, threshold=EXACT)  # (n, n)
    count = positive.sum(dim=-1).clamp(min=1)
    alone = softplus(negatives.squeeze(-1) - 1 / tau, threshold=EXACT)
    contrast = torch.where(company, torch.where(positive, each, 0.0).sum(dim=-1) / count, alone)
    t = torch.where(s < threshold, -1.0, s) if threshold > -1 else s  # rounding takes a cosine below -1 too
    logits = ((t - 1) / tau).masked_fill(~positive, -torch.inf)  # (n, n)
    return contrast, torch.logsumexp(torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=-1), dim=-1)


INFO = LossInfo(
    fedrcl,
    "log[1 + sum over 2 hardest negatives exp((s_ia - hp)/tau)] + log[1 + exp((t - 1)/tau)], hp the hardest positive, "
    "t = hp, -1 below 0.7",
    "mean over the 2N anchors",
    "arXiv:2401.04928, authors' code without cross-entropy and feature levels",
    cosine_only=True,
    at_collapse=lambda _, __, classes: math.log(1 if classes == 1 else 1 + NEGATIVES) + math.log(2),
    needs_labels=True,
    of_rows=fedrcl_of_rows,
)
"""Read-only."""

DENSE = replace(
    INFO,
    loss=Named(fedrcl, form="dense", threshold=-1.0),
    formula="mean_p log[1 + sum_a exp((s_ia - s_ip)/tau)] + log[1 + sum_p exp((s_ip - 1)/tau)], p the same label, "
    "a another",
    source="arXiv:2401.04928, reconstruction: all pairs instead of the hardest, no threshold (ours)",
    at_collapse=lambda samples, _, classes: (
        math.log(2 * samples - 2 * samples / classes + 1) + math.log(2 * samples / classes)
    ),
    status="style of",
    of_rows=Named(fedrcl_of_rows, form="dense", threshold=-1.0),
)
"""Read-only."""
