"""Training sweeps: a grid of small networks trained together, as one labelled dataset."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, product
from typing import Any

import numpy as np
import torch
import xarray as xr
from threadpoolctl import threadpool_limits

from clopsim.metrics.geometry import POINT
from clopsim.runs import plan, ready, results
from clopsim.runs.chunks import Arrays, Result, machine, own_device
from clopsim.runs.code import code
from clopsim.runs.plan import Chunk
from clopsim.runs.recipes import AXES, BASE, Cell, TrainingSweep
from clopsim.runs.sweep import FAILED, Results
from clopsim.show.variables import described
from clopsim.sphere.devices import check_device, fastest
from clopsim.sphere.dynamics import recorded_steps
from clopsim.sphere.outcomes import Outcome
from clopsim.training.datasets import fingerprint, load
from clopsim.training.stack.ensemble import RECORDS, Trained, train_together
from clopsim.training.stack.stack import ACCURACIES, OBSERVABLES
from clopsim.training.trainee import trainee

NAMES = {"rate": "learning_rate", "labelled": "labelled_fraction", "batch": "batch_size"}
"""Axes of the dataset that are not spelt like the field."""

LOSS_VALUE = "loss_value"
"""The observable "loss", where "loss" is an axis."""

NOT_ASKED, SPREAD = "not asked", "spread"
"""Outcomes beside FAILED and those of outcomes.Outcome: a combination that clop leaves out; neither point nor line."""

DIMENSIONS = (*(NAMES.get(name, name) for name in AXES), "seed")


def prepare(record: TrainingSweep, *, here: bool = True) -> TrainingSweep:
    """The record with its device decided (auto: cuda, else cpu), once its data and prototypes are known to suit it.

    here: whether this machine trains, so that the device must be one of its own. Errors: ValueError about the fields.
    """
    name = fastest(record.base.device)
    ready.check_memory(record.base.needs())  # the data are read here, whoever trains
    if here:
        check_device(name, record.base.precision)
    cells = record.cells()
    hardest = [max(cells, key=lambda cell: (cell.batch, cell.weight))]
    hardest += {cell.loss: cell for cell in sorted(cells, key=lambda cell: -cell.labelled)}.values()  # with few labels
    hardest += sorted((cell for cell in cells if cell.labelled), key=lambda cell: cell.labelled)[:1]  # must leave one
    dtype = torch.float64 if record.base.precision == "float64" else torch.float32
    for cell in hardest:
        recipe = record.recipe(cell)
        trainee(recipe, load(recipe, dtype=dtype), device=torch.device("cpu"), dtype=dtype)
    return replace(record, base=replace(record.base, device=name))


def perform(job: tuple[TrainingSweep, Chunk], worker: int = 0) -> Result:
    """Train the networks of one chunk, on one thread. Errors: whatever one of them raises; all of them are lost then.

    worker: number of the worker, which picks its device.
    """
    record, task = job
    made = made_by(record)  # now: source and data may change while it runs
    device = own_device(record.base.device, worker)
    cells = plan.ordered(record)[task.first : task.first + task.size]
    with threadpool_limits(1):  # of NumPy and scikit-learn, whose threads would change last bits
        trained = train_together([record.recipe(cell) for cell in cells], device=device, workers=1)
    return Result(_arrays(trained), {}, made, machine(device))


def made_by(record: TrainingSweep) -> dict[str, str]:
    """What decides the bits of a result: the code and the data."""
    return {**code(), **fingerprint(record.base)}


def run_training_sweep(record: TrainingSweep, on_progress: Callable[[float], None] = lambda share: None) -> xr.Dataset:
    """Train every cell in this process, on as many threads as torch uses, and return the dataset of assemble().

    Cells of one loss and one batch size are trained together; a cell's numbers are those of its recipe alone, to
    rounding, whichever cells are beside it. on_progress gets the share that is done. Errors: as of prepare().
    """
    record = prepare(record)

    def results() -> Results:
        cells, first = plan.ordered(record), 0
        for _, group in groupby(cells, key=lambda cell: (cell.loss, cell.batch)):
            members = list(group)

            def report(share: float, before: int = first, size: int = len(members)) -> None:
                on_progress((before + share * size) / len(cells))

            recipes = [record.recipe(cell) for cell in members]
            trained = train_together(recipes, device=record.base.device, on_progress=report)
            yield Chunk(first, len(members)), _arrays(trained), {}
            first += len(members)

    return assemble(record, results())


def assemble(record: TrainingSweep, results: Results) -> xr.Dataset:
    """The results of all chunks, in any order, as one labelled dataset.

    OBSERVABLES over DIMENSIONS and step, ACCURACIES and `outcome` over DIMENSIONS. nan: from where a run left the
    finite numbers, where nothing is held out, and for a combination that was not asked for or failed.
    """
    axes = record.axes()
    shape = [len(values) for values in axes.values()]
    steps = recorded_steps(record.base.steps, per_decade=RECORDS)
    dataset = xr.Dataset(coords={**{NAMES.get(name, name): list(axes[name]) for name in axes}, "step": list(steps)})
    places = {Cell._make(each): place for place, each in enumerate(product(*axes.values()))}
    cells = [places[cell] for cell in plan.ordered(record)]
    whole: Arrays = {name: np.full((len(places), len(steps)), np.nan) for name in _along()}
    whole |= {name: np.full(len(places), np.nan) for name in ACCURACIES}
    whole["outcome"] = np.full(len(places), NOT_ASKED, dtype="<U9")
    whole["outcome"][cells] = FAILED
    for task, arrays, errors in results:
        if isinstance(task, Chunk) and not errors:
            for name, values in arrays.items():
                whole[name][cells[task.first : task.first + task.size]] = values
    for name, values in whole.items():
        dims = DIMENSIONS if values.ndim == 1 else (*DIMENSIONS, "step")
        dataset[name] = (dims, values.reshape(*shape, *values.shape[1:]))
    return described(dataset, "train-sweep")


def size(record: TrainingSweep) -> int:
    """Bytes of data.nc, about: the chunks of a run have as many once more."""
    numbers = len(OBSERVABLES) * len(recorded_steps(record.base.steps, per_decade=RECORDS)) + len(ACCURACIES)
    return 8 * numbers * int(np.prod([len(values) for values in record.axes().values()]))


def failures_of(record: TrainingSweep, results: Results) -> list[dict[str, Any]]:
    """Coordinates and error of every run that failed."""
    cells = plan.ordered(record)
    return [
        {**dict(zip(DIMENSIONS, cells[task.first + place], strict=True)), "error": error}
        for task, _, errors in results
        if isinstance(task, Chunk)
        for place, error in errors.items()
    ]


def summarise(
    record: TrainingSweep, dataset: xr.Dataset, *, failures: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """One row for every combination: how many runs came to which outcome, medians over the seeds at the end.

    None: nan, in every seed.
    """
    end = dataset.isel(step=-1)
    rows = []
    for each in dict.fromkeys(cell[:-1] for cell in record.cells()):
        where = dict(zip(DIMENSIONS[:-1], each, strict=True))
        here = end.sel(where)
        row: dict[str, Any] = {**where, "outcomes": dict(Counter(here["outcome"].values.tolist()))}
        for name in (*_along(), *ACCURACIES):
            row[name] = _median(here[name].values)
        rows.append(row)
    return {"runs": rows, "setting": record.to_plain(), "failures": list(failures)}


def attributes(record: TrainingSweep, *, command: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of the dataset: what all runs share, versions, origin (results.origin_now of the start)."""
    shared = {name: getattr(record.base, name) for name in BASE}
    return {
        **{name: int(value) if isinstance(value, bool) else value for name, value in shared.items()},
        "command": command,
        "git": origin["git"],
        "versions": results.listed(origin["versions"]),
    }


def _arrays(trained: Trained) -> Arrays:
    """What became of the members, by the names of the dataset."""
    arrays = {LOSS_VALUE if name == "loss" else name: values for name, values in trained.observables.items()}
    end = {name: values[:, -1] for name, values in arrays.items()}
    tests = [
        ~np.isfinite(list(end.values())).all(axis=0),
        end["mean_resultant_length"] >= 1 - POINT,
        end["leading_share"] >= 1 - POINT,
    ]
    outcome = np.select(tests, [Outcome.DIVERGED, Outcome.COLLAPSED, Outcome.LINE], default=SPREAD).astype(np.str_)
    return {**arrays, **trained.accuracies, "outcome": outcome}


def _along() -> list[str]:
    """The observables by their names in the dataset."""
    return [LOSS_VALUE if name == "loss" else name for name in OBSERVABLES]


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None
