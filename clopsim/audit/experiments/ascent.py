"""T11: above 1/rho the step climbs, the loss rises to its largest value, at mu = infinity everything is one point."""

from itertools import product

import torch

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, ascent_rates, largest_loss
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import contrastive_loss, gradient

TAU = 0.5


def step_is_ascent(factor: float = 1.0) -> Experiment:
    """T11: the rate at which a step climbs, read off the step itself, against mu/(mu rho - 1)."""
    x, measured, predicted = [], [], []
    for seed, loss, keys in product(range(3), ("merged", "full"), ("symmetric", "detached")):
        setting = Setting(TAU, 5, 12, loss=loss, keys=keys)  # type: ignore[arg-type]
        z, rate = starts.random_directions(setting, seed=seed), 3.0 + seed
        g = gradient(z, TAU, setting)
        tangent = g - (z * g).sum(dim=-1, keepdim=True) * z
        moved = step(z, rate, TAU, setting)
        turned = (moved * tangent).sum(dim=-1) / tangent.square().sum(dim=-1) / (moved * z).sum(dim=-1)
        x += [rate] * setting.samples
        measured += turned.tolist()
        predicted += (ascent_rates(z.numpy(), g.numpy(), rate) * factor).tolist()
    return Experiment(
        title="one ambient step as ascent, random points, four losses: its rate along the tangent gradient",
        x_label="learning rate",
        y_label="rate of ascent (negative: descent)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
    )


def loss_rises_to_its_maximum(factor: float = 1.0) -> Experiment:
    """T11: the loss never falls at large rates and ends at its largest value; nan where it fell on the way."""
    x, measured, predicted = [], [], []
    for loss, steps, rates in (("merged", 60, (1.0, 2.0, 20.0, 1e4)), ("full", 400, (2.0, 5.0, 1e4))):
        setting = Setting(TAU, 6, 16, loss=loss)  # type: ignore[arg-type]
        start = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)])
        z, rate = start.repeat(len(rates), 1, 1), torch.tensor(rates).double().repeat_interleave(2)
        values = [contrastive_loss(z, TAU, setting)]
        for _ in range(steps):
            z = step(z, rate, TAU, setting)
            values.append(contrastive_loss(z, TAU, setting))
        course = torch.stack(values)
        fell = (course.diff(dim=0) < -1e-9).any(dim=0)
        x += rate.tolist()
        measured += course[-1].masked_fill(fell, torch.nan).tolist()
        predicted += [float(largest_loss(setting)) * factor] * len(rate)
    return Experiment(
        title="ambient gradient at large rates from random points: the loss at the end, n = 16, tau = 0.5",
        x_label="learning rate (two seeds each; merged, then full)",
        y_label="loss",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="it rises at every step: merged runs end on a point, full runs on a line with antipodal views",
    )


def collapse_at_an_infinite_rate(factor: float = 1.0) -> Experiment:
    """T11: from an open hemisphere the merged loss collapses; at the end a step leaves 1/(n - 1) of the spread."""
    x, measured, predicted = [], [], []
    for n, seed in product((3, 4, 6, 11), range(3)):
        setting = Setting(TAU, 5, n)
        z = starts.random_directions(setting, seed=seed)
        z[:, 0] = z[:, 0].abs()  # a hemisphere
        for _ in range(200):
            before = 1 - float(geometry.mean_resultant_length(z))
            if before < 1e-5:
                break
            z = step(z, 1e9, TAU, setting)
        after = 1 - float(geometry.mean_resultant_length(step(z, 1e9, TAU, setting)))
        x.append(n)
        measured.append((after / before) ** 0.5)
        predicted.append(factor / (n - 1))
    return Experiment(
        title="merged loss, ambient gradient, rate 1e9, from a hemisphere: what a late step leaves of the spread",
        x_label="embeddings n (three seeds each)",
        y_label="spread after / before",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
    )
