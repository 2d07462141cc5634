import pytest
import torch

from bounds import Setting, uniform_rate
from clopsim import starts
from clopsim.gradient import contrastive_loss
from clopsim.sharpness import sharpness
from clopsim.thresholds import search


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
    with pytest.raises(ValueError, match="^weights must hold two numbers or more, got 1"):
        sharpness(lambda w: (w["x"] ** 2).sum(), {"x": torch.ones(1, dtype=torch.float64)})


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
