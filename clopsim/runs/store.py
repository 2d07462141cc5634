"""A folder of finished tasks that survives being killed at any moment.

    plan.json      what is to be done, by which code; written first, removed when the run is complete
    chunks/00012   the result of task 12: a line of JSON (format, plan, checksum, errors, machine), then an .npz
    checkpoint     of a training: its last state, in the same form
    .lock          held by the process that works here; the system frees it when that process dies, however it dies

Every file is written under another name, forced to disk and renamed, so it is there whole or not at all.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from clopsim.metrics import archive

FORMAT = 1
PLAN, CHUNKS, LOCK, COMMIT = "plan.json", "chunks", ".lock", ".commit"

CHECKPOINT = "checkpoint"
"""The last state of an unfinished training, sealed."""

MOST_TASKS = 2**20
"""A plan of more is none of ours."""

OURS = frozenset({
    PLAN, CHUNKS, LOCK, COMMIT, CHECKPOINT, "data.nc", "summary.json", "provenance.json", "sweep.png", "train.png",
    "zoo.png", "embeddings.npz", "checkpoint.pt",
})  # fmt: skip
"""Names in a run folder."""

Share = tuple[int, int]


class Damaged(ValueError):
    """A file of a run folder that cannot be trusted."""


class Record(NamedTuple):
    """A stored result: arrays, the errors of the places that failed, the machine it was made on."""

    arrays: dict[str, NDArray[Any]]
    errors: dict[int, str]
    machine: str


@dataclass(frozen=True)
class Store:
    """One run folder with a plan; made by create or load."""

    folder: Path
    plan: Mapping[str, Any]  # what all shares and machines agree on: kind, config, code, tasks (their number)
    share: Share | None = None  # (I, N): this folder's share of the tasks
    origin: Mapping[str, Any] = field(
        default_factory=dict
    )  # of the start: git hash, versions, command; kept for the end

    @cached_property
    def digest(self) -> str:
        """Identity of the plan."""
        return digest_of(self.plan)

    def numbers(self) -> list[int]:
        """The tasks of this folder's share: every N-th from the I-th on."""
        i, n = self.share or (1, 1)
        return [number for number in range(self.plan["tasks"]) if number % n == i - 1]

    def path(self, number: int) -> Path:
        """Where the result of a task is kept."""
        return self.folder / CHUNKS / f"{number:05d}"

    def write(self, number: int, record: Record) -> None:
        """Keep the result of a task. Errors: OSError where the disk says no; nothing is left of the file then."""
        errors = {str(place): error for place, error in record.errors.items()}
        header = {"plan": self.digest, "task": number, "errors": errors, "machine": record.machine}
        self.path(number).parent.mkdir(exist_ok=True)
        write_atomically(self.path(number), seal(header, record.arrays))

    def read(self, number: int) -> Record:
        """The kept result of a task. Errors: Damaged if it is not what was written, or was written for another plan."""
        path = self.path(number)
        header, payload = unseal(path)
        if (header["plan"], header["task"]) != (self.digest, number):
            raise Damaged(f"out must hold one sweep, got {path} from another; move that file away, then resume")
        errors = {int(place): error for place, error in header["errors"].items()}
        return Record(arrays(payload), errors, header["machine"])

    def finished(self) -> dict[int, int]:
        """Number of failed places of every task that is done, every checksum checked. Errors: Damaged."""
        found = {}
        allowed = {self.path(number).name: number for number in self.numbers()}
        for path in sorted((self.folder / CHUNKS).glob("[!.]*")):
            if path.name not in allowed:
                raise Damaged(f"out must hold one sweep, got {path}, which is no part of it; move that file away")
            found[allowed[path.name]] = len(self.read(allowed[path.name]).errors)
        return found

    def keep(self, step: int, content: Mapping[str, NDArray[Any]]) -> None:
        """Keep the state of a training after a number of steps. Errors: OSError; the old one stands then."""
        write_atomically(self.folder / CHECKPOINT, seal({"plan": self.digest, "step": step}, content))

    def kept(self) -> tuple[int, dict[str, NDArray[Any]]] | None:
        """The kept state of a training and its number of steps, if there is one. Errors: Damaged."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        header, payload = unseal(path)
        if header["plan"] != self.digest:
            raise Damaged(f"out must hold one training, got {path} of another; start again with --force")
        return header["step"], arrays(payload)

    def close_plan(self) -> None:
        """Remove what only an unfinished run needs; a run killed here is complete, and without power from then on."""
        (self.folder / PLAN).unlink(missing_ok=True)
        clear_chunks(self.folder)
        sync_folder(self.folder)


def create(folder: Path, plan: Mapping[str, Any], *, share: Share | None, origin: Mapping[str, Any]) -> Store:
    """Begin a run in a folder that holds no plan (or whose plan is given up); call it under the folder's lock."""
    (folder / PLAN).unlink(missing_ok=True)
    clear_chunks(folder)
    store = Store(folder, plan, share, {**origin, "date": datetime.now(UTC).isoformat(timespec="seconds")})
    body = {"format": FORMAT, "plan": plan, "share": share, "origin": store.origin}
    (folder / CHUNKS).mkdir(exist_ok=True)
    text = json.dumps(body | {"sha256": digest_of(body)}, indent=2) + "\n"
    write_atomically(folder / PLAN, text.encode())
    return store


