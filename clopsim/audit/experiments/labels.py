"""T19: unlabelled embeddings beside collapsed classes, classes of different size, and where classes spread."""

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.clop import prototype_rows
from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting
from clopsim.bounds.critical_weight import critical_weight
from clopsim.bounds.labels import lone_unlabelled_cosine, pair_critical_weights, pair_equilibrium
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import contrastive_loss


def the_unlabelled_one_keeps_away(factor: float = 1.0) -> Experiment:
    """T19: descent from random points with one unlabelled embedding: its cosine to every prototype."""
    x, measured, predicted = [], [], []
    for classes, per_class, d, tau, weight in ((3, 6, 4, 0.5, 30.0), (4, 8, 8, 0.5, 6.0), (2, 5, 3, 0.3, 30.0)):
        labelled = Setting(tau, d, classes * per_class)
        setting = Setting(tau, d, classes * per_class + 1, gradient="tangent")
        rows = torch.cat([prototype_rows(labelled, classes=classes, weight=weight), torch.zeros(1, d).double()])
        z = starts.random_directions(setting, seed=classes)
        for _ in range(800):
            z = step(z, 0.5 / (weight + 4 / tau), tau, setting, prototypes=rows)
        x += [classes] * classes
        measured += z[-1, :classes].tolist()
        predicted += [lone_unlabelled_cosine(classes=classes) * factor] * classes
    return Experiment(
        title="one unlabelled embedding beside K labelled classes, random start: cosine to each prototype, its own too",
        x_label="classes K",
        y_label="cosine to a prototype",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def sizes_and_their_weights(factor: float = 1.0) -> Experiment:
    """T19: lowest Hessian eigenvalue of one class's embeddings, at 0.98 and 1.02 of its critical weight, two sizes."""
    x, measured, predicted = [], [], []
    for sizes, tau in (((8, 2), 0.5), ((5, 4), 1.0)):
        criticals = pair_critical_weights(sizes=sizes, temperature=tau, dimension=4)
        for k, critical in enumerate(criticals):
            for multiple in (0.98, 1.02):
                state = pair_equilibrium(multiple * critical, sizes=sizes, temperature=tau, dimension=4)
                x.append(sizes[k])
                measured.append(_lowest_of_class(k, multiple * critical, sizes, tau, state.angles))
                predicted.append(state.curvatures[k] * factor)
    return Experiment(
        title="two classes of 8 and 2, and of 5 and 4: curvature of each at 0.98 and 1.02 of its critical weight",
        x_label="size of the class",
        y_label="lowest eigenvalue",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def sizes_on_both_sides(factor: float = 1.0) -> Experiment:
    """T19: whether each class is a point just below and above its critical weight."""
    x, measured = [], []
    for sizes, tau in (((12, 3), 0.3), ((20, 2), 0.5)):
        for k, critical in enumerate(pair_critical_weights(sizes=sizes, temperature=tau, dimension=4)):
            for multiple in (0.98, 1.02):
                weight = multiple * critical * factor
                angles = pair_equilibrium(weight, sizes=sizes, temperature=tau, dimension=4).angles
                x.append(sizes[k])
                measured.append(float(_lowest_of_class(k, weight, sizes, tau, angles) > 0))
    return Experiment(
        title="two classes of 12 and 3, and of 20 and 2: stable at 0.98 and 1.02 of the critical weight of each",
        x_label="size of the class",
        y_label="stable (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * 4,
        tolerance=0.0,
        absolute=True,
    )


def _lowest_of_class(k: int, weight: float, sizes: tuple[int, int], tau: float, angles: tuple[float, float]) -> float:
    """Lowest eigenvalue of the Hessian in the embeddings of class k, in four dimensions."""
    d = 4
    setting = Setting(tau, d, sum(sizes))
    c = torch.eye(d, dtype=torch.float64)[:2]
    v = torch.stack([np.cos(angles[i]) * c[i] - np.sin(angles[i]) * c[1 - i] for i in (0, 1)])
    count = torch.tensor(sizes)
    z, rows = v.repeat_interleave(count, dim=0), weight * c.repeat_interleave(count, dim=0)
    mine = slice(0, sizes[0]) if k == 0 else slice(sizes[0], None)
    tangent = torch.linalg.svd(v[k][None]).Vh[1:]  # (d - 1, d)

    def loss(shift: Tensor) -> Tensor:
        moved = z.clone()
        moved[mine] = z[mine] + shift @ tangent
        moved = moved / moved.norm(dim=1, keepdim=True)
        return contrastive_loss(moved, tau, setting) - (moved * rows).sum()

    still = torch.zeros(sizes[k], d - 1, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(loss, still, vectorize=True)  # type: ignore[no-untyped-call]
    return float(torch.linalg.eigvalsh(hessian.reshape(still.numel(), -1))[0])


def classes_spread_in_one_space(factor: float = 1.0) -> Experiment:
    """T9 and the subspace claim: cosine between the spread covariances of two classes below the critical weight.

    0 is what orthogonal subspaces would give, 1 the same subspace with the same shape.
    """
    setting = Setting(0.5, 8, 32, gradient="tangent")
    critical = critical_weight(classes=4, per_class=8, temperature=0.5, dimension=8)
    x, measured = [], []
    for multiple in (0.8, 0.9, 0.97):
        weight = multiple * critical
        rows = prototype_rows(setting, classes=4, weight=weight)
        z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)])
        for _ in range(1500):
            z = step(z, 0.5 / (weight + 8), 0.5, setting, prototypes=rows)
        groups = z.view(2, 4, 8, 8)  # (seeds, classes, samples, d)
        spread = groups - groups.mean(dim=2, keepdim=True)
        covariance = (spread.mT @ spread).flatten(start_dim=2)
        unit = covariance / covariance.norm(dim=-1, keepdim=True)
        pairs = (unit @ unit.mT)[:, ~torch.eye(4, dtype=torch.bool)]
        x += [multiple] * 2
        measured += pairs.mean(dim=1).tolist()
    return Experiment(
        title="overlap of the classes' spread, K = 4, m = 8, d = 8: 1 one common space, 0 orthogonal subspaces",
        x_label="weight / critical weight (two seeds each)",
        y_label="cosine between covariances",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0 * factor,) * len(x),
        tolerance=0.02,
        note="the softest directions are those outside the prototypes' span, and they are the same for every class",
    )
