"""T34, P25: a PAUC-style loss (a reconstruction) at collapse and on the simplex, and what stops its coagulation."""

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.equiangular import frame
from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, brackets, growth, modes, step
from clopsim.bounds import (
    Gradient,
    PaucSetting,
    pauc_classes,
    pauc_collapse,
    pauc_critical_correlation,
    pauc_critical_prototypes,
    pauc_critical_weight,
    pauc_simplex,
)
from clopsim.losses.pauc import pauc_of_rows

GRADIENTS: tuple[Gradient, ...] = ("tangent", "ambient")


def _labels(setting: PaucSetting) -> Tensor:
    return torch.arange(setting.classes).repeat_interleave(setting.per_class).repeat(2)


def _loss(setting: PaucSetting, prototypes: Tensor | None = None) -> Loss:
    """The loss of rows (2N, d); prototypes: (2N, d) the pull on every row, of a term that is a mean over the rows."""
    labels = _labels(setting)
    options = {name: getattr(setting, name) for name in ("prototypes", "alignment", "uniformity", "correlation", "t")}

    def loss(z: Tensor) -> Tensor:
        value = pauc_of_rows(z, labels, temperature=setting.temperature, **options)
        return value if prototypes is None else value - (z * prototypes).sum() / len(z)

    return loss


def _corners(setting: PaucSetting, dimension: int) -> Tensor:
    """(n, d): every row at the corner of its class."""
    return frame(setting.classes, dimension, -1 / (setting.classes - 1))[_labels(setting)]


def _spread(setting: PaucSetting, dimension: int) -> Tensor:
    """Of length 1: the samples of every class spread along the last axis, the views alike."""
    along = torch.linspace(-1, 1, setting.per_class, dtype=torch.float64).repeat(2 * setting.classes)
    move = torch.zeros(setting.rows, dimension, dtype=torch.float64)
    move[:, -1] = along
    return move / move.norm()


def curvatures_at_point_and_simplex(factor: float = 1.0) -> Experiment:
    """T34: every eigenvalue of the Hessian at complete collapse and on the simplex, two settings."""
    measured, predicted = [], []
    for setting, dimension in ((PaucSetting(3, 2, 0.6, 1.3, 0.7, 0.9, 0.4, 1.7), 4), (PaucSetting(4, 2, 0.3), 3)):
        point = torch.zeros(setting.rows, dimension, dtype=torch.float64)
        point[:, 0] = 1
        for z, spectrum in ((point, pauc_collapse), (_corners(setting, dimension), pauc_simplex)):
            found = spectrum(setting, dimension=dimension)
            values = sorted(level.curvature for level in found.levels.values() for _ in range(level.directions))
            pairs = zip(modes(_loss(setting), z).curvatures.tolist(), values, strict=True)
            for one, other in pairs:
                if other != 0:  # turns
                    measured.append(one)
                    predicted.append(other * factor)
    return Experiment(
        title="PAUC-style: the Hessian at a point and on the simplex, (K, m, d) = (3, 2, 4) and (4, 2, 3)",
        x_label="eigenvalue",
        y_label="curvature",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-8,
    )


