"""What the papers say about prototypes, tried on free embeddings: batch sizes, frames, and samples without a label."""

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.clop import prototype_rows
from clopsim.audit.experiments.equiangular import frame
from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, exact_rate
from clopsim.bounds.equilibrium import class_equilibrium
from clopsim.bounds.prototype_weights import Prototypes, prototype_weights
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

TAU, D, CLASSES = 0.5, 8, 4
SEEDS = range(2)


def _random(setting: Setting) -> Tensor:
    return torch.stack([starts.random_directions(setting, seed=seed) for seed in SEEDS])


def rank_at_every_batch(factor: float = 1.0) -> Experiment:
    """P11: merged ambient runs at 3 mu_c from random points, 2 to 16 samples a class: rank of T8's equilibrium."""
    x, measured, predicted = [], [], []
    for per_class in (2, 4, 8, 16):
        setting = Setting(TAU, D, CLASSES * per_class)
        rows = prototype_rows(setting, classes=CLASSES, weight=16.0)
        z = _random(setting)
        for _ in range(300):
            z = step(z, 3 * float(exact_rate(setting)), TAU, setting, prototypes=rows)
        state = class_equilibrium(16.0, classes=CLASSES, per_class=per_class, temperature=TAU, dimension=D)
        x += [setting.samples] * len(z)
        measured += geometry.effective_rank(z).tolist()
        predicted += [state.effective_rank * factor] * len(z)
    return Experiment(
        title="effective rank with prototypes of weight 16 at 3 mu_c, batches of 8 to 64",
        x_label="embeddings n (two seeds each)",
        y_label="effective rank",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def _settled(c: Tensor, weight: float, per_class: int) -> Tensor:
    """(seeds, n, d): small tangent steps from random points with prototypes c (K, d)."""
    setting = Setting(TAU, c.shape[1], len(c) * per_class, gradient="tangent")
    rows = weight * c.repeat_interleave(per_class, dim=0)
    z = _random(setting)
    for _ in range(1200):
        z = step(z, 0.5 / (weight + 8), TAU, setting, prototypes=rows)
    return z


def rank_of_each_frame(factor: float = 1.0) -> Experiment:
    """P10, P14: effective rank with orthonormal prototypes, the authors' "etf" and a simplex, weight 6."""
    etf = torch.eye(D, dtype=torch.float64)[:CLASSES] - 1 / D  # the authors' construction, normalised in their loss
    frames: dict[Prototypes, Tensor] = {
        "orthonormal": frame(CLASSES, D, 0.0),
        "etf": etf / etf.norm(dim=1, keepdim=True),
        "simplex": frame(CLASSES, D, -1 / (CLASSES - 1)),
    }
    x, measured, predicted = [], [], []
    for name, c in frames.items():
        held = prototype_weights(Setting(TAU, D, 4 * CLASSES), classes=CLASSES, prototypes=name, weight=6.0)
        ranks = geometry.effective_rank(_settled(c, 6.0, 4)).tolist()
        x += [held.prototype_cosine] * len(ranks)
        measured += ranks
        predicted += [(held.effective_rank or 0.0) * factor] * len(ranks)
    return Experiment(
        title="effective rank with each frame, K = 4, d = 8, weight 6: orthonormal, the authors' etf, the simplex",
        x_label="cosine between prototypes (two seeds each)",
        y_label="effective rank",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
    )


def angle_with_random_prototypes(factor: float = 1.0) -> Experiment:
    """P15: smallest angle between two classes with random prototypes, weight 12, and with orthonormal ones (first).

    Predicted by descent of the class points alone, each with the weight of its samples; for the orthonormal ones by T8.
    """
    state = class_equilibrium(12.0, classes=CLASSES, per_class=4, temperature=TAU, dimension=D)
    c = torch.eye(CLASSES, D, dtype=torch.float64)
    x, measured, predicted = [0], [_smallest_angle(_settled(c, 12.0, 4)[0, ::4])], [np.degrees(np.arccos(state.cosine))]
    for seed in range(1, 5):
        c = starts.random_directions(Setting(TAU, D, CLASSES), seed=seed)
        x.append(seed)
        measured.append(_smallest_angle(_settled(c, 12.0, 4)[0, ::4]))
        predicted.append(_smallest_angle(_class_points(c, 12.0, 4)))
    return Experiment(
        title="smallest angle between two of four classes in eight dimensions: orthonormal, then four random frames",
        x_label="frame (0: orthonormal)",
        y_label="smallest angle (degrees)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(value * factor for value in predicted),
        tolerance=1e-4,
    )


def _smallest_angle(v: Tensor) -> float:
    """Degrees between the two nearest of the unit rows v (K, d)."""
    cosines = (v @ v.mT)[~torch.eye(len(v), dtype=torch.bool)]
    return float(cosines.max().clamp(-1, 1).arccos().rad2deg())


def _class_points(c: Tensor, weight: float, per_class: int) -> Tensor:
    """Class points (K, d) of least loss, each class on one point, by descent on K points."""
    m, v = per_class, c.clone()
    own = torch.eye(len(c), dtype=c.dtype)
    for _ in range(2000):
        x = torch.exp((v @ v.mT - 1) / TAU) * (1 - own)
        D_k = m - 1 + m * x.sum(dim=1)
        pull = weight * c - m / TAU * (x * (1 / D_k[:, None] + 1 / D_k)) @ v
        v = v + 0.5 / (weight + 8) * (pull - (pull * v).sum(dim=1, keepdim=True) * v)
        v = v / v.norm(dim=1, keepdim=True)
    return v


def the_unlabelled_collapse(factor: float = 1.0) -> Experiment:
    """P17: merged ambient runs above mu_c with 25 or 50 % labelled: effective rank of the unlabelled ones."""
    x, measured = [], []
    for labelled in (8, 16):
        setting = Setting(TAU, D, 32)
        rows = torch.zeros(32, D, dtype=torch.float64)
        rows[:labelled] = prototype_rows(Setting(TAU, D, labelled), classes=CLASSES, weight=8.0)
        for multiple in (1.5, 3.0, 10.0):
            z = _random(setting)
            for _ in range(300):
                z = step(z, multiple * float(exact_rate(setting)), TAU, setting, prototypes=rows)
            x += [multiple] * len(z)
            measured += geometry.effective_rank(z[:, labelled:]).tolist()
    return Experiment(
        title="effective rank of the unlabelled embeddings, 8 and then 16 of 32 labelled, weight 8, random starts",
        x_label="learning rate / mu_c (two seeds each)",
        y_label="effective rank",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(1.0 * factor,) * len(x),
        tolerance=0.01,
        note="1: a point, R = 1; the labelled ones keep a rank of 3.8 to 4, and with all labelled nothing collapses",
    )
