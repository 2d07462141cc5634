"""One step and many: exact multipliers near collapse (T4), ripples of the uniform state (T5), isolation of runs."""

from itertools import product

import numpy as np
import pytest
import torch

from clopsim.bounds import (
    Setting,
    exact_rate,
    harmonic_spectrum,
    mean_after_step,
    radial_rate,
    ripple_multiplier,
    spread_multiplier,
    view_multiplier,
)
from clopsim.metrics.geometry import harmonic_energy
from clopsim.sphere import starts
from clopsim.sphere.dynamics import free_step, observe, recorded_steps, run, step
from clopsim.sphere.gradient import contrastive_loss, gradient

FORMS = list(product(("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")))


@pytest.mark.parametrize(
    "loss, keys, reduction", list(product(("merged", "full"), ("symmetric", "detached"), ("sum", "mean")))
)
def test_the_step_moves_the_mean_as_t3_says(loss, keys, reduction):
    setting = Setting(0.4, 6, 10, loss=loss, keys=keys, reduction=reduction)
    z = starts.random_directions(setting, seed=0)
    moved = (z - 0.7 * gradient(z, 0.4, setting)).mean(dim=0)
    np.testing.assert_allclose(moved.numpy(), mean_after_step(z.numpy(), 0.7, setting), rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
@pytest.mark.parametrize("factor", (0.3, 0.99, 1.01, 3.0))
def test_perturbations_of_collapse_multiply_as_t4_says(loss, gradient, keys, reduction, factor):
    setting = Setting(0.5, 8, 12, loss=loss, gradient=gradient, keys=keys, reduction=reduction)
    rate = factor * exact_rate(setting)
    for seed in range(2):
        z = starts.near_collapse(setting, spread=1e-6, seed=seed)
        if loss == "full":
            z = z[:6].repeat(2, 1)  # the views together
        after = step(z, rate, 0.5, setting)
        spread, grown = (x - x.mean(dim=0) for x in (z, after))
        measured = float((spread * grown).sum() / spread.square().sum())
        flip = np.sign(float(z.mean(dim=0) @ after.mean(dim=0)))  # the multiplier is relative to a mean that may flip
        assert flip * measured == pytest.approx(spread_multiplier(rate, setting), rel=1e-5)
        if loss == "full":
            z = starts.near_collapse(setting, spread=1e-6, seed=seed, views="apart")
            after = step(z, rate, 0.5, setting)
            apart, grown = (x[:6] - x[6:] for x in (z, after))
            measured = float((apart * grown).sum() / apart.square().sum())
            assert measured == pytest.approx(view_multiplier(rate, setting), rel=1e-5)


def zonal(z: torch.Tensor, axis: torch.Tensor, degree: int) -> torch.Tensor:
    """P_degree(z . axis), the zonal harmonic."""
    cosine, d = z @ axis, z.shape[-1]
    before, current = torch.ones_like(cosine), cosine
    for k in range(1, degree):
        before, current = current, ((2 * k + d - 2) * cosine * current - k * before) / (k + d - 2)
    return current


@pytest.mark.parametrize(
    "d, tau, degrees", [(2, 0.5, 4), (3, 1.0, 2), (3, 0.2, 3), (8, 0.5, 2), (8, 0.2, 2), (128, 0.1, 1)]
)
@pytest.mark.parametrize(
    "loss, gradient, keys",
    [("merged", "tangent", "symmetric"), ("merged", "ambient", "detached"), ("full", "ambient", "symmetric")],
)
def test_ripples_of_the_uniform_state_multiply_as_t5_says(d, tau, degrees, loss, gradient, keys):
    """Independent uniform points: a finite batch shows as noise, under 2 % over three draws of 1000 points, about the
    limit n -> infinity. (They leave no room around an anchor for what its own term takes: T13 is of points well apart.)

    The decay 1 - multiplier is compared, so an error of 5 % in e_l fails. In the full loss the other view weighs
    exp(1/tau) against n M_0 for all negatives, M_0 the mean of exp(s/tau): 22026 against 1.5 n at (128, 0.1), 148
    against 4.4 n at (8, 0.2), too much for n = 2000, so these two are left out.
    """
    if loss == "full" and (d, tau) in ((8, 0.2), (128, 0.1)):
        pytest.skip("the limit of the full loss needs a far larger n here")
    points = 1000
    setting = Setting(tau, d, points * (2 if loss == "full" else 1), loss=loss, gradient=gradient, keys=keys)
    flat = Setting(tau, d, points)
    if d == 2:
        angle = 2 * torch.pi * torch.arange(points, dtype=torch.float64) / points
        draws = [torch.stack([angle.cos(), angle.sin()], dim=1)]
    else:
        draws = [starts.random_directions(flat, seed=seed) for seed in range(3)]
    rate = 0.1 * float(exact_rate(setting))
    decay = np.zeros(degrees)
    axes = starts.random_directions(Setting(tau, d, 3), seed=9)
    for z, degree, axis in product(draws, range(1, degrees + 1), axes):
        leaf = z.clone().requires_grad_()
        (slope,) = torch.autograd.grad(zonal(leaf, axis, degree).sum(), leaf)
        slope = slope - (slope * z).sum(dim=1, keepdim=True) * z
        rippled = torch.stack([z + sign * 1e-5 / slope.norm(dim=1).max() * slope for sign in (1, -1)])
        rippled = rippled / rippled.norm(dim=-1, keepdim=True)
        after = step(torch.cat([rippled, rippled], dim=1) if loss == "full" else rippled, rate, tau, setting)
        before, now = (zonal(x[:, :points], axis, degree).mean(dim=1) for x in (rippled, after))
        decay[degree - 1] += float(1 - (now[0] - now[1]) / (before[0] - before[1])) / (len(axes) * len(draws))
    np.testing.assert_allclose(decay, 1 - ripple_multiplier(rate, setting, degrees=degrees, limit=True), rtol=0.02)


def test_runs_are_independent_and_a_diverged_one_stays_alone():
    setting = Setting(0.5, 8, 5)
    point = starts.near_collapse(setting, spread=1e-3, seed=0)
    at_origin = torch.zeros(5, 8, dtype=torch.float64)
    at_origin[:, 0] = 1  # with mu = tau/2 the collapsed point is sent to the origin, exactly as the softmax is 1/4
    z = torch.stack([point, at_origin, point])
    rate = torch.tensor([0.6, 0.25, 0.6], dtype=torch.float64)
    tau = torch.full((3,), 0.5, dtype=torch.float64)
    trajectory = run(z, rate, tau, setting=setting, steps=recorded_steps(20))
    lengths = trajectory.observables["mean_resultant_length"]
    assert lengths[1, 0] == 1
    assert lengths[1, 1:].isnan().all()
    alone = run(z[:1], rate[:1], tau[:1], setting=setting, steps=recorded_steps(20))
    for k in (0, 2):
        assert torch.equal(trajectory.final[k], alone.final[0])


def test_temperatures_and_rates_of_a_batch_are_its_runs_own():
    setting = Setting((0.2, 1.0), 5, 8)
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in (0, 1)])
    rate, tau = torch.tensor([0.1, 0.9]).double(), torch.tensor([0.2, 1.0]).double()
    both = run(z, rate, tau, setting=setting, steps=(0, 7))
    for k in range(2):
        one = run(z[k : k + 1], rate[k : k + 1], tau[k : k + 1], setting=setting, steps=(0, 7))
        torch.testing.assert_close(both.final[k], one.final[0], rtol=1e-12, atol=1e-13)
        for name, values in one.observables.items():
            torch.testing.assert_close(both.observables[name][k], values[0], rtol=1e-11, atol=1e-13)


