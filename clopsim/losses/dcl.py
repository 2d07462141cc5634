"""Decoupled contrastive loss: InfoNCE without the positive in the denominator."""

from torch import Tensor

from clopsim.losses.pairs import Reduction, chosen, per_anchor, reduced
from clopsim.losses.positives import mean_of_other_views, same_sample
from clopsim.losses.views import Views, stacked


def dcl(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    anchors: Tensor | None = None,
) -> Tensor:
    """DCL: InfoNCE whose denominator holds the 2N - 2 negatives only.

        L_i = -s_ij(i)/tau + log sum_(a != i, j(i)) exp(s_ia/tau)

    Reduction: mean over the V N anchors, sum, or none: (V N,), view after view.
    At complete collapse: log(2N - 2), at every temperature; V N - V for V views.
    Critical rates: proportional to tau, times 2N for the mean. In the sum the views of a sample come apart at collapse
    above tau exactly, whatever the batch (ours).

    Valid for: N >= 2; a single sample has no negatives.
    Source: Yeh et al., arXiv:2110.06848 (reconstruction from the paper and two public implementations).
    first, second: (N, d) raw embeddings, normalised inside, or first alone as (V, N, d) or a list of V >= 2 views;
    labels are not used; tiled: as in info_nce. Returns float32 or better.
    anchors: (r,) numbers of the embeddings (view after view) that are anchors, the others being keys only; a mean still
    divides by all of them, so that parts add up (gathered uses it).
    Raises ValueError for wrong shapes, N < 2, a temperature <= 0, an unknown reduction.
    """
    z, count = stacked(first, second, labels, low=2)
    return dcl_of_rows(z, temperature=temperature, reduction=reduction, tiled=tiled, views=count, anchors=anchors)


def dcl_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    anchors: Tensor | None = None,
    views: int = 2,
) -> Tensor:
    """The formula of dcl on unit rows z (V N, d), N >= 2, view after view, which it does not normalise.

    Errors: as dcl, except for the shapes of views.
    """
    loss, known = per_anchor(
        chosen(z, anchors),
        z,
        temperature=temperature,
        itself=True,
        hidden=same_sample(len(z) // views),
        attraction=chosen(mean_of_other_views(z, views), anchors),
        tiled=tiled,
        numbers=anchors,
    )
    return reduced(loss, known, reduction, total=None if anchors is None else len(z))
