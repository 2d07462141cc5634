"""Many runs to their last step, without the records of a sweep."""

from collections.abc import Callable

import torch
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.sphere.dynamics import step

CHUNK_ELEMENTS = 2**20
"""Cosines held at once."""


def part_of(on_progress: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    """The progress of one of several equal parts of the work, as a share of the whole."""
    return lambda share: on_progress((number + share) / count)


def final(
    z: Tensor,
    rate: Tensor,
    tau: Tensor,
    *,
    setting: Setting,
    steps: int,
    prototypes: Tensor | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """Where the runs z (runs, n, d) are after some steps; rate, tau: (runs,); prototypes: (runs, n, d)."""
    size = max(1, CHUNK_ELEMENTS // z.shape[-2] ** 2)
    ends = []
    for first in range(0, len(z), size):
        part = slice(first, first + size)
        now, pull = z[part], None if prototypes is None else prototypes[part]
        for _ in range(steps):
            now = step(now, rate[part], tau[part], setting, prototypes=pull)
        ends.append(now)
        on_progress(min(1.0, (first + size) / len(z)))
    return torch.cat(ends)
