"""What every loss on views needs: checked inputs, enough precision, unit rows."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from clopsim.bounds.setting import is_number, plain
from clopsim.bounds.setting import shown as described

Views = Tensor | Sequence[Tensor]
"""The views of N samples: (N, d) with the other view beside it or alone, (V, N, d), or a sequence of V times (N, d)."""


class PairLoss(Protocol):
    """The call form of every loss: loss(first, second, labels) -> scalar; labels may be None."""

    def __call__(self, first: Any, second: Any, labels: Tensor | None = None, /) -> Tensor:
        """first, second: (N, d) raw embeddings of the two views, other forms where the loss takes them; labels: (N,)
        integers, below 0 = unlabelled."""
        ...


def shown(loss: Callable[..., Tensor]) -> str:
    """A loss in words: its name, and the options that a partial sets."""
    if not isinstance(loss, partial):
        return str(getattr(loss, "__name__", type(loss).__name__))
    options = ", ".join(f"{name}={described(value)}" for name, value in loss.keywords.items())
    return f"{shown(loss.func)}({options})"


def check_views(first: Tensor, second: Tensor, labels: Tensor | None = None, *, low: int = 1) -> None:
    """Raise ValueError unless first and second are (N, d) floats alike, N >= low, d >= 1, and labels (N,) integers."""
    for name, given in (("first", first), ("second", second)):
        check_tensor(given, name)
    if first.ndim != 2 or first.shape[1] == 0 or not first.is_floating_point():
        raise ValueError(
            f"first must be a float tensor of shape (N, d), got {first.dtype} of shape {tuple(first.shape)}; "
            "flatten what is behind the batch axis, and use torch.func.vmap for several models"
        )
    if second.shape != first.shape or second.dtype != first.dtype or second.device != first.device:
        raise ValueError(
            f"second must match first, got {second.dtype} of shape {tuple(second.shape)} on {second.device} "
            f"and {first.dtype} of shape {tuple(first.shape)} on {first.device}; give the two views of one batch"
        )
    if first.shape[0] < low:
        raise ValueError(f"first must have >= {low} rows, got {first.shape[0]}; raise the batch size")
    if labels is not None:
        check_labels(first, labels)


def parts(first: Views, second: Tensor | None) -> list[Tensor]:
    """The views, (N, d) each. Errors: ValueError for none, or for a second beside all of them."""
    if isinstance(first, Tensor) and second is not None:
        return [first, second]
    if isinstance(first, Tensor):
        return list(first) if first.ndim == 3 else [first]
    if not isinstance(first, list | tuple) or not all(isinstance(each, Tensor) for each in first):
        check_tensor(first, "first")
    if second is not None:
        raise ValueError("second must be left out where first holds all views, got both; give one of them")
    if not first:
        raise ValueError("first must hold at least one view, got none; give (N, d) embeddings")
    return list(first)


def stacked(
    first: Views, second: Tensor | None, labels: Tensor | None = None, *, low: int = 1, several: bool = False
) -> tuple[Tensor, int]:
    """All views as unit rows (V N, d), view after view, and their number V. Errors: ValueError as check_views.

    several: whether labels may be (N, C) of 0 and 1.
    """
    views = parts(first, second)
    for view in views:
        check_views(views[0], view, low=low)
    if labels is not None:
        check_tensor(labels, "labels")
    if labels is not None and several and labels.ndim == 2:
        check_labels(views[0], labels[:, :1].to(torch.int64).flatten())  # bool and floats of 0 and 1 will do
        if not torch.compiler.is_compiling() and not _is_binary(labels):
            raise ValueError("labels of shape (N, C) must hold 0 and 1 only, got others; 1 where sample i has label c")
    elif labels is not None:
        check_labels(views[0], labels)
    return unit_rows(torch.cat(views) if len(views) > 1 else views[0]), len(views)


def with_labels(loss: str, labels: Tensor | None) -> Tensor:
    """The labels of a loss that is nothing without them. Errors: ValueError for none."""
    if labels is None:
        raise ValueError(
            f"labels must be given for {loss}, got none; number the classes from 0, below 0 stands for unlabelled"
        )
    return labels


def check_tensor(given: object, name: str) -> None:
    """Raise ValueError unless it is a tensor: losses need its device, type and gradient."""
    if not isinstance(given, Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(given).__name__}; torch.as_tensor makes one")


def check_floats(given: object, name: str) -> None:
    """Raise ValueError unless it is a tensor of floats."""
    check_tensor(given, name)
    if isinstance(given, Tensor) and not given.is_floating_point():
        raise ValueError(f"{name} must be a float tensor, got {given.dtype}; give raw embeddings, or {name}.float()")


def check_number(given: object, name: str, *, shape: Sequence[int] = ()) -> None:
    """Raise ValueError unless it is a number, or a real tensor of one or of this shape."""
    if not isinstance(given, Tensor):
        if not is_number(plain(given)):
            raise ValueError(f"{name} must be a number, got {described(given)}; give one such as 0.5")
    elif given.is_complex() or given.dtype == torch.bool or not (given.numel() == 1 or given.shape == tuple(shape)):
        found = f"a tensor of {given.dtype} of shape {tuple(given.shape)}"
        raise ValueError(f"{name} must be a number, got {found}; give one such as 0.5")


def check_flag(given: object, name: str) -> None:
    """Raise ValueError unless it is True or False."""
    if not isinstance(given, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {described(given)}; choose one of them")


def check_loss(given: object, name: str) -> None:
    """Raise ValueError unless it can be called."""
    if not callable(given):
        kind = type(given).__name__
        raise ValueError(f"{name} must be a loss of two views and labels, got {kind}; clopsim.losses.by_name gives one")


QUEUE = "queue"
"""The third argument of a loss that, like moco, has it where the others have their labels."""


def check_call_form(loss: Callable[..., Any], name: str, *, labelled: bool = True) -> None:
    """Raise ValueError unless it can be called as loss(first, second, labels), or unlabelled as loss(first, second).

    It reads the signature: for where a loss is given, not for every step.
    """
    check_loss(loss, name)
    if isinstance(loss, type):
        made = loss.__name__
        raise ValueError(f"{name} must be a loss of two views and labels, got the class {made}; make one: {made}()")
    try:
        signature = inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss)
    except (TypeError, ValueError):  # not every callable tells
        return
    third = [*signature.parameters.values()][2:3]
    taken = third and third[0].name == QUEUE and third[0].kind is third[0].POSITIONAL_OR_KEYWORD
    if taken and (labelled or third[0].default is third[0].empty):
        raise needs_queue(loss, name)
    try:
        signature.bind(*[None] * (3 if labelled else 2))
    except TypeError as error:
        way = f"add labels=None to it, or {_wrapped(loss)}"
        if str(error).startswith("missing"):
            way = "set it with functools.partial"
        raise ValueError(
            f"{name} must be a loss of the form loss(first, second, labels=None), got {shown(loss)}: {error}; {way}"
        ) from None


def needs_queue(loss: Callable[..., Any], name: str) -> ValueError:
    """The error about a loss with a queue where one of views and labels is asked for."""
    return ValueError(
        f"{name} must be a loss of two views and labels, got {shown(loss)}, which needs a queue; "
        f"{_wrapped(loss, QUEUE)}"
    )


def _wrapped(loss: Callable[..., Any], *more: str) -> str:
    """How to make a loss of two views and labels of it."""
    while isinstance(loss, partial):
        loss = loss.func
    called = shown(loss)
    given = ", ".join(("first", "second", *more))
    return f"wrap it: lambda first, second, labels=None: {called if called.isidentifier() else 'loss'}({given})"


def check_labels(first: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless labels hold one integer for each row of first, on its device."""
    check_tensor(labels, "labels")
    if (
        labels.shape != first.shape[:1]
        or labels.is_floating_point()
        or labels.is_complex()
        or labels.dtype == torch.bool
    ):
        raise ValueError(
            f"labels must be integers of shape {tuple(first.shape[:1])}, got {labels.dtype} of shape "
            f"{tuple(labels.shape)}; give each sample its class, or a number below 0 for none, so -1 for nan"
        )
    if labels.device != first.device:
        raise ValueError(f"labels must be on {first.device} as the embeddings, got {labels.device}; move them there")


