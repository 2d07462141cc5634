"""T5: when the uniform state breaks, when aligned views come apart, the swap."""

from itertools import product

import numpy as np
import torch

from clopsim.audit.experiments.experiment import Experiment, bracket
from clopsim.bounds import Setting, alignment_uniform_rate, harmonic_spectrum, radial_rate, swap_cosine, uniform_rate
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import run, step


def uniform_threshold(factor: float = 1.0) -> Experiment:
    """T5: the uniform state holds at 0.98 and breaks at 1.02 of its rate, in three settings."""
    x, measured = [], []
    for setting in (
        Setting(0.5, 2, 128, gradient="tangent"),
        Setting(0.5, 2, 128, gradient="ambient"),
        Setting(1.0, 3, 250, gradient="tangent"),
    ):
        multiples, answers = bracket("uniform", setting, float(uniform_rate(setting).rate) * factor, 0.02)
        x += multiples
        measured += answers
    return Experiment(
        title="uniform state: (d, tau) = (2, 0.5) tangent and ambient, (3, 1) tangent",
        x_label="learning rate / predicted (two seeds each)",
        y_label="broken (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
        note="n = 128 points on the circle, 250 on the sphere; the rates are those of these n (T13)",
    )


def ripple_decay(factor: float = 1.0) -> Experiment:
    """T5: what one step takes from a density ripple of degree 1 to 6 on the circle, against mu e_l / r."""
    n, size, rate = 512, 1e-6, 0.02
    place = 2 * np.pi * np.arange(n) / n
    x, measured, predicted = [], [], []
    for gradient, keys in product(("tangent", "ambient"), ("symmetric", "detached")):
        setting = Setting(0.5, 2, n, gradient=gradient, keys=keys)  # type: ignore[arg-type]
        decay = rate * harmonic_spectrum(setting, degrees=6).e / (1 + rate * radial_rate(setting))
        for degree in range(1, 7):
            angle = place + size * np.sin(degree * place)
            z = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1))
            after = step(z, rate, 0.5, setting).numpy()
            before, now = (abs(np.exp(1j * degree * a).mean()) for a in (angle, np.arctan2(after[:, 1], after[:, 0])))
            x.append(degree)
            measured.append(1 - now / before)
            predicted.append(float(decay[degree - 1]) * factor)
    return Experiment(
        title="what one step takes from a ripple of the uniform circle, d = 2, tau = 0.5, both gradients, both keys",
        x_label="degree",
        y_label="decay per step",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="an anchor is not its own key (T13): without that 0.6 % would be missing at n = 512",
    )


def breaking_degree(factor: float = 1.0) -> Experiment:
    """T5: the harmonic degree that holds most energy as the uniform state breaks, 3 % above its rate.

    Evenly spaced points on the circle, every degree stirred by the same small noise; three temperatures, three seeds.
    """
    n, size = 256, 1e-6
    taus = (2.0, 0.5, 0.3)
    place = 2 * np.pi * np.arange(n) / n
    x, measured, predicted = [], [], []
    for tau, seed in product(taus, range(3)):
        setting = Setting(tau, 2, n, gradient="tangent")
        rate, degree = uniform_rate(setting)
        angle = place + size * np.random.default_rng(seed).normal(size=n)
        z = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1))
        for _ in range(150):  # few: what has grown large excites its multiples
            z = step(z, 1.03 * float(rate), tau, setting)
        x.append(tau)
        measured.append(float(geometry.harmonic_energy(z, degrees=8).argmax()) + 1)
        predicted.append(float(degree) * factor)
    return Experiment(
        title="degree that holds most energy as the uniform circle breaks, merged loss, tangent gradient, 1.03 mu_T",
        x_label="temperature (three seeds each)",
        y_label="harmonic degree",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
    )


def alignment_threshold(factor: float = 1.0) -> Experiment:
    """T5a: aligned views hold at 0.98 and come apart at 1.02 of their rate in the uniform state."""
    x, measured = [], []
    for setting in (Setting(1.0, 3, 400, loss="full", gradient="tangent"), Setting(1.0, 3, 400, loss="full")):
        rate = alignment_uniform_rate(setting)
        critical = (float("nan") if rate is None else float(rate)) * factor
        multiples, answers = bracket("alignment_uniform", setting, critical, 0.02)
        x += multiples
        measured += answers
    return Experiment(
        title="alignment of the views in the uniform state, tangent and ambient, (d, tau) = (3, 1)",
        x_label="learning rate / predicted (two seeds each)",
        y_label="apart (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
        note="200 samples with two views each",
    )


def swap_of_the_views(factor: float = 1.0) -> Experiment:
    """T5: cosine of the views above mu_align, tangent gradient."""
    setting = Setting(1.0, 3, 400, loss="full", gradient="tangent")
    multiples = (1.03, 1.1, 1.3)
    rates = [multiple * 0.5 for multiple in multiples for _ in range(2)]
    z = torch.stack([starts.near_uniform(setting, temperature=1.0, seed=seed, view_angle=0.1) for seed in range(2)])
    tau = torch.ones(len(rates), dtype=torch.float64)
    final = run(z.repeat(len(multiples), 1, 1), torch.tensor(rates).double(), tau, setting=setting, steps=(200,)).final
    cosines = 1 - geometry.alignment(final) / 2
    return Experiment(
        title="period-two swap: cosine of the views",
        x_label="learning rate / mu_align (two seeds each)",
        y_label="cosine of the views",
        x=tuple(multiple for multiple in multiples for _ in range(2)),
        measured=tuple(cosines.tolist()),
        predicted=tuple(float(swap_cosine(rate, setting)) * factor for rate in rates),
        tolerance=5e-4,
        absolute=True,
    )
