"""What a worker does with one task of a sweep: run its cells, or search its threshold. Pure: writes nothing."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.runs.code import code
from clopsim.runs.config import Sweep
from clopsim.runs.executors import message
from clopsim.runs.plan import Search, Task, batch_size, cell, unit
from clopsim.sphere import starts
from clopsim.sphere.data import antipodal_lines, gaussian_clusters
from clopsim.sphere.dynamics import recorded_steps, run
from clopsim.sphere.outcomes import classify
from clopsim.sphere.thresholds import Threshold, search

NEAR_COLLAPSE = 1e-3
"""Spread, in radians, of start="collapse"."""

Arrays = dict[str, NDArray[Any]]


class Result(NamedTuple):
    """What a task gave: arrays with a row for every cell that ended well, the errors of the others by their place.

    code, machine: where it was made; the same code on the same kind of machine gives the same bits.
    """

    arrays: Arrays
    errors: dict[int, str]
    code: dict[str, str]
    machine: str


def perform(job: tuple[Sweep, Task], worker: int = 0) -> Result:
    """Run one task of a configuration, on one thread: more would change the last bits and slow small batches down.

    A cell that raises an error is reported and all others get the bits that they always get (see _isolated).
    worker: number of the worker, which picks its device.
    """
    config, task = job
    device = own_device(config.device, worker)
    made_by = dict(code())  # now: the source may be edited while it runs
    with one_thread():
        if isinstance(task, Search):
            arrays, errors = _searched(config, task, device)
        else:
            cells = range(task.first, task.first + task.size)
            arrays, errors = _merged(
                _isolated(config, cells[first : first + batch_size(config)], device, offset=first)
                for first in range(0, task.size, batch_size(config))
            )
    return Result(arrays, errors, made_by, machine(device))


def own_device(name: str, worker: int, *, count: int | None = None) -> torch.device:
    """The device of a worker: "cuda" without a number is spread, worker w takes device w modulo their count."""
    if name != "cuda":
        return torch.device(name)
    return torch.device("cuda", worker % (torch.cuda.device_count() if count is None else count))


def machine(device: torch.device) -> str:
    """The kind of machine, as far as it decides the last bits."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def threshold(config: Sweep, task: Search, arrays: Arrays) -> Threshold:
    """The threshold that a search task found."""
    numbers = [float(value) for value in arrays["threshold"][0]]
    predicted, rate = (None if np.isnan(number) else number for number in numbers[:2])
    bracket = None if rate is None else (numbers[2], numbers[3])
    setting = config.settings[task.temperature]
    return Threshold(task.kind, setting, predicted, rate, bracket, (numbers[4], numbers[5]))


def _searched(config: Sweep, task: Search, device: torch.device) -> tuple[Arrays, dict[int, str]]:
    seeds = range(config.seed, config.seed + config.seeds)
    where = torch.device("cpu") if device.type == "mps" else device  # the search needs float64
    try:
        found = search(task.kind, config.settings[task.temperature], seeds=seeds, device=where)
    except Exception as error:
        return {}, {0: message(error)}
    numbers = (found.predicted_rate, found.rate, *(found.bracket or (None, None)), *found.searched)
    return {"threshold": np.array([[np.nan if number is None else number for number in numbers]])}, {}


def _isolated(
    config: Sweep, cells: Sequence[int], device: torch.device, *, offset: int
) -> tuple[Arrays, dict[int, str]]:
    """Run a batch; if it raises, halve it until the cells to blame stand alone.

    A half is run in the shape of the whole batch, every cell in its own place and copies of one in the other places,
    so that a neighbour's error changes no bit of a cell.
    """

    def attempt(rows: range) -> tuple[Arrays, dict[int, str]]:
        stand_in = cells[rows[0]]
        try:
            arrays = _run([number if k in rows else stand_in for k, number in enumerate(cells)], config, device)
        except Exception as error:
            if len(rows) == 1:
                return {}, {offset + rows[0]: message(error)}
            half = len(rows) // 2
            return _merged((attempt(rows[:half]), attempt(rows[half:])))
        return {name: values[rows.start : rows.stop] for name, values in arrays.items()}, {}

    return attempt(range(len(cells)))


def _merged(parts: Any) -> tuple[Arrays, dict[int, str]]:
    parts = list(parts)
    filled = [arrays for arrays, _ in parts if arrays]
    joined = {name: np.concatenate([arrays[name] for arrays in filled]) for name in (filled[0] if filled else ())}
    return joined, {place: error for _, errors in parts for place, error in errors.items()}


def _run(numbers: Sequence[int], config: Sweep, device: torch.device) -> Arrays:
    dtype = torch.float64 if config.precision == "float64" else torch.float32
    cells = [cell(config, number) for number in numbers]
    drawn = {
        (t, s): start(config, config.settings[t], config.seed + s) for t, s in {(c.temperature, c.seed) for c in cells}
    }
    z = torch.stack([drawn[c.temperature, c.seed] for c in cells]).to(device, dtype)
    rates = [config.rates[c.rate] * unit(config, c.temperature) for c in cells]
    rate = torch.tensor(rates, dtype=dtype, device=device)
    taus = [config.settings[c.temperature].temperature for c in cells]
    tau = torch.tensor(taus, dtype=dtype, device=device)
    trajectory = run(z, rate, tau, setting=config.settings[0], steps=recorded_steps(config.steps))
    arrays: Arrays = {name: values.numpy() for name, values in trajectory.observables.items()}
    end, velocity = trajectory.final, trajectory.velocity
    return arrays | {"outcome": classify(end, rate, tau, config.settings[0], velocity=velocity)}


def start(config: Sweep, setting: Setting, seed: int) -> Tensor:
    """(n, d) float64 start of a run: from its own coordinates alone, whatever runs beside it."""
    if config.start == "data":
        spec, lines = config.gaussian, config.data == "lines"
        if lines:
            size = {"dimension": spec.dimension, "classes": spec.clusters}
            x = antipodal_lines(spec.samples, **size, noise=spec.noise, seed=seed).x
        else:
            x = gaussian_clusters(spec, seed=seed).x
        return starts.from_data(setting, x, view_noise=config.view_noise, antipodal=lines, seed=seed)
    if config.start == "random":
        return starts.random_directions(setting, seed=seed)
    if config.start == "uniform":
        return starts.near_uniform(setting, temperature=float(setting.tau), seed=seed, view_angle=NEAR_COLLAPSE)
    return starts.near_collapse(setting, spread=NEAR_COLLAPSE, seed=seed)
