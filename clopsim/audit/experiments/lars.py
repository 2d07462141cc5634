"""T26: a table of embeddings under LARS."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting
from clopsim.bounds.lars import lars_norm_growth, lars_turn, lars_view_growth
from clopsim.sphere import starts
from clopsim.sphere.gradient import gradient

RATES = (0.003, 0.1, 0.5)


def _slope(u: Tensor, setting: Setting) -> Tensor:
    """Gradient of the loss in the free embeddings."""
    length = u.norm(dim=-1, keepdim=True)
    return gradient(u / length, float(setting.tau), setting) / length


def _lars(u: Tensor, rate: float, setting: Setting) -> tuple[Tensor, float]:
    """The table after one step, and the step's length per gradient."""
    slope = _slope(u, setting)
    step = rate * float(u.norm() / slope.norm())
    return u - step * slope, step


def layer_turns_and_grows(factor: float = 1.0) -> Experiment:
    """T26: angle and growth of one step from random tables, rows of every length, both losses and keys."""
    x, measured, predicted = [], [], []
    forms = product(("merged", "full"), ("symmetric", "detached"))
    for seed, (rate, (loss, keys)) in enumerate(product(RATES, forms)):
        setting = Setting(0.3, 5, 12, loss=loss, gradient="tangent", keys=keys)  # type: ignore[arg-type]
        u = torch.from_numpy(np.random.default_rng(seed).normal(size=(12, 5)))
        after, _ = _lars(u, rate, setting)
        across = after - u * ((after * u).sum() / u.square().sum())
        turn = torch.atan2(across.norm(), (after * u).sum() / u.norm())
        x += [rate, rate]
        measured += [float(turn), float(after.norm() / u.norm())]
        predicted += [lars_turn(rate) * factor, lars_norm_growth(rate) * factor]
    return Experiment(
        title="LARS: angle by which a table turns in one step, and its growth",
        x_label="learning rate x trust coefficient",
        y_label="angle; growth",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
    )


def no_rate_is_below_the_edge(factor: float = 1.0) -> Experiment:
    """T26: views nearly together come apart by 2 arctan(mu) in one step, at every rate, and are back after two."""
    setting, start = Setting(0.5, 2, 64, loss="full", gradient="tangent"), 1e-3
    place = torch.arange(32, dtype=torch.float64) * (np.pi / 16)
    angle = torch.cat([place + start / 2, place - start / 2])
    x, measured, predicted = [], [], []
    for rate in RATES:
        u = torch.stack([angle.cos(), angle.sin()], dim=1)
        for done in range(1, 5):
            u, _ = _lars(u, rate, setting)
            first, second = u[0], u[32]
            x.append(done)
            measured.append(float(torch.atan2((first[0] * second[1] - first[1] * second[0]).abs(), first @ second)))
            predicted.append((2 * lars_turn(rate) * (done % 2) + start * (-1) ** done) * factor)
    return Experiment(
        title="LARS: angle between the views, evenly spaced samples, from 1e-3 rad apart",
        x_label="steps (three rates)",
        y_label="angle",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
    )


def two_averages_under_lars(factor: float = 1.0) -> Experiment:
    """T26: T10's averages in clouds of random views, from views together and apart."""
    setting, rates, steps, first = Setting(0.5, 8, 128, loss="full", gradient="tangent"), (0.5, 1.0), 400, 150
    x, measured, predicted = [], [], []
    for rate, (seed, angle) in product(rates, enumerate((1e-3, 0.5))):
        u, logarithms = starts.near_uniform(setting, temperature=0.5, seed=seed, view_angle=angle), np.zeros(2)
        for done in range(steps):
            after, step = _lars(u, rate, setting)
            if done >= first:
                squared = u.square().sum(dim=-1)
                one, other = (u / squared.sqrt()[:, None]).chunk(2)
                cosine = (one * other).sum(dim=-1).repeat(2).numpy()
                factors = lars_view_growth(cosine, squared.numpy(), rate=rate, step=step, setting=setting)
                logarithms += np.log(np.abs(factors)).mean(axis=1) / (steps - first)
            u = after
        growth = np.log(lars_norm_growth(rate))
        x += [rate, rate]
        measured += [logarithms[0] + growth, np.exp(logarithms[1])]
        predicted += [growth * factor, factor]
    return Experiment(
        title="LARS: mean growth of a pair along its midpoint; its mean factor across, beside the table's",
        x_label="learning rate x trust coefficient (two starts each)",
        y_label="logarithm; factor",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.025,
        note="n = 128, steps 150 to 400",
    )
