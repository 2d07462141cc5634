"""The picture of an experiment in the report."""

import matplotlib as mpl
from matplotlib.figure import Figure

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.typeset import greek
from clopsim.show.plots import BLUE, STYLE, VERMILION

NARROWEST = 0.2
"""Smallest range of an experiment's axis, in units of its values: below it differences that do not matter fill it."""


def draw_experiment(experiment: Experiment) -> Figure:
    """Measured points beside predicted dashes, small."""
    place = range(len(experiment.x))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        axes = figure.subplots()
        sign = {"equal": "", "below": " (upper bound)", "above": " (lower bound)"}[experiment.relation]
        width = min(16, 250 / len(place))
        axes.plot(place, experiment.predicted, "_", color=VERMILION, ms=width, mew=2, label=f"predicted{sign}")
        axes.plot(place, experiment.measured, "o", color=BLUE, ms=5, label="measured")
        starts = [
            i for i in place if i == 0 or experiment.x[i] != experiment.x[i - 1]
        ]  # one label for equal neighbours
        axes.set_xticks(starts, [f"{experiment.x[i]:.4g}" for i in starts])
        axes.set(xlabel=greek(experiment.x_label), ylabel=greek(experiment.y_label))
        axes.margins(x=0.08, y=0.15)
        low, high = axes.get_ylim()
        room = max(0.0, NARROWEST * max(abs(low), abs(high)) - (high - low)) / 2
        axes.set_ylim(low - room, high + room)
        axes.legend(fontsize=8)
    return figure
