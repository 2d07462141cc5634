"""An .npz that somebody else made: the size of every array is known before any is allocated. Imports no torch."""

import io
import math
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
"""Of compression, that Python can undo."""


def names(file: Path) -> list[str]:
    """The arrays in the file. Errors: as of read."""
    with _opened(file) as archive:
        return list(_entries(archive))


def read(file: "Path | io.BytesIO", *wanted: str) -> dict[str, NDArray[Any]]:
    """The arrays of these names, those of them that there are; without names all.

    Errors: ValueError, in words of the file alone, for what is damaged, encrypted, compressed by an unknown method, of
    objects, larger than it says or than the memory; OSError.
    """
    try:
        with _opened(file) as archive:
            entries = {name: info for name, info in _entries(archive).items() if not wanted or name in wanted}
            check_size(sum(_size(archive, info) for info in entries.values()))
            found = {}
            for name, info in entries.items():
                with archive.open(info) as entry:
                    found[name] = np.lib.format.read_array(entry, allow_pickle=False)
                    entry.read()  # to its end, where the checksum is compared
            return found
    except (OSError, ValueError):
        raise
    except Exception as error:  # whatever zipfile and the methods of compression find wrong
        raise ValueError(f"{error}".split("\n")[0] or "damaged") from None


def memory() -> int:
    """Bytes of memory that this process may have in all; a very large number where the system does not say."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return sys.maxsize
    try:
        return min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))  # of a container
    except (OSError, ValueError):
        return found


def check_size(count: int) -> None:
    """ValueError, in words of a file alone, unless so many bytes may be allocated."""
    if count > memory() // 2:
        raise ValueError(f"{count / 1e9:.3g} GB unpacked, more than half of the memory")


def _opened(file: "Path | io.BytesIO") -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError):
        if isinstance(file, Path):
            with file.open("rb") as start:
                if start.read(6) == np.lib.format.MAGIC_PREFIX:
                    raise ValueError("a single array") from None
        raise ValueError("no archive, or a damaged one") from None


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    for name, info in found.items():
        if info.flag_bits & 1:
            raise ValueError(f"{name!r} is encrypted")
        if info.compress_type not in METHODS:
            raise ValueError(f"{name!r} is compressed by an unknown method")
    return found


def _size(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Bytes of an array, as its header says and as the archive does."""
    with archive.open(info) as entry:
        first = np.lib.format.read_magic(entry) == (1, 0)
        read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(entry)
        if dtype.hasobject:
            raise ValueError("an array of Python objects")
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or entry.tell() + size != info.file_size:
            raise ValueError(f"{info.filename!r} is not as large as its header says")
    return size
