"""T6 to T9: what orthonormal prototypes change."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from bounds import Setting, exact_rate
from bounds.critical_weight import critical_weight
from bounds.equilibrium import class_equilibrium
from bounds.rank_one_floor import rank_one_gradient_floor
from bounds.rescue import rescue_angle
from clopsim import metrics, starts
from clopsim.dynamics import run, step
from clopsim.experiments.experiment import Experiment
from clopsim.losses import gradient

TAU = 0.5


def prototype_rows(setting: Setting, *, classes: int, weight: float) -> Tensor:
    """weight * c_y(i) for n balanced labelled samples, (n, d); the prototypes are the first axes."""
    eye = torch.eye(setting.dimension, dtype=torch.float64)[:classes]
    return weight * eye.repeat_interleave(setting.samples // classes, dim=0)


def no_rank_one_state_survives(factor: float = 1.0) -> Experiment:
    """T6: squared tangent gradient at the two equality states, and at random lines where it may only be larger."""
    setting = Setting(TAU, 6, 12, gradient="tangent")
    weight, counts = 2.0, (6, 4, 2)
    eye = torch.eye(6, dtype=torch.float64)
    rows = weight / 12 * torch.cat([eye[[k]].repeat(count, 1) for k, count in enumerate(counts)])
    floor = rank_one_gradient_floor(weight, counts)
    states = [eye[0], -eye[0]]
    measured = [float(gradient(z.repeat(12, 1), TAU, setting, prototypes=rows).square().sum()) for z in states]
    return Experiment(
        title="squared gradient of the CLOP loss at z* = +-c_1, the largest class: the floor is attained",
        x_label="sign",
        y_label="squared tangent gradient",
        x=(1.0, -1.0),
        measured=tuple(measured),
        predicted=(floor * factor,) * 2,
        tolerance=1e-10,
    )


def every_line_has_a_gradient(factor: float = 1.0) -> Experiment:
    """T6: the floor at random lines near the largest class's prototype; nothing lies below it."""
    setting = Setting(TAU, 6, 12, gradient="tangent")
    weight, counts = 2.0, (6, 4, 2)
    eye = torch.eye(6, dtype=torch.float64)
    rows = weight / 12 * torch.cat([eye[[k]].repeat(count, 1) for k, count in enumerate(counts)])
    measured = []
    for seed, size in product(range(3), (1e-4, 0.1, 10.0)):
        signs = torch.from_numpy(np.random.default_rng(seed).choice([-1.0, 1.0], size=(12, 1)))
        z = eye[0] + size * starts.random_directions(setting, seed=seed)[0]
        z = signs * (z / z.norm())
        measured.append(float(gradient(z, TAU, setting, prototypes=rows).square().sum()))
    # a floor that is too high shows at the lines closest to the prototype, one that is too low at the tight case
    floor = rank_one_gradient_floor(weight, counts) * max(factor, 2 - factor)
    return Experiment(
        title="squared gradient at random lines, close to c_1 and far",
        x_label="line",
        y_label="squared tangent gradient",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=(floor,) * len(measured),
        tolerance=1e-6,
        relation="above",
    )


def rescue_in_one_step(factor: float = 1.0) -> Experiment:
    """T7: angle to the prototype after one step from complete collapse at the worst place, and at random."""
    setting = Setting(TAU, 8, 32)
    weight = 12.0
    rows = prototype_rows(setting, classes=4, weight=weight)
    x, measured, predicted = [], [], []
    for multiple in (1.5, 3.0, 10.0):
        rate = multiple * float(exact_rate(setting))
        bound = rescue_angle(weight, rate, column_sum=1.0, setting=setting)
        # from a collapsed point z* the step is a c - b z*; its angle to c is largest where it is orthogonal to z*
        a, b = rate * weight, 2 * rate / TAU - 1
        worst = torch.zeros(8, dtype=torch.float64)
        worst[0], worst[7] = b / a, (1 - (b / a) ** 2) ** 0.5
        z = worst.repeat(32, 1)
        after = step(z, rate, TAU, setting, prototypes=rows)
        x.append(multiple)
        measured.append(float(torch.arccos((after * rows / weight).sum(dim=1).clamp(-1, 1)).max()))
        predicted.append(bound * min(factor, 2 - factor))
    return Experiment(
        title="largest angle to the prototype after one step from complete collapse",
        x_label="learning rate / mu_c",
        y_label="angle (radians)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        relation="below",
    )


