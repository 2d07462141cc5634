"""T15: the curvature at every rank-one state, how many of them are minima, and where small steps end."""

from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, is_rank_one_minimum, lowest_rank_one_curvature
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import run
from clopsim.sphere.gradient import contrastive_loss

CASES = (("full", 4), ("full", 6), ("full", 8), ("merged", 2), ("merged", 5))


def _patterns(n: int) -> list[tuple[float, ...]]:
    """All signs of n embeddings, up to a common one."""
    return [(1.0, *rest) for rest in product((1.0, -1.0), repeat=n - 1)]


def _lowest(patterns: list[tuple[float, ...]], setting: Setting) -> Tensor:
    """Lowest curvature of the loss at each pattern, by autograd on the circle's angles, turns aside."""
    angles = torch.where(torch.tensor(patterns).double() > 0, 0.0, torch.pi).double().requires_grad_()
    z = torch.stack([angles.cos(), angles.sin()], dim=-1)
    (slopes,) = torch.autograd.grad(contrastive_loss(z, float(setting.tau), setting).sum(), angles, create_graph=True)
    rows = [torch.autograd.grad(slope.sum(), angles, retain_graph=True)[0] for slope in slopes.mT]
    hessians = torch.stack(rows, dim=1)  # (patterns, n, n)
    lifted = hessians + 4 * hessians.abs().sum(dim=(-2, -1), keepdim=True) / setting.samples  # every angle alike
    return torch.linalg.eigvalsh(lifted)[:, 0]


def curvature_of_every_pattern(factor: float = 1.0) -> Experiment:
    """T15: lowest eigenvalue of the loss's Hessian at every rank-one state, three temperatures, against the formula."""
    x, measured, predicted = [], [], []
    for (loss, n), tau in product(CASES, (0.3, 1.0, 5.0)):
        setting, patterns = Setting(tau, 2, n, loss=loss), _patterns(n)  # type: ignore[arg-type]
        x += [n] * len(patterns)
        measured += _lowest(patterns, setting).tolist()
        predicted += [lowest_rank_one_curvature(pattern, setting) * factor for pattern in patterns]
    return Experiment(
        title="every rank-one state: lowest curvature of the loss (full n = 4, 6, 8; merged n = 2, 5), tau = 0.3, 1, 5",
        x_label="embeddings n",
        y_label="lowest second derivative",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-8,
        note="negative everywhere but at the antipodal pair (n = 2) and at the aligned antipodal state of two samples",
    )


def minima_among_the_patterns(factor: float = 1.0) -> Experiment:
    """T15: number of rank-one states without a way down, by autograd, against the statement."""
    x, measured, predicted = [], [], []
    for (loss, n), tau in product(CASES, (0.3, 1.0, 5.0)):
        setting, patterns = Setting(tau, 2, n, loss=loss), _patterns(n)  # type: ignore[arg-type]
        x.append(n)
        measured.append(float((_lowest(patterns, setting) > 0).sum()))
        predicted.append(sum(is_rank_one_minimum(pattern, setting) for pattern in patterns) * factor)
    return Experiment(
        title="rank-one states that are minima, of all sign patterns (full n = 4, 6, 8; merged n = 2, 5)",
        x_label="embeddings n (three temperatures each)",
        y_label="number of minima",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def small_steps_end_at_rank_one_for_two_samples_only(factor: float = 1.0) -> Experiment:
    """T15: effective rank where small steps of the full loss end from random points: N - 1, so 1 for two samples."""
    x, measured, predicted = [], [], []
    for samples in (2, 3, 4):
        setting = Setting(1.0, 4, 2 * samples, loss="full", gradient="tangent")
        z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(3)])
        rate = torch.full((3,), 0.1).double()
        final = run(z, rate, torch.ones(3).double(), setting=setting, steps=(1000,)).final
        x += [samples] * 3
        measured += geometry.effective_rank(final).tolist()
        predicted += [(samples - 1) * factor] * 3
    return Experiment(
        title="full loss, small steps from random points: effective rank at the end",
        x_label="samples N (three seeds each)",
        y_label="effective rank",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-3,
        note="the simplex of N points with aligned views, rank N - 1: for N = 2 it is a line",
    )
