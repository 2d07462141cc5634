"""T27: one step of losses of several kinds, at a minimum, at maxima and at saddles, from the curvature and the pull."""

from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, brackets, distinct, growth, modes
from clopsim.bounds import Gradient, multiplier

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")


def _circulant(seed: int, n: int) -> Loss:
    """sum_ij w_(i-j) s_ij + v_(i-j) s_ij^2 with random w, v: a loss of cosines like no other, the same for every i."""
    w, v = torch.randn(2, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    place = torch.arange(n)
    shift = (place[:, None] - place) % n
    return lambda z: (w[shift] * (z @ z.mT) + v[shift] * (z @ z.mT) ** 2).sum()


def _contrastive(tau: float, *, views: bool) -> Loss:
    """The merged loss, or with two views the full one."""

    def loss(z: Tensor) -> Tensor:
        n = len(z)
        s = z @ z.mT / tau
        lse = s.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf).logsumexp(dim=-1).sum()
        return lse - (s * torch.eye(n, dtype=s.dtype).roll(n // 2, dims=0)).sum() if views else lse

    return loss


def _coding_rate(z: Tensor) -> Tensor:
    """Less the volume of the batch: exp(-logdet(I + 4 Z Z^T)/2)."""
    return torch.exp(-torch.logdet(torch.eye(len(z), dtype=z.dtype) + 4 * z @ z.mT) / 2)


def _states() -> list[tuple[Loss, Tensor]]:
    point, line = torch.zeros(2, 6, 4, dtype=torch.float64)
    point[:, 0] = 1
    line[:3, 0], line[3:, 0] = 1, -1
    simplex = torch.eye(4, dtype=torch.float64) - 1 / 4
    simplex = (simplex / simplex.norm(dim=-1, keepdim=True)).repeat(2, 1)  # two views of four samples
    frame = torch.eye(4, dtype=torch.float64)
    full = _contrastive(0.5, views=True)
    return [
        (_contrastive(0.5, views=False), point),
        (full, point),
        (full, line),
        (full, simplex),
        (_coding_rate, frame),
        (_circulant(0, 6), point),
        (_circulant(1, 6), point),
    ]


def multipliers_from_curvature_and_pull(factor: float = 1.0) -> Experiment:
    """T27: what one step makes of every mode of the Hessian, against its multiplier, on both sides of its rate."""
    x, measured, predicted = [], [], []
    for (loss, z), gradient in product(_states(), GRADIENTS):
        found = modes(loss, z)
        for curvature, direction in distinct(found):
            for rate in (0.05, 0.3, 2.0):
                pull = float(found.pulls[0])
                x.append(rate)
                measured.append(growth(loss, z, direction, rate=rate, gradient=gradient, steps=1))
                predicted.append(float(multiplier(rate, curvature=curvature, pull=pull, gradient=gradient)) * factor)
    return Experiment(
        title="one step at a point, a line, a simplex and a frame, five losses, both gradients: all multipliers",
        x_label="learning rate",
        y_label="multiplier",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
    )


def modes_turn_at_their_rates(factor: float = 1.0) -> Experiment:
    """T27: every mode decays on one side of its rate and grows on the other; without one it does the same at all."""
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for (loss, z), gradient in product(_states(), GRADIENTS):
        found = modes(loss, z)
        for curvature, direction in distinct(found):
            if abs(curvature) < 1e-6:  # a turn of the whole state
                continue
            answers = brackets(
                loss, z, direction, curvature=curvature, pull=float(found.pulls[0]), gradient=gradient, factor=factor
            )
            for points, more in zip((x, measured, predicted), answers, strict=True):
                points += more
    return Experiment(
        title="modes of the Hessian at a point, a line, a simplex and a frame, five losses, both gradients",
        x_label="learning rate / critical rate, or times |c| where there is none",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )
