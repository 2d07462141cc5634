import sys

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import ArpackNoConvergence

from clopsim.bounds import Setting, uniform_rate
from clopsim.sphere import starts
from clopsim.sphere.gradient import contrastive_loss
from clopsim.sphere.thresholds import search
from clopsim.training.sharpness import sharpest, sharpness


def test_equals_the_dense_hessian():
    generator = torch.Generator().manual_seed(0)
    weights = {"a": torch.randn(3, 2, generator=generator).double(), "b": torch.randn(2, generator=generator).double()}

    def loss(w):
        return (torch.tanh(w["a"] @ w["b"]) ** 3).sum() + (w["a"] ** 2).prod(dim=1).sum() - 0.5 * w["b"].norm() ** 4

    def flat(vector):
        return loss({"a": vector[:6].view(3, 2), "b": vector[6:]})

    dense = torch.autograd.functional.hessian(flat, torch.cat([weights["a"].reshape(-1), weights["b"]]))
    assert sharpness(loss, weights) == pytest.approx(float(torch.linalg.eigvalsh(dense)[-1]), rel=1e-9)


def test_takes_the_largest_eigenvalue_and_not_the_largest_magnitude():
    curvatures = torch.tensor([1.0, -5.0, 3.0, -7.0], dtype=torch.float64)
    weights = {"x": torch.ones(4, dtype=torch.float64)}
    assert sharpness(lambda w: (curvatures * w["x"] ** 2).sum() / 2, weights) == pytest.approx(3, rel=1e-9)


def test_a_weight_that_the_loss_does_not_see_is_flat():
    weights = {"x": torch.ones(2, dtype=torch.float64), "unused": torch.ones(3, dtype=torch.float64)}
    assert sharpness(lambda w: 2 * (w["x"] ** 2).sum(), weights) == pytest.approx(4, rel=1e-9)
    assert sharpness(lambda w: 2 * (w["x"] ** 2).sum() + w["unused"].sum(), weights) == pytest.approx(4, rel=1e-9)
    assert sharpness(lambda w: w["x"].sum() + w["unused"].sum(), weights) == 0
    assert sharpness(lambda w: 0 * (w["x"] ** 2).sum(), weights) == 0
    with pytest.raises(ValueError, match="^weights must hold two numbers or more, got 1"):
        sharpness(lambda w: (w["x"] ** 2).sum(), {"x": torch.ones(1, dtype=torch.float64)})


def test_negative_curvature_everywhere_gives_its_largest_value():
    curvatures = torch.tensor([-2.0, -1.0, -3.0], dtype=torch.float64)
    weights = {"x": torch.ones(3, dtype=torch.float64)}
    for tolerance in (0.0, 1e-6):
        found = sharpness(lambda w: (curvatures * w["x"] ** 2).sum() / 2, weights, tolerance=tolerance)
        assert found == pytest.approx(-1, rel=1e-9)


def test_nan_where_it_is_not_to_be_had(monkeypatch):
    weights = {"x": torch.ones(50, dtype=torch.float32)}
    assert np.isnan(sharpness(lambda w: (w["x"] - 1).norm(), weights))  # a kink
    with pytest.raises(FloatingPointError):
        sharpest(lambda w: (w["x"] - 1).norm(), weights)

    def crowded(w):
        return (torch.linspace(1, 1.001, 50) * w["x"] ** 2).sum()

    monkeypatch.setattr(sys.modules["clopsim.training.sharpness"], "RESTARTS", 2)
    assert np.isnan(sharpness(crowded, weights, tolerance=1e-9))
    with pytest.raises(ArpackNoConvergence):
        sharpest(crowded, weights, tolerance=1e-9)


def test_a_tolerance_saves_products_and_keeps_the_value():
    curvatures = torch.arange(1.0, 401.0, dtype=torch.float64)  # crowded at the top
    weights = {"x": torch.ones(400, dtype=torch.float64)}
    counts = {0.0: [], 1e-3: []}
    for tolerance, count in counts.items():
        found = sharpness(
            lambda w: (curvatures * w["x"] ** 2).sum() / 2, weights, tolerance=tolerance, on_product=count.append
        )
        assert found == pytest.approx(400, rel=1e-3)
        assert count == list(range(1, len(count) + 1))
    assert len(counts[1e-3]) < len(counts[0.0])


@pytest.mark.parametrize("d, tau", [(3, 1.0), (8, 0.5)])
@pytest.mark.parametrize("seed", range(2))
def test_two_over_sharpness_of_the_table_is_the_searched_rate(d, tau, seed):
    """Full loss, views aligned in the uniform state, |u| = 1: the alignment of the views is the first instability."""
    setting = Setting(tau, d, 200, loss="full", gradient="tangent")
    z = starts.near_uniform(setting, temperature=tau, seed=seed)
    sharp = sharpness(lambda w: contrastive_loss(w["u"] / w["u"].norm(dim=-1, keepdim=True), tau, setting), {"u": z})
    assert 2 / sharp == pytest.approx(search("alignment_uniform", setting, seeds=[seed]).rate, rel=0.01)


@pytest.mark.parametrize("d, tau", [(3, 1.0), (8, 0.5)])
def test_two_over_sharpness_of_the_merged_table_is_t5_s_rate(d, tau):
    """Merged loss, |u| = 1. Against T5 and not the search, which from rounding-sized ripples needs 2 % more to see."""
    setting = Setting(tau, d, 600, gradient="tangent")
    z = starts.near_uniform(setting, temperature=tau, seed=0)
    sharp = sharpness(lambda w: contrastive_loss(w["u"] / w["u"].norm(dim=-1, keepdim=True), tau, setting), {"u": z})
    assert 2 / sharp == pytest.approx(uniform_rate(setting).rate, rel=0.01)
