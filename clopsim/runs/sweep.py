"""The main job: sweep the learning rate, search the thresholds, hold both against the bound."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from clopsim.bounds import critical_rates, loss_at_collapse
from clopsim.runs import plan, ready
from clopsim.runs.chunks import Arrays, perform, threshold
from clopsim.runs.config import Sweep
from clopsim.runs.datafile import LARGEST, DataFile
from clopsim.runs.plan import Chunk, Search, Task
from clopsim.show.slabs import slabs
from clopsim.show.variables import attributes as words
from clopsim.show.variables import described
from clopsim.sphere.devices import check_device, fastest
from clopsim.sphere.dynamics import recorded_steps
from clopsim.sphere.outcomes import Outcome
from clopsim.sphere.thresholds import Threshold

TOLERANCE = 0.01
"""Largest relative gap between the predicted and the observed rate at which the bound is said to hold."""

DIMENSIONS = ("temperature", "rate", "seed", "step")

FAILED = "failed"
"""Outcome of a cell that raised an error or lost its worker again and again: nothing was measured."""

LETTERS = max(len(outcome) for outcome in (*Outcome, FAILED))
"""Characters of an outcome in the file."""

Results = Iterable[tuple[Task, Arrays, Mapping[int, str]]]
"""Tasks with what they gave: arrays of the cells that ended well, errors of the others by their place."""


def prepare(config: Sweep, *, here: bool = True) -> Sweep:
    """The configuration with its device decided (auto: cuda, else cpu), once a file can hold its results.

    here: whether this machine runs it, so that the device must be one of its own. Errors: ValueError.
    """
    check_size(config)
    config = replace(config, device=fastest(config.device))
    if here:
        ready.check_memory(config.needs())
        check_device(config.device, config.precision)
    return config


def run_sweep(config: Sweep, *, on_progress: Callable[[float], None] = lambda share: None) -> xr.Dataset:
    """Run every (temperature, rate, seed) in this process and return the dataset of assemble().

    on_progress gets the share of the work that is done, in [0, 1]. Errors: RuntimeError if a cell fails.
    """
    return assemble(config, _run_here(config, Chunk, on_progress))


def search_thresholds(config: Sweep, *, on_progress: Callable[[float], None] = lambda share: None) -> list[Threshold]:
    """The critical rates that are exact for this batch (T4), searched by bisection at every temperature.

    Collapse for every loss; the alignment of the views at collapse for the full loss.
    """
    return thresholds_of(config, _run_here(config, Search, on_progress))


def assemble(config: Sweep, results: Results) -> xr.Dataset:
    """The file of write(), loaded: the observables along all runs as one labelled dataset in memory."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "data.nc")
        write(path, config, results)
        return xr.load_dataset(path, engine="scipy")


def write(path: Path, config: Sweep, results: Results, *, attributes: Mapping[str, Any] | None = None) -> None:
    """Write data.nc from the results of all chunks, in any order. Holds one of them at a time, whatever their number.

    Variables over (temperature, rate, seed, step[, degree]) as in dynamics.observe, `outcome` over (temperature, rate,
    seed); coordinates rate (units of mu_c), learning_rate and mu_c (absolute). A run that left the finite numbers is
    nan from there on and its outcome is "diverged"; a cell that failed is nan, its outcome "failed".

    Errors: RuntimeError if not a single cell ended well; OSError where the disk says no.
    """
    target: DataFile | None = None
    empty: Arrays = {}  # no row of any variable
    lost = []
    with ExitStack() as files:
        for task, arrays, errors in results:
            if not isinstance(task, Chunk):
                continue
            if not arrays:
                lost.append(task)
                continue
            if target is None:
                empty = {name: values[:0].copy() for name, values in arrays.items()}
                along = (*DIMENSIONS, "degree")
                large = {name: (along[: 2 + values.ndim], "f") for name, values in arrays.items()}
                large["outcome"] = ((*DIMENSIONS[:3], "letter"), "S")
                small = _coordinates(config).assign_attrs(attributes or {})
                named = {name: words("sweep", name) for name in large}
                file = DataFile(path, small, large=large, sizes={"letter": LETTERS}, attributes=named)
                target = files.enter_context(closing(file))
            ended = [place for place in range(task.size) if place not in errors]
            for name, values in arrays.items():
                target.write(name, task.first, _rows(name, values, ended, task.size))
        if target is None:
            raise RuntimeError("not a single cell ended well")
        for task in lost:
            for name, values in empty.items():
                target.write(name, task.first, _rows(name, values, [], task.size))


def _coordinates(config: Sweep) -> xr.Dataset:
    """All of the dataset that is known before any run."""
    temperatures = [setting.temperature for setting in config.settings]
    units = np.array([plan.unit(config, t) for t in range(len(temperatures))])
    at_collapse = [float(loss_at_collapse(setting)) for setting in config.settings]
    dataset = xr.Dataset(
        {"loss_at_collapse": ("temperature", at_collapse)},
        coords={
            "temperature": temperatures,
            "rate": list(config.rates),
            "seed": list(range(config.seed, config.seed + config.seeds)),
            "step": list(recorded_steps(config.steps)),
            "degree": [1, 2, 3, 4],
            "mu_c": ("temperature", units),
            "learning_rate": (("temperature", "rate"), units[:, None] * np.array(config.rates)),
        },
    )
    return described(dataset, "sweep")


