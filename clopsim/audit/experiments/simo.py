"""T31, P22: SimO on free embeddings: collapse, optimum, classes split over a line, and what orthogonality is for."""

from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, growth, step
from clopsim.bounds import (
    Gradient,
    attracting_rates,
    multiplier,
    simo_collapse,
    simo_leaning,
    simo_optimum,
    simo_split_curvature,
    simo_split_limit,
)
from clopsim.bounds.simo import Form
from clopsim.losses.simo import simo_of_rows
from clopsim.metrics import geometry

GRADIENTS: tuple[Gradient, ...] = ("tangent", "ambient")
SETTINGS: tuple[tuple[int, int, int, float, float, Form], ...] = (
    (3, 4, 5, 0.1, 0.0, "ratio"),
    (4, 3, 6, 2.0, 0.1, "ratio"),
    (3, 4, 5, 0.1, 0.0, "pair"),
    (4, 3, 6, 2.5, 0.05, "pair"),
)
"""Classes, rows of each, dimension, eps, olean and form."""


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _unit(z: Tensor) -> Tensor:
    return z / z.norm(dim=-1, keepdim=True)


def loss_of(K: int, m: int, eps: float, olean: float, form: Form) -> Loss:
    """SimO of K m rows, class after class."""
    return partial(simo_of_rows, labels=torch.arange(K * m) // m, form=form, eps=eps, olean=olean)


def moves(K: int, m: int, d: int) -> dict[str, Tensor]:
    """Unit directions (K m, d) at collapse onto the first axis, by the names of SimoCollapse."""
    classes, rows = _normal(K, 1, d - 1, seed=1), _normal(1, m, d - 1, seed=2)
    classes, rows = classes - classes.mean(dim=0), rows - rows.mean(dim=1, keepdim=True)
    found = {
        "contrast": classes.expand(K, m, d - 1),
        "common": rows.expand(K, m, d - 1),
        "within": classes[:, :, :1] * rows,
    }
    still = torch.zeros(K, m, 1, dtype=torch.float64)
    full = {name: torch.cat([still, move], dim=-1).flatten(0, 1) for name, move in found.items()}
    return {name: move / move.norm() for name, move in full.items()}


def _point(n: int, d: int) -> Tensor:
    return torch.eye(d, dtype=torch.float64)[[0] * n]


def classes_at(K: int, m: int, d: int) -> Tensor:
    """Orthonormal class points, (K m, d)."""
    return torch.eye(d, dtype=torch.float64)[:K].repeat_interleave(m, dim=0)


def multipliers_at_collapse(factor: float = 1.0) -> Experiment:
    """T31: what one step makes of each kind of direction at complete collapse, both forms, both gradients."""
    x, measured, predicted = [], [], []
    for (K, m, d, eps, olean, form), gradient in product(SETTINGS, GRADIENTS):
        levels = simo_collapse(K, rows=m, eps=eps, olean=olean, form=form)
        loss, z = loss_of(K, m, eps, olean, form), _point(K * m, d)
        for name, move in moves(K, m, d).items():
            curvature = getattr(levels, name)
            for multiple in (0.1, 3.0):
                rate = multiple / abs(curvature)
                x.append(multiple)
                measured.append(growth(loss, z, move, rate=rate, gradient=gradient, steps=1))
                value = multiplier(rate, curvature=curvature, pull=levels.pull, gradient=gradient)
                predicted.append(float(value) * factor)
    return Experiment(
        title="SimO, one step at complete collapse: ratio and pair form, two settings each, tangent and ambient",
        x_label="learning rate * |curvature|",
        y_label="multiplier",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
    )


def optimum_turns_at_its_rate(factor: float = 1.0) -> Experiment:
    """T31: runs from 1e-6 beside orthonormal class points at 0.97 and 1.03 of the smallest critical rate."""
    x, measured, predicted = [], [], []
    settings: tuple[tuple[int, int, int, float, Form], ...] = (
        (4, 4, 8, 0.1, "ratio"), (3, 2, 5, 1 / 137, "ratio"), (4, 4, 8, 0.1, "pair"), (2, 4, 4, 0.5, "pair"),
    )  # fmt: skip
    for (K, m, d, eps, form), gradient, multiple in product(settings, GRADIENTS, (0.97, 1.03)):
        levels = simo_optimum(K, rows=m, eps=eps, olean=0.0, form=form)
        rates = attracting_rates(levels[:3], pull=levels.pull, gradient=gradient)
        loss, c = loss_of(K, m, eps, 0.0, form), classes_at(K, m, d)
        z = _unit(c + 1e-6 * _normal(K * m, d))
        rate = multiple * factor * (float("nan") if rates is None else rates.below)
        ends = []
        for _ in range(2):
            for _ in range(40):
                z = step(loss, z, rate, gradient)
            ends.append(float(loss(z) - loss(c)))
        x.append(multiple)
        measured.append(float(ends[1] < ends[0]))
        predicted.append(float(multiple < 1))
    return Experiment(
        title="SimO at orthonormal class points, ratio and pair form, tangent and ambient: does the loss fall back?",
        x_label="learning rate / predicted",
        y_label="falls (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def collapse_attracts_at_large_eps(factor: float = 1.0) -> Experiment:
    """T31: ambient runs from 1e-4 beside collapse where a rate exists, eps far above 1; is R at the end 1?"""
    settings: tuple[tuple[int, int, int, float, Form], ...] = (
        (6, 2, 7, 2.5, "pair"), (5, 1, 6, 4.0, "pair"), (6, 2, 7, 30.0, "ratio"),
    )  # fmt: skip
    x, measured, predicted = [], [], []
    for (K, m, d, eps, form), multiple in product(settings, (0.97, 1.03)):
        levels = simo_collapse(K, rows=m, eps=eps, olean=0.0, form=form)
        curvatures = levels[:3] if m > 1 else levels[:1]
        rates = attracting_rates(curvatures, pull=levels.pull, gradient="ambient")
        rate = multiple * factor * (float("nan") if rates is None else rates.above)
        z = _unit(_point(K * m, d) + 1e-4 * _normal(K * m, d))
        before = 1 - float(geometry.mean_resultant_length(z))
        for _ in range(200):
            z = step(loss_of(K, m, eps, 0.0, form), z, rate, "ambient")
        x.append(multiple)
        measured.append(float(1 - float(geometry.mean_resultant_length(z)) < before))
        predicted.append(float(multiple > 1))
    return Experiment(
        title="SimO near complete collapse, ambient: (K, m, eps) = (6, 2, 2.5), (5, 1, 4) pair, (6, 2, 30) ratio",
        x_label="learning rate / predicted",
        y_label="attracted (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
        note="never at eps <= 1, so never at the defaults",
    )


def split(K: int, m: int, opposite: int, d: int) -> Tensor:
    """Orthonormal class points with the last rows of each class at the opposite end, (K m, d)."""
    sign = torch.where(torch.arange(K * m) % m < m - opposite, 1.0, -1.0).double()
    return sign[:, None] * classes_at(K, m, d)


def split_classes_hold(factor: float = 1.0) -> Experiment:
    """T31: classes over both ends of their lines, ratio form at 0.97 and 1.03 of the limit of eps: does the split hold?

    The direction that would heal it, from its growth in a few steps.
    """
    x, measured, predicted = [], [], []
    for (m, opposite), multiple in product(((4, 2), (7, 1), (10, 2)), (0.97, 1.03)):
        eps = simo_split_limit(m, opposite=opposite) * multiple * factor
        loss, z = loss_of(2, m, eps, 0.0, "ratio"), split(2, m, opposite, 3)
        aside = torch.zeros_like(z)
        aside[: m - opposite, -1] = opposite / m
        aside[m - opposite : m, -1] = (m - opposite) / m
        x.append(multiple)
        measured.append(float(growth(loss, z, aside / aside.norm(), rate=1.0, gradient="tangent") < 1))
        predicted.append(float(multiple < 1))
    for m, opposite in ((4, 2), (8, 1)):  # pair form: the curvature itself
        eps, move = 1 / 137, 1e-3
        loss, z = loss_of(2, m, eps, 0.0, "pair"), split(2, m, opposite, 3)
        aside = torch.zeros_like(z)
        aside[: m - opposite, -1], aside[m - opposite : m, -1] = opposite / m, (m - opposite) / m
        aside = aside / aside.norm()
        curved = growth(loss, z, aside, rate=move, gradient="tangent", steps=1)
        x.append(1.0)
        measured.append((1 - curved) / move)
        predicted.append(simo_split_curvature(m, opposite=opposite, eps=eps) * factor)
    return Experiment(
        title="SimO, classes split over +c and -c: m, m' = (4, 2), (7, 1), (10, 2), ratio form; last two: curvature in"
        " the pair form, (4, 2), (8, 1)",
        x_label="eps / predicted limit",
        y_label="holds (1 yes); curvature",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
        absolute=True,
        note="at the defaults nearly every split is a minimum",
    )


def leaning_makes_classes_cheap_to_merge(factor: float = 1.0) -> Experiment:
    """T31: ratio form with olean = 1/137 and a small eps: O/D of a set of one row a class after descent."""
    x, measured, predicted = [], [], []
    expected, _, _ = simo_leaning(1 / 137)
    for K, seed in product((3, 5), (0, 1)):
        loss = loss_of(K, 1, 1e-6, 1 / 137, "ratio")
        z = _unit(_normal(K, 6, seed=seed))
        for _ in range(200):
            z = step(loss, z, 0.3, "tangent")
        i, j = torch.triu_indices(K, K, offset=1)
        products = z[i] * z[j]
        x.append(K)
        measured.append(float(products.sum(dim=-1).square().sum() / (z[i] - z[j]).square().sum()))
        predicted.append(expected * factor)
    return Experiment(
        title="SimO, ratio form, olean = 1/137: sum of squared cosines over sum of squared distances, 3 and 5 classes",
        x_label="classes",
        y_label="O/D at the end",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-3,
        note="every set of classes with this O/D is as good, one with merged classes too",
    )


def _without_products(z: Tensor, K: int, m: int, eps: float) -> Tensor:
    """The ratio form, olean = 0, with 1 in the place of every o: distances alone."""
    rows = z.reshape(K, m, -1)

    def far(sets: Tensor) -> Tensor:
        """Sum of squared distances in each set, (s, k, d) -> (s,)."""
        k = sets.shape[1]
        return k * sets.square().sum(dim=(1, 2)) - sets.sum(dim=1).square().sum(dim=-1)

    apart = torch.cat([far(rows.transpose(0, 1)), far(rows.mean(dim=1)[None])])
    return (far(rows) / (eps + m * (m - 1) / 2)).sum() + (K * (K - 1) / 2 / (eps + apart)).sum()


def _distinguishable(z: Tensor, K: int) -> int:
    """Classes whose mean direction has a cosine below 1/2 to that of every other class."""
    means = _unit(z.reshape(K, -1, z.shape[-1]).mean(dim=1))
    s = means @ means.mT - 2 * torch.eye(K, dtype=z.dtype)
    return int((s.amax(dim=-1) < 0.5).sum())


def orthogonality_keeps_classes_apart(factor: float = 1.0) -> Experiment:
    """P22: 10 classes of 4 in 10 dimensions, with products and without, from near collapse and from random rows."""
    K, m, d, eps = 10, 4, 10, 0.1
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        "with": loss_of(K, m, eps, 0.0, "ratio"),
        "without": partial(_without_products, K=K, m=m, eps=eps),
    }
    measured, texts = [], []
    for near in (True, False):
        ends = {}
        for name, loss in kinds.items():
            z = _unit(_point(K * m, d) + 0.05 * _normal(K * m, d) if near else _normal(K * m, d))
            for _ in range(400):
                z = step(loss, z, 0.3, "ambient")
            ends[name] = (_distinguishable(z, K), float(geometry.effective_rank(z)))
        better = (ends["with"][0] > ends["without"][0], ends["with"][1] > ends["without"][1])
        measured += [float(better[0]), float(better[1])] if near else [float(ends["with"][0] < K)]
        texts.append("; ".join(f"{name} {count} of {K}, rank {rank:.2f}" for name, (count, rank) in ends.items()))
    return Experiment(
        title="SimO of 10 classes in 10 dimensions: near collapse, products give more distinguishable classes and a"
        " higher rank; from random rows some classes stay split and are lost",
        x_label="question",
        y_label="answer (1 yes)",
        x=(0, 1, 2),
        measured=tuple(measured),
        predicted=(1.0 * factor,) * 3,
        tolerance=0.0,
        absolute=True,
        note=f"near collapse: {texts[0]}; random: {texts[1]}",
    )
