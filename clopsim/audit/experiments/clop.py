"""T6 to T9: what orthonormal prototypes change."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, exact_rate
from clopsim.bounds.critical_weight import critical_weight, spread_curvature
from clopsim.bounds.equilibrium import class_equilibrium
from clopsim.bounds.rank_one_floor import rank_one_gradient_floor
from clopsim.bounds.rescue import gradient_bound, leading_share_bound, rescue_angle
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import contrastive_loss, gradient

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
    """T7: angle to the prototype after one step from the worst state, where the bound is attained.

    All other embeddings sit opposite to the labelled one, whose angle to its prototype is the least favourable.
    """
    setting = Setting(TAU, 8, 32)
    near, far = np.exp(-1 / TAU), np.exp(1 / TAU)
    column_sum = 31 * near / (near + 30 * far)
    x: list[float] = []
    measured, predicted = [], []
    for multiple, excess in product((0.5, 3.0, 10.0), (1.1, 1.5, 3.0)):
        rate = multiple * float(exact_rate(setting))
        length = 1 + rate * gradient_bound(column_sum, setting)  # of z - mu g
        weight = excess * length / rate
        c, across = torch.linalg.qr(starts.random_directions(setting, seed=len(x))[:2].T).Q.T
        cosine = -length / (rate * weight)  # then the step ends perpendicular to z
        z = cosine * c + (1 - cosine**2) ** 0.5 * across
        rows = torch.zeros(32, 8, dtype=torch.float64)
        rows[0] = weight * c
        after = step(torch.cat([z[None], -z.repeat(31, 1)]), rate, TAU, setting, prototypes=rows)
        x.append(multiple)
        measured.append(float(torch.arccos(after[0] @ c)))
        predicted.append(rescue_angle(weight, rate, column_sum=column_sum, setting=setting) * factor)
    return Experiment(
        title="angle to the prototype after one step from the worst state, random directions",
        x_label="learning rate / mu_c",
        y_label="angle (radians)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
        note="at each rate weights of 1.1, 1.5 and 3 times the smallest one that the theorem allows",
    )


def leading_share_within_an_angle(factor: float = 1.0) -> Experiment:
    """T7: largest share of the energy on one direction, every sample turned by theta towards the sum of prototypes."""
    x, measured, predicted = [], [], []
    for classes, angle in product((2, 4, 8), (0.0, 0.2, 0.5)):
        eye = torch.eye(classes, 8, dtype=torch.float64)
        across = eye.sum(dim=0) - eye
        z = np.cos(angle) * eye + np.sin(angle) * across / across.norm(dim=1, keepdim=True)
        x.append(angle)
        measured.append(float(geometry.leading_share(z)))
        predicted.append(leading_share_bound(angle, classes) * factor)
    return Experiment(
        title="leading share of samples within an angle of their prototypes, the worst case, K = 2, 4, 8",
        x_label="angle (radians)",
        y_label="leading share",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
    )


MULTIPLES = (0.5, 1.5, 3.0, 10.0)
"""Learning rates in units of mu_c at which runs with and without prototypes are compared."""


def _runs(setting: Setting, *, weight: float) -> Tensor:
    """(multiples * seeds, n, d): 500 steps from random points at each of MULTIPLES, three seeds."""
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(3)]).repeat(len(MULTIPLES), 1, 1)
    rates = float(exact_rate(setting)) * torch.tensor(MULTIPLES).double().repeat_interleave(3)
    rows = prototype_rows(setting, classes=4, weight=weight)
    for _ in range(500):
        z = step(z, rates, TAU, setting, prototypes=rows)
    return z


def rank_at_every_rate(factor: float = 1.0) -> Experiment:
    """T7, T8: effective rank with prototypes (weight 8) from 0.5 to 10 mu_c against the rank of the equilibrium."""
    equilibrium = class_equilibrium(8.0, classes=4, per_class=8, temperature=TAU, dimension=8)
    ranks = geometry.effective_rank(_runs(Setting(TAU, 8, 32), weight=8.0))
    return Experiment(
        title="merged ambient runs with prototypes, random starts: effective rank of T8's equilibrium",
        x_label="learning rate / mu_c (three seeds each)",
        y_label="effective rank",
        x=tuple(multiple for multiple in MULTIPLES for _ in range(3)),
        measured=tuple(ranks.tolist()),
        predicted=(equilibrium.effective_rank * factor,) * len(ranks),
        tolerance=1e-6,
    )


def rank_without_prototypes(factor: float = 1.0) -> Experiment:
    """The same runs without prototypes: rank 8, then 1 above mu_c."""
    ranks = geometry.effective_rank(_runs(Setting(TAU, 8, 32), weight=0.0))
    return Experiment(
        title="the same runs without prototypes collapse above mu_c",
        x_label="learning rate / mu_c (three seeds each)",
        y_label="effective rank",
        x=tuple(multiple for multiple in MULTIPLES for _ in range(3)),
        measured=tuple(ranks.tolist()),
        predicted=tuple(rank * factor for rank in (8.0, 1.0, 1.0, 1.0) for _ in range(3)),
        tolerance=0.01,
    )


WEIGHTS = (4.0, 8.0, 16.0, 64.0)


def _equilibria(setting: Setting) -> list[Tensor]:
    """One batch (seeds, n, d) for each of WEIGHTS: descent from near the prototypes, four classes."""
    noise = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)])
    ends = []
    for weight in WEIGHTS:
        rows = prototype_rows(setting, classes=4, weight=weight)
        z = rows / weight + 0.3 * noise
        z = z / z.norm(dim=-1, keepdim=True)
        for _ in range(1500):
            z = step(z, 0.5 / (weight + 8), TAU, setting, prototypes=rows)
        ends.append(z)
    return ends


def between_simplex_and_frame(factor: float = 1.0) -> Experiment:
    """T8: cosine between classes at equilibrium against the closed form, over all pairs of samples of two classes."""
    setting = Setting(TAU, 8, 32, gradient="tangent")
    label = torch.arange(32) // 8
    pairs = label[:, None] != label
    measured, predicted = [], []
    for weight, z in zip(WEIGHTS, _equilibria(setting), strict=True):
        s = class_equilibrium(weight, classes=4, per_class=8, temperature=TAU, dimension=8).cosine
        for cosines in z @ z.mT:
            measured += [float(cosines[pairs].min()), float(cosines[pairs].max())]
            predicted += [s * factor] * 2
    return Experiment(
        title="cosine between classes, smallest and largest, K = 4, m = 8, d = 8",
        x_label="prototype weight (two seeds each)",
        y_label="cosine between classes",
        x=tuple(weight for weight in WEIGHTS for _ in range(4)),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def rank_between_simplex_and_frame(factor: float = 1.0) -> Experiment:
    """T8: rank above the simplex ETF's K - 1 = 3, in the excess that the closed form predicts."""
    setting = Setting(TAU, 8, 32, gradient="tangent")
    measured, predicted = [], []
    for weight, z in zip(WEIGHTS, _equilibria(setting), strict=True):
        rank = class_equilibrium(weight, classes=4, per_class=8, temperature=TAU, dimension=8).effective_rank
        measured += (geometry.effective_rank(z) - 3).tolist()
        predicted += [(rank - 3) * factor] * len(z)
    return Experiment(
        title="effective rank less K - 1, K = 4: from the simplex ETF (0) to the orthonormal frame (1)",
        x_label="prototype weight (two seeds each)",
        y_label="effective rank - (K - 1)",
        x=tuple(weight for weight in WEIGHTS for _ in range(2)),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def curvature_inside_a_class(factor: float = 1.0) -> Experiment:
    """T9: lowest eigenvalue of the Hessian for two samples of a class that move oppositely, by autograd, d > K and = K.

    Measured on the loss of the simulator at T8's state, on both sides of the critical weight.
    """
    x, measured, predicted = [], [], []
    for classes, per_class, d, tau in ((4, 8, 8, 0.5), (5, 4, 9, 1.0), (4, 3, 4, 0.5)):
        shape = {"classes": classes, "per_class": per_class, "temperature": tau, "dimension": d}
        setting = Setting(tau, d, classes * per_class)
        for multiple in (0.5, 0.9, 1.1, 2.0):
            weight = multiple * critical_weight(**shape)  # type: ignore[arg-type]
            angle = class_equilibrium(weight, allow_unstable=True, **shape).angle  # type: ignore[arg-type]
            rows = prototype_rows(setting, classes=classes, weight=weight)
            axes = rows / weight
            others = torch.eye(d, dtype=torch.float64)[:classes].sum(dim=0) - axes
            state = np.cos(angle) * axes - np.sin(angle) / (classes - 1) ** 0.5 * others
            x.append(multiple)
            measured.append(_lowest_curvature(state, rows, setting))
            predicted.append(spread_curvature(angle, **shape) * factor)  # type: ignore[arg-type]
    return Experiment(
        title="Hessian of the CLOP loss inside a class, (K, m, d, tau) = (4, 8, 8, 0.5), (5, 4, 9, 1), (4, 3, 4, 0.5)",
        x_label="weight / critical weight",
        y_label="lowest eigenvalue",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-8,
        note="negative below the critical weight: the class spreads",
    )


def _lowest_curvature(state: Tensor, rows: Tensor, setting: Setting) -> float:
    """Lowest eigenvalue of the Hessian per squared length where samples 0 and 1, of one class, move oppositely."""
    tangent = torch.linalg.svd(state[:1]).Vh[1:]  # (d - 1, d)

    def loss(shift: Tensor) -> Tensor:
        move = shift @ tangent
        z = state + torch.cat([move[None], -move[None], torch.zeros_like(state[2:])])
        z = z / z.norm(dim=1, keepdim=True)
        return contrastive_loss(z, float(setting.tau), setting) - (z * rows).sum()

    still = torch.zeros(len(tangent), dtype=state.dtype)
    hessian = torch.autograd.functional.hessian(loss, still)  # type: ignore[no-untyped-call]
    return float(torch.linalg.eigvalsh(hessian)[0]) / 2


def spread_below_the_critical_weight(factor: float = 1.0) -> Experiment:
    """T9: internal spread of the classes just below and just above the critical weight."""
    x, measured = [], []
    for classes, per_class, d, tau in ((4, 8, 8, 0.5), (5, 4, 9, 1.0)):
        setting = Setting(tau, d, classes * per_class, gradient="tangent")
        critical = critical_weight(classes=classes, per_class=per_class, temperature=tau, dimension=d) * factor
        noise = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)])
        for multiple in (0.97, 1.03):
            weight = multiple * critical
            rows = prototype_rows(setting, classes=classes, weight=weight)
            z = rows / weight + 0.02 * noise
            z = z / z.norm(dim=-1, keepdim=True)
            for _ in range(3000):
                z = step(z, 0.5 / (weight + 4 / tau), tau, setting, prototypes=rows)
            groups = z.view(len(z), classes, per_class, d)
            spread = (groups - groups.mean(dim=2, keepdim=True)).norm(dim=-1).amax(dim=(1, 2))
            x += [multiple] * len(z)
            measured += (spread > 0.01).double().tolist()
    return Experiment(
        title="classes spread inside below the critical weight and fall onto one point above, two settings",
        x_label="weight / predicted (two seeds each)",
        y_label="spread (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0, 1.0, 0.0, 0.0) * 2,
        tolerance=0.0,
        absolute=True,
    )
