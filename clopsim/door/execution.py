"""How a sweep of either kind is executed: its share, its folder or grid of folders, its end in plain words."""

import re
import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.door import run
from clopsim.door.answer import BROKE, WRONG_INPUT, Interrupted, Stopped, as_path
from clopsim.door.configfile import (
    EXECUTION,
    GRID,
    Grid,
    check_told,
    defaults,
    grid,
    read,
    reproducing_command,
    say_started_anew,
    sealed,
    stands,
)
from clopsim.door.ignored import check_used, chosen
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.runs.executors import message
from clopsim.runs.plan import Config
from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.states import is_run, recorded_machines, recorded_summary
from clopsim.runs.store import MOST_TASKS, Damaged

if TYPE_CHECKING:
    from clopsim.runs.store import Store

SECONDS_PER_WORKER = 8
"""Least work for which another process pays: starting one takes two to three seconds."""


def execute(
    record: type[Config],
    given: Mapping[str, Any],
    *,
    config: str | Path | None,
    save_config: str | Path | None,
    out: str | Path | None,
    resume: bool,
    force: bool,
    shard: str | None,
) -> Any:
    """Run what the options say; given: those of the record and of EXECUTION that were given, by field.

    Returns a run, its share, or for a grid all of them. Errors: ValueError; Stopped, Interrupted, saying what is kept.
    """
    execution = {**EXECUTION, **{name: value for name, value in given.items() if name in EXECUTION}}
    values = {name: value for name, value in given.items() if name not in EXECUTION}
    if (file := as_path(config, "config")) is not None:
        from_file = read(record, file)
        execution |= {name: from_file[name] for name in EXECUTION if name in from_file and name not in given}
        values = from_file | values
    if not isinstance(execution["scheduler"], str | None):
        raise ValueError(
            f"scheduler must be an address, got {execution['scheduler']!r}; write it as in 'tcp://host:8786'"
        )
    folder = as_path(out)
    if resume and folder is None:
        raise ValueError("resume must come with a folder, got none; add --out FOLDER")
    if resume and force:
        raise ValueError("resume must come without --force, got both; choose one of them")
    if resume and folder is not None:
        check_told(folder, told=bool(values) or file is not None)
    share = _parsed_shard(shard)
    if share and folder is None:
        raise ValueError("shard must come with a folder, got none; add --out FOLDER")
    sweeps = grid(record, values, recorded=folder if resume else None)
    if record is TrainingSweep:  # a file may hold every option, with its default where nobody chose
        usual = defaults(record)
        told = chosen({name: value for name, value in values.items() if name in given}, usual)
        told |= {name for name, value in values.items() if value != usual[name]}
        check_used(told, {**next(iter(sweeps.points.values())).to_plain(), **values})
    with run.temporary(folder) as place:
        done = _run_points(
            sweeps,
            Path(place) if folder else Path(place) / "run",
            kept=folder is not None,
            save_config=as_path(save_config, "save_config"),
            resume=resume,
            force=force,
            share=share,
            **execution,
        )
        found = {name: one if folder else _loaded(one) for name, one in done.items()}
    return found[""] if list(found) == [""] else run.Runs(found, folder)


def _loaded(one: "run.Run | run.Share") -> "run.Run | run.Share":
    """A run without its folder, which goes."""
    if isinstance(one, run.Share):
        return one
    with one.dataset as dataset:
        return type(one)(one.summary, None, loaded=dataset.load())


