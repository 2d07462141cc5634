"""Two tables of embeddings in one space, such as two towers or two checkpoints: how far apart they lie."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.metrics.tables import Stored, Table


class Apart(NamedTuple):
    """How two tables of unit rows lie to each other; None where their shapes do not allow the question."""

    modality_gap: float | None  # length of the difference of the mean rows, in [0, 2]
    paired_cosine: float | None  # mean cosine of row i of one with row i of the other, in [-1, 1]


def apart(first: Stored, second: Stored, rows: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Apart:
    """Of tables (n, d) and (m, d), normalised first; rows: those of each that have a direction.

    Source: the modality gap of Liang et al., arXiv:2203.02053, section 4.
    """
    if first.shape[1] != second.shape[1]:
        return Apart(None, None)
    gap = float((_mean(Table(first, "file", rows[0])) - _mean(Table(second, "file", rows[1]))).norm())
    if len(first) != len(second):
        return Apart(gap, None)
    both = np.intersect1d(*rows, assume_unique=True)
    pairs = zip(Table(first, "file", both).chunks(), Table(second, "file", both).chunks(), strict=True)
    cosine = sum(float((z * other).sum()) for (_, z), (_, other) in pairs)
    return Apart(gap, cosine / len(both) if len(both) else None)


def _mean(table: Table) -> Tensor:
    total = torch.zeros(table.x.shape[1], dtype=torch.float64)
    for _, z in table.chunks():
        total += z.sum(dim=0)
    return total / len(table.rows)
