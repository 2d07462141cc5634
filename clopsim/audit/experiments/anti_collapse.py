"""T32, P23: the coding rate of Anti-Collapse on free embeddings: collapse, tight frames, the rank with prototypes."""

from functools import partial
from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, brackets, growth, modes, step
from clopsim.bounds import Gradient, coding_classes, coding_collapse, coding_optimum, coding_weight, multiplier
from clopsim.losses.anti_collapse import anti_collapse_of_rows
from clopsim.metrics import geometry

GRADIENTS: tuple[Gradient, ...] = ("tangent", "ambient")
SETTINGS = ((9, 4, 0.5, 1.0), (6, 5, 1.0, 1.0), (4, 6, 0.5, 1.0), (8, 4, 0.2, 0.3))
"""Rows, dimension, eps and gamma; rows fewer than d (d+1)/2, so that every frame has the highest curvature."""


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _unit(z: Tensor) -> Tensor:
    return z / z.norm(dim=-1, keepdim=True)


def _point(n: int, d: int) -> Tensor:
    return torch.eye(d, dtype=torch.float64)[[0] * n]


def frame(n: int, d: int, *, seed: int = 0) -> Tensor:
    """A tight frame of n unit rows, or n orthonormal ones, n <= d: ambient descent from random rows."""
    loss = partial(anti_collapse_of_rows, gamma=0.05)
    z = _unit(_normal(n, d, seed=seed))
    rate = -20 / coding_optimum(n, dimension=d, gamma=0.05).pull
    for _ in range(120):
        z = step(loss, z, rate, "ambient")
    return z


def multipliers_at_collapse(factor: float = 1.0) -> Experiment:
    """T32: what one step makes of a spread of zero mean at a point and on a line, up to rates where it saturates."""
    x, measured, predicted = [], [], []
    for (n, d, eps, gamma), gradient in product(SETTINGS, GRADIENTS):
        loss = partial(anti_collapse_of_rows, eps=eps, gamma=gamma)
        found = coding_collapse(n, dimension=d, eps=eps, gamma=gamma)
        spread = _normal(n, d, seed=1)
        spread[:, 0] = 0
        spread = spread - spread.mean(dim=0)
        signs = torch.where(torch.arange(n) % 3 == 0, -1.0, 1.0).double()[:, None]
        for z, aside in ((_point(n, d), spread), (signs * _point(n, d), signs * spread)):
            for rate in (1.0, 100.0, 1e4):
                x.append(rate)
                measured.append(growth(loss, z, aside / aside.norm(), rate=rate, gradient=gradient, steps=1))
                value = multiplier(rate, curvature=found.curvature, pull=found.pull, gradient=gradient)
                predicted.append(float(value) * factor)
    return Experiment(
        title="Anti-Collapse, one step at a point and on a line, four settings, tangent and ambient",
        x_label="learning rate",
        y_label="multiplier of the spread",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
        note="always above 1; by less than 1 + a in an ambient step",
    )


