"""T22: InfoNCE whose temperature learns."""

from functools import cache

import torch

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, learned_temperature
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

RATES = (0.3, 0.6, 0.9)
STARTS = (0.25, 1.5)
"""Temperatures that the runs begin with, below and above all they settle at."""

STEP = 0.1
"""Learning rate of kappa = 1/tau on the mean over the anchors."""


@cache
def _settled(rate: float, temperature: float) -> tuple[float, float]:
    """Temperature and view cosine, means over the last third of a run of 100 samples in three dimensions."""
    n, steps = 200, 450
    setting = Setting(1.0, 3, n, "full", "tangent")
    z = starts.near_uniform(setting, temperature=1.0, seed=0, view_angle=0.3)
    self = torch.eye(n, dtype=torch.bool)
    kappa, seen = 1 / temperature, []
    for _ in range(steps):
        cosines = z @ z.mT
        softmax = torch.softmax((kappa * cosines).masked_fill(self, -torch.inf), dim=-1)
        views = float(cosines.diagonal(n // 2).mean())
        z = step(z, rate, 1 / kappa, setting)
        kappa -= STEP * (float((softmax * cosines).sum(dim=-1).mean()) - views)
        seen.append((1 / kappa, views))
    temperature, views = torch.tensor(seen, dtype=torch.float64)[-steps // 3 :].mean(dim=0).tolist()
    return temperature, views


def temperature_settles(factor: float = 1.0) -> Experiment:
    """T22: the learned temperature, from below and from above."""
    cases = [(rate, start) for rate in RATES for start in STARTS]
    return Experiment(
        title="learned temperature, d = 3: from 0.25 and from 1.5",
        x_label="learning rate of the embeddings",
        y_label="temperature",
        x=tuple(rate for rate, _ in cases),
        measured=tuple(_settled(*case)[0] for case in cases),
        predicted=tuple(learned_temperature(rate, dimension=3).temperature * factor for rate, _ in cases),
        tolerance=0.025,
        note="n = 200: one or two percent above the limit",
    )


def views_at_the_learned_temperature(factor: float = 1.0) -> Experiment:
    """T22: the cosine of the views where the temperature has settled."""
    cases = [(rate, start) for rate in RATES for start in STARTS]
    return Experiment(
        title="cosine of the views at the learned temperature, d = 3",
        x_label="learning rate of the embeddings",
        y_label="cosine of the views",
        x=tuple(rate for rate, _ in cases),
        measured=tuple(_settled(*case)[1] for case in cases),
        predicted=tuple(learned_temperature(rate, dimension=3).view_cosine * factor for rate, _ in cases),
        tolerance=0.02,
        note="n = 200: one percent below the limit",
    )
