"""Training real embedders with and without prototypes: what large learning rates and weight decay do to digits.

The paper's experiment at small scale (its Figure 2). An MLP with batch normalisation on scikit-learn's digits, SGD with
momentum 0.9 and a cosine schedule, one label in ten, prototype weight 1; the number of steps and the weight decays w
stand in the figure, because they decide what is seen. Accuracy: linear probe on held-out data, fitted to all training
labels; the runs with prototypes saw a tenth of them before. Variance: of the unit embeddings, 1 - R^2; a line through
the origin has it too, so the effective rank stands beside it. Points: median and range over seeds; a cross at the
bottom: some seed diverged. There is no theory to hold this against; it is a measurement.
"""

from collections.abc import Callable
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from clopsim.recipe import LossName, Training
from clopsim.recipes import TrainingSweep
from clopsim.training_sweep import run_training_sweep
from figures.drawing import Drawing
from figures.runs import Arrays, Run
from figures.style import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, STYLE

LOSSES: dict[LossName, tuple[str, str, str]] = {
    "infonce": ("InfoNCE", BLUE, "o"),
    "dcl": ("DCL", GREEN, "s"),
    "vicreg": ("VICReg", PURPLE, "^"),
    "barlow": ("Barlow Twins", ORANGE, "D"),
}
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
        base = replace(sweep.base, steps=20, samples=120)
        sweep = replace(sweep, base=base, rate=(0.01, 1.0, 100.0), batch=(32,), seeds=1)
    dataset = run_training_sweep(sweep, on_progress)
    end = dataset.isel(step=-1, labelled_fraction=0, batch_size=0).transpose(*DIMENSIONS)
    return {name: end[name].values for name in (*DIMENSIONS, *STORED, "step", "batch_size")}


def draw(run: Run) -> Drawing:
    """A row of panels for every weight decay."""
    end = xr.Dataset(
        {name: (DIMENSIONS, run[name]) for name in STORED}, coords={name: run[name] for name in DIMENSIONS}
    )
    decays, steps, batch = run["weight_decay"], int(run["step"]), int(run["batch_size"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.94 * PAGE, 1.5 * len(decays) + 0.2), layout="constrained")
        grid = figure.subplots(len(decays), len(PANELS), sharex=True, squeeze=False)
        for row, decay in zip(grid, decays, strict=True):
            for axes, (variable, words) in zip(row, PANELS.items(), strict=True):
                _panel(axes, end[variable].sel(weight_decay=decay))
                axes.set(xscale="log", ylabel=words)
                if variable == "effective_rank":
                    axes.set_ylim(bottom=0)
                else:
                    axes.set_ylim(-0.05, 1.05)
            row[0].set_title(f"{steps} steps of batch {batch}, weight decay {decay:g}", loc="left")
        for axes in grid[-1]:
            axes.set_xlabel(r"learning rate $\mu$")
        keys = [Line2D([], [], color=colour, marker=mark, label=name) for name, colour, mark in LOSSES.values()]
        keys += [
            Line2D([], [], color=BLACK, marker="o", label="with prototypes"),
            Line2D([], [], color=BLACK, marker="o", label="without", markerfacecolor="white", linewidth=0.5),
        ]
        for key in keys:
            key.set_markersize(3)
        figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    flat = end.stack(run=DIMENSIONS)
    names = (*flat.indexes["run"].names, *STORED)
    return Drawing(figure, {str(name): flat[name].values for name in names}, gaps=())


def _panel(axes: Axes, end: xr.DataArray) -> None:
    rates = end["learning_rate"].values
    for weight in end["weight"].values:
        for k, (loss, (_, colour, marker)) in enumerate(LOSSES.items()):
            values = end.sel(loss=loss, weight=weight).transpose("seed", "learning_rate").values
            finite = np.isfinite(values).all(axis=0)
            x = rates * 1.06 ** (k - 1.5)  # side by side
            middle, low, high = (np.full(len(rates), np.nan) for _ in range(3))
            middle[finite] = np.median(values[:, finite], axis=0)
            low[finite], high[finite] = values[:, finite].min(axis=0), values[:, finite].max(axis=0)
            face, line = (colour, 1.1) if weight else ("white", 0.5)
            _, _, (bars,) = axes.errorbar(
                x, middle, yerr=[middle - low, high - middle], color=colour, marker=marker, markersize=2.7,
                elinewidth=0.5, linewidth=line, markerfacecolor=face, markeredgewidth=0.7,
            )  # fmt: skip
            bars.set_antialiased(False)  # upright anyway, and the file is smaller
            bottom = np.full(int((~finite).sum()), 0.02 + 0.03 * k)
            axes.plot(x[~finite], bottom, "x", color=colour, markersize=3, transform=axes.get_xaxis_transform())
