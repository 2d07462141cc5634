"""SimO: embeddings of a class alike, classes orthogonal."""

from typing import Literal

import torch
from torch import Tensor

from clopsim.bounds.setting import is_number, one_of, plain, positive_number, shown
from clopsim.losses.info import LossInfo, Named
from clopsim.losses.views import Views, full_precision, stacked, with_labels

SimoForm = Literal["pair", "ratio"]

DEFAULTS: dict[SimoForm, tuple[float, float]] = {"pair": (1 / 137, 1 / 137), "ratio": (0.1, 0.0)}
"""eps and olean of each form: pair as in the authors' code; ratio is our choice, for want of the paper's values.
Read-only."""


def simo(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    form: SimoForm = "pair",
    eps: float | None = None,
    olean: float | None = None,
) -> Tensor:
    """SimO: three kinds of sets of rows E, each with one answer y to whether it is all alike.

        L = sum_k l(class k, 1) + sum_j l({j-th row of every class}, olean) + l({mean of every class}, olean)
        pair:  l(E, y) = sum_(i<j in E) [1 + o_ij/(eps + d_ij)]^(1 - 2y)
        ratio: l(E, y) = y D/(eps + O) + (1 - y) O/(eps + D),   D = sum_(i<j) d_ij,  O = sum_(i<j) o_ij
        d_ij = |e_i - e_j|^2,  o_ij = (e_i . e_j)^2; the means are not normalised again

    All views of a sample are rows of its class, in the order view after view. Classes of unequal size: a class that has
    no j-th row is missing from the j-th set, so random batches will do; the theorems are for equal sizes. Unlabelled
    samples (label < 0) are left out; without a labelled one the loss is 0.

    Reduction: the sums in the formula, so rates shrink as classes grow: SGD on the embeddings themselves needs one
    below about 2/(2m/(1 + eps) + 2) in the pair form, m rows a class (clopsim.bounds.simo).
    At complete collapse, K classes of m rows: pair K m(m-1)/2 eps/(1+eps) + (m+1) K(K-1)/2 (1+1/eps)^(1-2 olean), ratio
    (m+1) K(K-1)/2 / eps with olean = 0.
    Critical rates: clopsim.bounds.simo; complete collapse never attracts at eps <= 1, and repels as 1/eps^2.

    Source: Bouhsine et al., arXiv:2410.05233. pair: authors' code, a later training file of theirs; ratio: in the style
    of the paper, a reconstruction from memory and reviews that quote it.
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views;
    labels: (N,) integers; eps > 0 and 0 <= olean <= 1, None: DEFAULTS of the form. Returns float32 or better. Raises
    ValueError for wrong shapes or options, and without labels.
    """
    z, count = stacked(first, second, labels)
    return simo_of_rows(z, None if labels is None else torch.cat([labels] * count), form=form, eps=eps, olean=olean)


def simo_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    form: SimoForm = "pair",
    eps: float | None = None,
    olean: float | None = None,
) -> Tensor:
    """The formula of simo on unit rows z (n, d), labels (n,), which it does not normalise. Errors: as simo.

    Its ambient gradient is that of d_ij = |e_i - e_j|^2 as written; with 2 - 2 e_i . e_j, the same on the sphere, it
    would be another one.
    """
    one_of("form", form, ("pair", "ratio"))
    labels = with_labels("simo", labels)
    eps = DEFAULTS[form][0] if eps is None else eps
    olean = DEFAULTS[form][1] if olean is None else olean
    positive_number("eps", eps, remedy="the authors' code has 1/137")
    if not (is_number(plain(olean)) and 0 <= olean <= 1):
        raise ValueError(f"olean must be in [0, 1], got {shown(olean)}; the authors' code has 1/137")
    number = torch.arange(len(z), device=z.device)
    earlier = number[None, :] < number[:, None]  # (n, n): column before row
    known = labels >= 0
    alike = (labels[:, None] == labels[None, :]) & known[:, None] & known[None, :]
    place = (alike & earlier).sum(dim=-1)  # (n,): how many rows of its class come before
    abreast = (place[:, None] == place[None, :]) & known[:, None] & known[None, :]
    leading = known & (place == 0)  # the first row of a class stands for it
    share = alike.to(z.dtype)
    with full_precision(z):
        means = share @ z / share.sum(dim=-1, keepdim=True).clamp(min=1)  # (n, d)
    inside, across = _distances(z), _distances(means)
    return (
        _of_sets(*inside, alike, leading, answer=1.0, form=form, eps=eps)
        + _of_sets(*inside, abreast, known & ~(abreast & earlier).any(dim=-1), answer=olean, form=form, eps=eps)
        + _of_sets(
            *across,
            leading[:, None] & leading[None, :],
            leading & ~(leading[None, :] & earlier).any(dim=-1),
            answer=olean,
            form=form,
            eps=eps,
        )
    )


