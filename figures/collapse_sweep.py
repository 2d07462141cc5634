"""Collapse against the learning rate: the default sweep, with every predicted threshold as a line.

At small rates the embeddings spread evenly over the sphere; above the red line, mu_c, they fall onto one point (T4).
Between, near the green line, the even spread breaks: exactly where, 32 points are too few to tell (T13).
"""

import math
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import xarray as xr
from clopsim.bounds import critical_rates
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run

from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.show import plots

OBSERVABLES = ("mean_resultant_length", "effective_rank", "outcome")
DIMENSIONS = job.DIMENSIONS[:-1]


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """OBSERVABLES after the last step, (temperatures, rates, seeds), their axes and the searched collapse rate."""
    config = _config(quick=quick)
    dataset = job.run_sweep(config, on_progress=lambda share: on_progress(0.9 * share))
    (threshold,) = job.search_thresholds(config)
    on_progress(1.0)
    end = dataset.isel(step=-1)
    stored = {name: end[name].values for name in (*DIMENSIONS, "mu_c", *OBSERVABLES)}
    return {**stored, "collapse_rate": np.array(threshold.rate or np.nan)}


def draw(run: Run) -> Drawing:
    """As `clopsim sweep` draws it."""
    config = _config(quick=run.quick)
    predicted = critical_rates(config.setting)
    end = xr.Dataset(
        {name: ((*DIMENSIONS, "step"), run[name][..., None]) for name in OBSERVABLES},
        coords={**{name: run[name] for name in DIMENSIONS}, "mu_c": ("temperature", run["mu_c"])},
        attrs={
            **asdict(config),
            **{
                f"predicted_{name}": math.nan if rate is None else rate
                for name, rate in asdict(predicted).items()
                if name.endswith("_rate")
            },
            **{f"too_small_{name}": 1 for name in predicted.too_small},
            "paper_range": predicted.paper_range or (math.nan, math.nan),
        },
    )
    return Drawing(
        figure=plots.draw_sweep(end),
        numbers={
            "rate_over_mu_c": run["rate"][:, None],
            "seed": run["seed"][None, :],
            **{name: run[name][0] for name in OBSERVABLES},
        },
        gaps=(
            Gap(
                "searched collapse rate from mu_c (T4), relative",
                apart(float(run["collapse_rate"]), predicted.collapse_rate),
                job.TOLERANCE,
            ),
        ),
    )


def _config(*, quick: bool) -> Sweep:
    return replace(Sweep(), samples=16, rates=(0.5, 0.8, 1.0, 1.5), seeds=2, steps=100) if quick else Sweep()
