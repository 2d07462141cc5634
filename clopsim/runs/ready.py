"""A run is not lost at its end: what it needs there is checked before its first step, and a part that fails is named.

Imports nothing heavy by itself.
"""

import importlib
import io
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EISDIR
from pathlib import Path
from typing import Any

from clopsim.runs.executors import message

WRITERS = ("xarray", "scipy.io", "netCDF4")
"""What writes data.nc."""

JUDGES = ("sklearn.linear_model", "sklearn.neighbors")
"""What evaluates trained embeddings."""


class Remark(UserWarning):
    """Something about a result that the command line says in one line on stderr."""


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
