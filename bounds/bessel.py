"""What T5 and T13 need of the sphere: ratios of Bessel functions, numbers of harmonics, the mean of exp(kappa z.w)."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import Floats, shown, whole_number

if TYPE_CHECKING:
    import sympy as sp

Array = NDArray[np.float64]

MOST_DEGREES = 10_000
"""Far beyond the degrees that a temperature of 1e-4 brings into play; each costs a step."""


def bessel_ratios(concentration: Floats, dimension: int, *, degrees: int) -> Array:
    """A_l = I_(d/2-1+l)(kappa) / I_(d/2-1)(kappa) for l = 0 .. degrees; A_1 is the von Mises-Fisher mean length.

    Computed without Bessel functions, which underflow from about d = 300: the ratios r_m = I_m / I_(m-1) obey
    r_m = kappa / (2 m + kappa r_(m+1)), whose terms are all positive, so the downward recurrence is stable; each step
    shrinks the error of its start by r^2 < 1. Relative error below 1e-13 (tested against mpmath). Entries under the
    smallest float are 0, their limit.

    Valid for: kappa > 0, d >= 2.
    Source: recurrence of the modified Bessel functions, Abramowitz & Stegun 9.6.26.

    concentration: kappa = 1/tau, any shape (...). Returns (..., degrees + 1).
    """
    kappa = _concentrations(concentration, most=1e10)
    whole_number("dimension", dimension, low=2)
    whole_number("degrees", degrees, low=1, high=MOST_DEGREES)
    order = dimension / 2 - 1
    guard = 64 + 8 * math.ceil(math.sqrt(kappa.max()))  # steps in which the error of the start dies out
    ratio = np.zeros_like(kappa)  # its limit at high orders
    ratios = np.empty((*kappa.shape, degrees + 1))
    ratios[..., 0] = 1.0
    for degree in range(degrees + guard - 1, 0, -1):
        ratio = kappa / (2 * (order + degree) + kappa * ratio)
        if degree <= degrees:
            ratios[..., degree] = ratio
    with np.errstate(under="ignore"):
        return np.multiply.accumulate(ratios, axis=-1)


def _concentrations(value: Floats, *, most: float) -> Array:
    kappa = np.asarray(value, dtype=np.float64)
    if not (kappa.size and np.all(kappa > 0) and np.all(kappa <= most)):
        raise ValueError(
            f"concentration must be finite and > 0, and at most {most:g}, got {shown(value)}; it is 1/temperature"
        )
    return kappa


def harmonics(degree: int, dimension: int) -> int:
    """Number N_l of linearly independent spherical harmonics of a degree l >= 1 in dimension d (2 for d = 2)."""
    whole_number("degree", degree, low=1, high=MOST_DEGREES)
    whole_number("dimension", dimension, low=2)
    upper = math.comb(degree + dimension - 1, degree)
    return upper - (math.comb(degree + dimension - 3, degree - 2) if degree >= 2 else 0)


def kernel_harmonics(concentration: Floats, dimension: int) -> Array:
    """D = e^kappa / M_0 = sum_l N_l A_l, how many harmonics exp(kappa z.w) sees: the points within its reach.

        M_0 = E exp(kappa z.w) = Gamma(d/2) (2/kappa)^nu I_nu(kappa),   nu = d/2 - 1

    by the series sum_k (kappa/2)^(2k) Gamma(d/2) / (k! Gamma(d/2 + k)), whose terms are all positive. Relative error
    below 1e-11 up to kappa = 1e4, 1e-13 up to 100.

    Valid for: kappa > 0, d >= 2. Source: the mean is classical (von Mises-Fisher), the sum the addition theorem.
    concentration: kappa = 1/tau, any shape. Returns the same shape.
    """
    kappa = _concentrations(concentration, most=1e6)
    whole_number("dimension", dimension, low=2)
    k = np.arange(1, 64 + math.ceil(kappa.max() / 2 + 12 * math.sqrt(kappa.max())))
    with np.errstate(under="ignore"):
        steps = 2 * np.log(kappa[..., None] / 2) - np.log(k * (dimension / 2 + k - 1))  # (..., terms)
        mean = np.exp(-kappa) + np.exp(np.cumsum(steps, axis=-1) - kappa[..., None]).sum(axis=-1)  # e^-kappa M_0
    return np.asarray(1 / mean)


def defined_ratio(degree: "int | sp.Expr", kappa: "sp.Expr", dimension: "int | sp.Expr") -> "sp.Expr":
    """A_l by its definition, for proofs: bessel_ratios without its recurrence."""
    import sympy as sp

    nu = sp.sympify(dimension) / 2 - 1
    return sp.besseli(nu + degree, kappa) / sp.besseli(nu, kappa)


def defined_mean(kappa: "sp.Expr", dimension: "int | sp.Expr") -> "sp.Expr":
    """M_0 = E exp(kappa z.w) by its closed form, for proofs: kernel_harmonics without its series."""
    import sympy as sp

    nu = sp.sympify(dimension) / 2 - 1
    return sp.gamma(nu + 1) * (2 / kappa) ** nu * sp.besseli(nu, kappa)
