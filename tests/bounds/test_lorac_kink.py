import math

import numpy as np
import pytest
import torch

from clopsim.audit.experiments.modes import step
from clopsim.bounds import lorac_antipodal_basin, lorac_antipodal_share, lorac_kink, lorac_residual_angle, lorac_swap
from clopsim.losses import lorac as lorac_loss
from clopsim.losses.lorac import lorac_of_rows


def simplex(samples):
    centred = np.eye(samples) - 1 / samples
    z = np.linalg.svd(centred)[0][:, : samples - 1]
    return torch.from_numpy(z / np.linalg.norm(z, axis=1, keepdims=True))


@pytest.mark.parametrize("N, tau, beta, force, curvature, rate", (
    (4, 1.0, 15.0, 0.00748075861, 0.43332717, 4.61545027),
    (6, 1.0, 3.0, 0.0325407247, 0.304322257, 6.57198051),
    (8, 1.0, 15.0, 0.00489485111, 0.23456246, 8.52651348),
))  # fmt: skip
def test_reference_values(N, tau, beta, force, curvature, rate):
    """The document leaves out what the kink's own slope adds to the curvature, 2 p (1 - p)/(n beta^2 tau^2)."""
    found = lorac_swap(samples=2 * N, temperature=tau, beta=beta)
    assert found.force == pytest.approx(force, rel=1e-7)
    n, psi = 2 * N, 1 - math.sqrt(2) / beta
    p = math.exp(psi / tau) / (math.exp(psi / tau) + (n - 2) * math.exp(-1 / ((N - 1) * tau)))
    without = found.curvature - 2 * p * (1 - p) / (n * beta**2 * tau**2)
    assert without == pytest.approx(curvature, rel=1e-7)
    assert 2 / without == pytest.approx(rate, rel=1e-7)
    assert found.rate == pytest.approx(2 / found.curvature, rel=1e-14)


@pytest.mark.parametrize("N, tau, beta", ((4, 1.0, 15.0), (6, 0.4, 1.0), (3, 0.2, 0.5)))
def test_force_and_curvature_by_differences_of_the_loss(N, tau, beta):
    """The views of every sample opened along directions of its own, inside the span."""
    v = simplex(N)
    e = torch.randn(v.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    e = e - (e * v).sum(dim=1, keepdim=True) * v
    e = e / e.norm(dim=1, keepdim=True)

    def value(angle):
        a = torch.tensor(angle, dtype=torch.float64)
        return float(lorac_loss(v * a.cos() + e * a.sin(), v * a.cos() - e * a.sin(), temperature=tau, beta=beta))

    size = 1e-4
    start, one, two = (value(k * size) for k in range(3))
    found = lorac_swap(samples=2 * N, temperature=tau, beta=beta)
    assert (4 * one - two - 3 * start) / (2 * size) == pytest.approx(2 * N * found.force, rel=1e-5)
    assert (two - 2 * one + start) / size**2 == pytest.approx(2 * N * found.curvature, rel=1e-3)


def test_the_residual_angle_is_right_to_second_order_in_the_rate():
    """Runs in the span; half the rate leaves an eighth of the error, without the kink's own slope a fourth."""
    N, tau, beta = 4, 0.5, 1.5
    v = simplex(N)
    swap = lorac_swap(samples=2 * N, temperature=tau, beta=beta)
    errors = []
    for multiple in (0.1, 0.05):
        rate = multiple * swap.rate
        z = torch.cat([v, v + 1e-3 * torch.randn(v.shape, generator=torch.Generator().manual_seed(0), dtype=v.dtype)])
        z = z / z.norm(dim=-1, keepdim=True)
        for _ in range(int(20 / multiple)):
            z = step(lambda rows: lorac_of_rows(rows, temperature=tau, beta=beta), z, rate, "tangent")
        first, second = z.chunk(2)
        angle = 2 * ((first - second).norm(dim=-1) / 2).asin()
        assert float(angle.max() - angle.min()) < 1e-5
        errors.append(float(angle.mean()) - lorac_residual_angle(rate, samples=2 * N, temperature=tau, beta=beta))
    assert abs(errors[1]) < abs(errors[0]) / 6.5


def test_the_angle_is_proportional_to_small_rates_and_ends_at_2_over_h():
    swap = lorac_swap(samples=8)
    one, half = (lorac_residual_angle(rate, samples=8) for rate in (1e-4, 5e-5))
    assert one == pytest.approx(2 * half, rel=1e-4)
    assert lorac_residual_angle(0.6 * 4.61545027, samples=8) == pytest.approx(0.0518, abs=1e-4)
    with pytest.raises(ValueError, match=r"rate must be below 2/h = 4.61\d, got 4.7; the angle is not small there"):
        lorac_residual_angle(4.7, samples=8)
    assert lorac_residual_angle(0.999 * swap.rate, samples=8) > 1


def test_the_basin():
    values = [lorac_antipodal_basin(beta) for beta in (15.0, 5.0, 2.0, 1.0, 0.5)]
    assert values == pytest.approx([0.046059, 0.132159, 0.301063, math.pi / 6, 0.821327], abs=1e-6)
    assert lorac_antipodal_basin(1e-9) == pytest.approx(math.pi / 2, abs=1e-4)
    assert lorac_antipodal_basin(1e9) == pytest.approx(1 / (math.sqrt(2) * 1e9), rel=1e-6)


@pytest.mark.parametrize("d", (2, 3, 8, 60))
def test_the_share_of_random_pairs(d):
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((200_000, d))
    cosines = draws[:, 0] / np.linalg.norm(draws, axis=1)
    found = lorac_antipodal_share(0.5, dimension=d)
    measured = (cosines < -math.cos(lorac_antipodal_basin(0.5))).mean()
    assert found == pytest.approx(measured, abs=4 * math.sqrt(found / 200_000) + 1e-12)
    if d == 3:
        assert found == pytest.approx((1 - math.cos(0.821327)) / 2, abs=1e-6)
        assert lorac_antipodal_share(1.0, dimension=3) == pytest.approx(0.067, abs=5e-4)
    assert lorac_antipodal_share(1e-12, dimension=d) == pytest.approx(0.5, abs=1e-5)  # half of the sphere


def test_wrong_input():
    with pytest.raises(ValueError, match="samples must be >= 6, got 4; two samples span one direction"):
        lorac_swap(samples=4)
    with pytest.raises(ValueError, match="samples must be even, got 9"):
        lorac_swap(samples=9)
    with pytest.raises(ValueError, match="temperature must be >= 0.0001"):
        lorac_swap(samples=8, temperature=1e-5)
    for call in (lambda: lorac_swap(samples=8, beta=-1.0), lambda: lorac_antipodal_basin(0.0)):
        with pytest.raises(ValueError, match="beta must be a finite number > 0"):
            call()
    with pytest.raises(ValueError, match="rate must be a finite number > 0"):
        lorac_residual_angle(0.0, samples=8)
    with pytest.raises(ValueError, match="dimension must be a whole number >= 2"):
        lorac_antipodal_share(dimension=1)


def test_extreme_temperatures_do_not_overflow():
    assert all(map(math.isfinite, lorac_swap(samples=8, temperature=1e4)))
    assert lorac_swap(samples=8, temperature=1e-4) == (0, 0, math.inf)  # no negative is left: nothing pulls


def test_derivation_closes_and_equals_the_code():
    proof = lorac_kink.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(lorac_kink, "_closed_forms") == {
        "force", "curvature", "residual angle", "edge of the basin",
    }  # fmt: skip
