"""T36: the BLCL-style contrast at complete collapse, its simplex while the balance is learned, and sigma's rates."""

import math
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from clopsim.audit.experiments.class_state import nearest, places
from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import SIZE, STEPS, Loss, modes
from clopsim.bounds import (
    Gradient,
    class_loss,
    class_mean_collapse,
    class_mean_loss,
    class_state,
    learned_class_rate,
    sigma_rate,
)
from clopsim.losses.balance import learned_balance
from clopsim.losses.blcl import blcl_of_rows

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")


def labels_of(classes: int, per_class: int) -> Tensor:
    """(n,), class after class."""
    return torch.arange(classes).repeat_interleave(per_class)


def _contrast(y: Tensor, tau: float) -> Loss:
    """The loss of the zoo, summed over the embeddings."""
    return lambda z: blcl_of_rows(z, y, temperature=tau, reduction="sum")


def class_means_at_collapse(factor: float = 1.0) -> Experiment:
    """T36: the whole Hessian at complete collapse, and one step with the class means in a memory."""
    measured: list[float] = []
    predicted: list[float] = []
    for K, m, d, tau in ((3, 4, 3, 0.5), (2, 2, 4, 0.2)):
        y, rate = labels_of(K, m), 0.3 * tau
        z = torch.zeros(K * m, d, dtype=torch.float64)
        z[:, 0] = 1
        found = modes(_contrast(y, tau), z)
        level = class_mean_collapse(temperature=tau)
        levels = [level.classes] * ((K - 1) * (d - 1)) + [0.0] * (((K * (m - 1)) + 1) * (d - 1))  # and turns
        measured += found.curvatures.tolist()
        predicted += [value * factor for value in levels]
        for expected, shape in ((1 + rate / tau, _between(K, m)), (1.0, _within(K, m))):
            moved = z.clone()
            moved[:, 1] = SIZE * shape
            means = moved.reshape(K, m, d).mean(dim=1)
            leaf = moved.clone().requires_grad_()
            value = blcl_of_rows(leaf, y, temperature=tau, reduction="sum", memory=means)
            (slope,) = torch.autograd.grad(value, leaf)
            measured.append(float((moved - rate * slope)[:, 1] @ shape / (SIZE * shape @ shape)))
            predicted.append(expected)
    return Experiment(
        title="(K, m, d, tau) = (3, 4, 3, 0.5), (2, 2, 4, 0.2): eigenvalues at collapse; multipliers with a memory",
        x_label="eigenvalue, then multiplier",
        y_label="curvature or multiplier",
        x=tuple(float(place) for place in range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-8,
        absolute=True,
    )


def _between(K: int, m: int) -> Tensor:
    shape = torch.zeros(K, m, dtype=torch.float64)
    shape[0], shape[1] = 1, -1
    return shape.flatten()


def _within(K: int, m: int) -> Tensor:
    shape = torch.zeros(K, m, dtype=torch.float64)
    shape[0, 0], shape[0, 1] = 1, -1
    return shape.flatten()


def _deviation(
    start: Tensor, state: Tensor, direction: Tensor, y: Tensor, tau: float, rate: float, gradient: Gradient
) -> float:
    """Along a direction after some steps of embeddings and log sigma together; rate: of the sum over the embeddings."""
    z, log_sigma, n = start, torch.zeros(1, dtype=torch.float64), len(start)
    with torch.no_grad():
        for _ in range(40):  # sigma comes to rest from 1 first
            loss = blcl_of_rows(state, y, temperature=tau)
            log_sigma = log_sigma - 0.5 * (1 - torch.exp(-2 * log_sigma) * loss)
    for _ in range(STEPS):
        leaf, balance = z.requires_grad_(), log_sigma.requires_grad_()
        loss = blcl_of_rows(leaf, y, temperature=tau)
        g, slope = torch.autograd.grad(learned_balance(loss[None], balance, floor=-20.0), (leaf, balance))
        if gradient == "tangent":
            g = g - (g * leaf).sum(dim=-1, keepdim=True) * leaf
        moved = (leaf - n * rate * g).detach()
        z, log_sigma = moved / moved.norm(dim=-1, keepdim=True), (balance - 0.3 * slope).detach()
    return float(((z - state) * direction).sum())


def simplex_while_the_balance_is_learned(factor: float = 1.0) -> Experiment:
    """T36: class points on a simplex at 0.97 and 1.03 of the rate, sigma learned beside the embeddings."""
    x, measured = [], []
    for (K, m, d, tau), gradient in product(((3, 4, 4, 0.5), (3, 4, 4, 0.2), (4, 2, 4, 0.2)), GRADIENTS):
        y = labels_of(K, m)
        state = class_state(class_loss("blcl", classes=K, per_class=m, temperature=tau), dimension=d)
        z, _ = places(state, classes=K, per_class=m, dimension=d)
        found = modes(_contrast(y, tau), z)
        rate = learned_class_rate(classes=K, per_class=m, temperature=tau, dimension=d, gradient=gradient)
        direction = nearest(found, state.highest.curvature)
        for multiple in (0.97, 1.03):
            ends = []
            for side in (SIZE, -SIZE):
                start = z + side * direction
                start = start / start.norm(dim=-1, keepdim=True)
                ends.append(_deviation(start, z, direction, y, tau, multiple * factor * rate, gradient))
            x.append(multiple)
            measured.append(float(abs(ends[0] - ends[1]) < 2 * SIZE))
    return Experiment(
        title="(K, m, d, tau) = (3, 4, 4, 0.5), (3, 4, 4, 0.2), (4, 2, 4, 0.2), both gradients: balance and embeddings"
        " learned",
        x_label="learning rate / predicted",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0, 0.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def sigma_comes_to_rest(factor: float = 1.0) -> Experiment:
    """T36: sigma's own descent at 0.97 and 1.03 of its rate, in log sigma and in sigma, from 2 % beside its rest."""
    x, measured = [], []
    forms: tuple[Literal["log", "sigma"], ...] = ("log", "sigma")
    for loss, form in product((0.7, 0.05, class_mean_loss(classes=4, temperature=0.2)), forms):
        rate = sigma_rate(loss, parametrisation=form) * factor
        rest = loss**0.5
        for multiple in (0.97, 1.03):
            sigma = 1.02 * rest
            for _ in range(300):
                slope = 1 / sigma - loss / sigma**3
                sigma = sigma - multiple * rate * slope if form == "sigma" else _moved(sigma, multiple * rate * slope)
            x.append(multiple)
            measured.append(float(abs(sigma / rest - 1) < 0.01))
    return Experiment(
        title="a fixed loss of 0.7, 0.05 and 0.0038; descent in log sigma and in sigma",
        x_label="learning rate / predicted",
        y_label="comes to rest (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0, 0.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def _moved(sigma: float, step: float) -> float:
    """sigma after log sigma took the step: d/dlog sigma = sigma d/dsigma."""
    return sigma * math.exp(-step * sigma)


def class_means_settle(factor: float = 1.0) -> Experiment:
    """T36: runs from random starts end at the loss of the simplex."""
    measured, predicted = [], []
    for K, tau in ((2, 0.5), (3, 0.5), (4, 0.3)):
        y = labels_of(K, 3)
        z = torch.randn(3 * K, K, generator=torch.Generator().manual_seed(K), dtype=torch.float64)
        for _ in range(400):
            z = (z / z.norm(dim=-1, keepdim=True)).requires_grad_()
            value = blcl_of_rows(z, y, temperature=tau)
            (g,) = torch.autograd.grad(value, z)
            z = (z - 3 * K * tau * (g - (g * z).sum(dim=-1, keepdim=True) * z)).detach()
        measured.append(float(value.detach()))
        predicted.append(class_mean_loss(classes=K, temperature=tau) * factor)
    return Experiment(
        title="K = 2, 3, 4, three embeddings a class, 400 tangent steps from random starts",
        x_label="case",
        y_label="loss",
        x=(0.0, 1.0, 2.0),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
    )
