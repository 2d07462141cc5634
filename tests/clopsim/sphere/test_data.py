import numpy as np
import pytest

from clopsim.sphere.data import GaussianClusters, antipodal_lines, cluster_sizes, gaussian_clusters, views_of_points


@pytest.mark.parametrize(
    "samples, clusters, imbalance", [(32, 4, 1), (30, 4, 1), (100, 5, 10), (5, 5, 50), (7, 3, 1e6)]
)
def test_cluster_sizes_add_up_and_none_is_empty(samples, clusters, imbalance):
    sizes = cluster_sizes(samples, clusters, imbalance)
    assert sizes.sum() == samples
    assert sizes.min() >= 1
    assert np.all(np.diff(sizes) <= 0)
    if imbalance == 1:
        assert sizes.max() - sizes.min() <= 1


def test_imbalance_is_the_ratio_of_largest_to_smallest():
    sizes = cluster_sizes(1000, 5, 10.0)
    assert sizes[0] / sizes[-1] == pytest.approx(10, rel=0.05)


def test_clusters_have_the_stated_noise_and_separation():
    spec = GaussianClusters(samples=4000, clusters=4, dimension=8, noise=0.1, separation=3.0)
    x, y = gaussian_clusters(spec, seed=0)
    assert x.shape == (4000, 8)
    for k in range(4):
        centre = x[y == k].mean(axis=0)
        assert np.linalg.norm(centre) == pytest.approx(3.0, abs=0.02)
        assert (x[y == k] - centre).std() == pytest.approx(0.1, rel=0.03)


def test_same_seed_same_points_other_seed_other_points():
    spec = GaussianClusters()
    np.testing.assert_array_equal(gaussian_clusters(spec, seed=3).x, gaussian_clusters(spec, seed=3).x)
    assert not np.allclose(gaussian_clusters(spec, seed=3).x, gaussian_clusters(spec, seed=4).x)


def test_two_views_share_the_point_and_not_the_noise():
    x = gaussian_clusters(GaussianClusters(samples=2000), seed=0).x
    first, second = (view - x for view in views_of_points(x, noise=0.2, seed=0))
    assert first.std() == pytest.approx(0.2, rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
    first, second = views_of_points(x, noise=0.0, antipodal=True, seed=0)
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, -x)


def test_antipodal_lines_are_lines_with_both_ends():
    x, y = antipodal_lines(300, noise=0.01, seed=1)
    assert x.shape == (300, 3)
    directions = []
    for k in range(3):
        points = x[y == k]
        assert np.linalg.norm(points.mean(axis=0)) < 0.01
        _, sigma, v = np.linalg.svd(points)
        assert sigma[0] ** 2 / (sigma**2).sum() > 0.999
        directions.append(v[0])
    np.testing.assert_allclose(np.abs(np.array(directions) @ np.array(directions).T), np.eye(3), atol=0.01)
    assert antipodal_lines(20, dimension=2, classes=5, seed=0).x.shape == (20, 2)


@pytest.mark.parametrize(
    "field, value, rule",
    [
        ("samples", 0, "samples must be a whole number >= 1"),
        ("clusters", 0, "clusters must be a whole number >= 1"),
        ("clusters", 33, "clusters must be <= samples, got 33 clusters and 32 samples; lower"),
        ("noise", -0.1, "noise must be a finite number >= 0, got -0.1; 0 leaves it out"),
        ("separation", np.nan, "separation must be a finite number >= 0, got nan"),
        ("imbalance", 0.5, "imbalance must be >= 1, got 0.5"),
    ],
)
def test_wrong_fields(field, value, rule):
    with pytest.raises(ValueError, match=f"^{rule}"):
        GaussianClusters(**{field: value})
