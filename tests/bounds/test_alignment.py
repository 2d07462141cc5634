from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    alignment,
    alignment_uniform_rate,
    bessel_ratios,
    self_exclusion,
    swap_cosine,
    view_difference_multiplier,
)


@pytest.mark.parametrize("d, tau", [(3, 1.0), (8, 0.5), (3, 0.2), (4096, 0.01)])
def test_formulas(d, tau):
    a_1 = bessel_ratios(1 / tau, d, degrees=1)[1]
    tangent = Setting(tau, d, 64, loss="full", gradient="tangent")
    ambient = Setting(tau, d, 64, loss="full")
    assert alignment_uniform_rate(tangent) == pytest.approx(tau / 2, rel=1e-15)
    assert alignment_uniform_rate(ambient, limit=True) == pytest.approx(tau / (2 * a_1), rel=1e-13)


@pytest.mark.parametrize(
    "gradient, keys, reduction", list(product(("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")))
)
def test_multiplier_is_minus_one_at_the_rate(gradient, keys, reduction):
    setting = Setting((0.2, 1.0), 8, 300, loss="full", gradient=gradient, keys=keys, reduction=reduction)
    multiplier = [
        view_difference_multiplier(
            rate, Setting(tau, 8, 300, loss="full", gradient=gradient, keys=keys, reduction=reduction)
        )
        for rate, tau in zip(alignment_uniform_rate(setting), setting.temperature, strict=True)
    ]
    np.testing.assert_allclose(multiplier, -1, rtol=1e-13)


def test_swap_cosine_starts_at_one_and_solves_the_rotation_equation():
    setting = Setting(0.5, 8, 64, loss="full", gradient="tangent")
    assert swap_cosine(0.2, setting) == 1
    assert swap_cosine(0.25, setting) == 1
    for rate in (0.26, 0.5, 2.0):
        phi = np.arccos(swap_cosine(rate, setting))
        assert np.tan(phi) == pytest.approx(2 * rate / 0.5 * np.sin(phi), rel=1e-12)


def test_at_finite_n_the_ambient_rate_divides_by_the_finite_mean_length():
    """The values of the doubled icosahedron, tau = 1: measured multiplier -1 at .511611, never below A_1^(n) = 0."""
    assert alignment_uniform_rate(Setting(1.0, 3, 10_000, loss="full")) == pytest.approx(1 / (2 * 0.31304), rel=1e-3)
    assert alignment_uniform_rate(Setting(0.5, 8, 14, loss="full")) == np.inf
    assert np.isnan(alignment_uniform_rate(Setting(0.2, 8, 14, loss="full")))
    assert alignment_uniform_rate(Setting(0.2, 8, 14, loss="full", gradient="tangent")) == pytest.approx(0.1)


def test_momentum_of_a_fifth():
    """T14 at d = 3, where A_1 = coth(1/tau) - tau."""
    tangent = Setting(0.3, 3, 64, loss="full", gradient="tangent", momentum=0.2)
    assert alignment_uniform_rate(tangent) == pytest.approx(1.2 * 0.3 / 2, rel=1e-14)
    ambient = Setting(0.3, 3, 64, loss="full", momentum=0.2)
    a_1 = 1 / np.tanh(1 / 0.3) - 0.3
    expected = 1.2 * 0.8 * 0.3 / (2 * (a_1 - 0.2))
    assert alignment_uniform_rate(ambient, limit=True) == pytest.approx(expected, rel=1e-12)
    assert alignment_uniform_rate(replace(ambient, momentum=0.8), limit=True) == np.inf


def test_no_views_no_rate():
    assert alignment_uniform_rate(Setting(0.5, 8, 32)) is None
    with pytest.raises(ValueError, match="^loss must be full"):
        view_difference_multiplier(0.1, Setting(0.5, 8, 32))
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        swap_cosine(0.1, Setting(0.5, 8, 32, loss="full"))


def test_derivation_closes_and_equals_the_code():
    proof = alignment.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    symbols = sp.symbols("mu tau pull A", positive=True)
    formulas = {name: sp.lambdify(symbols, formula) for name, formula in proof.formulas.items()}
    a_1 = 1 - self_exclusion(Setting(0.4, 5, 64)) * (1 - float(bessel_ratios(1 / 0.4, 5, degrees=1)[1]))
    for gradient, keys, reduction in product(("tangent", "ambient"), ("symmetric", "detached"), ("sum", "mean")):
        setting = Setting(0.4, 5, 64, loss="full", gradient=gradient, keys=keys, reduction=reduction)
        mu = 1.7 * 0.4 / setting.pull
        at = (mu, 0.4, setting.pull, a_1)
        assert view_difference_multiplier(mu, setting) == pytest.approx(
            formulas[f"{gradient} multiplier"](*at), rel=1e-12
        )
        assert alignment_uniform_rate(setting) == pytest.approx(formulas[f"{gradient} rate"](*at), rel=1e-12)
        if gradient == "tangent":
            assert swap_cosine(mu, setting) == pytest.approx(formulas["swap_cosine"](*at), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(alignment, "_closed_forms")
    assert broken == {
        "ambient multiplier", "tangent multiplier", "swap", "tangent rate", "ambient rate", "stability of the swap"
    }  # fmt: skip
