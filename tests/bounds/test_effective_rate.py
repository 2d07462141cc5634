import math
from fractions import Fraction
from importlib import import_module
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    alignment_uniform_rate,
    ambient_rates,
    apart_curvature,
    attracting_rates,
    collapse_rate,
    critical_rate,
    exact_rate,
    harmonic_spectrum,
    multiplier,
    radial_rate,
    ripple_multiplier,
    spread_multiplier,
    tangent_rate,
    together_curvature,
    uniform_rate,
    view_difference_multiplier,
    view_multiplier,
)
from clopsim.bounds.effective_rate import derive, stable_side, why_never

GRADIENTS = ("ambient", "tangent")


def test_an_ambient_step_is_a_tangent_step_at_another_rate():
    rates, pull, curvature = np.array([0.1, 0.7, 3.0]), 1.3, np.array([[-2.0], [0.5]])
    ambient = multiplier(rates, curvature=curvature, pull=pull, gradient="ambient")
    same = multiplier(tangent_rate(rates, pull=pull), curvature=curvature, pull=pull, gradient="tangent")
    assert ambient.shape == (2, 3)
    np.testing.assert_allclose(ambient, same, rtol=1e-13)
    assert isinstance(multiplier(0.1, curvature=1.0, pull=0.0, gradient="ambient"), float)
    assert isinstance(tangent_rate(0.1, pull=1.0), float)


def test_the_pole_and_the_saturation():
    assert tangent_rate(0.5, pull=2.0) == math.inf
    assert abs(multiplier(0.5, curvature=-1.0, pull=2.0, gradient="ambient")) == math.inf
    assert tangent_rate(1e12, pull=-4.0) == pytest.approx(1 / 4)
    assert tangent_rate(1.0, pull=2.0) < 0  # it climbs


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("curvature, pull", [(2.0, 0.3), (2.0, -0.3), (2.0, -1.5), (-2.0, 1.5), (-2.0, 0.7), (-2.0, 0)])
def test_a_direction_is_stable_on_its_side_of_its_rate(curvature, pull, gradient):
    def size(rate):
        return abs(multiplier(rate, curvature=curvature, pull=pull, gradient=gradient))

    rate = critical_rate(curvature, pull=pull, gradient=gradient)
    below = stable_side(curvature) == "below"
    assert (why_never(curvature, pull=pull, gradient=gradient) == "") is (rate is not None)
    if rate is None:
        assert all((size(mu) < 1) is below for mu in np.geomspace(1e-3, 1e3, 50))
    else:
        assert size(rate) == pytest.approx(1, rel=1e-12)
        assert (size(0.999 * rate) < 1) is below
        assert (size(1.001 * rate) < 1) is not below


def test_why_never():
    assert "flat" in why_never(0.0, pull=1.0, gradient="ambient")
    assert "tangent steps descend" in why_never(-1.0, pull=9.0, gradient="tangent")
    assert "stable at every rate" in why_never(1.0, pull=-0.5, gradient="ambient")
    assert "grows at every rate" in why_never(-1.0, pull=0.5, gradient="ambient")
    assert critical_rate(0.0, pull=1.0, gradient="tangent") is None


def test_attracting_rates():
    assert attracting_rates([1.0, 4.0, 0.0], pull=-0.5, gradient="tangent") == (0.0, 0.5)
    assert attracting_rates([1.0, 4.0, 0.0], pull=-0.5, gradient="ambient") == (0.0, pytest.approx(2 / 3))
    assert attracting_rates([1.0, 4.0], pull=-2.0, gradient="ambient") == (0.0, math.inf)  # c <= 2|a|
    assert attracting_rates([-1.0, -4.0], pull=3.0, gradient="ambient") == (1.0, math.inf)
    assert attracting_rates([-1.0, -4.0], pull=3.0, gradient="tangent") is None
    assert attracting_rates([-1.0, -4.0], pull=1.0, gradient="ambient") is None
    for pull, gradient in product((-3.0, 0.0, 3.0, 100.0), GRADIENTS):
        assert attracting_rates([-1.0, 2.0], pull=pull, gradient=gradient) is None  # a strict saddle, at no rate


def every_setting(samples=12):
    for loss, gradient, keys, reduction in product(
        ("merged", "full"), GRADIENTS, ("symmetric", "detached"), ("sum", "mean")
    ):
        yield Setting(0.4, 5, samples, loss, gradient, keys, reduction)


def pulled(setting):
    """What detached keys make of the numbers of T2: the gradient, and so the step's curvature, is half."""
    return 0.5 if setting.keys == "detached" else 1.0


