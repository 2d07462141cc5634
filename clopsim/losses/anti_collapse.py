"""Anti-Collapse: the coding rate of the embeddings, or of learned class proxies, is kept high."""

import math
import warnings

import torch
from torch import Tensor

from clopsim.bounds.setting import number_from_zero, positive_number
from clopsim.losses.info import LossInfo
from clopsim.losses.views import (
    Views,
    at_least_float32,
    check_directions,
    check_floats,
    full_precision,
    of_class,
    stacked,
    unit_rows,
    with_labels,
)

LARGEST_EXPONENT = 80.0
"""exp(-80) = 2e-35; float32 holds nothing below exp(-103), and the gradient is smaller than the value."""


def anti_collapse(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    proxies: Tensor | None = None,
    eps: float = 0.5,
    scale: float = 1.0,
    gamma: float = 1.0,
    weight: float = 1.0,
    align: float = 0.01,
    sharpness: float = 64.0,
    margin: float = 0.1,
) -> Tensor:
    """Anti-Collapse: weight exp(-gamma R), R the coding rate of all n rows ("pair"), or of the proxies ("proxy").

        pair:  R = 1/2 log det(I + scale d/(n eps) Z'Z),        L = weight exp(-gamma R)
        proxy: R = 1/2 log det(I + scale m/(d eps) P P'),       L = align L_proxy + weight exp(-gamma R)
        L_proxy = mean over rows j   of log(1 + sum_(i: y_i  = y_j) exp(-sharpness (s_i,p(y_j) - margin)))
                + mean over proxies k of log(1 + sum_(i: y_i != k)  exp( sharpness (s_ik + margin)))

    pair: no pull of any kind; the authors add it to a pair loss, and here prototypes can pull (CLOP). proxies: the form
    of the authors' "batch_proxy", P the m proxies of classes in the batch; the first mean runs over the rows of the
    batch, so a class counts by its rows, the second over all proxies. The factor m/(d eps) is the code's, not the d/(m
    eps) of the pair form: it keeps R small enough for gamma = 1.

    Unlabelled samples (label < 0): in the pair form rows like any other, as labels are not used; left out with proxies.
    Reduction: none, R is not divided by n. A warning where gamma R can exceed 80 (pair form in d = 512: 281): there the
    gradient vanishes in float32; lower gamma.
    At complete collapse (pair): weight (1 + scale d/eps)^(-gamma/2), whatever n.
    Critical rates: clopsim.bounds.anti_collapse; complete collapse never attracts, ambient steps are stable at every
    rate.

    Source: Jiang et al., arXiv:2407.03106 (authors' code).
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views.
    proxies: (K, d), learned, normalised inside, with labels (N,) integers below K. Returns float32 or better. Raises
    ValueError for wrong shapes or options.
    """
    z, count = stacked(first, second, labels)
    if proxies is not None:
        check_floats(proxies, "proxies")
        check_directions(proxies, z, "proxies")
        proxies = unit_rows(proxies).to(z.dtype)
    return anti_collapse_of_rows(
        z,
        None if labels is None else torch.cat([labels] * count),
        proxies=proxies,
        eps=eps,
        scale=scale,
        gamma=gamma,
        weight=weight,
        align=align,
        sharpness=sharpness,
        margin=margin,
    )


