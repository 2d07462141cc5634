import math

import numpy as np
import pytest
import torch

from clopsim.metrics import classes as cm


def points(
    means: torch.Tensor, noise: float = 0.0, per_class: int = 5, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(len(means)).repeat_interleave(per_class)
    shift = torch.randn(len(y), means.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return means[y] + noise * shift, y


def simplex(k: int) -> torch.Tensor:
    z = torch.eye(k, dtype=torch.float64) - 1 / k
    return z / z.norm(dim=1, keepdim=True)


ORTHONORMAL = torch.eye(4, 6, dtype=torch.float64)


def test_an_orthonormal_frame_and_a_simplex_are_told_apart_only_without_centring():
    frame, etf = (cm.scatter(*points(means)) for means in (ORTHONORMAL, simplex(4)))
    apart = math.sqrt((1 / 2) ** 2 + 3 * (1 / 2 - 1 / math.sqrt(3)) ** 2)  # 0.518, by the eigenvalues
    for s, orthonormal, own in ((frame, 0, apart), (etf, apart, 0)):
        assert cm.frame_distance(s, "orthonormal") == pytest.approx(orthonormal, abs=1e-12)
        assert cm.frame_distance(s, "simplex") == pytest.approx(own, abs=1e-12)
        assert cm.frame_distance(s, "simplex", centered=True) == pytest.approx(0, abs=1e-12)
        assert float(cm.mean_angles(s, centered=True).mean()) == pytest.approx(math.degrees(math.acos(-1 / 3)))
    assert float(cm.mean_angles(frame).max()) == pytest.approx(90)
    assert float(cm.mean_angles(etf).max()) == pytest.approx(math.degrees(math.acos(-1 / 3)))


def test_neural_collapse_equals_the_definition_with_a_pseudo_inverse():
    z, y = points(torch.randn(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64), noise=0.3)
    means = np.stack([z[y == k].numpy().mean(axis=0) for k in range(5)])
    within = sum(np.outer(r, r) for r in z.numpy() - means[y]) / len(z)
    between = sum(np.outer(m, m) for m in means - means.mean(axis=0)) / 5
    expected = np.trace(within @ np.linalg.pinv(between)) / 5
    assert cm.neural_collapse(cm.scatter(z, y)) == pytest.approx(expected, rel=1e-10)
    assert cm.variation_ratio(cm.scatter(z, y)) == pytest.approx(np.trace(within) / np.trace(between), rel=1e-12)


def test_points_have_no_variation_and_one_point_no_classes():
    assert cm.neural_collapse(cm.scatter(*points(ORTHONORMAL))) == pytest.approx(0, abs=1e-20)
    s = cm.scatter(*points(ORTHONORMAL[[0, 0, 0]]))
    assert math.isnan(cm.neural_collapse(s))
    assert math.isnan(cm.variation_ratio(s))
    assert math.isnan(cm.frame_distance(s, "simplex", centered=True))


def test_wrong_input():
    with pytest.raises(ValueError, match=r"^y must use every class 0 \.\. K-1"):
        cm.scatter(ORTHONORMAL, torch.tensor([0, 0, 2, 2]))
    with pytest.raises(ValueError, match="^frame must be one of simplex, orthonormal"):
        cm.frame_distance(cm.scatter(*points(ORTHONORMAL)), "cube")


@pytest.mark.parametrize(
    "labels",
    [
        np.array([-1, 4, 9, -100, 4]),
        np.array([-1, 4, 9, -100, 4], dtype=np.int8),
        np.array([np.nan, 4, 9, -100, 4]),
    ],
    ids=["integers", "short integers", "floats"],
)
def test_every_number_below_zero_and_nan_are_unlabelled(labels):
    names, y = cm.numbered(labels)
    assert (names.tolist(), y.tolist()) == ([4, 9], [-1, 0, 1, -1, 0])


def test_words_and_truths_name_classes_too_and_halves_do_not():
    assert cm.numbered(np.array(["b", "a", "b"]))[1].tolist() == [1, 0, 1]
    assert cm.numbered(np.array([True, False]))[1].tolist() == [1, 0]
    for wrong in (np.array([0.5, 1]), np.array([np.inf, 1]), np.array([1j, 1])):
        with pytest.raises(ValueError, match="^labels must be whole numbers or words, got "):
            cm.numbered(wrong)


def test_more_classes_than_dimensions_need_no_square_of_them():
    means = torch.from_numpy(np.random.default_rng(2).standard_normal((700, 5)))
    s = cm.Scatter(means, torch.full((700,), 1 / 700).double(), torch.eye(5).double())
    for centered in (False, True):
        angles, found = cm.mean_angles(s, centered=centered), cm.angle_range(s, centered=centered)
        assert found == pytest.approx(
            {"min": float(angles.min()), "mean": float(angles.mean()), "max": float(angles.max())}
        )
        moved = means - means.mean(dim=0) if centered else means
        gram = moved @ moved.T
        for frame, target in (("orthonormal", torch.eye(700)), ("simplex", torch.eye(700) - 1 / 700)):
            expected = float((gram / gram.norm() - target.double() / target.double().norm()).norm())
            assert cm.frame_distance(s, frame, centered=centered) == pytest.approx(expected, rel=1e-6)


def test_words_of_tables_have_gaps():
    names, y = cm.numbered(np.array(["owl", None, "cat", float("nan"), "owl"], dtype=object))
    assert names.tolist() == ["cat", "owl"]
    assert y.tolist() == [1, -1, 0, -1, 1]
    names, y = cm.numbered(np.array([3, None, 1, -2], dtype=object))
    assert (names.tolist(), y.tolist()) == ([1, 3], [1, -1, 0, -1])
    with pytest.raises(ValueError, match="labels must be whole numbers or words, got both"):
        cm.numbered(np.array(["owl", 1], dtype=object))
