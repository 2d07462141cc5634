"""Embeddings as they lie on disk: the array in a file, or in many shards, read by the library that owns the format.

Nothing stored is ever run: no pickle of objects is loaded. What can be mapped is mapped, not read.
"""

import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from glob import glob, has_magic
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clopsim.metrics import archive
from clopsim.metrics.tables import Rows, Shards, Stored, as_rows

NAMED = 12
"""Keys or columns that a message names."""


class Missing(KeyError):
    """A key that a file does not hold."""


def load(place: Path, *, key: str | None = None, name: str = "file", beside: Sequence[str] = ()) -> Stored:
    """The array in a file, or in all files of a folder or a pattern as one, in the natural order of their names.

    place: .npy, .npz, .pt or .pth (tensors), .safetensors, .csv, .parquet; a folder of such files, or a pattern such
    as shard_*.npy. key: which array or column (csv: the beginning of the columns' names); by default the only one, else
    z or embeddings. beside: keys that are something else, such as labels. Errors: ValueError that begins with name, in
    one line.
    """
    shown = str(place)
    if not place.exists() and has_magic(shown):
        found = sorted((Path(each) for each in glob(shown)), key=_natural)
        if not found:
            raise ValueError(f"{name} must match at least one file, got {shown!r}; check the pattern")
        return _shards(found, key, name, beside, shown)
    if place.is_dir() and place.suffix.lower() not in READERS:
        found = sorted((each for each in place.iterdir() if each.suffix.lower() in READERS), key=_natural)
        if not found:
            raise ValueError(f"{name} must hold files that end in {_endings()}, got the folder {shown!r} without any")
        return _shards(found, key, name, beside, shown)
    return _one(place, key, name, beside)


def is_place(given: str | Path) -> bool:
    """Whether an argument names a file, a folder or a pattern, not a key."""
    return isinstance(given, Path) or Path(given).suffix.lower() in READERS or has_magic(given) or Path(given).is_dir()


def has_keys(place: Path) -> bool:
    """Whether what lies there may hold labels beside the embeddings."""
    return place.suffix.lower() != ".npy"


def norms_beside(file: Path) -> Rows | None:
    """The array norm of an .npz, such as a training writes beside unit rows; None where there is none of numbers."""
    if file.suffix.lower() != ".npz" or not file.is_file():
        return None
    try:
        found = archive.read(file, NORM).get(NORM)
    except ValueError:
        return None
    return found if found is not None and found.dtype.kind in "fiu" else None


def _shards(files: Sequence[Path], key: str | None, name: str, beside: Sequence[str], shown: str) -> Stored:
    endings = {each.suffix.lower() for each in files}
    if len(endings) > 1 or not endings <= set(READERS):
        raise ValueError(
            f"{name} must name files of one kind ({_endings()}), got {shown!r} with {', '.join(sorted(endings))}; "
            "narrow the pattern"
        )
    parts = _alike([_one(each, key, name, beside) for each in files])
    for each, part in zip(files, parts, strict=True):
        if part.ndim == 0 or (part.shape[1:], part.dtype) != (parts[0].shape[1:], parts[0].dtype):
            raise ValueError(
                f"{name} must name shards alike, got {part.dtype} of shape {part.shape} in {each.name!r} beside "
                f"{parts[0].dtype} of shape {parts[0].shape} in {files[0].name!r}; narrow the pattern"
            )
    return parts[0] if len(parts) == 1 else Shards(parts)


def _alike(parts: list[Rows]) -> list[Rows]:
    """Labels of one type: a word may be longer in another shard, and a column with gaps holds floats."""
    if any(part.ndim != 1 for part in parts) or len({part.dtype.kind in "iufb" for part in parts}) > 1:
        return parts
    shared = np.result_type(*(part.dtype for part in parts))
    return [part.astype(shared, copy=False) for part in parts]


