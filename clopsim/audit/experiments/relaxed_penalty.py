"""T37: FedRCL's dense loss at complete collapse, on the balanced line, and where its classes settle."""

from itertools import product
from typing import Any

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, growth, modes, step
from clopsim.bounds import (
    Gradient,
    class_point_penalty,
    critical_penalty,
    relaxed_classes,
    relaxed_collapse,
    relaxed_collapse_rate,
    relaxed_line,
    relaxed_line_rate,
    two_level_simplex,
)
from clopsim.losses.fedrcl import fedrcl_of_rows


def labels_of(sizes: tuple[int, ...]) -> Tensor:
    """(n,), class after class, views adjacent; the loss does not look at views."""
    return torch.cat([torch.full((size,), k) for k, size in enumerate(sizes)])


def dense(sizes: tuple[int, ...], tau: float, beta: float, *, threshold: float = -1.0) -> Loss:
    """The loss of the zoo, summed over the anchors, on rows class after class."""
    y = labels_of(sizes)
    return lambda z: fedrcl_of_rows(
        z, y, temperature=tau, form="dense", beta=beta, threshold=threshold, reduction="sum", views=1
    )


def at_ends(sizes: tuple[int, ...], dimension: int, *, line: bool) -> Tensor:
    """(n, d): all at one point, or every other embedding at the opposite one."""
    z = torch.zeros(sum(sizes), dimension, dtype=torch.float64)
    z[:, 0] = 1
    if line:
        z[1::2, 0] = -1
    return z


