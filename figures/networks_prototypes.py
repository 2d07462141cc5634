"""Prototypes delay the loss of rank at rate 1, hardly at rate 10.

Rate times decay above which the rank of an MLP with two hidden layers falls below 1.5. Weights of 0.3 to 3 help at
rate 1; 30 brings the loss forward, without the last bias 3 does too. Set-up as for the networks that lose their rank.
Points: median and range over seeds. A measurement, without a theory to hold it against.
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.figures import decayed
from clopsim.figures.decayed import BIASLESS, MAIN
from clopsim.figures.drawing import Drawing
from clopsim.figures.fixed_views import Cell
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLUE, GREEN, ORANGE, PAGE, STYLE, headline, measured, plain_ticks

RATES = {1.0: (BLUE, "o"), 10.0: (ORANGE, "s")}


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Two networks, with the last layer's bias and without."""
    weights = (0.0, 30.0) if quick else (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
    rates, decays, seeds = decayed.rates(quick=quick), decayed.decays(quick=quick), decayed.seeds(quick=quick)
    runs = [(MAIN, Cell(*cell)) for cell in product(rates, decays, weights, seeds)]
    few = decays if quick else decays[1:7]
    runs += [(BIASLESS, Cell(*cell)) for cell in product(rates[:1], few, weights, seeds)]
    return decayed.trained(runs, quick=quick, on_progress=on_progress)


def draw(run: Run) -> Drawing:
    """The edge against the prototype weight."""
    weights = np.unique(run["prototype_weight"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.3), layout="constrained")
        axes = figure.subplots()
        series = [(MAIN, rate, *look, f"rate {rate:g}") for rate, look in RATES.items() if rate in run["rate"]]
        series += [(BIASLESS, 1.0, GREEN, "x", "rate 1, last layer without bias")]
        for shift, (name, rate, colour, marker, words) in zip((1.0, 1.06, 0.94), series, strict=False):  # side by side
            found = []
            for weight in weights:
                decays, rank = decayed.at_decays(run, run["effective_rank"], name, weight=weight, rate=rate)
                found.append(decayed.edge(rank, decays))
            edges = np.stack(found, axis=1)
            measured(axes, weights * shift, edges, color=colour, marker=marker, label=words)
            axes.plot(weights * shift, np.median(edges, axis=0), color=colour, linewidth=1)
        axes.set_xscale("symlog", linthresh=0.1, linscale=0.4)
        axes.set(yscale="log", xlabel=r"prototype weight $\lambda$", ylabel=r"rank lost above rate $\times$ decay")
        plain_ticks(axes, "x", (0, 0.3, 1, 3, 10, 30))
        plain_ticks(axes, "y", (0.01, 0.03, 0.1))
        axes.legend(loc="upper right", ncols=3)
        axes.set_ylim(0.004, 0.3)
        headline(figure, __doc__)
    return Drawing(figure, run.arrays, gaps=())
