"""PAUC-style: InfoNCE with prototypes that are class means, and three terms on them. A reconstruction."""

import math

import torch
from torch import Tensor

from clopsim.bounds.setting import number_from_zero, positive_number
from clopsim.losses.info import LossInfo
from clopsim.losses.info_nce import info_nce_of_rows
from clopsim.losses.views import Views, full_precision, stacked

ROUNDING = 16
"""Units of rounding below which a class mean has no direction: its entries have cancelled."""


def pauc(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.5,
    prototypes: float = 1.0,
    alignment: float = 1.0,
    uniformity: float = 1.0,
    correlation: float = 1.0,
    t: float = 2.0,
) -> Tensor:
    """PAUC-style: a reconstruction from the abstract, in the forms of Wang and Isola; not the paper's loss.

        L = InfoNCE + prototypes (1/2) [E(Z, A) + E(Z', B)] + alignment mean_k |a_k - b_k|^2
            + uniformity (1/2) [U(A) + U(B)] + correlation (1/2) [C(A) + C(B)]
        E(Z, A) = mean_i [ -z_i.a_y(i)/tau + log sum_k exp(z_i.a_k/tau) ]
        U(A) = log mean_(k<l) exp(-t (2 - 2 a_k.a_l)),    C(A) = mean_(k<l) (a_k.a_l)^2

    Z, Z': the unit rows of the two views; a_k, b_k: the normalised means of class k in them, with gradient. Classes are
    those of the batch, however they are numbered. An unlabelled sample (label < 0) is in InfoNCE alone, and in no mean;
    without any label the loss is InfoNCE. With one class U = C = 0. A class mean without a direction (its rows cancel)
    is the zero vector, without a gradient.

    Reduction: mean over the 2N anchors, over labelled rows, over classes and over pairs of classes.
    At complete collapse: log(2N - 1) + prototypes log K + correlation for K >= 2 classes, log(2N - 1) for fewer.
    Critical rates: proportional to N tau only while the other weights are small beside 1/tau. Balanced classes, at
    collapse: the views come apart above 2/[2 (n - 2)/(tau n (n - 1)) + 8 alignment/n], n = 2N, both gradients; on the
    simplex: clopsim.bounds.pauc_simplex. Classes fall onto points above clopsim.bounds.pauc_critical_prototypes (T34,
    ours).

    Source: Mo et al., arXiv:2210.10194, reconstruction from the abstract: no code is public.
    first, second: (N, d) raw embeddings, normalised inside, or first alone as both; labels: (N,) integers or None;
    weights >= 0, t > 0. Returns float32 or better. Raises ValueError for wrong shapes and options out of range.

    >>> import torch, clopsim
    >>> clopsim.losses.pauc(torch.ones(2, 3), torch.ones(2, 3), torch.tensor([0, 1]))  # log 3 + log 2 + 1
    tensor(2.7918)
    """
    z, count = stacked(first, second, labels)
    if count != 2:
        raise ValueError(f"first must hold two views, got {count}; class means of two are compared")
    return pauc_of_rows(
        z,
        None if labels is None else torch.cat([labels, labels]),
        temperature=temperature,
        prototypes=prototypes,
        alignment=alignment,
        uniformity=uniformity,
        correlation=correlation,
        t=t,
    )


def pauc_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.5,
    prototypes: float = 1.0,
    alignment: float = 1.0,
    uniformity: float = 1.0,
    correlation: float = 1.0,
    t: float = 2.0,
) -> Tensor:
    """The formula of pauc on unit rows z (2N, d), which it does not normalise; labels: (2N,), the same in both views.

    Errors: as pauc, except for the shapes of views.
    """
    weights = (
        ("prototypes", prototypes),
        ("alignment", alignment),
        ("uniformity", uniformity),
        ("correlation", correlation),
    )
    for name, weight in weights:
        number_from_zero(name, weight, remedy="0 leaves the term out")
    positive_number("t", t, remedy="Wang and Isola take 2")
    loss = info_nce_of_rows(z, temperature=temperature)
    if labels is None:
        return loss
    y = labels[: len(z) // 2]
    numbers = torch.arange(len(y), device=z.device)
    same = (y[:, None] == y) & (y >= 0)  # (N, N)
    leads = (y >= 0) & ~(same & (numbers < numbers[:, None])).any(dim=-1)  # (N,): the first sample stands for its class
    views = z.reshape(2, len(y), -1)  # (2, N, d)
    means = _class_means(views, same)  # row i: the mean of the class of sample i
    apart = torch.where(leads, (means[0] - means[1]).square().sum(dim=-1), 0.0).sum() / leads.sum().clamp(min=1)
    loss = loss + alignment * apart
    for rows, prototype in zip(views, means, strict=True):
        loss = loss + prototypes / 2 * _cross_entropy(rows, prototype, y >= 0, leads, temperature)
        uniform, correlated = _between_classes(prototype, leads, t)
        loss = loss + uniformity / 2 * uniform + correlation / 2 * correlated
    return loss


def _class_means(views: Tensor, same: Tensor) -> Tensor:
    """Unit means of the class of every sample, in each view, (V, N, d); 0 where there is none."""
    share = same / same.sum(dim=-1, keepdim=True).clamp(min=1)
    with full_precision(views):
        means = share.to(views.dtype) @ views
    squares = means.square().sum(dim=-1, keepdim=True)
    some = squares > (ROUNDING * torch.finfo(views.dtype).eps) ** 2
    return torch.where(some | squares.isnan(), means / torch.where(some, squares, 1.0).sqrt(), 0.0)


def _cross_entropy(
    rows: Tensor, prototype: Tensor, labelled: Tensor, leads: Tensor, temperature: float | Tensor
) -> Tensor:
    """Of the labelled rows among the classes of the batch; 0 where there are none."""
    tau = temperature.to(rows.dtype) if isinstance(temperature, Tensor) else temperature
    with full_precision(rows):
        s = rows @ prototype.mT / tau  # (N, N)
    seen = leads | ~leads.any()  # an empty sum has a gradient that is nan
    values = torch.logsumexp(s.masked_fill(~seen, -torch.inf), dim=-1) - (rows * prototype).sum(dim=-1) / tau
    return torch.where(labelled, values, 0.0).sum() / labelled.sum().clamp(min=1)


def _between_classes(prototype: Tensor, leads: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """U and C of the prototypes; 0 where there are fewer than two classes."""
    with full_precision(prototype):
        s = prototype @ prototype.mT  # (N, N)
    pairs = (leads[:, None] & leads).triu(diagonal=1)
    count, none = pairs.sum(), ~pairs.any()
    energy = (2 * t * (s - 1)).masked_fill(~(pairs | none), -torch.inf).flatten()
    uniform = torch.where(none, 0.0, torch.logsumexp(energy, dim=0) - count.clamp(min=1).to(s.dtype).log())
    return uniform, torch.where(pairs, s, 0.0).square().sum() / count.clamp(min=1)


INFO = LossInfo(
    pauc,
    "InfoNCE + cross-entropy to normalised class means a, b of the views + mean |a_k - b_k|^2 + log mean_(k<l) "
    "exp(-4 (1 - a_k.a_l)) + mean_(k<l) (a_k.a_l)^2",
    "mean over anchors, labelled rows, classes and pairs of classes",
    "arXiv:2210.10194, PAUC-style: reconstruction from the abstract",
    cosine_only=True,
    at_collapse=lambda samples, _, classes: math.log(2 * samples - 1) + (math.log(classes) + 1 if classes > 1 else 0),
    status="style of",
    of_rows=pauc_of_rows,
)
