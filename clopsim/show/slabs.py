"""Read a dataset that may be larger than memory piece by piece."""

from collections.abc import Iterator

import xarray as xr

SLAB = 2**14
"""Values of one variable that are read at once: 128 KiB, or 1 MiB as strings."""


def slabs(dataset: xr.Dataset) -> Iterator[slice]:
    """Consecutive rates such that all their seeds at one temperature are about SLAB cells, one rate at least."""
    count = max(1, SLAB // dataset.sizes["seed"])
    for low in range(0, dataset.sizes["rate"], count):
        yield slice(low, low + count)
