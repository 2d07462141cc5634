"""T0: the simulator's gradient in every form, against differences of the loss as it is defined."""

from itertools import product
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Gradient, Keys, Loss, Reduction, Setting
from clopsim.sphere.gradient import gradient

TAU, SIZE = 0.5, 1e-5


def _loss(z: NDArray[np.float64], keys: NDArray[np.float64], pulls: NDArray[np.float64], setting: Setting) -> float:
    """By its definition, anchor by anchor, with prototypes that pull with z.pulls."""
    n, total = len(z), 0.0
    for i in range(n):
        terms = [float(z[i] @ keys[a]) / TAU for a in range(n)]
        total += float(np.log(sum(np.exp(terms[a]) for a in range(n) if a != i)))
        total -= terms[(i + n // 2) % n] if setting.loss == "full" else 0.0
    return (total / n if setting.reduction == "mean" else total) - float((z * pulls).sum())


def simulators_gradient(factor: float = 1.0) -> Experiment:
    """T0: slopes along a direction at random embeddings, 16 forms; the factor scales the difference of the loss."""
    rng = np.random.default_rng(0)
    measured, predicted = [], []
    for form in product(get_args(Loss), get_args(Gradient), get_args(Keys), get_args(Reduction)):
        setting = Setting(TAU, 3, 6, *form)
        z, along, pulls = rng.standard_normal((3, 6, 3))
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        g = gradient(torch.from_numpy(z), TAU, setting, prototypes=torch.from_numpy(pulls)).numpy()
        measured.append(float((g * along).sum()))
        if setting.gradient == "tangent":
            along = along - (along * z).sum(axis=1, keepdims=True) * z
        ahead, behind = (
            _loss(moved, z if setting.keys == "detached" else moved, pulls, setting)
            for moved in (z + SIZE * along, z - SIZE * along)
        )
        predicted.append((ahead - behind) / (2 * SIZE) * factor)
    return Experiment(
        title="slope of the loss along a random direction, 16 forms with prototypes: the simulator's, by differences",
        x_label="form",
        y_label="slope",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )
