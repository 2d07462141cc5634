"""Losses over the batch of all processes, with the gradient of the one global loss."""

from __future__ import annotations  # torch.distributed has no ProcessGroup in builds without it

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from clopsim.losses.views import PairLoss


def gathered(loss: PairLoss, group: dist.ProcessGroup | None = None) -> PairLoss:
    """The same loss over the rows of all processes of the group: the value of one process with the whole batch.

    Every process returns the global loss. Convention: backward leaves in a process's own rows W times the derivative
    of that global loss, W the number of processes, because DistributedDataParallel then averages the parameters'
    gradients over the processes and so arrives at exactly the gradient of the global loss. Whoever sums gradients
    instead divides by W first.

    Negatives, batch statistics and the number of labelled samples are global, so nothing depends on how the samples are
    spread over the processes: no loss and no weight is divided by W.

    Without an initialised process group it is the loss itself, so one script serves one process and many. Every process
    must bring the same number of rows and all of them labels or none (drop_last=True in the loader); each computes the
    whole (2WN, 2WN) matrix of a contrastive loss.

    loss: any loss of this package's call form, CLOP included (do not wrap the base too); group: None for the default.
    Not for torch.func.vmap; under torch.compile the gather is a graph break.
    """

    def over_all_processes(first: Tensor, second: Tensor, labels: Tensor | None = None, /) -> Tensor:
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(group) == 1:
            return loss(first, second, labels)
        first, second = gather_rows(first, group), gather_rows(second, group)
        return loss(first, second, None if labels is None else gather_rows(labels, group))

    return over_all_processes


def gather_rows(rows: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """Rows of all processes in the order of their ranks, (N, ...) -> (W N, ...), differentiable.

    Backward: the sum over processes of the gradients that reach this process's rows (see gathered).
    """
    return _Gather.apply(rows, group)  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group = group
        ctx.rows = rows.shape[0]
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, rows.contiguous(), group=group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()  # all_reduce works in place, and autograd may hold this tensor elsewhere
        dist.all_reduce(total, group=ctx.group)
        return total.narrow(0, dist.get_rank(ctx.group) * ctx.rows, ctx.rows), None
