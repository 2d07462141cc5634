"""With weight decay a table keeps the predicted angle, networks their own.

Line: the mean of 1 - cos of two views under the swap of a free norm (T10), derived for the table, which starts at its
norm. Crosses: weights before a batch norm turn by the cosine 1 - mu w a step, a balance of norms. Set-up and points as
for the networks that lose their rank; runs that lost it are left out.
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.bounds.free_norm import decayed_view_cosine, effective_rate
from clopsim.figures import decayed
from clopsim.figures.decayed import LOST, MAIN
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.fixed_views import SETTING, Cell
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PAGE,
    SKY,
    STYLE,
    VERMILION,
    headline,
    measured,
    plain_ticks,
)

SHOWN = {"table": (BLACK, "D"), "linear": (ORANGE, "s"), "MLP": (SKY, "v"), MAIN: (BLUE, "o")}

SMALL = 0.03
"""Product mu w up to which the mean of 1 - cos is mu w for the table, which starts at T10's norm, and the mean of the
effective rate 1. Above, 1500 steps widen the orbits; theirs is larger and not derived, so no gap holds it
(figures.free_norm)."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """The embedders of SHOWN without prototypes."""
    grid = product(decayed.rates(quick=quick), decayed.decays(quick=quick), (0.0,), decayed.seeds(quick=quick))
    runs = [(name, Cell(*cell)) for cell in grid for name in SHOWN]
    return decayed.trained(runs, quick=quick, on_progress=on_progress)


def draw(run: Run) -> Drawing:
    """1 - cosine against rate times decay, with T10's line."""
    kind, decay = run["embedder"], run["rate_times_decay"]
    norms = zip(run["rate"].tolist(), run["squared_norm"].tolist(), strict=True)
    units = np.array([effective_rate(*pair, SETTING) for pair in norms])
    decays = np.unique(decay)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
        axes = figure.subplots()
        line = np.array([decays[0] / 1.5, decays[-1] * 1.5])
        axes.plot(line, line, color=VERMILION)
        axes.annotate(r"$\mu w$ (T10)", (0.1, 0.1), (-8, 14), textcoords="offset points", color=VERMILION, ha="right")
        gap, turn = (
            np.where(run["effective_rank"] > LOST, 1 - run[f"{what}_cosine"], np.nan) for what in ("view", "weight")
        )
        for name, (colour, marker) in SHOWN.items():
            measured(axes, *decayed.at_decays(run, gap, name), color=colour, marker=marker, label=f"views, {name}")
        x, values = decayed.at_decays(run, turn, MAIN)
        measured(axes, x * 1.1, values, color=GREEN, marker="x", label=f"weights over one step, {MAIN}")
        axes.set(xscale="log", yscale="log", xlabel=r"rate $\times$ decay $\mu w$", ylabel=r"$1-\cos$")
        axes.set(xlim=line, ylim=(line[0] / 1.5, None))
        plain_ticks(axes, "x", (0.001, 0.01, 0.1))
        plain_ticks(axes, "y", (0.001, 0.01, 0.1))
        axes.legend(loc="lower right")
        headline(figure, __doc__)
    tables = [(kind == "table") & (decay == product) for product in decays]
    predicted = [1 - decayed_view_cosine(1.0, weight_decay=float(product)) for product in decays]
    off = [np.median(1 - run["view_cosine"][own]) / line - 1 for own, line in zip(tables, predicted, strict=True)]
    small, felt = decays <= SMALL, np.abs([np.median(units[own]) - 1 for own in tables])
    says = f"table: mean 1 - cosine from mu w (T10's swap, whose norm it starts at), up to mu w = {SMALL}, relative"
    gaps = (
        Gap(says, float(np.abs(off)[small].max()), 0.15 if run.quick else 0.03),
        Gap("table: mean effective rate from 1 (T10), up to there", float(felt[small].max()), 0.03),
    )
    return Drawing(figure, {**run.arrays, "effective_rate": units}, gaps)
