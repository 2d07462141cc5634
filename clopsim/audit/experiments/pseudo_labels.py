"""T38: SsCL-style contrast at complete collapse and on the simplex, by confidence, and what calibration adds."""

from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, brackets, growth, modes
from clopsim.bounds import (
    Gradient,
    binding_confidence,
    calibrated_holding_confidence,
    calibration_gain,
    guessed_collapse,
    guessed_view_rate,
    guessed_ways_out,
    holding_confidence,
)
from clopsim.losses.sscl import calibrated, sscl_of_rows

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")


def labels_of(classes: int, per_class: int) -> Tensor:
    """(n,), the first views of all samples, then the second."""
    return (torch.arange(classes * per_class // 2) % classes).repeat(2)


def guessed(y: Tensor, tau: float, confidence: float | Tensor) -> Loss:
    """The loss of the zoo, summed over the anchors, every guess counted."""
    return lambda z: sscl_of_rows(z, y, temperature=tau, confidence=confidence, threshold=0.0, reduction="sum")


def _point(n: int, d: int) -> Tensor:
    z = torch.zeros(n, d, dtype=torch.float64)
    z[:, 0] = 1
    return z


def _simplex(y: Tensor, classes: int) -> Tensor:
    """(n, K + 1), class points; the last axis is across all of them."""
    corners = torch.eye(classes, classes + 1, dtype=torch.float64)
    corners = corners - corners.mean(dim=0)
    return (corners / corners.norm(dim=-1, keepdim=True))[y]


def guesses_at_collapse(factor: float = 1.0) -> Experiment:
    """T38: every eigenvalue at complete collapse, and how many of them fall where some samples have no guess."""
    measured: list[float] = []
    predicted: list[float] = []
    d = 3
    for (K, m, tau), q in product(((3, 4, 0.5), (2, 6, 0.2), (3, 2, 0.5)), (0.0, 0.6, 0.95, 1.0)):
        found = modes(guessed(labels_of(K, m), tau, q), _point(K * m, d))
        level = guessed_collapse(classes=K, per_class=m, temperature=tau, confidence=q)
        numbers = [(0.0, 1), (level.classes, K - 1), (level.apart, K * m // 2)]
        numbers += [] if level.together is None else [(level.together, K * (m // 2 - 1))]
        measured += found.curvatures.tolist()
        predicted += sorted(value * factor for value, count in numbers for _ in range(count * (d - 1)))
    y = torch.tensor([0, 0, 1, 1, -1, -1]).repeat(2)  # two bound classes, two samples without a guess
    found = modes(guessed(y, 0.5, 0.95), _point(12, 5))
    measured.append(float((found.curvatures < -1e-9).sum()))
    predicted.append(factor * guessed_ways_out(confident_classes=2, others=2, dimension=5))
    return Experiment(
        title="(K, m, tau) = (3, 4, 0.5), (2, 6, 0.2), (3, 2, 0.5), q = 0, 0.6, 0.95, 1; the last point: ways out",
        x_label="eigenvalue, case after case",
        y_label="curvature; number of falling directions",
        x=tuple(float(place) for place in range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-8,
        absolute=True,
    )


def confidences_that_bind_and_hold(factor: float = 1.0) -> Experiment:
    """T38: at 0.97 and 1.03 of q* at complete collapse and of q_E on the simplex, do the samples of a class part?

    Where 1.03 q_E is no probability the upper point lies between q_E and 1.
    """
    x, measured = [], []
    for (K, m, tau), simplex in product(((3, 4, 0.5), (2, 6, 0.5), (4, 4, 0.2)), (False, True)):
        y = labels_of(K, m)
        z = _simplex(y, K) if simplex else _point(K * m, K + 1)
        q = (
            holding_confidence(classes=K, per_class=m, temperature=tau)
            if simplex
            else binding_confidence(classes=K, per_class=m)
        ) * factor
        one, other = [row for row in range(K * m // 2) if y[row] == 0][:2]
        direction = torch.zeros_like(z)
        for views in (0, K * m // 2):  # two samples against each other, views alike
            direction[one + views, -1], direction[other + views, -1] = 0.5, -0.5
        for multiple in (0.97, min(1.03, (1 + 1 / q) / 2)):
            loss = guessed(y, tau, min(1.0, multiple * q))
            x.append(multiple)
            measured.append(float(growth(loss, z, direction, rate=0.1 * tau, gradient="tangent", steps=1) > 1))
    return Experiment(
        title="(K, m, tau) = (3, 4, 0.5), (2, 6, 0.5), (4, 4, 0.2): q* at the point, q_E on the simplex",
        x_label="confidence / predicted",
        y_label="parts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0, 0.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def guessed_views_part_at_their_rate(factor: float = 1.0) -> Experiment:
    """T38: the views of a sample at complete collapse, at 0.97 and 1.03 of their rate, both gradients."""
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for (K, m, tau), q, gradient in product(((3, 4, 0.5), (2, 6, 0.2)), (0.6, 0.95), GRADIENTS):
        n = K * m
        z, direction = _point(n, 3), torch.zeros(n, 3, dtype=torch.float64)
        direction[0, 1], direction[n // 2, 1] = 0.5**0.5, -(0.5**0.5)
        rate = guessed_view_rate(classes=K, per_class=m, temperature=tau, confidence=q)
        answers = brackets(
            guessed(labels_of(K, m), tau, q), z, direction,
            curvature=2 / float(rate or "nan"), pull=0.0, gradient=gradient, factor=factor,
        )  # fmt: skip
        for points, more in zip((x, measured, predicted), answers, strict=True):
            points += more
    return Experiment(
        title="(K, m, tau) = (3, 4, 0.5), (2, 6, 0.2), q = 0.6, 0.95: the views of a sample at complete collapse",
        x_label="learning rate / predicted",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def calibration_on_the_way_out(factor: float = 1.0) -> Experiment:
    """T38: log-odds that the cosines add between complete collapse and the simplex, and whether the class then holds.

    Head probability 0.03 below and above what is needed (the last two points): the calibrated confidence, put into the
    loss, parts the samples of a class or not.
    """
    x, measured, predicted = [], [], []
    K, m, tau, tau_s, p = 3, 4, 0.5, 0.4, 0.5
    for cosine in (1.0, 0.6, 0.0, -0.5):
        gram = torch.full((K, K), cosine, dtype=torch.float64) + (1 - cosine) * torch.eye(K, dtype=torch.float64)
        values, vectors = torch.linalg.eigh(gram)
        points = vectors * values.clamp(min=0).sqrt()
        logits = torch.full((K, K), (1 - p) / (K - 1), dtype=torch.float64).fill_diagonal_(p).log()
        guess = calibrated(logits, points, points, temperature=tau_s)
        x.append(cosine)
        measured.append(float(guess.confidence[0].logit()))
        predicted.append(calibration_gain(cosine, temperature=tau_s) * factor)  # log-odds of 0.5 are 0
    y = labels_of(K, m)
    z = _simplex(y, K)
    needed = (
        calibrated_holding_confidence(classes=K, per_class=m, temperature=tau, calibration_temperature=tau_s) * factor
    )
    direction = torch.zeros_like(z)
    for row, sign in ((0, 1), (K, -1), (K * m // 2, 1), (K * m // 2 + K, -1)):
        direction[row, -1] = 0.5 * sign
    means = _simplex(torch.arange(K), K)
    for multiple in (0.97, 1.03):
        head = torch.full((K * m, K), (1 - multiple * needed) / (K - 1), dtype=torch.float64)
        head = head.scatter(1, y[:, None], multiple * needed).log()
        guess = calibrated(head, z, means, temperature=tau_s)
        loss = guessed(guess.label, tau, guess.confidence)
        x.append(multiple)
        measured.append(float(growth(loss, z, direction, rate=0.1 * tau, gradient="tangent", steps=1) > 1))
        predicted.append(float(multiple < 1))
    return Experiment(
        title="K = 3, tau_s = 0.4: log-odds by the cosine of class means; then a head at 0.97 and 1.03 of what holds",
        x_label="cosine between classes; multiple of the head's probability",
        y_label="log-odds; parts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
        absolute=True,
    )
