"""The losses of many models at once: (members, 2N, d) embeddings -> (members,) values.

InfoNCE and DCL by their closed-form gradient, in place and member after member in the cache of a core; each of the
other losses as it is, under vmap.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from bounds.setting import one_of
from clopsim.engine import lowest_temperature
from clopsim.losses import LOSSES, LossName, by_name, prototype_term
from clopsim.losses.views import unit_rows
from clopsim.recipe import Distance

CACHE_BYTES = 2**20
"""Of the kernels that are computed together: they stay in the cache of a core."""

GPU_BYTES = 2**28
"""The same on any other device; a choice, not measured."""


def has_closed_form(loss: LossName, *, temperature: float, dtype: torch.dtype) -> bool:
    """Whether stacked_loss may take the closed form; temperature: the lowest of the stack."""
    return loss in ("infonce", "dcl") and temperature >= lowest_temperature(dtype)


def stacked_loss(
    embeddings: Tensor, labels: Tensor, temperature: Tensor, *, loss: LossName, closed_form: bool
) -> Tensor:
    """losses.by_name of every member, (M,), differentiable once.

    embeddings: (M, 2N, d) raw, rows i and i + N the views of sample i; labels: (M, N); temperature: (M,).
    closed_form: as has_closed_form says, once for all steps, since looking at the temperatures makes a GPU wait.
    """
    one_of("loss", loss, tuple(LOSSES))
    if closed_form:
        z = unit_rows(embeddings)
        return _Contrast.apply(z, temperature.to(z.dtype), loss == "dcl")  # type: ignore[no-untyped-call]

    def one(rows: Tensor, y: Tensor, tau: Tensor) -> Tensor:
        first, second = rows.chunk(2)
        return by_name(loss, temperature=tau)(first, second, y)

    return vmap(one)(embeddings, labels, temperature)


def stacked_prototype_term(
    embeddings: Tensor, labels: Tensor, *, prototypes: Tensor, distance: Distance = "cosine"
) -> Tensor:
    """losses.prototype_term of every member, (M,); prototypes: (M, K, d), the rest as above."""

    def one(rows: Tensor, y: Tensor, vectors: Tensor) -> Tensor:
        first, second = rows.chunk(2)
        return prototype_term(first, second, y, prototypes=vectors, distance=distance)

    return vmap(one)(embeddings, labels, prototypes)


class _Contrast(torch.autograd.Function):
    """Mean over the anchors of log sum_a E_ia - (s_ij - 1)/tau, E_ia = exp((s_ia - 1)/tau), of unit rows z.

    With r_i = 1 / sum_a E_ia and E symmetric, one product gives the pull of the anchors and of the keys:

        2N tau dL/dz_i = r_i (E Z)_i + (E rZ)_i - 2 z_j(i)       from E [Z | rZ]
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, tau: Tensor, decoupled: bool) -> Tensor:
        members, n, d = z.shape
        size = max(1, (CACHE_BYTES if z.device.type == "cpu" else GPU_BYTES) // (z.dtype.itemsize * n * n))
        kernel, gradient = z.new_empty(min(size, members), n, n), torch.empty_like(z)
        values = z.new_empty(members)
        for first in range(0, members, size):
            part = slice(first, min(first + size, members))
            rows, scale = z[part], math.log2(math.e) / tau[part, None, None]
            e, one = kernel[: len(rows)], torch.ones_like(rows[..., :1])
            torch.bmm(torch.cat([scale * rows, -scale * one], dim=-1), torch.cat([rows, one], dim=-1).mT, out=e)
            pairs = [e.diagonal(offset=offset, dim1=1, dim2=2) for offset in (n // 2, -(n // 2))]
            attraction = pairs[0].mean(dim=-1) * math.log(2)  # (s_ij - 1)/tau
            e.exp2_()
            e.diagonal(dim1=1, dim2=2).zero_()
            if decoupled:
                for pair in pairs:
                    pair.zero_()
            total = e.sum(dim=-1, keepdim=True)
            values[part] = total.log().mean(dim=(1, 2)) - attraction
            sums = torch.bmm(e, torch.cat([rows, rows / total], dim=-1))
            pull = sums[..., :d] / total + sums[..., d:] - 2 * rows.roll(n // 2, dims=1)
            gradient[part] = pull / (n * tau[part, None, None])
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0][:, None, None], None, None
