import math
from itertools import product

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import optimize

from clopsim.bounds.class_enclosures import enclose_class_cosine
from clopsim.bounds.equilibrium import (
    class_cosine,
    class_effective_rank,
    class_equilibrium,
    class_weight,
    derive,
)

SETTINGS = [(4, 8, 8, 0.5), (3, 10, 16, 0.2), (5, 4, 9, 1.0), (2, 3, 2, 0.5), (3, 1, 4, 0.5)]
"""(K, m, d, tau)."""


def named(K, m, d, tau):
    return {"classes": K, "per_class": m, "dimension": d, "temperature": tau}


def class_loss(v, weight, m, tau):
    """Slow loop over the K class points v (K, d), m samples on each: merged loss with prototypes c_k = e_k, sum."""
    total = 0.0
    for k in range(len(v)):
        denominator = (m - 1) * math.exp(1 / tau)
        for other in range(len(v)):
            if other != k:
                denominator += m * math.exp(v[k] @ v[other] / tau)
        total += m * math.log(denominator) + weight * m * (1 - v[k, k])
    return total


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    theta, s, K, m, tau = sp.symbols("theta s K m tau", positive=True)
    weight = sp.lambdify((theta, K, m, tau), proof.formulas["class_weight"], "math")
    cosine = sp.lambdify((theta, K), proof.formulas["class_cosine"], "math")
    rank = sp.lambdify((s, K), proof.formulas["class_effective_rank"], "math")
    for (K, m, _, tau), share in product(SETTINGS, (0.1, 0.5, 0.9)):
        angle = share * math.atan(1 / math.sqrt(K - 1))
        got = class_weight(angle, classes=K, per_class=m, temperature=tau)
        assert got == pytest.approx(weight(angle, K, m, tau), rel=1e-12)
        assert class_cosine(angle, classes=K) == pytest.approx(cosine(angle, K), rel=1e-12)
        assert class_effective_rank(0.7 * share, classes=K) == pytest.approx(rank(0.7 * share, K), rel=1e-12)


@pytest.mark.parametrize("K, m, d, tau", SETTINGS)
@pytest.mark.parametrize("weight", (2.0, 12.0))
def test_no_class_collapsed_state_has_a_smaller_loss(K, m, d, tau, weight):
    """Minimising over all K points at random finds T8's state and nothing lower: the independent oracle."""
    state = class_equilibrium(weight, allow_unstable=True, **named(K, m, d, tau))

    def loss(x):
        v = x.reshape(K, d)
        return class_loss(v / np.linalg.norm(v, axis=1, keepdims=True), weight, m, tau)

    b = (np.ones((K, K)) - np.eye(K)) @ np.eye(K, d) / math.sqrt(K - 1)
    closed = loss((math.cos(state.angle) * np.eye(K, d) - math.sin(state.angle) * b).ravel())
    for seed in range(2):
        found = optimize.minimize(loss, np.random.default_rng(seed).normal(size=K * d), method="BFGS", tol=1e-9)
        v = found.x.reshape(K, d)
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        cosines = (v @ v.T)[~np.eye(K, dtype=bool)]
        assert found.fun == pytest.approx(closed, rel=1e-10)
        np.testing.assert_allclose(cosines, state.cosine, atol=2e-5)
        shares = np.linalg.eigvalsh(v @ v.T / K).clip(1e-300)
        assert math.exp(-(shares * np.log(shares)).sum()) == pytest.approx(state.effective_rank, rel=1e-4)


@pytest.mark.parametrize("weight, expected", [(4, -0.1328), (8, -0.0814), (16, -0.0459), (64, -0.0127)])
def test_reference_values_and_their_enclosures(weight, expected):
    setting = named(4, 8, 8, 0.5)
    state = class_equilibrium(weight, **setting)
    assert state.cosine == pytest.approx(expected, abs=5e-5)
    assert state.is_equilibrium
    low, high = enclose_class_cosine(weight, **setting)
    assert 0 < high - low < 1e-15
    assert low - 1e-15 < state.cosine < high + 1e-15


def fifty_digits(weight, K, m, tau, start):
    """The balance of theory.md solved in mpmath from a start; the cosine at its root."""
    mpf, sqrt = mpmath.mpf, mpmath.sqrt

    def cosine(theta):
        p, q = mpmath.cos(theta), -mpmath.sin(theta) / sqrt(K - 1)
        return 2 * p * q + (K - 2) * q**2

    def balance(theta):
        inside, outside = mpmath.exp(1 / mpf(tau)), mpmath.exp(cosine(theta) / mpf(tau))
        P = m * outside / ((m - 1) * inside + (K - 1) * m * outside)
        p, q, root = mpmath.cos(theta), mpmath.sin(theta), sqrt(K - 1)
        return 2 * P / mpf(tau) * (p - root * q) * (q + root * p) - weight * q

    return cosine(mpmath.findroot(balance, (mpf(start), mpf(start) * mpf("1.0001")), tol=1e-90, verify=False))


