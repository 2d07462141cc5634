"""A sweep in its run folder: begin or go on, work off, put the dataset together, join shares.

Memory, whatever the number of cells: at most four times the numbers of one chunk (about 3 kB for each of its cells),
3 MiB, mostly the figure, and 1 kB for each task, rate, temperature and failure. Counted is what Python and NumPy hold,
beside a worker's own (engine.memory_bytes); data.nc is read in place. plan.tasks decides how large a chunk is: it
grows with the sweep only beyond MOST_CHUNKS of them. A training sweep, of far fewer and dearer cells, is put together
as a whole: about 1 kB for each network of 1000 steps.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from clopsim.runs import kinds, plan, ready, results, store
from clopsim.runs.chunks import Arrays
from clopsim.runs.code import check_code, code
from clopsim.runs.executors import Executor
from clopsim.runs.jobs import Job, Pace, work_off
from clopsim.runs.kinds import FIGURE
from clopsim.runs.plan import Chunk, Config, Recorded, Task
from clopsim.runs.states import recorded_config
from clopsim.runs.store import Share, Store


def begin(
    folder: Path,
    config: Config,
    *,
    share: Share | None = None,
    origin: Mapping[str, Any],
    resume: bool = False,
    force: bool = False,
) -> Store | None:
    """The store of a new sweep; see claim."""
    kind = kinds.of(config)
    document = plan.document(config, kind.made_by(config))
    room = 2 * kind.size(config) // (share[1] if share else 1)
    return claim(folder, config, document, room, share=share, origin=origin, resume=resume, force=force)


def claim(
    folder: Path,
    config: Recorded,
    document: Mapping[str, Any],
    room: int,
    *,
    share: Share | None = None,
    origin: Mapping[str, Any],
    resume: bool = False,
    force: bool = False,
) -> Store | None:
    """The store of a new run, or with resume of the one that stands there; None if that one is complete.

    Call it under store.locked(folder). With force a run folder is replaced, its files staying until the new ones are
    there. document: its plan; room: bytes that it will take; origin: results.origin_now of the start.

    Errors: ValueError for a folder that is in the way, another configuration, share or code, no room; store.Damaged.
    """
    shown = str(folder)
    complete = (folder / results.PROVENANCE).is_file()
    try:
        found = store.load(folder)
    except store.Damaged:
        if not force:
            raise
        complete, found = True, None
    if resume and (found or complete):
        check_same(config, recorded_config(folder), where=shown)
        if found is None:
            store.clear_chunks(folder)  # of a run killed after its last file
            return None
        if found.share != share:
            raise ValueError(
                f"shard must stay {_share(found.share)} in {shown!r}, got {_share(share)}; choose another --out"
            )
        check_code(found.plan["code"], document["code"], where="this installation")
        return found
    check_free(folder, found, complete=complete, resume=resume, force=force)
    ready.check_room(folder, room)
    return store.create(folder, document, share=share, origin=origin)


def check_free(folder: Path, found: Store | None, *, complete: bool, resume: bool = False, force: bool) -> None:
    """ValueError unless a new run may have the folder; found: the unfinished one there, complete: a whole one is."""
    shown = str(folder)
    if not (found or complete or store.is_fresh(folder)) and not (force and store.is_ours(folder)):
        if force or resume:
            what = "replaced" if force else "resumed"
            raise ValueError(f"out must be a run folder to be {what}, got {shown!r}; choose another folder")
        raise ValueError(f"out must not exist, got {shown!r}, which does; choose another folder or add --force")
    if found and not force:
        raise ValueError(
            f"out must not exist, got {shown!r}, an unfinished run; add --resume to go on, --force to replace"
        )
    if complete and not force:
        raise ValueError(f"out must not exist, got {shown!r}, which does; choose another folder or add --force")


def run_all(
    stores: Sequence[Store],
    executor: Executor,
    *,
    fail_fast: bool = False,
    on_progress: Callable[[Pace], None] = lambda pace: None,
) -> None:
    """Work off what is missing in all folders, of one kind, as one stream of tasks. Errors: as in jobs.work_off."""
    jobs = []
    for one in stores:
        config = plan.recorded(one.plan)
        tasks = plan.tasks(config)
        mine = one.numbers()
        jobs.append(Job(one, {k: (config, tasks[k]) for k in mine}, {k: plan.weight(config, tasks[k]) for k in mine}))
    if jobs:
        work_off(jobs, kinds.of(config).perform, executor, fail_fast=fail_fast, on_progress=on_progress)


def finish(done: Store, *, picture: bool = True) -> dict[str, Any]:
    """Put the finished tasks together, write the run's files, its picture if asked for, and return its summary.

    The plan goes last, so a run killed anywhere here can do this again; the tasks stay while some of them failed.
    Errors: RuntimeError if not a single cell ended well; OSError where the disk says no.
    """
    config = plan.recorded(done.plan)
    kind, tasks, errors = kinds.of(config), plan.tasks(config), done.finished()
    machines: set[str] = set()

    def read(numbers: Iterable[int]) -> Iterator[tuple[Task, Arrays, Mapping[int, str]]]:
        for number in numbers:
            record = done.read(number)
            machines.add(record.machine)
            yield tasks[number], record.arrays, record.errors

    failures = kind.failures_of(config, read(number for number, count in errors.items() if count))
    if all(errors[k] == task.size for k, task in enumerate(tasks) if isinstance(task, Chunk)):
        raise RuntimeError(f"not a single cell ended well; the first: {failures[0]['error']}")
    origin = done.origin
    with committed(done.folder) as staging:
        summary = ready.finite(kind.write(staging, config, read, failures, origin))
        if picture and (draw := kind.draw):
            with results.opened(staging) as dataset:
                results.picture(staging / FIGURE, lambda: draw(dataset))
        more = {"started": origin["date"], "plan": done.digest, "machines": sorted(machines - {""})}
        results.record(staging, summary, origin=origin, more=more)
    if not failures:
        done.close_plan()
    return summary


@contextmanager
def committed(folder: Path) -> Iterator[Path]:
    """A place inside a run folder for new files, which replace its old ones one by one, the provenance last."""
    staging, old = folder / store.COMMIT, _listed(folder)
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir()
        yield staging
        names = sorted(path.name for path in staging.iterdir() if path.name != results.PROVENANCE)
        (folder / results.PROVENANCE).unlink(missing_ok=True)
        for name in old - set(names):  # of another kind of run, which this one replaces
            (folder / name).unlink(missing_ok=True)
        for name in [*names, results.PROVENANCE]:
            store.move(staging / name, folder / name)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), error.filename or str(folder)) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _listed(folder: Path) -> set[str]:
    """Names of the files that a complete run has written, those alone that a run of ours writes."""
    try:
        found = json.loads((folder / results.PROVENANCE).read_text())["sha256"]
        return set(found) & store.OURS
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def redraw(figure: Figure, target: Path) -> None:
    """Write the figure of a complete run anew. Errors: ValueError for a format that is unknown; OSError."""
    buffer = io.BytesIO()
    known = figure.canvas.get_supported_filetypes()
    kind = target.suffix.removeprefix(".").lower()
    if kind not in known:
        raise ValueError(
            f"figure must end in one of {', '.join(sorted(known))}, got {str(target)!r}; write it as in x.pdf"
        )
    figure.savefig(buffer, dpi=150, format=kind)
    store.write_atomically(target, buffer.getvalue())


def merge(shares: Sequence[Store], into: Path, *, force: bool = False) -> Store:
    """A store of the whole run with the tasks of all shares, ready for finish.

    Call it under store.locked(into). Errors: ValueError that names the folders for shares of different sweeps or code,
    for a task that two folders hold, and for one that none holds; store.Damaged.
    """
    first = shares[0]
    config = plan.recorded(first.plan)
    owner: dict[int, Store] = {}
    for one in shares:
        check_same(plan.recorded(one.plan), config, where=str(first.folder))
        check_code(first.plan["code"], one.plan["code"], where=str(one.folder))
        for number in one.finished():
            other = owner.setdefault(number, one)
            if other is not one:
                raise ValueError(
                    f"folders must not overlap, got task {number} in {str(other.folder)!r} and in {str(one.folder)!r}; "
                    "leave one of them out"
                )
    for number in range(first.plan["tasks"]):
        if number not in owner:
            holders = [one for one in shares if number in one.numbers()]
            remedy = (
                f"{str(holders[0].folder)!r} is unfinished: resume it" if holders else "add the folder of its share"
            )
            raise ValueError(f"folders must hold every task, got none with task {number}; {remedy}")
    here = {**first.plan["code"], **code()}  # the data need not be where shares are joined
    check_code(first.plan["code"], here, where="this installation")
    document, room = plan.document(config, first.plan["code"]), 2 * kinds.of(config).size(config)
    whole = claim(into, config, document, room, origin=first.origin, force=force)
    if whole is None:
        raise RuntimeError("a run that is begun anew cannot be complete")
    for number, one in sorted(owner.items(), key=lambda item: item[0]):
        whole.write(number, one.read(number))
    return whole


def check_same(config: Recorded, recorded: Recorded, *, where: str) -> None:
    """ValueError that names the first field in which two configurations differ."""
    theirs = {"kind": recorded.kind, **recorded.to_plain()}
    for name, value in {"kind": config.kind, **config.to_plain()}.items():
        if value != theirs[name]:
            raise ValueError(
                f"{name} must stay {theirs[name]!r} in {where!r}, got {value!r}; choose another --out or add --force"
            )


def _share(share: Share | None) -> str:
    return "the whole run" if share is None else f"{share[0]}/{share[1]}"
