"""T29: the Hessians of seven losses at class-collapsed states, when each breaks, and what prototype weights do."""

import math
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clopsim.audit.experiments.cosine_losses import cosine_loss, with_prototypes
from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, Modes, brackets, growth, modes
from clopsim.bounds import Gradient, class_critical_weight, class_loss, class_state, immune_weight
from clopsim.bounds.class_losses import ClassLossName
from clopsim.bounds.class_state import ClassState

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")
ZOO: tuple[tuple[ClassLossName, dict[str, float]], ...] = (
    ("merged", {}),
    ("nt_xent", {}),
    ("supcon", {}),
    ("dcl", {}),
    ("sscl", {"confidence": 0.6}),
    ("fedrcl", {"penalty": 1.0}),
    ("fedrcl", {"penalty": 0.2}),
    ("blcl", {}),
)


class Case(NamedTuple):
    """One loss at its class-collapsed state, predicted and as it stands."""

    state: ClassState
    loss: Loss
    z: Tensor


def places(state: ClassState, *, classes: int, per_class: int, dimension: int) -> tuple[Tensor, Tensor]:
    """(n, d) each: the embeddings of a class-collapsed state, class after class, and every one's prototype."""
    K, d = classes, dimension
    if state.weight:
        prototypes = torch.eye(K, d, dtype=torch.float64)
        p, q = math.cos(state.angle), -math.sin(state.angle) / math.sqrt(K - 1)
        points = (p - q) * prototypes + q * prototypes.sum(dim=0)
    else:
        corners = torch.linalg.svd(torch.eye(K, dtype=torch.float64) - 1 / K)[0][:, : K - 1]
        prototypes = torch.zeros(K, d, dtype=torch.float64)
        prototypes[:, : K - 1] = corners / corners.norm(dim=-1, keepdim=True)
        points = prototypes
    return points.repeat_interleave(per_class, dim=0), prototypes.repeat_interleave(per_class, dim=0)


def case(
    name: ClassLossName,
    numbers: dict[str, float],
    *,
    shape: tuple[int, int, int],
    tau: float,
    weight: float = 0.0,
    inside: bool = False,
) -> Case:
    """The loss of the zoo at (K, m, d) and one prototype weight; inside as in cosine_loss."""
    K, m, d = shape
    given: dict[str, Any] = {"classes": K, "per_class": m, "temperature": tau, **numbers}
    loss = cosine_loss(name, **given, inside=inside)
    state = class_state(class_loss(name, **given), dimension=d, weight=weight)
    z, prototypes = places(state, classes=K, per_class=m, dimension=d)
    return Case(state, with_prototypes(loss, prototypes, weight) if weight else loss, z)


def nearest(found: Modes, curvature: float) -> Tensor:
    """The direction of the Hessian whose curvature is nearest to a predicted one."""
    return found.directions[int((found.curvatures - curvature).abs().argmin())]


def class_spectra(factor: float = 1.0) -> Experiment:
    """T29: every eigenvalue of the Hessian, and the pull, of eight losses with and without prototypes."""
    measured: list[float] = []
    predicted: list[float] = []
    for (name, numbers), (shape, tau, weight) in product(
        ZOO, (((3, 4, 4), 0.5, 0.0), ((2, 4, 3), 0.7, 0.3), ((4, 2, 4), 0.5, 2.0), ((4, 2, 5), 0.8, 0.5))
    ):
        state, loss, z = case(name, numbers, shape=shape, tau=tau, weight=weight)
        found = modes(loss, z)
        curvatures = sorted(mode.curvature for mode in state.modes for _ in range(mode.multiplicity))
        measured += [*found.curvatures.tolist(), float(found.pulls.mean())]
        predicted += [curvature * factor for curvature in (*curvatures, state.pull)]
    return Experiment(
        title="(K, m, d) = (3, 4, 4) without prototypes, (2, 4, 3), (4, 2, 4), (4, 2, 5) with: spectra of eight losses",
        x_label="eigenvalue, loss after loss",
        y_label="curvature",
        x=tuple(float(place) for place in range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
        absolute=True,
    )


def class_states_break_at_their_rates(factor: float = 1.0) -> Experiment:
    """T29, T27: the first level to break, and the lowest, on both sides of their rates; or at all rates alike."""
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for (name, numbers), (tau, weight), gradient in product(ZOO, ((0.5, 0.0), (0.4, 0.6)), GRADIENTS):
        state, loss, z = case(name, numbers, shape=(3, 4, 4), tau=tau, weight=weight)
        found = modes(loss, z)
        for level in {state.lowest, state.highest}:
            if (
                weight and level.curvature < 0
            ):  # it grows below mu = 1/a; beyond, prototypes see that the state turns over
                continue
            answers = brackets(
                loss, z, nearest(found, level.curvature),
                curvature=level.curvature, pull=state.pull, gradient=gradient, factor=factor,
            )  # fmt: skip
            for points, more in zip((x, measured, predicted), answers, strict=True):
                points += more
    return Experiment(
        title="(K, m, d) = (3, 4, 4), eight losses with and without prototypes: highest and lowest level",
        x_label="learning rate / critical rate, or times |c| where there is none",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def weights_that_bind_and_that_make_immune(factor: float = 1.0) -> Experiment:
    """T29: at 0.97 and 1.03 of lambda* a small step leaves the state or not; of lambda_inf a huge ambient one."""
    x, measured, predicted = [], [], []
    for name, numbers in ZOO:
        record = class_loss(name, classes=3, per_class=4, temperature=0.5, **numbers)
        for weight, multiple in product(
            (class_critical_weight(record, dimension=4), immune_weight(record, dimension=4)), (0.97, 1.03)
        ):
            if not weight:
                continue
            state, loss, z = case(name, numbers, shape=(3, 4, 4), tau=0.5, weight=multiple * weight * factor)
            binds = weight == class_critical_weight(record, dimension=4)
            level = state.lowest if binds else state.highest
            size = growth(
                loss, z, nearest(modes(loss, z), level.curvature), steps=1,
                rate=0.05 if binds else 1e9, gradient="tangent" if binds else "ambient",
            )  # fmt: skip
            x.append(multiple)
            measured.append(float(abs(size) < 1))
            predicted.append(float(multiple > 1))
    return Experiment(
        title="(K, m, d) = (3, 4, 4): a small tangent step beside lambda*, a huge ambient one beside lambda_inf",
        x_label="prototype weight / predicted",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )
