"""T30: the balanced line of the zoo: the whole spectrum, and the rate above which ambient steps are drawn to it."""

from typing import Any

import torch
from torch import Tensor

from clopsim.audit.experiments.cosine_losses import cosine_loss
from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, distinct, growth, modes
from clopsim.bounds import line_rate, line_slopes, line_state

DIMENSION = 3
ZOO: tuple[dict[str, Any], ...] = (
    {"name": "merged"},
    {"name": "nt_xent"},
    {"name": "supcon"},
    {"name": "supcon", "form": "in"},
    {"name": "dcl"},
    {"name": "sscl", "confidence": 0.6},
    {"name": "fedrcl", "penalty": 1.0},
)


def _line(samples: int) -> Tensor:
    """(2 samples, d): views, which are adjacent, at opposite ends."""
    z = torch.zeros(2 * samples, DIMENSION, dtype=torch.float64)
    z[:, 0] = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(samples)
    return z


def _loss(given: dict[str, Any], shape: dict[str, Any]) -> Loss:
    numbers = {key: value for key, value in given.items() if key != "form"}
    return cosine_loss(**numbers, **shape, inside=given.get("form") == "in")


def line_spectra(factor: float = 1.0) -> Experiment:
    """T30: every eigenvalue of the Hessian at the line, and the pull, of seven losses."""
    measured: list[float] = []
    predicted: list[float] = []
    for given in ZOO:
        for classes, per_class, tau in ((3, 4, 0.5), (2, 6, 0.8), (4, 2, 1.0)):
            shape: dict[str, Any] = {"classes": classes, "per_class": per_class}
            found = modes(_loss(given, {**shape, "temperature": tau}), _line(classes * per_class // 2))
            state = line_state(line_slopes(**given, **shape, temperature=tau), **shape)
            levels = [(mode.curvature, mode.multiplicity) for mode in state.modes] + [(0.0, 1)]  # and the turns
            curvatures = sorted(c for c, number in levels for _ in range(number * (DIMENSION - 1)))
            measured += [*found.curvatures.tolist(), *found.pulls.tolist()[:2]]
            predicted += [value * factor for value in (*curvatures, state.pull, state.pull)]
    return Experiment(
        title="the balanced line, (K, m) = (3, 4), (2, 6), (4, 2): spectra and pulls of seven losses",
        x_label="number, loss after loss",
        y_label="curvature, pull",
        x=tuple(float(place) for place in range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
        absolute=True,
    )


def line_attracts_above_its_rate(factor: float = 1.0) -> Experiment:
    """T30, T27: ambient steps beside the line, below and above its rate: does every level decay, or one grow?"""
    x, measured, predicted = [], [], []
    for given in ZOO:
        for classes, per_class, tau in ((3, 4, 0.5), (4, 2, 0.2)):
            shape: dict[str, Any] = {"classes": classes, "per_class": per_class, "temperature": tau}
            rate = line_rate(**given, **shape)
            loss, z = _loss(given, shape), _line(classes * per_class // 2)
            levels = [direction for curvature, direction in distinct(modes(loss, z)) if abs(curvature) > 1e-6]
            multiples, steps = ((0.97, 1.03), 8) if rate is not None else ((0.1, 1.0, 10.0), 1)
            for multiple in multiples:
                mu = multiple * factor * (tau if rate is None else rate)
                sizes = [growth(loss, z, each, rate=mu, gradient="ambient", steps=steps) for each in levels]
                x.append(multiple)
                measured.append(float(max(map(abs, sizes)) > 1))
                predicted.append(float(rate is None or multiple < 1))
    return Experiment(
        title="beside the balanced line, seven losses, (K, m, tau) = (3, 4, 0.5), (4, 2, 0.2), ambient steps",
        x_label="learning rate / mu_line, or / tau where the line never attracts",
        y_label="leaves (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )
