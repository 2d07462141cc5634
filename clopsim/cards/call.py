"""How somebody's loss is called, and what is said where it cannot be."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from clopsim.losses.views import QUEUE, needs_queue, shown

HERE = Path(__file__).parents[1]


class Broken(ValueError):
    """An error inside somebody's loss, in one plain line; short: without what was asked of it."""

    def __init__(self, error: Exception, asked: str) -> None:
        """Tell it with the line of their file, where it is one."""
        theirs = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(frame.filename)]
        place = f" in line {theirs[-1].lineno} of {theirs[-1].filename}" if theirs else ""
        why = (str(error).strip().splitlines() or [""])[0]
        self.short = f"{type(error).__name__}{place}" + (f": {why}" if why else "")
        super().__init__(f"function must be able {asked}, got {self.short}; try it on random tensors first")


def _is_theirs(file: str) -> bool:
    """Whether a file is somebody's own: not of this package, no library, no text typed in."""
    path = Path(file)
    return path.suffix == ".py" and HERE not in path.parents and "site-packages" not in path.parts


def instance(function: Callable[..., Any]) -> Callable[..., Any]:
    """A class as its object without arguments; a module in float64."""
    if isinstance(function, type):
        try:
            function = function()
        except Exception as error:
            raise Broken(error, "to be made without arguments") from None
    if isinstance(function, nn.Module):
        function = function.double()
    return function


def arguments(function: Callable[..., Any]) -> int:
    """1: takes the cosines; 2 and 3: takes two views, without and with labels."""
    target = function.forward if isinstance(function, nn.Module) else function
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        raise ValueError(
            f"function must have a signature to read, got {shown(function)}; wrap it in one of your own"
        ) from None
    kinds = inspect.Parameter
    places = [each for each in parameters if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in places if each.default is kinds.empty]
    unset = [each.name for each in parameters if each.kind is kinds.KEYWORD_ONLY and each.default is kinds.empty]
    if unset:
        raise ValueError(
            f"function must have defaults for its options, got {shown(function)} without {', '.join(unset)}; "
            "set them with functools.partial"
        )
    if any(each.kind is kinds.VAR_POSITIONAL for each in parameters) and len(places) < 2:
        return 3
    if len(needed) > 3 or not places:
        raise ValueError(
            f"function must take the cosine matrix (n, n), or (first, second, labels), got {shown(function)} with "
            f"{len(needed)} arguments; wrap it in a function that does"
        )
    named = [each.name for each in places[:3]]
    if len(needed) == 3 and named[2:3] == [QUEUE]:
        raise needs_queue(function, "function")
    if len(needed) >= 2 or named[1:2] == ["second"]:
        return 3 if len(needed) == 3 or named[2:3] == ["labels"] else 2
    return 1


def scalar(found: Any) -> Tensor:
    """The value as a float64 scalar. Errors: ValueError for what has no slope, and for more than one number."""
    if not isinstance(found, Tensor) or not found.is_floating_point():
        kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"function must return a float tensor, got {kind}; numbers of Python and NumPy have no slope")
    if found.numel() != 1:
        raise ValueError(
            f"function must return a scalar, got a tensor of shape {tuple(found.shape)}; take its mean or its sum"
        )
    return found.reshape(()).double()
