"""Log-sum-exp of cosines in tiles, exactly, with its gradient: memory grows with the batch, not with its square.

A tile is some anchors against all keys. Forward keeps one number for each anchor; backward computes every tile again
and needs nothing of the size of the matrix. The price is one more matrix product.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from clopsim.losses.views import full_precision

TILE = 2**20
"""Cosines in a tile: 4 MiB in float32, which a core's cache bears."""

GPU_TILE = 2**23
"""The same on any other device, where small tiles are many launches; a choice, not measured."""


Mask = Callable[[Tensor, Tensor], Tensor]
"""Takes numbers of anchors (r, 1) and of keys (1, m); True at the pairs that belong to it, (r, m)."""


class Masks(NamedTuple):
    """Which pairs are outside the sum and which are positive."""

    itself: bool  # anchors are among the keys, and none is its own key
    hidden: Mask | None  # more pairs outside the sum
    positives: Mask | None
    form: Literal["out", "in"]
    numbers: Tensor | None = None  # (n,) of the anchors among the keys; None: 0 .. n - 1

    def rows(self, part: slice, like: Tensor) -> Tensor:
        """Numbers of some anchors."""
        if self.numbers is not None:
            return self.numbers[part]
        return torch.arange(part.start, part.stop, device=like.device)


def tiled_sums(anchors: Tensor, keys: Tensor, tau: Tensor, masks: Masks) -> tuple[Tensor, Tensor, Tensor]:
    """log sum over the seen keys, attraction, number of positives, (n,) each; as pairs._whole_sums, once
    differentiable."""
    found: tuple[Tensor, Tensor, Tensor] = _Sums.apply(anchors, keys, tau, masks)  # type: ignore[no-untyped-call]
    return found


def _tiles(anchors: Tensor, keys: Tensor) -> Iterator[slice]:
    n, m = len(anchors), len(keys)
    size = max(1, (TILE if anchors.device.type == "cpu" else GPU_TILE) // max(1, m))
    for first in range(0, n, size):
        yield slice(first, min(n, first + size))


def _tile(scaled: Tensor, keys: Tensor, masks: Masks, part: slice) -> tuple[Tensor, Tensor | None, Tensor]:
    """Cosines over tau of some anchors with all keys, the positive pairs, and the cosines of hidden pairs: -inf.

    Without positives the cosines are needed once only and the third is the first, changed in place.
    """
    s = scaled[part] @ keys.mT  # (r, m)
    rows = masks.rows(part, s)
    columns = torch.arange(len(keys), device=s.device)
    positives = None if masks.positives is None else masks.positives(rows[:, None], columns[None])
    seen = s if positives is None else s.clone()
    if masks.itself:
        seen[torch.arange(len(rows), device=s.device), rows] = -torch.inf
    if masks.hidden is not None:
        seen.masked_fill_(masks.hidden(rows[:, None], columns[None]), -torch.inf)
    return s, positives, seen


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(anchors: Tensor, keys: Tensor, tau: Tensor, masks: Masks) -> tuple[Tensor, Tensor, Tensor]:
        lse, pull, count = (anchors.new_zeros(len(anchors)) for _ in range(3))
        with full_precision(anchors):
            scaled = anchors / tau
            for part in _tiles(anchors, keys):
                s, positives, seen = _tile(scaled, keys, masks, part)
                if positives is not None:
                    count[part] = positives.sum(dim=-1, dtype=s.dtype)
                    if masks.form == "out":
                        pull[part] = torch.where(positives, s, 0.0).sum(dim=-1) / count[part].clamp(min=1)
                    else:
                        pull[part] = torch.logsumexp(s.masked_fill(~positives, -torch.inf), dim=-1)
                        pull[part] -= count[part].clamp(min=1).log()
                top = seen.amax(dim=-1, keepdim=True)
                top = torch.where(top == -torch.inf, 0.0, top)  # nothing is seen: log 0
                lse[part] = seen.sub_(top).exp_().sum(dim=-1).log_().add_(top.squeeze(-1))
        return lse, pull, count

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        anchors, keys, tau, ctx.masks = inputs
        lse, pull, count = output
        ctx.mark_non_differentiable(count)
        ctx.save_for_backward(anchors, keys, tau, lse, pull, count)

    @staticmethod
    def backward(ctx: Any, of_lse: Tensor, of_pull: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        anchors, keys, tau, lse, pull, count = ctx.saved_tensors
        with torch.no_grad():
            gradients = _gradients(anchors, keys, tau, lse, pull, count, of_lse, of_pull, masks=ctx.masks)
        if torch.is_grad_enabled():  # someone may differentiate again, and would get a derivative without this sum
            a, b, c = (_Once.apply(one, anchors, keys, tau) for one in gradients)  # type: ignore[no-untyped-call]
            return a, b, c, None
        return *gradients, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], anchors: Tensor, keys: Tensor, tau: Tensor, masks: Masks
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        raise ValueError("tiled must be False under torch.func.vmap, got tiles; a batch of models is small each")


def _gradients(
    anchors: Tensor,
    keys: Tensor,
    tau: Tensor,
    lse: Tensor,
    pull: Tensor,
    count: Tensor,
    of_lse: Tensor,
    of_pull: Tensor,
    *,
    masks: Masks,
) -> tuple[Tensor, Tensor, Tensor]:
    to_anchors, to_keys, to_tau = torch.zeros_like(anchors), torch.zeros_like(keys), torch.zeros_like(tau)
    nothing = lse == -torch.inf
    level, of_lse = torch.where(nothing, 0.0, lse), torch.where(nothing, 0.0, of_lse)
    with full_precision(anchors):
        scaled = anchors / tau
        for part in _tiles(anchors, keys):
            s, positives, seen = _tile(scaled, keys, masks, part)
            weight = seen.sub_(level[part, None]).exp_().mul_(of_lse[part, None])  # of every cosine over tau
            if positives is not None and masks.form == "out":
                weight += torch.where(positives, (of_pull[part] / count[part].clamp(min=1))[:, None], 0.0)
            elif positives is not None:
                among = (pull[part] + count[part].clamp(min=1).log())[:, None]
                weight += torch.where(positives, of_pull[part, None] * (s - among).exp(), 0.0)
            to_anchors[part] = weight @ keys
            to_keys += weight.mT @ scaled[part]
    to_tau = -(scaled * to_anchors).sum() / tau  # sum over pairs of weight times cosine over tau, over tau
    return to_anchors / tau, to_keys, to_tau


class _Once(torch.autograd.Function):
    """A gradient that must not be differentiated again; the inputs that it depends on stand beside it."""

    @staticmethod
    def forward(gradient: Tensor, *inputs: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError("tiled must be False for second derivatives, got tiles; they have first derivatives only")
