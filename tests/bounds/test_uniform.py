import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    harmonic_spectrum,
    kernel_harmonics,
    radial_rate,
    ripple_multiplier,
    uniform,
    uniform_rate,
)
from clopsim.bounds.setting import LARGEST

REFERENCE = [  # (d, tau, mu_T, mu_A, degree): worked out before the project was written
    (8, 0.5, 0.6802, 0.4125, 1),
    (3, 1.0, 1.8937, 0.8664, 1),
    (3, 0.2, 0.3459, 0.0918, 3),
    (8, 0.2, 0.3341, 0.1260, 2),
    (2, 0.5, 0.9744, 0.2620, 2),
    (128, 0.1, 0.1055, 0.0906, 1),
]


@pytest.mark.parametrize("d, tau, tangent, ambient, degree", REFERENCE)
def test_reference_values(d, tau, tangent, ambient, degree):
    mu_t = uniform_rate(Setting(tau, d, 100, gradient="tangent"), limit=True)
    mu_a = uniform_rate(Setting(tau, d, 100), limit=True)
    assert (mu_t.degree, mu_a.degree) == (degree, degree)
    assert mu_t.rate == pytest.approx(tangent, abs=5.1e-5)
    assert mu_a.rate == pytest.approx(ambient, abs=5.1e-5)


@pytest.mark.parametrize("d, tau", list(product((2, 3, 8, 64, 512, 4096), (0.01, 0.03, 0.3, 3.0, 100.0))))
@pytest.mark.parametrize("loss, gradient", [("merged", "ambient"), ("merged", "tangent"), ("full", "ambient")])
def test_the_maximum_lies_inside_the_default_degrees(d, tau, loss, gradient):
    setting = Setting(tau, d, 100, loss=loss, gradient=gradient)
    many = 3 * math.ceil(float(kernel_harmonics(1 / tau, d)))  # few points for the kernel: S = 1.5
    finite = [(replace(setting, samples=many + many % 2), False)] if many < LARGEST else []  # as many as there may be
    for chosen, limit in [(setting, True), *finite]:
        short, long = (harmonic_spectrum(chosen, degrees=k, limit=limit).e for k in (None, 1000))
        assert np.isfinite(long).all()
        assert short.max() == long.max() > 0
        assert uniform_rate(chosen, limit=limit).rate > 0


def test_vectorised_over_temperatures_equals_one_by_one():
    taus = tuple(np.geomspace(0.01, 100, 7))
    for loss, gradient in (("merged", "ambient"), ("full", "ambient"), ("full", "tangent")):
        many = uniform_rate(Setting(taus, 8, 32, loss=loss, gradient=gradient))
        each = [uniform_rate(Setting(tau, 8, 32, loss=loss, gradient=gradient)) for tau in taus]
        assert 0 < np.isnan(many.rate).sum() < len(taus)  # n = 32 is too small for the lowest temperatures
        np.testing.assert_allclose(many.rate, [one.rate for one in each], rtol=1e-13)
        np.testing.assert_array_equal(many.degree, [one.degree for one in each])


@pytest.mark.parametrize("d", (2, 3, 8, 128))
def test_limits_at_high_temperature(d):
    tau = 1e4
    assert uniform_rate(Setting(tau, d, 100, gradient="tangent"), limit=True).rate / tau == pytest.approx(
        d / (d - 1), rel=1e-3
    )
    # 4 kappa A_1 ~ 4 kappa^2/d vanishes beside e_1 ~ 2 kappa (d-1)/d, so the ambient limit is the same
    assert uniform_rate(Setting(tau, d, 100), limit=True).rate / tau == pytest.approx(d / (d - 1), rel=1e-3)


def test_multiplier_of_the_breaking_degree_is_minus_one_at_the_rate():
    for loss, gradient, keys, reduction in product(
        ("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")
    ):
        setting = Setting(0.05, 3, 200, loss=loss, gradient=gradient, keys=keys, reduction=reduction)
        rate, degree = uniform_rate(setting)
        assert ripple_multiplier(rate, setting, degrees=degree)[-1] == pytest.approx(-1, rel=1e-12)


def test_the_full_ambient_uniform_state_never_breaks_at_high_temperature():
    assert uniform_rate(Setting(1.0, 8, 32, loss="full")) == (np.inf, 0)
    assert uniform_rate(Setting(1.0, 8, 32, loss="full"), limit=True) == (np.inf, 0)


def test_wrong_input():
    with pytest.raises(ValueError, match="^degrees must be a whole number >= 1, got 0"):
        harmonic_spectrum(Setting(0.5, 8, 32), degrees=0)


def test_derivation_closes_and_equals_the_code():
    proof = uniform.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    order, d, kappa = sp.symbols("l d kappa", positive=True)
    for keys in ("symmetric", "detached"):
        formula = sp.lambdify((order, d, kappa), proof.formulas[keys], modules="mpmath")
        for dimension, tau in ((2, 0.5), (3, 0.2), (64, 0.1)):
            spectrum = harmonic_spectrum(Setting(tau, dimension, 100, keys=keys), degrees=6, limit=True).e
            for degree in (1, 2, 6):
                assert spectrum[degree - 1] == pytest.approx(float(formula(degree, dimension, 1 / tau)), rel=1e-12)
    rate = sp.lambdify(sp.symbols("e rho", positive=True), proof.formulas["uniform_rate"])
    for gradient in ("tangent", "ambient"):
        setting = Setting(0.2, 3, 100, gradient=gradient)
        for limit in (True, False):
            expected = rate(harmonic_spectrum(setting, limit=limit).e.max(), float(radial_rate(setting, limit=limit)))
            assert uniform_rate(setting, limit=limit).rate == pytest.approx(expected, rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(uniform, "_closed_forms")
    assert broken == {"e_l, symmetric keys", "e_l, detached keys", "limit, tangent", "limit, merged ambient"}


def test_a_wrong_radial_factor_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(uniform, "_closed_stretch")
    of_rho = product(("merged", "full"), ("symmetric", "detached"), ("rho", "rho as n -> oo"))
    assert broken >= {f"{name}, {loss}, {keys} keys" for loss, keys, name in of_rho}
