"""Losses over the batch of all processes, with the gradient of the one global loss."""

from __future__ import annotations  # torch.distributed has no ProcessGroup in builds without it

import inspect
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from clopsim.bounds.setting import positive_number
from clopsim.losses.clop import CLOP
from clopsim.losses.views import PairLoss, check_call_form, check_tensor, check_views, shown

DTYPES = (
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
)  # fmt: skip
"""Those of embeddings and labels, numbered alike in every process."""


PATIENCE = 600.0
"""Seconds that the others are waited for: a process that saves or evaluates alone is not lost."""

GRACE = 5.0
"""Seconds in which whoever still waits says so, once the patience is over."""


def gathered(loss: PairLoss, group: dist.ProcessGroup | None = None, *, patience: float = PATIENCE) -> PairLoss:
    """The same loss over the rows of all processes of the group: the value of one process with the whole batch.

    Every process returns the global loss. Convention: backward leaves in a process's own rows W times the derivative
    of that global loss, W the number of processes, because DistributedDataParallel then averages the parameters'
    gradients over the processes and so arrives at exactly the gradient of the global loss. Whoever sums gradients
    instead divides by W first.

    Negatives, batch statistics and the number of labelled samples are global, so nothing depends on how the samples are
    spread over the processes: no loss and no weight is divided by W, and a last batch of unequal shares, even an empty
    one, is as good as any other.

    Without an initialised process group it is the loss itself, so one script serves one process and many. Every process
    must bring the same dimension and dtypes, and all of them labels or none: ValueError in each otherwise. The shares
    are gathered first and read, for which a GPU waits. TimeoutError names the processes that have not come after
    `patience` seconds (600), frozen or elsewhere in their script; the group's own timeout must be longer.

    A loss that takes anchors (infonce, supcon, dcl, clip, fedrcl, sscl, alone or as the base of CLOP) is computed in
    shares: each process its own 2N anchors against all 2WN keys, whole or in tiles. Any other is computed whole by
    every process.

    loss: any loss of this package's call form, CLOP included (do not wrap the base too); group: None for the default.
    Errors: ValueError for a patience that is no number > 0.
    Not for torch.func.vmap; under torch.compile the gather is a graph break.
    """

    check_call_form(loss, "loss")
    positive_number("patience", patience, remedy="600 seconds are usual")

    def over_all_processes(first: Tensor, second: Tensor, labels: Tensor | None = None, /) -> Tensor:
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(group) == 1:
            return loss(first, second, labels)
        check_views(first, second, labels, low=0)
        shares = _shares(first, labels, group, patience)
        first, second = (_gathered_rows(view, shares, group) for view in (first, second))
        labels = None if labels is None else _gathered_rows(labels, shares, group)
        base = loss.base if isinstance(loss, CLOP) else loss
        if not _takes_anchors(base):
            return loss(first, second, labels)
        mine = torch.arange(shares[rank := dist.get_rank(group)], device=first.device) + sum(shares[:rank])
        part = base(first, second, labels, anchors=torch.cat([mine, mine + sum(shares)]))  # type: ignore[call-arg]
        value: Tensor = _Total.apply(part, group)  # type: ignore[no-untyped-call]
        return loss.with_prototypes(value, first, second, labels) if isinstance(loss, CLOP) else value

    over_all_processes.__name__ = f"gathered({shown(loss)})"
    return over_all_processes


