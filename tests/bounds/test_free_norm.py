from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting, free_norm
from clopsim.bounds.free_norm import (
    decayed_view_cosine,
    effective_rate,
    steady_squared_norm,
    swap_eigenvalue,
    two_view_step,
    view_growth,
)

FULL = Setting(0.5, 3, 64, loss="full", gradient="tangent")


def test_derivation_closes_and_equals_the_code():
    proof = free_norm.derive()
    assert proof.open_zeros() == {}
    symbols = (*sp.symbols("mu w tau pull", positive=True), sp.Symbol("beta", nonnegative=True))
    cosine, norm = (
        sp.lambdify(symbols, proof.formulas[name]) for name in ("decayed_view_cosine", "steady_squared_norm")
    )
    factors = [
        sp.lambdify((*symbols, *sp.symbols("X Y", positive=True)), proof.formulas[f"view_growth, {way}"])
        for way in ("along", "across")
    ]
    sigma = sp.lambdify((sp.Symbol("sigma", positive=True), *symbols), proof.formulas["swap_eigenvalue"])
    for mu, w, tau, beta in ((0.1, 1.0, 0.5, 0.0), (3.0, 0.01, 0.07, 0.5), (1.0, 0.3, 2.0, 0.9)):
        for keys, reduction in (("symmetric", "sum"), ("detached", "mean")):
            setting = Setting(tau, 8, 64, loss="full", gradient="tangent", keys=keys, reduction=reduction)
            at = (mu, w, tau, setting.pull, beta)
            assert decayed_view_cosine(mu, weight_decay=w, momentum=beta) == pytest.approx(cosine(*at), rel=1e-12)
            assert steady_squared_norm(mu, replace(setting, momentum=beta)) == pytest.approx(norm(*at), rel=1e-12)
            eigenvalue = swap_eigenvalue(mu, weight_decay=w, momentum=beta)
            assert abs(sigma(eigenvalue + beta / eigenvalue, *at)) < 1e-12
            pair = np.array([1.3, 0.4])
            after = two_view_step(pair, rate=mu, weight_decay=w, setting=setting)
            assert after / pair == pytest.approx([factor(*at, *pair) for factor in factors], rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(free_norm, "_closed_forms") >= {"the swap keeps X", "the swap turns Y"}


def test_wrong_factors_are_caught(broken_by_five_percent):
    assert broken_by_five_percent(free_norm, "_growth") >= {"the step along", "the step across", "the swap keeps X"}


def slow_pair_step(first, second, mu, w, tau):
    """Two views by finite differences of their own term -2 cos/tau of the loss; nothing of the theorem is used."""

    def energy(u):
        return -2 / tau * u @ second / (np.linalg.norm(u) * np.linalg.norm(second))

    slope = [(energy(first + h) - energy(first - h)) / 2e-6 for h in 1e-6 * np.eye(2)]
    return first - mu * (np.array(slope) + w * first)


@pytest.mark.parametrize("norm, angle", [(0.5, 0.2), (4.0, 1.0), (9.0, 0.05)])
def test_the_step_is_descent_on_the_pull_of_the_other_view(norm, angle):
    pair = np.sqrt(norm) * np.array([np.cos(angle / 2), np.sin(angle / 2)])
    after = two_view_step(pair, rate=1.3, weight_decay=0.07, setting=FULL)
    assert after == pytest.approx(slow_pair_step(pair, pair * [1, -1], 1.3, 0.07, 0.5), rel=1e-7)


@pytest.mark.parametrize("product", [0.01, 0.1, 0.5])
def test_the_swap_is_a_fixed_point_that_neither_attracts_nor_repels(product):
    norm, angle = steady_squared_norm(1.0, FULL), np.arccos(decayed_view_cosine(1.0, weight_decay=product))
    swap = np.sqrt(norm) * np.array([np.cos(angle / 2), np.sin(angle / 2)])

    def step(pair):
        return two_view_step(pair, rate=1.0, weight_decay=product, setting=FULL) * [1, -1]

    assert step(swap) == pytest.approx(swap, rel=1e-12)
    jacobian = np.stack([(step(swap + h) - step(swap - h)) / 2e-6 for h in 1e-6 * np.eye(2)], axis=1)
    eigenvalues = np.linalg.eigvals(jacobian)
    assert np.abs(eigenvalues) == pytest.approx([1, 1], abs=1e-8)
    assert np.abs(np.angle(eigenvalues)) == pytest.approx(np.full(2, 2 * np.arccos(1 - product)), rel=1e-7)
    assert swap_eigenvalue(1.0, weight_decay=product) == pytest.approx(np.exp(2j * np.arccos(1 - product)), rel=1e-12)


N7 = {(0.1, 0.01): 1.02022, (0.1, 0.1): 1.12325, (0.5, 0.01): 1.20615, (0.5, 0.1): 1.56527, (0.9, 0.01): 1.47170,
      (0.9, 0.1): 1.94354}  # fmt: skip
"""Largest |eigenvalue| of a numerical 4 x 4 Jacobian at (beta, mu w)."""


@pytest.mark.parametrize("momentum, product", N7)
def test_with_momentum_the_swap_repels(momentum, product):
    assert abs(swap_eigenvalue(2.0, weight_decay=product / 2, momentum=momentum)) == pytest.approx(
        N7[momentum, product], abs=1e-5
    )


def test_with_any_momentum_the_swap_repels():
    for momentum in (1e-4, 0.01, 0.3, 0.99):
        for product in (1e-4, 0.1, 0.5, 0.999):
            assert abs(swap_eigenvalue(1.0, weight_decay=product, momentum=momentum)) > 1


def test_nothing_settles_and_the_two_averages_are_those_of_t10():
    """A large orbit still swings widely after 3600 steps; the mean of 1 - cos is not mu w, the averages hold."""
    product, pair, seen = 0.03, np.sqrt(8.0) * np.array([np.cos(0.123), np.sin(0.123)]), []
    for _ in range(4000):
        norm = np.square(pair).sum()
        gap = 2 * pair[1] ** 2 / norm  # 1 - cos
        seen.append((norm, gap, *view_growth(1 - gap, norm, rate=1.0, weight_decay=product, setting=FULL)))
        pair = two_view_step(pair, rate=1.0, weight_decay=product, setting=FULL)
    norms, gaps, *factors = np.array(seen).T
    for part in (slice(0, 400), slice(3600, 4000)):
        assert norms[part].max() > 7.5
        assert norms[part].min() < 2.2
        assert gaps[part].max() > 10 * product
    for factor in factors:
        assert abs(np.log(np.abs(factor)).mean()) < 2.5e-3  # log|Y| has a range of 10, over 4000 steps
    assert gaps.mean() > 1.02 * product


@pytest.mark.parametrize("keys", ("symmetric", "detached"))
@pytest.mark.parametrize("reduction", ("sum", "mean"))
def test_effective_rate_is_1_at_the_swap(keys, reduction):
    setting = Setting(0.5, 8, 64, loss="full", gradient="tangent", keys=keys, reduction=reduction)
    steady = steady_squared_norm(3.0, setting)
    assert effective_rate(3.0, steady, setting) == pytest.approx(1, rel=1e-12)
    several = effective_rate(3.0, steady * np.array([0.5, 1.0, 4.0]), setting)
    assert several == pytest.approx([2, 1, 0.25], rel=1e-12)


def test_effective_rate_by_hand():
    heavy = Setting(0.5, 8, 64, "full", "tangent", momentum=0.9)
    assert effective_rate(1.9, 4.0, heavy) == pytest.approx(1.0)  # (1 + beta) times the plain threshold
    assert effective_rate(1.0, 4.0, Setting(0.5, 8, 64, "full", "tangent")) == pytest.approx(1.0)  # 1/4 over tau/2
    assert effective_rate(1.0, 0.0, Setting(0.5, 8, 64, "full", "tangent")) == float("inf")
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        effective_rate(1.0, 1.0, Setting(0.5, 8, 64))
    with pytest.raises(ValueError, match="^squared_norm must be >= 0, got -1.0"):
        effective_rate(1.0, -1.0, Setting(0.5, 8, 64, "full", "tangent"))


def test_wrong_input():
    with pytest.raises(ValueError, match="^weight_decay must keep rate"):
        decayed_view_cosine(10.0, weight_decay=0.1)
    with pytest.raises(ValueError, match="^weight_decay must be a finite number > 0, got 0"):
        decayed_view_cosine(1.0, weight_decay=0.0)
    with pytest.raises(ValueError, match="^rate must be a finite number > 0"):
        decayed_view_cosine(-1.0, weight_decay=0.1)
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        steady_squared_norm(1.0, Setting(0.5, 8, 64))
    with pytest.raises(ValueError, match="^momentum must be in"):
        swap_eigenvalue(1.0, weight_decay=0.1, momentum=1.0)
    with pytest.raises(ValueError, match="^cosine must be in"):
        view_growth(1.1, 1.0, rate=1.0, weight_decay=0.1, setting=FULL)
    with pytest.raises(ValueError, match="^squared_norm must be > 0"):
        view_growth(0.1, 0.0, rate=1.0, weight_decay=0.1, setting=FULL)
    with pytest.raises(ValueError, match="^pair must not be 0"):
        two_view_step(np.zeros(2), rate=1.0, weight_decay=0.1, setting=FULL)
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        two_view_step(np.ones(2), rate=1.0, weight_decay=0.1, setting=Setting(0.5, 8, 64))
    with pytest.raises(ValueError, match="^momentum must be 0 here, got 0.9; "):
        view_growth(0.1, 1.0, rate=1.0, weight_decay=0.1, setting=Setting(0.5, 8, 64, "full", "tangent", momentum=0.9))
