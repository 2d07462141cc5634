"""Collapse against the learning rate at three temperatures, merged loss, ambient gradient.

The paper's edge is mu = tau. For a finite batch complete collapse attracts above mu_c = tau (n-1)/(n-2), a little later
(T4); the uniform state breaks before either (mu_A, T5), the earlier the lower the temperature. At tau = 0.2 it breaks
towards a line, so the rank falls while the mean, all that the paper follows, is still zero. Points: median and range
of the seeds after the last step. At tau = 1 mu_A is that of n = 32 (T13); below, 32 points are too few to tell, and the
line is the limit n -> infinity.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from clopsim.bounds import critical_rates, uniform_is_resolved, uniform_rate
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import GREEN, GREY, PAGE, STYLE, VERMILION, measured, plain_ticks
from matplotlib.figure import Figure

from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep

TEMPERATURES = (0.2, 0.5, 1.0)
PANELS = {"mean_resultant_length": "mean resultant length $R$", "effective_rank": "effective rank"}


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """PANELS after the last step, (temperatures, rates, seeds), and the searched collapse rates."""
    config = _config(quick=quick)
    dataset = job.run_sweep(config, on_progress=lambda share: on_progress(0.9 * share))
    thresholds = job.search_thresholds(config)
    on_progress(1.0)
    end = dataset.isel(step=-1)
    return {
        **{name: end[name].values for name in PANELS},
        "learning_rate": dataset["learning_rate"].values,
        "collapse_rate": np.array([threshold.rate or np.nan for threshold in thresholds]),
    }


def draw(run: Run) -> Drawing:
    """A column for each temperature, with the predicted rates as lines."""
    config, gaps, lines = _config(quick=run.quick), [], []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.7), layout="constrained")
        grid = figure.subplots(2, 3, sharex=True, sharey="row")
        for t, setting in enumerate(config.settings):
            predicted = critical_rates(setting)
            gaps.append(apart(run["collapse_rate"][t], predicted.collapse_rate))
            tau, limit = float(setting.tau), uniform_rate(setting, limit=True)
            resolved = uniform_is_resolved(setting)
            breaks, degree = uniform_rate(setting) if resolved else limit
            assert predicted.collapse_rate  # noqa: S101
            lines.append((float(breaks) / tau, predicted.collapse_rate / tau))
            for axes, (name, label) in zip(grid[:, t], PANELS.items(), strict=True):
                axes.axvspan(0.1, 1, color=GREY, alpha=0.12, linewidth=0, label=r"paper's safe range, $\mu<\tau$")
                axes.axvline(predicted.collapse_rate / tau, color=VERMILION, label=r"$\mu_c$: collapse attracts (T4)")
                axes.axvline(  # last: at tau = 1 the two lines fall together, and its dashes let the other through
                    lines[-1][0],
                    color=GREEN,
                    linestyle="--" if resolved else ":",
                    label=r"$\mu_A$: uniform breaks (T5; dotted: $n\to\infty$)",
                )
                measured(axes, run["learning_rate"][t] / tau, run[name][t].T, label="simulation")
                axes.set(xscale="log", xlim=(0.24, 4.4), ylabel=label if t == 0 else "")
            grid[0, t].set_title(rf"$\tau={tau:g}$, first to break: degree {degree}")
            plain_ticks(grid[1, t], "x", (0.25, 0.5, 1, 2, 4))
            grid[1, t].set_xlabel(r"learning rate $\mu/\tau$")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return Drawing(
        figure,
        numbers={
            "temperature": np.array(TEMPERATURES)[:, None, None],
            "rate_over_tau": (run["learning_rate"] / np.array(TEMPERATURES)[:, None])[:, :, None],
            "seed": np.arange(config.seeds)[None, None, :],
            **{name: run[name] for name in PANELS},
            "predicted_uniform_rate_over_tau": np.array(lines)[:, 0, None, None],
            "predicted_collapse_rate_over_tau": np.array(lines)[:, 1, None, None],
        },
        gaps=(Gap("searched collapse rates from mu_c (T4), relative", max(gaps), job.TOLERANCE),),
    )


def _config(*, quick: bool) -> Sweep:
    rates = tuple(np.geomspace(1 / 4, 4, 7 if quick else 33))
    seeds, steps = (2, 100) if quick else (6, 1500)
    return Sweep(TEMPERATURES, samples=32, rates=rates, seeds=seeds, steps=steps, start="random")
