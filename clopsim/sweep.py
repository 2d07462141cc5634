"""The main job: sweep the learning rate, search the thresholds, hold both against the bound."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from bounds import critical_rates, loss_at_collapse
from clopsim import plan
from clopsim.chunks import Arrays, perform, threshold
from clopsim.config import Sweep
from clopsim.devices import check_device
from clopsim.dynamics import recorded_steps
from clopsim.plan import Chunk, Search, Task
from clopsim.thresholds import Threshold

TOLERANCE = 0.01
"""Largest relative gap between the predicted and the observed rate at which the bound is said to hold."""

DIMENSIONS = ("temperature", "rate", "seed", "step")

FAILED = "failed"
"""Outcome of a cell that raised an error or lost its worker again and again: nothing was measured."""

Results = Iterable[tuple[Task, Arrays, Mapping[int, str]]]
"""Tasks with what they gave: arrays of the cells that ended well, errors of the others by their place."""


def prepare(config: Sweep, *, here: bool = True) -> Sweep:
    """The configuration itself. here: whether this machine runs it, so that the device must be one of its own."""
    if here:
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
    """The observables along all runs as one labelled dataset, from the results of all chunks, in any order.

    Variables over (temperature, rate, seed, step[, degree]) as in dynamics.observe, `outcome` over (temperature, rate,
    seed); coordinates rate (units of mu_c), learning_rate and mu_c (absolute). A run that left the finite numbers is
    nan from there on and its outcome is "diverged"; a cell that failed is nan, its outcome "failed". Holds the dataset
    and one chunk at a time: about 3 kB a cell at 1000 steps.
    """
    shape = plan.shape(config)
    units = np.array([plan.unit(config, t) for t in range(shape[0])])
    dataset = xr.Dataset(
        coords={
            "temperature": [setting.temperature for setting in config.settings],
            "rate": ("rate", list(config.rates), {"long_name": "learning rate in units of mu_c"}),
            "seed": list(range(config.seed, config.seed + config.seeds)),
            "step": list(recorded_steps(config.steps)),
            "degree": [1, 2, 3, 4],
            "mu_c": ("temperature", units, {"long_name": "tau (n-1)/(n-2), scaled to keys and reduction"}),
            "learning_rate": (("temperature", "rate"), units[:, None] * np.array(config.rates)),
        }
    )
    whole: Arrays = {}
    cells = int(np.prod(shape))
    outcome = np.full(cells, FAILED, dtype="<U11")
    for task, arrays, errors in results:
        if not isinstance(task, Chunk):
            continue
        rows = [task.first + place for place in range(task.size) if place not in errors]
        for name, values in arrays.items():
            if name == "outcome":
                outcome[rows] = values
            else:
                whole.setdefault(name, np.full((cells, *values.shape[1:]), np.nan))[rows] = values
    for name, values in whole.items():
        dims = (*DIMENSIONS, "degree") if values.ndim == 3 else DIMENSIONS
        dataset[name] = (dims, values.reshape(*shape, *values.shape[1:]))
    dataset["outcome"] = (DIMENSIONS[:3], outcome.astype(np.str_).reshape(shape))
    dataset["loss_at_collapse"] = ("temperature", [float(loss_at_collapse(setting)) for setting in config.settings])
    return dataset


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


def summarise(
    config: Sweep, dataset: xr.Dataset, thresholds: list[Threshold], *, failures: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The verdict and what it rests on, as plain numbers for summary.json; None stands for "never".

    A failed search is no evidence: then the bound is not said to hold.
    """
    final = dataset.isel(step=-1)
    collapsed = (dataset["outcome"] == "collapsed").all("seed")
    uniform = (dataset["outcome"] == "uniform").all("seed")
    rows = [threshold.as_row(TOLERANCE) for threshold in thresholds]
    per_temperature = [
        {
            "temperature": setting.temperature,
            "mu_c": plan.unit(config, t),
            "predicted": asdict(critical_rates(setting)),
            "uniform_up_to": _last_of_leading(uniform[t]),
            "collapsed_from": _first_of_trailing(collapsed[t]),
            "outcomes": {
                str(name): int(count)
                for name, count in zip(*np.unique(dataset["outcome"][t], return_counts=True), strict=True)
            },
            "loss_at_collapse": float(dataset["loss_at_collapse"][t]),
            "loss_at_highest_rate": _finite(final["loss"][t, -1].median()),
        }
        for t, setting in enumerate(config.settings)
    ]
    return {
        "holds": all(row["holds"] for row in rows) and not any("search" in failure for failure in failures),
        "tolerance": TOLERANCE,
        "thresholds": rows,
        "sweep": per_temperature,
        "setting": {key: value for key, value in asdict(config).items() if key != "rates"},
        "rates": list(config.rates),
        "failures": list(failures),
    }


def _last_of_leading(flags: xr.DataArray) -> float | None:
    """Highest rate such that the flag holds there and at every lower rate; None if it fails at the lowest."""
    count = int(np.cumprod(flags.values).sum())
    return float(flags["rate"][count - 1]) if count else None


def _first_of_trailing(flags: xr.DataArray) -> float | None:
    """Lowest rate such that the flag holds there and at every higher rate; None if it fails at the highest."""
    count = int(np.cumprod(flags.values[::-1]).sum())
    return float(flags["rate"][-count]) if count else None


def _finite(value: xr.DataArray) -> float | None:
    return float(value) if np.isfinite(value) else None
