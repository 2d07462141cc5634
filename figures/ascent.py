"""Above the critical rate gradient descent climbs to the largest loss.

Ambient steps from random directions, three seeds, n = 16, d = 6, tau = 0.5. Where mu z.g > 1 a step with
renormalisation is ascent (T11): the merged loss rises to its value at the point, the full loss to that of the line
with antipodal views, the largest that they can take (dashed).
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from clopsim.bounds import Loss, Setting, exact_rate, largest_loss
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import AMBER, BLUE, GREEN, ORANGE, PAGE, SKY, STYLE, VERMILION, headline, plain_ticks
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import contrastive_loss

TAU = 0.5
RATES: dict[Loss, dict[float, str]] = {
    "merged": {0.3: SKY, 0.7: BLUE, 1.3: ORANGE, 8.0: VERMILION},
    "full": {0.3: SKY, 0.7: BLUE, 3.0: ORANGE, 8.0: VERMILION},
}
"""In units of mu_c, with their colours.

Two on either side of where the end is the maximum: mu_c, and tau/(2 A_1) for the full loss from random starts.
"""

ENDS: dict[Loss, str] = {"merged": "one point (T4)", "full": "antipodal line (T12)"}


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """The loss after every step, (losses, rates, seeds, steps)."""
    seeds, steps = (1, 60) if quick else (3, 100)
    courses = []
    for number, (loss, rates) in enumerate(RATES.items()):
        setting = _setting(loss)
        table = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(seeds)])
        z = table.repeat(len(rates), 1, 1)
        rate = torch.tensor(list(rates)).double().repeat_interleave(seeds) * float(exact_rate(setting))
        values = [contrastive_loss(z, TAU, setting)]
        for done in range(steps):
            z = step(z, rate, TAU, setting)
            values.append(contrastive_loss(z, TAU, setting))
            on_progress((number + (done + 1) / steps) / len(RATES))
        courses.append(torch.stack(values, dim=-1).reshape(len(rates), seeds, steps + 1).numpy())
    return {"loss": np.stack(courses)}


def draw(run: Run) -> Drawing:
    """A panel for each loss, its largest value as a line."""
    course = run["loss"]
    largest = [float(largest_loss(_setting(loss))) for loss in RATES]
    steps = np.arange(course.shape[-1])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.4), layout="constrained")
        panels = figure.subplots(1, len(RATES))
        for axes, (loss, rates), most, own in zip(panels, RATES.items(), largest, course, strict=True):
            axes.axhline(most, color=GREEN, linestyle="--")
            axes.annotate(f"largest: {ENDS[loss]}", (0, most), (2, 3), textcoords="offset points", color=GREEN)
            for colour, lines in zip(rates.values(), own, strict=True):
                axes.plot(steps, lines.T, color=colour, linewidth=1.3)
            calm, small, high, higher = rates
            place: Any = {"ha": "right", "weight": "bold"}
            axes.text(steps[-1], most - 0.08 * np.ptp(own), rf"{high:g} and {higher:g} $\mu_c$", color=AMBER, **place)
            axes.text(
                steps[-1], own.min() + 0.05 * np.ptp(own), rf"{calm:g} and {small:g} $\mu_c$", color=BLUE, **place
            )
            axes.set_xscale("symlog", linthresh=1)
            axes.set(xlabel="step", title=f"{loss} loss", xlim=(0, steps[-1] * 1.1))
            plain_ticks(axes, "x", [tick for tick in (0, 1, 10, 100) if tick < len(steps)])
            axes.margins(y=0.12)
        panels[0].set_ylabel("loss")
        headline(figure, __doc__)
    numbers = {
        "loss_name": np.array(list(RATES))[:, None, None, None],
        "rate_over_mu_c": np.array([list(rates) for rates in RATES.values()])[:, :, None, None],
        "seed": np.arange(course.shape[2])[:, None],
        "step": steps,
        "loss": course,
        "largest_loss": np.array(largest)[:, None, None, None],
    }
    above = course[:, 2:, :, -1] / np.array(largest)[:, None, None] - 1
    gap = Gap("loss at the end above the critical rate from the largest (T11), relative", np.abs(above).max(), 1e-6)
    return Drawing(figure, numbers, gaps=(gap,))


def _setting(loss: Loss) -> Setting:
    return Setting(TAU, 6, 16, loss=loss)