def test_t4_is_a_case():
    for setting in every_setting():
        pull = setting.pull / setting.tau if setting.loss == "merged" else 0.0
        share = pulled(setting)
        together = {"curvature": share * together_curvature(setting), "pull": pull, "gradient": setting.gradient}
        assert spread_multiplier(0.3, setting) == pytest.approx(multiplier(0.3, **together), rel=1e-12)
        assert (collapse_rate(setting) or math.inf) == pytest.approx(critical_rate(**together) or math.inf, rel=1e-12)
        if setting.loss == "full":
            apart = {"curvature": share * apart_curvature(setting), "pull": pull, "gradient": setting.gradient}
            assert view_multiplier(0.3, setting) == pytest.approx(multiplier(0.3, **apart), rel=1e-12)
            assert exact_rate(setting) == pytest.approx(critical_rate(**apart), rel=1e-12)


@pytest.mark.parametrize("limit", (True, False))
def test_t5_and_t5a_are_cases(limit):
    for setting in every_setting(samples=400):
        e = harmonic_spectrum(setting, limit=limit).e
        pull = -float(radial_rate(setting, limit=limit))
        forms = {"pull": pull, "gradient": setting.gradient}
        expected = multiplier(0.05, curvature=e, **forms)
        np.testing.assert_allclose(ripple_multiplier(0.05, setting, degrees=len(e), limit=limit), expected, rtol=1e-12)
        rate = critical_rate(float(e.max()), **forms) or math.inf
        assert uniform_rate(setting, limit=limit).rate == pytest.approx(rate, rel=1e-12)
        if setting.loss == "full":
            views = 2 * setting.pull / setting.tau
            assert alignment_uniform_rate(setting, limit=limit) == pytest.approx(
                critical_rate(views, **forms), rel=1e-12
            )
            assert view_difference_multiplier(0.1, setting, limit=limit) == pytest.approx(
                multiplier(0.1, curvature=views, **forms), rel=1e-12
            )


@pytest.mark.parametrize("call", (multiplier, critical_rate, why_never))
def test_wrong_gradient(call):
    first = (0.1,) if call is multiplier else ()
    with pytest.raises(ValueError, match="^gradient must be one of ambient, tangent, got 'euclidean'"):
        call(*first, **{"curvature": 1.0}, pull=0.0, gradient="euclidean")


def test_wrong_numbers():
    for name in ("curvature", "pull"):
        numbers = {"curvature": 1.0, "pull": 0.0} | {name: math.nan}
        with pytest.raises(ValueError, match=f"^{name} must be finite, got nan"):
            critical_rate(**numbers, gradient="ambient")
    with pytest.raises(ValueError, match="^curvatures must hold a number other than 0, got none"):
        attracting_rates([0.0], pull=0.0, gradient="ambient")


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    mu, c, a = sp.symbols("mu c a", positive=True)
    formulas = {name: sp.lambdify((mu, c, a), formula) for name, formula in proof.formulas.items()}
    for gradient in GRADIENTS:
        numbers = {"curvature": 1.7, "pull": 0.4, "gradient": gradient}
        assert multiplier(0.9, **numbers) == pytest.approx(
            formulas[f"multiplier, {gradient}"](0.9, 1.7, 0.4), rel=1e-14
        )
        assert critical_rate(**numbers) == pytest.approx(
            formulas[f"critical_rate, {gradient}"](0.9, 1.7, 0.4), rel=1e-14
        )


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(import_module("clopsim.bounds.effective_rate"), "_closed_forms") == {
        "an ambient step", "a tangent step", "the same at another rate", "|m|^2 - 1, ambient", "|m|^2 - 1, tangent",
        "m = -1, ambient", "m = -1, tangent", "a saddle's rates", "outward pull: the rate saturates",
        "T4", "T5, merged", "T5a",
    }  # fmt: skip


def test_rates_of_many_directions_are_those_of_each_with_inf_for_never():
    curvature, pull = np.meshgrid(np.linspace(-3, 3, 13), np.linspace(-2, 2, 9))
    found = ambient_rates(curvature, pull=pull)
    for c, a, rate in zip(curvature.flat, pull.flat, found.flat, strict=True):
        one = critical_rate(float(c), pull=float(a), gradient="ambient") if c else None
        expected = 2 / (2 * a) if c == 0 and a > 0 else np.inf if one is None else one
        assert rate == expected
    assert ambient_rates(4.0, pull=0.0) == 0.5
    assert np.isinf(ambient_rates(np.nan, pull=0.0))


def test_t4_is_the_rate_of_exact_fractions():
    for n in (3, 8, 33):
        assert critical_rate(Fraction(-n, n - 1), pull=Fraction(1), gradient="ambient") == Fraction(2 * (n - 1), n - 2)
        assert critical_rate(Fraction(n - 2, n - 1), pull=Fraction(0), gradient="ambient") == Fraction(
            2 * (n - 1), n - 2
        )
