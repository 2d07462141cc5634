"""With a small weight decay prototypes hold accuracy and rank at every rate.

The paper's Figure 2, small: an MLP with batch norm on scikit-learn's digits, InfoNCE, 1000 steps of batch 128,
momentum 0.9, cosine schedule, prototype weight 1. Accuracy: linear probe on held-out data; runs with prototypes saw a
tenth of the labels. Median and range of three seeds; other losses in the table. A measurement, no theory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clopsim.figures.drawing import Drawing
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import AMBER, BLUE, GREY, ORANGE, PAGE, STYLE, headline
from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.training_sweep import run_training_sweep
from clopsim.training.recipe import LossName, Training

LOSSES: dict[LossName, str] = {"infonce": "InfoNCE", "dcl": "DCL", "vicreg": "VICReg", "barlow": "Barlow Twins"}
COLOURS = ((ORANGE, AMBER, "without"), (BLUE, BLUE, "with"))
"""Of the points and of the words, without and with prototypes."""

MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "linestyle": "-"},
    {"marker": "s", "linestyle": ":", "markerfacecolor": "white"},
)
PANELS = {"linear_probe": "accuracy", "effective_rank": "effective rank"}
STORED = (
    "linear_probe",
    "embedding_variance",
    "effective_rank",
    "knn",
    "mean_resultant_length",
    "leading_share",
    "view_cosine",
    "squared_norm",
)
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
    """Accuracy and rank of InfoNCE."""
    return draw_infonce(run, __doc__)


def draw_infonce(run: Run, caption: str | None) -> Drawing:
    """Accuracy and rank against the rate; colour: prototypes, marker and line: weight decay."""
    end, series = draw_ends(run, "loss"), [*draw_series(run)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.5), layout="constrained")
        for axes, (variable, words) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
            last = []
            for k, (weight, decay, colour, mark, _) in enumerate(series):
                cells = end[variable].sel(loss="infonce", weight=weight, weight_decay=decay)
                cells = cells.transpose("seed", "learning_rate")
                draw_curve(axes, cells["learning_rate"].values * 1.05 ** (k - 1.5), cells.values, color=colour, **mark)
                last.append(float(np.median(cells.values[:, -1])))
            axes.set(xscale="log", xlabel=r"learning rate $\mu$", title=words)
            axes.set_ylim(*((0, None) if variable == "effective_rank" else (0, 1.02)))
            axes.set_xticks((1e-3, 1e-2, 1e-1, 1, 10, 100), ["0.001", "", "0.1", "1", "10", "100"])
            if variable == "effective_rank":
                draw_labels(axes, last, series)
        headline(figure, caption)
    return Drawing(figure, draw_table(end), gaps=())


def draw_ends(run: Run, column: str) -> xr.Dataset:
    """A run with its coordinates; column: "loss", or what stands in its place in DIMENSIONS."""
    dimensions = [column if name == "loss" else name for name in DIMENSIONS]
    return xr.Dataset(
        {name: (dimensions, run[name]) for name in STORED}, coords={name: run[name] for name in dimensions}
    )


def draw_table(end: xr.Dataset) -> dict[str, Any]:
    """The columns of the CSV file."""
    flat = end.stack(run=[str(name) for name in end[STORED[0]].dims])
    return {str(name): flat[name].values for name in (*flat.indexes["run"].names, *STORED)}


def draw_series(run: Run) -> Iterator[tuple[float, float, str, dict[str, Any], tuple[str, str]]]:
    """Prototype weight, weight decay, colour, look, and the words for it with theirs."""
    for weight, (colour, dark, prototypes) in zip(run["weight"], COLOURS, strict=True):
        for decay, mark in zip(run["weight_decay"], MARKS, strict=True):
            yield weight, decay, colour, mark, (f"{prototypes}, $w={decay:g}$", dark)


def draw_labels(axes: Axes, last: list[float], series: Sequence[Any]) -> None:
    """The words of a series beside its last point, as far apart as they need."""
    low, high = axes.get_ylim()
    above: Any = {"xycoords": "axes fraction", "va": "bottom", "color": GREY}
    axes.annotate("prototypes,\nweight decay $w$:", (1.02, 0.93), **above)
    order = sorted(range(len(last)), key=last.__getitem__)
    spots, room = [(value - low) / (high - low) for value in last], 0.075
    for below, here in pairwise(order):
        spots[here] = max(spots[here], spots[below] + room)
    above_it = 0.93
    for here in reversed(order):  # the heading stays free
        spots[here] = above_it = min(spots[here], above_it - room)
    for spot, (*_, (words, colour)) in zip(spots, series, strict=True):
        axes.annotate(words, (1.02, spot), xycoords="axes fraction", va="center", color=colour, weight="bold")


def draw_curve(axes: Axes, x: Any, values: Any, **look: Any) -> None:
    """Median and range of (seeds, places); nothing where some seed diverged."""
    middle, low, high = (np.full(len(x), np.nan) for _ in range(3))
    finite = np.isfinite(values).all(axis=0)
    middle[finite] = np.median(values[:, finite], axis=0)
    low[finite], high[finite] = values[:, finite].min(axis=0), values[:, finite].max(axis=0)
    spread = [middle - low, high - middle]
    axes.errorbar(x, middle, yerr=spread, markersize=3.5, elinewidth=0.7, linewidth=1.2, markeredgewidth=0.8, **look)
