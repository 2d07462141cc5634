"""data.nc of a sweep, written and read in parts, so that it is never in memory as a whole.

The file is classic netCDF with 64-bit offsets, which every netCDF library reads, SciPy's too. SciPy writes such files,
but holds all of it until it closes them. Cells are the slowest index, so neighbouring cells of a variable are
neighbouring bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

LARGEST = 2**32 - 4
"""Bytes that one variable of such a file may have."""

RESERVE = 2**13
"""Bytes kept free behind the header for the large variables, 400 each: beyond it each new one moves all before it."""

TYPES = {"S": "S1", "U": "S1", "i": "i4", "f": "f8"}
"""What a kind of NumPy's is stored as."""


class DataFile:
    """A new file with the small variables in their place and room for the large ones. Close it."""

    def __init__(
        self,
        path: Path,
        small: xr.Dataset,
        *,
        large: Mapping[str, tuple[tuple[str, ...], str]],
        sizes: Mapping[str, int],
        attributes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write all but the values of the large variables, whose rows come by write(); a row is what one cell has.

        small: coordinates, attributes and the small variables. large: dimensions and kind (NumPy's) of the others, the
        first three those of cells. sizes: dimensions that small lacks. attributes: of large variables, by name.
        Errors: ValueError if a variable is larger than the format allows; OSError where the disk says no.
        """
        from netCDF4 import Dataset

        lengths = {str(name): size for name, size in small.sizes.items()} | dict(sizes)
        for name, (dims, kind) in large.items():  # the library does not say
            length = prod(lengths[dim] for dim in dims) * np.dtype(TYPES[kind]).itemsize
            if length > LARGEST:
                raise ValueError(f"data.nc must have at most {LARGEST} bytes a variable, got {length} of {name}")
        self.path = path
        with self._disk():
            self.file = Dataset(path, "w", format="NETCDF3_64BIT_OFFSET")
            self.file.set_fill_off()  # every value is written
            self.file.setncatts(small.attrs | {"reserve": " " * RESERVE})
            for dim, size in lengths.items():
                self.file.createDimension(dim, size)
            for key, variable in small.variables.items():
                own = {} if key in small.coords else _coordinates(small, variable.dims)
                self._create(str(key), variable.dims, variable.dtype.kind, variable.attrs | own)
            self.file.delncattr("reserve")
            for name, (dims, kind) in large.items():
                self._create(name, dims, kind, {**(attributes or {}).get(name, {}), **_coordinates(small, dims)})
            for key, variable in small.variables.items():
                self.file[str(key)][:] = variable.values
            self.file.sync()  # says what went wrong above; if nothing did, close() is safe even where it fails

    def write(self, name: str, first: int, values: NDArray[Any]) -> None:
        """Rows of a large variable, from the cell of that number on; strings are cut or filled to their row."""
        variable = self.file[name]
        _, rates, seeds = shape = variable.shape[:3]
        if variable.dtype.kind == "S":
            values = values.astype(f"S{variable.shape[-1]}").view("S1").reshape(len(values), -1)
        while len(values):
            t, rate, seed = np.unravel_index(first, shape)
            whole = 0 if seed else min(len(values) // seeds, rates - rate)  # rates at once
            count = whole * seeds or min(len(values), seeds - seed)
            with self._disk():
                variable[t, rate : rate + (whole or 1), seed : seed + (seeds if whole else count)] = values[:count]
            values, first = values[count:], first + count

    def close(self) -> None:
        """Write what is still in the library's buffers. Errors: OSError where the disk says no."""
        with self._disk():
            self.file.close()

    def _create(self, name: str, dims: tuple[Any, ...], kind: str, attributes: Mapping[str, Any]) -> None:
        """Room for a variable, with the attributes by which its kind is decoded."""
        variable = self.file.createVariable(name, TYPES[kind], dims, fill_value=np.nan if kind == "f" else None)
        variable.setncatts({**attributes, **({"_Encoding": "utf-8"} if TYPES[kind] == "S1" else {})})
        variable.set_auto_maskandscale(False)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # the system's errors, and after those that it keeps to itself its own
            raise OSError(EIO, f"data.nc cannot be written: {error}", str(self.path)) from None


def _coordinates(small: xr.Dataset, dims: tuple[Any, ...]) -> dict[str, str]:
    """The convention by which readers know which variables are coordinates of another."""
    own = [str(name) for name in small.coords if name not in small.dims and set(small[name].dims) <= set(dims)]
    return {"coordinates": " ".join(sorted(own))} if own else {}
