"""T28: complete collapse of losses with different positives: the whole spectrum, and when directions are lost."""

from itertools import product

import numpy as np
import torch

from clopsim.audit.experiments.cosine_losses import graph_loss
from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, growth, modes
from clopsim.bounds import Gradient, collapse_spectrum, contrastive_slopes, positive_weights
from clopsim.bounds.positive_graph import Array

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")
DIMENSION, TAU = 4, 0.5


def _cases() -> list[tuple[Array, Loss]]:
    """The slopes at complete collapse and the loss: kinds of positives on 12 embeddings, and two random losses of 5."""
    samples = np.arange(12) // 2
    classes, unequal = np.arange(12) // 4, np.array([0] * 2 + [1] * 4 + [2] * 6)
    unlabelled = np.where(classes < 2, classes, -1)
    mixed = np.array([0.9, 0.9, 0.3, 0.3] * 3)
    graphs = [
        np.zeros((12, 12)),
        positive_weights(samples),
        positive_weights(samples, labels=unequal),
        positive_weights(samples, labels=unlabelled, confidence=np.full(12, 0.95)),
        positive_weights(samples, labels=unlabelled, confidence=np.full(12, 0.6)),
        positive_weights(samples, labels=classes, confidence=mixed),  # unequal: W is not symmetric
    ]
    cases: list[tuple[Array, Loss]] = [
        (contrastive_slopes(W, temperature=TAU), graph_loss(torch.from_numpy(W), TAU)) for W in graphs
    ]
    views = samples[:, None] == samples
    dcl = contrastive_slopes(graphs[1], temperature=TAU, seen=~views)
    cases.append((dcl, graph_loss(torch.from_numpy(graphs[1]), TAU, hidden=torch.from_numpy(views))))
    for seed in (0, 2):
        w, v = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        cases.append(((w + 2 * v).numpy(), lambda z, w=w, v=v: (w * (z @ z.mT) + v * (z @ z.mT) ** 2).sum()))  # type: ignore[misc]
    return cases


def _point(n: int) -> torch.Tensor:
    z = torch.zeros(n, DIMENSION, dtype=torch.float64)
    z[:, 0] = 1
    return z


def collapse_spectra(factor: float = 1.0) -> Experiment:
    """T28: every eigenvalue of the Hessian at complete collapse, every pull, and the number of ways out."""
    measured: list[float] = []
    predicted: list[float] = []
    for slopes, loss in _cases():
        found, expected = modes(loss, _point(len(slopes))), collapse_spectrum(slopes, dimension=DIMENSION)
        curvatures = np.sort(np.append(np.repeat(expected.curvatures, DIMENSION - 1), np.zeros(DIMENSION - 1)))
        measured += [*found.curvatures.tolist(), *found.pulls.tolist(), float((found.curvatures < -1e-9).sum())]
        predicted += (np.array([*curvatures, *expected.pulls, expected.ways_out]) * factor).tolist()
    return Experiment(
        title="complete collapse, d = 4: curvatures, pulls and ways out of nine losses with different positives",
        x_label="number, loss after loss",
        y_label="curvature, pull, ways out",
        x=tuple(float(place) for place in range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-9,
        absolute=True,
    )


def directions_lost_at_collapse(factor: float = 1.0) -> Experiment:
    """T28: at 0.97 and 1.03 of its rate the first direction to be lost decays and grows; with unequal pulls too."""
    x, measured, predicted = [], [], []
    for (slopes, loss), gradient in product(_cases(), GRADIENTS):
        rate = collapse_spectrum(slopes, dimension=DIMENSION).lost_rate(gradient)
        if rate is None:
            continue
        M = slopes + slopes.T
        sign = 1 if gradient == "ambient" else -1
        vector = np.linalg.eigh(M + sign * np.diag(M.sum(axis=1)))[1][:, -1]  # of the multiplier -1 there
        direction = torch.zeros(len(M), DIMENSION, dtype=torch.float64)
        direction[:, 1] = torch.from_numpy(vector)
        for multiple in (0.97, 1.03):
            mu = multiple * rate * factor
            # unequal pulls: the step is self-adjoint in the inner product with the weights 1 - mu a_i
            weights = torch.from_numpy(1 - mu * M.sum(axis=1) if gradient == "ambient" else np.ones(len(M)))[:, None]
            onto = weights * direction / (weights * direction**2).sum()
            size = growth(loss, _point(len(M)), direction, rate=mu, gradient=gradient, steps=1, onto=onto)
            x.append(multiple)
            measured.append(float(abs(size) < 1))
            predicted.append(float(multiple < 1))
    return Experiment(
        title="complete collapse, d = 4, different positives, both gradients: the first direction to be lost",
        x_label="learning rate / predicted",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )
