"""The losses of many models at once: (members, 2N, d) embeddings -> (members,) values.

InfoNCE and DCL by their closed-form gradient, in place and member after member in the cache of a core; each of the
other losses as it is, under vmap.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from clopsim.bounds.setting import one_of
from clopsim.losses import LOSSES, LossName, by_name, prototype_term
from clopsim.losses.views import at_least_float32, lengths
from clopsim.sphere.engine import lowest_temperature
from clopsim.sphere.products import product
from clopsim.training.recipe import Distance

CACHE_BYTES = 2**20
"""Of the kernels that are computed together: they stay in the cache of a core."""

GPU_BYTES = 2**28
"""The same on any other device; a choice, not measured."""


def has_closed_form(loss: LossName, *, temperature: float, dtype: torch.dtype) -> bool:
    """Whether stacked_loss may take the closed form; temperature: the lowest of the stack."""
    return loss in ("infonce", "dcl") and temperature >= lowest_temperature(dtype)


def stacked_loss(
    embeddings: Tensor,
    labels: Tensor,
    temperature: Tensor,
    *,
    loss: LossName,
    closed_form: bool,
    directions: Tensor | None = None,
) -> Tensor:
    """losses.by_name of every member, (M,), differentiable once.

    embeddings: (M, 2N, d) raw, rows i and i + N the views of sample i; labels: (M, N); temperature: (M,); directions:
    (M, K, d) of a loss that has fixed ones. closed_form: as has_closed_form says, once for all steps, since looking at
    the temperatures makes a GPU wait.
    """
    one_of("loss", loss, tuple(LOSSES))
    if closed_form:
        u = at_least_float32(embeddings)
        return _Contrast.apply(u, temperature.to(u.dtype), loss == "dcl")  # type: ignore[no-untyped-call]

    def one(rows: Tensor, y: Tensor, tau: Tensor, vectors: Tensor | None) -> Tensor:
        first, second = rows.chunk(2)
        return by_name(loss, temperature=tau, directions=vectors)(first, second, y)

    each = (0, 0, 0, None if directions is None else 0)
    return vmap(one, in_dims=each)(embeddings, labels, temperature, directions)


def stacked_prototype_term(
    embeddings: Tensor, labels: Tensor, *, prototypes: Tensor, distance: Distance = "cosine"
) -> Tensor:
    """losses.prototype_term of every member, (M,); prototypes: (M, K, d), the rest as above."""

    def one(rows: Tensor, y: Tensor, vectors: Tensor) -> Tensor:
        first, second = rows.chunk(2)
        return prototype_term(first, second, y, prototypes=vectors, distance=distance)

    return vmap(one)(embeddings, labels, prototypes)


class _Contrast(torch.autograd.Function):
    """Mean over the anchors of log sum_a E_ia - s_ij/tau, E_ia = exp(s_ia/tau), of the unit rows z = u/|u|.

    With r_i = 1 / sum_a E_ia and E symmetric, one product gives the pull of the anchors and of the keys:

        2N tau dL/dz_i = r_i (E Z)_i + (E rZ)_i - 2 z_j(i)       from E [Z | rZ],
        dL/du_i = (dL/dz_i - z_i z_i . dL/dz_i) / |u_i|

    exp(1/tau) is far from overflow at the temperatures of has_closed_form, so no maximum is subtracted.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, tau: Tensor, decoupled: bool) -> Tensor:
        members, n, d = u.shape
        size = max(1, (CACHE_BYTES if u.device.type == "cpu" else GPU_BYTES) // (u.dtype.itemsize * n * n))
        columns = u.mT  # (M, d, n): how stacked_network leaves them in memory
        length, scale = lengths(columns, dim=1), tau[:, None, None]
        both = u.new_empty(members, 2 * d, n)  # Z and, once the sums are known, rZ
        z = torch.div(columns, length, out=both[:, :d])
        scaled, partner = z * (math.log2(math.e) / scale), z.roll(n // 2, dims=-1)
        kernel, total, sums = (
            u.new_empty(min(size, members), n, n),
            u.new_empty(members, 1, n),
            torch.empty_like(both),
        )
        for first in range(0, members, size):
            part = slice(first, min(first + size, members))
            e = kernel[: min(size, members - first)]
            product(scaled[part].mT, z[part], out=e).exp2_()
            for offset in (0, n // 2, -(n // 2)) if decoupled else (0,):
                e.diagonal(offset=offset, dim1=1, dim2=2).zero_()
            torch.sum(e, dim=1, keepdim=True, out=total[part])
            torch.div(z[part], total[part], out=both[part, d:])
            product(both[part], e, out=sums[part])
        values = total.log().mean(dim=(1, 2)) - (z * partner).sum(dim=(1, 2)) / (n * tau)
        pull = sums[:, :d].div_(total).add_(sums[:, d:]).sub_(partner, alpha=2)
        gradient = pull.sub_(z * (z * pull).sum(dim=1, keepdim=True)).div_(length.mul_(n * scale))
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * outer[0][:, None, None]).mT, None, None
