"""The kinds of sweeps that a run folder can hold: of embeddings, of networks. What a folder must know of each."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from clopsim.runs import chunks, plan, results, sweep
from clopsim.runs.code import code
from clopsim.runs.config import Sweep
from clopsim.runs.executors import Work
from clopsim.runs.plan import Config, Search
from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.sweep import Results
from clopsim.show import plots

FIGURE = "sweep.png"

Read = Callable[[Iterable[int]], Results]
"""The results of tasks, by their numbers in the plan."""

Failures = list[dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """How a kind of sweep is checked, computed and put together. Its configurations are what the functions take."""

    prepare: Callable[..., Any]  # (config, here=): the configuration to run, once data and device are known to suit it
    made_by: Callable[[Any], Mapping[str, str]]  # what decides the bits: the code, and the data that are read
    perform: Work  # ((config, task), worker): what a worker does
    failures_of: Callable[[Any, Results], Failures]
    write: Callable[[Path, Any, Read, Failures, Mapping[str, Any]], dict[str, Any]]
    # (folder, config, results, failures, origin of the start): writes data.nc, returns the summary
    size: Callable[[Any], int]  # bytes of data.nc, about
    draw: Callable[[xr.Dataset], Figure] | None  # the picture FIGURE of data.nc, for a kind that has one


def of(config: Config) -> Kind:
    """The kind of a configuration."""
    return _of_embeddings() if isinstance(config, Sweep) else _of_networks()


def _of_embeddings() -> Kind:
    return Kind(
        sweep.prepare,
        lambda config: code(),
        chunks.perform,
        sweep.failures_of,
        _write_sweep,
        sweep.size,
        lambda data: plots.draw_sweep(data),
    )


def _of_networks() -> Kind:
    from clopsim.runs import training_sweep  # and all of training, which a sweep of embeddings need not wait for

    return Kind(
        training_sweep.prepare,
        training_sweep.made_by,
        training_sweep.perform,
        training_sweep.failures_of,
        _write_training_sweep,
        training_sweep.size,
        None,
    )


def _write_sweep(
    folder: Path, config: Sweep, read: Read, failures: Failures, origin: Mapping[str, Any]
) -> dict[str, Any]:
    tasks = plan.tasks(config)
    thresholds = sweep.thresholds_of(config, read(k for k, task in enumerate(tasks) if isinstance(task, Search)))
    known = sweep.verdict(config, thresholds, failures=failures)
    attributes = results.attributes(known, command=origin["command"], origin=origin)
    sweep.write(folder / results.DATA, config, read(range(len(tasks))), attributes=attributes)
    with results.opened(folder) as dataset:
        return sweep.summarise(config, dataset, thresholds, failures=failures)


def _write_training_sweep(
    folder: Path, record: TrainingSweep, read: Read, failures: Failures, origin: Mapping[str, Any]
) -> dict[str, Any]:
    from clopsim.runs import training_sweep

    dataset = training_sweep.assemble(record, read(range(len(plan.tasks(record)))))
    attributes = training_sweep.attributes(record, command=origin["command"], origin=origin)
    results.save_data(folder, dataset.assign_attrs(attributes))
    return training_sweep.summarise(record, dataset, failures=failures)
