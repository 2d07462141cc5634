"""T25: one step at clusters on a simplex, and how fast runs leave two clusters, at small and at large rates."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Gradient, Keys, Setting, cluster_multipliers
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")
KEYS: tuple[Keys, ...] = ("symmetric", "detached")
RATES = (0.1, 0.3, 2.0, 8.0)
"""In units of 2 tau / pull: the ambient step descends at the first two and climbs at the others."""


def _places(clusters: int, setting: Setting) -> Tensor:
    """(n, d): the points of each cluster together at a corner of a simplex."""
    frame = np.eye(clusters) - 1 / clusters
    corners = np.linalg.svd(frame)[0][:, : clusters - 1]  # coordinates of the corners in their span
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    z = np.zeros((clusters, setting.dimension))
    z[:, : clusters - 1] = corners
    return torch.from_numpy(z).repeat_interleave(setting.samples // clusters, dim=0)


def _moves(z: Tensor, clusters: int) -> dict[str, Tensor]:
    """The moves that cluster_multipliers names: two points of the first cluster apart, or all alike."""
    apart, alike = torch.zeros_like(z), torch.zeros_like(z)
    apart[0, -1], apart[1, -1] = 1, -1  # the last axis is across the span
    alike[:, -1] = 1
    moves = {"across": apart, "common": alike}
    if clusters > 2:
        inside = z[-1] - (z[-1] @ z[0]) * z[0]
        moves["within"] = torch.zeros_like(z)
        moves["within"][0], moves["within"][1] = inside, -inside
    return {name: move / move.norm() for name, move in moves.items()}


def one_step_at_clusters(factor: float = 1.0) -> Experiment:
    """T25: what one step makes of each move, against its multiplier; below and above where the step turns to ascent."""
    x, measured, predicted = [], [], []
    for (M, h, d, tau), gradient, keys in product(((2, 4, 3, 0.5), (3, 4, 4, 0.5), (4, 2, 6, 1.0)), GRADIENTS, KEYS):
        setting = Setting(tau, d, M * h, gradient=gradient, keys=keys)
        z = _places(M, setting)
        for multiple in RATES:
            rate = multiple * 2 * tau / setting.pull
            expected = cluster_multipliers(rate, setting, clusters=M)._asdict()
            for name, move in _moves(z, M).items():
                ahead, behind = (step(z + size * move, rate, tau, setting) for size in (1e-5, -1e-5))
                mirrored = (ahead * z).sum(dim=-1, keepdim=True).sign()
                x.append(multiple)
                measured.append(float(((ahead - behind) * mirrored * move).sum()) / 2e-5)
                predicted.append(expected[name] * factor)
    return Experiment(
        title="one step at M = 2, 3, 4 clusters on a simplex, both gradients, both keys: multipliers of three moves",
        x_label="learning rate / (2 tau / pull)",
        y_label="multiplier",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def runs_leave_two_clusters(factor: float = 1.0) -> Experiment:
    """T25: from 1e-9 beside two clusters, every rate, both gradients: growth of the distance in a step, near 1e-4."""
    x, measured, predicted = [], [], []
    for gradient, multiple, seed in product(GRADIENTS, (*RATES, 30.0), range(2)):
        setting = Setting(0.5, 4, 12, gradient=gradient)
        places, rate = _places(2, setting), multiple * 0.5
        z = places + 1e-9 * starts.random_directions(setting, seed=seed)
        distances = [1e-9]
        while distances[-1] < 1e-4 and len(distances) < 400:
            z = step(z, rate, 0.5, setting)
            side = (z * places).sum(dim=-1, keepdim=True).sign()
            distances.append(float((z * side - places).norm()))
        x.append(multiple)
        measured.append(distances[-1] / distances[-2])
        found = cluster_multipliers(rate, setting, clusters=2)
        predicted.append(max(abs(float(m)) for m in (found.across, found.common) if m is not None) * factor)
    return Experiment(
        title="merged loss from beside two clusters, both gradients: growth of the distance in a step",
        x_label="learning rate / tau (two seeds each)",
        y_label="distance after / before",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
        note="above 1 at every rate: spreads inside the clusters grow, at large ambient rates the clusters turn over",
    )