def _rows(name: str, values: NDArray[Any], ended: Sequence[int], size: int) -> NDArray[Any]:
    """A chunk's rows of one variable: those of the cells that ended well among rows for those that failed."""
    if len(ended) == size:
        return values
    fill, dtype = (FAILED, f"<U{LETTERS}") if name == "outcome" else (np.nan, np.float64)
    rows: NDArray[Any] = np.full((size, *values.shape[1:]), fill, dtype=dtype)
    rows[ended] = values
    return rows


def check_size(config: Sweep) -> None:
    """ValueError if data.nc cannot hold the sweep: too many cells (5.4 million of 1000 steps) or too large numbers."""
    most = LARGEST // (8 * 4 * len(recorded_steps(config.steps)))  # four degrees of harmonic_energy
    cells = int(np.prod(plan.shape(config)))
    if cells > most:
        raise ValueError(f"seeds must leave at most {most} cells for one file, got {cells}; use several folders")
    for name, last in (("seed", config.seed + config.seeds), ("steps", config.steps)):
        if last >= 2**31:
            raise ValueError(f"{name} must stay below {2**31} to the last, got {last}; choose a smaller one")


def size(config: Sweep) -> int:
    """Bytes of data.nc, about: the chunks of a run have as many once more."""
    numbers = 11 + (config.loss == "full")  # the observables of dynamics.observe; harmonic_energy is four of them
    return int(np.prod(plan.shape(config))) * (8 * numbers * len(recorded_steps(config.steps)) + LETTERS)


def thresholds_of(config: Sweep, results: Results) -> list[Threshold]:
    """The thresholds among the results; one whose search failed is left out."""
    return [threshold(config, task, arrays) for task, arrays, _ in results if isinstance(task, Search) and arrays]


def failures_of(config: Sweep, results: Results) -> list[dict[str, Any]]:
    """Coordinates and error of every cell and every search that failed."""
    found: list[dict[str, Any]] = []
    for task, _, errors in results:
        for place, error in errors.items():
            if isinstance(task, Search):
                if place:  # a search whose workers died is stored with as many errors as it weighs
                    continue
                found.append({"temperature": config.settings[task.temperature].temperature, "search": task.kind})
            else:
                cell = plan.cell(config, task.first + place)
                found.append({
                    "temperature": config.settings[cell.temperature].temperature,
                    "rate": config.rates[cell.rate],
                    "seed": config.seed + cell.seed,
                })  # fmt: skip
            found[-1]["error"] = error
    return found


def _run_here(config: Sweep, kind: type[Task], on_progress: Callable[[float], None]) -> Results:
    check_device(config.device, config.precision)
    wanted = [task for task in plan.tasks(config) if isinstance(task, kind)]
    total = sum(plan.weight(config, task) for task in wanted)
    done = 0
    for task in wanted:
        result = perform((config, task))
        if result.errors:
            raise RuntimeError(next(iter(result.errors.values())))
        yield task, result.arrays, result.errors
        done += plan.weight(config, task)
        on_progress(done / total)


def verdict(
    config: Sweep, thresholds: Sequence[Threshold], *, failures: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The summary without what was measured along the runs.

    A failed search is no evidence: then the bound is not said to hold.
    """
    rows = [threshold.as_row(TOLERANCE) for threshold in thresholds]
    per_temperature = [
        {
            "temperature": setting.temperature,
            "mu_c": plan.unit(config, t),
            "predicted": asdict(critical_rates(setting)),
        }
        for t, setting in enumerate(config.settings)
    ]
    return {
        "holds": all(row["holds"] is not False for row in rows)
        and not any("search" in failure for failure in failures),
        "tolerance": TOLERANCE,
        "thresholds": rows,
        "sweep": per_temperature,
        "setting": {key: value for key, value in asdict(config).items() if key != "rates"},
        "rates": list(config.rates),
        "failures": list(failures),
    }


def summarise(
    config: Sweep,
    dataset: xr.Dataset,
    thresholds: Sequence[Threshold],
    *,
    failures: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The verdict and what it rests on, as plain numbers for summary.json; None stands for "never".

    dataset: of run_sweep, or data.nc opened, of which only one slab of outcomes is in memory at a time.
    """
    summary = verdict(config, thresholds, failures=failures)
    for t, row in enumerate(summary["sweep"]):
        counts: Counter[str] = Counter()
        uniform: list[bool] = []
        collapsed: list[bool] = []
        for rates in slabs(dataset):
            outcome = dataset["outcome"][t, rates].values.astype(np.str_)
            counts.update(dict(zip(*(part.tolist() for part in np.unique(outcome, return_counts=True)), strict=True)))
            uniform += (outcome == "uniform").all(axis=1).tolist()
            collapsed += (outcome == "collapsed").all(axis=1).tolist()
        row |= {
            "uniform_up_to": _last_of_leading(config.rates, uniform),
            "collapsed_from": _last_of_leading(config.rates[::-1], collapsed[::-1]),
            "outcomes": dict(sorted(counts.items())),
            "loss_at_collapse": float(dataset["loss_at_collapse"][t]),
            "loss_at_highest_rate": _finite(dataset["loss"][t, -1, :, -1].median()),
        }
    return summary


def _last_of_leading(rates: Sequence[float], flags: Sequence[bool]) -> float | None:
    """The last rate such that the flag holds there and at every one before; None if it fails at the first."""
    leading = list(takewhile(lambda pair: pair[1], zip(rates, flags, strict=True)))
    return leading[-1][0] if leading else None


def _finite(value: xr.DataArray) -> float | None:
    return float(value) if np.isfinite(value) else None
