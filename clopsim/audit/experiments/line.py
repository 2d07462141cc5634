"""T12: the antipodal line of the full loss: its multipliers, when it attracts, and that the start may decide."""

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment, bracket
from clopsim.bounds import Setting, alignment_uniform_rate, antipodal_line_rate, line_multipliers
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.thresholds import prober


def _rate(setting: Setting) -> float:
    rate = antipodal_line_rate(setting)
    return float("nan") if rate is None else float(rate)


def _modes(setting: Setting, size: float = 1e-6) -> dict[str, Tensor]:
    """The three perturbations that T12 names, across the first axis, the line's own."""
    half = setting.samples // 2
    spread = starts.random_directions(setting, seed=1)[:half] * size
    spread[:, 0] = 0
    alike = spread[:1].expand(half, -1)
    spread = spread - spread.mean(dim=0)
    return {
        "together": torch.cat([spread, spread]),
        "apart": torch.cat([spread, -spread]),
        "common": torch.cat([alike, alike]),
    }


def line_multipliers_of_a_step(factor: float = 1.0) -> Experiment:
    """T12: what one step makes of each of the three perturbations, in four settings, below and above the rate."""
    x, measured, predicted = [], [], []
    for setting in (
        Setting(0.5, 3, 8, loss="full"),
        Setting(0.2, 5, 16, loss="full", keys="detached"),
        Setting(1.0, 8, 32, loss="full", reduction="mean"),
        Setting(2.0, 8, 64, loss="full"),
    ):
        half, tau = setting.samples // 2, float(setting.tau)
        line = torch.zeros(setting.samples, setting.dimension, dtype=torch.float64)
        line[:half, 0], line[half:, 0] = 1, -1
        for multiple in (0.3, 0.97, 1.03, 4.0):
            rate = multiple * _rate(setting)
            expected = line_multipliers(rate, setting)._asdict()
            for name, mode in _modes(setting).items():
                moved = step(line + mode, rate, tau, setting)
                now = (moved / (moved * line).sum(dim=-1, keepdim=True))[:, 1:]  # r < 0 mirrors the line
                x.append(multiple)
                measured.append(float((now * mode[:, 1:]).sum() / mode.square().sum()))
                predicted.append(float(expected[name]) * factor)
    return Experiment(
        title="multipliers of one step at the antipodal line, four settings: samples together, views apart, all alike",
        x_label="learning rate / mu_line",
        y_label="multiplier",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
    )


def line_threshold(factor: float = 1.0) -> Experiment:
    """T12: from 1e-3 beside the line, runs leave it at 0.97 and are drawn to it at 1.03 of its rate."""
    x, measured = [], []
    for setting in (
        Setting(0.5, 3, 8, loss="full"),
        Setting(0.2, 8, 32, loss="full"),
        Setting(1.0, 4, 32, loss="full", keys="detached"),
        Setting(2.0, 8, 64, loss="full"),
        Setting(0.5, 8, 64, loss="full", momentum=0.2),
    ):
        multiples, answers = bracket("line", setting, _rate(setting) * factor, 0.03)
        x += multiples
        measured += answers
    return Experiment(
        title="the antipodal line: (n, tau) = (8, 0.5), (32, 0.2), (32, 1) detached, (64, 2), (64, 0.5) with momentum",
        x_label="learning rate / predicted (two seeds each)",
        y_label="attracts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def both_states_attract(factor: float = 1.0) -> Experiment:
    """T12, T5a: between the two rates the line and the aligned uniform state both attract."""
    setting = Setting(1.0, 3, 200, loss="full")
    aligned = alignment_uniform_rate(setting)
    low, high = _rate(setting) * factor, (float("nan") if aligned is None else float(aligned)) * factor
    rates = [0.97 * low, 1.03 * low, 0.96 * high, 1.04 * high]
    on_line, apart = (
        prober(kind, setting, seeds=[seed for seed in range(2) for _ in rates])(rates * 2)
        for kind in ("line", "alignment_uniform")
    )
    return Experiment(
        title="(n, d, tau) = (200, 3, 1): the line attracts (first eight points), the views of the uniform state part",
        x_label="learning rate: 0.97 and 1.03 mu_line, 0.96 and 1.04 mu_align (two seeds)",
        y_label="answer (1 yes)",
        x=tuple(rates * 4),
        measured=tuple(float(answer) for answer in (*on_line, *apart)),
        predicted=(0.0, 1.0, 1.0, 1.0) * 2 + (0.0, 0.0, 0.0, 1.0) * 2,
        tolerance=0.0,
        absolute=True,
        note="at 1.03 mu_line and 0.96 mu_align both stay: the start decides",
    )
