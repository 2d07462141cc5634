"""T14: the heavy ball on the sphere and on a quadratic, and Adam."""

from itertools import product

import numpy as np
import torch

from clopsim.audit.experiments.experiment import Experiment, bracket
from clopsim.bounds import (
    Setting,
    adam_rate,
    alignment_uniform_rate,
    collapse_rate,
    heavy_ball_rate,
    nesterov_rate,
    uniform_rate,
)
from clopsim.sphere.dynamics import advance, from_rest
from clopsim.sphere.thresholds import prober


def collapse_with_momentum(factor: float = 1.0) -> Experiment:
    """T14: the merged collapse attracts from its rate on; at momentum 0.9 with 20 embeddings never, with 21 late."""
    x, measured, predicted = [], [], []
    for n, tau, beta in ((8, 0.5, 0.3), (8, 0.5, 0.6), (32, 0.5, 0.5), (32, 0.5, 0.9)):
        setting = Setting(tau, 4, n, momentum=beta)
        rate = collapse_rate(setting)
        critical = (float("nan") if rate is None else float(rate)) * factor
        multiples, answers = bracket("collapse", setting, critical, 0.03)
        x += multiples
        measured += answers
        predicted += [0.0, 1.0] * 2
    for n in (20, 21):
        setting = Setting(0.5, 4, n, momentum=0.9)
        rates = [3.0, 10.0, 100.0]
        rate = collapse_rate(setting)
        x += rates
        measured += [float(answer) for answer in prober("collapse", setting, seeds=[0] * 3)(rates)]
        predicted += [float(rate is not None and one > rate) for one in rates]
    return Experiment(
        title="merged collapse with momentum: (n, beta) = (8, 0.3), (8, 0.6), (32, 0.5), (32, 0.9), tau = 0.5; "
        "20 and 21 at 0.9",
        x_label="learning rate / predicted (two seeds each), last six absolute",
        y_label="attracts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def flips_with_momentum(factor: float = 1.0) -> Experiment:
    """T14: views and the uniform state hold at 0.96 and break at 1.04 of their rates, 1 + beta times the plain ones."""
    x, measured = [], []
    for beta in (0.5, 0.9):
        views = Setting(1.0, 3, 400, "full", "tangent", momentum=beta)
        circle = Setting(0.5, 2, 128, "merged", "tangent", momentum=beta)
        aligned = alignment_uniform_rate(views)
        critical = float("nan") if aligned is None else float(aligned)
        for kind, setting, rate in (
            ("alignment_uniform", views, critical), ("uniform", circle, float(uniform_rate(circle).rate)),
        ):  # fmt: skip
            multiples, answers = bracket(kind, setting, rate * factor, 0.04)  # type: ignore[arg-type]
            x += multiples
            measured += answers
    ambient = Setting(0.5, 2, 200, "full", momentum=0.5)
    aligned = alignment_uniform_rate(ambient)
    critical = (float("nan") if aligned is None else float(aligned)) * factor
    multiples, answers = bracket("alignment_uniform", ambient, critical, 0.04)
    x += multiples
    measured += answers
    return Experiment(
        title="momentum 0.5, 0.9, tangent: views on the sphere, tau = 1, the circle, 0.5; views on the circle, ambient",
        x_label="learning rate / predicted (two seeds each)",
        y_label="apart or broken (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def points_spin(factor: float = 1.0) -> Experiment:
    """T14: evenly spaced points on the circle, stirred by 1e-8, under the ambient step with momentum: how far they get
    in 800 steps, against a hundredfold, at 0.97 and 1.03 of the rate; far below the rate of the flip.
    """
    n, size = 256, 1e-8
    place = 2 * np.pi * np.arange(n) / n
    x, measured = [], []
    for beta, seed in product((0.3, 0.5), range(2)):
        setting = Setting(0.5, 2, n, momentum=beta)
        multiples = [0.97, 1.03]
        angle = place + size * np.random.default_rng(seed).normal(size=n)
        z = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1)).repeat(2, 1, 1)
        rate = torch.tensor(multiples).double() * float(uniform_rate(setting).rate) * factor
        tau = torch.full_like(rate, 0.5)
        end = advance(z, rate, tau, setting=setting, steps=800, velocity=from_rest(z, setting)).numpy()
        moved = np.arctan2(end[..., 1], end[..., 0]) - place
        moved = np.angle(np.exp(1j * (moved - moved[:, :1])))  # but for a common rotation
        x += multiples
        measured += [float(far > 100 * size) for far in np.abs(moved).max(axis=1)]
    return Experiment(
        title="uniform circle, merged loss, ambient step with momentum 0.3 and 0.5: points that leave their places",
        x_label="learning rate / predicted (two seeds each)",
        y_label="a hundred times further than stirred (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def quadratics_with_momentum(factor: float = 1.0) -> Experiment:
    """T14: descent on a quadratic holds at 0.98 and leaves at 1.02 of its rate, heavy ball and Nesterov."""
    h, x, measured = 3.0, [], []
    for rate_of, look in ((heavy_ball_rate, 0.0), (nesterov_rate, 1.0)):
        for beta, multiple in product((0.0, 0.5, 0.9), (0.98, 1.02)):
            rate, place, v = multiple * factor * rate_of(h, momentum=beta), 1.0, 0.0
            for _ in range(1500):
                v = beta * v + h * place
                place -= rate * (look * (h * place + beta * v) + (1 - look) * v)
                if abs(place) > 1e6:
                    break
            x.append(multiple)
            measured.append(float(abs(place) > 1e6))
    return Experiment(
        title="a quadratic: heavy ball, then Nesterov, at momentum 0, 0.5, 0.9",
        x_label="learning rate / predicted",
        y_label="left (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def quadratics_with_adam(factor: float = 1.0) -> Experiment:
    """T14: torch's AdamW leaves a quadratic above its rate and not below, second moments frozen by beta_2 near 1."""
    h, x, measured = torch.tensor([0.3, 3.0], dtype=torch.float64), [], []
    for beta, decay, multiple in product((0.0, 0.5, 0.9), (0.0, 0.7), (0.97, 1.03)):
        scale = torch.tensor([0.5, 2.0], dtype=torch.float64)  # square roots of the second moments
        rate = multiple * factor * adam_rate(float((h / scale).max()), momentum=beta, weight_decay=decay)
        place = torch.nn.Parameter(torch.full((2,), 1e-9, dtype=torch.float64))
        optimizer = torch.optim.AdamW([place], lr=rate, betas=(beta, 1 - 1e-15), eps=0.0, weight_decay=decay)
        optimizer.state[place] = {
            "step": torch.tensor(1e17),  # no bias left to correct
            "exp_avg": torch.zeros_like(place),
            "exp_avg_sq": scale.square(),
        }
        for _ in range(3000):
            place.grad = h * place.detach()
            optimizer.step()
            if float(place.detach().abs().max()) > 1e-6:
                break
        x.append(multiple)
        measured.append(float(float(place.detach().abs().max()) > 1e-6))
    return Experiment(
        title="a quadratic under torch.optim.AdamW, frozen second moments: beta_1 = 0, 0.5, 0.9, decay 0 and 0.7",
        x_label="learning rate / predicted",
        y_label="left (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )
