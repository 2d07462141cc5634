"""Without weight decay a large rate costs the rank only for a while.

An MLP with two hidden layers and batch norm, full-batch gradient descent, four Gaussian clusters with fixed views,
mean-reduced InfoNCE, tau = 0.5, d = 8. Points: median and range over seeds. A measurement, without a theory to hold it
against.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.figures import decayed
from clopsim.figures.decayed import MAIN, WATCHED
from clopsim.figures.drawing import Drawing
from clopsim.figures.fixed_views import Cell
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLUE, ORANGE, PAGE, SKY, STYLE, VERMILION, headline, measured, plain_ticks

RATES = {0.1: (SKY, "v", 2), 1.0: (BLUE, "o", 20), 10.0: (ORANGE, "s", 200), 100.0: (VERMILION, "^", 500)}
"""Each with its colour, its marker, and the step where its name stands: the first above its curve, others below."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """One network at every rate."""
    cells = product(RATES, (0.0,), (0.0,), decayed.seeds(quick=quick))
    return decayed.trained([(MAIN, Cell(*cell)) for cell in cells], quick=quick, on_progress=on_progress)


def draw(run: Run) -> Drawing:
    """The rank along the steps."""
    watched = [step for step in WATCHED if f"effective_rank_{step}" in run.arrays]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.3), layout="constrained")
        axes = figure.subplots()
        for rate, (colour, marker, named) in RATES.items():
            path = np.stack([run[f"effective_rank_{step}"][run["rate"] == rate] for step in watched], axis=1)
            measured(axes, watched, path, color=colour, marker=marker)
            axes.plot(watched, np.median(path, axis=0), color=colour, linewidth=1)
            k = int(np.searchsorted(watched, min(named, watched[-1])))
            spot = (watched[k], float(np.median(path[:, k])))
            lift = 7 if rate == min(RATES) else -7
            place: Any = {"textcoords": "offset points", "va": "bottom" if lift > 0 else "top", "weight": "bold"}
            axes.annotate(rf"rate {rate:g}", spot, (7, lift), color=colour, **place)
        axes.set(xscale="log", xlabel="step", ylabel="effective rank", ylim=(0.7, 8.4))
        plain_ticks(axes, "x", [tick for tick in (1, 10, 100, 1000) if tick <= watched[-1]])
        headline(figure, __doc__)
    return Drawing(figure, run.arrays, gaps=())
