"""How a sweep is executed: the options for it, and one run of a grid of sweeps with its errors in plain words."""

import re
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clopsim.cli.configfile import GRID, Grid, reproducing_command
from clopsim.cli.options import choice_option, whole_option
from clopsim.cli.shell import FAILS, INTERRUPTED, WRONG_INPUT, Stopped, progress, user_input, warn_of_machines
from clopsim.executors import Engine
from clopsim.states import PROVENANCE, recorded_summary

if TYPE_CHECKING:
    from clopsim.store import Store

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

CHUNKS_PER_WORKER = 8
"""Fewest chunks, of about a second each, for which another process pays: starting one takes two to three seconds."""


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
    from clopsim import executors, plan, results, runs, store
    from clopsim.devices import check_device
    from clopsim.jobs import TaskFailed

    again = shlex.join(
        ["clopsim", "sweep", "--out", str(folder), *(["--shard", f"{share[0]}/{share[1]}"] if share else [])]
    )
    again += " --resume"
    finished: dict[str, dict[str, Any] | Store] = {}
    begun: dict[str, Store] = {}
    state = {"share": 0.0}
    with user_input():
        tasks = 0
        for config in grid.points.values():
            if engine == "local":
                check_device(config.device, config.precision)
            tasks += len(plan.tasks(config))
        if workers is None:
            workers = max(1, min(executors.cores(), tasks // (share[1] if share else 1) // CHUNKS_PER_WORKER))
        execute = executors.executor(engine, workers=workers, scheduler=scheduler)
    with ExitStack() as stack:
        try:
            with user_input():
                if save_config:
                    _save(save_config, grid.text)
                if list(grid.points) != [""]:
                    _begin_grid(stack, folder, grid, resume=resume)
                for name, config in grid.points.items():
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
                with user_input():
                    finished[name] = one if share else runs.finish(one)
                if not share:
                    warn_of_machines(one.folder)
        except KeyboardInterrupt:
            if not begun:
                raise
            message = f"interrupted; {100 * state['share']:.0f} % is kept, go on with: {again}"
            raise Stopped(message, INTERRUPTED) from None
        except TaskFailed as error:
            raise Stopped(f"a cell failed: {error}; try it again with: {again}", FAILS) from None
        except RuntimeError as error:
            raise Stopped(f"{error}; try again with: {again}", FAILS) from None
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            reason = f"{error.strerror or error}{where}"
            raise Stopped(f"{reason}; what is done is kept, go on with: {again}", WRONG_INPUT) from None
    return {name: finished[name] for name in grid.points}


def _begin_grid(stack: ExitStack, folder: Path, grid: Grid, *, resume: bool) -> None:
    from clopsim import store

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
    from clopsim.store import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ValueError(
            f"save_config must be writable, got {str(path)!r} ({error.strerror}); choose another file"
        ) from None
