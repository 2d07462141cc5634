import math

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting, collapse_rate, spread_multiplier
from clopsim.bounds.weak_prototypes import derive, energy_off_line, weak_displacement, weak_effective_rank


def settled(setting, weight, rate, classes, star, steps=400):
    """Plain numpy: steps from 0.05 beside the point star, or the line with antipodal views; (n, d)."""
    n, d, tau = setting.samples, setting.dimension, setting.temperature
    full, symmetric = setting.loss == "full", setting.keys == "symmetric"
    N = n // 2 if full else n
    c = np.eye(classes, d).repeat(N // classes, axis=0)
    z = star + 0.05 * np.random.default_rng(0).normal(size=(n, d))
    if full:
        c, z = np.concatenate([c, c]), z * np.repeat([1, -1], N)[:, None]
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    for _ in range(steps):
        e = np.exp(z @ z.T / tau)
        np.fill_diagonal(e, 0)
        P = e / e.sum(axis=1, keepdims=True)
        g = (P + P.T if symmetric else P) @ z
        if full:
            g -= (2 if symmetric else 1) * np.roll(z, N, axis=0)
        z = z - rate * (g / tau / (n if setting.reduction == "mean" else 1) - weight * c)
        z /= np.linalg.norm(z, axis=1, keepdims=True)
    return z


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    names = sp.symbols("n mu tau pull lambda", positive=True)
    code = {name: sp.lambdify(names, proof.formulas[name], "math") for name in ("merged", "full", "full, common")}
    for keys, reduction in (("symmetric", "sum"), ("detached", "sum"), ("symmetric", "mean")):
        for loss in ("merged", "full"):
            setting = Setting(0.3, 6, 20, loss, "ambient", keys, reduction)
            rate = 5 * (20 if reduction == "mean" else 1)
            at = (20, rate, 0.3, setting.pull, 0.02 / rate)
            own, common = weak_displacement(0.02 / rate, rate, setting)
            assert own == pytest.approx(code[loss](*at), rel=1e-12)
            assert common == pytest.approx(code["full, common"](*at) if loss == "full" else 0, rel=1e-12)
    energy = sp.lambdify(sp.symbols("alpha alpha_0 K", positive=True), proof.formulas["energy_off_line"], "math")
    setting = Setting(0.3, 6, 20, "full")
    off = energy_off_line(0.02, 5.0, setting, overlaps=[0.0] * 3)
    assert off == pytest.approx(energy(*weak_displacement(0.02, 5.0, setting), 3), rel=1e-12)


@pytest.mark.parametrize("keys, reduction", [("symmetric", "sum"), ("detached", "sum"), ("symmetric", "mean")])
@pytest.mark.parametrize("loss", ["merged", "full"])
def test_embeddings_stay_where_the_displacement_says(loss, keys, reduction):
    setting = Setting(0.5, 5, 24, loss, "ambient", keys, reduction)
    pull = setting.pull / 0.5
    rate, weight = 2 * 2 / pull, 2e-4 * pull  # about twice the critical rate
    alpha, common = weak_displacement(weight, rate, setting)
    z = settled(setting, weight, rate, 3, np.eye(5)[4])
    star = np.linalg.svd(z)[2][0]
    across = z - (z @ star)[:, None] * star  # (n, d)
    c = np.eye(3, 5)
    means = across.reshape(2, 3, 4, 5).mean(axis=(0, 2)) if loss == "full" else across.reshape(3, 8, 5).mean(axis=1)
    middle = means.mean(axis=0)
    own = c - c.mean(axis=0)
    np.testing.assert_allclose(means - middle, alpha * (own - np.outer(own @ star, star)), atol=0.005 * alpha)
    if loss == "full":
        np.testing.assert_allclose(middle, common * (c.mean(axis=0) - c.mean(axis=0) @ star * star), atol=0.005 * alpha)


@pytest.mark.parametrize(
    "multiple, energy, measured", [(1.5, 0.0045, 0.00425), (3, 0.00113, 0.00100), (10, 0.00062, 0.00053)]
)
def test_reference_values(multiple, energy, measured):
    setting = Setting(0.5, 8, 32)
    off = energy_off_line(0.1, multiple * collapse_rate(setting), setting, overlaps=[0.0] * 4)
    assert off == pytest.approx(energy, abs=5e-6 if energy < 0.002 else 5e-5)
    assert measured < off  # random lines have overlaps, which lower it
    assert energy_off_line(0.1, multiple * collapse_rate(setting), setting, overlaps=[0.5, -0.5, 0, 0]) < measured


def test_rank_at_ten_times_the_collapse_rate():
    setting = Setting(0.5, 8, 32)
    rate = 10 * collapse_rate(setting)
    assert weak_effective_rank(0.1, rate, setting, classes=4) == pytest.approx(1.005, abs=1e-3)
    assert weak_effective_rank(0.3, rate, setting, classes=4) == pytest.approx(1.041, abs=1e-3)
    z = settled(setting, 0.1, rate, 4, np.eye(8)[7])
    shares = np.linalg.svd(z, compute_uv=False) ** 2 / 32
    rank = math.exp(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    assert weak_effective_rank(0.1, rate, setting, classes=4) - 1 == pytest.approx(rank - 1, rel=0.01)


def test_it_is_the_fixed_point_of_the_flipping_step_and_ends_where_collapse_does():
    setting = Setting(0.5, 8, 32)
    for multiple in (1.2, 3.0, 30.0):
        rate = multiple * collapse_rate(setting)
        kept = -spread_multiplier(rate, setting)
        alpha = weak_displacement(0.01, rate, setting).own
        assert alpha == pytest.approx(kept * alpha + 0.01 * rate / (2 * rate / 0.5 - 1), rel=1e-12)
    assert weak_displacement(1e-6, 1e9, setting).own == pytest.approx(0.5 * 0.5e-6 * 31 / 30, rel=1e-6)


def test_wrong_input():
    merged, full = Setting(0.5, 8, 32), Setting(0.5, 8, 32, "full")
    for setting, critical in ((merged, 0.516667), (full, 0.557858)):
        with pytest.raises(ValueError, match=f"^rate must be > {critical:g}"):
            weak_displacement(0.1, 0.99 * critical, setting)
        assert weak_displacement(1e-9, 1.01 * critical, setting).own > 0
    with pytest.raises(ValueError, match=r"^weight must be < 1\.\d+ here, got 3.0; it is the formula of weak"):
        weak_displacement(3.0, 5.0, merged)
    with pytest.raises(ValueError, match="^weight must be a finite number > 0"):
        weak_displacement(0.0, 5.0, merged)
    with pytest.raises(ValueError, match="^rate must be a finite number > 0"):
        weak_displacement(0.1, math.nan, merged)
    with pytest.raises(ValueError, match="^gradient must be ambient"):
        weak_displacement(0.1, 5.0, Setting(0.5, 8, 32, gradient="tangent"))
    with pytest.raises(ValueError, match="^momentum must be 0 here, got 0.5"):
        weak_displacement(0.1, 5.0, Setting(0.5, 8, 32, momentum=0.5))
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        weak_displacement(0.1, 5.0, Setting((0.5, 1.0), 8, 32))
    for setting in (Setting(0.5, 8, 2), Setting(50.0, 8, 4, "full")):
        with pytest.raises(ValueError, match="^samples must be more"):
            weak_displacement(0.1, 5.0, setting)
    with pytest.raises(ValueError, match="^overlaps must be a whole number >= 2, got 1"):
        energy_off_line(0.1, 5.0, merged, overlaps=[0.0])
    with pytest.raises(ValueError, match="^overlaps must have squares that add up to at most 1, got 2"):
        energy_off_line(0.1, 5.0, merged, overlaps=[1.0, 1.0])
    with pytest.raises(ValueError, match="^classes must be < dimension, got 8 >= 8"):
        weak_effective_rank(0.1, 5.0, merged, classes=8)
