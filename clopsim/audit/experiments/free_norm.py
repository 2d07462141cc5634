"""T10: free norms with weight decay."""

import numpy as np
import torch

from bounds import Setting
from bounds.free_norm import decayed_view_cosine, steady_squared_norm
from clopsim.audit.experiments.experiment import Experiment
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import free_step


def _free_run(setting: Setting, rate: float, decay: float, steps: int) -> tuple[float, float]:
    """View cosine and squared norm of free-norm runs from the predicted norm: two seeds, mean of the last 100 steps."""
    tau = float(setting.tau)
    u = torch.stack([starts.near_uniform(setting, temperature=tau, seed=seed, view_angle=0.3) for seed in range(2)])
    u = u * float(steady_squared_norm(rate, setting)) ** 0.5
    cosines, norms = [], []
    for done in range(steps):
        u = free_step(u, rate, tau, setting=setting, weight_decay=decay)
        if done >= steps - 100:
            norm = u.norm(dim=-1, keepdim=True)
            cosines.append(1 - float(geometry.alignment(u / norm).mean()) / 2)
            norms.append(float(norm.square().mean()))
    return float(np.mean(cosines)), float(np.mean(norms))


def decay_sets_the_alignment(factor: float = 1.0) -> Experiment:
    """T10: the cosine of the views is 1 - mu w."""
    setting = Setting(1.0, 3, 256, loss="full", gradient="tangent")
    products = (0.03, 0.1, 0.3)
    return Experiment(
        title="free norm with weight decay: cosine of the views",
        x_label="learning rate x weight decay",
        y_label="cosine of the views",
        x=products,
        measured=tuple(_free_run(setting, 1.0, product_, 500)[0] for product_ in products),
        predicted=tuple(decayed_view_cosine(1.0, weight_decay=product_) * factor for product_ in products),
        tolerance=0.01,
        note="n = 256, 500 steps; at a product of 0.1 longer runs settle at 0.895 to 0.896",
    )


def decay_sets_the_norm(factor: float = 1.0) -> Experiment:
    """T10: the squared norm is 2 mu/tau, whatever the decay."""
    setting = Setting(1.0, 3, 256, loss="full", gradient="tangent")
    rates = (0.3, 1.0, 3.0)
    return Experiment(
        title="free norm with weight decay: squared norm at mu w = 0.1",
        x_label="learning rate",
        y_label="mean squared norm",
        x=rates,
        measured=tuple(_free_run(setting, rate, 0.1 / rate, 500)[1] for rate in rates),
        predicted=tuple(float(steady_squared_norm(rate, setting)) * factor for rate in rates),
        tolerance=0.02,
    )


def free_norm_finds_the_edge(factor: float = 1.0) -> Experiment:
    """T10 without decay: from |u| = 1 the norm grows until the effective rate mu/|u|^2 is safe, and the rank stays."""
    setting = Setting(0.5, 8, 64, loss="full", gradient="tangent")
    rates = (5.0, 20.0, 80.0)
    u = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)]).repeat(len(rates), 1, 1)
    for _ in range(1500):
        u = free_step(u, torch.tensor(rates).double().repeat_interleave(2), 0.5, setting=setting)
    ranks = geometry.effective_rank(u / u.norm(dim=-1, keepdim=True))
    return Experiment(
        title="free norm, no decay: effective rank at 10, 40 and 160 times the edge of a fixed norm",
        x_label="learning rate (two seeds each)",
        y_label="effective rank",
        x=tuple(rate for rate in rates for _ in range(2)),
        measured=tuple(ranks.tolist()),
        predicted=(8.0 * factor,) * len(ranks),
        tolerance=0.04,
    )
