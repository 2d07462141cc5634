"""Contrastive loss of two towers, image and text, in both directions, with CLIP's learned temperature."""

import math

import torch
from torch import Tensor, nn

from clopsim.bounds.setting import positive_number
from clopsim.losses.pairs import Reduction, check_anchors, chosen, per_anchor, reduced
from clopsim.losses.views import check_floats, check_views, unit_rows

LARGEST_SCALE = 100.0
"""CLIP's upper bound of 1/tau."""


def clip(
    first: Tensor,
    second: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.07,
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    anchors: Tensor | None = None,
) -> Tensor:
    """CLIP: every image against all texts and every text against all images, none against its own tower.

        L_i = -s_ii/tau + log sum_a exp(s_ia/tau),  s_ia the cosine of anchor i and item a of the other tower

    Reduction: mean over the 2N anchors, which is the mean of the two directions; sum; or none: (2N,), images first.
    At complete collapse: log N, at every temperature.

    Source: Radford et al., arXiv:2103.00020 (reconstruction from the paper's pseudocode, Figure 3).
    first, second: (N, d) raw embeddings of the towers, normalised inside; labels are not used. temperature: tau > 0,
    or a scalar tensor such as LearnedTemperature gives. tiled: as in info_nce. Returns float32 or better.
    anchors: (r,) numbers of the embeddings (view after view) that are anchors, the others being keys only; a mean still
    divides by all of them, so that parts add up (gathered uses it).
    Raises ValueError for wrong shapes, a temperature <= 0, an unknown reduction.
    """
    check_views(first, second, labels)
    return clip_of_rows(
        torch.cat([unit_rows(first), unit_rows(second)]),
        temperature=temperature,
        reduction=reduction,
        tiled=tiled,
        anchors=anchors,
    )


def clip_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.07,
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    anchors: Tensor | None = None,
) -> Tensor:
    """The formula of clip on unit rows z (2N, d), images first, which it does not normalise.

    Errors: as clip, except for the shapes of views.
    """
    image, text = z.chunk(2)
    here = there = order = None
    if anchors is not None:
        check_anchors(anchors, z)
        order = torch.cat([(anchors < len(image)).nonzero(), (anchors >= len(image)).nonzero()]).flatten()
        here, there = anchors[anchors < len(image)], anchors[anchors >= len(image)] - len(image)
    losses = [
        per_anchor(
            chosen(tower, mine), keys, temperature=temperature, itself=False, attraction=chosen(keys, mine), tiled=tiled
        )[0]
        for tower, keys, mine in ((image, text, here), (text, image, there))
    ]
    each = torch.cat(losses)
    return reduced(
        each if order is None else each[order.argsort()], None, reduction, total=None if order is None else len(z)
    )


def moco(
    queries: Tensor,
    keys: Tensor,
    queue: Tensor,
    *,
    temperature: float | Tensor = 0.07,
    reduction: Reduction = "mean",
) -> Tensor:
    """MoCo: a query against its own key and a queue of earlier keys; no gradient reaches keys and queue.

        L_i = -q_i.k_i/tau + log [ exp(q_i.k_i/tau) + sum_(a in queue) exp(q_i.k_a/tau) ]

    Reduction: mean over the N queries, sum, or none: (N,). At complete collapse: log(1 + queue's length).

    Source: He et al., arXiv:1911.05722 (authors' code).
    queries, keys: (N, d) raw embeddings; queue: (M, d), M >= 1; all normalised inside. Returns float32 or better.
    Raises ValueError for wrong shapes, a temperature <= 0, an unknown reduction.
    """
    check_views(queries, keys)
    check_floats(queue, "queue")
    if queue.ndim != 2 or len(queue) == 0 or queue.shape[1] != queries.shape[1]:
        raise ValueError(
            f"queue must have shape (M, {queries.shape[1]}), M >= 1, got {tuple(queue.shape)}; fill it with keys first"
        )
    if queue.device != queries.device:
        raise ValueError(f"queue must be on {queries.device} as the queries, got {queue.device}; move it there")
    q, k, others = unit_rows(queries), unit_rows(keys.detach()), unit_rows(queue.detach())
    loss, _ = per_anchor(
        q,
        k,
        temperature=temperature,
        itself=False,
        hidden=_others,
        attraction=k,
        negatives=others.to(q.dtype),
        tiled=False,
    )
    return reduced(loss, None, reduction)


class LearnedTemperature(nn.Module):
    """A temperature to be learned, as CLIP does: tau = exp(-t), t a parameter, 1/tau at most 100.

    loss = clip(image, text, temperature=tau()); give tau.parameters() to the optimizer, without weight decay.
    temperature: tau at the start, 0.01 <= tau. Raises ValueError for another one.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        """Start at this temperature."""
        super().__init__()
        positive_number("temperature", temperature, remedy="CLIP starts at 0.07")
        if temperature < 1 / LARGEST_SCALE:
            raise ValueError(
                f"temperature must be >= {1 / LARGEST_SCALE:g}, got {temperature!r}; CLIP keeps 1/tau below "
                f"{LARGEST_SCALE:g}"
            )
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> Tensor:
        """tau, a scalar tensor."""
        return 1 / self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def extra_repr(self) -> str:
        """The temperature now."""
        return f"temperature={float(self().detach()):.4g}"


def _others(rows: Tensor, columns: Tensor) -> Tensor:
    return rows != columns
