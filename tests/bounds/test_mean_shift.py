import math
from itertools import product

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from clopsim.bounds import Setting, mean_after_step, mean_length_bound, mean_shift, paper_range

CASES = list(product(("merged", "full"), ("symmetric", "detached"), ("sum", "mean")))


def configuration(seed: int, n: int, d: int, concentration: float) -> np.ndarray:
    """Random unit rows, spread (0) to nearly collapsed (large concentration)."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d)) + concentration * rng.standard_normal(d)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def mean_by_loop(z: np.ndarray, rate: float, setting: Setting) -> np.ndarray:
    """One ambient step, every term of the definition in a loop, no formula of the theorem."""
    n, tau = setting.samples, setting.temperature
    g = np.zeros_like(z)
    for i in range(n):
        others = [a for a in range(n) if a != i]
        total = sum(math.exp((z[i] @ z[a] - 1) / tau) for a in others)
        for a in others:
            p = math.exp((z[i] @ z[a] - 1) / tau) / total
            g[i] += p * z[a] / tau
            if setting.keys == "symmetric":
                g[a] += p * z[i] / tau
        if setting.loss == "full":
            j = (i + n // 2) % n
            g[i] -= z[j] / tau
            if setting.keys == "symmetric":
                g[j] -= z[i] / tau
    return (z - rate * g / (n if setting.reduction == "mean" else 1)).mean(axis=0)


states = st.tuples(
    st.integers(0, 10**6),
    st.integers(2, 6).map(lambda half: 2 * half),
    st.integers(2, 6),
    st.floats(0, 20),
    st.floats(0.02, 5),
    st.floats(0.01, 20),
)


@pytest.mark.parametrize("loss, keys, reduction", CASES)
@settings(deadline=None)  # a busy machine is no counterexample
@given(state=states)
def test_identity_equals_a_slow_loop(loss, keys, reduction, state):
    seed, n, d, concentration, tau, rate = state
    z = configuration(seed, n, d, concentration)
    setting = Setting(tau, d, n, loss=loss, keys=keys, reduction=reduction)
    expected = mean_by_loop(z, rate, setting)
    np.testing.assert_allclose(mean_after_step(z, rate, setting), expected, rtol=0, atol=1e-12 * (1 + rate / tau))


@pytest.mark.parametrize("loss, keys, reduction", CASES)
@settings(deadline=None)  # a busy machine is no counterexample
@given(state=states)
def test_inequality_holds_for_every_configuration(loss, keys, reduction, state):
    seed, n, d, concentration, tau, rate = state
    z = configuration(seed, n, d, concentration)
    setting = Setting(tau, d, n, loss=loss, keys=keys, reduction=reduction)
    cosines = (z @ z.T)[~np.eye(n, dtype=bool)]
    bound = mean_length_bound(
        min(1.0, float(np.linalg.norm(z.mean(axis=0)))),
        float(np.clip(cosines.max() - cosines.min(), 0, 2)),
        rate,
        setting=setting,
    )
    assert np.linalg.norm(mean_by_loop(z, rate, setting)) <= bound * (1 + 1e-12) + 1e-12 * (1 + rate / tau)


def test_bound_is_tight_at_complete_collapse():
    z = np.tile([0.6, 0.8], (6, 1))
    setting = Setting(0.5, 2, 6)
    length = np.linalg.norm(mean_after_step(z, 0.4, setting))
    assert mean_length_bound(1.0, 0.0, 0.4, setting=setting) == pytest.approx(length, rel=1e-12)
    assert length == pytest.approx(abs(1 - 2 * 0.4 / 0.5), rel=1e-12)


def test_the_constant_is_sharp_for_free_logits():
    """Rows that favour the same columns, 1/(1 + exp(D/2)) of them, by D; drawn and polished logits stay below."""
    rng, n = np.random.default_rng(0), 300

    def excess(logits):
        E = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.fill_diagonal(E, 0)
        return np.abs((E / E.sum(axis=1, keepdims=True)).sum(axis=0) - 1).sum()

    for D in (0.1, 1.0, 2.0):
        bound = n * mean_length_bound(0.0, D, 1.0, setting=Setting(1.0, 3, n))  # mu/tau = 1
        favoured = np.zeros((n, n))
        favoured[:, : round(n / (1 + np.exp(D / 2)))] = D
        assert 0.999 * bound < excess(favoured) <= bound
        assert excess(rng.uniform(0, D, (n, n))) <= bound
        assert excess(np.where(rng.random((n, n)) < 0.02, D - favoured, favoured)) <= bound


@pytest.mark.parametrize("tau", [1.0, 3.0, 30.0])
def test_half_the_constant_is_too_little_on_the_sphere(tau):
    """Two embeddings at one pole, one at the other; at mu = tau/2 the bound is its second term alone."""
    z, setting = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, -1.0]]), Setting(tau, 2, 3)
    measured = np.linalg.norm(mean_by_loop(z, tau / 2, setting))
    bound = mean_length_bound(1 / 3, 2.0, tau / 2, setting=setting)
    assert measured == pytest.approx(np.tanh(1 / tau) / 3, rel=1e-12)
    assert bound / 2 < measured < bound * 0.67


def test_no_temperature_overflows():
    z, setting = configuration(1, 6, 3, 30.0), Setting(0.001, 3, 6)
    np.testing.assert_allclose(mean_after_step(z, 0.001, setting), mean_by_loop(z, 0.001, setting), rtol=0, atol=1e-12)


def test_the_bound_stays_bounded_at_low_temperature():
    assert mean_length_bound(0.0, 2.0, 0.05, setting=Setting(0.05, 3, 8)) <= 2


def test_paper_range_is_centred_at_half_the_temperature():
    low, high = paper_range(Setting((0.1, 0.5), 8, 32))
    np.testing.assert_allclose((low + high) / 2, [0.05, 0.25], rtol=1e-15)
    assert paper_range(Setting(0.5, 8, 32, keys="detached", reduction="mean"))[1] == pytest.approx(32 * 2 * 0.5)


def test_wrong_input():
    z = configuration(0, 4, 3, 0.0)
    with pytest.raises(ValueError, match="^gradient must be ambient, got 'tangent'"):
        mean_after_step(z, 0.1, Setting(0.5, 3, 4, gradient="tangent"))
    with pytest.raises(ValueError, match="^rate must be a finite number > 0, got -1"):
        mean_after_step(z, -1, Setting(0.5, 3, 4))
    with pytest.raises(ValueError, match=r"^embeddings must have shape \(samples, dimension\) = \(5, 3\)"):
        mean_after_step(z, 0.1, Setting(0.5, 3, 5))
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        mean_after_step(z, 0.1, Setting((0.5, 1.0), 3, 4))
    with pytest.raises(ValueError, match="^spread must be in"):
        mean_length_bound(0.5, 3.0, 0.1, setting=Setting(0.5, 3, 4))
    with pytest.raises(ValueError, match="^mean_length must be in"):
        mean_length_bound(1.5, 1.0, 0.1, setting=Setting(0.5, 3, 4))


def test_derivation_closes_and_equals_the_code():
    proof = mean_shift.derive()
    assert proof.open_zeros() == {}
    mu, tau, w, pull, D, R = sp.symbols("mu tau w pull D R", positive=True)
    zbar, X = sp.symbols("zbar X", real=True)
    z = configuration(3, 6, 3, 1.0)
    for loss, keys, reduction in CASES:
        setting = Setting(0.4, 3, 6, loss=loss, keys=keys, reduction=reduction)
        weight = 1 / 6 if reduction == "mean" else 1.0
        E = np.exp(z @ z.T / 0.4)
        np.fill_diagonal(E, 0)
        excess = (E / E.sum(axis=1, keepdims=True)).sum(axis=0) - 1
        formula = sp.lambdify((mu, tau, w, pull, sp.Symbol("n"), zbar, X), proof.formulas[f"mean_after_step, {loss}"])
        expected = formula(0.3, 0.4, weight, setting.pull, 6, z.mean(axis=0), excess @ z)
        np.testing.assert_allclose(mean_after_step(z, 0.3, setting), expected, rtol=1e-12)
        if loss == "merged":
            bound = sp.lambdify((mu, tau, w, pull, D, R), proof.formulas["mean_length_bound"])
            assert mean_length_bound(0.5, 0.8, 0.3, setting=setting) == pytest.approx(
                float(bound(0.3, 0.4, weight, setting.pull, 2.0, 0.5)), rel=1e-12
            )
        upper = sp.lambdify((tau, pull), proof.formulas["paper_range"])
        assert paper_range(setting)[1] == pytest.approx(upper(0.4, setting.pull), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(mean_shift, "_largest_excess") == {
        "a row's excess is at most tanh(D/4)", "it is that at h = 1/(1 + x)", "tanh(D/4) in exponentials",
    }  # fmt: skip


def test_a_wrong_mean_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(mean_shift, "_closed_forms")
    assert broken == {f"{loss}, {keys} keys" for loss in ("merged", "full") for keys in ("symmetric", "detached")}
