"""Networks lose their rank where rate x decay x depth comes near 0.1.

Full-batch descent, 1500 steps, four Gaussian clusters with fixed views, mean-reduced InfoNCE, tau = 0.5, MLPs with
batch norm: their ReLUs die. Band: where the rank falls below 1.5, a rule of thumb and no law; none below 1.05 came
back above 1.03 in 300 steps without decay. Points: median and range over seeds and the rates 1 and 10.
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.figures import decayed
from clopsim.figures.decayed import MAIN
from clopsim.figures.drawing import Drawing
from clopsim.figures.fixed_views import Cell
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    PAGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILION,
    headline,
    measured,
    plain_ticks,
)

DEPTHS = {1: (SKY, "v"), 2: (BLUE, "o"), 3: (PURPLE, "^"), 4: (BLACK, "D")}


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """MLPs of every depth, and that of two hidden layers with gain and shift of its norm layers undecayed."""
    grid = list(product(decayed.rates(quick=quick), decayed.decays(quick=quick), (0.0,), decayed.seeds(quick=quick)))
    runs = [(_name(depth), Cell(*cell)) for depth in DEPTHS for cell in grid]
    runs += [(MAIN, Cell(*cell, spared=True)) for cell in grid]
    return decayed.trained(runs, quick=quick, on_progress=on_progress)


def draw(run: Run) -> Drawing:
    """The rank against the product, with the band of where it falls."""
    rank, edges = run["effective_rank"], []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
        axes = figure.subplots()
        for hidden, (colour, marker) in DEPTHS.items():
            for rate in np.unique(run["rate"]).tolist():
                decays, values = decayed.at_decays(run, rank, _name(hidden), rate=rate)
                edges += (hidden * decayed.edge(values, decays)).tolist()
            decays, values = decayed.at_decays(run, rank, _name(hidden))
            words = f"{hidden} hidden layer{'s' * (hidden > 1)}"
            x = hidden * decays * 1.04**hidden  # side by side
            measured(axes, x, values, color=colour, marker=marker, label=words)
        decays, spared = decayed.at_decays(run, rank, MAIN, decayed=False)
        measured(axes, 2 * decays, spared, color=GREEN, marker="x", label="2, gain and shift not decayed")
        axes.axvspan(min(edges), max(edges), color=VERMILION, alpha=0.15, linewidth=0)
        words = f"rank lost:\n{min(edges):.2g} to {max(edges):.2g}"
        middle = np.sqrt(min(edges) * max(edges))
        axes.text(middle, 8.7, words, color=VERMILION, weight="bold", ha="center", va="top")
        axes.set(xscale="log", xlabel=r"rate $\times$ decay $\times$ hidden layers", ylabel="effective rank")
        axes.set(ylim=(0.6, 8.8))
        plain_ticks(axes, "x", (0.001, 0.01, 0.1))
        axes.legend(loc="lower left")
        headline(figure, __doc__)
    return Drawing(figure, run.arrays, gaps=())


def _name(hidden: int) -> str:
    return MAIN if hidden == 2 else f"{MAIN}, {hidden} hidden"
