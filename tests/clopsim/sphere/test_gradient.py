import math
from itertools import product

import pytest
import torch

from clopsim.bounds import Setting, loss_at_collapse
from clopsim.sphere.gradient import contrastive_loss, gradient

FORMS = list(product(("merged", "full"), ("symmetric", "detached"), ("sum", "mean")))


def unit_rows(*shape: int, seed: int) -> torch.Tensor:
    z = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return z / z.norm(dim=-1, keepdim=True)


def loss_by_loop(z: torch.Tensor, tau: float, setting: Setting) -> float:
    n, total = z.shape[0], 0.0
    for i in range(n):
        total += math.log(sum(math.exp(float(z[i] @ z[a]) / tau) for a in range(n) if a != i))
        if setting.loss == "full":
            total -= float(z[i] @ z[(i + n // 2) % n]) / tau
    return total / (n if setting.reduction == "mean" else 1)


def gradient_by_loop(z: torch.Tensor, tau: float, setting: Setting) -> torch.Tensor:
    n = z.shape[0]
    g = torch.zeros_like(z)
    weight = 1 / (tau * n) if setting.reduction == "mean" else 1 / tau
    for i in range(n):
        row = {a: math.exp(float(z[i] @ z[a]) / tau) for a in range(n) if a != i}
        pulls = [(a, e / sum(row.values())) for a, e in row.items()]
        if setting.loss == "full":
            pulls.append(((i + n // 2) % n, -1.0))
        for a, p in pulls:
            g[i] += weight * p * z[a]
            if setting.keys == "symmetric":
                g[a] += weight * p * z[i]
    return g


@pytest.mark.parametrize("loss, keys, reduction", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_value_equals_a_slow_loop(loss, keys, reduction, seed):
    setting = Setting(0.3, 5, 8, loss=loss, keys=keys, reduction=reduction)
    z = unit_rows(8, 5, seed=seed)
    assert float(contrastive_loss(z, 0.3, setting)) == pytest.approx(loss_by_loop(z, 0.3, setting), rel=1e-13)


@pytest.mark.parametrize("loss, keys, reduction", FORMS)
@pytest.mark.parametrize("tau", (0.05, 0.5, 5.0))
def test_gradient_equals_autograd_and_a_slow_loop(loss, keys, reduction, tau):
    setting = Setting(tau, 5, 8, loss=loss, keys=keys, reduction=reduction)
    z = unit_rows(3, 8, 5, seed=1).requires_grad_()
    (automatic,) = torch.autograd.grad(contrastive_loss(z, tau, setting).sum(), z)
    closed = gradient(z.detach(), tau, setting)
    torch.testing.assert_close(closed, automatic, rtol=1e-12, atol=1e-13)
    for k in range(3):
        torch.testing.assert_close(closed[k], gradient_by_loop(z[k].detach(), tau, setting), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("loss, keys, reduction", FORMS)
def test_tangent_gradient_is_autograd_through_the_normalisation(loss, keys, reduction):
    setting = Setting(0.5, 5, 8, loss=loss, gradient="tangent", keys=keys, reduction=reduction)
    z = unit_rows(8, 5, seed=2)
    u = z.clone().requires_grad_()
    (automatic,) = torch.autograd.grad(contrastive_loss(u / u.norm(dim=-1, keepdim=True), 0.5, setting), u)
    torch.testing.assert_close(gradient(z, 0.5, setting), automatic, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("loss, reduction", list(product(("merged", "full"), ("sum", "mean"))))
def test_collapsed_value_is_the_one_of_the_theory(loss, reduction):
    setting = Setting(0.07, 5, 16, loss=loss, reduction=reduction)
    point = unit_rows(1, 5, seed=3).expand(16, 5)
    assert float(contrastive_loss(point, 0.07, setting)) == pytest.approx(loss_at_collapse(setting), rel=1e-13)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("loss, keys", list(product(("merged", "full"), ("symmetric", "detached"))))
def test_finite_at_temperature_0_01_even_for_opposite_points(dtype, loss, keys):
    setting = Setting(0.01, 2, 4, loss=loss, keys=keys)
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=dtype)
    for points in (z, z[[0, 0, 1, 1]], z[[0, 1, 0, 1]], z[[0, 1, 1, 1]]):
        assert contrastive_loss(points, 0.01, setting).isfinite()
        assert gradient(points, 0.01, setting).isfinite().all()


def test_temperatures_broadcast_over_runs():
    setting = Setting((0.1, 1.0), 5, 8)
    z = unit_rows(2, 8, 5, seed=4)
    tau = torch.tensor([0.1, 1.0], dtype=torch.float64)
    both = gradient(z, tau, setting)
    for k in range(2):
        torch.testing.assert_close(both[k], gradient(z[k], float(tau[k]), setting), rtol=1e-14, atol=1e-14)
