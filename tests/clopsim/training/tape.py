"""A CUDA graph without CUDA: records the operations of a step and does them again on the same memory.

What Python did around them is not done again, so a number that a step took from the host is frozen, as in a graph.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "_linalg_svd", "_linalg_eigh"}
"""Operations for which a GPU makes the host wait."""


class Tape(TorchDispatchMode):
    """Does what it is asked and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, result))
        return result

    def play(self) -> None:
        with torch.no_grad():
            for function, args, kwargs, result in self.done:
                for old, new in zip(tree_leaves(result), tree_leaves(function(*args, **kwargs)), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():  # else a view, or in place
                        old.copy_(new)

    @property
    def waits(self) -> set[str]:
        """Names of operations that cannot be recorded."""
        names = {function.overloadpacket.__name__ for function, *_ in self.done}
        return names & WAITS


def on_tape(once: Callable[[], None], generators: object = ()) -> Callable[[], None]:
    """A recorder for replay.Replay. Errors: AssertionError for a step that waits."""
    once()  # as on_graph, which warms up
    tape = Tape()
    with tape:
        once()
    assert not tape.waits
    return tape.play
