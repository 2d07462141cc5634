import math

import numpy as np
import pytest
import sympy as sp
import torch

from clopsim.bounds import Setting, free_norm, lars
from clopsim.bounds.lars import lars_norm_growth, lars_turn, lars_view_cosine, lars_view_growth

FULL = Setting(0.5, 3, 64, loss="full", gradient="tangent")


def step(layer, rate, loss):
    """LARS by its definition, autograd for the gradient."""
    layer = layer.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(layer), layer)
    with torch.no_grad():
        return layer - rate * layer.norm() / slope.norm() * slope


@pytest.mark.parametrize("rate", [0.0006, 0.1, 3.0])
def test_any_layer_without_a_scale_turns_by_the_arctangent(rate):
    """A table, and weights before a batch norm, under losses that have nothing to do with each other."""
    generator = torch.Generator().manual_seed(0)
    layer, inputs = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((6, 4), (9, 4)))
    target = torch.randn(9, 6, generator=generator, dtype=torch.float64)

    def cosines(w):
        z = w / w.norm(dim=1, keepdim=True)
        return torch.logsumexp(z @ z.T / 0.3, dim=1).sum()

    def normed(w):
        out = inputs @ w.T
        return ((out - out.mean(dim=0)) / out.std(dim=0) - target).pow(4).sum()

    for loss in (cosines, normed):
        after = step(layer, rate, loss)
        cosine = float((after * layer).sum() / (after.norm() * layer.norm()))
        sine = float((after / after.norm() - cosine * layer / layer.norm()).norm())
        assert math.atan2(sine, cosine) == pytest.approx(lars_turn(rate), rel=1e-9)
        assert float(after.norm() / layer.norm()) == pytest.approx(lars_norm_growth(rate), rel=1e-12)


def test_the_swap_is_a_fixed_point_of_a_table_on_the_circle():
    rate, place = 0.3, torch.arange(32, dtype=torch.float64) * (math.pi / 16)
    half = math.acos(lars_view_cosine(rate)) / 2
    angle = torch.cat([place + half, place - half])
    table = torch.stack([angle.cos(), angle.sin()], dim=1)

    def info_nce(u):
        z = u / u.norm(dim=1, keepdim=True)
        cosines = z @ z.T
        others = cosines.masked_fill(torch.eye(64, dtype=torch.bool), -torch.inf)
        return torch.logsumexp(others / 0.5, dim=1).sum() - 2 * (z[:32] * z[32:]).sum() / 0.5

    after = step(table, rate, info_nce) / lars_norm_growth(rate)
    np.testing.assert_allclose(after, table.roll(32, dims=0), atol=1e-12)


@pytest.mark.parametrize("rate, cosine", [(0.03, 0.999550), (0.1, 0.995037), (0.3, 0.957826)])
def test_cosine_of_the_swap_by_n18(rate, cosine):
    assert lars_view_cosine(rate) == pytest.approx(cosine, abs=5e-7)
    assert math.acos(lars_view_cosine(rate)) == pytest.approx(lars_turn(rate), rel=1e-9)


def test_growth_is_t10_s_with_another_name():
    rate, taken, decay = 0.3, 1.7, 0.05
    shrink = lars_view_cosine(rate)
    other = (1 - shrink) / decay  # a rate with 1 - mu w = 1/sqrt(1 + rate^2)
    same = free_norm.view_growth(
        0.4, 1.9, rate=other, weight_decay=decay, setting=Setting(other / taken / shrink, 3, 64, "full", "tangent")
    )
    unit = Setting(1.0, 3, 64, "full", "tangent")
    assert lars_view_growth(0.4, 1.9, rate=rate, step=taken, setting=unit) == pytest.approx(same, rel=1e-12)
    at_swap = lars_view_growth(shrink, 2 * taken * shrink, rate=rate, step=taken, setting=unit)
    assert at_swap == pytest.approx([1, -1], rel=1e-12)


def test_derivation_closes_and_equals_the_code():
    proof = lars.derive()
    assert proof.open_zeros() == {}
    mu, N, pull, tau = sp.symbols("mu N pull tau", positive=True)
    taken, c = sp.Symbol("step"), sp.Symbol("c", real=True)
    for rate in (0.01, 0.7, 4.0):
        for function in (lars_turn, lars_norm_growth, lars_view_cosine):
            formula = sp.lambdify(mu, proof.formulas[function.__name__])
            assert function(rate) == pytest.approx(float(formula(rate)), rel=1e-12)
        formulas = [proof.formulas[f"lars_view_growth, {way}"] for way in ("along", "across")]
        expected = [sp.lambdify((mu, N, pull, tau, taken, c), each)(rate, 1.7, 2.0, 0.5, 0.3, 0.6) for each in formulas]
        assert lars_view_growth(0.6, 1.7, rate=rate, step=0.3, setting=FULL) == pytest.approx(expected, rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(lars, "_closed_forms") >= {
        "the turn", "the growth", "the swap keeps the midpoint", "the swap's angle is the layer's turn",
    }  # fmt: skip


def test_wrong_input():
    for function in (lars_turn, lars_norm_growth, lars_view_cosine):
        with pytest.raises(ValueError, match="^rate must be a finite number > 0, got 0"):
            function(0)
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        lars_view_growth(0.5, 1.0, rate=0.1, step=0.1, setting=Setting(0.5, 3, 64))
    with pytest.raises(ValueError, match="^squared_norm must be > 0"):
        lars_view_growth(0.5, 0.0, rate=0.1, step=0.1, setting=FULL)
    with pytest.raises(ValueError, match="^step must be a finite number > 0"):
        lars_view_growth(0.5, 1.0, rate=0.1, step=0.0, setting=FULL)
