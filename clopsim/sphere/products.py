"""Products of many small matrices, and the workers that make them on a CPU."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")

BY_NUMPY = frozenset({"cpu"})
"""Types of device on which NumPy makes the products: its BLAS has kernels for small ones and is up to four times as
fast there as torch.bmm."""


def prepared(left: Tensor, right: Tensor, out: Tensor) -> Callable[[], object]:
    """Writes left @ right to out when called: (M, a, b), (M, b, c), (M, a, c), without a gradient.

    On a CPU a matrix of the result is the same, bit for bit, whichever others there are.
    """
    if out.device.type in BY_NUMPY:
        return partial(np.matmul, left.detach().numpy(), right.detach().numpy(), out=out.numpy())
    return partial(torch.bmm, left, right, out=out)


def product(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """left @ right, as above, at once; where no out is given one of them may be a single matrix, (a, b) or (b, c)."""
    if left.device.type not in BY_NUMPY:
        return torch.matmul(left, right, out=out)
    there = None if out is None else out.numpy()
    with np.errstate(all="ignore"):  # as torch: what is not finite stays so
        return torch.from_numpy(np.matmul(left.detach().numpy(), right.detach().numpy(), out=there))


def dots(left: Tensor, right: Tensor) -> Tensor:
    """The sum of left * right over the last axis, which stays with size 1, without a gradient."""
    if left.device.type not in BY_NUMPY:
        return (left * right).sum(dim=-1, keepdim=True)
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.vecdot(left.detach().numpy(), right.detach().numpy()))[..., None]


def in_turn(work: Callable[[T], R], parts: Iterable[T], *, workers: int | None = None) -> list[R]:
    """work of every part, in order, by so many threads, as many as torch uses by default. Each has a single thread of
    torch's and BLAS's: a second one inside operations so small costs more than it brings.
    """
    threads = torch.get_num_threads()
    try:
        with (
            _libraries().limit(limits=1, user_api="blas"),
            ThreadPoolExecutor(workers or threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            return list(pool.map(work, parts))
    finally:
        torch.set_num_threads(threads)  # the workers' setting reaches MKL in every thread


@cache
def _libraries() -> ThreadpoolController:
    """Those loaded that have threads of their own, NumPy's among them: looking for them takes a millisecond."""
    return ThreadpoolController()