def rates_at_point_and_simplex(factor: float = 1.0) -> Experiment:
    """T34: the steepest direction decays below and grows above its rate, at collapse and on the simplex."""
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for setting, dimension in ((PaucSetting(4, 2, 0.5), 5), (PaucSetting(3, 2, 1.0, 4.0, 0.1, 0.1, 0.1), 4)):
        point = torch.zeros(setting.rows, dimension, dtype=torch.float64)
        point[:, 0] = 1
        for z, spectrum in ((point, pauc_collapse), (_corners(setting, dimension), pauc_simplex)):
            levels, pull = spectrum(setting, dimension=dimension)
            steepest = max(level.curvature for level in levels.values())
            direction = modes(_loss(setting), z).directions[-1]
            for gradient in GRADIENTS:
                answers = brackets(
                    _loss(setting), z, direction, curvature=steepest, pull=pull, gradient=gradient, factor=factor
                )
                for points, more in zip((x, measured, predicted), answers, strict=True):
                    points += more
    return Experiment(
        title="PAUC-style: the steepest direction at a point and on the simplex, (K, m) = (4, 2) and (3, 2)",
        x_label="learning rate / critical rate",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def critical_weights(factor: float = 1.0) -> Experiment:
    """T34: the class points of l_p*, of l_c* and of the prototypes' lambda*, held above (below) and left on the other
    side."""
    x, measured = [], []
    several = [PaucSetting(4, 4, 1.0, 1.0, *weights) for weights in ((0, 0, 0), (5, 0, 0), (0, 5, 0))]
    for setting, multiple in product((PaucSetting(8, 2, 1.0), *several), (0.97, 1.03)):
        K, d = setting.classes, setting.classes + 1
        held = replace(setting, prototypes=multiple * factor * pauc_critical_prototypes(setting))
        x.append(multiple)
        measured.append(_grows(held, None, _corners(held, d), _spread(held, d)))
    for K, multiple in product((3, 4), (1.03, 0.97)):  # above it the simplex opens
        setting, d = PaucSetting(K, 2, 0.5, 20.0), K
        opened = replace(setting, correlation=multiple * factor * pauc_critical_correlation(setting))
        along = torch.zeros(setting.rows, d, dtype=torch.float64)
        along[:, -1] = setting.rows**-0.5
        x.append(multiple)
        measured.append(_grows(opened, None, _corners(opened, d), along))
    for setting, multiple in product((PaucSetting(4, 2, 0.5), PaucSetting(3, 3, 0.3)), (0.97, 1.03)):
        d = setting.classes + 1
        weight = multiple * factor * pauc_critical_weight(setting)
        angle = torch.tensor(pauc_classes(setting, weight).angle, dtype=torch.float64)
        c = torch.eye(setting.classes, d, dtype=torch.float64)
        v = angle.cos() * c - angle.sin() * (c.sum(dim=0) - c) / (setting.classes - 1) ** 0.5
        labels = _labels(setting)
        measured.append(_grows(setting, weight * c[labels], v[labels], _spread(setting, d)))
        x.append(multiple)
    return Experiment(
        title="PAUC-style: spread inside classes at l_p* (four settings), opening of the simplex at l_c*, spread with"
        " prototypes at lambda*",
        x_label="weight / critical weight",
        y_label="grows (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0, 0.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
        note="l_p* is the same with (l_a, l_u, l_c) = (0, 0, 0), (5, 0, 0) and (0, 5, 0)",
    )


def _grows(setting: PaucSetting, prototypes: Tensor | None, z: Tensor, move: Tensor) -> float:
    """1 if a small tangent step enlarges a move, else 0."""
    size = growth(_loss(setting, prototypes), z, move, rate=0.1, gradient="tangent", steps=1)
    return float(size > 1)


def _spread_after(setting: PaucSetting, steps: int = 100) -> float:
    """Root mean square distance of rows to the mean of their class, after tangent steps from around the corners."""
    d = setting.classes + 1
    noise = torch.randn(setting.rows // 2, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = _corners(setting, d) + 0.3 * noise.repeat(2, 1)
    z = z / z.norm(dim=-1, keepdim=True)
    rate = 1.4 / max(level.curvature for level in pauc_simplex(setting, dimension=d).levels.values())
    for _ in range(steps):
        z = step(_loss(setting), z, rate, "tangent")
    by_class = z.reshape(2, setting.classes, setting.per_class, d)
    return float((by_class - by_class.mean(dim=(0, 2), keepdim=True)).square().sum(dim=-1).mean().sqrt())


TERMS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (5.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 1.0))
"""Weights of alignment, uniformity and correlation."""


def three_terms_do_not_stop_the_coagulation(factor: float = 1.0) -> Experiment:
    """P25: below and above l_p*, whatever the three terms weigh: do the classes fall onto points?"""
    setting = PaucSetting(5, 2, 1.0)
    critical = pauc_critical_prototypes(setting)
    x, spreads = [], []
    for multiple, (a, u, c) in product((0.3, 4.0), TERMS):
        kept = replace(setting, prototypes=multiple * critical, alignment=a, uniformity=u, correlation=c)
        x.append(multiple)
        spreads.append(_spread_after(kept))
    return Experiment(
        title="PAUC-style, K = 5, m = 2, (l_a, l_u, l_c) = (0, 0, 0), (1, 1, 1), (5, 0, 0), (0, 3, 0), (0, 0, 1): has"
        " the spread inside classes fallen below a twentieth of a radius?",
        x_label="l_p / l_p*",
        y_label="answer (1 yes)",
        x=tuple(x),
        measured=tuple(float(spread < 0.05) for spread in spreads),
        predicted=(0.0,) * len(TERMS) + (1.0 * factor,) * len(TERMS),
        tolerance=0.0,
        absolute=True,
        note=f"spread after 100 steps: {', '.join(f'{spread:.2g}' for spread in spreads)}",
    )
