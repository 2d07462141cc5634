import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    alignment_collapse_rate,
    collapse,
    collapse_rate,
    exact_rate,
    loss_at_collapse,
    spread_multiplier,
    view_multiplier,
)


@pytest.mark.parametrize("n, tau", list(product((8, 32, 256), (0.1, 0.5, 2.0))))
def test_collapse_rate_is_tau_times_n_minus_1_over_n_minus_2(n, tau):
    expected = tau * (n - 1) / (n - 2)
    assert collapse_rate(Setting(tau, 8, n)) == pytest.approx(expected, rel=1e-15)
    assert collapse_rate(Setting(tau, 8, n, keys="detached")) == pytest.approx(2 * expected, rel=1e-15)
    assert collapse_rate(Setting(tau, 8, n, reduction="mean")) == pytest.approx(n * expected, rel=1e-15)
    assert alignment_collapse_rate(Setting(tau, 8, n, loss="full")) == pytest.approx(expected, rel=1e-15)


def test_momentum_moves_both_rates():
    """1.5 times the rate of the views; the merged points need tau (1+b)(1-b)(n-1)/((1-b)(n-1)-(1+b)) (T14)."""
    assert alignment_collapse_rate(Setting(0.5, 8, 32, loss="full", momentum=0.5)) == pytest.approx(0.75 * 31 / 30)
    assert exact_rate(Setting(0.5, 8, 32, momentum=0.5)) == pytest.approx(0.375 * 31 / (0.5 * 31 - 1.5))


@pytest.mark.parametrize("keys, reduction", list(product(("symmetric", "detached"), ("sum", "mean"))))
def test_multipliers_pass_minus_one_at_the_critical_rate(keys, reduction):
    merged = Setting((0.1, 0.5, 2.0), 8, 12, keys=keys, reduction=reduction)
    np.testing.assert_allclose(spread_multiplier(collapse_rate(merged), merged), -1, rtol=1e-14)
    full = Setting((0.1, 0.5, 2.0), 8, 12, loss="full", keys=keys, reduction=reduction)
    np.testing.assert_allclose(view_multiplier(exact_rate(full), full), -1, rtol=1e-14)


def test_collapse_never_attracts_elsewhere():
    assert collapse_rate(Setting(0.5, 8, 32, gradient="tangent")) is None
    assert collapse_rate(Setting(0.5, 8, 32, loss="full")) is None
    assert collapse_rate(Setting(0.5, 8, 2)) is None
    assert alignment_collapse_rate(Setting(0.5, 8, 32)) is None
    assert alignment_collapse_rate(Setting(0.5, 8, 2, loss="full")) is None
    rates = np.geomspace(1e-3, 1e3, 50)
    for loss, gradient in (("merged", "tangent"), ("full", "ambient"), ("full", "tangent")):
        assert np.all(spread_multiplier(rates, Setting(0.5, 8, 32, loss=loss, gradient=gradient)) > 1)


def test_infinite_multiplier_where_the_point_is_sent_to_the_origin():
    assert math.isinf(spread_multiplier(0.25, Setting(0.5, 8, 32)))


@pytest.mark.parametrize("loss, reduction", list(product(("merged", "full"), ("sum", "mean"))))
def test_loss_at_collapse_by_hand(loss, reduction):
    n, tau = 50, 0.07
    per_anchor = math.log(sum(math.exp(1 / tau) for _ in range(n - 1))) - (1 / tau if loss == "full" else 0)
    expected = per_anchor * (n if reduction == "sum" else 1)
    setting = Setting(tau, 8, n, loss=loss, reduction=reduction)
    assert loss_at_collapse(setting) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("batch, reported", [(256, 8.909), (64, 6.920), (25, 5.5597)])
def test_numbers_that_users_post_in_bug_reports(batch, reported):
    """SupContrast scales its loss by tau / 0.07; stuck runs at tau = 0.1 show (0.1/0.07) log(2B - 1)."""
    value = 0.1 / 0.07 * loss_at_collapse(Setting(0.1, 128, 2 * batch, loss="full", reduction="mean"))
    assert value == pytest.approx(reported, abs=5e-4)


def test_wrong_input():
    with pytest.raises(ValueError, match="^samples must be >= 3, got 2"):
        exact_rate(Setting(0.5, 8, 2))
    with pytest.raises(ValueError, match="^loss must be full, got 'merged'"):
        view_multiplier(0.1, Setting(0.5, 8, 8))


def test_derivation_closes_and_equals_the_code():
    proof = collapse.derive()
    assert proof.open_zeros() == {}
    symbols = sp.symbols("mu n tau pull", positive=True)
    formulas = {name: sp.lambdify(symbols, formula) for name, formula in proof.formulas.items()}
    for keys, reduction, n in product(("symmetric", "detached"), ("sum", "mean"), (4, 32)):
        ambient = Setting(0.3, 8, n, keys=keys, reduction=reduction)
        tangent = Setting(0.3, 8, n, gradient="tangent", keys=keys, reduction=reduction)
        full = Setting(0.3, 8, n, loss="full", keys=keys, reduction=reduction)
        at = (0.2, n, 0.3, ambient.pull)
        assert spread_multiplier(0.2, ambient) == pytest.approx(formulas["merged ambient"](*at), rel=1e-12)
        assert spread_multiplier(0.2, tangent) == pytest.approx(formulas["merged tangent"](*at), rel=1e-12)
        assert spread_multiplier(0.2, full) == pytest.approx(formulas["merged tangent"](*at), rel=1e-12)
        assert view_multiplier(0.2, full) == pytest.approx(formulas["view_multiplier"](*at), rel=1e-12)
        assert exact_rate(ambient) == pytest.approx(formulas["exact_rate"](*at), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(collapse, "_closed_forms")
    assert broken == set(collapse.derive().zeros) - {"loss at collapse", "loss at collapse, full"}
