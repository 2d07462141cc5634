"""Supervised contrastive loss, with the mean over positives outside or inside the logarithm."""

import torch
from torch import Tensor

from clopsim.bounds.setting import one_of
from clopsim.losses.pairs import Form, Reduction, chosen, per_anchor, reduced, unit_negatives
from clopsim.losses.positives import positives_of
from clopsim.losses.views import Views, stacked


def supcon(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.1,
    form: Form = "out",
    reduction: Reduction = "mean",
    positives: Tensor | None = None,
    negatives: Tensor | None = None,
    tiled: bool | None = None,
    anchors: Tensor | None = None,
) -> Tensor:
    """SupCon: the positives P(i) are the anchor's other views and all views of every sample with its label.

        out: L_i = -1/|P(i)| sum_(p in P(i)) s_ip/tau + log sum_(a != i) exp(s_ia/tau)
        in:  L_i = -log [ 1/|P(i)| sum_(p in P(i)) exp(s_ip/tau) ] + log sum_(a != i) exp(s_ia/tau)

    An unlabelled sample (label < 0) has its other views only, and is a negative to all others; without any label both
    forms of two views equal info_nce. One view, supcon(x, None, labels): an anchor without a positive, a class's only
    sample, is left out of the mean and counts 0; where no anchor has one the loss is 0.

    Reduction: mean over the anchors that have a positive (all V N with two views or more), without the factor tau/0.07
    of the authors' code; sum; or none: (V N,), view after view.
    At complete collapse: log(V N - 1), both forms, whatever the labels.
    Critical rates: proportional to tau, times 2N for the mean; they depend on the class sizes.

    Source: Khosla et al., arXiv:2004.11362; out: authors' code, in: paper, reconstruction.
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views.
    labels: (N,) integers, (N, C) of 0 and 1 for several labels a sample (positive where one is shared), or None;
    positives: instead of labels a boolean mask (N, N) of samples. negatives, tiled: as in info_nce.
    anchors: (r,) numbers of the embeddings (view after view) that are anchors, the others being keys only; a mean still
    divides by all of them, so that parts add up (gathered uses it).
    Returns float32 or better. Raises ValueError for wrong shapes, a temperature <= 0, an unknown form or reduction.
    """
    z, count = stacked(first, second, labels, several=True)
    return supcon_of_rows(
        z,
        None if labels is None else torch.cat([labels] * count),
        temperature=temperature,
        form=form,
        reduction=reduction,
        positives=positives,
        negatives=negatives,
        tiled=tiled,
        anchors=anchors,
        views=count,
    )


def supcon_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.1,
    form: Form = "out",
    reduction: Reduction = "mean",
    positives: Tensor | None = None,
    negatives: Tensor | None = None,
    tiled: bool | None = None,
    anchors: Tensor | None = None,
    views: int = 2,
) -> Tensor:
    """The formula of supcon on unit rows z (V N, d), view after view, which it does not normalise.

    labels: (V N,) or (V N, C), one a row, the same in every view. Errors: as supcon, except for the shapes of views.
    """
    one_of("form", form, ("out", "in"))
    of_samples = None if labels is None else labels[: len(z) // views]
    if anchors is not None and views == 1:
        raise ValueError("anchors needs two views or more, got one; with one, anchors without a positive are left out")
    loss, known = per_anchor(
        chosen(z, anchors),
        z,
        temperature=temperature,
        itself=True,
        positives=positives_of(z, views, of_samples, positives),
        form=form,
        negatives=unit_negatives(negatives, z, anchors),
        tiled=tiled,
        numbers=anchors,
    )
    return reduced(loss, known if views == 1 else None, reduction, total=None if anchors is None else len(z))
