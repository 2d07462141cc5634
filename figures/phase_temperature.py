"""Phase diagram, temperature against learning rate: what survives of the rank.

Colour: effective rank after the last step, median over seeds, merged loss, random starts. Lines: theory; circles:
thresholds found by bisection. Ambient gradient: above mu_c everything is one point; between mu_A and mu_c, and at low
temperature, several clusters. Tangent gradient: never a complete collapse. The numbers on the green line are the
harmonic degree that breaks first: 1 a point, 2 a line, 3 and more clusters.
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from bounds import Setting, collapse_rate, uniform_rate
from clopsim import metrics, starts
from clopsim.thresholds import search
from figures.drawing import Drawing, Gap
from figures.simulate import final, part_of
from figures.style import GREEN, OUTLINE, PAGE, RANK_MAP, STYLE, VERMILION, plain_ticks

DIMENSION, SAMPLES = 8, 32
SEARCHED = {"collapse": (0.2, 0.5, 1.0, 2.0), "uniform": (0.5, 1.0, 2.0)}
"""Temperatures of the circles; the uniform state of the smaller ones needs too many points (T5)."""


def draw(*, quick: bool = False, on_progress: Callable[[float], None] = lambda share: None) -> Drawing:
    """Simulate and draw it."""
    temperatures = np.geomspace(0.1, 2, 6 if quick else 22)
    rates = np.geomspace(1 / 8, 8, 7 if quick else 25)  # in units of tau
    seeds, steps = (1, 60) if quick else (3, 1000)
    columns: dict[str, list[object]] = {"gradient": [], "temperature": [], "rate_over_tau": [], "effective_rank": []}
    gaps: dict[str, list[float]] = {"collapse": [], "uniform": []}
    fine = tuple(np.geomspace(temperatures[0], temperatures[-1], 200))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.3), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for number, (axes, gradient) in enumerate(zip(panels, ("ambient", "tangent"), strict=True)):
            setting = Setting(fine, DIMENSION, SAMPLES, gradient=gradient)  # type: ignore[arg-type]
            cells = list(product(temperatures, rates, range(seeds)))
            table = [starts.random_directions(setting, seed=seed) for seed in range(seeds)]
            tau = torch.tensor([cell[0] for cell in cells], dtype=torch.float64)
            rate = tau * torch.tensor([cell[1] for cell in cells], dtype=torch.float64)
            z = torch.stack([table[cell[2]] for cell in cells])
            end = final(
                z, rate, tau, setting=setting, steps=steps,
                on_progress=part_of(on_progress, number, 2),
            )  # fmt: skip
            rank = np.median(metrics.effective_rank(end).numpy().reshape(len(temperatures), len(rates), seeds), axis=-1)
            image = axes.pcolormesh(
                temperatures, rates, rank.T, cmap=RANK_MAP, vmin=1, vmax=DIMENSION, shading="nearest", rasterized=True
            )
            columns["gradient"] += [gradient] * rank.size
            columns["temperature"] += np.repeat(temperatures, len(rates)).tolist()
            columns["rate_over_tau"] += np.tile(rates, len(temperatures)).tolist()
            columns["effective_rank"] += rank.ravel().tolist()
            breaks, degree = uniform_rate(setting)
            axes.plot(
                fine, breaks / np.array(fine), color=GREEN, path_effects=OUTLINE, label="uniform state breaks (T5)"
            )
            for value in np.unique(degree):
                where = int(np.flatnonzero(degree == value).mean())
                spot = (max(fine[where], 0.12), float(np.asarray(breaks)[where]) / fine[where] * 0.78)
                axes.annotate(
                    f"$\\ell={value}$", spot, ha="center", va="top", color=GREEN, path_effects=OUTLINE, weight="bold"
                )
            collapse = collapse_rate(setting)
            if collapse is not None:
                axes.plot(
                    fine,
                    collapse / np.array(fine),
                    color=VERMILION,
                    path_effects=OUTLINE,
                    label=r"$\mu_c$: collapse attracts (T4)",
                )
            for kind, colour in (("collapse", VERMILION), ("uniform", GREEN)):
                if kind == "collapse" and collapse is None:
                    continue
                chosen = SEARCHED[kind][-1:] if quick else SEARCHED[kind]
                points = SAMPLES if kind == "collapse" else (100 if quick else 300)
                for value in chosen:
                    one = Setting(value, DIMENSION, points, gradient=gradient)  # type: ignore[arg-type]
                    found = search(kind, one, width=5e-3, seeds=range(1 if kind == "uniform" else 4))  # type: ignore[arg-type]
                    gaps[kind].append(abs(found.relative_gap or 1.0))
                    axes.plot(value, (found.rate or np.nan) / value, "o", color=colour, mec="white", markersize=5)
            on_progress((number + 1) / 2)
            axes.set(xscale="log", yscale="log", title=f"{gradient} gradient", xlabel=r"temperature $\tau$")
            plain_ticks(axes, "x", (0.1, 0.2, 0.5, 1, 2))
            plain_ticks(axes, "y", (0.125, 0.25, 0.5, 1, 2, 4, 8))
        panels[0].set_ylabel(r"learning rate $\mu/\tau$")
        figure.colorbar(image, ax=panels, label="effective rank", pad=0.01)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return Drawing(
        figure,
        columns,
        gaps=(
            Gap("searched collapse rates from mu_c (T4), relative", max(gaps["collapse"]), 0.01),
            Gap("searched uniform rates from T5's (n -> infinity), relative", max(gaps["uniform"]), 0.04),
        ),
    )
