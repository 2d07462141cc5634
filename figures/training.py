"""Training real embedders with and without prototypes: what large learning rates and weight decay do to digits.

The paper's experiment at small scale (its Figure 2). An MLP with batch normalisation on scikit-learn's digits, SGD with
momentum 0.9 and a cosine schedule, one label in ten, prototype weight 1; the number of steps and the weight decays w
stand in the figure, because they decide what is seen. Accuracy: linear probe on held-out data, fitted to all training
labels; the runs with prototypes saw a tenth of them before. Variance: of the unit embeddings, 1 - R^2; a line through
the origin has it too, so the effective rank stands beside it. Points: median and range over seeds; a cross at the
bottom: some seed diverged. There is no theory to hold this against; it is a measurement.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from clopsim.figures.drawing import Drawing
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLUE, ORANGE, PAGE, STYLE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.training_sweep import run_training_sweep
from clopsim.training.recipe import LossName, Training

LOSSES: dict[LossName, str] = {"infonce": "InfoNCE", "dcl": "DCL", "vicreg": "VICReg", "barlow": "Barlow Twins"}
COLOURS = ((ORANGE, "without prototypes"), (BLUE, "with"))
MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "linestyle": "-"},
    {"marker": "s", "linestyle": ":", "markerfacecolor": "white"},
)
PANELS = {"linear_probe": "accuracy", "embedding_variance": "variance", "effective_rank": "effective rank"}
STORED = (*PANELS, "knn", "mean_resultant_length", "leading_share", "view_cosine", "squared_norm")
"""Columns of the CSV file."""

DIMENSIONS = ("weight_decay", "loss", "weight", "learning_rate", "seed")

SWEEP = TrainingSweep(
    base=Training(data="digits", steps=1000, device="cpu", prototypes="orthonormal"),
    loss=tuple(LOSSES),
    rate=tuple(float(f"{rate:.3g}") for rate in np.geomspace(1e-3, 1e2, 11)),
    weight_decay=(1e-4, 1e-2),
    weight=(0.0, 1.0),
    labelled=(0.1,),
    batch=(128,),
    seeds=3,
)


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """STORED at the end of every run."""
    return measured(SWEEP, quick=quick, on_progress=on_progress)


def measured(sweep: TrainingSweep, *, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """STORED at the end of every run of a sweep, over DIMENSIONS; quick: small and rough."""
    if quick:
        base = replace(sweep.base, steps=sweep.base.steps // 50, samples=120)
        sweep = replace(sweep, base=base, rate=(0.01, 1.0, 100.0), batch=(32,), seeds=1)
    dataset = run_training_sweep(sweep, on_progress)
    end = dataset.isel(step=-1, labelled_fraction=0, batch_size=0).transpose(*DIMENSIONS)
    return {name: end[name].values for name in (*DIMENSIONS, *STORED, "step", "batch_size")}


def draw(run: Run) -> Drawing:
    """A column of panels for every loss."""
    title = f"{int(run['step'])} steps of batch {int(run['batch_size'])}, weight decay $w$"
    return draw_columns(run, "loss", words=LOSSES.values(), panels=PANELS, title=title)


def draw_columns(run: Run, column: str, *, words: Iterable[str], panels: Iterable[str], title: str) -> Drawing:
    """A column of panels for every value of a dimension, in `words`; colour: prototypes, marker and line: weight decay.

    column: "loss", or what stands in its place in DIMENSIONS.
    """
    dimensions = [column if name == "loss" else name for name in DIMENSIONS]
    end = xr.Dataset(
        {name: (dimensions, run[name]) for name in STORED}, coords={name: run[name] for name in dimensions}
    )
    series = list(product(zip(run["weight"], COLOURS, strict=True), zip(run["weight_decay"], MARKS, strict=True)))
    rows = list(panels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 1.2 + len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(run[column]), sharex=True, sharey="row")
        for place, (panel, heading) in enumerate(zip(grid.T, words, strict=True)):
            panel[0].set_title(heading)
            for axes, variable in zip(panel, rows, strict=True):
                for k, ((weight, (colour, _)), (decay, mark)) in enumerate(series):
                    cells = end[variable].isel({column: place}).sel(weight=weight, weight_decay=decay)
                    _draw_curve(axes, cells.transpose("seed", "learning_rate"), colour=colour, mark=mark, place=k)
            panel[-1].set_xlabel(r"learning rate $\mu$")
        for axes, variable in zip(grid[:, 0], rows, strict=True):
            axes.set(xscale="log", xticks=(1e-2, 1, 1e2), ylabel=PANELS[variable])
            axes.set_ylim(*((0, None) if variable == "effective_rank" else (-0.05, 1.05)))
        keys = [
            Line2D([], [], color=colour, markersize=3.5, label=f"{prototypes}, $w={decay:g}$", **mark)
            for (_, (colour, prototypes)), (decay, mark) in series
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
        figure.suptitle(title, fontsize=STYLE["axes.titlesize"])
    flat = end.stack(run=dimensions)
    names = (*flat.indexes["run"].names, *STORED)
    return Drawing(figure, {str(name): flat[name].values for name in names}, gaps=())


def _draw_curve(axes: Axes, cells: xr.DataArray, *, colour: str, mark: dict[str, Any], place: int) -> None:
    """Median and range of (seeds, rates); a cross where some seed diverged. place: of four, side by side."""
    rates, values = cells["learning_rate"].values, cells.values
    finite = np.isfinite(values).all(axis=0)
    x = rates * 1.08 ** (place - 1.5)
    middle, low, high = (np.full(len(rates), np.nan) for _ in range(3))
    middle[finite] = np.median(values[:, finite], axis=0)
    low[finite], high[finite] = values[:, finite].min(axis=0), values[:, finite].max(axis=0)
    _, _, (bars,) = axes.errorbar(
        x, middle, yerr=[middle - low, high - middle], color=colour, markersize=2.7, elinewidth=0.6, linewidth=0.9,
        markeredgewidth=0.7, **mark,
    )  # fmt: skip
    bars.set_antialiased(False)  # upright anyway, and the file is smaller
    bottom = np.full(int((~finite).sum()), 0.03 + 0.03 * place)
    axes.plot(x[~finite], bottom, "x", color=colour, markersize=2.5, transform=axes.get_xaxis_transform())
