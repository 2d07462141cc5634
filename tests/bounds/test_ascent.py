import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting, ascent, ascent_rates, largest_loss, loss_at_collapse


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def loss_by_loop(z, setting):
    """The loss from its definition, no formula of the theorem."""
    n, tau = setting.samples, setting.temperature
    total = 0.0
    for i in range(n):
        total += math.log(sum(math.exp(z[i] @ z[a] / tau) for a in range(n) if a != i))
        total -= z[i] @ z[(i + n // 2) % n] / tau if setting.loss == "full" else 0
    return total / (n if setting.reduction == "mean" else 1)


def gradient_by_differences(z, setting, size=1e-6):
    g = np.zeros_like(z)
    for place in np.ndindex(z.shape):
        shift = np.zeros_like(z)
        shift[place] = size
        g[place] = (loss_by_loop(z + shift, setting) - loss_by_loop(z - shift, setting)) / (2 * size)
    return g


@pytest.mark.parametrize("loss, rate", list(product(("merged", "full"), (0.2, 2.0, 50.0))))
def test_a_step_is_what_the_rates_say(loss, rate):
    setting = Setting(0.5, 3, 6, loss=loss)
    z = unit(np.random.default_rng(3).standard_normal((6, 3)))
    g = gradient_by_differences(z, setting)
    rates = ascent_rates(z, g, rate)
    rho = (z * g).sum(axis=1)
    climbed = unit(z + rates[:, None] * (g - rho[:, None] * z))
    sign = np.where(rate * rho > 1, -1.0, 1.0)  # a mirrored row where it climbs
    np.testing.assert_allclose(unit(z - rate * g), sign[:, None] * climbed, atol=1e-12)
    np.testing.assert_array_equal(rates > 0, rate * rho > 1)


def test_rates_tend_to_one_over_rho():
    z = np.array([[1.0, 0.0]])
    assert ascent_rates(z, np.array([[4.0, 1.0]]), 1e9) == pytest.approx(0.25)
    assert ascent_rates(z, np.array([[4.0, 1.0]]), 0.25) == math.inf
    assert ascent_rates(z, np.array([[-4.0, 1.0]]), 0.25) == pytest.approx(-0.125)


def the_maximum(setting):
    z = np.zeros((setting.samples, setting.dimension))
    z[:, 0] = 1
    if setting.loss == "full":
        z[setting.samples // 2 :] *= -1
    return z


@pytest.mark.parametrize("loss, reduction", list(product(("merged", "full"), ("sum", "mean"))))
@pytest.mark.parametrize("n, tau", [(2, 0.5), (4, 0.3), (6, 3.0), (10, 0.1)])
def test_the_largest_loss_is_taken_at_its_state(loss, reduction, n, tau):
    setting = Setting(tau, 3, n, loss=loss, reduction=reduction)
    assert largest_loss(setting) == pytest.approx(loss_by_loop(the_maximum(setting), setting), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("n, d, tau", [(4, 2, 4.0), (6, 3, 0.5), (8, 2, 1.0), (6, 2, 0.2), (8, 3, 3.0), (4, 4, 0.05)])
def test_nothing_lies_above_the_largest_loss(n, d, tau):
    """Gradient-free ascent from random points and from beside the maximum."""
    setting = Setting(tau, d, n, loss="full")
    top = largest_loss(setting)
    rng = np.random.default_rng(0)
    for start in range(6):
        z = (
            unit(rng.standard_normal((n, d)))
            if start % 2
            else unit(the_maximum(setting) + 0.1 * rng.normal(size=(n, d)))
        )
        value, size = loss_by_loop(z, setting), 0.5
        for _ in range(400):
            moved = unit(z + size * rng.standard_normal((n, d)))
            new = loss_by_loop(moved, setting)
            if new > value:
                z, value = moved, new
            else:
                size = max(1e-3, 0.98 * size)
        assert value <= top * (1 + 1e-12)
        assert value > 0.9 * top  # the search climbs, so the line above could fail


def test_eight_terms_of_two_samples():
    """The lemma itself: random views of two samples, and views near where it is attained."""
    rng = np.random.default_rng(1)
    a = unit(rng.standard_normal((20000, 4, 3)))
    line = np.array([1.0, -1.0, 1.0, -1.0])[:, None] * np.array([1.0, 0, 0])
    near = unit(line + 0.1 * rng.standard_normal((20000, 4, 3)))
    for z in (a, near, line[None]):
        s = z @ z.swapaxes(1, 2)
        gaps = np.stack([s[:, i, j] - s[:, k, k + 1] for i, j in ascent.EDGES for k in (0, 2)])
        assert np.maximum(gaps, 0).sum(axis=0).max() <= 8 + 1e-12
        for tau in (0.1, 1.0, 10.0):
            assert np.exp(gaps / tau).sum(axis=0).max() <= (4 + 4 * math.exp(2 / tau)) * (1 + 1e-12)
    assert np.maximum(gaps, 0).sum() == pytest.approx(8)


def test_no_temperature_overflows():
    assert largest_loss(Setting(1e-4, 3, 8, loss="full", reduction="mean")) == pytest.approx(2e4 + math.log(3))
    assert largest_loss(Setting(1e-4, 3, 2, loss="full")) == 0
    values = largest_loss(Setting((0.1, 0.5), 3, 8, loss="full"))
    assert values.tolist() == [largest_loss(Setting(tau, 3, 8, loss="full")) for tau in (0.1, 0.5)]


def test_wrong_input():
    z = np.ones((2, 3))
    with pytest.raises(ValueError, match="^rate must be a finite number > 0, got 0"):
        ascent_rates(z, z, 0)
    with pytest.raises(ValueError, match=r"^gradients must have the shape of the embeddings, \(2, 3\), got"):
        ascent_rates(z, z[:1], 1.0)


def test_derivation_closes_and_equals_the_code():
    proof = ascent.derive()
    assert proof.open_zeros() == {}
    n, tau, mu, rho = sp.symbols("n tau mu rho", positive=True)
    rates = sp.lambdify((mu, rho), proof.formulas["ascent_rates"])
    z, g = np.array([[0.6, 0.8]]), np.array([[2.0, 1.0]])
    assert ascent_rates(z, g, 0.7) == pytest.approx(rates(0.7, 2.0), rel=1e-12)
    for loss in ("merged", "full"):
        largest = sp.lambdify((n, tau), proof.formulas[f"largest_loss, {loss}"])
        for count, temperature in ((4, 0.1), (32, 0.5), (10, 5.0)):
            setting = Setting(temperature, 3, count, loss=loss)
            assert largest_loss(setting) == pytest.approx(float(largest(count, temperature)), rel=1e-12)
    assert largest_loss(Setting(0.5, 3, 8)) == loss_at_collapse(Setting(0.5, 3, 8))


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(ascent, "_closed_forms")
    assert broken == {
        "step, axis 1", "step, axis 2", "step, axis 3", "merged, every cosine 1", "full, on the line",
        "T4 is ascent on T2's curvature", "rate of collapse at mu = infinity",
    }  # fmt: skip
