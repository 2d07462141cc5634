"""T1 to T4: rank-one states, the saddle, the mean shift, one step near collapse."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment, bracket
from clopsim.bounds import (
    Setting,
    alignment_collapse_rate,
    apart_curvature,
    collapse_rate,
    exact_rate,
    mean_after_step,
    mean_length_bound,
    spread_multiplier,
    together_curvature,
    view_multiplier,
)
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import run, step
from clopsim.sphere.gradient import contrastive_loss, gradient
from clopsim.sphere.thresholds import prober, search

TAU = 0.5


def rank_one_is_stationary(factor: float = 1.0) -> Experiment:
    """T1: gradient norms at random points and lines; the factor bends the state by |factor - 1| radians."""
    norms = []
    for seed, (loss, keys) in product(range(3), product(("merged", "full"), ("symmetric", "detached"))):
        setting = Setting(TAU, 6, 12, loss=loss, gradient="tangent", keys=keys)  # type: ignore[arg-type]
        signs = torch.from_numpy(np.random.default_rng(seed).choice([-1.0, 1.0], size=(12, 1)))
        line = signs * starts.random_directions(setting, seed=seed)[:1]
        bent = line + (factor - 1) * starts.random_directions(setting, seed=seed + 100)
        z = bent / bent.norm(dim=1, keepdim=True)
        norms.append(float(gradient(z, TAU, setting).norm()))
    return Experiment(
        title="tangent gradient at random lines +-z*, four losses",
        x_label="state",
        y_label="norm of the tangent gradient",
        x=tuple(range(len(norms))),
        measured=tuple(norms),
        predicted=(0.0,) * len(norms),
        tolerance=1e-12,
        absolute=True,
    )


def _second_difference(z: Tensor, direction: Tensor, setting: Setting, size: float = 1e-3) -> float:
    """Change of the loss along a great-circle direction, per squared length of it (both signs averaged)."""

    def at(sign: float) -> Tensor:
        moved = z + sign * size * direction
        return contrastive_loss(moved / moved.norm(dim=1, keepdim=True), TAU, setting)

    here = contrastive_loss(z, TAU, setting)
    return float((at(1) + at(-1) - 2 * here) / (size**2 * direction.square().sum()))


def collapse_is_a_saddle(factor: float = 1.0) -> Experiment:
    """T2: second differences of the full loss at complete collapse, views together (negative) and apart (positive)."""
    x, measured, predicted = [], [], []
    for n in (4, 8, 32):
        setting = Setting(TAU, 6, n, loss="full")
        z = starts.random_directions(setting, seed=n)[:1].repeat(n, 1)
        shift = starts.random_directions(setting, seed=n + 1)[: n // 2]
        shift = shift - (shift * z[: n // 2]).sum(dim=1, keepdim=True) * z[: n // 2]
        together = shift - shift.mean(dim=0)
        x += [n, n]
        measured += [
            _second_difference(z, torch.cat([together, together]), setting),
            _second_difference(z, torch.cat([shift, -shift]), setting),
        ]
        predicted += [float(curvature(setting)) * factor for curvature in (together_curvature, apart_curvature)]
    return Experiment(
        title="curvature of the full loss at complete collapse",
        x_label="embeddings n",
        y_label="second derivative per unit length",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
        note="views together: negative, a way down exists, so collapse is no local minimum; views apart: positive",
    )


def runs_leave_the_collapse(factor: float = 1.0) -> Experiment:
    """T2, T4: spread after ten small steps from near collapse, in units of its start, against the multiplier^10."""
    rates = (0.02, 0.05, 0.1)
    x, measured, predicted = [], [], []
    for rate, gradient_form in product(rates, ("ambient", "tangent")):
        setting = Setting(TAU, 6, 16, loss="full", gradient=gradient_form)  # type: ignore[arg-type]
        z = starts.near_collapse(setting, spread=1e-7, seed=1)
        z = torch.cat([z[:8], z[:8]])
        tau, mu = torch.tensor([TAU]).double(), torch.tensor([rate]).double()
        final = run(z[None], mu, tau, setting=setting, steps=(10,)).final[0]
        spread = [float((s - s.mean(dim=0)).norm()) for s in (z, final)]
        x.append(rate)
        measured.append(spread[1] / spread[0])
        predicted.append(float(spread_multiplier(rate, setting)) ** 10 * factor)
    return Experiment(
        title="runs leave the collapse at small rates (full loss)",
        x_label="learning rate",
        y_label="spread after 10 steps / at the start",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
    )


def mean_shift(factor: float = 1.0) -> Experiment:
    """T3: length of the mean after one unnormalised step from random configurations."""
    measured, predicted = [], []
    for seed, loss in product(range(4), ("merged", "full")):
        setting = Setting(TAU, 5, 12, loss=loss)  # type: ignore[arg-type]
        z = starts.from_data(
            setting, np.random.default_rng(seed).normal(0.7, 1, (12 if loss == "merged" else 6, 5)), seed=seed
        )
        moved = (z - 0.4 * gradient(z, TAU, setting)).mean(dim=0)
        measured.append(float(moved.norm()))
        predicted.append(float(np.linalg.norm(mean_after_step(z.numpy(), 0.4, setting))) * factor)
    return Experiment(
        title="mean after one step, random configurations",
        x_label="configuration",
        y_label="length of the mean before renormalising",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-12,
    )


def mean_bound(factor: float = 1.0) -> Experiment:
    """T3: the inequality; it is attained at complete collapse, the first point."""
    measured, predicted = [], []
    for concentration in (1e9, 30.0, 10.0, 3.0, 1.0):
        setting = Setting(TAU, 5, 12)
        x = np.random.default_rng(1).normal(size=(12, 5)) + concentration * np.ones(5)
        z = starts.from_data(setting, x, seed=0)
        cosines = (z @ z.mT)[~torch.eye(12, dtype=torch.bool)]
        spread = float((cosines.max() - cosines.min()).clamp(0, 2))
        length = min(1.0, float(geometry.mean_resultant_length(z)))
        measured.append(float((z - 0.4 * gradient(z, TAU, setting)).mean(dim=0).norm()))
        predicted.append(mean_length_bound(length, spread, 0.4, setting=setting) * min(factor, 2 - factor))
    return Experiment(
        title="rigorous bound on the mean after one step",
        x_label="configuration, from collapsed to spread",
        y_label="length of the mean",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        relation="below",
    )


def column_sums_at_their_extreme(factor: float = 1.0) -> Experiment:
    """T3: the constant of the inequality: largest sum of |c_a - 1| over logits of a given range, found by search."""
    n, rate = 60, 0.4
    x, measured, predicted = [], [], []
    for spread, tau in ((0.2, 1.0), (2.0, 1.0), (1.0, 0.25), (2.0, 0.4)):
        largest = 0.0
        for favoured in range(1, n):  # so many columns get the largest logit in every row
            logits = torch.zeros(n, n, dtype=torch.float64)
            logits[:, :favoured] = spread / tau
            softmax = torch.softmax(logits.fill_diagonal_(-torch.inf), dim=1)
            largest = max(largest, float((softmax.sum(dim=0) - 1).abs().sum()))
        x.append(spread / tau)
        measured.append(largest)
        bound = mean_length_bound(0.0, spread, rate, setting=Setting(tau, 5, n))  # mu/(n tau) times the sum
        predicted.append(bound * n * tau / rate * factor)
    return Experiment(
        title="largest sum of |c_a - 1| over logits of range D = Delta/tau: 2 n tanh(D/4)",
        x_label="range of the logits",
        y_label="sum of |column sum - 1|",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.002,
        note="n = 60; the number of favoured columns is whole, which costs up to 0.1 %",
    )


def collapse_multipliers(factor: float = 1.0) -> Experiment:
    """T4: multiplier of a small perturbation of collapse in one step, merged ambient and views apart."""
    x, measured, predicted = [], [], []
    for multiple in (0.3, 0.99, 1.01, 3.0):
        merged, full = Setting(TAU, 8, 12), Setting(TAU, 8, 12, loss="full")
        rate = multiple * float(exact_rate(merged))
        z = starts.near_collapse(merged, spread=1e-6, seed=0)
        before, after = (s - s.mean(dim=0) for s in (z, step(z, rate, TAU, merged)))
        x.append(multiple)
        measured.append(float(after.norm() / before.norm()))
        predicted.append(abs(float(spread_multiplier(rate, merged))) * factor)
        z = starts.near_collapse(full, spread=1e-6, seed=0, views="apart")
        before, after = (s[:6] - s[6:] for s in (z, step(z, rate, TAU, full)))
        x.append(multiple)
        measured.append(float(after.norm() / before.norm()))
        predicted.append(abs(float(view_multiplier(rate, full))) * factor)
    return Experiment(
        title="multipliers of one step at collapse (merged ambient; views apart)",
        x_label="learning rate / mu_c",
        y_label="|multiplier|",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
    )


def collapse_threshold(factor: float = 1.0) -> Experiment:
    """T4: the searched collapse rate against tau (n-1)/(n-2)."""
    x, measured, predicted = [], [], []
    for n in (4, 8, 16, 32):
        setting = Setting(TAU, 8, n)
        found = search("collapse", setting, seeds=range(2))
        rate = collapse_rate(setting)
        x.append(n)
        measured.append(float("nan") if found.rate is None else found.rate)
        predicted.append(float("nan") if rate is None else float(rate) * factor)
    return Experiment(
        title="collapse rate of the merged loss, ambient gradient, by bisection",
        x_label="embeddings n",
        y_label="collapse rate",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
    )


def full_loss_keeps_off_the_point(factor: float = 1.0) -> Experiment:
    """T4, full loss: views come apart at mu_c; and at 1 to 60 mu_c no run from near collapse stays collapsed."""
    setting = Setting(TAU, 8, 16, loss="full")
    rate = alignment_collapse_rate(setting)
    critical = (float("nan") if rate is None else float(rate)) * factor
    x, measured = bracket("alignment_collapse", setting, critical, 0.01)
    attracts = prober("collapse", setting, seeds=[0, 1, 2])([multiple * critical for multiple in (2.0, 10.0, 60.0)])
    return Experiment(
        title="full loss: views come apart at mu_c (first four points), collapse never attracts (others)",
        x_label="learning rate / mu_c",
        y_label="answer (1 yes)",
        x=(*x, 2.0, 10.0, 60.0),
        measured=(*measured, *(float(answer) for answer in attracts)),
        predicted=(0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0),
        tolerance=0.0,
        absolute=True,
    )


def batch_size(factor: float = 1.0) -> Experiment:
    """T4, mean reduction: the collapse rate grows with the batch as n tau (n-1)/(n-2)."""
    x, measured, predicted = [], [], []
    for n in (4, 8, 16, 32):
        setting = Setting(TAU, 8, n, reduction="mean")
        found = search("collapse", setting, seeds=range(2))
        x.append(n)
        measured.append(float("nan") if found.rate is None else found.rate)
        predicted.append(n * TAU * (n - 1) / (n - 2) * factor)
    return Experiment(
        title="collapse rate under the mean reduction",
        x_label="embeddings n",
        y_label="collapse rate",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
    )
