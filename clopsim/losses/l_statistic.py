"""L-statistic: a weighted mean of the ranked losses of the anchors, which leaves out the largest ones."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from clopsim.bounds.setting import number_from_zero, positive_number
from clopsim.losses.info import LossInfo
from clopsim.losses.info_nce import info_nce, info_nce_of_rows
from clopsim.losses.pairs import Reduction, reduced
from clopsim.losses.views import Views, check_flag, check_loss, check_tensor, parts

WHOLE = 1e-9
"""What is a whole number to this much is that number: 0.29 of 100 is 29, although the product rounds to less."""


PerAnchor = Callable[..., Tensor]
"""A loss that a wrapper can take: called with its options and reduction="none" it gives one value for each row, view
after view. Its rows come as (first, second, labels), or as (rows, labels) where it is a formula on unit rows."""


def l_statistic(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    base: PerAnchor = info_nce,
    keep: float = 0.9,
    ramp: float = 0.0,
    together: bool = False,
    reduction: Reduction = "mean",
    **options: object,
) -> Tensor:
    """L-statistic of a loss per anchor: its anchors in rising order of loss, the first ones kept, the last trimmed.

        L = (1/n) sum_i w_i l_(i),  l_(1) <= ... <= l_(n),  w_i proportional to W(i/n), of mean 1
        W(t) = 1 for t <= keep, falling to 0 in a straight line from keep to keep + ramp

    With ramp = 0 it is the mean over the floor(keep n) smallest losses, with keep = 1 the base itself. The weights are
    fixed inside a step: ranks have no gradient. Of equal losses the earlier anchor ranks first. At least one anchor is
    kept, however small keep. A loss that is not finite makes the value nan or infinite, trimmed or not. Where supcon
    has an anchor without a positive (one view), it ranks as a loss of 0.

    Reduction: mean over the n anchors (so over the kept ones), sum, or none: (n,), w_i l_i in the order of the anchors.
    At complete collapse: the base's value.
    Critical rates: collapse attracts merged InfoNCE at a higher ambient rate than without (clopsim.bounds.trimming);
    full InfoNCE never.

    Source: Maurer, Parletta, Paudice and Pontil, arXiv:2012.07399, reconstruction from the abstract: the mean weight of
    1, the ramp and the anchors of a contrastive loss are ours.
    first, second, labels: as the base takes them, which gets options (temperature) and reduction="none"; base: any loss
    of this package per anchor, or one of your own in that form. keep in (0, 1]; ramp >= 0. together: rank samples, by
    the mean over their views, so that views are kept or trimmed together. With several processes wrap the outside,
    gathered(l_statistic): ranks are over all anchors. Raises ValueError for options out of range, and for a base that
    does not return one loss a row.

    >>> import torch, clopsim
    >>> clopsim.losses.l_statistic(torch.ones(2, 3), torch.ones(2, 3), keep=0.5)  # collapsed: log 3
    tensor(1.0986)
    """
    check_loss(base, "base")
    check_flag(together, "together")
    losses = base(first, second, labels, reduction="none", **options)
    views = parts(first, second)
    n = sum(len(view) for view in views)
    return _statistic(losses, n, len(views) if together else 1, keep=keep, ramp=ramp, reduction=reduction)


def l_statistic_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    base: PerAnchor = info_nce_of_rows,
    keep: float = 0.9,
    ramp: float = 0.0,
    together: bool = False,
    reduction: Reduction = "mean",
    views: int = 2,
    **options: object,
) -> Tensor:
    """The formula of l_statistic on unit rows z (V N, d), view after view; base: a formula on unit rows.

    Errors: as l_statistic.
    """
    losses = base(z, labels, reduction="none", **options)
    return _statistic(losses, len(z), views if together else 1, keep=keep, ramp=ramp, reduction=reduction)


def rank_weights(losses: Tensor, *, keep: float, ramp: float = 0.0) -> Tensor:
    """The weights of l_statistic for any losses (n,), of mean 1, in their order: (n,), without a gradient.

    (rank_weights(losses, keep=0.8) * losses).mean() is the L-statistic of your own losses: distances to the nearest
    centre, residuals of a projection.

    keep in (0, 1]; ramp >= 0. Errors: ValueError for others, and for another shape.

    >>> import torch, clopsim
    >>> clopsim.losses.rank_weights(torch.tensor([3.0, 1.0, 2.0, 9.0]), keep=0.5)
    tensor([0., 2., 2., 0.])
    """
    number_from_zero("ramp", ramp, remedy="0 trims at once")
    positive_number("keep", keep, remedy="it is the share of the losses that count in full")
    if keep > 1:
        raise ValueError(f"keep must be <= 1, got {keep!r}; 1 trims nothing")
    check_tensor(losses, "losses")
    if losses.ndim != 1 or len(losses) == 0 or not losses.is_floating_point():
        raise ValueError(
            f"losses must be floats of shape (n,), n >= 1, got {losses.dtype} of shape {tuple(losses.shape)}; "
            "give one loss for each anchor"
        )
    n, dtype = len(losses), torch.promote_types(losses.dtype, torch.float32)
    if ramp == 0:
        kept = max(1, math.floor(keep * n + WHOLE))
        by_rank = (torch.arange(n, device=losses.device) < kept).to(dtype)
    else:
        t = torch.arange(1, n + 1, device=losses.device, dtype=dtype) / n
        by_rank = ((keep + ramp - t) / ramp).clamp(0, 1)
        if keep + ramp <= 1 / n:  # nobody: the smallest loss alone
            by_rank = (t <= 1 / n).to(dtype)
    by_rank = by_rank / by_rank.mean()
    rank = losses.detach().argsort(stable=True).argsort()
    return by_rank[rank]


def _statistic(losses: Tensor, rows: int, views: int, *, keep: float, ramp: float, reduction: Reduction) -> Tensor:
    check_per_anchor(losses, rows)
    ranked = losses.reshape(views, -1).mean(dim=0)
    weights = rank_weights(ranked, keep=keep, ramp=ramp).repeat(views)
    return reduced(weights * losses, None, reduction)


def check_per_anchor(losses: Tensor, rows: int) -> None:
    """Raise ValueError unless a base has returned one loss a row."""
    if losses.shape != (rows,):
        raise ValueError(
            f'base must return {rows} losses with reduction="none", one a row, got shape {tuple(losses.shape)}; '
            "a loss of the batch as a whole, such as vicreg, has no anchors"
        )


INFO = LossInfo(
    l_statistic,
    "(1/n) sum_i w_i l_(i), l_(1) <= ... <= l_(n) InfoNCE of the anchors, w_i = 1/0.9 for the smallest 0.9 n, else 0",
    "mean over the 2N anchors, of which a tenth weighs 0",
    "arXiv:2012.07399, reconstruction from the abstract, its mean weight and its use on anchors ours",
    cosine_only=True,
    at_collapse=lambda samples, *_: math.log(2 * samples - 1),
    status="style of",
    of_rows=l_statistic_of_rows,
)
