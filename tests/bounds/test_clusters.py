import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting, cluster_multipliers, clusters


def places(M, h, d):
    frame = np.eye(M) - 1 / M
    corners = np.linalg.svd(frame)[0][:, : M - 1]
    z = np.zeros((M, d))
    z[:, : M - 1] = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    return np.repeat(z, h, axis=0)


def slow_step(z, rate, setting):
    """One step from the definition of the merged loss, both forms of the gradient and of the keys."""
    n, tau = setting.samples, setting.temperature
    g = np.zeros_like(z)
    for i in range(n):
        weights = [math.exp((z[i] @ z[a] - 1) / tau) if a != i else 0.0 for a in range(n)]
        for a in range(n):
            g[i] += weights[a] / sum(weights) * z[a] / tau
            if setting.keys == "symmetric":
                g[a] += weights[a] / sum(weights) * z[i] / tau
    if setting.gradient == "tangent":
        g -= (g * z).sum(axis=1, keepdims=True) * z
    moved = z - rate * g / (n if setting.reduction == "mean" else 1)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def eigenvalues(z, rate, setting, size=1e-6):
    """Of one step in the tangent space, relative to the state, which an ambient step may mirror."""
    bases = [np.linalg.svd(row[None])[2][1:] for row in z]
    moves = [np.zeros_like(z) for row in z for _ in bases[0]]
    for move, (i, k) in zip(moves, product(range(len(z)), range(len(bases[0]))), strict=True):
        move[i] = bases[i][k]
    side = np.sign((slow_step(z, rate, setting) * z).sum(axis=1, keepdims=True))
    columns = [
        side * (slow_step(z + size * move, rate, setting) - slow_step(z - size * move, rate, setting)) / (2 * size)
        for move in moves
    ]
    return np.linalg.eigvals(np.array([[(move * column).sum() for column in columns] for move in moves]))


@pytest.mark.parametrize("gradient, keys", list(product(("ambient", "tangent"), ("symmetric", "detached"))))
@pytest.mark.parametrize("M, h, d, tau", [(2, 3, 3, 0.5), (3, 2, 3, 1.0), (3, 2, 2, 0.5)])
@pytest.mark.parametrize("multiple", (0.3, 2.0))
def test_multipliers_are_eigenvalues_of_a_step_and_one_is_above_one(M, h, d, tau, multiple, gradient, keys):
    setting = Setting(tau, d, M * h, gradient=gradient, keys=keys)
    rate = multiple * 2 * tau / setting.pull
    found = eigenvalues(places(M, h, d), rate, setting)
    for name, value in cluster_multipliers(rate, setting, clusters=M)._asdict().items():
        absent = (name == "within" and M == 2) or (name != "within" and d < M)
        assert (value is None) is absent
        if value is not None:
            assert np.abs(found - value).min() < 1e-6 * max(1, abs(value))
    assert np.abs(found).max() > 1.05


def test_no_rate_holds_the_clusters():
    for M, h, tau, gradient in product((2, 3, 5, 20), (2, 10), (0.1, 0.5, 3.0), ("ambient", "tangent")):
        rates = np.geomspace(1e-3, 1e4, 200) * tau
        multipliers = cluster_multipliers(rates, Setting(tau, 32, M * h, gradient=gradient), clusters=M)
        assert np.all(np.maximum(np.abs(multipliers.across), np.abs(multipliers.common)) > 1)


def test_one_rate_gives_floats_and_several_broadcast():
    several = cluster_multipliers(np.array([0.1, 0.2]), Setting(0.5, 4, 12, gradient="tangent"), clusters=3)
    for name, one in cluster_multipliers(0.2, Setting(0.5, 4, 12, gradient="tangent"), clusters=3)._asdict().items():
        assert isinstance(one, float)
        assert getattr(several, name)[1] == one


def test_reduction_scales_the_rate():
    total, mean = Setting(0.5, 4, 12), Setting(0.5, 4, 12, reduction="mean")
    assert cluster_multipliers(0.2, total, clusters=3) == pytest.approx(cluster_multipliers(2.4, mean, clusters=3))


def test_wrong_input():
    with pytest.raises(ValueError, match="^loss must be merged, got 'full'"):
        cluster_multipliers(0.1, Setting(0.5, 4, 12, loss="full"), clusters=3)
    for count in (5, 7, 12):
        with pytest.raises(ValueError, match=f"^clusters must divide the samples, two or more a cluster, got {count}"):
            cluster_multipliers(0.1, Setting(0.5, 24, 12), clusters=count)
    with pytest.raises(ValueError, match=r"^clusters must be <= dimension \+ 1, got 4 in dimension 2"):
        cluster_multipliers(0.1, Setting(0.5, 2, 12), clusters=4)
    with pytest.raises(ValueError, match="^clusters must be a whole number >= 2, got 1"):
        cluster_multipliers(0.1, Setting(0.5, 2, 12), clusters=1)


def test_derivation_closes_and_equals_the_code():
    proof = clusters.derive()
    assert proof.open_zeros() == {}
    symbols = sp.symbols("mu h M tau pull", positive=True)
    for gradient, (M, h), keys in product(("ambient", "tangent"), ((3, 2), (4, 7)), ("symmetric", "detached")):
        setting = Setting(0.3, 8, M * h, gradient=gradient, keys=keys)
        for name, value in cluster_multipliers(0.2, setting, clusters=M)._asdict().items():
            formula = sp.lambdify(symbols, proof.formulas[f"{name}, {gradient}"])
            assert value == pytest.approx(formula(0.2, h, M, 0.3, setting.pull), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(clusters, "_closed_forms") == {
        "spread across the span", "spread inside the span", "clusters moved alike", "radial pull",
        "spreads go down: e^y - 1 - y, y = kappa M/(M-1)", "two pairs: spread", "two pairs: moved alike",
    }  # fmt: skip
