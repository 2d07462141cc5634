"""What orthonormal prototypes change: effective rank against the learning rate and the prototype weight.

Merged loss, ambient gradient, four balanced classes, all labelled, every run starts 0.001 rad from complete collapse.
Left: without prototypes (weight 0) rates above mu_c stay collapsed; a large enough weight gives four directions at
every rate. Points: median and range over seeds. Right: the map of weight and rate; above the line one step leaves the
collapsed state, whatever the rate (T7).
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from bounds import Setting, exact_rate
from bounds.rescue import gradient_bound, leading_share_bound, rescue_angle
from clopsim import metrics, starts
from clopsim.dynamics import step
from figures.drawing import Drawing, Gap
from figures.simulate import final
from figures.style import BLUE, GREEN, ORANGE, OUTLINE, PAGE, RANK_MAP, STYLE, VERMILION, measured, plain_ticks

CLASSES, SETTING = 4, Setting(0.5, 8, 32)
CURVES = ((0.0, BLUE, "o"), (2.0, ORANGE, "s"), (8.0, GREEN, "^"))
"""Prototype weights of the left panel, with colour and marker."""


def draw(*, quick: bool = False, on_progress: Callable[[float], None] = lambda share: None) -> Drawing:
    """Simulate and draw it."""
    unit = float(exact_rate(SETTING))
    rates = np.geomspace(1 / 8, 16, 7 if quick else 29)  # in units of mu_c
    weights = np.geomspace(1 / 4, 64, 6 if quick else 25)
    seeds, steps = (2, 100) if quick else (3, 800)
    every = [*(weight for weight, _, _ in CURVES), *weights]
    cells = list(product(every, rates, range(seeds)))
    classes = torch.arange(SETTING.samples) % CLASSES
    pull = torch.eye(SETTING.dimension, dtype=torch.float64)[classes]  # rows c_y
    weight = torch.tensor([cell[0] for cell in cells], dtype=torch.float64)
    rate = unit * torch.tensor([cell[1] for cell in cells], dtype=torch.float64)
    table = [starts.near_collapse(SETTING, spread=1e-3, seed=seed) for seed in range(seeds)]
    end = final(
        torch.stack([table[cell[2]] for cell in cells]),
        rate,
        torch.full_like(rate, float(SETTING.tau)),
        setting=SETTING,
        steps=steps,
        prototypes=weight[:, None, None] * pull,
        on_progress=on_progress,
    )
    rank = metrics.effective_rank(end).numpy().reshape(len(every), len(rates), seeds)
    grid = np.median(rank[len(CURVES) :], axis=-1)
    share = metrics.leading_share(end).numpy().reshape(rank.shape)[len(CURVES) :].max(axis=-1)
    limit = np.sin(np.arccos(1 / np.sqrt(CLASSES)))  # T7's share stays below 1 up to this angle
    bound = gradient_bound(1.0, SETTING)  # column sums are 1 at collapse
    fine = np.geomspace(rates[0], rates[-1], 200)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.axvline(1, color=VERMILION, label=r"$\mu_c$, no prototypes (T4)")
        for k, (value, colour, marker) in enumerate(CURVES):
            measured(left, rates, rank[k].T, color=colour, marker=marker, label=rf"$\lambda={value:g}$")
        left.set(xscale="log", ylabel="effective rank", xlabel=r"learning rate $\mu/\mu_c$", ylim=(0.7, 8.6))
        left.axhline(CLASSES, color=GREEN, linestyle=":", linewidth=1)
        left.annotate("one per class", (rates[0], CLASSES), (0, -9), textcoords="offset points", fontsize=7)
        figure.legend(loc="outside lower center", ncols=4)
        image = right.pcolormesh(
            rates, weights, grid, cmap=RANK_MAP, vmin=1, vmax=SETTING.dimension, shading="nearest", rasterized=True
        )
        right.set(xscale="log", yscale="log", xlabel=r"learning rate $\mu/\mu_c$", ylabel=r"prototype weight $\lambda$")
        corners = right.get_xlim(), right.get_ylim()
        line = (bound + 1 / (unit * fine)) / limit
        right.plot(fine, line, color="white", linewidth=1.6)  # not in the legend: the words say what it is
        right.text(1.1, 18, "T7: rescued in one step", color="white", weight="bold")
        right.text(1.1, 0.4, "collapsed", color="white", weight="bold")
        right.axvline(1, color=VERMILION, path_effects=OUTLINE)
        right.set(xlim=corners[0], ylim=corners[1])
        for axes in (left, right):
            plain_ticks(axes, "x", (0.125, 0.25, 0.5, 1, 2, 4, 8, 16))
        plain_ticks(right, "y", (0.25, 1, 4, 16, 64))
        figure.colorbar(image, ax=right, label="effective rank", pad=0.02)
    numbers = {
        "weight": np.array(every)[:, None, None],
        "rate_over_mu_c": rates[None, :, None],
        "seed": np.arange(seeds)[None, None, :],
        "effective_rank": rank,
    }
    inside = weights[:, None] > (bound + 1 / (unit * rates[None, :])) / limit
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("leading share after one step above T7's bound", _excess(table, weights, unit * rates, pull), 1e-9),
            Gap("leading share in the end, where T7 rescues; 1 is collapse", float(share[inside].max()), 0.99),
        ),
    )


def _excess(table: list[torch.Tensor], weights: np.ndarray, rates: np.ndarray, pull: torch.Tensor) -> float:
    """Largest excess of the leading share over T7's bound after one step, from collapse and from random starts."""
    tau, worst = float(SETTING.tau), 0.0
    for z in (*table, starts.random_directions(SETTING, seed=0)):
        logits = z @ z.T / tau
        logits.fill_diagonal_(-torch.inf)
        column_sum = float(torch.softmax(logits, dim=1).sum(dim=0).max())
        for weight, rate in product(weights, rates):
            if weight <= gradient_bound(column_sum, SETTING) + 1 / rate:
                continue
            angle = rescue_angle(float(weight), float(rate), column_sum, SETTING)
            share = float(metrics.leading_share(step(z, float(rate), tau, SETTING, prototypes=weight * pull)))
            worst = max(worst, share - leading_share_bound(angle, CLASSES))
    return worst