def penalised_point_and_line(factor: float = 1.0) -> Experiment:
    """T37: every eigenvalue of the Hessian and the pulls, at complete collapse and on the line; any class sizes."""
    measured: list[float] = []
    predicted: list[float] = []
    d = 3
    for (K, m, tau), beta in product(((3, 4, 0.5), (2, 2, 0.3), (1, 6, 0.5)), (0.2, 1.0)):
        given: dict[str, Any] = {"classes": K, "per_class": m, "temperature": tau, "penalty": beta}
        point = relaxed_collapse(**given)
        numbers = [(point.within, K * (m - 1)), (0.0, 1)]
        numbers += [] if point.between is None else [(point.between, K - 1)]
        states = [(False, point.pull, numbers)]
        if K > 1:
            line = relaxed_line(**given)
            numbers = [(0.0, 1), (line.ends, 1), (line.classes, K - 1), (line.class_ends, K - 1)]
            numbers += [] if line.within is None else [(line.within, K * (m - 2))]
            states.append((True, line.pull, numbers))
        for on_line, pull, numbers in states:
            found = modes(dense((m,) * K, tau, beta), at_ends((m,) * K, d, line=on_line))
            levels = sorted(level for level, count in numbers for _ in range(count * (d - 1)))
            measured += [*found.curvatures.tolist(), float(found.pulls.mean())]
            predicted += [value * factor for value in (*levels, pull)]
    sizes = (2, 4, 6)
    found = modes(dense(sizes, 0.5, 0.3), at_ends(sizes, d, line=False))
    for start, size, one in zip((0, 2, 6), sizes, relaxed_classes(sizes, temperature=0.5, penalty=0.3), strict=True):
        nearest = float(
            (found.curvatures - one.within * factor).abs().topk((size - 1) * (d - 1), largest=False).values[-1]
        )
        measured += [float(found.pulls[start]), nearest]
        predicted += [one.pull * factor, 0.0]
    return Experiment(
        title="(K, m, tau) = (3, 4, 0.5), (2, 2, 0.3), (1, 6, 0.5), beta = 0.2, 1: spectra at the point and the line",
        x_label="eigenvalue, state after state",
        y_label="curvature",
        x=tuple(float(place) for place in range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-8,
        absolute=True,
    )


def _distance(z: Tensor, state: Tensor) -> float:
    """Largest difference of a cosine."""
    return float((z @ z.mT - state @ state.mT).abs().max())


def penalised_point_and_line_attract(factor: float = 1.0) -> Experiment:
    """T37: from 1e-3 beside complete collapse and beside the line, ambient runs leave at 0.97 and are drawn at 1.03."""
    x, measured = [], []
    for (K, m, tau, beta), line in product(((3, 4, 0.5, 1.0), (3, 4, 0.5, 2.0), (4, 4, 0.2, 1.0)), (False, True)):
        given: dict[str, Any] = {"classes": K, "per_class": m, "temperature": tau, "penalty": beta}
        rate = (relaxed_line_rate if line else relaxed_collapse_rate)(**given)
        loss, state = dense((m,) * K, tau, beta), at_ends((m,) * K, 4, line=line)
        noise = torch.randn(state.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        for multiple in (0.97, 1.03):
            z = state + 1e-3 * noise
            z = z / z.norm(dim=-1, keepdim=True)
            start = _distance(z, state)
            for _ in range(150):
                z = step(loss, z, multiple * factor * float(rate or "nan"), "ambient")
            x.append(multiple)
            measured.append(float(_distance(z, state) < start))
    return Experiment(
        title="(K, m, tau, beta) = (3, 4, 0.5, 1), (3, 4, 0.5, 2), (4, 4, 0.2, 1): the point, then the line",
        x_label="learning rate / predicted",
        y_label="attracts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def penalties_that_part_a_class(factor: float = 1.0) -> Experiment:
    """T37: a small step parts a class or not: 0.97 and 1.03 of beta* at complete collapse, of beta_E on the simplex."""
    x, measured = [], []
    gradient: Gradient = "tangent"
    for (K, m, tau), simplex in product(((3, 4, 0.5), (4, 4, 0.2), (2, 6, 0.4)), (False, True)):
        if simplex:
            beta = class_point_penalty(classes=K, per_class=m, temperature=tau)
            corners = torch.eye(K, K + 1, dtype=torch.float64) - torch.eye(K, K + 1, dtype=torch.float64).mean(dim=0)
            z = (corners / corners.norm(dim=-1, keepdim=True)).repeat_interleave(m, dim=0)
        else:
            beta = critical_penalty(classes=K, per_class=m)
            z = at_ends((m,) * K, K + 1, line=False)
        direction = torch.zeros_like(z)
        direction[0, -1], direction[1, -1] = 1, -1  # across the classes
        for multiple in (0.97, 1.03):
            loss = dense((m,) * K, tau, multiple * beta * factor)
            factor_of_step = growth(loss, z, direction / 2**0.5, rate=0.1 * tau, gradient=gradient, steps=1)
            x.append(multiple)
            measured.append(float(factor_of_step > 1))
    return Experiment(
        title="(K, m, tau) = (3, 4, 0.5), (4, 4, 0.2), (2, 6, 0.4): beta* at the point, beta_E on the simplex",
        x_label="penalty / predicted",
        y_label="parts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def classes_settle_on_two_levels(factor: float = 1.0) -> Experiment:
    """T37: descent from random starts in d = n ends on the two-level simplex, class points below beta_E among them."""
    x, measured, predicted = [], [], []
    for K, m, tau, beta in ((3, 4, 0.5, 0.3), (3, 4, 0.5, 1.0), (2, 4, 0.5, 1.0), (3, 4, 0.5, 5.0), (3, 2, 0.5, 30.0)):
        n, y = K * m, labels_of((m,) * K)
        z = torch.randn(n, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        z = z / z.norm(dim=-1, keepdim=True)
        loss = dense((m,) * K, tau, beta)
        for _ in range(400):
            z = step(loss, z, 0.5 * tau / max(1.0, beta), "tangent")
        cosines = z @ z.mT
        mates = (y[:, None] == y) & ~torch.eye(n, dtype=torch.bool)
        expected = two_level_simplex(classes=K, per_class=m, temperature=tau, penalty=beta)
        for found, value in zip((cosines[mates], cosines[y[:, None] != y]), expected, strict=True):
            x += [beta, beta]
            measured += [float(found.min()), float(found.max())]
            predicted += [value * factor, value * factor]
    return Experiment(
        title="(K, m, beta) = (3, 4, 0.3), (3, 4, 1), (2, 4, 1), (3, 4, 5), (3, 2, 30), tau = 0.5: cosines inside"
        " a class and between",
        x_label="penalty beta",
        y_label="smallest and largest cosine",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
        absolute=True,
    )
