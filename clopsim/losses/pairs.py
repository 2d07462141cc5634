"""The one contrastive loss: anchors and keys, which pairs are positive, which an anchor does not see.

    L_i = -attraction_i + log sum_(a in D(i)) exp(s_ia/tau)
    attraction_i = mean_(p in P(i)) s_ip/tau  ("out"),   or  log mean_(p in P(i)) exp(s_ip/tau)  ("in")

InfoNCE, SupCon, DCL, CLIP and MoCo are this with their own P(i) and D(i). The sum over keys is taken from the whole
matrix of cosines, or in tiles whose memory grows with the batch and not with its square (`tiles`).
"""

from typing import Literal

import torch
from torch import Tensor

from clopsim.bounds.setting import one_of, positive_number
from clopsim.losses.tiles import Mask, Masks, tiled_sums
from clopsim.losses.views import check_flag, check_tensor, full_precision, unit_rows

Form = Literal["out", "in"]
Reduction = Literal["mean", "sum", "none"]

TILED_FROM = 2**22
"""Entries of the matrix of cosines from which it is taken in tiles: 2N = 2048 embeddings, 16 MiB in float32."""


def per_anchor(
    anchors: Tensor,
    keys: Tensor,
    *,
    temperature: float | Tensor,
    itself: bool,
    hidden: Mask | None = None,
    positives: Mask | None = None,
    attraction: Tensor | None = None,
    form: Form = "out",
    negatives: Tensor | None = None,
    tiled: bool | None = None,
    numbers: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Loss of every anchor, (n,), and which of them have a positive, (n,) or None for all; 0 for one that has none.

    anchors, keys: (n, d), (m, d) unit rows. itself: anchors are among the keys, and none sees itself. hidden: further
    pairs outside the sum. positives: pairs of P(i); or instead of them attraction: (n, d), the mean of each anchor's
    positive keys, where that is had without looking at all pairs (form "out"). negatives: unit rows that join every
    anchor's sum, (M, d), or (n, M, d) of their own. tiled: see TILED_FROM. numbers: (n,) of the anchors among the keys,
    where they are not the first ones.
    """
    if tiled is not None:
        check_flag(tiled, "tiled")
    tau = scalar_temperature(temperature, anchors)
    n, m = len(anchors), len(keys)
    masks = Masks(itself, hidden, positives, form, numbers)
    if tiled if tiled is not None else n * m >= TILED_FROM:
        lse, pull, count = tiled_sums(anchors, keys, tau, masks)
    else:
        lse, pull, count = _whole_sums(anchors, keys, tau, masks)
    if negatives is not None:
        with full_precision(anchors):
            s = anchors @ negatives.mT if negatives.ndim == 2 else (negatives @ anchors[:, :, None]).squeeze(-1)
        lse = torch.logaddexp(lse, torch.logsumexp(s / tau, dim=-1))
    if attraction is not None:
        return lse - (anchors * attraction).sum(dim=-1) / tau, None
    known = count > 0
    return torch.where(known, lse - pull, 0.0), known


def unit_negatives(negatives: Tensor | None, z: Tensor, anchors: Tensor | None = None) -> Tensor | None:
    """The further negatives of embeddings z (n, d), or of those that are anchors, as unit rows.

    Errors: ValueError for another shape, dtype or device.
    """
    if negatives is None:
        return None
    check_tensor(negatives, "negatives")
    n, d = z.shape
    shared = negatives.ndim == 2 and len(negatives) > 0
    own = negatives.ndim == 3 and len(negatives) == n and negatives.shape[1] > 0
    if not (shared or own) or negatives.shape[-1] != d or not negatives.is_floating_point():
        raise ValueError(
            f"negatives must be floats of shape (M, {d}), or ({n}, M, {d}) with a set for each anchor, M >= 1, got "
            f"{negatives.dtype} of shape {tuple(negatives.shape)}; give raw embeddings"
        )
    if negatives.device != z.device:
        raise ValueError(f"negatives must be on {z.device} as the embeddings, got {negatives.device}; move them there")
    if own and anchors is not None:
        negatives = negatives[anchors]
    return unit_rows(negatives).to(z.dtype)


def chosen(z: Tensor, anchors: Tensor | None) -> Tensor:
    """The rows of z (n, d) that are anchors, all for None. Errors: ValueError unless anchors are their numbers (r,)."""
    if anchors is None:
        return z
    check_anchors(anchors, z)
    try:
        return z[anchors]
    except IndexError:
        raise ValueError(f"anchors must be < {len(z)}, the number of rows, got a larger one; count from 0") from None


def check_anchors(anchors: Tensor, z: Tensor) -> None:
    """Raise ValueError unless they are whole numbers (r,) on the device of the embeddings."""
    check_tensor(anchors, "anchors")
    if anchors.ndim != 1 or anchors.dtype != torch.long or anchors.device != z.device:
        raise ValueError(
            f"anchors must be numbers of embeddings, int64 of shape (r,) on {z.device}, got {anchors.dtype} of shape "
            f"{tuple(anchors.shape)} on {anchors.device}; torch.arange gives such"
        )


def reduced(loss: Tensor, known: Tensor | None, reduction: Reduction, *, total: int | None = None) -> Tensor:
    """Mean over the anchors that have a positive, sum, or the anchors' own values; no positive anywhere: 0.

    total: embeddings of the whole batch, where the anchors are a part of it: means of parts add up to that of all.
    """
    one_of("reduction", reduction, ("mean", "sum", "none"))
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if total is not None:
        return loss.sum() / total
    return loss.mean() if known is None else loss.sum() / known.sum().clamp(min=1)


def _whole_sums(anchors: Tensor, keys: Tensor, tau: Tensor, masks: Masks) -> tuple[Tensor, Tensor, Tensor]:
    """log sum over the seen keys, attraction, number of positives, (n,) each, from the whole matrix."""
    with full_precision(anchors):
        s = anchors @ keys.mT / tau  # (n, m)
    rows, columns = (
        masks.rows(slice(0, len(anchors)), anchors)[:, None],
        torch.arange(len(keys), device=keys.device)[None],
    )
    hidden = rows == columns if masks.itself else (rows < 0) & (columns < 0)
    if masks.hidden is not None:
        hidden = hidden | masks.hidden(rows, columns)
    nothing = hidden.all(dim=-1, keepdim=True)  # such a row's sum is empty: log 0, without a gradient that is nan
    lse = torch.logsumexp(s.masked_fill(hidden & ~nothing, -torch.inf), dim=-1)
    lse = torch.where(nothing.squeeze(-1), -torch.inf, lse)
    if masks.positives is None:
        return lse, lse, lse
    positives = masks.positives(rows, columns)
    count = positives.sum(dim=-1, dtype=s.dtype)  # an integer count would make the logarithm float32
    if masks.form == "out":
        return lse, torch.where(positives, s, 0.0).sum(dim=-1) / count.clamp(min=1), count
    some = positives | (count == 0)[:, None]
    return lse, torch.logsumexp(s.masked_fill(~some, -torch.inf), dim=-1) - count.clamp(min=1).log(), count


def scalar_temperature(temperature: float | Tensor, like: Tensor) -> Tensor:
    """tau as a scalar tensor; a number is checked, a tensor is not (one for each model under vmap, or learned)."""
    if isinstance(temperature, Tensor):
        if temperature.numel() != 1:
            shape = tuple(temperature.shape)
            raise ValueError(f"temperature must be one number, got a tensor of shape {shape}; give a single one")
        return temperature.to(like.dtype)
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    if temperature > torch.finfo(like.dtype).max:
        raise ValueError(f"temperature must be a number of {like.dtype}, got {temperature!r}; lower it")
    return torch.full((), temperature, dtype=like.dtype, device=like.device)  # func.grad refuses torch.tensor on meta
