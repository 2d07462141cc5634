"""How a sweep of either kind is executed: its options, one run of a grid of sweeps, its errors in plain words."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from clopsim.cli.configfile import EXECUTION, GRID, Grid, defaults, grid, read, reproducing_command
from clopsim.cli.options import choice_option, whole_option
from clopsim.cli.shell import (
    FAILS,
    HOLDS,
    INTERRUPTED,
    WRONG_INPUT,
    Stopped,
    progress,
    user_input,
    warn_of_machines,
)
from clopsim.runs.executors import Engine, message
from clopsim.runs.plan import Config
from clopsim.runs.states import PROVENANCE, recorded_summary
from clopsim.runs.store import Damaged
from clopsim.show import tables

if TYPE_CHECKING:
    from clopsim.runs.store import Store

ConfigFile = Annotated[
    Path | None,
    typer.Option(help="TOML file with these options; a list on any axis makes a grid. Options here go first."),
]
SaveConfig = Annotated[Path | None, typer.Option(help="Write what runs as such a file.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in --out FOLDER; start it if there is none.")
]
Workers = Annotated[
    int | None,
    whole_option("Processes, one thread each. (default: the cores, one if the run is short)"),
]
EngineOption = Annotated[
    Engine, choice_option(Engine, "local: this machine; dask: a Dask cluster, by default its own.")
]
Scheduler = Annotated[str | None, typer.Option(help="Address of a running Dask scheduler, as in tcp://host:8786.")]
ShardOption = Annotated[
    str | None, typer.Option(metavar="I/N", help="Run the I-th of N shares only; join them with clopsim merge.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that fails.")]

SECONDS_PER_WORKER = 8
"""Least work for which another process pays: starting one takes two to three seconds."""


def run_command(
    context: typer.Context,
    record: type[Config],
    options: Mapping[str, Any],
    *,
    config: Path | None,
    save_config: Path | None,
    out: Path | None,
    resume: bool,
    force: bool,
    shard: str | None,
    json_output: bool,
    **execution: Any,
) -> NoReturn:
    """Run what the options of a sweep's command say, print its report and exit with its status.

    options: the values of record's options by field; execution: those of EXECUTION.
    """
    with user_input():
        given = {name: options[name] for name in defaults(record) if _explicit(context, name)}
        values = {**(read(record, config) if config else {}), **given}
        for name in EXECUTION:
            if name in values and not _explicit(context, name):
                execution[name] = values[name]
        folder = out or Path("runs") / f"{record.kind}-{datetime.now():%Y%m%d-%H%M%S}"
        if resume and out is None:
            raise ValueError("resume must come with a folder, got none; add --out FOLDER")
        if resume and force:
            raise ValueError("resume must come without --force, got both; choose one of them")
        sweeps = grid(record, values, recorded=folder if resume else None)
        share = parse_shard(shard)
    done = run_points(sweeps, folder, save_config=save_config, resume=resume, force=force, share=share, **execution)
    _print(done, folder, json_output=json_output)


def _explicit(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _print(done: "Mapping[str, dict[str, Any] | Store]", folder: Path, *, json_output: bool) -> NoReturn:
    """Print the report of one sweep, or a line for every share or sweep of a grid; exit with the status."""
    well, documents, lines = True, {}, []
    for name, one in done.items():
        if isinstance(one, dict):
            documents[name] = one
            well = well and status(one) == HOLDS
            line = tables.report(one, folder) if name == "" else f"{name}: {tables.verdict(one)}"
        else:
            failed = sum(one.finished().values())
            well = well and not failed
            share = "{}/{}".format(*one.share or (1, 1))
            documents[name] = {"folder": str(one.folder), "shard": share, "failed": failed}
            line = f"share {share} complete, {failed} cells failed: {one.folder}"
        lines.append(line)
    document = documents.get("", {"holds": well, "sweeps": documents})
    typer.echo(json.dumps(document, indent=2, allow_nan=False) if json_output else "\n".join(lines))
    raise typer.Exit(HOLDS if well else FAILS)


def status(summary: Mapping[str, Any]) -> int:
    """Exit status of a sweep: whether its bound holds, if it tests one, and no cell failed."""
    return HOLDS if summary.get("holds", True) and not summary["failures"] else FAILS


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """(I, N) from "I/N", 1 <= I <= N."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"shard must be I/N with 1 <= I <= N, got {text!r}; write it as in 1/4")
    return int(found[1]), int(found[2])


