"""T16: what prototypes of a small weight change at learning rates above that of collapse."""

import torch
from torch import Tensor

from clopsim.audit.experiments.clop import prototype_rows
from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, exact_rate
from clopsim.bounds.equilibrium import class_equilibrium
from clopsim.bounds.prototype_weights import prototype_weights
from clopsim.bounds.weak_prototypes import energy_off_line, weak_effective_rank
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step

TAU = 0.5
CLASSES = 4
SEEDS = range(2)


def _ends(setting: Setting, start: Tensor, *, weight: float, multiple: float) -> Tensor:
    """(seeds, n, d): 300 steps at a multiple of mu_c with prototypes; two views of a sample share one."""
    rows = prototype_rows(setting, classes=CLASSES, weight=weight)
    if setting.loss == "full":
        rows = rows[::2].repeat(2, 1)
    z = start
    for _ in range(300):
        z = step(z, multiple * float(exact_rate(setting)), TAU, setting, prototypes=rows)
    return z


def _energy_beside(setting: Setting, multiples: tuple[float, ...], factor: float) -> Experiment:
    """Random starts, weight 0.02: share of the energy off the best line, against the formula at that line."""
    start = torch.stack([starts.random_directions(setting, seed=seed) for seed in SEEDS])
    x, measured, predicted = [], [], []
    for multiple in multiples:
        for z in _ends(setting, start, weight=0.02, multiple=multiple):
            line = torch.linalg.svd(z).Vh[0]
            rate = multiple * float(exact_rate(setting))
            x.append(multiple)
            measured.append(float(1 - geometry.leading_share(z)))
            predicted.append(energy_off_line(0.02, rate, setting, overlaps=line[:CLASSES].tolist()) * factor)
    state = "point" if setting.loss == "merged" else "antipodal line"
    return Experiment(
        title=f"{setting.loss} loss, ambient, prototypes of weight 0.02, random starts: energy off the {state}",
        x_label="learning rate / mu_c (two seeds each)",
        y_label="share of the energy off the best line",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
        note="a first order in the weight; it does not vanish, and it does not grow with the rate",
    )


def energy_off_the_point(factor: float = 1.0) -> Experiment:
    """T16, merged loss."""
    return _energy_beside(Setting(TAU, 8, 32), (1.5, 3.0, 10.0), factor)


def energy_off_the_antipodal_line(factor: float = 1.0) -> Experiment:
    """T16, full loss."""
    return _energy_beside(Setting(TAU, 8, 32, loss="full"), (3.0, 10.0), factor)


def rank_beside_the_point(factor: float = 1.0) -> Experiment:
    """T16: effective rank at 10 mu_c, from 0.3 beside a point that is perpendicular to the prototypes."""
    setting = Setting(TAU, 8, 32)
    axis = torch.eye(8, dtype=torch.float64)[7]
    start = torch.stack([axis + 0.3 * starts.random_directions(setting, seed=seed) for seed in SEEDS])
    start = start / start.norm(dim=-1, keepdim=True)
    x, measured, predicted = [], [], []
    for weight in (0.03, 0.1, 0.2):
        ends = _ends(setting, start, weight=weight, multiple=10.0)
        rank = prototype_weights(setting, classes=CLASSES, weight=weight).rank_at_large_rates or 0.0
        x += [weight] * len(ends)
        measured += (geometry.effective_rank(ends) - 1).tolist()
        predicted += [(rank - 1) * factor] * len(ends)
    return Experiment(
        title="merged loss at 10 mu_c: effective rank less 1",
        x_label="prototype weight (two seeds each)",
        y_label="effective rank - 1",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
        note="no rank-1 state is stationary (T6), and yet the runs stay beside one",
    )


def rank_by_weight(factor: float = 1.0) -> Experiment:
    """P6: effective rank of runs from random points at 10 mu_c, from a weight that fails to one that is enough.

    Predicted by the first order for the weak ones, by T8's equilibrium for the last.
    """
    setting = Setting(TAU, 8, 32)
    start = torch.stack([starts.random_directions(setting, seed=seed) for seed in SEEDS])
    rate = 10 * float(exact_rate(setting))
    x, measured, predicted = [], [], []
    for weight in (0.1, 0.5, 8.0):
        ends = _ends(setting, start, weight=weight, multiple=10.0)
        if weight < 1:
            rank = weak_effective_rank(weight, rate, setting, classes=CLASSES)
        else:
            shape = {"classes": CLASSES, "per_class": 8, "temperature": TAU, "dimension": 8}
            rank = class_equilibrium(weight, **shape).effective_rank  # type: ignore[arg-type]
        x += [weight] * len(ends)
        measured += geometry.effective_rank(ends).tolist()
        predicted += [rank * factor] * len(ends)
    return Experiment(
        title="merged loss at 10 mu_c from random points: effective rank with prototypes of growing weight",
        x_label="prototype weight (two seeds each)",
        y_label="effective rank",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.02,
        note="1 is collapse; at weights 1, 2 and 3 the runs end at 1.33, 1.99 and 2.73 (measured)",
    )
