import numpy as np
import pytest
import torch

from clopsim.bounds import Setting
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.data import GaussianClusters, gaussian_clusters

MERGED, FULL = Setting(0.5, 8, 64), Setting(0.5, 8, 64, loss="full")


def points(count: int, seed: int = 0) -> np.ndarray:
    return gaussian_clusters(GaussianClusters(samples=count), seed=seed).x


@pytest.mark.parametrize(
    "start",
    [
        lambda setting, seed: starts.from_data(setting, points(32 if setting.loss == "full" else 64, seed), seed=seed),
        lambda setting, seed: starts.random_directions(setting, seed=seed),
        lambda setting, seed: starts.near_uniform(setting, temperature=0.5, seed=seed),
        lambda setting, seed: starts.near_collapse(setting, spread=1e-3, seed=seed),
        lambda setting, seed: starts.near_line(setting, spread=1e-3, seed=seed),
    ],
    ids=["data", "random", "uniform", "collapse", "line"],
)
@pytest.mark.parametrize("setting", [MERGED, FULL], ids=["merged", "full"])
def test_every_start_has_unit_rows_and_follows_its_seed(start, setting):
    z = start(setting, 5)
    assert z.shape == (64, 8)
    assert z.dtype == torch.float64
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(64, dtype=torch.float64))
    assert torch.equal(z, start(setting, 5))
    assert not torch.allclose(z, start(setting, 6), atol=1e-2)


def test_a_stirred_uniform_start_lies_about_that_far_from_its_place():
    still = starts.near_uniform(MERGED, temperature=0.5, seed=0)
    stirred = starts.near_uniform(MERGED, temperature=0.5, seed=0, view_angle=1e-3)
    assert float((stirred - still).norm(dim=1).mean()) == pytest.approx(1e-3, rel=0.15)
    views = starts.near_uniform(FULL, temperature=0.5, seed=0, view_angle=1e-3)
    assert float((views[:32] - views[32:]).norm(dim=1).mean()) == pytest.approx(1e-3 * 2**0.5, rel=0.15)


def test_data_starts_at_the_points_with_noisy_views():
    z = starts.from_data(FULL, points(32), view_noise=0.01, seed=0)
    assert 0 < float(geometry.alignment(z)) < 0.01
    opposite = starts.from_data(FULL, points(32), view_noise=0.01, antipodal=True, seed=0)
    assert float(geometry.alignment(opposite)) > 3.99
    assert float(geometry.effective_rank(starts.from_data(MERGED, points(64), seed=0))) < 5  # four clusters


def test_near_uniform_is_more_uniform_than_chance():
    relaxed = geometry.harmonic_energy(starts.near_uniform(MERGED, temperature=0.5, seed=0))
    drawn = geometry.harmonic_energy(starts.random_directions(MERGED, seed=0))
    assert (relaxed[:2] < 1e-3 * drawn[:2]).all()
    assert float(geometry.alignment(starts.near_uniform(FULL, temperature=0.5, seed=0))) == 0
    angle = geometry.alignment(starts.near_uniform(FULL, temperature=0.5, seed=0, view_angle=1e-3)).sqrt()
    assert 5e-4 < float(angle) < 2e-3


def test_near_collapse_has_the_stated_spread_and_views():
    z = starts.near_collapse(MERGED, spread=1e-3, seed=0)
    distance = (z - z.mean(dim=0)).norm(dim=-1)
    assert 5e-4 < float(distance.median()) < 2e-3
    apart = starts.near_collapse(FULL, spread=1e-3, seed=0, views="apart")
    mean_of_views = (apart[:32] + apart[32:]) / 2
    assert float((mean_of_views - mean_of_views.mean(dim=0)).norm()) < 1e-5
    with pytest.raises(ValueError, match="^spread must be a finite number > 0"):
        starts.near_collapse(MERGED, spread=0.0, seed=0)


def test_near_line_has_its_views_at_opposite_ends():
    z = starts.near_line(FULL, spread=1e-3, seed=0)
    assert float(geometry.leading_share(z)) == pytest.approx(1, abs=1e-5)
    assert float(geometry.alignment(z)) == pytest.approx(4, abs=1e-5)
    assert float(geometry.mean_resultant_length(z)) < 1e-3
    off = 1 - float(geometry.leading_share(z))
    assert 1e-7 < off < 4e-6
