import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    exact_rate,
    fresh_noise_growth,
    fresh_noise_rate,
    minibatch,
    spread_growth,
    spread_multiplier,
    view_growth_rate,
)

FULL = Setting(0.5, 8, 16, loss="full", gradient="tangent")


@pytest.mark.parametrize("keys, reduction", list(product(("symmetric", "detached"), ("sum", "mean"))))
def test_views_part_at_the_rate_of_the_batch(keys, reduction):
    setting = Setting(0.5, 8, 16, loss="full", keys=keys, reduction=reduction)
    rate = exact_rate(setting)
    for data in (16, 48, 10_000):
        assert view_growth_rate(0.99 * rate, setting, data=data) < 0 < view_growth_rate(1.01 * rate, setting, data=data)


def test_reference_values():
    """A visit at 1.2 multiplies by -0.2, log 0.2 = -1.60944; the whole data set at once is T4."""
    x = 1.2 * 15 / 14
    assert view_growth_rate(x * 0.25, FULL, data=16) == pytest.approx(-1.60944, abs=1e-5)
    assert view_growth_rate(x * 0.25, FULL, data=64) == pytest.approx(-1.60944 / 4, abs=1e-5)
    assert view_growth_rate(15 / 14 * 0.25, FULL, data=64) == -math.inf
    assert spread_growth(0.1, FULL, data=16) == pytest.approx(spread_multiplier(0.1, FULL) ** 2, rel=1e-14)
    assert spread_growth(0.1, FULL, data=160) > 1
    several = Setting((0.5, 1.0), 8, 16, loss="full", gradient="tangent")
    assert spread_growth(0.1, several, data=160)[0] == spread_growth(0.1, FULL, data=160)


def test_fresh_noise_stands_still_at_its_rate_and_the_average_noise_allows_more():
    for inputs, variance, keys in product((1, 5, 100), (0.1, 2.0), ("symmetric", "detached")):
        setting = Setting(0.5, 8, 16, loss="full", gradient="tangent", keys=keys)
        rate = fresh_noise_rate(setting, inputs=inputs, variance=variance)
        assert fresh_noise_growth(rate, setting, inputs=inputs, variance=variance) == pytest.approx(1, rel=1e-12)
        for factor in (0.9, 0.99):
            assert fresh_noise_growth(factor * rate, setting, inputs=inputs, variance=variance) < 1
        average = 2 / 8 / (2 * setting.pull / 0.5 * variance * 14 / 15)
        assert rate == pytest.approx(average * 8 / (8 + inputs + 1), rel=1e-12)


def test_lms_with_many_draws_of_the_filter_itself():
    rng = np.random.default_rng(0)
    b, p = 3, 4
    c = 1.1 / (b + p + 1)
    g = rng.standard_normal((100_000, b, p))
    w = np.eye(p)[0] - c * np.einsum("nbp,nb->np", g, g[:, :, 0])
    rate = c / (2 * 2 / 0.5 * 0.5 * 4 / 5)
    expected = fresh_noise_growth(rate, Setting(0.5, 8, 6, loss="full", gradient="tangent"), inputs=p, variance=0.5)
    assert (w**2).sum(axis=1).mean() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    "setting, data, message",
    [
        (Setting(0.5, 8, 16), 32, "^loss must be full, got 'merged'"),
        (Setting(0.5, 8, 2, loss="full"), 32, "^samples must be a whole number >= 4, got 2"),
        (FULL, 14, "^data must be a whole number >= 16, got 14"),
        (FULL, 33, "^data must be even, got 33"),
    ],
)
def test_wrong_input(setting, data, message):
    for growth in (view_growth_rate, spread_growth):
        with pytest.raises(ValueError, match=message):
            growth(0.1, setting, data=data)


def test_wrong_noise():
    with pytest.raises(ValueError, match="^inputs must be a whole number >= 1, got 0"):
        fresh_noise_rate(FULL, inputs=0, variance=1.0)
    with pytest.raises(ValueError, match="^variance must be a finite number > 0, got 0"):
        fresh_noise_growth(0.1, FULL, inputs=1, variance=0)
    with pytest.raises(ValueError, match="^gradient must be tangent for shared weights"):
        fresh_noise_rate(Setting(0.5, 8, 16, loss="full"), inputs=1, variance=1.0)


def test_derivation_closes_and_equals_the_code():
    proof = minibatch.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    b, N, y, c, p = sp.symbols("b N y c p", positive=True)
    spread, noise = (sp.lambdify((b, N, y, c, p), proof.formulas[name]) for name in ("spread", "fresh noise"))
    mu = 0.07
    y_now, c_now = 4 * mu * 16 / 15, 8 * mu * 0.3 * 14 / 15
    assert spread_growth(mu, FULL, data=64) == pytest.approx(spread(8, 32, y_now, 0, 0), rel=1e-12)
    assert fresh_noise_growth(mu, FULL, inputs=5, variance=0.3) == pytest.approx(noise(8, 0, 0, c_now, 5), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(minibatch, "_closed_forms")
    assert {"fresh noise", "edge", "spread, all samples", "spread, b = 2, N = 4", "spread, b = 4, N = 5"} <= broken


def test_a_wrong_noise_factor_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(minibatch, "_noise_factor") == {"c"}
