"""Which samples and which views a training step sees: from the seed and the step alone, whatever runs beside it."""

import numpy as np
import torch
from torch import Tensor

from clopsim.training.datasets import DataSet
from clopsim.training.recipe import Training
from clopsim.training.views import two_views

BATCHES, VIEWS = 0, 1
"""Random streams of a run beside its step."""


def batch_indices(recipe: Training, samples: int, step: int) -> Tensor | None:
    """Indices (B,), on the CPU, of the samples in a step: an epoch is a random order, its last short batch dropped.

    None for the full batch.
    """
    size = recipe.batch or samples
    if size == samples:
        return None
    epoch, place = divmod(step, samples // size)
    generator = torch.Generator().manual_seed(_mixed(recipe.seed, BATCHES, epoch))
    return torch.randperm(samples, generator=generator)[place * size : (place + 1) * size]


def views_of(data: DataSet, recipe: Training, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Two views (B, ...) of a step's batch, and its indices (B,) on the data's device, or None for the full batch."""
    index = batch_indices(recipe, len(data.y), step)
    x = data.x
    if index is not None:
        index = index.to(x.device)
        x = x[index]
    generator = None
    if x.device.type != "meta":
        generator = torch.Generator(x.device).manual_seed(_mixed(recipe.seed, VIEWS, step))
    return *two_views(x, data.views, generator), index


def _mixed(*words: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
