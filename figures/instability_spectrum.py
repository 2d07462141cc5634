"""The colder the loss, the finer the ripple that breaks first.

How fast a step flattens a ripple of the even spread. Lines: e_l = l (l + d - 2) S A_l (2 - S A_l) (T5, S of T13).
Points: one tangent step, median and range over random axes. The tallest degree breaks first, at mu = 2/max e_l. The
sweep at three temperatures has d = 8 and ambient steps, hence lower degrees.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.polynomial import Legendre
from numpy.typing import NDArray

from clopsim.bounds import Setting, harmonic_spectrum
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLUE, GREEN, PAGE, STYLE, VERMILION, headline, measured
from clopsim.sphere.dynamics import step

TEMPERATURES, DEGREES = (1.0, 0.5, 0.2), 8
RIPPLE = 1e-4
"""Size of the ripple, small enough for first order."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Decay per unit of rate: (temperatures, axes, degrees)."""
    points, axes_count = (600, 1) if quick else (2500, 5)
    z = _fibonacci(points)
    poles = np.random.default_rng(0).standard_normal((axes_count, 3))
    poles /= np.linalg.norm(poles, axis=1, keepdims=True)
    degrees = np.arange(1, DEGREES + 1)
    observed = np.empty((len(TEMPERATURES), axes_count, DEGREES))
    for t, tau in enumerate(TEMPERATURES):
        setting = Setting(tau, 3, points, gradient="tangent")
        for a, pole in enumerate(poles):
            for k, degree in enumerate(degrees):
                observed[t, a, k] = _decay(z, pole, int(degree), setting)
            on_progress((t + (a + 1) / axes_count) / len(TEMPERATURES))
    return {"points": np.array(points), "e": observed}


def draw(run: Run) -> Drawing:
    """Points and T5's lines."""
    observed, degrees = run["e"], np.arange(1, DEGREES + 1)
    settings = [Setting(tau, 3, int(run["points"]), gradient="tangent") for tau in TEMPERATURES]
    predicted = np.array([harmonic_spectrum(setting, degrees=DEGREES).e for setting in settings])
    gaps = np.abs(np.median(observed, axis=1) - predicted) / predicted.max(axis=1, keepdims=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.5), layout="constrained")
        axes = figure.subplots()
        ends = {1: "towards a point", 2: "towards a line"}
        for t, (tau, colour, marker) in enumerate(zip(TEMPERATURES, (VERMILION, BLUE, GREEN), "os^", strict=True)):
            top = int(predicted[t].argmax())
            axes.plot(degrees, predicted[t], color=colour, linewidth=1.2)
            measured(axes, degrees, observed[t], color=colour, marker=marker)
            axes.plot(degrees[top], predicted[t, top], "o", color=colour, markersize=11, fillstyle="none")
            first = rf"$\tau={tau:g}$: $\ell={top + 1}$ breaks first, {ends.get(top + 1, 'into clusters')}"
            axes.text(0.56, 0.93 - 0.09 * t, first, transform=axes.transAxes, color=colour, weight="bold")
        axes.set(xlabel=r"harmonic degree $\ell$ of the ripple", ylabel=r"decay per unit of learning rate $e_\ell$")
        axes.set(ylim=(-0.15, None), xlim=(0.6, None), xticks=degrees)
        axes.text(0.56, 0.66, "merged loss, tangent gradient, $d=3$", transform=axes.transAxes)
        axes.margins(y=0.12)
        headline(figure, __doc__)
    numbers = {
        "temperature": np.array(TEMPERATURES)[:, None, None],
        "axis": np.arange(observed.shape[1])[None, :, None],
        "degree": degrees[None, None, :],
        "e": observed,
        "predicted_e": predicted[:, None, :],
    }
    gap = Gap("e_l from T5, relative to the largest e_l", float(gaps.max()), 0.03 if run.quick else 0.02)
    return Drawing(figure, numbers, gaps=(gap,))


def _fibonacci(points: int) -> torch.Tensor:
    """(points, 3) nearly uniform on the sphere."""
    k = np.arange(points)
    height = 1 - (2 * k + 1) / points
    angle = np.pi * (3 - np.sqrt(5)) * k
    radius = np.sqrt(1 - height**2)
    return torch.from_numpy(np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1))


def _decay(z: torch.Tensor, pole: NDArray[np.float64], degree: int, setting: Setting) -> float:
    """(1 - m)/mu, m the factor of one step on the zonal harmonic of this degree about the pole."""
    harmonic = Legendre.basis(degree)
    p = torch.from_numpy(pole)
    height = (z @ p).numpy()
    slope = torch.from_numpy(harmonic.deriv()(height))[:, None] * (p - torch.from_numpy(height)[:, None] * z)
    rate = 0.1 / float(harmonic_spectrum(setting).e.max())

    def amplitude(state: torch.Tensor) -> float:
        return float(harmonic((state @ p).numpy()).mean())

    before, after = [], []
    for sign in (1, -1):  # the difference cancels what the points lack in uniformity
        state = z + sign * RIPPLE / degree**2 * slope
        state = state / state.norm(dim=1, keepdim=True)
        before.append(amplitude(state))
        after.append(amplitude(step(state, rate, float(setting.tau), setting)))
    return (1 - (after[0] - after[1]) / (before[0] - before[1])) / rate
