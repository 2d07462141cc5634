import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    apart_curvature,
    is_rank_one_minimum,
    lowest_rank_one_curvature,
    rank_one_hessian,
    rank_one_minima,
    together_curvature,
)


def patterns(n):
    return [(1, *rest) for rest in product((1, -1), repeat=n - 1)]


def loss_on_circle(angles, setting):
    """The loss from its definition, embeddings on the unit circle."""
    n, tau = setting.samples, setting.temperature
    s = np.cos(angles[:, None] - angles[None, :])
    total = sum(math.log(sum(math.exp(s[i, a] / tau) for a in range(n) if a != i)) for i in range(n))
    if setting.loss == "full":
        total -= sum(s[i, (i + n // 2) % n] for i in range(n)) / tau
    return total / (n if setting.reduction == "mean" else 1)


@pytest.mark.parametrize("loss, n, tau, reduction", [
    ("full", 4, 0.5, "sum"), ("full", 6, 2.0, "mean"), ("merged", 3, 0.5, "sum"), ("merged", 5, 0.3, "mean"),
])  # fmt: skip
def test_hessian_against_finite_differences(loss, n, tau, reduction):
    setting = Setting(tau, 3, n, loss=loss, reduction=reduction)
    size, unit = 1e-3, np.eye(n)
    for signs in patterns(n)[:: max(1, n - 3)]:
        base = np.where(np.array(signs) > 0, 0.0, np.pi)

        def at(shift, base=base, signs=signs):  # a displacement delta along one direction turns by sigma delta
            return loss_on_circle(base + np.array(signs) * shift, setting)

        found = np.array([[
            (at(size * (u + v)) - at(size * (u - v)) - at(size * (v - u)) + at(-size * (u + v))) / (4 * size**2)
            for u in unit] for v in unit])  # fmt: skip
        np.testing.assert_allclose(found, rank_one_hessian(signs, setting), atol=2e-4 / tau**2)


@pytest.mark.parametrize("samples, tau, value", [
    (3, 0.5, -4.8), (3, 20.0, -0.0448), (4, 0.5, -4.571), (4, 20.0, -0.00575), (5, 0.5, -4.444), (5, 20.0, -0.0271),
])  # fmt: skip
def test_values_of_the_document(samples, tau, value):
    """The largest lowest curvature of all sign patterns: negative, so none is a minimum."""
    setting = Setting(tau, 3, 2 * samples, loss="full")
    largest = max(lowest_rank_one_curvature(signs, setting) for signs in patterns(2 * samples))
    assert largest == pytest.approx(value, rel=2e-3)
    assert not any(is_rank_one_minimum(signs, setting) for signs in patterns(2 * samples))


@pytest.mark.parametrize("tau", (0.2, 1.0, 20.0))
def test_two_samples_have_one_minimum(tau):
    setting, q = Setting(tau, 3, 4, loss="full"), math.exp(-2 / tau)
    minima = [signs for signs in patterns(4) if lowest_rank_one_curvature(signs, setting) > 0]
    assert minima == [(1, -1, 1, -1)] == [signs for signs in patterns(4) if is_rank_one_minimum(signs, setting)]
    assert lowest_rank_one_curvature(minima[0], setting) == pytest.approx(8 * q / (1 + 2 * q) / tau, rel=1e-9)
    rng = np.random.default_rng(0)
    best = 4 * math.log(1 + 2 * q)
    assert loss_on_circle(np.array([0, np.pi, 0, np.pi]), setting) == pytest.approx(best)
    assert min(loss_on_circle(rng.uniform(0, 7, 4), setting) for _ in range(3000)) >= best


@pytest.mark.parametrize("n", (2, 3, 4, 5))
def test_merged_loss(n):
    for tau, signs in product((0.3, 1.0, 10.0), patterns(n)):
        setting = Setting(tau, 3, n)
        expected = (n, signs) == (2, (1, -1))
        assert is_rank_one_minimum(signs, setting) is expected
        assert (lowest_rank_one_curvature(signs, setting) > 0) is expected


@pytest.mark.parametrize("reduction", ("sum", "mean"))
def test_all_equal_is_t2(reduction):
    setting = Setting(0.5, 3, 8, loss="full", reduction=reduction)
    values = np.linalg.eigvalsh(rank_one_hessian([1] * 8, setting))
    expected = [together_curvature(setting)] * 3 + [0] + [apart_curvature(setting)] * 4
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_opposite_signs_are_the_same_state():
    setting = Setting(0.5, 3, 6, loss="full")
    signs = np.array([1, -1, -1, 1, 1, -1])
    np.testing.assert_array_equal(rank_one_hessian(signs, setting), rank_one_hessian(-signs, setting))


def test_wrong_input():
    setting = Setting(0.5, 3, 4, loss="full")
    for signs in ((1, 1, 1), (1, 1, 1, 0), (1, 1, 1, 0.5)):
        with pytest.raises(ValueError, match=r"^signs must be 4 numbers \+1 or -1, got"):
            rank_one_hessian(signs, setting)
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        is_rank_one_minimum((1, 1), Setting((0.1, 0.5), 3, 2))
    with pytest.raises(ValueError, match="^samples must be >= 4 for the full loss, got 2"):
        is_rank_one_minimum((1, 1), Setting(0.5, 3, 2, loss="full"))


def test_derivation_closes_and_equals_the_code():
    proof = rank_one_minima.derive()
    assert proof.open_zeros() == {}
    a, b, q = sp.symbols("a b q", positive=True)
    side = sp.lambdify((a, b, q), proof.formulas["side"])
    tau = 0.7
    for n, larger in ((6, 6), (6, 4), (5, 3), (2, 1)):
        signs = [1] * larger + [-1] * (n - larger)
        hessian = rank_one_hessian(signs, Setting(tau, 3, n))
        spread = np.zeros(n)
        spread[: min(2, larger)] = (1, -1)[: min(2, larger)]
        if larger > 1:
            assert spread @ hessian @ spread / 2 * tau == pytest.approx(side(larger, n - larger, math.exp(-2 / tau)))
    best = np.linalg.eigvalsh(rank_one_hessian([1, -1, 1, -1], Setting(tau, 3, 4, loss="full")))
    named = [
        float(proof.formulas[f"two samples, {name}"].subs(q, math.exp(-2 / tau))) / tau for name in ("spread", "apart")
    ]
    np.testing.assert_allclose(best, [0, named[0], named[1], named[1]], atol=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(rank_one_minima, "_closed_forms") == {
        "side", "h at 0", "h at 1", "h is concave", "attraction adds -2 for a partner opposite",
    }  # fmt: skip


def test_a_wrong_hessian_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(rank_one_minima, "_hessian")
    assert {"full, ++++", "full, +++-", "full, ++--", "full, +-+-", "merged, +++-", "two samples: curvatures"} <= broken