def test_recorded_steps_hold_start_and_end_and_increase():
    for total in (1, 2, 9, 10, 1000, 12345):
        steps = recorded_steps(total)
        assert steps[0] == 0
        assert steps[-1] == total
        assert list(steps) == sorted(set(steps))
        assert len(steps) <= 10 * len(str(total)) + 2


def test_float32_and_tau_0_01_stay_finite():
    setting = Setting(0.01, 3, 16)
    z = torch.stack([starts.random_directions(setting, seed=seed).float() for seed in range(4)])
    rate = torch.logspace(-4, 0, 4)
    final = run(z, rate, torch.full((4,), 0.01), setting=setting, steps=(0, 100)).final
    assert final.dtype == torch.float32
    assert final.isfinite().all()


@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
def test_a_whole_step_runs_on_the_meta_device(loss, gradient, keys, reduction):
    """Meta tensors refuse to meet tensors of another device: a forgotten device shows without a GPU."""
    setting = Setting(0.5, 8, 12, loss=loss, gradient=gradient, keys=keys, reduction=reduction)
    z = torch.empty(3, 12, 8, device="meta")
    rate, tau = torch.empty(3, device="meta"), torch.empty(3, device="meta")
    after = step(z, rate, tau, setting)
    assert (after.device.type, after.shape) == ("meta", z.shape)
    assert all(value.device.type == "meta" for value in observe(z, tau, setting).values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    setting = Setting(0.5, 8, 12)
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(4)])
    rate, tau = torch.full((4,), 0.3).double(), torch.full((4,), 0.5).double()
    here = run(z, rate, tau, setting=setting, steps=(0, 50))
    there = run(z.cuda(), rate.cuda(), tau.cuda(), setting=setting, steps=(0, 50))
    torch.testing.assert_close(here.observables, there.observables, rtol=1e-8, atol=1e-10)


def test_zonal_is_the_polynomial_of_the_energy():
    z = starts.random_directions(Setting(0.5, 8, 6), seed=0)
    values = torch.stack([zonal(z, axis, 3) for axis in z]).mean()
    assert float(values) == pytest.approx(float(harmonic_energy(z)[2]), rel=1e-12)


