"""The Bessel ratios and the numbers of harmonics, against their definitions."""

from itertools import product
from math import comb

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import bessel_ratios, harmonics, kernel_harmonics
from clopsim.bounds.bessel import defined_mean, defined_ratio


def exact_ratio(kappa: float, d: int, degree: int) -> mp.mpf:
    with mp.workdps(50):
        order = mp.mpf(d) / 2 - 1
        return mp.besseli(order + degree, mp.mpf(kappa)) / mp.besseli(order, mp.mpf(kappa))


@pytest.mark.parametrize("d, tau", list(product((2, 3, 8, 128, 4096), (1e-4, 0.01, 0.1, 1.0, 100.0))))
def test_ratios_equal_bessel_functions_at_50_digits(d, tau):
    ratios = bessel_ratios(1 / tau, d, degrees=20)
    for degree in (1, 2, 5, 20):
        exact = exact_ratio(1 / tau, d, degree)
        assert abs(float(ratios[degree] / exact) - 1) < 1e-13, (degree, exact)


@pytest.mark.parametrize("d, kappa, degree", [(2, 2.0, 2), (3, 5.0, 3), (8, 2.0, 1), (9, 0.5, 4), (128, 10.0, 2)])
def test_ratios_equal_quadrature_of_gegenbauer_polynomials_to_30_digits(d, kappa, degree):
    with mp.workdps(45):
        alpha = mp.mpf(d) / 2 - 1

        def zonal(angle):
            if d == 2:
                return mp.cos(degree * angle)
            return mp.gegenbauer(degree, alpha, mp.cos(angle)) / mp.gegenbauer(degree, alpha, 1)

        def moment(harmonic):
            return mp.quad(
                lambda a: mp.exp(kappa * mp.cos(a)) * harmonic(a) * mp.sin(a) ** (d - 2), mp.linspace(0, mp.pi, 9)
            )

        ratio = moment(zonal) / moment(lambda angle: mp.mpf(1))
        exact = mp.besseli(alpha + degree, kappa) / mp.besseli(alpha, kappa)
        assert abs(ratio / exact - 1) < mp.mpf(10) ** -30
    assert float(bessel_ratios(kappa, d, degrees=degree)[degree]) == pytest.approx(float(ratio), rel=1e-13)


def test_wrong_input():
    for kappa in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="^concentration must be finite and > 0"):
            bessel_ratios(kappa, 8, degrees=3)
    with pytest.raises(ValueError, match="^degrees must be a whole number >= 1, got 0"):
        bessel_ratios(1.0, 8, degrees=0)


@pytest.mark.parametrize("d, tau", list(product((2, 3, 8, 128, 1024), (1e-3, 0.01, 0.1, 1.0, 100.0))))
def test_kernel_harmonics_equal_bessel_functions_at_50_digits(d, tau):
    with mp.workdps(50):
        kappa, nu = mp.mpf(1 / tau), mp.mpf(d) / 2 - 1
        exact = mp.e**kappa / (mp.gamma(nu + 1) * (2 / kappa) ** nu * mp.besseli(nu, kappa))
    assert float(kernel_harmonics(1 / tau, d) / exact) == pytest.approx(1, rel=1e-12 if tau >= 0.01 else 1e-11)


@pytest.mark.parametrize("d, tau", [(2, 0.3), (3, 0.1), (8, 0.5), (16, 1.0)])
def test_kernel_harmonics_are_the_sum_of_harmonics_times_ratios(d, tau):
    """The addition theorem: exp(kappa z.w)/M_0 = sum_l N_l A_l C_l(z.w), at z = w."""
    ratios = bessel_ratios(1 / tau, d, degrees=80)
    total = 1 + sum(harmonics(degree, d) * ratios[degree] for degree in range(1, 81))
    assert kernel_harmonics(1 / tau, d) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("d", (2, 3, 4, 8, 128))
def test_harmonics_are_homogeneous_polynomials_less_those_that_the_square_divides(d):
    for degree in range(1, 8):
        below = comb(degree + d - 3, d - 1) if degree > 1 else 0
        assert harmonics(degree, d) == comb(degree + d - 1, d - 1) - below
    assert [harmonics(degree, 3) for degree in (1, 2, 5)] == [3, 5, 11]


def test_definitions_for_proofs_are_the_integrals():
    """On the sphere, d = 3: E exp(kappa t), and A_1 its logarithmic derivative."""
    kappa = sp.Symbol("kappa", positive=True)
    mean = sp.sinh(kappa) / kappa
    assert sp.N(defined_mean(sp.Integer(2), 3) - mean.subs(kappa, 2), 20) == pytest.approx(0, abs=1e-18)
    assert sp.N(defined_ratio(1, sp.Integer(2), 3) - sp.log(mean).diff(kappa).subs(kappa, 2), 20) == pytest.approx(
        0, abs=1e-18
    )
