"""clopsim.sweep, clopsim.train_sweep and clopsim.merge: what the commands of these names do."""

import re
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.door import run
from clopsim.door.answer import FAILS, WRONG_INPUT, Interrupted, Stopped, as_path
from clopsim.door.arguments import takes
from clopsim.door.configfile import EXECUTION, GRID, Grid, defaults, grid, read, reproducing_command
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.runs.config import Sweep
from clopsim.runs.executors import message
from clopsim.runs.plan import Config
from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.states import PROVENANCE, recorded_machines, recorded_summary
from clopsim.runs.store import Damaged

if TYPE_CHECKING:
    from clopsim.runs.store import Store

SECONDS_PER_WORKER = 8
"""Least work for which another process pays: starting one takes two to three seconds."""


@takes({**defaults(Sweep), **EXECUTION})
def sweep(
    *,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    shard: str | None = None,
    config: str | Path | None = None,
    save_config: str | Path | None = None,
    **options: Any,
) -> "run.SweepRun | run.Share | run.Runs":
    """Sweep the learning rate of gradient descent on free embeddings: does collapse start where the bound says?

    The curve comes from the sweep, the verdict from a bisection that starts near collapse and knows no prediction.

    tau: temperature > 0, one or a list; dim: d >= 2; samples: n >= 3 embeddings (the full loss counts both views);
    loss, gradient, keys, reduction: as of critical_rates. rates: learning rates in units of mu_c (critical_rates'
    collapse_rate), increasing. seeds: runs per rate; steps: of every run; seed: the first one.
    start: "data", "random", "uniform" or "collapse". Of data: data ("clusters" or "lines"), clusters (their number),
    noise (standard deviation inside one), separation (length of the centres), imbalance (largest over smallest
    cluster), view_noise (standard deviation of a view). precision: "float64" or "float32"; device: any of torch's.
    A list for any other option makes a grid: one sweep for each of its values.

    out: folder to write as the command does (data.nc, summary.json, provenance.json, sweep.png); without it nothing is
    kept on disk. resume, force: go on with the run in out, or replace it. shard: "I/N", run a share only; config,
    save_config: a TOML file with these options to read, to write. workers: processes (default: by the work); engine:
    "local" or "dask", scheduler: its address; fail_fast: stop at the first cell that fails.

    Returns an object with dataset (xarray over temperature, rate, seed, step), thresholds, holds, plot() (a matplotlib
    figure), summary, to_dict(), folder; of a share or a grid one with to_dict() only, a grid is a mapping too.
    Errors: ValueError for wrong options; RuntimeError for a run that could not be finished, saying what is kept.
    Source: ours (bounds/THEORY.md, T4); the synthetic data of arXiv:2403.18699 is data="lines".

    >>> import clopsim
    >>> clopsim.sweep(tau=[0.2, 0.5], samples=8, rates=[0.5, 2], seeds=1, steps=5).holds
    True
    """
    return _run(Sweep, options, config, save_config, out, resume, force, shard)


@takes({**defaults(TrainingSweep), **EXECUTION})
def train_sweep(
    *,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    shard: str | None = None,
    config: str | Path | None = None,
    save_config: str | Path | None = None,
    **options: Any,
) -> "run.TrainingSweepRun | run.Share | run.Runs":
    """Train a grid of small networks together: which rates, weight decays and prototype weights keep the rank?

    Every combination of the lists loss, rate, weight_decay, weight, labelled and batch, each for seeds seeds from seed
    on; weight above 0 is CLOP, with prototypes "orthonormal" or "simplex". The other options are those of train: data,
    samples, features, classes, noise, held_out, label_noise, imbalance, view_noise, shift, embedder, dim, depth, width,
    batch_norm, tau, distance, momentum, schedule, steps, precision, device; and those of a sweep's execution: out,
    resume, force, shard, config, save_config, workers, engine, scheduler, fail_fast.

    Returns an object with dataset (xarray over loss, learning_rate, weight_decay, weight, labelled_fraction,
    batch_size, seed, step), summary, to_dict(), folder; it prints as the table of medians over the seeds.
    Errors: ValueError for wrong options; RuntimeError for a run that could not be finished, saying what is kept.
    Source: CLOP is arXiv:2403.18699v2, arXiv:2512.07880.

    >>> import clopsim
    >>> clopsim.train_sweep(data="clusters", samples=40, batch=0, steps=2, rate=[0.1], seeds=1).dataset.sizes["step"]
    3
    """
    return _run(TrainingSweep, options, config, save_config, out, resume, force, shard)