def highest_curvature_of_frames(factor: float = 1.0) -> Experiment:
    """T32: the largest eigenvalue of the Hessian at frames found by descent from random rows."""
    x, measured, predicted = [], [], []
    for (n, d, eps, gamma), seed in product(SETTINGS, (0, 1)):
        found = modes(partial(anti_collapse_of_rows, eps=eps, gamma=gamma), frame(n, d, seed=seed))
        expected = coding_optimum(n, dimension=d, eps=eps, gamma=gamma)
        x += [n, n]
        measured += [float(found.curvatures[-1]), float(found.pulls.mean())]
        predicted += [expected.highest * factor, expected.pull * factor]
    return Experiment(
        title="Anti-Collapse at tight frames and orthonormal rows, (n, d) = (9, 4), (6, 5), (4, 6), (8, 4): largest"
        " curvature and pull",
        x_label="rows n",
        y_label="curvature, pull",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def frames_turn_at_their_rate(factor: float = 1.0) -> Experiment:
    """T32: the steepest direction of a frame at 0.97 and 1.03 of the tangent rate, and at any ambient one."""
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for (n, d, eps, gamma), gradient in product(SETTINGS, GRADIENTS):
        loss: Loss = partial(anti_collapse_of_rows, eps=eps, gamma=gamma)
        z, expected = frame(n, d), coding_optimum(n, dimension=d, eps=eps, gamma=gamma)
        found = brackets(
            loss, z, modes(loss, z).directions[-1], curvature=expected.highest, pull=expected.pull,
            gradient=gradient, factor=factor,
        )  # fmt: skip
        for whole, part in zip((x, measured, predicted), found, strict=True):
            whole += part
    return Experiment(
        title="Anti-Collapse at tight frames and orthonormal rows: does the steepest deviation decay?",
        x_label="learning rate / predicted; ambient: times the curvature",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
        note="ambient steps are stable at every rate",
    )


def many_rows_lower_the_curvature(factor: float = 1.0) -> Experiment:
    """T32: from d (d+1)/2 rows on a frame's highest curvature is between two bounds; the icosahedron has the lower."""
    golden = (1 + 5**0.5) / 2
    corners = [(x, y * golden, 0.0)[k:] + (x, y * golden, 0.0)[:k] for k in range(3) for x in (1, -1) for y in (1, -1)]
    loss, expected = anti_collapse_of_rows, coding_optimum(12, dimension=3)
    tops = [float(modes(loss, frame(12, 3, seed=seed)).curvatures[-1]) for seed in range(4)]
    best = float(modes(loss, _unit(torch.tensor(corners, dtype=torch.float64))).curvatures[-1])
    between = [float(expected.least <= top <= expected.highest) for top in tops]
    return Experiment(
        title="Anti-Collapse, tight frames of 12 rows in 3 dimensions: four found by descent are between the bounds;"
        " last, the icosahedron's highest curvature over the least possible",
        x_label="frame",
        y_label="between (1 yes), ratio",
        x=tuple(range(5)),
        measured=(*between, best / expected.least),
        predicted=(*[1.0] * 4, factor),
        tolerance=1e-9,
    )


def prototypes_collapse_classes(factor: float = 1.0) -> Experiment:
    """T32: classes on their prototypes, a deviation within a class out of their span, at 0.97 and 1.03 of lambda*."""
    x, measured, predicted = [], [], []
    for (K, m, d, eps), multiple in product(((4, 4, 8, 0.5), (3, 3, 6, 1.0), (2, 4, 5, 0.2)), (0.97, 1.03)):
        weight = multiple * coding_weight(K, dimension=d, eps=eps) * factor
        c = torch.eye(d, dtype=torch.float64)[:K].repeat_interleave(m, dim=0)

        def loss(z: Tensor, eps: float = eps, c: Tensor = c, weight: float = weight) -> Tensor:
            return anti_collapse_of_rows(z, eps=eps) + weight * (1 - (z * c).sum(dim=-1)).mean()

        aside = torch.zeros_like(c)
        aside[0, -1], aside[1, -1] = 0.5**0.5, -(0.5**0.5)
        here = coding_classes(K, rows=m, dimension=d, eps=eps, prototype_weight=weight)
        x.append(multiple)
        measured.append(float(growth(loss, c, aside, rate=1 / here.symmetric, gradient="tangent") < 1))
        predicted.append(float(multiple > 1))
    return Experiment(
        title="Anti-Collapse with prototypes, (K, m, d) = (4, 4, 8), (3, 3, 6), (2, 4, 5): do classes collapse?",
        x_label="prototype weight / lambda*",
        y_label="the spread within a class decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def rank_with_prototypes(factor: float = 1.0) -> Experiment:
    """P23: effective rank at the end of ambient runs from near collapse: the rate alone, and with CLOP's lambda = 1."""
    K, m, d = 4, 6, 8
    c = torch.eye(d, dtype=torch.float64)[:K].repeat_interleave(m, dim=0)
    x, measured, predicted = [], [], []
    for weight, multiple in product((0.0, 1.0), (1.0, 30.0)):

        def loss(z: Tensor, weight: float = weight) -> Tensor:
            return anti_collapse_of_rows(z) + weight * (1 - (z * c).sum(dim=-1)).mean()

        z = _unit(_point(K * m, d) + 1e-2 * _normal(K * m, d))
        for _ in range(150):
            z = step(loss, z, multiple * 40, "ambient")
        x.append(weight)
        measured.append(float(geometry.effective_rank(z)))
        predicted.append((float(K) if weight else float(d)) * factor)
    return Experiment(
        title="Anti-Collapse, 24 rows of 4 classes in 8 dimensions, ambient, from near collapse: without prototypes,"
        " and with lambda = 1",
        x_label="prototype weight",
        y_label="effective rank at the end",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-3,
        note=f"lambda* = {coding_weight(K, dimension=d):.3g}: prototypes of weight 1 lower the rank from d to K",
    )


def _proxy_run(weight: float, pair: bool, near: bool) -> tuple[float, float]:
    """Effective rank of the proxies and of the embeddings: 8 classes of 4 in 16 dimensions, 150 tangent steps."""
    K, m, d, rate = 8, 4, 16, 3.0
    labels = torch.arange(K * m) // m
    both = _normal(K + K * m, d)
    both = _unit(torch.eye(d, dtype=torch.float64)[0] + 0.05 * both if near else both)

    def loss(both: Tensor) -> Tensor:
        p, z = both[:K], both[K:]
        value = anti_collapse_of_rows(z, labels, proxies=p, weight=0.0 if pair else weight)
        return value + anti_collapse_of_rows(z, weight=weight) if pair else value

    for _ in range(150):
        both = step(loss, both, rate, "tangent")
    return float(geometry.effective_rank(both[:K])), float(geometry.effective_rank(both[K:]))


def rank_of_proxies_and_embeddings(factor: float = 1.0) -> Experiment:
    """P23: a proxy loss without, with the rate of the proxies, and with that of the embeddings: whose rank rises?"""
    measured, texts = [], []
    for near in (True, False):
        plain, batch_proxy, pair = (_proxy_run(*kind, near) for kind in ((0.0, False), (1.0, False), (1.0, True)))
        measured += [float(batch_proxy[0] > plain[0]), float(batch_proxy[1] < plain[1]), float(pair[1] > plain[1])]
        texts.append(
            f"proxies {plain[0]:.2f} to {batch_proxy[0]:.2f}, embeddings {plain[1]:.2f} to {batch_proxy[1]:.2f} and,"
            f" pair form, {pair[1]:.2f}"
        )
    return Experiment(
        title="proxy loss of 8 classes in 16 dimensions, from near collapse and from random rows: the proxies' coding"
        " rate raises their effective rank and lowers the embeddings', the pair form raises the latter",
        x_label="question",
        y_label="answer (1 yes)",
        x=tuple(range(6)),
        measured=tuple(measured),
        predicted=(factor,) * 6,
        tolerance=0.0,
        absolute=True,
        note=f"near collapse: {texts[0]}; random: {texts[1]}",
    )
