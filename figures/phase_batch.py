"""Phase diagram, batch size against learning rate, for the mean over the batch that training code takes.

Colour: effective rank after the last step, median over seeds, merged loss, ambient gradient, random starts. Line: the
critical rate n tau (n-1)/(n-2) (T4); circles: found by bisection. The safe rate grows linearly with the batch (the
linear scaling rule), so at a fixed rate the small batches collapse first.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from clopsim.bounds import Setting, exact_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final
from clopsim.figures.style import COLUMN, OUTLINE, RANK_MAP, STYLE, VERMILION, plain_ticks
from matplotlib.figure import Figure

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
        figure = Figure(figsize=(COLUMN, 3.1), layout="constrained")
        axes = figure.subplots()
        image = axes.pcolormesh(
            sizes, rates, ranks.T, cmap=RANK_MAP, vmin=1, vmax=DIMENSION, shading="nearest", rasterized=True
        )
        axes.set(xscale="log", yscale="log")
        limits = axes.get_xlim(), axes.get_ylim()
        label = r"$\mu_c=n\tau\,(n-1)/(n-2)$ (T4)"
        axes.plot(fine, line, color=VERMILION, path_effects=OUTLINE, label=label)
        axes.plot(sizes, found, "o", color=VERMILION, mec="white", markersize=5, label="found by bisection")
        axes.set(
            xlim=limits[0], ylim=limits[1], xlabel="batch size $n$", ylabel=r"learning rate $\mu$ (mean reduction)"
        )
        axes.text(sizes[0] * 1.1, 260, "collapsed", color="white", weight="bold")
        axes.text(sizes[-1], 0.75, "uniform", ha="right", weight="bold")
        plain_ticks(axes, "x", sizes.tolist())
        plain_ticks(axes, "y", (1, 4, 16, 64, 256))
        figure.colorbar(image, ax=axes, label="effective rank", pad=0.02)
        figure.legend(loc="outside lower center", ncols=2)
    numbers = {
        "samples": sizes[:, None],
        "rate": rates[None, :],
        "effective_rank": ranks,
        "predicted_rate": np.array(predicted)[:, None],
        "observed_rate": found[:, None],
    }  # fmt: skip
    gap = Gap("searched collapse rates from n tau (n-1)/(n-2) (T4), relative", max(map(apart, found, predicted)), 0.01)
    return Drawing(figure, numbers, gaps=(gap,))