def run_points(
    grid: Grid,
    folder: Path,
    *,
    save_config: Path | None,
    resume: bool,
    force: bool,
    workers: int | None,
    engine: Engine,
    scheduler: str | None,
    share: tuple[int, int] | None,
    fail_fast: bool,
) -> "dict[str, dict[str, Any] | Store]":
    """Run every sweep of the grid in its folder; summaries by name, the store for a share, which has no summary."""
    from clopsim.runs import ready

    with user_input():
        ready.check_libraries(*ready.WRITERS)
    from clopsim.runs import executors, kinds, plan, results, store
    from clopsim.runs import folder as runs
    from clopsim.runs.jobs import TaskFailed

    command = next(iter(grid.points.values())).kind
    again = shlex.join(
        ["clopsim", command, "--out", str(folder), *(["--shard", f"{share[0]}/{share[1]}"] if share else [])]
    )
    again += " --resume"
    finished: dict[str, dict[str, Any] | Store] = {}
    begun: dict[str, Store] = {}
    state = {"share": 0.0}
    with user_input():
        points = {}
        for name, config in grid.points.items():
            points[name] = kinds.of(config).prepare(config, here=engine == "local")
        if workers is None:
            seconds = sum(map(plan.seconds, points.values())) / (share[1] if share else 1)
            tasks = sum(len(plan.tasks(config)) for config in points.values())
            workers = max(1, min(executors.cores(), tasks, int(seconds / SECONDS_PER_WORKER)))
        execute = executors.executor(engine, workers=workers, scheduler=scheduler)
    with ExitStack() as stack:
        try:
            with user_input():
                if save_config:
                    _save(save_config, grid.text)
                if list(points) != [""]:
                    _begin_grid(stack, folder, grid, resume=resume)
                for name, config in points.items():
                    stack.enter_context(store.locked(folder / name))
                    origin = results.origin_now(reproducing_command(config))
                    one = runs.begin(folder / name, config, share=share, origin=origin, resume=resume, force=force)
                    if one is None:
                        finished[name] = recorded_summary(folder / name)
                    else:
                        begun[name] = one
            with progress("sweep") as advance:

                def report(pace: Any) -> None:
                    state["share"] = pace.share
                    advance(pace.share, str(pace))

                with user_input():
                    runs.run_all(list(begun.values()), execute, fail_fast=fail_fast, on_progress=report)
            for name, one in begun.items():
                if share:
                    finished[name] = one
                    continue
                with user_input(), kept(again):
                    finished[name] = runs.finish(one)
                    warn_of_machines(one.folder)
        except Stopped:
            raise
        except KeyboardInterrupt:
            if not begun:
                raise
            share_done = f"{100 * state['share']:.0f} %"
            raise Stopped(f"interrupted; {share_done} is kept, go on with: {again}", INTERRUPTED) from None
        except TaskFailed as error:
            raise Stopped(f"a cell failed: {error}; try it again with: {again}", FAILS) from None
        except RuntimeError as error:
            raise Stopped(f"{error}; try again with: {again}", FAILS) from None
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            reason = f"{error.strerror or error}{where}"
            raise Stopped(f"{reason}; what is done is kept, go on with: {again}", WRONG_INPUT) from None
    return {name: finished[name] for name in points}


@contextmanager
def kept(again: str) -> Iterator[None]:
    """Whatever goes wrong after the computing is done is one line that says how to go on: the results are kept."""
    try:
        yield
    except (OSError, RuntimeError, Damaged):
        raise  # told apart by the caller
    except Exception as error:
        raise Stopped(f"{message(error)}; what is computed is kept, go on with: {again}", FAILS) from error


def _begin_grid(stack: ExitStack, folder: Path, grid: Grid, *, resume: bool) -> None:
    from clopsim.runs import store

    if (folder / store.PLAN).exists() or (folder / PROVENANCE).exists():
        raise ValueError(f"out must be the folder of a grid, got {str(folder)!r}, a single run; choose another folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / GRID).is_file():
        raise ValueError(f"out must not exist, got {str(folder)!r}, which does; choose another folder")
    stack.enter_context(store.locked(folder))
    if not (folder / GRID).is_file():
        store.write_atomically(folder / GRID, grid.text.encode())
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
