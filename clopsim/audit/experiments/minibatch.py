"""T24: complete collapse under minibatches, free embeddings and shared weights."""

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import (
    Setting,
    exact_rate,
    fresh_noise_growth,
    fresh_noise_rate,
    spread_growth,
    view_growth_rate,
)
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import gradient

DIMENSION, TAU = 5, 0.5


def views_under_minibatches(factor: float = 1.0) -> Experiment:
    """T24: growth of view differences in three epochs of random batches, per step, against (B/n) log of T4's factor."""
    samples, epochs = 24, 3
    x, measured, predicted = [], [], []
    for batch, gradient_of, multiple in (
        (4, "tangent", 0.6), (4, "ambient", 1.45), (12, "tangent", 1.45), (12, "ambient", 1.8),
    ):  # fmt: skip
        setting = Setting(TAU, DIMENSION, 2 * batch, loss="full", gradient=gradient_of)  # type: ignore[arg-type]
        rate = multiple * float(exact_rate(setting))
        rng = np.random.default_rng(batch)
        shift = torch.from_numpy(1e-7 * rng.standard_normal((samples, DIMENSION)))
        shift[:, 0] = 0
        z = _beside_the_point(torch.stack([shift, -shift]))  # (views, samples, d)
        start = (z[0] - z[1]).norm(dim=1)
        for _ in range(epochs):
            for rows in rng.permutation(samples).reshape(-1, batch):
                z[:, rows] = step(z[:, rows].reshape(2 * batch, -1), rate, TAU, setting).reshape(2, batch, -1)
        steps = epochs * samples // batch
        x.append(multiple)
        measured.append(float(((z[0] - z[1]).norm(dim=1) / start).log().mean()) / steps)
        predicted.append(float(view_growth_rate(rate, setting, data=2 * samples)) * factor)
    return Experiment(
        title="view differences at collapse, minibatches of 8 and 24 of 48 embeddings",
        x_label="rate / T4's rate of the batch",
        y_label="exponent per step",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
    )


def spread_under_minibatches(factor: float = 1.0) -> Experiment:
    """T24: the spread of the samples after one step, mean square over every batch that can be drawn."""
    samples = 6
    x, measured, predicted = [], [], []
    for batch, gradient_of, multiple in (
        (2, "tangent", 0.2), (3, "tangent", 1.0), (3, "ambient", 0.2), (4, "ambient", 1.0),
    ):  # fmt: skip
        setting = Setting(TAU, DIMENSION, 2 * batch, loss="full", gradient=gradient_of)  # type: ignore[arg-type]
        rate = multiple * float(exact_rate(setting))
        shift = torch.from_numpy(1e-5 * np.random.default_rng(batch).standard_normal((samples, DIMENSION)))
        shift[:, 0] = 0
        z = _beside_the_point(shift)
        after = []
        for rows in combinations(range(samples), batch):
            moved, index = z.clone(), list(rows)
            moved[index] = step(torch.cat([z[index], z[index]]), rate, TAU, setting)[:batch]
            after.append(_spread(moved))
        x.append(multiple)
        measured.append(float(np.mean(after)) / _spread(z) - 1)
        predicted.append(float(spread_growth(rate, setting, data=2 * samples) - 1) * factor)
    return Experiment(
        title="spread of the samples at collapse, all batches of 4, 6, 8 of 12 embeddings",
        x_label="rate / T4's rate of the batch",
        y_label="growth of the mean square in one step",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
    )


def fresh_noise(factor: float = 1.0) -> Experiment:
    """T24: one linear layer at collapse, fresh opposite view noise: mean square growth of its noise weights."""
    draws, variance = 40_000, 0.5
    x, measured, predicted = [], [], []
    for batch, inputs, multiple in ((2, 3, 0.8), (4, 6, 1.0), (4, 2, 1.1), (6, 4, 1.0)):
        setting = Setting(TAU, DIMENSION, 2 * batch, loss="full", gradient="tangent")
        rate = multiple * float(fresh_noise_rate(setting, inputs=inputs, variance=variance))
        rng = np.random.default_rng(10 * batch + inputs)
        noise = torch.from_numpy(variance**0.5 * rng.standard_normal((draws, batch, inputs)))
        noise = torch.cat([noise, -noise], dim=1)  # (draws, embeddings, p)
        weights = torch.from_numpy(1e-6 * rng.standard_normal((draws, DIMENSION, inputs)))
        weights[:, 0] = 0  # the point, in the first coordinate, comes from the content that all share
        z = _beside_the_point(noise @ weights.mT)
        after = weights - rate * gradient(z, TAU, setting).mT @ noise
        x.append(multiple)
        measured.append(float(after[:, 1:].square().sum() / weights.square().sum()))
        growth = fresh_noise_growth(rate, setting, inputs=inputs, variance=variance)
        predicted.append((1.0 if multiple == 1 else float(growth)) * factor)  # at its rate it stands still
    return Experiment(
        title="one linear layer at collapse, fresh noise in the views: mean square of the weights that see it",
        x_label="rate / the rate at which it grows",
        y_label="factor per step",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.02,
        note="40000 draws a point",
    )


def _beside_the_point(shift: Tensor) -> Tensor:
    point = torch.zeros_like(shift)
    point[..., 0] = 1
    z = point + shift
    return z / z.norm(dim=-1, keepdim=True)


def _spread(z: Tensor) -> float:
    return float((z - z.mean(dim=0)).square().sum())
