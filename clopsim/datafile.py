"""data.nc of a sweep, written and read in parts, so that it is never in memory as a whole.

The file is classic netCDF with 64-bit offsets, which every netCDF library reads: a header, then each variable as one
block of big-endian numbers. Cells are the slowest index, so neighbouring cells of a variable are neighbouring bytes.
SciPy writes such files too, but holds all of it until it closes them. Format: netCDF User's Guide, "File Format
Specifications", CDF-2.
"""

from collections.abc import Iterator, Mapping
from math import prod
from struct import pack
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

LARGEST = 2**32 - 4
"""Bytes that one variable of such a file may have."""

SLAB = 2**14
"""Values of one variable that are read at once: 128 KiB, or 1 MiB as strings."""

CODES = {"S": (2, "S1"), "U": (2, "S1"), "i": (4, ">i4"), "f": (6, ">f8")}
"""The format's number and NumPy's name of what a kind of NumPy's is stored as."""

MISSING: dict[str, dict[str, Any]] = {"S": {"_Encoding": "utf-8"}, "i": {}, "f": {"_FillValue": np.nan}}
"""Attributes by which a kind of variable is decoded."""


class Variable(NamedTuple):
    """What the header says of a variable; kind is NumPy's: "S" (characters), "i" or "f"."""

    dims: tuple[str, ...]
    kind: str
    attributes: Mapping[str, Any]


class DataFile:
    """A new file with the small variables in their place and room for the large ones."""

    def __init__(
        self,
        file: BinaryIO,
        small: xr.Dataset,
        *,
        large: Mapping[str, tuple[tuple[str, ...], str]],
        sizes: Mapping[str, int],
    ) -> None:
        """Write all but the values of the large variables, whose rows come by write(); a row is what one cell has.

        file: empty, seekable. small: coordinates, attributes and the small variables. large: dimensions and kind of the
        others, the first three those of cells. sizes: dimensions that small lacks.
        Errors: ValueError if a variable is larger than the format allows; OSError where the disk says no.
        """
        self.file = file
        lengths = {str(name): size for name, size in small.sizes.items()} | dict(sizes)
        variables = {}
        for name, variable in small.variables.items():
            dims, kind = tuple(map(str, variable.dims)), variable.dtype.kind
            at = {} if name in small.coords else _coordinates(small, dims)
            variables[str(name)] = Variable(dims, kind, variable.attrs | at | MISSING[kind])
        for name, (dims, kind) in large.items():
            variables[name] = Variable(dims, kind, _coordinates(small, dims) | MISSING[kind])
        header, self.places = _header(lengths, variables, small.attrs)
        self.rows = {name: prod(lengths[dim] for dim in dims[3:]) for name, (dims, _) in large.items()}
        self.types = {name: np.dtype(CODES[kind][1]) for name, (_, kind) in large.items()}
        file.write(header)
        file.seek(self.places[""] - 1)
        file.write(b"\0")  # now the file has its length
        for name, variable in small.variables.items():
            file.seek(self.places[str(name)])
            file.write(np.asarray(variable.values, CODES[variable.dtype.kind][1]).tobytes())

    def write(self, name: str, first: int, values: NDArray[Any]) -> None:
        """Rows of a large variable, from the cell of that number on; strings are cut or filled to their row."""
        width, dtype = self.rows[name], self.types[name]
        self.file.seek(self.places[name] + first * width * dtype.itemsize)
        stored = values.astype(f"S{width}" if dtype.kind == "S" else dtype, order="C", copy=False)
        self.file.write(stored.tobytes())


def slabs(dataset: xr.Dataset) -> Iterator[slice]:
    """Consecutive rates such that all their seeds at one temperature are about SLAB cells, one rate at least."""
    count = max(1, SLAB // dataset.sizes["seed"])
    for low in range(0, dataset.sizes["rate"], count):
        yield slice(low, low + count)


def _coordinates(small: xr.Dataset, dims: tuple[Any, ...]) -> dict[str, str]:
    """The convention by which readers know which variables are coordinates of another."""
    own = [str(name) for name in small.coords if name not in small.dims and set(small[name].dims) <= set(dims)]
    return {"coordinates": " ".join(sorted(own))} if own else {}


def _header(
    sizes: Mapping[str, int], variables: Mapping[str, Variable], attributes: Mapping[str, Any]
) -> tuple[bytes, dict[str, int]]:
    """The header, and where in the file each variable begins; under "", where the last one ends."""
    lengths = {
        name: prod(sizes[dim] for dim in one.dims) * np.dtype(CODES[one.kind][1]).itemsize
        for name, one in variables.items()
    }
    for name, length in lengths.items():
        if length > LARGEST:
            raise ValueError(f"data.nc must have at most {LARGEST} bytes a variable, got {length} of {name}")
    order = list(sizes)

    def built(places: Mapping[str, int]) -> bytes:
        entries = [
            _text(name)
            + pack(f">{1 + len(one.dims)}i", len(one.dims), *(order.index(dim) for dim in one.dims))
            + _attributes(one.attributes)
            + pack(">iIq", CODES[one.kind][0], lengths[name] + -lengths[name] % 4, places[name])
            for name, one in variables.items()
        ]
        dimensions = [_text(name) + pack(">i", size) for name, size in sizes.items()]
        return b"CDF\x02" + pack(">i", 0) + _list(10, dimensions) + _attributes(attributes) + _list(11, entries)

    place = len(built(dict.fromkeys(variables, 0)))
    places = {}
    for name, length in lengths.items():
        places[name] = place
        place += length + -length % 4
    return built(places), {**places, "": place}


def _attributes(values: Mapping[str, Any]) -> bytes:
    entries = []
    for name, value in values.items():
        if isinstance(value, str):
            entries.append(_text(name) + pack(">i", CODES["S"][0]) + _text(value))
        else:
            array = np.atleast_1d(np.asarray(value))
            code, dtype = CODES[array.dtype.kind]
            entries.append(_text(name) + pack(">ii", code, array.size) + array.astype(dtype).tobytes())
    return _list(12, entries)


def _list(tag: int, entries: list[bytes]) -> bytes:
    return pack(">ii", tag if entries else 0, len(entries)) + b"".join(entries)


def _text(text: str) -> bytes:
    raw = text.encode()
    return pack(">i", len(raw)) + raw + bytes(-len(raw) % 4)
