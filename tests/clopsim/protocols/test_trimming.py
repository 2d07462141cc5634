"""L-statistics under contamination: errors with known answers, which anchors count, which pairs are broken."""

import pytest
import torch

from clopsim.protocols import trimming
from clopsim.protocols.trimming import PLANE, SHARES, VARIANTS, Trimming, kmeans_error, subspace_error, weighing


def test_variants_keep_what_their_names_say():
    losses = torch.arange(10.0)
    kept = {name: weighing(name, 0.2)(losses) for name in VARIANTS}
    assert kept["plain"].tolist() == [1] * 10
    assert (kept["hard"] > 0).tolist() == [True] * 7 + [False] * 3
    assert (kept["true"] > 0).tolist() == [True] * 8 + [False] * 2
    assert (kept["soft"] > 0).tolist() == [True] * 7 + [False] * 3
    assert float(kept["soft"][6]) == pytest.approx(float(kept["soft"][0]) / 2)


def test_without_outliers_the_errors_are_the_noise_floors():
    """Six coordinates of deviation 1/2; eight of deviation 0.3."""
    for seed in range(2):
        assert kmeans_error(seed, 0.0, weighing("plain", 0.0)) == pytest.approx(6 / 4, rel=0.06)
        assert subspace_error(seed, 0.0, weighing("plain", 0.0)) == pytest.approx((10 - PLANE) * 0.09, rel=0.06)


def test_outliers_take_a_centre_and_a_direction_unless_they_are_trimmed():
    for seed in range(2):
        assert kmeans_error(seed, 0.1, weighing("plain", 0.1)) > 4
        assert kmeans_error(seed, 0.1, weighing("hard", 0.1)) < 1.7
        assert subspace_error(seed, 0.1, weighing("plain", 0.1)) > 1.4
        assert subspace_error(seed, 0.1, weighing("hard", 0.1)) < 0.85


def test_plain_and_true_are_one_where_nothing_is_broken():
    found = trimming.run(Trimming(seeds=1, steps=3, batch=16), lambda share: None)
    clean = found.sel(share=0.0)
    for name in ("kmeans_error", "subspace_error", "probe_accuracy"):
        plain, true = (clean[name].sel(variant=variant).item() for variant in ("plain", "true"))
        assert plain == true
    assert found["probe_accuracy"].shape == (len(VARIANTS), len(SHARES), 1)


def test_the_ridge_classifier_separates_what_a_plane_separates():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    x = torch.eye(3)[y] + 0.1 * torch.randn(1, 300, 3, generator=generator)
    assert float(trimming._ridge_accuracy(x[:, :200], y[:200], x[:, 200:], y[200:])) == 1
    assert float(trimming._ridge_accuracy(x[:, :200], y[:200].roll(1), x[:, 200:], y[200:])) < 0.2
