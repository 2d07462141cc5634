"""Only ambient steps collapse; the even spread breaks as predicted.

Colour: median effective rank after the last step, merged loss, random starts, n = 32, d = 8. Lines: T4, and T5 for n
-> infinity with the degree that breaks first: 1 a point, 2 a line, 3 clusters. Circles: bisection (T4; with 300 points
T13). Hatched: 32 points are too few for an even spread at so low a temperature.
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from clopsim.bounds import Gradient, Setting, collapse_rate, uniform_is_resolved, uniform_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final, part_of
from clopsim.figures.style import GREEN, GREY, OUTLINE, PAGE, RANK_MAP, STYLE, VERMILION, headline, plain_ticks
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.thresholds import Kind, search

DIMENSION, SAMPLES = 8, 32
GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")
SEARCHED: dict[Kind, tuple[float, ...]] = {"collapse": (0.2, 0.5, 1.0, 2.0), "uniform": (0.5, 1.0, 2.0)}
"""Temperatures of the circles; the uniform state of the smaller ones needs too many points (T5)."""

COLOURS: dict[Kind, str] = {"collapse": VERMILION, "uniform": GREEN}


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Median effective rank, (gradients, temperatures, rates), and searched rates, (gradients, temperatures)."""
    temperatures = np.geomspace(0.1, 2, 6 if quick else 22)
    rates = np.geomspace(1 / 8, 8, 7 if quick else 25)  # in units of tau
    seeds, steps = (1, 60) if quick else (3, 1000)
    even = 200 if quick else 300  # points of the uniform state
    searched = {kind: values[-1:] if quick else values for kind, values in SEARCHED.items()}
    ranks, found = [], {kind: np.full((len(GRADIENTS), len(values)), np.nan) for kind, values in searched.items()}
    for number, gradient in enumerate(GRADIENTS):
        setting = Setting(tuple(temperatures), DIMENSION, SAMPLES, gradient=gradient)
        cells = list(product(temperatures, rates, range(seeds)))
        table = [starts.random_directions(setting, seed=seed) for seed in range(seeds)]
        tau = torch.tensor([cell[0] for cell in cells], dtype=torch.float64)
        rate = tau * torch.tensor([cell[1] for cell in cells], dtype=torch.float64)
        z = torch.stack([table[cell[2]] for cell in cells])
        end = final(z, rate, tau, setting=setting, steps=steps, on_progress=part_of(on_progress, number, 2))
        shape = (len(temperatures), len(rates), seeds)
        ranks.append(np.median(geometry.effective_rank(end).numpy().reshape(shape), axis=-1))
        for kind, values in searched.items():
            points = SAMPLES if kind == "collapse" else even
            for k, value in enumerate(values):
                one = Setting(value, DIMENSION, points, gradient=gradient)
                seen = search(kind, one, width=5e-3, seeds=range(1 if kind == "uniform" else 4))
                found[kind][number, k] = seen.rate or np.nan
        on_progress((number + 1) / 2)
    return {
        "temperature": temperatures,
        "rate_over_tau": rates,
        "effective_rank": np.array(ranks),
        "points": np.array(even),
        **{f"{kind}_at": np.array(values) for kind, values in searched.items()},
        **{str(kind): rates for kind, rates in found.items()},
    }


