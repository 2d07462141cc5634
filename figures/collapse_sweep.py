"""Collapse starts at the predicted rate.

The default sweep: 32 points on the sphere in 8 dimensions. Red: above mu_c they fall onto one point (T4). Yellow: from
where the even spread of ever more points breaks (T5); 32 are too few to tell (T13). Points: median and range of 8
seeds after the last step. Spheres: the same in three dimensions, each at its rate in units of its own mu_c.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from clopsim.bounds import critical_rates, exact_rate, uniform_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final
from clopsim.figures.spheres import draw_globe, draw_points
from clopsim.figures.style import (
    AMBER,
    BLUE,
    GREEN,
    ORANGE,
    PAGE,
    STYLE,
    VERMILION,
    headline,
    measured,
    plain_ticks,
    rank_share,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.sphere import starts

OBSERVABLES = ("mean_resultant_length", "effective_rank", "outcome")
DIMENSIONS = job.DIMENSIONS[:-1]
SPHERES = {0.5: "spread evenly", 0.8: "spread broken", 1.5: "one point"}
"""Rates of the spheres in units of their mu_c, one in each region, and what is seen there."""

VIEW = (1.0, 0.6, 0.5)


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """OBSERVABLES after the last step, (temperatures, rates, seeds), their axes and the searched collapse rate.

    On the spheres: embeddings (rates, n, 3).
    """
    config = _config(quick=quick)
    dataset = job.run_sweep(config, on_progress=lambda share: on_progress(0.9 * share))
    (threshold,) = job.search_thresholds(config)
    end = dataset.isel(step=-1)
    stored = {name: end[name].values for name in (*DIMENSIONS, *OBSERVABLES)}
    on_progress(1.0)
    return {**stored, "collapse_rate": np.array(threshold.rate or np.nan), "spheres": _spheres(config)}


def _spheres(config: Sweep) -> np.ndarray:
    """(rates, n, 3) after as many steps, from random directions."""
    setting = replace(config.setting, dimension=3)
    rate = torch.tensor(list(SPHERES), dtype=torch.float64) * float(exact_rate(setting))
    z = starts.random_directions(setting, seed=0).repeat(len(rate), 1, 1)
    tau = torch.full_like(rate, float(setting.tau))
    return final(z, rate, tau, setting=setting, steps=config.steps).numpy()


def draw(run: Run) -> Drawing:
    """Mean resultant length and rank in the three regions, a sphere over each."""
    setting = _config(quick=run.quick).setting
    predicted = critical_rates(setting)
    breaks = float(uniform_rate(setting, limit=True).rate) / float(exact_rate(setting))
    rates = run["rate"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.1), layout="constrained")
        axes = figure.subplots()
        limits = rates[0] / 1.1, rates[-1] * 1.1
        for low, high, colour in ((limits[0], breaks, GREEN), (breaks, 1, ORANGE), (1, limits[1], VERMILION)):
            axes.axvspan(low, high, color=colour, alpha=0.13, linewidth=0)
        axes.axvline(1, color=VERMILION)
        axes.annotate(r"$\mu_c=\tau\,\frac{n-1}{n-2}$", (1, 0.5), (5, 0), textcoords="offset points", color=VERMILION)
        length, rank = run["mean_resultant_length"][0].T, run["effective_rank"][0].T
        measured(axes, rates, length, marker="o")
        measured(axes, rates, rank_share(rank, setting.dimension), color=ORANGE, marker="s")
        first, last = rates[0], rates[-1]
        _draw_words(axes, (first, 0), "mean resultant length $R$: 0", BLUE, up=True)
        _draw_words(axes, (last, 1), "mean resultant length $R$: 1", BLUE, up=False)
        _draw_words(axes, (first, 1), f"effective rank: {np.median(rank[:, 0]):.0f}", AMBER, up=False)
        _draw_words(axes, (last, 0), f"effective rank: {np.median(rank[:, -1]):.0f}", AMBER, up=True)
        axes.set(xscale="log", xlim=limits, ylim=(-0.08, 1.75), xlabel=r"learning rate $\mu/\mu_c$", yticks=[])
        axes.spines["left"].set_visible(False)
        for (rate, words), z in zip(SPHERES.items(), run["spheres"], strict=True):
            inset = axes.inset_axes((rate * 0.5, 1.16, rate * 1.5, 0.56), transform=axes.transData)
            draw_globe(inset, view=VIEW)
            draw_points(inset, z, view=VIEW, color=BLUE, size=4)
            inset.text(0, -1.12, words, ha="center", va="top", weight="bold")
        plain_ticks(axes, "x", [tick for tick in (0.25, 0.5, 1, 2, 4) if limits[0] < tick < limits[1]])
        headline(figure, __doc__)
    return Drawing(
        figure,
        numbers={
            "rate_over_mu_c": rates[:, None],
            "seed": run["seed"][None, :],
            **{name: run[name][0] for name in OBSERVABLES},
        },
        gaps=(
            Gap(
                "searched collapse rate from mu_c (T4), relative",
                apart(float(run["collapse_rate"]), predicted.collapse_rate),
                job.TOLERANCE,
            ),
        ),
    )


def _draw_words(axes: Axes, at: tuple[float, float], words: str, colour: str, *, up: bool) -> None:
    """Words at the first or last point of a series, over or under it."""
    place: Any = {"ha": "left" if at[0] < 1 else "right", "va": "bottom" if up else "top"}
    axes.annotate(words, at, (0, 6 if up else -6), textcoords="offset points", color=colour, weight="bold", **place)


def _config(*, quick: bool) -> Sweep:
    return replace(Sweep(), samples=16, rates=(0.5, 0.8, 1.0, 1.5), seeds=2, steps=100) if quick else Sweep()
