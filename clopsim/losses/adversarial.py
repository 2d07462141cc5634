"""Adversaries that move the embeddings: by the gradient of the loss, or by choosing among random moves."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from clopsim.bounds.setting import is_number, number_from_zero, plain, shown, whole_number
from clopsim.losses.info import LossInfo, Named
from clopsim.losses.info_nce import info_nce, info_nce_of_rows
from clopsim.losses.l_statistic import PerAnchor, check_per_anchor
from clopsim.losses.pairs import Reduction, reduced
from clopsim.losses.views import Views, check_loss, check_tensor, full_precision, stacked

Losses = Callable[[Tensor], Tensor]
"""Rows (n, d) to their losses (n,)."""


def adversarial(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    base: PerAnchor = info_nce,
    sigma: float = 0.1,
    entropy: float = 1.0,
    steps: int = 1,
    reduction: Reduction = "mean",
    **options: object,
) -> Tensor:
    """The base at the moves z + delta of an adversary who pays for leaving the noise of deviation sigma.

        L_i = l_i(z + delta) - entropy |delta_i|^2/(2 sigma^2)
        delta <- (sigma^2/entropy) d/d delta sum_i l_i(z + delta), from 0, `steps` times; rows renormalised

    Gaussian laws of deviation sigma around a mean delta, against the entropy relative to N(0, sigma^2): the largest
    expected loss plus entropy times that entropy, to leading order in sigma. A law of one point is never optimal for
    entropy > 0. Only sigma^2/entropy counts; 0 (entropy = inf) is the base. A direction of curvature c (of the sum over
    anchors) gets 1/(1/c - sigma^2/entropy) as steps grow, while c sigma^2/entropy < 1: beyond, the adversary runs away
    (c is at most about 4/tau for InfoNCE). No random number is drawn; noise is `noisy`.

    Reduction: mean over the n anchors, sum, or none: (n,).
    At complete collapse: the base's value, a stationary state as every line is.
    Critical rates: of the sum, a stable direction's falls by 2 sigma^2/entropy (clopsim.bounds.entropic_adversary).

    Source: Dong et al., arXiv:2002.05999 (ADT); a reconstruction for embeddings, ours: the authors' code moves the
    inputs inside a box, with a law that is learned in 7 sampled steps.
    first, second, labels: as the base takes them, which gets options (temperature) and reduction="none"; base: any loss
    of this package per anchor, or one of your own in that form, with second derivatives (tiled=False from 2N = 2048
    on). sigma >= 0; entropy > 0; steps >= 1, each as dear as one gradient. Raises ValueError for options out of range,
    and for a base that does not return one loss a row.

    >>> import torch, clopsim
    >>> clopsim.losses.adversarial(torch.ones(2, 3), torch.ones(2, 3))  # collapsed: log 3
    tensor(1.0986)
    """
    z, count = stacked(first, second, labels, several=True)
    return _moved(
        z, _on_views(base, count, labels, options), sigma=sigma, entropy=entropy, steps=steps, reduction=reduction
    )


def adversarial_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    base: PerAnchor = info_nce_of_rows,
    sigma: float = 0.1,
    entropy: float = 1.0,
    steps: int = 1,
    reduction: Reduction = "mean",
    **options: object,
) -> Tensor:
    """The formula of adversarial on unit rows z (V N, d), view after view; base: a formula on unit rows.

    Moves are relative to the length of a row, which a moved row keeps. Errors: as adversarial.
    """
    return _moved(z, _on_rows(base, labels, options), sigma=sigma, entropy=entropy, steps=steps, reduction=reduction)


def noisy(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    noise: Tensor | torch.Generator,
    base: PerAnchor = info_nce,
    sigma: float = 0.1,
    entropy: float = math.inf,
    draws: int = 2,
    reduction: Reduction = "mean",
    **options: object,
) -> Tensor:
    """The base at embeddings with Gaussian noise, of which an adversary may choose: one for each anchor.

        L_i = entropy log mean_s exp(l_i(z + sigma r_s)/entropy),  r_s standard normal, rows renormalised
            = max over p of sum_s p_s l_i(z + sigma r_s) + entropy (H(p) - log draws)

    entropy = inf is the mean (noise without an adversary), 0 the worst of the draws. Draws come in opposite pairs, but
    for a single one. Noise acts as the temperature tau (1 + (d - 1) sigma^2) in high dimension.

    Reduction: mean over the n anchors, sum, or none: (n,).
    At complete collapse: not stationary for given draws, so no run is stuck there; the base's value in high dimension.

    Source: Dong et al., arXiv:2002.05999 (ADT: dual of its inner maximum); a reconstruction for embeddings, ours.
    noise: a seeded generator on the embeddings' device, alike in every process of `gathered`; or the numbers
    themselves, (draws, V N, d), as vmap and compile need them. The rest as in adversarial; no second derivatives
    needed. Raises ValueError for options out of range, and for a base that does not return one loss a row.
    """
    z, count = stacked(first, second, labels, several=True)
    return _drawn(
        z,
        _on_views(base, count, labels, options),
        noise,
        sigma=sigma,
        entropy=entropy,
        draws=draws,
        reduction=reduction,
    )


def noisy_of_rows(
    z: Tensor,
    labels: Tensor | None = None,
    *,
    noise: Tensor | torch.Generator,
    base: PerAnchor = info_nce_of_rows,
    sigma: float = 0.1,
    entropy: float = math.inf,
    draws: int = 2,
    reduction: Reduction = "mean",
    **options: object,
) -> Tensor:
    """The formula of noisy on unit rows z (V N, d), view after view; base: a formula on unit rows.

    Moves are relative to the length of a row, which a moved row keeps. Errors: as noisy.
    """
    return _drawn(
        z, _on_rows(base, labels, options), noise, sigma=sigma, entropy=entropy, draws=draws, reduction=reduction
    )


def _on_views(base: PerAnchor, count: int, labels: Tensor | None, options: dict[str, object]) -> Losses:
    check_loss(base, "base")

    def losses(rows: Tensor) -> Tensor:
        views = rows.chunk(count)
        if count == 2:
            return base(views[0], views[1], labels, reduction="none", **options)
        return base(list(views), None, labels, reduction="none", **options)

    return losses


def _on_rows(base: PerAnchor, labels: Tensor | None, options: dict[str, object]) -> Losses:
    return lambda rows: base(rows, labels, reduction="none", **options)


def _moved(z: Tensor, losses: Losses, *, sigma: float, entropy: float, steps: int, reduction: Reduction) -> Tensor:
    number_from_zero("sigma", sigma, remedy="0 leaves the base loss")
    whole_number("steps", steps, low=1)
    if not (is_number(plain(entropy)) and entropy > 0):
        raise ValueError(f"entropy must be > 0, got {shown(entropy)}; without it the best move is without bound")
    reach = sigma * sigma / entropy  # ** would raise where it overflows
    if reach == 0:
        found = losses(z)
        check_per_anchor(found, len(z))
        return reduced(found, None, reduction)

    def total(delta: Tensor) -> Tensor:
        found = losses(_turned(z, delta))
        check_per_anchor(found, len(z))
        return found.sum()

    delta = torch.zeros_like(z)
    with full_precision(z):  # its backward pass runs here, where autocast would round it
        for _ in range(steps):
            delta = reach * torch.func.grad(total)(delta)
    price = delta.square().sum(dim=-1) / (2 * reach)
    return reduced(losses(_turned(z, delta)) - price, None, reduction)


def _drawn(
    z: Tensor,
    losses: Losses,
    noise: Tensor | torch.Generator,
    *,
    sigma: float,
    entropy: float,
    draws: int,
    reduction: Reduction,
) -> Tensor:
    number_from_zero("sigma", sigma, remedy="0 leaves the base loss")
    if not (is_number(plain(entropy)) and entropy >= 0):
        raise ValueError(f"entropy must be >= 0, got {shown(entropy)}; inf is noise without an adversary")
    if isinstance(noise, torch.Generator):
        whole_number("draws", draws, low=1)
        if draws > 1 and draws % 2:
            raise ValueError(f"draws must be 1 or even, got {draws}; they come in opposite pairs")
        half = torch.randn(max(1, draws // 2), *z.shape, generator=noise, dtype=z.dtype, device=z.device)
        noise = half if draws == 1 else torch.cat([half, -half])
    check_tensor(noise, "noise")
    if noise.ndim != 3 or len(noise) == 0 or noise.shape[1:] != z.shape:
        raise ValueError(
            f"noise must have shape (draws, {z.shape[0]}, {z.shape[1]}), got {tuple(noise.shape)}; "
            "torch.randn of that shape, or a torch.Generator"
        )
    found = torch.stack([losses(_turned(z, sigma * one.to(z.dtype))) for one in noise])  # (draws, n)
    check_per_anchor(found[0], len(z))
    if entropy == math.inf:
        return reduced(found.mean(dim=0), None, reduction)
    if entropy == 0:
        return reduced(found.amax(dim=0), None, reduction)
    return reduced(entropy * (torch.logsumexp(found / entropy, dim=0) - math.log(len(noise))), None, reduction)


def _turned(z: Tensor, delta: Tensor) -> Tensor:
    """z + |z| delta with the lengths of z; a row without one stays 0, cut off for the sake of second derivatives."""
    before = z.square().sum(dim=-1, keepdim=True)
    moved = z + torch.where(before == 0, 1.0, before).sqrt() * delta
    after = moved.square().sum(dim=-1, keepdim=True)
    dead = (before == 0) | (after == 0)
    ratio = torch.where(dead, 1.0, before) / torch.where(dead, 1.0, after)
    return torch.where(dead, 0.0, moved * ratio.sqrt())


INFO = LossInfo(
    Named(adversarial, tiled=False),
    "l_i(z + delta) - 50 |delta_i|^2, delta = 0.01 d/dz sum_i l_i(z), l_i the InfoNCE of anchor i",
    "mean over the 2N anchors",
    "arXiv:2002.05999, reconstruction for embeddings, without random numbers, ours",
    cosine_only=True,
    at_collapse=lambda samples, *_: math.log(2 * samples - 1),
    status="style of",
    of_rows=Named(adversarial_of_rows, tiled=False),
)