@pytest.mark.parametrize("gradient_form", ("ambient", "tangent"))
def test_prototypes_add_the_gradient_of_the_clop_term(gradient_form):
    setting = Setting(0.5, 6, 8, gradient=gradient_form)
    z = starts.random_directions(setting, seed=0)
    rows = torch.cat([2.5 * torch.eye(6, dtype=torch.float64)[[0, 1, 2, 0]], torch.zeros(4, 6, dtype=torch.float64)])
    leaf = z.clone().requires_grad_()
    term = (rows.norm(dim=1) - (leaf * rows).sum(dim=1)).sum()  # weight (1 - z.c) for the labelled half
    (expected,) = torch.autograd.grad(term, leaf)
    if gradient_form == "tangent":
        expected = expected - (expected * z).sum(dim=1, keepdim=True) * z
    difference = gradient(z, 0.5, setting, prototypes=rows) - gradient(z, 0.5, setting)
    torch.testing.assert_close(difference, expected, rtol=1e-12, atol=1e-13)


def test_free_step_is_autograd_through_the_normalisation_with_decay():
    setting = Setting(0.5, 6, 8, loss="full", gradient="tangent")
    u = 1.7 * starts.random_directions(setting, seed=0) * torch.linspace(0.5, 2, 8, dtype=torch.float64)[:, None]
    leaf = u.clone().requires_grad_()
    loss = contrastive_loss(leaf / leaf.norm(dim=1, keepdim=True), 0.5, setting) + 0.05 * leaf.square().sum()
    (slope,) = torch.autograd.grad(loss, leaf)
    after = free_step(u, 0.3, 0.5, setting=setting, weight_decay=0.1)
    torch.testing.assert_close(after, u - 0.3 * slope, rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="^gradient must be tangent for a free norm, got 'ambient'"):
        free_step(u, 0.3, 0.5, setting=Setting(0.5, 6, 8))


def test_the_heavy_ball_by_hand_and_the_velocity_it_needs():
    setting = Setting(0.5, 3, 6, momentum=0.9)
    z = starts.random_directions(setting, seed=0)
    v0 = starts.random_directions(setting, seed=1)
    velocity = v0.clone()
    found = step(z, 0.1, 0.5, setting, velocity=velocity)
    expected = 0.9 * v0 + gradient(z, 0.5, setting)
    moved = z - 0.1 * expected
    torch.testing.assert_close(velocity, expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(found, moved / moved.norm(dim=1, keepdim=True), rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match="^velocity must be given with momentum 0.9, got None"):
        step(z, 0.1, 0.5, setting)


def test_runs_with_momentum_go_on_through_their_records_and_at_low_temperatures():
    setting = Setting((0.01, 0.5), 3, 6, momentum=0.5)
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)])
    rate, tau = torch.tensor([0.001, 0.05]).double(), torch.tensor([0.002, 0.5]).double()
    found = run(z, rate, tau, setting=setting, steps=(0, 2, 5))
    velocity, expected = torch.zeros_like(z), z
    for _ in range(5):
        expected = step(expected, rate, tau, setting, velocity=velocity)
    torch.testing.assert_close(found.final, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.velocity, velocity, rtol=1e-12, atol=1e-12)
    assert run(z, rate, tau, setting=Setting(0.5, 3, 6), steps=(0, 1)).velocity is None


@pytest.mark.parametrize("loss, gradient", [("merged", "tangent"), ("merged", "ambient"), ("full", "ambient")])
def test_a_ripple_with_momentum_follows_the_map_of_t14(loss, gradient):
    """Amplitude and velocity of a ripple of degree 2 on the circle, from points whose radial velocity is steady."""
    n, beta, degree, rate, size = 512, 0.6, 2, 0.05, 1e-6
    setting = Setting(0.5, 2, n, loss, gradient, momentum=beta)
    h = float(harmonic_spectrum(setting, degrees=degree).e[-1])
    rho = float(radial_rate(setting))
    r = 1 + rate * rho / (1 - beta)
    push = rate * (h - rho)
    exact = np.array([[(1 - push) / r, -beta / r], [push, beta]])
    place = 2 * np.pi * np.arange(n if loss == "merged" else n // 2) / (n if loss == "merged" else n // 2)
    place = place if loss == "merged" else np.concatenate([place, place])
    angle = place + size * np.sin(degree * place)
    z = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    velocity = -rho / (1 - beta) * torch.from_numpy(np.stack([np.cos(place), np.sin(place)], axis=1))
    state = np.array([1.0, 0.0])
    for _ in range(6):
        z = step(z, rate, 0.5, setting, velocity=velocity)
        state = exact @ state
    moved = np.arctan2(z[:, 1].numpy(), z[:, 0].numpy()) - place
    moved = np.angle(np.exp(1j * moved)) @ np.sin(degree * place) / (np.sin(degree * place) ** 2).sum() / size
    assert moved == pytest.approx(state[0], abs=0.02)
    assert abs(moved - 1) > 0.2
