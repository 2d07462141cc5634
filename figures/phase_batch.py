"""The safe learning rate grows in proportion to the batch.

For the mean over the batch, as training code takes it. Line: T4, the linear scaling rule; circles: found by bisection.
Colour: (effective rank - 1)/(r - 1), where n points with mean zero can have r = min(n - 1, d); median over seeds after
the last step, merged loss, ambient gradient, tau = 0.5, d = 8, random starts.
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from clopsim.bounds import Setting, exact_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final
from clopsim.figures.style import OUTLINE, PAGE, RANK_MAP, STYLE, VERMILION, headline, plain_ticks, rank_share
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.thresholds import search

TAU, DIMENSION = 0.5, 8


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Median effective rank, (sizes, rates), and the searched collapse rate of every size."""
    sizes = (4, 16, 64) if quick else (4, 8, 16, 32, 64, 128, 256)
    rates = np.geomspace(1 / 2, 512, 8 if quick else 31)
    seeds, steps = (1, 60) if quick else (3, 600)
    ranks, found = [], []
    for number, n in enumerate(sizes):
        setting = Setting(TAU, DIMENSION, n, reduction="mean")
        table = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(seeds)])
        z = table.repeat(len(rates), 1, 1)
        rate = torch.from_numpy(rates).repeat_interleave(seeds)
        end = final(z, rate, torch.full_like(rate, TAU), setting=setting, steps=steps)
        ranks.append(np.median(geometry.effective_rank(end).numpy().reshape(len(rates), seeds), axis=1))
        found.append(search("collapse", setting, seeds=range(2)).rate or np.nan)
        on_progress((number + 1) / len(sizes))
    return {"samples": np.array(sizes), "rate": rates, "effective_rank": np.array(ranks), "found": np.array(found)}


def draw(run: Run) -> Drawing:
    """The map with T4's line."""
    sizes, rates, ranks, found = run["samples"], run["rate"], run["effective_rank"], run["found"]
    fine = np.arange(4, sizes[-1] * 1.4)
    line = [float(exact_rate(Setting(TAU, DIMENSION, int(n), reduction="mean"))) for n in fine]
    predicted = [float(exact_rate(Setting(TAU, DIMENSION, int(n), reduction="mean"))) for n in sizes]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.7), layout="constrained")
        axes = figure.subplots()
        share = rank_share(ranks.T, np.minimum(sizes - 1, DIMENSION))
        image = axes.pcolormesh(sizes, rates, share, cmap=RANK_MAP, vmin=0, vmax=1, shading="nearest", rasterized=True)
        axes.set(xscale="log", yscale="log")
        limits = axes.get_xlim(), axes.get_ylim()
        axes.plot(fine, line, color=VERMILION, path_effects=OUTLINE)
        axes.plot(sizes, found, "o", color=VERMILION, mec="white", markersize=6)
        axes.set(
            xlim=limits[0], ylim=limits[1], xlabel="batch size $n$", ylabel=r"learning rate $\mu$ (mean reduction)"
        )
        axes.text(0.06, 0.86, "collapsed", transform=axes.transAxes, color="white", weight="bold", fontsize=11)
        axes.text(0.94, 0.1, "spread evenly", transform=axes.transAxes, ha="right", weight="bold", fontsize=11)
        place: Any = {"transform": axes.transAxes, "color": VERMILION, "weight": "bold", "ha": "right", "va": "top"}
        words = "$\\mu_c=n\\tau\\,\\frac{n-1}{n-2}$ (T4)\ncircles: found by bisection"
        axes.text(0.94, 0.36, words, path_effects=OUTLINE, **place)
        plain_ticks(axes, "x", sizes.tolist())
        plain_ticks(axes, "y", (1, 4, 16, 64, 256))
        figure.colorbar(image, ax=axes, label="rank left, of what $n$ allows", pad=0.02)
        headline(figure, __doc__)
    numbers = {
        "samples": sizes[:, None],
        "rate": rates[None, :],
        "effective_rank": ranks,
        "predicted_rate": np.array(predicted)[:, None],
        "observed_rate": found[:, None],
    }  # fmt: skip
    gap = Gap("searched collapse rates from n tau (n-1)/(n-2) (T4), relative", max(map(apart, found, predicted)), 0.01)
    return Drawing(figure, numbers, gaps=(gap,))
