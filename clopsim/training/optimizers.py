"""The optimisers as pure functions of parameters, moments and gradient, so that they work under vmap."""

from collections.abc import Mapping
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
    step: int = 0,
    rate: Tensor | float,
    momentum: Tensor | float,
    weight_decay: Tensor | float,
) -> tuple[Params, Moments]:
    """The next parameters and moments; step: how many were made before this one, from rest.

    sgd, as torch.optim.SGD:    v <- beta v + g + w p,  p <- p - mu v
    lars, arXiv:1708.03888:     v <- beta v + q (g + w p),  p <- p - mu v,  q = TRUST |p|/|g + w p|;
                                parameters of one axis (biases, normalisation) have q = 1 and no decay, as in SimCLR
    adamw, as torch.optim.AdamW: m <- beta m + (1 - beta) g,  p <- (1 - mu w) p - mu m'/(sqrt(s') + EPSILON)
    """
    if optimizer == "adamw":
        return _adamw(params, moments, gradient, step=step, rate=rate, momentum=momentum, weight_decay=weight_decay)
    velocity = {}
    for name, value in params.items():
        if optimizer == "sgd":
            velocity[name] = momentum * moments.velocity[name] + gradient[name] + weight_decay * value
        elif value.ndim < 2:
            velocity[name] = momentum * moments.velocity[name] + gradient[name]
        else:
            pull = gradient[name] + weight_decay * value
            velocity[name] = momentum * moments.velocity[name] + _trust(value, pull) * pull
    return {name: value - rate * velocity[name] for name, value in params.items()}, Moments(velocity, {})


def _trust(value: Tensor, pull: Tensor) -> Tensor:
    """TRUST |p|/|pull|; 1 where either is zero."""
    length, force = (torch.linalg.vector_norm(each) for each in (value, pull))
    known = (length > 0) & (force > 0)
    return torch.where(known, TRUST * length / torch.where(known, force, 1.0), 1.0)


def _adamw(
    params: Mapping[str, Tensor],
    moments: Moments,
    gradient: Mapping[str, Tensor],
    *,
    step: int,
    rate: Tensor | float,
    momentum: Tensor | float,
    weight_decay: Tensor | float,
) -> tuple[Params, Moments]:
    mean = {name: momentum * moments.velocity[name] + (1 - momentum) * g for name, g in gradient.items()}
    squares = {name: SQUARES * moments.squares[name] + (1 - SQUARES) * g.square() for name, g in gradient.items()}
    bias, scales = 1 - momentum ** (step + 1), preconditioner(squares, step + 1)
    moved = {
        name: (1 - rate * weight_decay) * value - rate * (mean[name] / bias) / scales[name]
        for name, value in params.items()
    }
    return moved, Moments(mean, squares)


def preconditioner(
    squares: Mapping[str, Tensor], step: int, *, beta: float = SQUARES, epsilon: float = EPSILON
) -> Params:
    """What AdamW divides its step by after so many steps, >= 1: sqrt(squares / (1 - beta^step)) + epsilon."""
    return {name: (value / (1 - beta**step)).sqrt() + epsilon for name, value in squares.items()}