def _distances(e: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances and squared products of all pairs of rows, (n, n) each."""
    with full_precision(e):
        centred = e - e.detach().mean(dim=0)  # differences stay, and near collapse so do their digits
        gram, products = centred @ centred.mT, e @ e.mT
    squares = gram.diagonal(dim1=-2, dim2=-1)
    return squares[:, None] + squares[None, :] - 2 * gram, products.square()


def _of_sets(
    d: Tensor, o: Tensor, members: Tensor, standing: Tensor, *, answer: float, form: SimoForm, eps: float
) -> Tensor:
    """Sum of l(E, answer) over sets of rows; members: (n, n), in one set; standing: (n,), one row for each set."""
    pairs = members & ~torch.eye(len(members), dtype=torch.bool, device=members.device)
    if form == "pair":
        return torch.where(pairs, ((1 - 2 * answer) * torch.log1p(o / (eps + d))).exp(), 0.0).sum() / 2

    def total(x: Tensor) -> Tensor:
        return torch.where(members, torch.where(pairs, x, 0.0).sum(dim=-1), 0.0).sum(dim=-1) / 2  # (n,), of its set

    far, near = total(d), total(o)
    return torch.where(standing, answer * far / (eps + near) + (1 - answer) * near / (eps + far), 0.0).sum()


def _at_collapse(samples: int, classes: int, form: SimoForm) -> float:
    (eps, olean), m = DEFAULTS[form], 2 * samples / classes
    inside, across = classes * m * (m - 1) / 2, classes * (classes - 1) / 2
    if form == "pair":
        return float(inside * eps / (1 + eps) + (m + 1) * across * (1 + 1 / eps) ** (1 - 2 * olean))
    return (m + 1) * across / eps


INFO = LossInfo(
    simo,
    "sum_k l(class k, 1) + sum_j l(j-th rows, a) + l(class means, a), l(E, y) = sum_(i<j) (1 + o_ij/(e + d_ij))^(1 - "
    "2y), d squared distance, o squared cosine, e = a = 1/137",
    "sum over pairs",
    "arXiv:2410.05233, authors' code: a later training file of theirs",
    cosine_only=True,
    at_collapse=lambda samples, _, classes: _at_collapse(samples, classes, "pair"),
    takes_temperature=False,
    needs_labels=True,
    written="written",
    of_rows=simo_of_rows,
)
RATIO_INFO = LossInfo(
    Named(simo, form="ratio"),
    "sum_k l(class k, 1) + sum_j l(j-th rows, 0) + l(class means, 0), l(E, y) = y D/(0.1 + O) + (1 - y) O/(0.1 + D), D "
    "sum of squared distances, O of squared cosines",
    "sum over sets",
    "arXiv:2410.05233, reconstruction from memory and reviews that quote the paper",
    cosine_only=True,
    at_collapse=lambda samples, _, classes: _at_collapse(samples, classes, "ratio"),
    status="style of",
    takes_temperature=False,
    needs_labels=True,
    written="written",
    of_rows=Named(simo_of_rows, form="ratio"),
)