def of_class(rows: Tensor, labels: Tensor, name: str) -> Tensor:
    """rows[labels], (K, ...) -> (n, ...); any row for a label below 0. Errors: ValueError for a label >= K.

    On an accelerator and compiled it is the device's own assertion: looking at the labels would make every step wait.
    """
    try:
        return rows[labels.clamp(min=0).long()]
    except IndexError:
        raise ValueError(
            f"labels must be < {len(rows)}, the number of {name}, got a larger one; "
            f"number the classes from 0, or make more {name}"
        ) from None


def check_directions(rows: Tensor, like: Tensor, name: str, *, low: int = 1) -> None:
    """Raise ValueError unless rows are (K, d) with K >= low, their dimension and device those of the rows of like."""
    check_tensor(rows, name)
    if rows.ndim != 2 or rows.shape[1] != like.shape[-1] or len(rows) < low:
        raise ValueError(
            f"{name} must have shape (K, {like.shape[-1]}){f' with K >= {low}' if low > 1 else ''}, got "
            f"{tuple(rows.shape)}; their dimension is that of the embeddings"
        )
    if rows.device != like.device:
        raise ValueError(
            f"{name} must be on {like.device} as the embeddings, got {rows.device}; move them, or the module that "
            "holds them, there"
        )


def _is_binary(labels: Tensor) -> bool:
    return labels.device.type != "cpu" or bool(((labels == 0) | (labels == 1)).all())  # a GPU would have to wait


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision becomes float32: a cosine rounded to bfloat16 (4e-3) is lost beside a temperature of 0.01."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Switches autocast off for the matrix products inside: for the reason at at_least_float32."""
    device = x.device.type
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def lengths(x: Tensor, *, dim: int) -> Tensor:
    """Norms along an axis, which stays with size 1, in float32 or better; infinite where unit_rows is 0. No gradient.

    Sums of squares: across the rows of the memory torch's vector_norm takes thirty times as long.
    """
    scale = _scale(x, dim)
    squares = at_least_float32(x / scale).square_().sum(dim=dim, keepdim=True)
    return _but_short(squares.sqrt_(), x.dtype) * scale