@pytest.mark.parametrize("K, m, d, tau", [*SETTINGS, (20, 3, 20, 0.02)])
@pytest.mark.parametrize("multiple", (1.5, 1e6))
def test_enclosures_against_fifty_digits(K, m, d, tau, multiple):
    """The root lies in the enclosure; that of a weight 1e-12 off does not."""
    setting = named(K, m, d, tau)
    weight = multiple * (class_equilibrium(1e9, **setting).critical_weight or 0.1)
    start = class_equilibrium(weight, **setting).angle
    low, high = enclose_class_cosine(weight, **setting)
    with mpmath.workdps(60):
        assert low <= fifty_digits(mpmath.mpf(weight), K, m, tau, start) <= high
        assert not low <= fifty_digits(mpmath.mpf(weight) * (1 + mpmath.mpf("1e-12")), K, m, tau, start) <= high


def test_enclosure_leaves_the_precision_of_flint_alone():
    from flint import ctx

    before = ctx.prec
    enclose_class_cosine(8.0, **named(4, 8, 8, 0.5))
    with pytest.raises(ValueError, match="^weight must be > critical_weight"):
        enclose_class_cosine(1.0, **named(4, 8, 8, 0.5))
    assert ctx.prec == before


@pytest.mark.parametrize("K, m, d, tau", SETTINGS)
def test_weight_and_angle_are_inverse_and_fall(K, m, d, tau):
    weights = np.geomspace(0.05, 1e6, 30)
    states = [class_equilibrium(weight, allow_unstable=True, **named(K, m, d, tau)) for weight in weights]
    for weight, state in zip(weights, states, strict=True):
        assert class_weight(state.angle, classes=K, per_class=m, temperature=tau) == pytest.approx(weight, rel=1e-9)
    assert np.all(np.diff([state.angle for state in states]) < 0)
    assert np.all(np.diff([state.cosine for state in states]) > 0)
    assert np.all(np.diff([state.effective_rank for state in states]) >= 0)
    assert class_weight(math.atan(1 / math.sqrt(K - 1)), classes=K, per_class=m, temperature=tau) < 1e-14


def test_limits():
    for K in (2, 4, 10):
        simplex = class_equilibrium(1e-9, **named(K, 1, K, 0.5))  # m = 1: an equilibrium at every weight
        assert simplex.cosine == pytest.approx(-1 / (K - 1), rel=1e-12)
        assert simplex.effective_rank == pytest.approx(K - 1, rel=1e-6)
        assert simplex.is_equilibrium
        frame = class_equilibrium(1e9, **named(K, 5, K, 0.5))
        assert frame.cosine == pytest.approx(0, abs=1e-8)
        assert frame.effective_rank == pytest.approx(K, rel=1e-12)
    assert class_effective_rank(1.0, classes=4) == 1.0


@pytest.mark.parametrize("weight, tau", list(product((1e-300, 1e-3, 1e3, 1e300), (1e-4, 0.01, 1.0, 1e8))))
@pytest.mark.parametrize("K, m, d", [(2, 1, 2), (20, 3, 20), (3, 1000, 8)])
def test_extremes_stay_finite(weight, tau, K, m, d):
    setting = named(K, m, d, tau)
    state = class_equilibrium(weight, allow_unstable=True, **setting)
    assert 0 < state.angle <= math.atan(1 / math.sqrt(K - 1))
    assert -1 / (K - 1) - 1e-15 <= state.cosine <= 0
    assert K - 1 - 1e-12 <= state.effective_rank <= K * (1 + 1e-12)
    if state.is_equilibrium:
        low, high = enclose_class_cosine(weight, **setting)
        assert low <= high
        assert low - 2e-16 * K <= state.cosine <= high + 2e-16 * K


def test_refuses_below_the_critical_weight():
    setting = named(4, 8, 8, 0.5)
    with pytest.raises(
        ValueError, match=r"^weight must be > critical_weight = 3.28229, got 3.2; below it the classes keep"
    ):
        class_equilibrium(3.2, **setting)
    assert not class_equilibrium(3.2, allow_unstable=True, **setting).is_equilibrium
    assert class_equilibrium(3.3, **setting).is_equilibrium


def test_wrong_input():
    good = named(4, 8, 8, 0.5)
    for weight in (0.0, -1.0, math.nan, math.inf, True):
        with pytest.raises(ValueError, match="^weight must be a finite number > 0"):
            class_equilibrium(weight, **good)
    for change, message in (
        ({"classes": 9}, "^classes must be <= dimension, got 9 > 8"),
        ({"per_class": 2.5}, "^per_class must be a whole number >= 1, got 2.5"),
        ({"temperature": -0.5}, "^temperature must be a finite number > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            class_equilibrium(8.0, **good | change)
        with pytest.raises(ValueError, match=message):
            enclose_class_cosine(8.0, **good | change)
    with pytest.raises(ValueError, match="^angle must be <= arctan"):
        class_weight(0.6, classes=4, per_class=8, temperature=0.5)
    with pytest.raises(ValueError, match="^angle must be a finite number > 0"):
        class_cosine(-0.1, classes=4)
    for cosine in (-0.4, 1.1):
        with pytest.raises(ValueError, match=r"^cosine must be in \[-1/\(classes - 1\), 1\]"):
            class_effective_rank(cosine, classes=4)
    with pytest.raises(ValueError, match="^classes must be a whole number >= 2, got 1"):
        class_effective_rank(0.5, classes=1)
    with pytest.raises(ValueError, match="^classes must be a whole number >= 2, got 1"):
        class_cosine(0.1, classes=1)