def load(folder: Path) -> Store | None:
    """The unfinished run in a folder; None where there is none. Errors: Damaged."""
    try:
        text = (folder / PLAN).read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        body = json.loads(text)
        if body.pop("sha256") != digest_of(body):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(
            f"out must be undamaged, got {folder / PLAN} with a wrong checksum; start again with --force"
        ) from None
    if body["format"] != FORMAT:
        raise Damaged(f"out must have format {FORMAT}, got {body['format']} in {folder / PLAN}; use its version")
    if not (isinstance(body["plan"].get("tasks"), int) and 0 <= body["plan"]["tasks"] <= MOST_TASKS):
        raise Damaged(
            f"out must hold a plan of ours, got {folder / PLAN} with too many tasks; start again with --force"
        )
    return Store(folder, body["plan"], tuple(body["share"]) if body["share"] else None, body["origin"])


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder if need be and hold it alone.

    flock, or its like on Windows; a file system without locks gets a file that a killed process leaves behind
    (the library filelock decides). Errors: ValueError if another process holds it or it cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ValueError(f"out must not be in use, got {str(folder)!r}; another process works there") from None
    except OSError as error:
        raise ValueError(
            f"out must be writable, got {str(folder)!r} ({error.strerror}); choose another folder"
        ) from None
    try:
        for stray in [*folder.glob(".*.tmp"), *(folder / CHUNKS).glob(".*.tmp")]:
            stray.unlink(missing_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()  # under the lock; whoever waits for it notices
        lock.release()
        with contextlib.suppress(OSError):
            for each in new:
                each.rmdir()  # only if nothing came of it


def is_held(folder: Path) -> bool:
    """Whether a process works in the folder; asks without leaving a trace."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # not ours to write, so nobody of ours writes there


def is_fresh(folder: Path) -> bool:
    """Whether a folder holds nothing but what a run killed in its first moments leaves."""
    return all(path.name in (LOCK, CHUNKS) or path.name.endswith(".tmp") for path in folder.iterdir()) and not any(
        path.name[0] != "." for path in (folder / CHUNKS).glob("*")
    )


def is_ours(folder: Path) -> bool:
    """Whether a folder holds nothing but what runs of ours leave there, whole or killed at any moment."""
    return all(path.name in OURS or path.name.endswith(".tmp") for path in folder.iterdir())


def clear_chunks(folder: Path) -> None:
    """Remove the results of a plan that is gone."""
    shutil.rmtree(folder / CHUNKS, ignore_errors=True)
    with contextlib.suppress(OSError):
        (folder / CHECKPOINT).unlink(missing_ok=True)


def seal(header: Mapping[str, Any], content: Mapping[str, NDArray[Any]]) -> bytes:
    """A file that shows whether it is what was written: a line of JSON (format, header, checksum), then an .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, **content)  # type: ignore[arg-type]
    header = {"format": FORMAT, **header}
    line = _canonical(header | {"sha256": _sha256(_canonical(header) + buffer.getvalue())})
    return line + b"\n" + buffer.getvalue()


def unseal(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header and .npz of a sealed file. Errors: Damaged if it is not what was written; OSError."""
    line, _, payload = path.read_bytes().partition(b"\n")
    try:
        header = json.loads(line)
        found = header.pop("sha256")
        if header["format"] != FORMAT:
            raise Damaged(f"out must have format {FORMAT}, got {header['format']} in {path}; use its version")
        if found != _sha256(_canonical(header) + payload):
            raise ValueError
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(
            f"out must be undamaged, got {path} with a wrong checksum; delete that file, then resume"
        ) from None
    return header, payload


def arrays(payload: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz. Errors: ValueError where they are none, or do not fit into memory."""
    return archive.read(io.BytesIO(payload))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and on the disk when this returns.

    Through a link, to where it points; a device or a pipe is written to, never replaced.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:  # Ctrl-C too
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def move(source: Path, target: Path) -> None:
    """Put a file in another's place on the same disk, whole or not at all, and on the disk when this returns."""
    with source.open("r+b") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def digest_of(document: Any) -> str:
    """SHA-256 of a document of JSON, whatever the order of its keys."""
    return _sha256(_canonical(document))


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
