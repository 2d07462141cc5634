"""The spectrum's summaries against their definitions, and against values known by hand."""

import numpy as np
import pytest
import torch

from clopsim.metrics import inspection, spectrum
from clopsim.metrics.comparison import apart


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("alpha", (0.5, 1.0, 1.7))
def test_alpha_req_finds_the_exponent_of_a_power_law(alpha):
    found = spectrum.alpha_req(torch.arange(1, 201, dtype=torch.float64) ** -alpha)
    assert found == pytest.approx((alpha, 11, 100, 1.0), rel=1e-12)
    few = spectrum.alpha_req(torch.arange(1, 31, dtype=torch.float64) ** -alpha)
    assert (few.first, few.last) == (11, 30)
    assert spectrum.alpha_req(torch.ones(14, dtype=torch.float64)) is None


def test_alpha_req_of_gaussian_rows_is_the_fit_to_their_covariance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 256)) * np.arange(1, 257.0) ** -0.5
    eigenvalues = np.linalg.eigvalsh(np.cov(unit(x).T, bias=True))[::-1]
    k = np.arange(11, 101)
    expected = -np.polyfit(np.log(k), np.log(eigenvalues[10:100]), 1, w=k**-0.5)[0]  # polyfit squares its weights
    report = inspection.inspect(x).report
    assert report["alpha_req"]["exponent"] == pytest.approx(expected, rel=1e-9)
    assert report["spectrum"]["centred"] == pytest.approx(eigenvalues, rel=1e-9)
    assert abs(expected - 1) < 0.05


@pytest.mark.parametrize("shape", ((200, 12), (20, 50)), ids=str)
def test_rankme_of_raw_rows_condition_number_and_stable_rank(shape):
    rng = np.random.default_rng(1)
    x = (rng.normal(size=shape) + 0.3) * rng.uniform(0.1, 5, (shape[0], 1))
    sigma = np.linalg.svd(x, compute_uv=False)
    p = sigma / sigma.sum()
    z = unit(x)
    about = np.linalg.svd(z - z.mean(axis=0), compute_uv=False)[: min(shape[0] - 1, shape[1])]
    whole = np.linalg.svd(z, compute_uv=False)
    report = inspection.inspect(x).report
    assert report["effective_rank"]["amplitude_raw"] == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-9)
    assert report["condition_number"] == pytest.approx(about[0] / about[-1], rel=1e-6)
    assert report["stable_rank"]["uncentred"] == pytest.approx((whole**2).sum() / whole[0] ** 2, rel=1e-9)
    assert report["stable_rank"]["centred"] == pytest.approx((about**2).sum() / about[0] ** 2, rel=1e-9)


def test_a_lost_direction_has_no_condition_number():
    x = np.random.default_rng(1).normal(size=(100, 5))
    assert inspection.inspect(np.hstack([x, x[:, :1]])).report["condition_number"] is None


def lidar_by_hand(groups: list[np.ndarray]) -> float:
    means = np.stack([group.mean(axis=0) for group in groups])
    between = (means - means.mean(axis=0)).T @ (means - means.mean(axis=0)) / len(means)
    apart = np.concatenate([group - group.mean(axis=0) for group in groups])
    within = apart.T @ apart / len(apart) + 1e-4 * np.eye(apart.shape[1])
    value, vector = np.linalg.eigh(within)
    root = vector @ np.diag(value**-0.5) @ vector.T
    energy = np.linalg.eigvalsh(root @ between @ root)
    p = energy[energy > 1e-12] / energy[energy > 1e-12].sum()
    return float(np.exp(-(p * np.log(p)).sum()))


@pytest.mark.parametrize("shape", ((60, 8), (30, 50), (12, 40)), ids=str)
def test_lidar_is_its_definition(shape):
    rng = np.random.default_rng(2)
    x = rng.normal(size=shape)
    views = x + 0.3 * rng.normal(size=shape)
    report = inspection.inspect(x, views=views).report
    expected = lidar_by_hand([np.stack(pair) for pair in zip(unit(x), unit(views), strict=True)])
    assert report["lidar"] == pytest.approx(expected, rel=1e-6)
    y = np.arange(len(x)) % 4
    of_classes = inspection.inspect(x, labels=y).report["classes"]["lidar"]
    assert of_classes == pytest.approx(lidar_by_hand([unit(x)[y == k] for k in range(4)]), rel=1e-6)
    assert inspection.inspect(x).report["lidar"] is None


def test_lidar_counts_the_directions_that_tell_samples_apart():
    """Three directions of samples, all others only noise of the views."""
    rng = np.random.default_rng(4)
    x = np.zeros((400, 10))
    x[:, :3] = rng.normal(size=(400, 3))
    noise = np.zeros((2, 400, 10))
    noise[:, :, 3:] = rng.normal(size=(2, 400, 7))
    found = inspection.inspect(x + 0.02 * noise[0], views=x + 0.02 * noise[1]).report
    assert 2.5 < found["lidar"] < 3.3


def test_the_modality_gap_of_two_cones():
    rng = np.random.default_rng(5)
    first, second = (rng.normal(size=(300, 6)) + 3 * np.eye(6)[k] for k in (0, 1))
    rows = np.arange(300)
    found = apart(first, second, (rows, rows))
    z, w = unit(first), unit(second)
    assert found.modality_gap == pytest.approx(np.linalg.norm(z.mean(axis=0) - w.mean(axis=0)), rel=1e-12)
    assert found.paired_cosine == pytest.approx((z * w).sum(axis=1).mean(), rel=1e-12)
    assert apart(first, second[:9], (rows, rows[:9])).paired_cosine is None
    assert apart(first, second[:, :3], (rows, rows)) == (None, None)
    assert apart(first, second, (rows[2:], rows[:-2])).paired_cosine == pytest.approx((z * w).sum(axis=1)[2:-2].mean())
