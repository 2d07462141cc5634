"""The rule of `inspect` and `train`: what has lost something is called so, what is only unlike a ball is not."""

import numpy as np
import pytest
import torch

from clopsim.metrics import inspection, verdict

RNG = np.random.default_rng(11)


def normal(n: int, d: int) -> np.ndarray:
    return RNG.standard_normal((n, d))


def cone(cosine: float, n: int = 800, d: int = 96) -> np.ndarray:
    mean = np.ones(d) / np.sqrt(d)
    return np.sqrt(cosine) * mean + np.sqrt((1 - cosine) / d) * normal(n, d)


def around(means: np.ndarray, y: np.ndarray, noise: float) -> np.ndarray:
    return means[y] + noise * normal(len(y), means.shape[1]) / np.sqrt(means.shape[1])


def simplex(k: int, d: int) -> np.ndarray:
    return np.eye(k, d) - np.where(np.arange(d) < k, 1 / k, 0)


SEVEN = np.arange(1400) % 7
HEALTHY = {
    "isotropic": (normal(900, 40), None),
    "power law": (normal(1500, 300) / np.arange(1, 301), None),
    "half a power law": (normal(1500, 300) / np.sqrt(np.arange(1, 301)), None),
    "cone": (cone(0.8), None),
    "positive features": (np.maximum(normal(900, 20) @ normal(20, 200), 0), None),
    "orthonormal classes": (around(np.eye(7, 64), SEVEN, 0.3), SEVEN),
    "simplex of classes": (around(simplex(7, 64), SEVEN, 0.1), SEVEN),
    "a point for each class": (around(simplex(7, 64), SEVEN, 0.001), SEVEN),
    "a point for each class, no noise": (around(np.eye(7, 64), SEVEN, 0.0), SEVEN),
    "two classes in a plane": (normal(400, 2) @ normal(2, 30), np.arange(400) % 2),
    "more classes than dimensions": (normal(900, 16) * (np.arange(16) > 0), np.arange(900) % 60),
    "repeated rows": (np.repeat(normal(150, 60), 6, axis=0), None),
    "more dimensions than rows": (normal(60, 500), None),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_sets_get_no_verdict(name):
    x, y = HEALTHY[name]
    report = inspection.inspect(x.astype(np.float32), labels=y).report
    assert report["verdict"] == "none", report["rule"]


ILL = {
    "complete": (cone(0.999), None),
    "line": (np.where(np.arange(400) % 3, 1, -1)[:, None] * cone(0.999, n=400), None),
    "cluster": (around(np.eye(6, 64), np.arange(900) % 6, 0.01), np.arange(900) % 12),
    "cluster, no labels, no noise": (around(np.eye(6, 64), np.arange(900) % 6, 0.0), None),
    "dimensional": (normal(900, 5) @ normal(5, 64), None),
    "dimensional in a cone": (2 + normal(900, 5) @ normal(5, 64), None),
    "dimensional, below what classes need": (normal(900, 5) @ normal(5, 64), np.arange(900) % 10),
}


@pytest.mark.parametrize("name", ILL)
def test_what_has_lost_something_is_called_so(name):
    x, y = ILL[name]
    report = inspection.inspect(x.astype(np.float32), labels=y).report
    assert report["verdict"] == name.split(",")[0].split()[0], report["rule"]


def test_what_classes_need_decides_about_a_low_rank():
    x = (normal(900, 5) @ normal(5, 64)).astype(np.float32)
    for classes, expected in ((2, "none"), (6, "none"), (7, "dimensional")):
        report = inspection.inspect(x, labels=np.arange(900) % classes).report
        assert report["verdict"] == expected, report["rule"]
        assert f"{classes - 1} that {classes} classes need" in report["rule"]
        assert report["used_directions"] == 5
        assert any(line.startswith("low rank: effective rank 4.") for line in report["observations"])


def test_a_cone_is_an_observation_with_its_numbers():
    report = inspection.inspect(cone(0.8).astype(np.float32)).report
    (told,) = report["observations"]
    assert told.startswith("common direction (a cone): the mean explains 0.8")
    assert "about it 96 of 96 directions carry energy, effective rank 8" in told


def test_repeated_rows_are_counted_whatever_their_number_and_are_no_clusters():
    once = normal(3000, 24)
    for rows in (200, 3000):  # below and above the size of the sample
        report = inspection.inspect(np.repeat(once[:rows], 4, axis=0)).report
        assert report["verdict"] == "none", report["rule"]
        assert report["distinct_rows"] == rows
        assert (
            f"repeated rows: {4 * rows} rows are {rows} distinct ones, each 4 times on average, at most 4 times"
            in report["observations"][0]
        )
    turned = np.concatenate([once, 3 * once])  # the same directions
    assert inspection.inspect(turned).report["distinct_rows"] == 3000


def test_the_verdict_does_not_hang_on_the_sample_that_is_drawn():
    for x, y in (HEALTHY["orthonormal classes"], (np.repeat(normal(3000, 24), 4, axis=0), None)):
        assert {inspection.inspect(x, labels=y, seed=seed).report["verdict"] for seed in range(3)} == {"none"}
    x = around(np.eye(40, 64), np.arange(8000) % 40, 0.01)
    assert {inspection.inspect(x, seed=seed).report["verdict"] for seed in range(3)} == {"cluster"}


def test_views_that_tell_samples_apart_and_views_that_do_not():
    sample = normal(600, 16)
    near = inspection.inspect(sample + 0.7 * normal(600, 16), views=sample + 0.7 * normal(600, 16)).report
    assert near["verdict"] == "none", near["rule"]
    far = inspection.inspect(normal(600, 16), views=normal(600, 16)).report
    assert far["verdict"] == "views"
    assert "mean squared distance 2" in far["rule"]


def test_the_spectrum_ends_at_a_cliff_and_not_in_a_slope():
    k = torch.arange(1, 401, dtype=torch.float64)
    assert verdict.used_directions(k**-2) == 400
    assert verdict.used_directions(torch.cat([k[:10] ** -2, 1e-6 * k**-1])) == 10
    assert verdict.used_directions(torch.exp(-k)) == 19  # exp(-19) of the first is the last above 1e-8
    assert verdict.used_directions(torch.zeros(5)) == 0


def test_labels_say_whether_copies_are_clusters():
    """200 points of 10 copies each: two classes on every point have lost what tells them apart, one on each has not."""
    point = np.arange(2000) % 200
    x = np.eye(200)[point]
    whole, halved = (inspection.inspect(x, labels=y).report for y in (point, point + 200 * (np.arange(2000) // 1000)))
    assert whole["verdict"] == "none", whole["rule"]
    assert any(line.startswith("class collapse: ") for line in whole["observations"])
    assert halved["verdict"] == "cluster", halved["rule"]
    assert "50% of them sit with another class" in halved["rule"]


def test_a_point_that_holds_many_embeddings_is_told():
    x = normal(900, 30)
    x[::3] = 1 + 1e-3 * x[::3]
    report = inspection.inspect(x).report
    assert report["verdict"] == "none"
    assert "crowded point: 33% of 900 sampled embeddings sit on one point" in " ".join(report["observations"])
    circle = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    spread = inspection.inspect(np.stack([np.cos(circle), np.sin(circle)], axis=1)).report
    assert not any("crowded" in line for line in spread["observations"])


def test_a_few_rows_are_no_crowd_and_no_cone():
    for rows in (2, 3, 6, 12):
        found = inspection.inspect(np.eye(rows, 40) + 1e-3 * normal(rows, 40)).report
        assert found["verdict"] == "none"
        assert found["observations"] == []


def test_copies_of_a_few_points_are_clusters_and_said_to_be_copies():
    rule = inspection.inspect(np.repeat(normal(12, 40), 60, axis=0)).report["rule"]
    assert rule.endswith("their 720 rows are copies of 12")
