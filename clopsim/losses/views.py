"""What every loss on two views needs: checked inputs, enough precision, unit rows, cosines over the temperature."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor

from bounds.setting import one_of, positive_number

Reduction = Literal["mean", "sum"]


class PairLoss(Protocol):
    """The call form of every loss: loss(first, second, labels) -> scalar; labels may be None."""

    def __call__(self, first: Tensor, second: Tensor, labels: Tensor | None = None, /) -> Tensor:
        """first, second: (N, d) raw embeddings of the two views; labels: (N,) integers, -1 = unlabelled."""
        ...


def shown(loss: Callable[..., Tensor]) -> str:
    """A loss in words: its name, and the options that a partial sets."""
    if not isinstance(loss, partial):
        return str(getattr(loss, "__name__", type(loss).__name__))
    options = ", ".join(f"{name}={value!r}" for name, value in loss.keywords.items())
    return f"{shown(loss.func)}({options})"


def check_views(first: Tensor, second: Tensor, labels: Tensor | None = None, *, low: int = 1) -> None:
    """Raise ValueError unless first and second are (N, d) floats alike, N >= low, d >= 1, and labels (N,) integers."""
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


def check_labels(first: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless labels hold one integer for each row of first, on its device."""
    if (
        labels.shape != first.shape[:1]
        or labels.is_floating_point()
        or labels.is_complex()
        or labels.dtype == torch.bool
    ):
        raise ValueError(
            f"labels must be integers of shape {tuple(first.shape[:1])}, got {labels.dtype} of shape "
            f"{tuple(labels.shape)}; give one class for each sample, -1 for an unlabelled one"
        )
    if labels.device != first.device:
        raise ValueError(f"labels must be on {first.device} as the embeddings, got {labels.device}; move them there")


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision becomes float32: a cosine rounded to bfloat16 (4e-3) is lost beside a temperature of 0.01."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Switches autocast off for the matrix products inside: for the reason at at_least_float32."""
    device = x.device.type
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def lengths(x: Tensor, *, dim: int = -1) -> Tensor:
    """Norms along an axis, which stays with size 1, in float32 or better; infinite where too short for a direction.

    Too short is below the smallest normal number of the input dtype (6e-5 in float16), where digits are lost, and where
    the square underflows in the dtype of the computation (1e-19 in float32). The usual constant 1e-12 is 0 in float16,
    hence NaN.
    """
    smallest = torch.finfo(x.dtype).tiny
    x = at_least_float32(x)
    smallest = max(smallest, torch.finfo(x.dtype).tiny ** 0.5)
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return torch.where(norm <= smallest, torch.inf, norm)


def unit_rows(x: Tensor) -> Tensor:
    """Rows divided by their norm, in float32 or better; (..., d) -> (..., d).

    A row too short to have a direction becomes 0: its cosine to everything is 0, and it gets no gradient.
    A row that holds nan or infinity stays nan: a run that broke must not look like one at its collapse value.
    """
    return at_least_float32(x) / lengths(x)


def logits(first: Tensor, second: Tensor, temperature: float | Tensor) -> Tensor:
    """Cosines over the temperature of all 2N embeddings, (2N, 2N); rows i and i + N are the views of sample i.

    temperature: tau > 0, a number or a scalar tensor (unchecked: one for each model under vmap).
    """
    if not isinstance(temperature, Tensor):
        positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    z = unit_rows(torch.cat([first, second]))  # (2N, d)
    with full_precision(z):
        return z @ z.mT / temperature


def self_mask(square: Tensor) -> Tensor:
    """The diagonal, True: an anchor is not its own negative. (2N, 2N)."""
    return torch.eye(square.shape[-1], dtype=torch.bool, device=square.device)


def pair_mask(square: Tensor) -> Tensor:
    """True where column a is the other view of row i, a = i + N mod 2N. (2N, 2N)."""
    return self_mask(square).roll(square.shape[-1] // 2, dims=0)


def pair_logits(square: Tensor) -> Tensor:
    """The logit of every anchor with its other view, (2N,)."""
    upper = square.diagonal(offset=square.shape[-1] // 2)  # (N,); the matrix is symmetric
    return torch.cat([upper, upper])


def reduce(per_anchor: Tensor, reduction: Reduction) -> Tensor:
    """Mean or sum over the anchors."""
    one_of("reduction", reduction, ("mean", "sum"))
    return per_anchor.mean() if reduction == "mean" else per_anchor.sum()