def _scale(x: Tensor, dim: int) -> Tensor:
    """1, or the largest entry along an axis where its square overflows or vanishes."""
    peak = x.detach().abs().amax(dim=dim, keepdim=True)
    wide = torch.finfo(at_least_float32(peak).dtype)
    odd = (peak > (wide.max / x.shape[dim]) ** 0.5) | ((peak < wide.tiny**0.5) & (peak >= torch.finfo(x.dtype).tiny))
    return torch.where(odd, peak, 1.0)


def _but_short(norm: Tensor, dtype: torch.dtype) -> Tensor:
    """Norms of rows of a dtype, infinite where too short for a direction: below its smallest normal number (6e-5 in
    float16), where digits are lost, and where the square underflows (1e-19 in float32).

    The usual constant 1e-12 is 0 in float16, hence NaN.
    """
    smallest = max(torch.finfo(dtype).tiny, torch.finfo(norm.dtype).tiny ** 0.5)
    return torch.where(norm <= smallest, torch.inf, norm)


def unit_rows(x: Tensor) -> Tensor:
    """Rows divided by their norm, in float32 or better; (..., d) -> (..., d).

    A row too short to have a direction becomes 0: its cosine to everything is 0, and it gets no gradient.
    A row that holds nan or infinity stays nan: a run that broke must not look like one at its collapse value.
    A row whose square overflows or vanishes (entries above 1e19 or below 1e-19 in float32) is scaled first: it keeps
    its direction.
    """
    x = x / _scale(x, -1)
    rows = at_least_float32(x)
    return rows / _but_short(torch.linalg.vector_norm(rows, dim=-1, keepdim=True), x.dtype)