def rank_at_every_rate(factor: float = 1.0) -> Experiment:
    """T7, T8: effective rank with prototypes (weight 8) from 0.5 to 10 mu_c against the rank of the equilibrium."""
    setting = Setting(TAU, 8, 32)
    multiples = (0.5, 1.5, 3.0, 10.0)
    rates = torch.tensor([multiple * float(exact_rate(setting)) for multiple in multiples]).double()
    z = starts.random_directions(setting, seed=0).repeat(len(multiples), 1, 1)
    rows = prototype_rows(setting, classes=4, weight=8.0)
    for _ in range(500):
        z = step(z, rates, TAU, setting, prototypes=rows)
    equilibrium = class_equilibrium(8.0, classes=4, per_class=8, temperature=TAU, dimension=8)
    return Experiment(
        title="merged ambient runs with prototypes keep their rank where runs without collapse",
        x_label="learning rate / mu_c",
        y_label="effective rank",
        x=multiples,
        measured=tuple(metrics.effective_rank(z).tolist()),
        predicted=(equilibrium.effective_rank * factor,) * len(multiples),
        tolerance=0.02,
        note="the ambient equilibrium differs a little from T8's, which is for the tangent gradient",
    )


def rank_without_prototypes(factor: float = 1.0) -> Experiment:
    """The same runs without prototypes: rank 8, then 1 above mu_c."""
    setting = Setting(TAU, 8, 32)
    multiples = (0.5, 1.5, 3.0, 10.0)
    rates = torch.tensor([multiple * float(exact_rate(setting)) for multiple in multiples]).double()
    z = starts.random_directions(setting, seed=0).repeat(len(multiples), 1, 1)
    final = run(z, rates, torch.full_like(rates, TAU), setting=setting, steps=(500,)).final
    return Experiment(
        title="the same runs without prototypes collapse above mu_c",
        x_label="learning rate / mu_c",
        y_label="effective rank",
        x=multiples,
        measured=tuple(metrics.effective_rank(final).tolist()),
        predicted=tuple(rank * factor for rank in (8.0, 1.0, 1.0, 1.0)),
        tolerance=0.01,
    )


def between_simplex_and_frame(factor: float = 1.0) -> Experiment:
    """T8: cosine between classes at equilibrium against the closed form."""
    setting = Setting(TAU, 8, 32, gradient="tangent")
    weights = (4.0, 8.0, 16.0, 64.0)
    measured, predicted = [], []
    for weight in weights:
        rows = prototype_rows(setting, classes=4, weight=weight)
        z = rows / weight + 0.1 * starts.random_directions(setting, seed=1)
        z = z / z.norm(dim=1, keepdim=True)
        for _ in range(1500):
            z = step(z, 0.5 / (weight + 8), TAU, setting, prototypes=rows)
        means = z.view(4, 8, 8).mean(dim=1)
        cosines = (means @ means.T)[~torch.eye(4, dtype=torch.bool)]
        measured.append(float(cosines.mean()))
        predicted.append(
            class_equilibrium(weight, classes=4, per_class=8, temperature=TAU, dimension=8).cosine * factor
        )
    return Experiment(
        title="cosine between classes, K = 4, m = 8, d = 8",
        x_label="prototype weight",
        y_label="cosine between classes",
        x=weights,
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=2e-3,
    )


def spread_below_the_critical_weight(factor: float = 1.0) -> Experiment:
    """T9: internal spread of the classes just below and just above the critical weight."""
    x, measured = [], []
    for classes, per_class, d, tau in ((4, 8, 8, 0.5), (5, 4, 9, 1.0)):
        setting = Setting(tau, d, classes * per_class, gradient="tangent")
        critical = critical_weight(classes=classes, per_class=per_class, temperature=tau, dimension=d) * factor
        for multiple in (0.97, 1.03):
            weight = multiple * critical
            rows = prototype_rows(setting, classes=classes, weight=weight)
            z = rows / weight + 0.02 * starts.random_directions(setting, seed=2)
            z = z / z.norm(dim=1, keepdim=True)
            for _ in range(3000):
                z = step(z, 0.5 / (weight + 4 / tau), tau, setting, prototypes=rows)
            groups = z.view(classes, per_class, d)
            spread = float((groups - groups.mean(dim=1, keepdim=True)).norm(dim=-1).max())
            x.append(multiple)
            measured.append(float(spread > 0.01))
    return Experiment(
        title="classes spread inside below the critical weight and fall onto one point above, two settings",
        x_label="weight / predicted",
        y_label="spread (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0, 0.0) * 2,
        tolerance=0.0,
        absolute=True,
    )