def anti_collapse_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    proxies: Tensor | None = None,
    eps: float = 0.5,
    scale: float = 1.0,
    gamma: float = 1.0,
    weight: float = 1.0,
    align: float = 0.01,
    sharpness: float = 64.0,
    margin: float = 0.1,
) -> Tensor:
    """The formula of anti_collapse on unit rows z (n, d) and unit proxies (K, d), which it does not normalise.

    labels: (n,), for proxies. Errors: as anti_collapse, except for the shapes.
    """
    for name, value in (("gamma", gamma), ("weight", weight), ("align", align)):
        number_from_zero(name, value, remedy="0 leaves it out")
    if proxies is None:
        rate = coding_rate(z, eps=eps, scale=scale)
        _warn(len(z), z.shape[1], eps=eps, scale=scale, gamma=gamma)
        return weight * torch.exp(-gamma * rate)
    labels = with_labels("anti_collapse with proxies", labels)
    one_each = torch.eye(len(proxies), dtype=torch.bool, device=z.device)
    known = labels >= 0
    own = of_class(one_each, labels, "proxies") & known[:, None]  # (n, K)
    other = ~own & known[:, None]
    with full_precision(z):
        s = z @ proxies.mT  # (n, K)
    pull = _log_one_plus_sum(sharpness * (margin - s), own)  # (K,)
    push = _log_one_plus_sum(sharpness * (margin + s), other)
    aligned = (own.sum(dim=0) * pull).sum() / known.sum().clamp(min=1) + push.mean()
    present = own.any(dim=0)  # (K,)
    p = torch.where(present[:, None], proxies, 0.0)  # a row of zeros adds nothing to the determinant
    rate = _half_log_det(p, scale * present.sum() / (p.shape[1] * _positive("eps", eps)))
    return align * aligned + weight * torch.exp(-gamma * rate)


def coding_rate(z: Tensor, *, eps: float = 0.5, scale: float = 1.0) -> Tensor:
    """1/2 log det(I + scale d/(n eps) Z'Z) of rows z (n, d), a scalar: nats that code them up to an error of eps.

    Rows on a line: 1/2 log(1 + scale d/eps), the least of unit rows; most where they spread evenly over all d
    directions, d/2 log(1 + scale/eps).
    Source: Ma et al. 2007, as in arXiv:2407.03106. Errors: ValueError unless eps, scale > 0.
    """
    check_floats(z, "z")
    if z.ndim != 2 or not z.numel():
        raise ValueError(f"z must have shape (n, d), got {tuple(z.shape)}; one row for each embedding")
    n, d = z.shape
    z = at_least_float32(z)
    return _half_log_det(z, _positive("scale", scale) * d / (n * _positive("eps", eps)))


def _half_log_det(z: Tensor, factor: float | Tensor) -> Tensor:
    """1/2 log det(I + factor Z Z') from the smaller of the two matrices that have this determinant."""
    with full_precision(z):
        gram = z @ z.mT if z.shape[-2] < z.shape[-1] else z.mT @ z
    return torch.linalg.slogdet(torch.eye(len(gram), dtype=z.dtype, device=z.device) + factor * gram).logabsdet / 2


def _log_one_plus_sum(x: Tensor, mask: Tensor) -> Tensor:
    """log(1 + sum over the rows of the mask of exp(x)), (n, K) -> (K,)."""
    x = torch.where(mask, x, -torch.inf)
    return torch.logsumexp(torch.cat([x, torch.zeros_like(x[:1])]), dim=0)


def _positive(name: str, value: float) -> float:
    positive_number(name, value, remedy="the authors' code has eps = 0.5 and scale = 1")
    return value


def _warn(n: int, d: int, *, eps: float, scale: float, gamma: float) -> None:
    most = gamma * (d * math.log1p(scale / eps) if n >= d else n * math.log1p(scale * d / (n * eps))) / 2
    if most > LARGEST_EXPONENT:
        warnings.warn(
            f"anti_collapse: gamma R can reach {most:.0f} for {n} rows in {d} dimensions, where exp(-gamma R) and its "
            f"gradient vanish in float32; lower gamma to {gamma * LARGEST_EXPONENT / most:.2g}",
            stacklevel=4,
        )


INFO = LossInfo(
    anti_collapse,
    "exp(-R), R = 1/2 log det(I + d/(n e) Z'Z) of all n = 2N unit rows Z, e = 0.5",
    "none: one coding rate of all embeddings",
    "arXiv:2407.03106, authors' code: its pair form",
    cosine_only=True,
    at_collapse=lambda _, dimension, __: (1 + dimension / 0.5) ** -0.5,
    takes_temperature=False,
    written="matrix",
    of_rows=anti_collapse_of_rows,
)
