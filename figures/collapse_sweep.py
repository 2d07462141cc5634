"""Collapse against the learning rate: the default sweep, with every predicted threshold as a line.

Below the green line the embeddings spread evenly over the sphere; above the red one, mu_c, they fall onto one point.
"""

from collections.abc import Callable
from dataclasses import replace

from clopsim import plots, results
from clopsim import sweep as job
from clopsim.config import Sweep
from figures.drawing import Drawing, Gap

QUICK = {"samples": 16, "rates": (0.5, 0.8, 1.0, 1.5), "seeds": 2, "steps": 100}


def draw(*, quick: bool = False, on_progress: Callable[[float], None] = lambda share: None) -> Drawing:
    """Simulate and draw it."""
    config = replace(Sweep(), **QUICK) if quick else Sweep()  # type: ignore[arg-type]
    dataset = job.run_sweep(config, on_progress=lambda share: on_progress(0.9 * share))
    thresholds = job.search_thresholds(config)
    summary = job.summarise(config, dataset, thresholds)
    on_progress(1.0)
    end = dataset.isel(step=-1, temperature=0)
    return Drawing(
        figure=plots.draw_sweep(dataset.assign_attrs(results.attributes(summary, command=""))),
        numbers={
            "rate_over_mu_c": end["rate"].values[:, None],
            "seed": end["seed"].values[None, :],
            **{name: end[name].values for name in ("mean_resultant_length", "effective_rank", "outcome")},
        },
        gaps=(
            Gap(
                "searched collapse rate from mu_c (T4), relative",
                max(abs(threshold.relative_gap or 1.0) for threshold in thresholds),
                job.TOLERANCE,
            ),
        ),
    )
