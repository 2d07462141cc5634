"""The optimisers as pure functions of parameters, moments and gradient, for one network or for many stacked ones.

All parameters go through one operation together (torch's foreach): a step is few launches on a GPU, not few for each.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.training.recipe import Optimizer

Params = dict[str, Tensor]

TRUST = 1e-3
"""Trust coefficient of LARS, in the code of the papers as in those of VICReg and Barlow Twins."""

SQUARES, EPSILON = 0.999, 1e-8
"""Of AdamW: beta_2 and epsilon, PyTorch's own; beta_1 is the momentum."""


class Moments(NamedTuple):
    """What an optimiser remembers, by parameter."""

    velocity: Params  # of SGD and LARS; AdamW: mean gradient
    squares: Params  # AdamW: mean squared gradient; empty for the others


def at_rest(params: Mapping[str, Tensor], optimizer: Optimizer) -> Moments:
    """The moments before the first step."""
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    return Moments(zeros, {name: value.clone() for name, value in zeros.items()} if optimizer == "adamw" else {})


def update(
    params: Mapping[str, Tensor],
    moments: Moments,
    gradient: Mapping[str, Tensor],
    *,
    optimizer: Optimizer = "sgd",
    step: Tensor | int = 0,
    rate: Tensor | float,
    momentum: float,
    weight_decay: Tensor | float,
    stacked: bool = False,
) -> tuple[Params, Moments]:
    """The next parameters and moments; step: how many were made before this one, from rest.

    sgd, as torch.optim.SGD:    v <- beta v + g + w p,  p <- p - mu v
    lars, arXiv:1708.03888:     v <- beta v + q (g + w p),  p <- p - mu v,  q = TRUST |p|/|g + w p|;
                                parameters of one axis (biases, normalisation) have q = 1 and no decay, as in SimCLR
    adamw, as torch.optim.AdamW: m <- beta m + (1 - beta) g,  s <- SQUARES s + (1 - SQUARES) g^2,
                                p <- (1 - mu w) p - mu m'/(sqrt(s') + EPSILON),
                                m' = m/(1 - beta^t) and s' = s/(1 - SQUARES^t) in step t = 1, 2, ...

    stacked: the first axis of every tensor is that of the networks; rate and weight decay are then (M,). Otherwise a
    tensor has no axis: on a GPU step and rate may be numbers that the host does not know.
    """
    names, values = list(params), list(params.values())
    slopes = [gradient[name] for name in names]
    velocity = [moments.velocity[name] for name in names]
    mu, decay = (_shaped(factor, values, stacked) for factor in (rate, weight_decay))
    if optimizer == "adamw":
        squares = [moments.squares[name] for name in names]
        mean = _sum(_times(velocity, momentum), _times(slopes, 1 - momentum))
        squares = _sum(_times(squares, SQUARES), _times(_times(slopes, slopes), 1 - SQUARES))
        bias = 1 - momentum ** (step + 1)
        scales = list(preconditioner(dict(zip(names, squares, strict=True)), step + 1).values())
        moves = torch._foreach_div(_times(_over(mean, bias), mu), scales)
        kept = _times(values, _shaped(1 - rate * weight_decay, values, stacked))
        return _named(names, torch._foreach_sub(kept, moves)), Moments(_named(names, mean), _named(names, squares))
    if optimizer == "sgd":
        velocity = _sum(_sum(_times(velocity, momentum), slopes), _times(values, decay))
    else:
        velocity = _sum(_times(velocity, momentum), _trusted(values, slopes, weight_decay, stacked))
    return _named(names, torch._foreach_sub(values, _times(velocity, mu))), Moments(_named(names, velocity), {})


Factor = Tensor | float | list[Tensor]


def _shaped(factor: Tensor | float, like: list[Tensor], stacked: bool) -> Factor:
    """A factor for all parameters; of stacked ones, if it is (M,), shaped to each."""
    if not isinstance(factor, Tensor):
        return factor
    return [factor.view(-1, *[1] * (value.ndim - 1)) for value in like] if stacked else factor.to(like[0].dtype)


def _times(tensors: list[Tensor], factor: Factor) -> list[Tensor]:
    return list(torch._foreach_mul(tensors, factor))


def _over(tensors: list[Tensor], factor: Tensor | float) -> list[Tensor]:
    scalar = factor.to(tensors[0].dtype) if isinstance(factor, Tensor) else factor
    return list(torch._foreach_div(tensors, scalar))


def _sum(tensors: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    return list(torch._foreach_add(tensors, others))


def _named(names: list[str], tensors: Iterable[Tensor]) -> Params:
    return dict(zip(names, tensors, strict=True))


def _trusted(values: list[Tensor], slopes: list[Tensor], weight_decay: Tensor | float, stacked: bool) -> list[Tensor]:
    """q (g + w p), or g of parameters of one axis."""
    decay = _shaped(weight_decay, values, stacked)
    pulls = _sum(slopes, _times(values, decay))
    axes = 2 if stacked else 1
    return [
        slope if value.ndim <= axes else _trust(value, pull, stacked) * pull
        for value, slope, pull in zip(values, slopes, pulls, strict=True)
    ]


def _trust(value: Tensor, pull: Tensor, stacked: bool) -> Tensor:
    """TRUST |p|/|pull|; 1 where either is zero."""
    axes = tuple(range(int(stacked), value.ndim))
    length, force = (torch.linalg.vector_norm(each, dim=axes, keepdim=stacked) for each in (value, pull))
    known = (length > 0) & (force > 0)
    return torch.where(known, TRUST * length / torch.where(known, force, 1.0), 1.0)


def preconditioner(
    squares: Mapping[str, Tensor], step: Tensor | int, *, beta: float = SQUARES, epsilon: float = EPSILON
) -> Params:
    """What AdamW divides its step by after so many steps, >= 1: sqrt(squares / (1 - beta^step)) + epsilon."""
    if not squares:
        return {}
    scaled = torch._foreach_sqrt(_over(list(squares.values()), 1 - beta**step))
    return _named(list(squares), torch._foreach_add(scaled, epsilon))