def draw(run: Run) -> Drawing:
    """The map for both gradients, with T4's and T5's lines."""
    temperatures, rates, ranks = run["temperature"], run["rate_over_tau"], run["effective_rank"]
    gaps: dict[Kind, list[float]] = {kind: [] for kind in SEARCHED}
    fine = tuple(np.geomspace(temperatures[0], temperatures[-1], 200))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for number, (axes, gradient) in enumerate(zip(panels, GRADIENTS, strict=True)):
            setting = Setting(fine, DIMENSION, SAMPLES, gradient=gradient)
            image = axes.pcolormesh(
                temperatures, rates, ranks[number].T, cmap=RANK_MAP, vmin=1, vmax=DIMENSION, shading="nearest",
                rasterized=True,
            )  # fmt: skip
            axes.set(xscale="log", yscale="log", title=f"{gradient} gradient", xlabel=r"temperature $\tau$")
            corners = axes.get_xlim(), axes.get_ylim()
            breaks, degree = uniform_rate(setting, limit=True)
            few = [not uniform_is_resolved(Setting(tau, DIMENSION, SAMPLES, gradient=gradient)) for tau in fine]
            axes.fill_between(
                [corners[0][0], *fine[1:]], np.asarray(breaks) / fine, corners[1][0], where=few, hatch="///",
                facecolor="none", edgecolor=GREY, linewidth=0,
            )  # fmt: skip
            axes.plot(fine, breaks / np.array(fine), color=GREEN, path_effects=OUTLINE)
            for value in np.unique(degree):
                where = int(np.flatnonzero(degree == value).mean())
                spot = (max(fine[where], 0.112), float(np.asarray(breaks)[where]) / fine[where] * 0.85)
                axes.annotate(f"$\\ell={value}$", spot, ha="center", va="top", color=GREEN, path_effects=OUTLINE)
            axes.text(1.9, 0.145, "spread\nevenly", weight="bold", ha="right")
            axes.text(0.11, 0.145, "32 points:\ntoo few", weight="bold", color=GREY, path_effects=OUTLINE)
            collapse = collapse_rate(setting)
            if collapse is not None:
                axes.plot(fine, collapse / np.array(fine), color=VERMILION, path_effects=OUTLINE)
            for kind, colour in COLOURS.items():
                for value, rate in zip(run[f"{kind}_at"], run[kind][number], strict=True):
                    points = SAMPLES if kind == "collapse" else int(run["points"])
                    one = Setting(float(value), DIMENSION, points, gradient=gradient)
                    predicted = collapse_rate(one) if kind == "collapse" else uniform_rate(one).rate
                    gaps[kind].append(apart(rate, None if predicted is None else float(predicted)))
                    axes.plot(value, rate / value, "o", color=colour, mec="white", markersize=6)
            axes.set(xlim=corners[0], ylim=corners[1])
            plain_ticks(axes, "x", (0.1, 0.2, 0.5, 1, 2))
            plain_ticks(axes, "y", (0.125, 0.25, 0.5, 1, 2, 4, 8))
        panels[0].text(0.5, 4, "one point", color="white", weight="bold")
        words = r"collapse attracts: $\mu_c$ (T4)"
        panels[0].text(1.9, 1.2, words, color=VERMILION, weight="bold", ha="right", path_effects=OUTLINE)
        panels[1].text(1.9, 5, "most rank stays", weight="bold", ha="right")
        words = "even spread breaks (T5)"
        panels[1].text(1.9, 0.82, words, color=GREEN, weight="bold", ha="right", va="top", path_effects=OUTLINE)
        panels[0].set_ylabel(r"learning rate $\mu/\tau$")
        figure.colorbar(image, ax=panels, label="effective rank", pad=0.01)
        headline(figure, __doc__)
    cells = [
        (gradient, tau, rate, rank, "")
        for gradient, own in zip(GRADIENTS, ranks, strict=True)
        for tau, row in zip(temperatures, own, strict=True)
        for rate, rank in zip(rates, row, strict=True)
    ]
    circles = [
        (gradient, tau, rate / tau, np.nan, kind)
        for kind in SEARCHED
        for gradient, own in zip(GRADIENTS, run[kind], strict=True)
        for tau, rate in zip(run[f"{kind}_at"], own, strict=True)
    ]
    names = ("gradient", "temperature", "rate_over_tau", "effective_rank", "searched")
    numbers = {name: np.array(column) for name, column in zip(names, zip(*cells, *circles, strict=True), strict=True)}
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("searched collapse rates from mu_c (T4), relative", max(gaps["collapse"]), 0.01),
            Gap("searched uniform rates from T5's at their n (T13), relative", max(gaps["uniform"]), 0.02),
        ),
    )