def _one(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    shown = str(file)
    read = READERS.get(file.suffix.lower())
    if read is None:
        raise ValueError(
            f"{name} must end in {_endings()}, or be a folder of such files, got {shown!r}; save it as one of them"
        )
    try:
        if not file.exists():
            raise FileNotFoundError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(file, key, name, beside)
    except Missing as error:
        raise ValueError(error.args[0]) from None
    except FileNotFoundError:
        raise ValueError(f"{name} must exist, got {shown!r}; check the path") from None
    except OSError as error:
        raise ValueError(f"{name} must be readable, got {shown!r} ({error.strerror or error}); check it") from None
    except Exception as error:  # whatever a library finds wrong in a file
        why = f"{error}".splitlines()[0].rstrip(".") if f"{error}" else "damaged"
        if isinstance(error, pickle.UnpicklingError | KeyError | EOFError | IndexError):
            why = "not what its ending says, damaged, or holding more than numbers"
        raise ValueError(
            f"{name} must hold plain numbers (pickles are never loaded), got {shown!r} ({why[:120]}); save numbers"
        ) from None


def _npy(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    if key is not None:
        raise Missing(f"key must be left out for a .npy file, got {key!r}; {str(file)!r} holds one array")
    with file.open("rb") as start:
        magic = start.read(6)
    if magic[:2] == b"PK":
        raise ValueError("an archive; name it .npz")
    if magic != np.lib.format.MAGIC_PREFIX:
        raise ValueError("no .npy file, whatever its name says")
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _npz(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    chosen = _chosen(archive.names(file), key, file, name, beside)
    return archive.read(file, chosen)[chosen]


def _torch(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    stored = torch.load(file, map_location="cpu", weights_only=True)
    if isinstance(stored, torch.Tensor):
        if key is not None:
            raise Missing(f"key must be left out where {str(file)!r} holds one tensor, got {key!r}")
        return _tensor(stored, name)
    if not isinstance(stored, Mapping):
        raise ValueError(f"a {type(stored).__name__}, neither a tensor nor a dictionary of tensors")
    named = {str(each): value for each, value in stored.items()}
    if key is not None and isinstance(named.get(key), list):  # of words or numbers, such as labels
        return np.asarray(named[key])
    tensors = {each: value for each, value in named.items() if isinstance(value, torch.Tensor)}
    nested = [each for each, value in named.items() if isinstance(value, Mapping)]
    if nested and not tensors:
        raise Missing(
            f"{name} must hold a tensor or a dictionary of them, got {str(file)!r} with dictionaries in it "
            f"({_few(nested)}), as a checkpoint has; save the embeddings, as in torch.save(z, 'z.pt')"
        )
    return _tensor(tensors[_chosen(list(tensors), key, file, name, beside)], name)


def _tensor(tensor: torch.Tensor, name: str) -> Rows:
    try:
        return as_rows(tensor, name)
    except ValueError as error:
        raise Missing(f"{error}") from None


def _safetensors(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    _need("safetensors", file, name)
    from safetensors import safe_open

    with safe_open(file, framework="pt") as stored:
        return _tensor(stored.get_tensor(_chosen(list(stored.keys()), key, file, name, beside)), name)


def _csv(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    import pandas as pd

    form = _form(file)
    first = pd.read_csv(file, header=None, nrows=1, **form)
    bare = all(pd.api.types.is_numeric_dtype(dtype) for dtype in first.dtypes)
    counted = first.iloc[0].tolist()
    numbered = len(counted) > 2 and counted in (list(range(len(counted))), [*counted[:1], *range(len(counted) - 1)])
    bare = bare and not numbered  # a line 0, 1, 2, ... counts the columns, as tables without names are written
    table = pd.read_csv(file, header=None if bare else 0, **form)
    nameless = str(table.columns[0]).startswith("Unnamed") and not pd.api.types.is_float_dtype(table.iloc[:, 0])
    if nameless:  # an index
        table = table.iloc[:, 1:]
    if bare and key is not None:
        raise Missing(f"key must be left out for a .csv file without a line of names, got {key!r}")
    table.columns = [str(each) for each in table.columns]
    return _columns({each: table[each].to_numpy() for each in table}, key, file, name, beside)


def _form(file: Path) -> dict[str, Any]:
    """What separates the columns, and what the fractions: commas and points unless the second line says otherwise."""
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        lines = [stream.readline().strip(), stream.readline().strip()]
    if ";" in lines[0]:
        return {"sep": ";", "decimal": "." if "." in lines[1] else ","}
    if "," in lines[0]:
        return {}
    return {"sep": r"\t"} if "\t" in lines[0] else {"sep": r"\s+"} if " " in lines[0] else {}


def _parquet(file: Path, key: str | None, name: str, beside: Sequence[str]) -> Rows:
    _need("pyarrow", file, name)
    import pyarrow as pa
    from pyarrow import compute, parquet

    described = parquet.read_metadata(file)
    archive.check_size(max(8 * described.num_rows * described.num_columns, _unpacked(described)))
    table = parquet.read_table(file)
    lists = [each.name for each in table.schema if pa.types.is_nested(each.type)]
    if key in lists or (key is None and set(lists) - set(beside)):
        column = table[_chosen(lists, key, file, name, beside)].combine_chunks()
        rows = column.flatten().to_numpy(zero_copy_only=False)
        widths = set(compute.unique(compute.list_value_length(column)).drop_null().to_pylist())
        if len(widths) != 1:
            raise ValueError("rows of different lengths")
        rows = rows.reshape(-1, widths.pop())
        if column.null_count:  # a missing row is one of nan, which skip_bad leaves out
            present = np.asarray(column.is_valid())
            every = np.full((len(column), rows.shape[1]), np.nan, dtype=np.promote_types(rows.dtype, np.float16))
            every[present] = rows
            return every
        return rows
    plain = {each: table[each].to_numpy() for each in table.column_names if each not in lists}
    return _columns(plain, key, file, name, beside)


def _unpacked(described: Any) -> int:
    """Bytes of all row groups, as a .parquet file says."""
    return sum(described.row_group(k).total_byte_size for k in range(described.num_row_groups))


def _columns(columns: Mapping[str, Rows], key: str | None, file: Path, name: str, beside: Sequence[str]) -> Rows:
    """One column of that name, or all those whose names begin with it; without a key all that are not something else.

    A column of words or of whole numbers among others is an index or a label: it is never taken for a dimension, unless
    all its numbers are the same (a dead unit) or key names it.
    """
    if key is not None and key in columns:
        return columns[key]
    taken = {each: column for each, column in columns.items() if each.startswith(key or "") and each not in beside}
    if not taken:
        raise Missing(f"{name} must hold columns {key!r}, got {str(file)!r} with {_few(list(columns))}")
    fractions = key is None and any(column.dtype.kind == "f" for column in taken.values())
    odd = [
        each
        for each, column in taken.items()
        if column.dtype.kind not in "fiu" or (fractions and column.dtype.kind != "f" and np.ptp(column) > 0)
    ]
    if odd:
        raise Missing(
            f"{name} must hold nothing but embeddings, got {str(file)!r} with {_few(odd)} beside them; "
            "name the beginning of the embeddings' columns with --key, or labels by their column"
        )
    return np.stack(list(taken.values()), axis=1)


READERS: dict[str, Callable[[Path, str | None, str, Sequence[str]], Rows]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".pt": _torch,
    ".pth": _torch,
    ".safetensors": _safetensors,
    ".csv": _csv,
    ".parquet": _parquet,
}
"""Read-only."""

NORM = "norm"
"""Key of the lengths that rows had before they were normalised."""

USUAL = ("z", "embeddings", "embedding")
"""Keys that are looked for where none is given."""


def _chosen(keys: Sequence[str], key: str | None, file: Path, name: str, beside: Sequence[str]) -> str:
    left = [each for each in keys if each not in beside]
    if key is None:
        key = left[0] if len(left) == 1 else next((each for each in USUAL if each in left), USUAL[0])
    if key not in keys:
        remedy = f"name one of them{' with --key' if name == 'file' else ''}" if keys else "save one there"
        raise Missing(f"{name} must hold an array {key!r}, got {str(file)!r} with {_few(keys)}; {remedy}")
    return key


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED]) or "none"
    return shown + (", ..." if len(names) > NAMED else "")


def _need(package: str, file: Path, name: str) -> None:
    if find_spec(package) is None:
        raise Missing(
            f"{name} needs the package {package} to read {str(file)!r}; install it with pip install 'clopsim[files]'"
        )


def _natural(file: Path) -> list[int | str]:
    """shard_10 comes after shard_9."""
    return [int(each) if each.isdigit() else each for each in re.split(r"(\d+)", str(file))]


def _endings() -> str:
    return ", ".join(READERS)
