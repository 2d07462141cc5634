"""T17: the spectrum of a step at low temperature, and T5's rates in four dimensions, against the universal limit."""

from itertools import product

import numpy as np
import torch

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, low_temperature_rate, self_exclusion, uniform_rate, universal_decay
from clopsim.sphere.dynamics import step


def ripples_at_low_temperature(factor: float = 1.0) -> Experiment:
    """T17: what one step takes from ripples of the circle at tau = 0.002, against mu f(l^2 tau)/tau."""
    n, tau, size = 1024, 0.002, 1e-7
    place = 2 * np.pi * np.arange(n) / n
    setting = Setting(tau, 2, n, gradient="tangent")
    x, measured, predicted = [], [], []
    for degree in (5, 15, 25, 35, 45, 60):
        angle = place + size * np.sin(degree * place)
        z = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1))
        rate = tau / 10
        after = step(z, rate, tau, setting).numpy()
        before, now = (abs(np.exp(1j * degree * a).mean()) for a in (angle, np.arctan2(after[:, 1], after[:, 0])))
        x.append(degree**2 * tau)
        measured.append((1 - now / before) * tau / rate)
        predicted.append(float(universal_decay(x[-1], exclusion=float(self_exclusion(setting)))) * factor)
    return Experiment(
        title="what one step takes from a ripple at tau = 0.002: 1024 points on the circle, tangent",
        x_label="t = l (l + d - 2) tau",
        y_label="f(t) = decay x tau / rate",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
        note="with S = 1.058 of T13",
    )


def limit_of_the_uniform_rate(factor: float = 1.0) -> Experiment:
    """T17: T5's rates at tau = 0.0002, from Bessel functions, over tau; d = 2, 3, 8, 64, both gradients and keys."""
    tau = 2e-4
    x, measured, predicted = [], [], []
    for d, gradient, keys in product((2, 3, 8, 64), ("tangent", "ambient"), ("symmetric", "detached")):
        setting = Setting(tau, d, 100, gradient=gradient, keys=keys)  # type: ignore[arg-type]
        x.append(d)
        measured.append(float(uniform_rate(setting, limit=True).rate) / tau)
        predicted.append(float(low_temperature_rate(setting).rate) / tau * factor)
    return Experiment(
        title="rate at which the uniform state breaks over tau, tau = 0.0002: T5's, n -> infinity, against its limit",
        x_label="dimension",
        y_label="rate / tau",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
    )
