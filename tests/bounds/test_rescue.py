import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting
from clopsim.bounds.rescue import derive, gradient_bound, leading_share_bound, rescue_angle

SETTINGS = [
    Setting(tau, 5, 8, loss=loss, keys=keys, reduction=reduction)
    for tau, loss, keys, reduction in product(
        (0.1, 1.0), ("merged", "full"), ("symmetric", "detached"), ("sum", "mean")
    )
]


def contrastive(z, setting):
    """Slow loop: Euclidean gradient of every embedding (n, d) and the column sums of the softmax (n,)."""
    n, tau = len(z), setting.tau
    softmax = np.zeros((n, n))
    for i in range(n):
        row = [math.exp((z[i] @ z[a] - 1) / tau) if a != i else 0.0 for a in range(n)]
        softmax[i] = np.array(row) / sum(row)
    g = np.zeros_like(z)
    for i, a in product(range(n), repeat=2):
        g[i] += softmax[i, a] * z[a] / tau
        if setting.keys == "symmetric":
            g[i] += softmax[a, i] * z[a] / tau
    if setting.loss == "full":
        g -= (2 if setting.keys == "symmetric" else 1) / tau * np.roll(z, n // 2, axis=0)
    return g / (n if setting.reduction == "mean" else 1), softmax.sum(axis=0)


def opposite(line, n):
    """Sample 0 at the line, all others at its other end: where the bounds are attained."""
    return np.concatenate([line[None], -np.repeat(line[None], n - 1, axis=0)])


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    lam, mu, c, tau, theta, K = sp.symbols("lambda mu c tau theta K", positive=True)
    bound = sp.lambdify((c, tau), proof.formulas["gradient_bound"])
    angle = sp.lambdify((lam, mu, c, tau), proof.formulas["rescue_angle"])
    share = sp.lambdify((theta, K), proof.formulas["leading_share_bound"])
    for tau, c, mu in product((0.1, 0.5, 2.0), (0.0, 0.7, 3.0), (0.1, 1.0, 100.0)):
        setting = Setting(tau, 5, 8)
        assert gradient_bound(c, setting) == pytest.approx(bound(c, tau), rel=1e-12)
        weight = 1.5 * ((1 + c) / tau + 1 / mu)
        assert rescue_angle(weight, mu, column_sum=c, setting=setting) == pytest.approx(
            angle(weight, mu, c, tau), rel=1e-12
        )
    for theta, K in product((0.0, 0.2, 0.7), (2, 4, 9)):
        assert leading_share_bound(theta, K) == pytest.approx(share(theta, K), rel=1e-12)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_no_gradient_is_longer_than_its_bound(setting):
    rng = np.random.default_rng(0)
    for concentration in (0.0, 1.0, 10.0):
        z = unit(rng.normal(size=(8, 5)) + concentration)
        g, columns = contrastive(z, setting)
        for gradient, c in zip(g, columns, strict=True):
            assert np.linalg.norm(gradient) <= gradient_bound(c, setting) * (1 + 1e-12)
    if setting.loss == "merged":
        g, columns = contrastive(opposite(unit(rng.normal(size=5)), 8), setting)
        assert np.linalg.norm(g[0]) == pytest.approx(gradient_bound(columns[0], setting), rel=1e-12)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("rate", (0.05, 1.0, 1e6))
def test_one_step_ends_within_the_angle_and_the_angle_is_attained(setting, rate):
    rng = np.random.default_rng(1)
    prototype = np.eye(5)[0]
    for concentration in (0.0, 3.0, 1e6):
        z = unit(rng.normal(size=(8, 5)) + concentration * rng.normal(size=5))
        g, columns = contrastive(z, setting)
        for i in range(8):
            weight = 1.2 * (gradient_bound(columns[i], setting) + 1 / rate)
            after = unit(z[i] - rate * (g[i] - weight * prototype))
            bound = rescue_angle(weight, rate, column_sum=columns[i], setting=setting)
            assert math.acos(min(1.0, after @ prototype)) <= bound * (1 + 1e-9)
    if setting.loss == "merged":
        c = contrastive(opposite(prototype, 8), setting)[1][0]
        length = 1 + rate * gradient_bound(c, setting)  # of z - mu g
        weight = 1.2 * length / rate
        cosine = -length / (rate * weight)  # then the step ends perpendicular to z_0
        z = opposite(np.array([cosine, math.sqrt(1 - cosine**2), 0, 0, 0]), 8)
        after = unit(z[0] - rate * (contrastive(z, setting)[0][0] - weight * prototype))
        bound = rescue_angle(weight, rate, column_sum=c, setting=setting)
        assert math.acos(after @ prototype) == pytest.approx(bound, rel=1e-9)


@pytest.mark.parametrize("K", (1, 2, 4, 7))
@pytest.mark.parametrize("angle", (0.0, 0.1, 0.5, 1.0, 2.0))
def test_leading_share_is_bounded_and_attained(K, angle):
    d, rng = K + 2, np.random.default_rng(2)
    prototypes = np.eye(K, d)
    bound = leading_share_bound(angle, K)

    def turned(towards):
        """Every prototype, m each, turned by up to the angle towards the directions (K, m, d)."""
        across = towards - (towards * prototypes[:, None]).sum(axis=-1, keepdims=True) * prototypes[:, None]
        norm = np.linalg.norm(across, axis=-1, keepdims=True)
        across = np.divide(across, norm, out=np.zeros_like(across), where=norm > 1e-12)
        return (math.cos(angle) * prototypes[:, None] + math.sin(angle) * across).reshape(-1, d)

    for _ in range(50):
        z = turned(rng.normal(size=(K, 3, d)) + 3 * rng.normal(size=d) * rng.integers(2))
        assert np.linalg.svd(z, compute_uv=False)[0] ** 2 / len(z) <= bound * (1 + 1e-12)
    assert bound <= max((1 / math.sqrt(K) + 2 * math.sin(angle / 2)) ** 2, 1 / K) * (1 + 1e-12)
    if angle <= math.acos(1 / math.sqrt(K)):
        z = turned(np.broadcast_to(prototypes.sum(axis=0), (K, 1, d)))
        assert np.linalg.svd(z, compute_uv=False)[0] ** 2 / K == pytest.approx(bound, rel=1e-12)
    else:
        assert bound == 1


def test_wrong_input():
    setting = Setting(0.5, 8, 32)
    with pytest.raises(ValueError, match="^weight must be > gradient_bound .* = 5, got 4.5; else the contrastive"):
        rescue_angle(4.5, 1.0, column_sum=1.0, setting=setting)
    with pytest.raises(ValueError, match="^weight must be a finite number > 0, got -1"):
        rescue_angle(-1.0, 1.0, column_sum=1.0, setting=setting)
    with pytest.raises(ValueError, match="^rate must be a finite number > 0, got 0"):
        rescue_angle(8.0, 0.0, column_sum=1.0, setting=setting)
    with pytest.raises(ValueError, match="^gradient must be ambient, got 'tangent'"):
        rescue_angle(8.0, 1.0, column_sum=1.0, setting=Setting(0.5, 8, 32, gradient="tangent"))
    with pytest.raises(ValueError, match=r"^column_sum must be in \[0, samples - 1\] = \[0, 31\], got 32"):
        gradient_bound(32, setting)
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        gradient_bound(1.0, Setting((0.1, 0.5), 8, 32))
    with pytest.raises(ValueError, match=r"^angle must be in \[0, pi\], got 4"):
        leading_share_bound(4.0, 3)
    with pytest.raises(ValueError, match="^classes must be a whole number >= 1, got 0"):
        leading_share_bound(0.1, 0)
