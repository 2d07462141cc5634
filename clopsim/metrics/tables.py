"""Tables of embeddings: looked through once, read in chunks of unit rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.metrics import geometry

Rows = NDArray[Any]


class Shards:
    """Rows of several tables as one, read where they lie."""

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        """parts: (n_k, ...) alike but for n_k."""
        self.parts, self.dtype = parts, parts[0].dtype
        self.ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self.ends[-1]), *parts[0].shape[1:])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
        index = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        found = np.empty((len(index), *self.shape[1:]), dtype=self.dtype)
        shard = np.searchsorted(self.ends, index, side="right")
        for k in np.unique(shard):
            here = shard == k
            found[here] = self.parts[k][index[here] - (self.ends[k] - len(self.parts[k]))]
        return found


Stored = Rows | Shards
"""A table in one piece or in many."""

CHUNK_ELEMENTS = 2**22
"""Numbers taken to float64 at once: 32 MiB."""

LARGEST_SIDE = 8192
"""The largest min(n, d) whose square matrix is held (512 MiB)."""

NAMED = 5
"""Bad rows that a message names."""


def as_rows(given: Any, name: str) -> Rows:
    """A NumPy array of whatever holds numbers: a tensor on any device, an array, lists. Errors: ValueError."""
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        if given.dtype == torch.bfloat16:  # numpy has no name for it
            return given.contiguous().view(torch.int16).numpy().view("V2")
    try:
        if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
            given = np.ma.filled(given.astype(np.promote_types(given.dtype, np.float16)), np.nan)
        return np.asarray(given)
    except (ValueError, TypeError) as error:
        why = f"{error}".splitlines()[0]
        raise ValueError(f"{name} must hold numbers, got {type(given).__name__} ({why}); give an array") from None


class Look(NamedTuple):
    """What every row is before it is used: all (n,)."""

    norms: NDArray[np.float64]
    finite: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    digest: NDArray[np.int64]  # the same for the same direction, in float32

    @property
    def good(self) -> NDArray[np.bool_]:
        """Rows that have a direction."""
        return self.finite & ~self.zero


@dataclass(frozen=True)
class Table:
    """Rows of numbers that are read as unit vectors; rows: the indices that count, in order."""

    x: Stored
    name: str
    rows: NDArray[np.int64]

    @property
    def eps(self) -> float:
        """Rounding unit of the type in which the rows are stored; 0 for whole numbers."""
        if is_bfloat16(self.x):
            return float(torch.finfo(torch.bfloat16).eps)
        return float(np.finfo(self.x.dtype).eps) if self.x.dtype.kind == "f" else 0.0

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """Unit rows in float64, piece by piece, each with its place in rows."""
        step = max(1, CHUNK_ELEMENTS // self.x.shape[1])
        for first in range(0, len(self.rows), step):
            part = slice(first, first + step)
            yield part, self.unit(part)

    def unit(self, part: slice | NDArray[np.int64]) -> Tensor:
        """Some of the rows, of length one."""
        return geometry.unit(torch.from_numpy(exact(self.x[self.rows[part]])))


def check(x: Stored, name: str) -> None:
    """Raise ValueError unless x is a table of real numbers that can be measured."""
    if x.ndim != 2 or not (x.dtype.kind in "fiu" or is_bfloat16(x)):
        raise ValueError(
            f"{name} must hold a table of real numbers, rows x dimensions, got {x.dtype} of shape {x.shape}"
        )
    if x.shape[0] < 2 or x.shape[1] < 2:
        raise ValueError(
            f"{name} must hold at least 2 rows and 2 dimensions, got shape {x.shape}; one row has no spread"
        )
    if min(x.shape) > LARGEST_SIDE:
        raise ValueError(
            f"{name} must have at most {LARGEST_SIDE} dimensions or rows, got shape {x.shape}; project it first"
        )


def look(x: Stored, on_progress: Callable[[float], None] = lambda share: None) -> Look:
    """Look once at every row; on_progress gets the share done, in [0, 1]."""
    n, d = x.shape
    norms, digest = np.empty(n), np.empty(n, dtype=np.int64)
    step = max(1, CHUNK_ELEMENTS // d)
    for first in range(0, n, step):
        part = slice(first, first + step)
        rows = exact(x[part])
        with np.errstate(all="ignore"):
            peak = np.abs(rows).max(axis=1, keepdims=True)
            scaled = rows / peak
            length = np.linalg.norm(scaled, axis=1, keepdims=True)
            norms[part] = (peak * length)[:, 0]
            norms[part][peak[:, 0] == 0] = 0
            norms[part][~np.isfinite(peak[:, 0])] = np.nan
            short = (scaled / length).astype(np.float32) + np.float32(0)  # + 0: minus zero is zero
        digest[part] = [hash(row.tobytes()) for row in short]
        on_progress(min(1.0, (first + step) / n))
    return Look(norms, ~np.isnan(norms), norms == 0, digest)


def complain(seen: Look, name: str) -> None:
    """Raise ValueError that counts and names the rows without a direction, if there are any."""
    for what, bad in (("finite", ~seen.finite), ("non-zero", seen.zero)):
        if bad.any():
            rows = np.flatnonzero(bad)
            named = ", ".join(map(str, rows[:NAMED])) + (", ..." if len(rows) > NAMED else "")
            raise ValueError(
                f"{name} must hold {what} rows, got {len(rows)} of {len(bad)} that are not: {named}; "
                "mend them, or leave bad rows out (skip_bad=True, --skip-bad)"
            )


def exact(x: Rows) -> NDArray[np.float64]:
    """In float64; bfloat16 is the upper half of a float32."""
    if is_bfloat16(x):
        x = (np.ascontiguousarray(x).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.asarray(x, dtype=np.float64)


def is_bfloat16(x: Stored) -> bool:
    """Whether these are two bytes a number that numpy has no name for, which is how bfloat16 is saved."""
    return x.dtype.kind == "V" and x.dtype.itemsize == 2 and x.dtype.names is None
