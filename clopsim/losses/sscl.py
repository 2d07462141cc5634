"""A semi-supervised loss in the style of SsCL: pseudo-labels choose the positives, cosines calibrate them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.bounds.setting import number_from_zero, positive_number
from clopsim.losses.info import LossInfo
from clopsim.losses.pairs import Reduction, chosen, per_anchor, reduced
from clopsim.losses.positives import other_views
from clopsim.losses.views import (
    Views,
    check_directions,
    check_floats,
    check_number,
    full_precision,
    stacked,
    unit_rows,
    with_labels,
)


def sscl(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.2,
    confidence: float | Tensor = 0.95,
    threshold: float = 0.9,
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    anchors: Tensor | None = None,
) -> Tensor:
    """SsCL-style contrastive part: guesses choose the positives, their confidences q weigh them.

        L_i = -sum_p W_ip s_ip/tau + log sum_(a != i) exp(s_ia/tau),  the rows of W of sum 1
        W_ip prop. to 1 for another view of i's sample, q_i q_p where both guesses agree and both q >= threshold, else 0

    An unlabelled sample (label < 0) has no guess: its other views only, and is a negative to all others. With q = 1
    this is supcon, below the threshold info_nce. One view: an anchor without a positive is left out of the mean and
    counts 0; where no anchor has one the loss is 0.

    Reduction: mean over the anchors that have a positive (all V N with two views or more), sum, or none: (V N,), view
    after view.
    At complete collapse: log(V N - 1), whatever the guesses.
    Critical rates: proportional to tau, times n for the mean. Guesses bind a class at collapse only above the
    confidence sqrt(n/(2n - m)), m embeddings a class (clopsim.bounds.pseudo_labels).

    Source: Zhang et al., arXiv:2105.07387 (style of: a reconstruction from the abstract, not the paper's loss).
    SsCL adds cross-entropy on the labels and on the guesses; calibrated makes the guesses.
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views.
    labels: (N,) integers, the guessed classes; confidence: one in [0, 1] for all, or (N,), without gradient;
    threshold: theta; tiled, anchors: as in supcon.
    Returns float32 or better. Raises ValueError for missing labels, wrong shapes, a temperature <= 0, a confidence
    outside [0, 1], an unknown reduction.
    """
    labels = with_labels("sscl", labels)
    z, count = stacked(first, second, labels)
    if isinstance(confidence, Tensor) and confidence.ndim:
        if confidence.shape != labels.shape:
            raise ValueError(
                f"confidence must be a number or have the shape {tuple(labels.shape)} of the labels, got "
                f"{tuple(confidence.shape)}; it is one for each sample"
            )
        confidence = torch.cat([confidence] * count)
    return sscl_of_rows(
        z,
        torch.cat([labels] * count),
        temperature=temperature,
        confidence=confidence,
        threshold=threshold,
        reduction=reduction,
        tiled=tiled,
        anchors=anchors,
        views=count,
    )


def sscl_of_rows(
    z: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor = 0.2,
    confidence: float | Tensor = 0.95,
    threshold: float = 0.9,
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    anchors: Tensor | None = None,
    views: int = 2,
) -> Tensor:
    """The formula of sscl on unit rows z (V N, d), view after view, which it does not normalise.

    labels: (V N,), one a row; confidence: a number or (V N,). Errors: as sscl, except for the shapes of views.
    """
    if not isinstance(confidence, Tensor):
        number_from_zero("confidence", confidence, remedy="it is a probability, at most 1")
        if confidence > 1:
            raise ValueError(f"confidence must be <= 1, got {confidence!r}; it is a probability")
    check_number(threshold, "threshold")
    q = torch.as_tensor(confidence, dtype=z.dtype, device=z.device).detach().expand(len(z))
    if anchors is not None and views == 1:
        raise ValueError("anchors needs two views or more, got one; with one, anchors without a positive are left out")
    rows = chosen(z, anchors)
    weight = _weights(labels, torch.where((q >= threshold) & (labels >= 0), q, 0.0), len(z) // views, anchors)
    total = weight.sum(dim=-1, keepdim=True)
    with full_precision(z):
        attraction = weight / torch.where(total > 0, total, 1.0) @ z
    loss, _ = per_anchor(
        rows, z, temperature=temperature, itself=True, attraction=attraction, tiled=tiled, numbers=anchors
    )
    if views > 1:
        return reduced(loss, None, reduction, total=None if anchors is None else len(z))
    known = total.squeeze(-1) > 0
    return reduced(torch.where(known, loss, 0.0), known, reduction)


class Guess(NamedTuple):
    """Pseudo-labels of N samples."""

    label: Tensor  # (N,) the likeliest class
    confidence: Tensor  # (N,) its probability


def calibrated(logits: Tensor, embeddings: Tensor, means: Tensor, *, temperature: float = 0.2) -> Guess:
    """Pseudo-labels of a head, calibrated by the cosines to the class means; all without gradient.

        p_k prop. to softmax(logits)_k softmax_k(z.m_k/tau_s);  label = argmax p, confidence = max p

    At the simplex of K classes this adds K/((K - 1) tau_s) to the log-odds of a confidence, at complete collapse
    nothing: it cannot start the binding of a class, only keep it (clopsim.bounds.pseudo_labels).

    Source: Zhang et al., arXiv:2105.07387 (style of: that cosines calibrate the head is the paper's, the product a
    reconstruction).
    logits: (N, K); embeddings: (N, d); means: (K, d), class means of the labelled embeddings, of all of them or a bank
    since a batch may lack classes; both raw, normalised inside. Raises ValueError for shapes that do not fit, a
    temperature <= 0.
    """
    positive_number("temperature", temperature, remedy="0.2 here")
    for name, given in (("logits", logits), ("embeddings", embeddings), ("means", means)):
        check_floats(given, name)
    fit = embeddings.ndim == means.ndim == 2 and embeddings.shape[1] == means.shape[1]
    if not fit or logits.shape != (len(embeddings), len(means)):
        raise ValueError(
            f"logits (N, K), embeddings (N, d) and means (K, d) must fit, got {tuple(logits.shape)}, "
            f"{tuple(embeddings.shape)} and {tuple(means.shape)}; one mean for each class"
        )
    check_directions(means, embeddings, "means")
    check_directions(logits, logits.new_empty(0, logits.shape[1], device=embeddings.device), "logits")
    with torch.no_grad(), full_precision(embeddings):
        z, m = unit_rows(embeddings), unit_rows(means)
        score = logits.to(z.dtype).log_softmax(dim=-1) + z @ m.mT.to(z.dtype) / temperature
        confidence, label = score.softmax(dim=-1).max(dim=-1)
    return Guess(label, confidence)


def _weights(labels: Tensor, q: Tensor, samples: int, anchors: Tensor | None) -> Tensor:
    """(n, n), of anchors (r, n): weights before rows are normalised; 1 to another view, q_i q_p to agreeing guesses."""
    number = torch.arange(len(q), device=q.device)
    rows, columns = (number if anchors is None else anchors)[:, None], number[None]
    agree = (labels[rows] == labels[None]) & (rows != columns)
    return torch.where(other_views(samples)(rows, columns), 1.0, torch.where(agree, q[rows] * q[None], 0.0))


INFO = LossInfo(
    sscl,
    "-sum_p W_ip s_ip/tau + log sum_(a != i) exp(s_ia/tau), W rows of sum 1, 1 to another view and 0.95^2 to the same "
    "label",
    "mean over the 2N anchors",
    "arXiv:2105.07387, reconstruction in the style of the paper",
    cosine_only=True,
    at_collapse=lambda samples, *_: math.log(2 * samples - 1),
    status="style of",
    needs_labels=True,
    of_rows=sscl_of_rows,
)
"""Read-only."""
