"""T33, P24: the unhinged loss on free embeddings: its limit, its swaps, and the step condition of its theorem."""

import math
from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, modes, step
from clopsim.bounds import learned_direction_curvatures, unhinged_floor, unhinged_pull, unhinged_rate, unhinged_swap
from clopsim.bounds.unhinged import Directions
from clopsim.losses import OrthonormalPrototypes
from clopsim.losses.unhinged import unhinged_of_rows

SETTINGS: tuple[tuple[int, int, int, float, Directions, float], ...] = (
    (4, 4, 8, 0.0, "orthonormal", 0.0),
    (4, 4, 8, 1 / 3, "simplex", 0.0),
    (3, 5, 3, 0.1, "orthonormal", 0.0),
    (4, 4, 8, 1 / 3, "simplex", 1.0),
)
"""Classes, rows of each, dimension, gamma, directions and the weight of prototypes in the same frame."""


def _setting(
    K: int, m: int, d: int, gamma: float, directions: Directions, weight: float
) -> tuple[Loss, Tensor, Tensor, float]:
    """The loss, the targets q_y/|q| (n, d) of the rows, random rows, and the tangent limit."""
    c = OrthonormalPrototypes(K, d, dtype=torch.float64).vectors
    w = c
    if directions == "simplex":
        w = c - c.mean(dim=0)
        w = w / w.norm(dim=-1, keepdim=True)
    labels = torch.arange(K * m) // m

    def loss(z: Tensor) -> Tensor:
        return unhinged_of_rows(z, labels, directions=w, gamma=gamma) - weight * (z * c[labels]).sum(-1).mean()

    q = (1 + gamma) * w - gamma * w.sum(dim=0) + weight * c
    z = torch.randn(K * m, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = unhinged_pull(K, gamma=gamma, directions=directions, weight=weight)
    targets = (q / q.norm(dim=-1, keepdim=True))[labels]
    return loss, targets, z / z.norm(dim=-1, keepdim=True), unhinged_rate(found.length, samples=K * m)


def prototype_limit(factor: float = 1.0) -> Experiment:
    """T33: runs from random rows at 0.97 and 1.03 of 2n/|q|, and ambient ones far above: do they reach q/|q|?"""
    x, measured, predicted = [], [], []
    for setting in SETTINGS:
        loss, targets, start, rate = _setting(*setting)
        for multiple, gradient in ((0.97, "tangent"), (1.03, "tangent"), (30.0, "ambient")):
            z = start
            for _ in range(300):
                z = step(loss, z, multiple * rate * factor, gradient)  # type: ignore[arg-type]
            x.append(multiple)
            measured.append(float(float((z * targets).sum(dim=-1).min()) > 1 - 1e-6))
            predicted.append(float(multiple != 1.03))
    return Experiment(
        title="unhinged loss, from random rows: every row at its class's point after 300 steps; 30 is ambient",
        x_label="learning rate / (2n/|q|)",
        y_label="arrived (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def swaps(factor: float = 1.0) -> Experiment:
    """T33: above the limit tangent runs settle on a swap; the cosine of every row to its class's point."""
    x, measured, predicted = [], [], []
    for setting, multiple in product(SETTINGS, (1.3, 2.0, 5.0)):
        loss, targets, z, rate = _setting(*setting)
        for _ in range(300):
            z = step(loss, z, multiple * rate, "tangent")
        cosines = (z * targets).sum(dim=-1)
        for end in (cosines.min(), cosines.max()):
            x.append(multiple)
            measured.append(float(end))
            predicted.append(unhinged_swap(2 * multiple)[0] * factor)
    return Experiment(
        title="unhinged loss, tangent steps above the limit: cosine of rows to their class's point, the extremes",
        x_label="learning rate / (2n/|q|)",
        y_label="cosine",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="the rows change sides in each step, at up to 45 degrees",
    )


def no_line_is_stationary(factor: float = 1.0) -> Experiment:
    """T33: rows at +-v, v the top eigenvector of the q_k: the smallest squared tangent gradient of all lines."""
    x, measured, predicted = [], [], []
    for K, m, d, gamma, directions, _ in SETTINGS[:3]:
        loss, targets, _, _ = _setting(K, m, d, gamma, directions, 0.0)
        length = unhinged_pull(K, gamma=gamma, directions=directions).length
        axis = torch.linalg.svd(targets)[2][0]
        signs = torch.randn(K * m, generator=torch.Generator().manual_seed(1), dtype=torch.float64).sign()
        z = (signs[:, None] * axis).requires_grad_()
        (g,) = torch.autograd.grad(loss(z), z)
        tangent = g - (g * z).sum(dim=-1, keepdim=True) * z
        x.append(length)
        measured.append(float(tangent.detach().square().sum()))
        predicted.append(unhinged_floor(K, samples=K * m, gamma=gamma, directions=directions) * factor)
    return Experiment(
        title="unhinged loss, rows at both ends of the line with the smallest force",
        x_label="|q|",
        y_label="squared norm of the tangent gradient",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-10,
        note="T1 fails: no line is stationary for three classes or more",
    )


def step_condition_of_the_theorem(factor: float = 1.0) -> Experiment:
    """P24: the step condition x <= 1 and beyond, on the sphere: rate of the decay, and where it ends.

    From 1e-3 beside the point: the decay of the angle in a step is |1 - x|, and 1 < x < 2 converges as well.
    """
    xs = (0.3, 0.9, 1.1, 1.5, 1.97, 2.03)
    x, measured, predicted = [], [], []
    for setting, multiple in product(SETTINGS[:2], xs):
        loss, targets, _, rate = _setting(*setting)
        aside = torch.randn(targets.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        aside = aside - (aside * targets).sum(dim=-1, keepdim=True) * targets
        z = targets + 1e-4 * aside
        z = z / z.norm(dim=-1, keepdim=True)
        before = z - (z * targets).sum(dim=-1, keepdim=True) * targets
        z = step(loss, z, multiple / 2 * rate, "tangent")
        after = z - (z * targets).sum(dim=-1, keepdim=True) * targets
        x.append(multiple)
        measured.append(float((after * before).sum() / before.square().sum()))
        predicted.append((1 - multiple) * factor)
    return Experiment(
        title="unhinged loss, one tangent step beside the class points",
        x_label="x = mu |q|/n; the theorem asks for x <= 1",
        y_label="factor of the angle",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="exponential, |1 - x| a step; x <= 1 is the half without overshoot, the limit is x = 2",
    )


def free_norm_converges(factor: float = 1.0) -> Experiment:
    """P24: the theorem's own setting, unnormalised h whose norm grows: from any angle but the opposite, at any rate."""
    starts, angles = zip(*product((0.5, 1.0, 5.0, 50.0), (0.3, 2.0, 3.1, math.pi)), strict=True)
    angle, rate = torch.tensor(angles, dtype=torch.float64), torch.tensor(starts, dtype=torch.float64)
    q = torch.tensor([1.0, 0.0], dtype=torch.float64)
    h = torch.stack([angle.cos(), torch.where(angle == math.pi, 0.0, angle.sin())], dim=-1)
    for _ in range(6000):
        length = h.norm(dim=-1, keepdim=True)
        z = h / length
        h = h + rate[:, None] / length * (q - z[:, :1] * z)
    arrived = h[:, 0] / h.norm(dim=-1) > 1 - 1e-4
    x, measured = starts, arrived.double().tolist()
    predicted = [float(each != math.pi) * factor for each in angles]
    return Experiment(
        title="unhinged loss, one row with a free norm, 1 at the start; angles 0.3, 2, 3.1 and opposite",
        x_label="x at the start",
        y_label="at its class's point (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
        note="the norm grows by 1 + (x sin theta)^2 in a step and lowers the rate, so that no start is too large",
    )


def multipliers_at_learned_directions(factor: float = 1.0) -> Experiment:
    """T33: rows and learned unit directions all at one point: the extreme curvatures of the Hessian."""
    x, measured, predicted = [], [], []
    K, m, d = 4, 3, 4
    labels = torch.arange(K * m) // m
    for gamma in (0.0, 1 / 3, 0.9, 1.1):

        def joint(both: Tensor, gamma: float = gamma) -> Tensor:
            return unhinged_of_rows(both[K:], labels, directions=both[:K], gamma=gamma)

        point = torch.zeros(K + K * m, d, dtype=torch.float64)
        point[:, 0] = 1
        found = modes(joint, point).curvatures
        levels = learned_direction_curvatures(K, samples=K * m, gamma=gamma)
        for value in (levels.low, levels.high):
            x.append(gamma)
            measured.append(float((found - value * factor).abs().min()))
            predicted.append(0.0)
    return Experiment(
        title="unhinged loss with learned directions, at one point: distance of the Hessian to the predicted levels",
        x_label="gamma",
        y_label="distance",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-10,
        absolute=True,
        note="a saddle below gamma = 2/(K-2) = 1, the paper's own condition",
    )
