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
from matplotlib.figure import Figure

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
    stored["outcome"] = stored["outcome"].astype(str)  # Python objects cannot be kept
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
        measured(axes, rates, run["mean_resultant_length"][0].T)
        share = rank_share(run["effective_rank"][0].T, setting.dimension)
        measured(axes, rates, share, color=ORANGE, marker="s")
        length, rank = ("mean resultant length $R$", BLUE), ("effective rank", AMBER)
        for side, x, ends in (("left", rates[0], (length, rank)), ("right", rates[-1], (rank, length))):
            for level, (words, colour) in enumerate(ends):  # between the two levels
                place: Any = {"ha": side, "va": ("bottom", "top")[level], "textcoords": "offset points"}
                axes.annotate(words, (x, level), (0, 6 - 12 * level), color=colour, weight="bold", **place)
        axes.set(xscale="log", xlim=limits, ylim=(-0.08, 1.82), xlabel=r"learning rate $\mu/\mu_c$")
        ranks = axes.secondary_yaxis("right")
        levels = np.arange(1, setting.dimension + 1)
        axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1"), color=BLUE)
        ranks.set_yticks(rank_share(levels, setting.dimension), levels, color=AMBER)
        for each, side, words, colour in ((axes, "left", "$R$", BLUE), (ranks, "right", "effective rank", AMBER)):
            each.set_ylabel(words, color=colour, y=0.3)
            each.spines[side].set_visible(False)
        for (rate, words), z in zip(SPHERES.items(), run["spheres"], strict=True):
            inset = axes.inset_axes((rate * 0.5, 1.26, rate * 1.5, 0.51), transform=axes.transData)
            draw_globe(inset, view=VIEW)
            draw_points(inset, z, view=VIEW, color=BLUE, size=4)
            inset.text(0, -1.12, words.replace(" ", "\n"), ha="center", va="top", weight="bold", linespacing=1)
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


def _config(*, quick: bool) -> Sweep:
    return replace(Sweep(), samples=16, rates=(0.5, 0.8, 1.0, 1.5), seeds=2, steps=100) if quick else Sweep()
