"""Small MLPs, many at once: parameters stacked along the first axis, every layer one product over all of them."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Params = list[Tensor]
"""Weight (M, in, out) and bias (M, 1, out) of every layer in turn."""


def fresh(widths: Sequence[int], *, seeds: Sequence[int], copies: int) -> Params:
    """MLPs with PyTorch's own law of weights, one for each seed and `copies` of it: M = len(seeds) copies, seed first.

    The copies of a seed start alike, whatever other seeds there are.
    """
    parameters: Params = []
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for inputs, outputs in pairwise(widths):
        bound = 1 / math.sqrt(inputs)
        for shape in ((inputs, outputs), (1, outputs)):
            drawn = [torch.empty(shape).uniform_(-bound, bound, generator=generator) for generator in generators]
            parameters.append(torch.stack(drawn).repeat_interleave(copies, dim=0))
    return parameters


def layers(parameters: Params, x: Tensor, *, linear: int = 2) -> list[Tensor]:
    """Output of every layer (M, rows, out) for x (M, rows, in), ReLU after all but the last `linear`."""
    count, outputs = len(parameters) // 2, []
    for k in range(count):
        x = torch.baddbmm(parameters[2 * k + 1], x, parameters[2 * k])
        x = x.relu() if k < count - linear else x
        outputs.append(x)
    return outputs


def clipped(gradients: Sequence[Tensor], *, norm: float) -> list[Tensor]:
    """The gradients of every network scaled to at most this norm, network by network."""
    lengths = sum((g.flatten(1).square().sum(dim=1) for g in gradients), torch.zeros(len(gradients[0]))).sqrt()
    factor = (norm / lengths.clamp_min(1e-12)).clamp_max(1)[:, None, None]
    return [g * factor for g in gradients]


def descend(
    parameters: Params, velocity: Params, gradients: Sequence[Tensor], *, rate: Tensor, momentum: float
) -> None:
    """A step of SGD as torch.optim.SGD, in place: v <- momentum v + g, p <- p - rate v; rate: (M, 1, 1)."""
    with torch.no_grad():
        for p, v, g in zip(parameters, velocity, gradients, strict=True):
            v.mul_(momentum).add_(g)
            p.addcmul_(v, rate, value=-1)
