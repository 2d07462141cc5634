import math

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds.rank_one_floor import derive, rank_one_gradient_floor

COUNTS = [(6, 4, 2), (5, 5), (7, 0, 1), (1, 1, 1, 1), (3,)]


def squared_gradient(line, signs, weight, labels, d):
    """Slow loop: squared tangent gradient of the prototype term at z_i = sign_i * line; the base loss adds 0 (T1)."""
    total = 0.0
    for sign, label in zip(signs, labels, strict=True):
        z = sign * line
        euclidean = -weight / len(labels) * np.eye(d)[label]
        total += np.sum((euclidean - (z @ euclidean) * z) ** 2)
    return total


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    floor = sp.lambdify(sp.symbols("lambda S N", positive=True), proof.formulas["rank_one_gradient_floor"])
    for counts in COUNTS[:-1]:
        for weight in (0.3, 1.0, 20.0):
            expected = floor(weight, sum(counts), max(counts))
            assert rank_one_gradient_floor(weight, counts) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("counts", COUNTS)
def test_floor_is_attained_at_the_largest_class_and_never_violated(counts):
    d, weight = 6, 2.0
    labels = np.repeat(np.arange(len(counts)), counts)
    floor = rank_one_gradient_floor(weight, counts)
    largest = int(np.argmax(counts))
    rng = np.random.default_rng(0)
    for _ in range(3):
        signs = rng.choice([-1.0, 1.0], size=len(labels))
        at_class = squared_gradient(np.eye(d)[largest], signs, weight, labels, d)
        assert at_class == pytest.approx(floor, rel=1e-14, abs=1e-15)
    closest = math.inf
    for size in (1e-3, 0.1, 1.0, 1e3):
        for _ in range(200):
            line = np.eye(d)[rng.integers(len(counts))] + size * rng.normal(size=d)
            signs = rng.choice([-1.0, 1.0], size=len(labels))
            value = squared_gradient(line / np.linalg.norm(line), signs, weight, labels, d)
            assert value >= floor * (1 - 1e-12)
            closest = min(closest, value)
    assert closest <= 1.001 * floor + 1e-5  # random lines come close, so a floor 5 % higher would be violated


def test_one_class_has_no_floor():
    assert rank_one_gradient_floor(1.0, [5]) == 0
    assert rank_one_gradient_floor(1.0, [5, 0]) == 0
    assert rank_one_gradient_floor(1.0, [1, 1]) == 0.25


def test_wrong_input():
    with pytest.raises(ValueError, match="^weight must be a finite number > 0, got 0"):
        rank_one_gradient_floor(0, [1, 1])
    with pytest.raises(ValueError, match="^class_counts must be a whole number >= 0, got -1"):
        rank_one_gradient_floor(1.0, [2, -1])
    for counts in ([], [0, 0]):
        with pytest.raises(ValueError, match="^class_counts must hold a labelled sample"):
            rank_one_gradient_floor(1.0, counts)
