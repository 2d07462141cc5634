"""The merged loss falls onto a point, the full loss never does.

The full loss keeps the attraction between the views: a point repels at every rate. Its ambient step ends on a line
with antipodal views, from T12's rate on if it starts beside it (crosses), from tau/(2 A_1) on from random starts (T5a,
n -> infinity; 32 points are too few to tell, T13). d = 8. Median and range over seeds.
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from clopsim.bounds import Gradient, Loss, alignment_uniform_rate, critical_rates, exact_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final, part_of
from clopsim.figures.style import (
    AMBER,
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PAGE,
    PURPLE,
    STYLE,
    VERMILION,
    headline,
    measured,
    plain_ticks,
    rank_share,
)
from clopsim.metrics import geometry
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.sphere import starts
from clopsim.sphere.thresholds import Kind, search

OBSERVABLES = ("mean_resultant_length", "effective_rank")
KINDS: tuple[Kind, ...] = ("collapse", "alignment_collapse")
PANELS: tuple[tuple[Loss, Gradient, str], ...] = (
    ("merged", "ambient", "merged, ambient step"),
    ("full", "ambient", "full, ambient step"),
    ("full", "tangent", "full, tangent step"),
)
BESIDE = 1e-3
"""Radians off the antipodal line."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """OBSERVABLES after the last step, (panels, rates, seeds), and the searched rates of KINDS; nan: never.

    For the full ambient loss also the effective rank of runs from beside the line, (rates, seeds), and the line's rate.
    """
    ends, found = [], []
    for number, (loss, gradient, _) in enumerate(PANELS):
        config = _config(loss, gradient, quick=quick)
        dataset = job.run_sweep(config, on_progress=part_of(on_progress, number, len(PANELS)))
        ends.append(dataset.isel(step=-1, temperature=0))
        rates = {threshold.kind: threshold.rate for threshold in job.search_thresholds(config)}
        found.append([rates.get(kind) or np.nan for kind in KINDS])
    return {
        **{name: np.stack([end[name].values for end in ends]) for name in OBSERVABLES},
        **{str(kind): np.array(rates) for kind, rates in zip(KINDS, zip(*found, strict=True), strict=True)},
        **_from_the_line(_config("full", "ambient", quick=quick)),
    }


def _from_the_line(config: Sweep) -> Arrays:
    """Effective rank, (rates, seeds), after as many steps as the others, and the searched rate of the line."""
    (setting,) = config.settings
    table = torch.stack([starts.near_line(setting, spread=BESIDE, seed=seed) for seed in range(config.seeds)])
    rate = torch.tensor(config.rates, dtype=table.dtype) * float(exact_rate(setting))
    end = final(
        table.repeat(len(rate), 1, 1),
        rate.repeat_interleave(len(table)),
        torch.full((len(rate) * len(table),), float(setting.tau), dtype=table.dtype),
        setting=setting,
        steps=config.steps,
    )
    rank = geometry.effective_rank(end).numpy().reshape(len(rate), len(table))
    found = search("line", setting, width=1e-3, seeds=range(2))
    return {"effective_rank_from_line": rank, "line": np.array(found.rate or np.nan)}


def draw(run: Run) -> Drawing:
    """A panel for each loss and gradient, with the rates of T4, T5a and T12."""
    gaps, edges, lines = [], [], []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.1), layout="constrained")
        grid = figure.subplots(1, len(PANELS), sharey=True)
        for number, (axes, (loss, gradient, title)) in enumerate(zip(grid, PANELS, strict=True)):
            config = _config(loss, gradient, quick=run.quick)
            rates, predicted, unit = np.array(config.rates), critical_rates(config.setting), exact_rate(config.setting)
            gaps += [
                apart(run["collapse"][number], predicted.collapse_rate),
                apart(run["alignment_collapse"][number], predicted.alignment_collapse_rate),
            ]
            apart_above = alignment_uniform_rate(config.setting, limit=True)  # n = 32: too small to tell (T13)
            edges.append(np.nan if apart_above is None else float(apart_above) / float(unit))
            line = predicted.antipodal_line_rate
            lines.append(np.nan if line is None else line / float(unit))
            if predicted.collapse_rate is not None:
                axes.axvline(1, color=VERMILION)
            if line is not None:
                axes.axvspan(lines[-1], edges[-1], color=GREEN, alpha=0.2, linewidth=0)
                away = apart(float(run["line"]), line)
            if apart_above is not None:
                axes.axvline(edges[-1], color=PURPLE, linestyle="--")
            measured(axes, rates, run["mean_resultant_length"][number].T)
            measured(
                axes, rates, rank_share(run["effective_rank"][number].T, config.dimension), color=ORANGE, marker="s"
            )
            if line is not None:
                share = rank_share(run["effective_rank_from_line"].T, config.dimension)
                measured(axes, rates, share, color=BLACK, marker="x")
            axes.set(xscale="log", ylim=(-0.06, 1.06), xlabel=r"learning rate $\mu/\mu_c$", title=title)
            plain_ticks(axes, "x", (0.125, 0.5, 1, 2, 4, 16))
        grid[0].set_yticks((0, 1), ("0", "1"))
        _draw_words(grid, edges)
        headline(figure, __doc__)
    numbers = {
        "loss": np.array([loss for loss, _, _ in PANELS])[:, None, None],
        "gradient": np.array([gradient for _, gradient, _ in PANELS])[:, None, None],
        "rate_over_mu_c": rates[None, :, None],
        "seed": np.arange(config.seeds)[None, None, :],
        **{name: run[name] for name in OBSERVABLES},
        "effective_rank_from_line": np.where(
            np.isfinite(lines)[:, None, None], run["effective_rank_from_line"][None], np.nan
        ),
        "predicted_views_apart_over_mu_c": np.array(edges)[:, None, None],
        "predicted_line_over_mu_c": np.array(lines)[:, None, None],
    }
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("searched rates from T4, relative; 1 where never is not never", max(gaps), job.TOLERANCE),
            Gap("searched rate of the antipodal line from T12, relative", away, job.TOLERANCE),
            Gap("largest mean resultant length of the full loss", float(run["mean_resultant_length"][1:].max()), 0.5),
        ),
    )


def _draw_words(grid: Any, edges: list[float]) -> None:
    """What the series and the lines of the three panels are."""
    bold: Any = {"weight": "bold", "ha": "right"}
    grid[0].text(16, 0.93, "mean\nresultant\nlength $R$", color=BLUE, va="top", **bold)
    grid[0].text(16, 0.06, "rank left", color=AMBER, **bold)
    grid[0].text(1.1, 0.5, "$\\mu_c$ (T4)", color=VERMILION)
    grid[1].text(0.9, 0.5, "here the\nstart decides\n(T12)", color=GREEN, ha="right", va="center")
    grid[1].text(16, 0.06, "a line", color=AMBER, **bold)
    grid[2].text(edges[2] / 1.1, 0.5, "views\ncome\napart\n(T5a)", color=PURPLE, ha="right", va="center")
    grid[2].text(16, 0.06, "no mean", color=BLUE, **bold)


def _config(loss: Loss, gradient: Gradient, *, quick: bool) -> Sweep:
    rates = tuple(np.geomspace(1 / 8, 16, 7 if quick else 29))
    seeds, steps = (2, 100) if quick else (6, 1000)
    return Sweep(loss=loss, gradient=gradient, rates=rates, seeds=seeds, steps=steps, start="random")