def _parsed_shard(text: str | None) -> tuple[int, int] | None:
    """(I, N) from "I/N", 1 <= I <= N."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text) if isinstance(text, str) else None
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= MOST_TASKS:
        raise ValueError(f"shard must be I/N with 1 <= I <= N, got {text!r}; write it as in 1/4, N up to {MOST_TASKS}")
    return int(found[1]), int(found[2])


def _run_points(
    grid: Grid,
    folder: Path,
    *,
    kept: bool,
    save_config: Path | None,
    resume: bool,
    force: bool,
    workers: int | None,
    engine: Any,
    scheduler: str | None,
    share: tuple[int, int] | None,
    fail_fast: bool,
) -> "dict[str, run.Run | run.Share]":
    """Run every sweep of the grid in its folder; kept: whether the folder outlives the call."""
    ready.check_libraries(*ready.WRITERS, picture=kept)
    from clopsim.runs import executors, kinds, plan, results, store
    from clopsim.runs import folder as runs
    from clopsim.runs.jobs import TaskFailed

    command = next(iter(grid.points.values())).kind
    again = shlex.join(
        [
            "clopsim",
            command,
            "--out",
            str(folder),
            *(["--shard", f"{share[0]}/{share[1]}"] if share else []),
            *(["--engine", engine] if engine != "local" else []),
            *(["--scheduler", scheduler] if scheduler else []),
        ]
    )
    again += " --resume"
    finished: dict[str, run.Run | run.Share] = {}
    begun: dict[str, Store] = {}
    state = {"share": 0.0}
    anew = resume and not stands(folder)
    points = {}
    for name, config in grid.points.items():
        points[name] = kinds.of(config).prepare(config, here=engine == "local")
    if workers is None:
        seconds = sum(map(plan.seconds, points.values())) / (share[1] if share else 1)
        tasks = sum(len(plan.tasks(config)) for config in points.values())
        workers = max(1, min(executors.cores(), tasks, int(seconds / SECONDS_PER_WORKER)))
    perform = executors.executor(engine, workers=workers, scheduler=scheduler)
    with ExitStack() as stack, _told(again if kept else None, begun, state):
        if save_config:
            _save(save_config, grid.text)
        if list(points) != [""]:
            _begin_grid(stack, folder, grid, resume=resume)
        for name, config in points.items():
            stack.enter_context(store.locked(folder / name))
            origin = results.origin_now(reproducing_command(config))
            one = runs.begin(folder / name, config, share=share, origin=origin, resume=resume, force=force)
            if one is None:
                finished[name] = run.KINDS[command](recorded_summary(folder / name), folder / name)
            else:
                begun[name] = one
        if anew:
            say_started_anew(folder)
        with progress("sweep") as advance:

            def report(pace: Any) -> None:
                state["share"] = pace.share
                advance(pace.share, str(pace))

            try:
                runs.run_all(list(begun.values()), perform, fail_fast=fail_fast, on_progress=report)
            except TaskFailed as error:
                raise Stopped(_with(f"a cell failed: {error}", "try it again with", again, kept), BROKE) from None
        for name, one in begun.items():
            if share:
                finished[name] = run.Share(one)
                continue
            try:
                summary = runs.finish(one, picture=kept)
            except (OSError, RuntimeError, Damaged):
                raise  # told apart below
            except Exception as error:  # of whatever kind: all is computed
                text = _with(message(error), "what is computed is kept, go on with", again, kept)
                raise Stopped(text, BROKE) from error
            finished[name] = run.KINDS[command](summary, one.folder)
            warn_of_machines(one.folder)
    return {name: finished[name] for name in points}


def _with(what: str, words: str, again: str, kept: bool) -> str:
    return f"{what}; {words}: {again}" if kept else f"{what}; give a folder (out) to keep what is done"


@contextmanager
def _told(again: str | None, begun: "Mapping[str, Store]", state: Mapping[str, float]) -> Iterator[None]:
    """Say in one line why a run ended early, and how to go on; again: the command, None if nothing is kept."""
    kept = again is not None
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt as error:
        if not begun or not kept:
            raise
        done = f"{100 * state['share']:.0f} %"
        raise Interrupted(f"{done} is kept, go on with: {again}") from error
    except RuntimeError as error:
        raise Stopped(_with(str(error), "try again with", again or "", kept), BROKE) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        reason = f"{error.strerror or error}{where}"
        raise Stopped(_with(reason, "what is done is kept, go on with", again or "", kept), WRONG_INPUT) from None


def _begin_grid(stack: ExitStack, folder: Path, grid: Grid, *, resume: bool) -> None:
    from clopsim.runs import store

    if is_run(folder):
        raise ValueError(f"out must be the folder of a grid, got {str(folder)!r}, a single run; choose another folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / GRID).is_file():
        raise ValueError(f"out must not exist, got {str(folder)!r}, which does; choose another folder")
    stack.enter_context(store.locked(folder))
    if not (folder / GRID).is_file():
        store.write_atomically(folder / GRID, sealed(grid.text))
    elif not resume:
        raise ValueError(
            f"out must not exist, got {str(folder)!r}, a grid of runs; add --resume or choose another folder"
        )


def _save(path: Path, text: str) -> None:
    from clopsim.runs.store import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ValueError(
            f"save_config must be writable, got {str(path)!r} ({error.strerror}); choose another file"
        ) from None


def warn_of_machines(folder: Path) -> None:
    """Warn if the parts of a complete run come from several kinds of machine."""
    found = recorded_machines(folder)
    if len(found) > 1:
        text = f"{folder} joins parts from {', '.join(found)}, whose last bits differ"
        warnings.warn(text, ready.Remark, stacklevel=4)
