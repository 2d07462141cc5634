"""Longer training heals a large rate, unless the weight decay is large.

InfoNCE on digits, set up as for the figure of all rates; the cosine schedule ends with the run. At the large decay
prototypes stop the fall on the way. Accuracy: linear probe on held-out data. Median and range of three seeds. In the
CSV: six rates, rank and variance too. A measurement, no theory.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.figures import training
from clopsim.figures.drawing import Drawing
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import GREY, PAGE, STYLE, headline, plain_ticks

STEPS = (100, 1000, 4000)
RATE = 10.0
"""Drawn: the one nearest to it."""

CHANCE = 0.1

SWEEP = replace(training.SWEEP, loss=("infonce",), rate=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0))


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """As for the digits, at every number of steps, which takes the place of the loss."""
    parts = []
    for k, steps in enumerate(STEPS):

        def report(share: float, before: int = sum(STEPS[:k]), steps: int = steps) -> None:
            on_progress((before + share * steps) / sum(STEPS))

        sweep = replace(SWEEP, base=replace(SWEEP.base, steps=steps))
        parts.append(training.measured(sweep, quick=quick, on_progress=report))
    along = training.DIMENSIONS.index("loss")
    arrays = {name: np.concatenate([part[name] for part in parts], axis=along) for name in training.STORED}
    arrays["steps"] = np.array([int(part["step"]) for part in parts])
    shared = ("weight_decay", "weight", "learning_rate", "seed", "batch_size")
    return arrays | {name: parts[0][name] for name in shared}


def draw(run: Run) -> Drawing:
    """Accuracy against the number of steps, a panel for each weight decay."""
    end = training.draw_ends(run, "steps")
    rate = min(run["learning_rate"].tolist(), key=lambda each: abs(np.log(each / RATE)))
    steps = run["steps"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.2), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, decay in zip(panels, run["weight_decay"], strict=True):
            for weight, (colour, dark, words) in zip(run["weight"], training.COLOURS, strict=True):
                cells = end["linear_probe"].sel(weight=weight, weight_decay=decay, learning_rate=rate)
                values = cells.transpose("seed", "steps").values
                training.draw_curve(axes, steps, values, color=colour, marker="o")
                at = (steps[-1], float(np.median(values[:, -1])))
                label = f"{words}\nprototypes" if axes is panels[-1] else ""
                place: Any = {"textcoords": "offset points", "va": "center", "color": dark, "weight": "bold"}
                axes.annotate(label, at, (7, 0), annotation_clip=False, **place)
            axes.axhline(CHANCE, color=GREY, linestyle=":")
            axes.annotate("chance", (steps[0], CHANCE), (0, 3), textcoords="offset points", color=GREY)
            axes.set(xscale="log", ylim=(0, 1), xlabel="steps", title=rf"weight decay $w={decay:g}$")
            plain_ticks(axes, "x", steps.tolist())
        panels[0].set_ylabel(f"accuracy at rate {rate:g}")
        headline(figure, __doc__)
    return Drawing(figure, training.draw_table(end), gaps=())
