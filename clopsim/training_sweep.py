"""Training sweeps: a grid of small networks trained together, as one labelled dataset."""

from collections.abc import Callable
from itertools import groupby, product
from typing import Any

import numpy as np
import torch
import xarray as xr

from clopsim import results
from clopsim.devices import check_device
from clopsim.ensemble import ACCURACIES, OBSERVABLES, train_together
from clopsim.recipes import AXES, TrainingSweep

NAMES = {"rate": "learning_rate", "labelled": "labelled_fraction", "batch": "batch_size"}
"""Axes of the dataset that are not spelt like the field."""

LOSS_VALUE = "loss_value"
"""The observable "loss", where "loss" is an axis."""

DIMENSIONS = (*(NAMES.get(name, name) for name in AXES), "seed")

LABELS = {
    LOSS_VALUE: "loss of the batches at hand, prototypes included",
    "effective_rank": "exp of the entropy of the embeddings' energies",
    "mean_resultant_length": "length of the mean unit embedding; 1 at complete collapse",
    "leading_share": "share of the energy in the leading direction; 1 on a line",
    "view_cosine": "mean cosine of the two views",
    "squared_norm": "mean squared norm of the raw embeddings",
    "embedding_variance": "total variance of the unit embeddings, 1 - R^2; 0 at complete collapse",
    "knn": "held-out accuracy, 20 nearest neighbours, all training labels",
    "linear_probe": "held-out accuracy, ridge on unit embeddings, all training labels",
}
NUMBERS = {"rate": "learning rate mu, at the start", "weight": "lambda of the prototype term; 0: the loss alone"}


def run_training_sweep(record: TrainingSweep, on_progress: Callable[[float], None] = lambda share: None) -> xr.Dataset:
    """Train every cell and return its observables along the run and its accuracies at the end.

    OBSERVABLES over DIMENSIONS and step, ACCURACIES over DIMENSIONS; nan from where a run left the finite numbers, and
    where nothing is held out. Cells of one loss and one batch size are trained together; a cell's numbers are those of
    its recipe alone, to rounding, whichever cells are beside it. on_progress gets the share that is done.

    Errors: ValueError about the record's fields where the data, the device or the prototypes do not suit.
    """
    wanted = record.base.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = check_device(wanted, record.base.precision)
    cells = record.cells()
    recipes = [record.recipe(cell) for cell in cells]
    order = sorted(range(len(cells)), key=lambda k: (cells[k].loss, cells[k].batch))
    done = 0
    steps: tuple[int, ...] = ()
    values: dict[str, Any] = {}
    for _, group in groupby(order, key=lambda k: (cells[k].loss, cells[k].batch)):
        places = list(group)

        def report(share: float, before: int = done, size: int = len(places)) -> None:
            on_progress((before + share * size) / len(cells))

        trained = train_together([recipes[k] for k in places], device=device, on_progress=report)
        steps = trained.steps
        for name, part in {**trained.observables, **trained.accuracies}.items():
            array = values.setdefault(name, np.full((len(cells), *part.shape[1:]), np.nan))
            array[places] = part
        done += len(places)
    axes: dict[str, Any] = {NAMES.get(name, name): list(getattr(record, name)) for name in AXES}
    axes["seed"] = list(range(record.base.seed, record.base.seed + record.seeds))
    dataset = xr.Dataset(coords={**axes, "step": list(steps)})
    shape = [len(axis) for axis in axes.values()]
    values[LOSS_VALUE] = values.pop("loss")
    for name in _along():
        dataset[name] = ((*DIMENSIONS, "step"), values[name].reshape(*shape, -1), {"long_name": LABELS[name]})
    for name in ACCURACIES:
        dataset[name] = (DIMENSIONS, values[name].reshape(shape), {"long_name": LABELS[name]})
    for name, words in NUMBERS.items():
        dataset[NAMES.get(name, name)].attrs["long_name"] = words
    return dataset


def summarise(record: TrainingSweep, dataset: xr.Dataset) -> dict[str, Any]:
    """One row for every combination: medians over the seeds at the end, and how many runs diverged; None: nan."""
    end = dataset.isel(step=-1)
    rows = []
    for each in product(*(dataset[name].values.tolist() for name in DIMENSIONS[:-1])):
        where = dict(zip(DIMENSIONS[:-1], each, strict=True))
        here = end.sel(where)
        row: dict[str, Any] = {**where, "diverged": int((~np.isfinite(here[LOSS_VALUE])).sum())}
        for name in (*_along(), *ACCURACIES):
            row[name] = _median(here[name].values)
        rows.append(row)
    shared = {name: value for name, value in vars(record.base).items() if name not in (*AXES, "compile", "sharpness")}
    return {"setting": shared, "seeds": record.seeds, "runs": rows}


def attributes(record: TrainingSweep, *, command: str) -> dict[str, Any]:
    """Attributes of the dataset: what all runs share, versions, origin."""
    shared = {name: value for name, value in vars(record.base).items() if name not in AXES}
    return {
        **{name: int(value) if isinstance(value, bool) else value for name, value in shared.items()},
        "command": command,
        "git": results.git_hash(),
        "versions": ", ".join(f"{name} {number}" for name, number in results.versions().items()),
    }


def _along() -> list[str]:
    """The observables by their names in the dataset."""
    return [LOSS_VALUE if name == "loss" else name for name in OBSERVABLES]


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None
