"""T5: when the uniform state breaks, when aligned views come apart, the swap."""

import torch

from bounds import Setting, alignment_uniform_rate, exact_rate, swap_cosine, uniform_rate
from clopsim import metrics, starts
from clopsim.dynamics import run
from clopsim.experiments.experiment import Experiment, bracket


def uniform_threshold(factor: float = 1.0) -> Experiment:
    """T5: the uniform state holds at 0.96 and breaks at 1.04 of its rate, in three settings."""
    x, measured = [], []
    for setting in (
        Setting(0.5, 2, 128, gradient="tangent"),
        Setting(0.5, 2, 128, gradient="ambient"),
        Setting(1.0, 3, 250, gradient="tangent"),
    ):
        multiples, answers = bracket("uniform", setting, float(uniform_rate(setting).rate) * factor, 0.04)
        x += multiples
        measured += answers
    return Experiment(
        title="uniform state: (d, tau) = (2, 0.5) tangent and ambient, (3, 1) tangent",
        x_label="learning rate / predicted",
        y_label="broken (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * 3,
        tolerance=0.0,
        absolute=True,
        note="finite batches: n = 128 points on the circle, 250 on the sphere",
    )


def alignment_threshold(factor: float = 1.0) -> Experiment:
    """T5: aligned views hold at 0.96 and come apart at 1.04 of their rate in the uniform state."""
    x, measured = [], []
    for setting in (Setting(1.0, 3, 400, loss="full", gradient="tangent"), Setting(1.0, 3, 400, loss="full")):
        rate = alignment_uniform_rate(setting)
        critical = (float("nan") if rate is None else float(rate)) * factor
        multiples, answers = bracket("alignment_uniform", setting, critical, 0.04)
        x += multiples
        measured += answers
    return Experiment(
        title="alignment of the views in the uniform state, tangent and ambient, (d, tau) = (3, 1)",
        x_label="learning rate / predicted",
        y_label="apart (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * 2,
        tolerance=0.0,
        absolute=True,
        note="200 samples with two views each",
    )


def swap_of_the_views(factor: float = 1.0) -> Experiment:
    """T5: cosine of the views above mu_align, tangent gradient."""
    setting = Setting(1.0, 3, 400, loss="full", gradient="tangent")
    multiples = (1.03, 1.1, 1.3)
    rates = [multiple * 0.5 for multiple in multiples]
    z = starts.near_uniform(setting, temperature=1.0, seed=0, view_angle=0.1)
    tau = torch.ones(len(rates), dtype=torch.float64)
    final = run(z.repeat(len(rates), 1, 1), torch.tensor(rates).double(), tau, setting=setting, steps=(200,)).final
    cosines = 1 - metrics.alignment(final) / 2
    return Experiment(
        title="period-two swap: cosine of the views",
        x_label="learning rate / mu_align",
        y_label="cosine of the views",
        x=multiples,
        measured=tuple(cosines.tolist()),
        predicted=tuple(float(swap_cosine(rate, setting)) * factor for rate in rates),
        tolerance=5e-4,
        absolute=True,
    )


def full_loss_ends_on_a_line(factor: float = 1.0) -> Experiment:
    """Ours: far above its alignment rate the ambient full loss ends on a line, views antipodal, and not on a point."""
    setting = Setting(0.5, 8, 32, loss="full")
    rates = torch.tensor([multiple * float(exact_rate(setting)) for multiple in (0.5, 2.0, 5.0)]).double()
    z = starts.near_uniform(setting, temperature=0.5, seed=0, view_angle=0.1).repeat(3, 1, 1)
    final = run(z, rates, torch.full_like(rates, 0.5), setting=setting, steps=(1000,)).final
    rank, length = metrics.effective_rank(final), metrics.mean_resultant_length(final)
    return Experiment(
        title="full loss, ambient: effective rank and mean resultant length at 0.5, 2 and 5 mu_c",
        x_label="learning rate / mu_c",
        y_label="effective rank, then R + 1",
        x=(0.5, 2.0, 5.0) * 2,
        measured=(*rank.tolist(), *(length + 1).tolist()),
        predicted=tuple(value * factor for value in (8.0, 8.0, 1.0, 1.0, 1.0, 1.0)),
        tolerance=0.01,
        note="rank 1 with R = 0: a line, not the point that the paper's argument describes",
    )
