"""T5: the harmonic spectrum of one step at the uniform state and the rate that breaks this state (n -> infinity)."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bounds.setting import Floats, Setting, whole_number

Array = NDArray[np.float64]


def bessel_ratios(concentration: Floats, dimension: int, *, degrees: int) -> Array:
    """A_l = I_(d/2-1+l)(kappa) / I_(d/2-1)(kappa) for l = 0 .. degrees; A_1 is the von Mises-Fisher mean length.

    Computed without Bessel functions, which underflow from about d = 300: the ratios r_m = I_m / I_(m-1) obey
    r_m = kappa / (2 m + kappa r_(m+1)), whose terms are all positive, so the downward recurrence is stable; each step
    shrinks the error of its start by r^2 < 1. Relative error below 1e-13 (tested against mpmath). Entries under the
    smallest float are 0, their limit.

    Valid for: kappa > 0, d >= 2.
    Source: recurrence of the modified Bessel functions, Abramowitz & Stegun 9.6.26; start: Amos (1974), eq. 11.

    concentration: kappa = 1/tau, any shape (...). Returns (..., degrees + 1).
    """
    kappa = np.asarray(concentration, dtype=np.float64)
    if not (np.all(kappa > 0) and np.all(np.isfinite(kappa))):
        raise ValueError(f"concentration must be finite and > 0, got {concentration!r}; it is 1/temperature")
    whole_number("dimension", dimension, low=2)
    whole_number("degrees", degrees, low=1)
    order = dimension / 2 - 1
    guard = 64 + 8 * math.ceil(math.sqrt(kappa.max()))  # steps in which the error of the start dies out
    m = order + degrees + guard
    ratio = kappa / (m - 0.5 + np.sqrt((m + 0.5) ** 2 + kappa**2))
    ratios = np.empty((*kappa.shape, degrees + 1))
    ratios[..., 0] = 1.0
    for degree in range(degrees + guard - 1, 0, -1):
        ratio = kappa / (2 * (order + degree) + kappa * ratio)
        if degree <= degrees:
            ratios[..., degree] = ratio
    with np.errstate(under="ignore"):
        return np.multiply.accumulate(ratios, axis=-1)


class Spectrum(NamedTuple):
    """e_l of every degree l = 1 .. L and the mean length A_1 (shapes (..., L) and (...))."""

    e: Array
    mean_length: Array


def harmonic_spectrum(setting: Setting, *, degrees: int | None = None) -> Spectrum:
    """The rates e_l at which a degree-l density ripple of the uniform state decays per unit of learning rate.

        e_l = l (l + d - 2) A_l (2 - A_l)      symmetric keys          (tight as n -> infinity)
        e_l = l (l + d - 2) A_l                detached keys

    for the sum reduction; divided by n for the mean. By default as many degrees as hold the maximum: past it e_l falls
    for good, because e_(l+1)/e_l is bounded by a product of falling factors.

    Valid for: n -> infinity; a finite batch needs n far above the number of harmonics of the degree.
    Source: T5 (ours), by Funk-Hecke.
    Returns Spectrum with e of shape (..., degrees), (...) the shape of the temperatures.
    """
    d = setting.dimension
    kappa = 1 / np.asarray(setting.tau, dtype=np.float64)
    count = 32 + 8 * math.ceil(math.sqrt(kappa.max())) if degrees is None else whole_number("degrees", degrees, low=1)
    ratios = bessel_ratios(kappa, d, degrees=count)
    degree = np.arange(1, count + 1)
    a = ratios[..., 1:]
    keys = 2 - a if setting.keys == "symmetric" else 1.0
    weight = 1 / setting.samples if setting.reduction == "mean" else 1.0
    return Spectrum(e=weight * degree * (degree + d - 2) * a * keys, mean_length=ratios[..., 1])


def radial_rate(setting: Setting) -> Array:
    """rho in r = 1 + mu rho, the factor by which an ambient step stretches each embedding at the uniform state.

        tangent: 0;   merged, ambient: -(pull/tau) A_1;   full, ambient: (pull/tau) (1 - A_1)  (tight as n -> infinity)

    Source: T5 (ours).
    """
    pull = np.asarray(setting.pull / setting.tau, dtype=np.float64)
    if setting.gradient == "tangent":
        return 0 * pull
    mean_length = harmonic_spectrum(setting, degrees=1).mean_length
    return -pull * mean_length if setting.loss == "merged" else pull * (1 - mean_length)


def ripple_multiplier(rate: float, setting: Setting, *, degrees: int) -> Array:
    """Factor by which one step multiplies a density ripple of degree 1 .. degrees on the uniform state.

        1 - mu e_l / (1 + mu rho)                                        (tight as n -> infinity)

    Source: T5 (ours). Returns (..., degrees), (...) the shape of the temperatures.
    """
    stretch = 1 + rate * radial_rate(setting)
    return 1 - rate * harmonic_spectrum(setting, degrees=degrees).e / stretch[..., None]


class UniformRate(NamedTuple):
    """Critical rate and breaking degree of the uniform state; rate inf and degree 0 where it never breaks."""

    rate: Floats
    degree: int | NDArray[np.int64]


def uniform_rate(setting: Setting) -> UniformRate:
    """Learning rate above which the uniform state breaks, and the harmonic degree that breaks first.

        mu = 2 / (max_l e_l - 2 rho)   if that is positive, else never          (tight as n -> infinity)

    which reads 2 / max e_l (tangent: mu_T), 2 / (max e_l + 4 A_1/tau) (merged, ambient: mu_A) and
    2 / (max e_l - 4 (1 - A_1)/tau) (full, ambient) with symmetric keys. Degree 1 grows a mean (collapse towards a
    point), 2 an axis (a line), 3 and more clusters.

    Valid for: n -> infinity. Source: T5 (ours).
    """
    e = harmonic_spectrum(setting).e
    margin = e.max(axis=-1) - 2 * radial_rate(setting)
    degree = e.argmax(axis=-1) + 1
    breaks = margin > 0
    with np.errstate(divide="ignore"):
        rate = np.where(breaks, 2 / np.where(breaks, margin, 1.0), np.inf)
    degree = np.where(breaks, degree, 0)
    return UniformRate(float(rate), int(degree)) if rate.ndim == 0 else UniformRate(rate, degree)