@takes({})
def merge(folders: Sequence[str | Path], *, out: str | Path, force: bool = False) -> run.Run:
    """Join the shares of a sweep of either kind (shard="I/N") into the run folder of the whole sweep, byte for byte.

    folders: run folders of all shares; out: the folder to write; force: replace a run that is there.
    Returns the whole run, as sweep or train_sweep would have given it.
    Errors: ValueError for shares of different sweeps or that are not all; RuntimeError where they cannot be joined.
    Source: ours.

    >>> import clopsim
    >>> half = [clopsim.sweep(samples=8, rates=1, seeds=1, steps=5, shard=f"{i}/2", out=f"s{i}").folder for i in (1, 2)]
    >>> clopsim.merge(half, out="whole").holds
    True
    """
    place = as_path(out) or Path()
    ready.check_libraries(*ready.WRITERS)
    from clopsim.runs import folder as runs
    from clopsim.runs import store

    with ExitStack() as stack:
        shares = []
        for each in map(Path, folders):
            found = store.load(each)
            if found is None:
                raise ValueError(f"folders must hold shares of a sweep, got {str(each)!r}; see sweep --shard")
            stack.enter_context(store.locked(each))
            shares.append(found)
        try:
            stack.enter_context(store.locked(place))
            whole = runs.merge(shares, place, force=force)
            summary = runs.finish(whole)
        except OSError as error:
            raise Stopped(f"{error.strerror} ({error.filename}); the shares are untouched", WRONG_INPUT) from None
        except ValueError:
            raise  # about the shares or the folder
        except Exception as error:
            raise Stopped(f"{message(error)}; the shares are untouched", FAILS) from error
    _warn_of_machines(place)
    return run.KINDS[whole.plan["kind"]](summary, place)


def _run(
    record: type[Config],
    given: Mapping[str, Any],
    config: str | Path | None,
    save_config: str | Path | None,
    out: str | Path | None,
    resume: bool,
    force: bool,
    shard: str | None,
) -> Any:
    """Run what the options say; given: the options that were given, by field."""
    execution = {**EXECUTION, **{name: value for name, value in given.items() if name in EXECUTION}}
    values = {name: value for name, value in given.items() if name not in EXECUTION}
    if (file := as_path(config)) is not None:
        from_file = read(record, file)
        execution |= {name: from_file[name] for name in EXECUTION if name in from_file and name not in given}
        values = from_file | values
    folder = as_path(out)
    if resume and folder is None:
        raise ValueError("resume must come with a folder, got none; add --out FOLDER")
    if resume and force:
        raise ValueError("resume must come without --force, got both; choose one of them")
    share = _parsed_shard(shard)
    if share and folder is None:
        raise ValueError("shard must come with a folder, got none; add --out FOLDER")
    sweeps = grid(record, values, recorded=folder if resume else None)
    with run.temporary(folder) as place:
        done = _run_points(
            sweeps,
            Path(place) if folder else Path(place) / "run",
            kept=folder is not None,
            save_config=as_path(save_config),
            resume=resume,
            force=force,
            share=share,
            **execution,
        )
        found = {name: one if folder else _loaded(one) for name, one in done.items()}
    return found[""] if list(found) == [""] else run.Runs(found)


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
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"shard must be I/N with 1 <= I <= N, got {text!r}; write it as in 1/4")
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
        ["clopsim", command, "--out", str(folder), *(["--shard", f"{share[0]}/{share[1]}"] if share else [])]
    )
    again += " --resume"
    finished: dict[str, run.Run | run.Share] = {}
    begun: dict[str, Store] = {}
    state = {"share": 0.0}
    points = {}
    for name, config in grid.points.items():
        points[name] = kinds.of(config).prepare(config, here=engine == "local")
    if workers is None:
        seconds = sum(map(plan.seconds, points.values())) / (share[1] if share else 1)
        tasks = sum(len(plan.tasks(config)) for config in points.values())
        workers = max(1, min(executors.cores(), tasks, int(seconds / SECONDS_PER_WORKER)))
    execute = executors.executor(engine, workers=workers, scheduler=scheduler)
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
        with progress("sweep") as advance:

            def report(pace: Any) -> None:
                state["share"] = pace.share
                advance(pace.share, str(pace))

            try:
                runs.run_all(list(begun.values()), execute, fail_fast=fail_fast, on_progress=report)
            except TaskFailed as error:
                raise Stopped(_with(f"a cell failed: {error}", "try it again with", again, kept), FAILS) from None
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
                raise Stopped(text, FAILS) from error
            finished[name] = run.KINDS[command](summary, one.folder)
            _warn_of_machines(one.folder)
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
    except KeyboardInterrupt:
        if not begun or not kept:
            raise
        done = f"{100 * state['share']:.0f} %"
        raise Interrupted(f"interrupted; {done} is kept, go on with: {again}") from None
    except RuntimeError as error:
        raise Stopped(_with(str(error), "try again with", again or "", kept), FAILS) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        reason = f"{error.strerror or error}{where}"
        raise Stopped(_with(reason, "what is done is kept, go on with", again or "", kept), WRONG_INPUT) from None


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


def _warn_of_machines(folder: Path) -> None:
    """Warn if the parts of a complete run come from several kinds of machine."""
    found = recorded_machines(folder)
    if len(found) > 1:
        text = f"{folder} joins parts from {', '.join(found)}, whose last bits differ"
        warnings.warn(text, ready.Remark, stacklevel=4)