def gather_rows(rows: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """Rows of all processes in the order of their ranks, (N_r, ...) -> (sum of N_r, ...), differentiable.

    Backward: the sum over processes of the gradients that reach this process's rows (see gathered).
    """
    check_tensor(rows, "rows")
    return _gathered_rows(rows, _shares(rows, None, group, PATIENCE), group)


def _shares(rows: Tensor, labels: Tensor | None, group: dist.ProcessGroup | None, patience: float) -> list[int]:
    """Number of rows of every process. A collective that does not fit hangs or mixes rows up, so look before."""
    kinds = [-1 if each is None else DTYPES.index(each.dtype) for each in (rows, labels)]
    mine = torch.tensor([len(rows), rows.shape[1:].numel(), labels is not None, *kinds], device=rows.device)
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    began = time.monotonic()
    try:
        dist.all_gather(parts, mine, group=group, async_op=True).wait(timedelta(seconds=patience))
    except RuntimeError as error:
        if time.monotonic() - began < patience:
            raise
        raise TimeoutError(_missing(group, patience)) from error
    shares, dimensions, labelled, of_rows, of_labels = torch.stack(parts).T.tolist()
    if len(set(dimensions)) > 1:
        raise ValueError(f"first must have one dimension in all processes, got {dimensions}; use one embedder in all")
    if len(set(labelled)) > 1:
        given = ["labels" if each else "none" for each in labelled]
        raise ValueError(
            f"labels must be given in all processes or in none, got {given}; numbers below 0 stand for unlabelled"
        )
    for name, found in (("first", of_rows), ("labels", of_labels)):
        if len(set(found)) > 1:
            dtypes = [str(DTYPES[each]) for each in found]
            raise ValueError(f"{name} must have one dtype in all processes, got {dtypes}; use one precision in all")
    return shares


def _missing(group: dist.ProcessGroup | None, patience: float) -> str:
    """Who has not come: whoever waits says so in the store by which the processes met, and reads who else did."""
    ranks = dist.get_process_group_ranks(dist.group.WORLD if group is None else group)
    late = []
    with suppress(AttributeError, RuntimeError):  # whoever keeps the store is frozen
        store = dist.distributed_c10d._get_default_store()
        store.set_timeout(timedelta(seconds=GRACE))
        store.set(f"clopsim/waits/{dist.get_rank()}", "")
        time.sleep(GRACE)
        late = [rank for rank in ranks if not store.check([f"clopsim/waits/{rank}"])]
    who = f"process {', '.join(map(str, late))}" if late else "a process, perhaps the one that keeps the store,"
    return f"{who} of {len(ranks)} did not come to the loss within {patience:g} s; see what it does there"


def _gathered_rows(rows: Tensor, shares: list[int], group: dist.ProcessGroup | None) -> Tensor:
    return _Gather.apply(rows, shares, group)  # type: ignore[no-untyped-call]


def _takes_anchors(loss: PairLoss) -> bool:
    """Whether a loss adds up from parts of the anchors."""
    try:
        options = inspect.signature(loss).parameters
    except (TypeError, ValueError):  # not every callable tells
        return False
    return "anchors" in options and not ("reduction" in options and options["reduction"].default == "none")


class _Total(torch.autograd.Function):
    """Sum over the processes. Every process's value depends on every part, so its adjoint is the same sum."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group = group
        total = part.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        own: Tensor = _Total.apply(gradients[0], ctx.group)  # type: ignore[no-untyped-call]
        return own, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, shares: list[int], group: dist.ProcessGroup | None) -> Tensor:
        ctx.shares, ctx.group = shares, group
        sent = rows.new_zeros(max(shares), *rows.shape[1:])  # a collective wants equal shapes
        sent[: len(rows)] = rows
        parts = [torch.empty_like(sent) for _ in shares]
        dist.all_gather(parts, sent, group=group)
        return torch.cat([part[:share] for part, share in zip(parts, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        own: Tensor = _SumOfOwn.apply(gradients[0], ctx.shares, ctx.group)  # type: ignore[no-untyped-call]
        return own, None, None


class _SumOfOwn(torch.autograd.Function):
    """The rows of this process in the sum over processes: the adjoint of _Gather, and the other way round, so that
    gradients of gradients are those of the global loss."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, shares: list[int], group: dist.ProcessGroup | None) -> Tensor:
        ctx.shares, ctx.group = shares, group
        total = rows.clone()  # all_reduce works in place, and autograd may hold this tensor elsewhere
        dist.all_reduce(total, group=group)
        rank = dist.get_rank(group)
        return total.narrow(0, sum(shares[:rank]), shares[rank])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _gathered_rows(gradients[0], ctx.shares, ctx.group), None, None
