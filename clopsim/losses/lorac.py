"""LORAC: InfoNCE whose positive logit is lowered by the nuclear norm of all views of the sample."""

import math
from typing import Literal

import torch
from torch import Tensor

from clopsim.bounds.setting import number_from_zero, one_of, positive_number
from clopsim.losses.info import LossInfo
from clopsim.losses.pairs import Reduction, per_anchor, reduced
from clopsim.losses.positives import same_sample
from clopsim.losses.views import Views, check_flag, full_precision, stacked

PriorForm = Literal["matrix", "cosine"]

ROUNDING = 16
"""Units of rounding below which a singular value is 0: it has no slope there, so a line stays one."""


def lorac(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 1.0,
    beta: float = 15.0,
    smoothing: float = 0.0,
    prior: bool = True,
    switch_temperature: bool = False,
    written: PriorForm = "matrix",
    reduction: Reduction = "mean",
    tiled: bool | None = None,
) -> Tensor:
    """LORAC: the views of a sample, the more dimensions they span, count the less alike.

        L_i = -psi_i/tau + log [ exp(psi_i/tau) + sum_(a != i, j) exp(s_ia/tau) ],   psi_i = s_ij - nu_i/beta
        nu_i = sum of sqrt(sigma^2 + delta) over the singular values sigma of the views of the sample, unit rows

    delta = smoothing; at 0 nu is the nuclear norm: sqrt(1 + c) + sqrt(1 - c) for two views at cosine c. It is least
    where they agree, and where they are opposite. With V views: a softmax for each of the V - 1 positives of an anchor,
    of which the mean counts, and one nu for all V.

    temperature: the authors' code has tau = 0.2 in the first half of training, without the prior, and none (tau = 1)
    once the prior is on. switch_temperature does that: prior=False takes the temperature, prior=True tau = 1. Without
    it every run keeps its temperature. prior=False is info_nce for two views.

    Where the views of a sample agree, or are opposite, nu has a kink; its slope counts as 0 there (one of its
    subgradients). So runs never settle there: give smoothing > 0, say 0.01, for a smooth loss.

    written, for ambient steps (the loss and its tangent steps are the same): "matrix", singular values of the rows,
    whose slope is bounded, or "cosine", sqrt(1 + c + delta) + sqrt(1 - c + delta), two views alone, whose radial part
    grows without bound as views align.

    Reduction: mean over the V N anchors, sum, or none: (V N,), view after view.
    At complete collapse: log(1 + (2N - 2) exp(sqrt(2)/(beta tau))), two views, smoothing 0. With N = 1 it is 0.
    Critical rates: the views never align at a finite rate; below clopsim.bounds.lorac_swap's rate they swap at an angle
    that is proportional to it. Smoothed, at collapse and on the antipodal line: clopsim.bounds.lorac_collapse,
    lorac_line (T35, ours).

    Source: Wang et al., arXiv:2108.02696; authors' code, here with both views as anchors and keys, no queue.
    first, second: (N, d) raw embeddings, normalised inside, or first alone as (V, N, d) or a list of V >= 2 views;
    labels are not used; beta > 0, smoothing >= 0; tiled: as in info_nce. Returns float32 or better. Raises ValueError
    for wrong shapes, options out of range, and the cosine form of more than two views.

    >>> import torch, clopsim
    >>> clopsim.losses.lorac(torch.ones(2, 3), torch.ones(2, 3), prior=False)  # collapsed: log 3
    tensor(1.0986)
    """
    z, count = stacked(first, second, labels)
    return lorac_of_rows(
        z,
        temperature=temperature,
        beta=beta,
        smoothing=smoothing,
        prior=prior,
        switch_temperature=switch_temperature,
        written=written,
        reduction=reduction,
        tiled=tiled,
        views=count,
    )


def lorac_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 1.0,
    beta: float = 15.0,
    smoothing: float = 0.0,
    prior: bool = True,
    switch_temperature: bool = False,
    written: PriorForm = "matrix",
    reduction: Reduction = "mean",
    tiled: bool | None = None,
    views: int = 2,
) -> Tensor:
    """The formula of lorac on unit rows z (V N, d), view after view, which it does not normalise.

    Errors: as lorac, except for the shapes of views.
    """
    positive_number("beta", beta, remedy="the authors take 15; prior=False leaves the prior out")
    number_from_zero("smoothing", smoothing, remedy="0 is the nuclear norm itself")
    one_of("written", written, ("matrix", "cosine"))
    check_flag(prior, "prior")
    check_flag(switch_temperature, "switch_temperature")
    if views < 2 or (written == "cosine" and views > 2):
        wanted = "two views in the cosine form" if written == "cosine" else "at least two views"
        raise ValueError(f"first must hold {wanted}, got {views}; another view is the only positive")
    tau = 1.0 if prior and switch_temperature else temperature
    others, _ = per_anchor(
        z,
        z,
        temperature=tau,
        itself=True,
        hidden=same_sample(len(z) // views),
        attraction=torch.zeros_like(z),
        tiled=tiled,
    )  # log sum over the negatives alone
    if isinstance(tau, Tensor):
        tau = tau.to(z.dtype)
    by_view = z.reshape(views, -1, z.shape[-1])  # (V, N, d)
    cost = _norms(by_view, smoothing, written) / beta if prior else 0.0
    total = torch.zeros_like(others)
    for shift in range(1, views):  # the positive, in turn each of the other views
        psi = (by_view * by_view.roll(shift, dims=0)).sum(dim=-1) - cost  # (V, N)
        x = others - psi.flatten() / tau
        total = total + torch.logaddexp(x, torch.zeros_like(x))
    return reduced(total / (views - 1), None, reduction)


def _norms(z: Tensor, smoothing: float, written: PriorForm) -> Tensor:
    """nu of every sample, (V, N, d) -> (N,)."""
    rounding = ROUNDING * torch.finfo(z.dtype).eps
    if len(z) > 2:
        rows = z.transpose(0, 1)  # (N, V, d)
        with full_precision(z):
            squares = torch.linalg.eigvalsh(rows @ rows.mT)
        return _root(squares + smoothing, len(z) * rounding).sum(dim=-1)
    a, b = z
    if written == "cosine":
        c = (a * b).sum(dim=-1)
        return _root(1 + c + smoothing, rounding) + _root(1 - c + smoothing, rounding)
    # |a +- b|^2/2 have the values and the slopes of the squared singular values at unit rows, free of cancellation
    plus, minus = ((a + sign * b).square().sum(dim=-1) / 2 for sign in (1, -1))
    return _root(plus + smoothing, rounding**2) + _root(minus + smoothing, rounding**2)


def _root(x: Tensor, nothing: float) -> Tensor:
    """sqrt where x is above rounding; 0 with slope 0 elsewhere."""
    some = x > nothing
    return torch.where(some, torch.where(some, x, 1.0).sqrt(), 0.0)


INFO = LossInfo(
    lorac,
    "-psi/tau + log [exp(psi/tau) + sum_(a != i, j) exp(s_ia/tau)], psi = s_ij - nu/15, nu the nuclear norm of the "
    "views of the sample",
    "mean over the 2N anchors",
    "arXiv:2108.02696, authors' code with one batch in the place of its queues",
    cosine_only=True,
    at_collapse=lambda samples, *_: math.log1p((2 * samples - 2) * math.exp(math.sqrt(2) / 15)),
    written="matrix",
    of_rows=lorac_of_rows,
)
