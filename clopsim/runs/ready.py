"""A run is not lost at its end: what it needs there is checked before its first step, and a part that fails is named.

Imports nothing heavy by itself.
"""

import importlib
import io
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EISDIR
from pathlib import Path
from typing import Any

from clopsim.metrics import archive
from clopsim.runs.executors import Remark as Remark
from clopsim.runs.executors import message

WRITERS = ("xarray", "scipy.io", "netCDF4")
"""What writes data.nc."""

JUDGES = ("sklearn.linear_model", "sklearn.neighbors")
"""What evaluates trained embeddings."""


class PartMissing(Remark):
    """A part of a run that could not be written; the rest stands."""


def check_libraries(*names: str, picture: bool = True) -> None:
    """ValueError unless these modules can be imported and, if one is asked for, a picture can be drawn.

    A picture needs fonts and a backend too, and an environment that names a wrong one (MPLBACKEND) breaks matplotlib.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # an extension of another build raises what it likes
            raise ValueError(f"{name} cannot be imported ({message(error)}); install it before starting") from None
    if not picture:
        return
    try:
        from matplotlib.figure import Figure

        Figure(figsize=(0.1, 0.1)).savefig(io.BytesIO(), format="png")
    except Exception as error:
        raise ValueError(f"matplotlib cannot draw here ({message(error)}); mend it before starting") from None


def check_room(folder: Path, needed: int) -> None:
    """ValueError unless the disk of a folder, which need not exist yet, has so many bytes left."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        return  # a file system that does not say
    if free < needed:
        raise ValueError(
            f"out must have room for about {_size(needed)}, got {_size(free)} free at {str(there)!r}; "
            "choose another folder or free some"
        )


def check_memory(needs: Mapping[str, int]) -> None:
    """ValueError, about the field of that name, unless so many bytes, about, fit into the memory."""
    there = archive.memory()
    for name, needed in needs.items():
        if needed > there:
            raise ValueError(
                f"{name} must fit into memory, got a size that takes about {_size(needed)} of {_size(there)}; lower it"
            )


def check_file(name: str, path: Path) -> None:
    """ValueError, about the argument of that name, unless a file can be written there."""
    probe = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "Is a directory")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{name} must be writable, got {str(path)!r} ({error.strerror}); choose another place"
        ) from None


def check_folders(places: Mapping[str, Path]) -> None:
    """Make these folders, by argument; ValueError, and none of them is left, unless files can be written in all."""
    new = [each for place in places.values() for each in (place, *place.parents) if not os.path.lexists(each)]
    try:
        for name, place in places.items():
            try:
                place.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=place).close()
            except OSError as error:
                reason = f"{str(place)!r} ({error.strerror})"
                raise ValueError(f"{name} must be writable, got {reason}; choose another folder") from None
    except ValueError:
        for each in sorted(set(new), key=lambda each: -len(each.parts)):
            with suppress(OSError):
                each.rmdir()
        raise


@dataclass
class Attempt:
    """Whether a part was written."""

    done: bool = False


@contextmanager
def spared(part: str, remedy: str) -> Iterator[Attempt]:
    """Warn, in one line, where a part of a run cannot be written, and go on: the rest is worth keeping."""
    attempt = Attempt()
    try:
        yield attempt
        attempt.done = True
    except Exception as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else message(error)
        warnings.warn(f"{part} could not be written ({why}), all else is; {remedy}", PartMissing, stacklevel=3)


def finite(document: Any) -> Any:
    """Plain values as JSON can hold them: None for what is no finite number."""
    if isinstance(document, Mapping):
        return {name: finite(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [finite(value) for value in document]
    return None if isinstance(document, float) and not math.isfinite(document) else document


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
