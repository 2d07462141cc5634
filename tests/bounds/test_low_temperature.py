import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting, low_temperature, low_temperature_rate, uniform_rate
from clopsim.bounds.low_temperature import steepest, universal_decay

FORMS = list(product(("merged", "full"), ("tangent", "ambient"), ("symmetric", "detached"), ("sum", "mean")))


def test_reference_values():
    assert steepest("symmetric") == pytest.approx(2.4237643, abs=5e-8)
    assert universal_decay(steepest("symmetric")) == pytest.approx(1.2280864, abs=5e-8)
    tangent, ambient = (low_temperature_rate(Setting(0.01, 3, 100, gradient=g)).rate for g in ("tangent", "ambient"))
    assert tangent / 0.01 == pytest.approx(1.6285498, abs=5e-8)
    assert ambient / 0.01 == pytest.approx(0.3825491, abs=5e-8)
    detached = Setting(0.01, 3, 100, gradient="tangent", keys="detached")
    assert low_temperature_rate(detached).rate == pytest.approx(0.01 * math.e)


@pytest.mark.parametrize("d", (2, 3, 8, 64))
@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
def test_t5_tends_to_it_in_every_dimension(d, loss, gradient, keys, reduction):
    gaps = []
    for tau in (1e-3, 1e-4):
        setting = Setting(tau, d, 100, loss, gradient, keys, reduction)
        rate, degree = uniform_rate(setting, limit=True)
        limit = low_temperature_rate(setting)
        gaps.append(abs(rate / limit.rate - 1))
        assert degree == pytest.approx(limit.degree, abs=1.5 + 0.1 * math.sqrt(d))
    assert gaps[1] < 1e-3 * (1 + d)
    assert gaps[1] < gaps[0] / 5 or gaps[0] < 1e-3


def test_the_centre_of_the_papers_range_is_unstable_at_low_temperature():
    for d in (2, 8, 64):
        assert uniform_rate(Setting(1e-3, d, 100), limit=True).rate < 1e-3 / 2


def test_the_maximum_is_one_and_the_largest():
    t = np.linspace(0, 60, 60_001)
    for keys in ("symmetric", "detached"):
        assert universal_decay(t, keys=keys).max() == pytest.approx(
            universal_decay(steepest(keys), keys=keys), rel=1e-8
        )


def test_several_temperatures_and_wrong_input():
    several = low_temperature_rate(Setting((0.01, 0.1), 8, 100))
    assert several.rate.tolist() == [low_temperature_rate(Setting(tau, 8, 100)).rate for tau in (0.01, 0.1)]
    with pytest.raises(ValueError, match=r"^temperature must be <= 0.3463 in 8 dimensions, got 0.5; above"):
        low_temperature_rate(Setting(0.5, 8, 100))


def test_derivation_closes_and_equals_the_code():
    proof = low_temperature.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    assert float(proof.formulas["t*"]) == pytest.approx(steepest("symmetric"), rel=1e-15)
    t = sp.symbols("t", positive=True)
    for keys in ("symmetric", "detached"):
        formula = sp.lambdify(t, proof.formulas[keys])
        for value in (0.1, 1.0, 2.4, 9.0):
            assert universal_decay(value, keys=keys) == pytest.approx(formula(value), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(low_temperature, "_closed_forms") == {
        "A_l", "f, symmetric keys", "f, detached keys", "slope", "maximum, detached keys, value"
    }  # fmt: skip
