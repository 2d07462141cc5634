"""The colder the loss, the earlier the even spread breaks.

The paper's edge is mu = tau; complete collapse attracts a little later (T4). At tau = 0.2 the rank goes first, then
the mean, all that the paper follows, both long before. Green: T5, dotted for n -> infinity as 32 points are too few to
tell (T13). Rank left: (effective rank - 1)/(d - 1). Median and range over seeds after the last step.
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.bounds import critical_rates, uniform_is_resolved, uniform_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
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

TEMPERATURES = (0.2, 0.5, 1.0)
OBSERVABLES = ("mean_resultant_length", "effective_rank")


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """OBSERVABLES after the last step, (temperatures, rates, seeds), and the searched collapse rates."""
    config = _config(quick=quick)
    dataset = job.run_sweep(config, on_progress=lambda share: on_progress(0.9 * share))
    thresholds = job.search_thresholds(config)
    on_progress(1.0)
    end = dataset.isel(step=-1)
    return {
        **{name: end[name].values for name in OBSERVABLES},
        "learning_rate": dataset["learning_rate"].values,
        "collapse_rate": np.array([threshold.rate or np.nan for threshold in thresholds]),
    }


def draw(run: Run) -> Drawing:
    """A panel for each temperature, with the predicted rates as lines."""
    config, gaps, lines = _config(quick=run.quick), [], []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.1), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        for t, (axes, setting) in enumerate(zip(panels, config.settings, strict=True)):
            predicted = critical_rates(setting)
            gaps.append(apart(run["collapse_rate"][t], predicted.collapse_rate))
            tau, limit = float(setting.tau), uniform_rate(setting, limit=True)
            resolved = uniform_is_resolved(setting)
            breaks, degree = uniform_rate(setting) if resolved else limit
            assert predicted.collapse_rate  # noqa: S101
            lines.append((float(breaks) / tau, predicted.collapse_rate / tau))
            axes.axvspan(lines[-1][0], lines[-1][1], color=ORANGE, alpha=0.15, linewidth=0)
            axes.axvline(lines[-1][1], color=VERMILION)
            style = "--" if resolved else ":"  # last: at tau = 1 the two lines fall together, the dashes let both show
            axes.axvline(lines[-1][0], color=GREEN, linestyle=style)
            rates = run["learning_rate"][t] / tau
            measured(axes, rates, run["mean_resultant_length"][t].T)
            share = rank_share(run["effective_rank"][t].T, config.dimension)
            measured(axes, rates, share, color=ORANGE, marker="s")
            breaking = {1: "a point", 2: "a line"}.get(int(degree), "clusters")
            axes.set_title(rf"$\tau={tau:g}$: first towards {breaking}")
            axes.set(xscale="log", xlim=(0.24, 4.4), ylim=(-0.06, 1.06), xlabel=r"learning rate $\mu/\tau$")
            plain_ticks(axes, "x", (0.25, 0.5, 1, 2, 4))
        panels[0].set_yticks((0, 1), ("0", "1"))
        last = panels[-1]
        for words, at, colour in (("mean\nresultant\nlength $R$", 0.94, BLUE), ("rank left", 0.14, AMBER)):
            last.annotate(words, (4.2, at), ha="right", va="top", color=colour, weight="bold")
        last.annotate(r"$\mu_c$ (T4)", (lines[-1][1], 0.5), (4, 0), textcoords="offset points", color=VERMILION)
        place: Any = {"textcoords": "offset points", "color": GREEN, "ha": "right"}
        panels[0].annotate("even\nspread\nbreaks\n(T5)", (lines[0][0], 0.46), (-4, 0), **place)
        figure.supxlabel(
            f"merged loss, {config.gradient} gradient, $d={config.dimension}$, $n={config.samples}$", fontsize=8.5
        )
        headline(figure, __doc__)
    return Drawing(
        figure,
        numbers={
            "temperature": np.array(TEMPERATURES)[:, None, None],
            "rate_over_tau": (run["learning_rate"] / np.array(TEMPERATURES)[:, None])[:, :, None],
            "seed": np.arange(config.seeds)[None, None, :],
            **{name: run[name] for name in OBSERVABLES},
            "predicted_uniform_rate_over_tau": np.array(lines)[:, 0, None, None],
            "predicted_collapse_rate_over_tau": np.array(lines)[:, 1, None, None],
        },
        gaps=(Gap("searched collapse rates from mu_c (T4), relative", max(gaps), job.TOLERANCE),),
    )


def _config(*, quick: bool) -> Sweep:
    rates = tuple(np.geomspace(1 / 4, 4, 7 if quick else 33))
    seeds, steps = (2, 100) if quick else (6, 1500)
    return Sweep(TEMPERATURES, samples=32, rates=rates, seeds=seeds, steps=steps, start="random")
