"""InfoNCE in the form of SimCLR, NT-Xent."""

from torch import Tensor

from clopsim.losses.pairs import Reduction, chosen, per_anchor, reduced, unit_negatives
from clopsim.losses.positives import mean_of_other_views
from clopsim.losses.views import Views, stacked


def info_nce(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
    negatives: Tensor | None = None,
    tiled: bool | None = None,
    anchors: Tensor | None = None,
) -> Tensor:
    """InfoNCE / NT-Xent: every embedding is an anchor, its other view the positive, the 2N - 2 others negatives.

        L_i = -s_ij(i)/tau + log sum_(a != i) exp(s_ia/tau),  s the cosine, j(i) the other view

    With V views of a sample the attraction is the mean over its V - 1 other views, as in supcon without labels.

    Reduction: mean over the V N anchors (SimCLR's code returns twice this), sum (the theory's), or none: (V N,), view
    after view.
    At complete collapse: log(V N - 1), at every temperature. With N = 1 and two views there is no negative and the loss
    is 0.
    Critical rates: proportional to tau, times 2N for the mean (clopsim.bounds.critical_rates with loss="full").

    Source: SimCLR, arXiv:2002.05709 (authors' code).
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (V, N, d) or a list of V >= 2 views.
    labels are not used. negatives: more embeddings that every anchor is pushed from, (M, d), or (V N, M, d) its own;
    give them without gradient to keep them fixed. tiled: None takes the cosines in tiles from 2N = 2048 on (memory of
    the batch instead of its square, no second derivatives); True and False force either. Returns float32 or better.
    anchors: (r,) numbers of the embeddings (view after view) that are anchors, the others being keys only; a mean still
    divides by all of them, so that parts add up (gathered uses it).
    Raises ValueError for wrong shapes, a temperature <= 0, an unknown reduction.

    >>> import torch, clopsim
    >>> clopsim.losses.info_nce(torch.ones(2, 3), torch.ones(2, 3))  # collapsed: log 3
    tensor(1.0986)
    """
    z, count = stacked(first, second, labels)
    return info_nce_of_rows(
        z, temperature=temperature, reduction=reduction, negatives=negatives, tiled=tiled, views=count, anchors=anchors
    )


def info_nce_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
    negatives: Tensor | None = None,
    tiled: bool | None = None,
    anchors: Tensor | None = None,
    views: int = 2,
) -> Tensor:
    """The formula of info_nce on unit rows z (V N, d), view after view, which it does not normalise.

    Errors: as info_nce, except for the shapes of views.
    """
    loss, known = per_anchor(
        chosen(z, anchors),
        z,
        temperature=temperature,
        itself=True,
        attraction=chosen(mean_of_other_views(z, views), anchors),
        negatives=unit_negatives(negatives, z, anchors),
        tiled=tiled,
        numbers=anchors,
    )
    return reduced(loss, known, reduction, total=None if anchors is None else len(z))
