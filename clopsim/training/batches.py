"""Which samples and which views a training step sees: from the seed and the step alone, whatever runs beside it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clopsim.training.datasets import DataSet
from clopsim.training.recipe import Training
from clopsim.training.views import two_views

BATCHES, VIEWS = 0, 1
"""Random streams of a run beside its step."""


class Draw(NamedTuple):
    """What chance decides in a step."""

    samples: Tensor | None  # (B,) indices, on the data's device; None: all of them
    generator: torch.Generator | None  # of the views; None on the meta device


def batch_indices(recipe: Training, samples: int, steps: range) -> Tensor | None:
    """Indices (len(steps), B), on the CPU, of the samples in consecutive steps; None for the full batch.

    An epoch is a random order, its last short batch dropped.
    """
    size = recipe.batch or samples
    if size == samples:
        return None
    length = samples // size
    first, last = steps[0] // length, steps[-1] // length
    orders = []
    for epoch in range(first, last + 1):
        generator = torch.Generator().manual_seed(_mixed(recipe.seed, BATCHES, epoch))
        orders.append(torch.randperm(samples, generator=generator)[: length * size].view(length, size))
    return torch.cat(orders)[steps[0] - first * length : steps[-1] + 1 - first * length]


def view_seed(recipe: Training, step: int) -> int:
    """The seed of a step's views."""
    return _mixed(recipe.seed, VIEWS, step)


def draw(data: DataSet, recipe: Training, step: int) -> Draw:
    """What chance decides in a step of a recipe."""
    device, index = data.y.device, batch_indices(recipe, len(data.y), range(step, step + 1))
    generator = None if device.type == "meta" else torch.Generator(device).manual_seed(view_seed(recipe, step))
    return Draw(None if index is None else index[0].to(device), generator)


def drawn_views(data: DataSet, drawn: Draw) -> tuple[Tensor, Tensor]:
    """The two views (B, ...) of a draw's samples."""
    x = data.x if drawn.samples is None else data.x[drawn.samples]
    return two_views(x, data.views, drawn.generator)


def views_of(data: DataSet, recipe: Training, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Two views (B, ...) of a step's batch, and its indices (B,) on the data's device, or None for the full batch."""
    drawn = draw(data, recipe, step)
    return *drawn_views(data, drawn), drawn.samples


def _mixed(*words: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
