"""The merged loss collapses where the full loss does not: the same rates, batch and starts, side by side.

Merging the two views of a sample drops the attraction between them. Without it complete collapse attracts above mu_c
(T4). With it collapse onto a point repels at every rate; what gives way is the agreement of the two views. With the
tangent gradient, which autograd takes, they come apart at tau/2 and most of the rank stays (T5). With the ambient one
they are antipodal from tau/(2 A_1) on, and all samples end on one line: rank one, mean zero. Points: median and range
over seeds after the last step.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from bounds import alignment_uniform_rate
from clopsim import sweep as job
from clopsim.config import Sweep
from figures.drawing import Drawing, Gap
from figures.simulate import part_of
from figures.style import ORANGE, PAGE, PURPLE, STYLE, VERMILION, measured, plain_ticks

OBSERVABLES = ("mean_resultant_length", "effective_rank")
PANELS = (
    ("merged", "ambient", "merged, ambient: one point"),
    ("full", "ambient", "full, ambient: a line, never a point"),
    ("full", "tangent", "full, tangent: most rank stays"),
)


def draw(*, quick: bool = False, on_progress: Callable[[float], None] = lambda share: None) -> Drawing:
    """Simulate and draw it."""
    rates = tuple(np.geomspace(1 / 8, 16, 7 if quick else 29))
    seeds, steps = (2, 100) if quick else (6, 1000)
    gaps: list[float] = []
    ends = []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 2.9), layout="constrained")
        grid = figure.subplots(1, len(PANELS), sharey=True)
        for number, (axes, (loss, gradient, title)) in enumerate(zip(grid, PANELS, strict=True)):
            config = Sweep(loss=loss, gradient=gradient, rates=rates, seeds=seeds, steps=steps, start="random")  # type: ignore[arg-type]
            dataset = job.run_sweep(config, on_progress=part_of(on_progress, number, len(PANELS)))
            for threshold in job.search_thresholds(config):
                never = threshold.predicted_rate is None
                gaps.append(float(threshold.rate is not None) if never else abs(threshold.relative_gap or 1.0))
            end = dataset.isel(step=-1, temperature=0)
            ends.append(end)
            axes.axvline(1, color=VERMILION, label=r"$\mu_c$: where the merged loss collapses (T4)")
            if loss == "full":
                apart = float(alignment_uniform_rate(config.setting) or np.nan) / float(dataset["mu_c"].values[0])
                axes.axvline(apart, color=PURPLE, linestyle="--", label="views come apart (T5)")
            measured(axes, rates, end["mean_resultant_length"].values.T, label="mean resultant length $R$")
            share = (end["effective_rank"] - 1) / (min(config.dimension, config.samples) - 1)
            measured(
                axes, rates, share.values.T, color=ORANGE, marker="s", label=r"rank, (effective rank $-$ 1)/($d-1$)"
            )
            axes.set(xscale="log", ylim=(-0.05, 1.05), xlabel=r"learning rate $\mu/\mu_c$", title=title)
            plain_ticks(axes, "x", (0.125, 0.5, 1, 2, 4, 16))
        grid[0].set_ylabel("0: none,  1: full")
        handles, labels = grid[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    numbers = {
        "loss": np.array([loss for loss, _, _ in PANELS])[:, None, None],
        "gradient": np.array([gradient for _, gradient, _ in PANELS])[:, None, None],
        "rate_over_mu_c": np.array(rates)[None, :, None],
        "seed": np.arange(seeds)[None, None, :],
        **{name: np.stack([end[name].values for end in ends]) for name in OBSERVABLES},
    }
    largest = float(max(end["mean_resultant_length"].max() for end in ends[1:]))
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("searched rates from T4, relative; 1 where never is not never", max(gaps), job.TOLERANCE),
            Gap("largest mean resultant length of the full loss", largest, 0.5),
        ),
    )
