"""The merged loss collapses where the full loss does not: the same rates, batch and starts, side by side.

Merging the two views of a sample drops the attraction between them. Without it complete collapse attracts above mu_c
(T4). With it collapse onto a point repels at every rate; what gives way is the agreement of the two views. With the
tangent gradient, which autograd takes, they come apart at tau/2 and most of the rank stays (T5a). With the ambient one
samples end on one line with antipodal views: rank one, mean zero. That line attracts above T12's rate; random starts
reach it from tau/(2 A_1) on, where views come apart (T5a, n -> infinity; 32 embeddings are too few to tell, T13).
Between, shaded, the start decides. Points: median and range over seeds after the last step; crosses: starts near the
line.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from clopsim.bounds import Gradient, Loss, alignment_uniform_rate, critical_rates, exact_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final, part_of
from clopsim.figures.style import BLACK, GREEN, ORANGE, PAGE, PURPLE, STYLE, VERMILION, measured, plain_ticks
from matplotlib.figure import Figure

from clopsim.metrics import geometry
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.sphere import starts
from clopsim.sphere.thresholds import Kind, search

BOTH = "from T12's rate on the line attracts too: the start decides"
OBSERVABLES = ("mean_resultant_length", "effective_rank")
KINDS: tuple[Kind, ...] = ("collapse", "alignment_collapse")
PANELS: tuple[tuple[Loss, Gradient, str], ...] = (
    ("merged", "ambient", "merged, ambient: one point"),
    ("full", "ambient", "full, ambient: a line, never a point"),
    ("full", "tangent", "full, tangent: most rank stays"),
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
        figure = Figure(figsize=(PAGE, 2.9), layout="constrained")
        grid = figure.subplots(1, len(PANELS), sharey=True)
        for number, (axes, (loss, gradient, title)) in enumerate(zip(grid, PANELS, strict=True)):
            config = _config(loss, gradient, quick=run.quick)
            rates, predicted, unit = np.array(config.rates), critical_rates(config.setting), exact_rate(config.setting)
            gaps += [
                apart(run["collapse"][number], predicted.collapse_rate),
                apart(run["alignment_collapse"][number], predicted.alignment_collapse_rate),
            ]
            axes.axvline(1, color=VERMILION, label=r"$\mu_c$: where the merged loss collapses (T4)")
            apart_above = alignment_uniform_rate(config.setting, limit=True)  # n = 32: too small to tell (T13)
            edges.append(np.nan if apart_above is None else float(apart_above) / float(unit))
            line = predicted.antipodal_line_rate
            lines.append(np.nan if line is None else line / float(unit))
            if line is not None:
                axes.axvspan(lines[-1], edges[-1], color=GREEN, alpha=0.2, linewidth=0, label=BOTH)
                away = apart(float(run["line"]), line)
            if apart_above is not None:
                axes.axvline(edges[-1], color=PURPLE, linestyle="--", label=r"views come apart (T5a, $n\to\infty$)")
            measured(axes, rates, run["mean_resultant_length"][number].T, label="mean resultant length $R$")
            share = (run["effective_rank"][number] - 1) / (min(config.dimension, config.samples) - 1)
            measured(axes, rates, share.T, color=ORANGE, marker="s", label=r"rank, (effective rank $-$ 1)/($d-1$)")
            if line is not None:
                share = (run["effective_rank_from_line"] - 1) / (min(config.dimension, config.samples) - 1)
                measured(axes, rates, share.T, color=BLACK, marker="x", label="rank, from beside the line")
            axes.set(xscale="log", ylim=(-0.05, 1.05), xlabel=r"learning rate $\mu/\mu_c$", title=title)
            plain_ticks(axes, "x", (0.125, 0.5, 1, 2, 4, 16))
        grid[0].set_ylabel("0: none,  1: full")
        handles, labels = grid[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
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


def _config(loss: Loss, gradient: Gradient, *, quick: bool) -> Sweep:
    rates = tuple(np.geomspace(1 / 8, 16, 7 if quick else 29))
    seeds, steps = (2, 100) if quick else (6, 1000)
    return Sweep(loss=loss, gradient=gradient, rates=rates, seeds=seeds, steps=steps, start="random")
