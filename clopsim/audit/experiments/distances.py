"""T20: the Euclidean and the Manhattan distance, whose cones hold samples exactly on their prototypes."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting
from clopsim.bounds.distances import euclidean_critical_weight, euclidean_rank_one_floor, manhattan_critical_weight
from clopsim.losses.prototype_term import Distance, prototype_distance
from clopsim.losses.prototypes import OrthonormalPrototypes
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

START = 1e-3
STEPS, RATE = 4000, 2e-4


def _furthest(distance: Distance, weight: float, c: Tensor, per_class: int, tau: float) -> float:
    """Largest distance of a sample from its prototype after small steps from START beside it."""
    classes, d = c.shape
    setting = Setting(tau, d, classes * per_class, gradient="tangent")
    rows = c.repeat_interleave(per_class, dim=0)
    z = rows + START * starts.random_directions(setting, seed=1)
    z = z / z.norm(dim=1, keepdim=True)
    for _ in range(STEPS):
        away = rows - z
        pull = away.sign() if distance == "manhattan" else away / away.norm(dim=1, keepdim=True)
        z = step(z, RATE, tau, setting, prototypes=weight * pull)
    return float((z - rows).norm(dim=1).max())


def _stays(distance: Distance, factor: float) -> Experiment:
    x, measured = [], []
    for classes, per_class, d, tau in ((4, 8, 8, 0.5), (3, 4, 5, 0.3)):
        c = OrthonormalPrototypes(classes, d, seed=1, dtype=torch.float64).vectors
        if distance == "euclidean":
            critical = euclidean_critical_weight(classes=classes, per_class=per_class, temperature=tau)
        else:
            critical = manhattan_critical_weight(c.numpy(), per_class=per_class, temperature=tau)
        for multiple in (0.97, 1.03):
            far = _furthest(distance, multiple * critical * factor, c, per_class, tau)
            x.append(multiple)
            measured.append(float(far < START))
    return Experiment(
        title=f"{distance} distance, from {START:g} beside random orthonormal prototypes, two settings",
        x_label="weight / predicted",
        y_label="on the prototypes (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * 2,
        tolerance=0.0,
        absolute=True,
    )


def euclidean_samples_stay(factor: float = 1.0) -> Experiment:
    """T20: samples leave their prototypes at 0.97 and stay at 1.03 of the critical weight."""
    return _stays("euclidean", factor)


def manhattan_samples_stay(factor: float = 1.0) -> Experiment:
    """T20: the same for the Manhattan distance, whose critical weight depends on how the prototypes are turned."""
    return _stays("manhattan", factor)


def euclidean_floor(factor: float = 1.0) -> Experiment:
    """T20: squared gradient of the loss function's Euclidean term where the floor is attained, by autograd."""
    x, measured, predicted = [], [], []
    for number, (counts, weight) in enumerate(product(((6, 4, 2), (5, 5), (7, 1, 1, 1)), (0.5, 2.0))):
        shares = torch.tensor(counts, dtype=torch.float64)
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        eye = torch.eye(6, dtype=torch.float64)
        star = -(shares / shares.norm()) @ eye[: len(counts)]
        z = star.repeat(len(labels), 1).requires_grad_()
        # the loss function has half of the distance, as the authors' code, and normalises inside
        term = 2 * weight * prototype_distance(z, labels, eye, distance="euclidean").mean()
        (gradient,) = torch.autograd.grad(term, z)
        x.append(number)
        measured.append(float(gradient.square().sum()))
        predicted.append(euclidean_rank_one_floor(weight, counts) * factor)
    return Experiment(
        title="Euclidean distance: squared gradient at z*.c_k = -n_k/|n|, classes of (6, 4, 2), (5, 5), (7, 1, 1, 1)",
        x_label="case",
        y_label="squared tangent gradient",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-10,
    )


def every_line_has_a_euclidean_gradient(factor: float = 1.0) -> Experiment:
    """T20: the floor at lines near the worst one and far from it, with random signs far away."""
    counts, weight = (6, 4, 2), 2.0
    shares = torch.tensor(counts, dtype=torch.float64)
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
    eye = torch.eye(6, dtype=torch.float64)
    worst = -(shares / shares.norm()) @ eye[:3]
    setting = Setting(0.5, 6, 12)
    measured = []
    for seed, size in product(range(3), (1e-4, 0.1, 10.0)):
        star = worst + size * starts.random_directions(setting, seed=seed)[0]
        signs = torch.from_numpy(np.random.default_rng(seed).choice([-1.0, 1.0], size=(12, 1)))
        z = star / star.norm() * (signs if size > 1 else torch.ones(12, 1).double())
        z = z.clone().requires_grad_()
        term = 2 * weight * prototype_distance(z, labels, eye, distance="euclidean").mean()
        (gradient,) = torch.autograd.grad(term, z)
        measured.append(float(gradient.square().sum()))
    # a floor that is too high shows at the nearest lines, one that is too low at the tight case
    floor = euclidean_rank_one_floor(weight, counts) * max(factor, 2 - factor)
    return Experiment(
        title="Euclidean distance: squared gradient at random lines, close to the worst one and far",
        x_label="line",
        y_label="squared tangent gradient",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=(floor,) * len(measured),
        tolerance=1e-6,
        relation="above",
    )
