"""The picture of an experiment in the report."""

import io
import re
import textwrap
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.typeset import greek, label
from clopsim.show.plots import BLUE, STYLE, VERMILION

NARROWEST = 0.2
"""Smallest range of an experiment's axis, in units of its values: below it differences that do not matter fill it."""

WIDE, HIGH = 60, 30
"""Letters of a label that fit beside an axis of the picture; a longer one has two lines."""

UPRIGHT = 30
"""Numbers that fit below the picture if they stand upright; of more some are left out."""

INK = "#010203"
"""Of lines and text: a colour that nothing else has, so that a page can put its own in the place of it."""

INKED: Any = {
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "system-ui"],
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


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
        names = {i: f"{experiment.x[i]:.4g}" for i in starts}
        crowded = any((j - i) * WIDE < len(place) * (len(names[j]) + 1) for i, j in pairwise(starts))
        kept = starts[:1]
        for i in starts[1:]:
            if (i - kept[-1]) * UPRIGHT >= len(place):
                kept.append(i)
        axes.set_xticks(kept, [names[i] for i in kept], rotation=90 if crowded else 0)
        axes.set(xlabel=_lines(experiment.x_label, WIDE), ylabel=_lines(experiment.y_label, HIGH))
        axes.margins(x=0.08, y=0.15)
        low, high = axes.get_ylim()
        room = max(0.0, NARROWEST * max(abs(low), abs(high)) - (high - low)) / 2
        axes.set_ylim(low - room, high + room)
        axes.legend(fontsize=8)
    return figure


def _lines(text: str, length: int) -> str:
    """A label broken between words."""
    return "\n".join(
        label(line) for line in textwrap.wrap(text, length, break_long_words=False, break_on_hyphens=False)
    )


def png(experiment: Experiment) -> bytes:
    """The picture as a file, on white."""
    buffer = io.BytesIO()
    draw_experiment(experiment).savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def svg(experiment: Experiment, alternative: str) -> str:
    """The picture as an element of a page, in the page's colours; alternative: what it shows, escaped."""
    buffer = io.StringIO()
    with mpl.rc_context(INKED):
        draw_experiment(experiment).savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{alternative}" ', 1)
    text = re.sub(r"<metadata>.*?</metadata>|(?<=<g) id=\"[^\"]*\"|\n *", "", text, flags=re.DOTALL)
    for colour, name in ((INK, "currentColor"), (BLUE, "var(--measured)"), (VERMILION, "var(--predicted)")):
        text = re.sub(colour, name, text, flags=re.IGNORECASE)
    return text


def described(experiment: Experiment) -> str:
    """What the picture shows, for those who do not see it."""
    measured, predicted = _span(experiment.measured), _span(experiment.predicted)
    kind = {"equal": "predictions", "below": "upper bounds", "above": "lower bounds"}[experiment.relation]
    return (
        f"{greek(experiment.y_label)} over {greek(experiment.x_label)}: {len(experiment.x)} points, measured"
        f" {measured}, beside {kind} {predicted}; {'they agree' if experiment.holds else 'they do not agree'}"
        f" within {experiment.tolerance:g}"
    )


def _span(values: tuple[float, ...]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g} throughout" if f"{low:.3g}" == f"{high:.3g}" else f"from {low:.3g} to {high:.3g}"
