import math

import numpy as np
import pytest

from clopsim.bounds.distances import (
    derive,
    euclidean_critical_weight,
    euclidean_rank_one_floor,
    manhattan_critical_weight,
)
from clopsim.bounds.rank_one_floor import rank_one_gradient_floor


def merged_loss(z, tau):
    e = np.exp(z @ z.T / tau)
    np.fill_diagonal(e, 0)
    return np.log(e.sum(axis=1)).sum()


def turned(K, d, seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, K)))
    return q.T


def equiangular(K, d, rho):
    rows = np.linalg.cholesky((1 - rho) * np.eye(K) + rho)
    return np.pad(rows, ((0, 0), (0, d - K)))


def least_slope(c, m, tau, weight, order, directions, size=1e-6):
    """Smallest rise per length of loss + weight |z - c|_p as one sample leaves its prototype."""
    z = np.repeat(c, m, axis=0)
    before, least = merged_loss(z, tau), math.inf
    for k in range(len(c)):
        for v in directions[k]:
            v = v - (v @ c[k]) * c[k]
            moved = z.copy()
            moved[k * m] = c[k] + size * v / np.linalg.norm(v)
            moved[k * m] /= np.linalg.norm(moved[k * m])
            rise = merged_loss(moved, tau) - before + weight * np.linalg.norm(moved[k * m] - c[k], ord=order)
            least = min(least, rise / size)
    return least


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


@pytest.mark.parametrize(
    "K, m, d, tau, expected", [(4, 8, 8, 0.5, 0.7319), (3, 4, 5, 0.3, 0.4095), (2, 5, 4, 1.0, 0.6300)]
)
def test_reference_values_and_the_steepest_way_down(K, m, d, tau, expected):
    found = euclidean_critical_weight(classes=K, per_class=m, temperature=tau)
    assert found == pytest.approx(expected, abs=6e-5)
    c = turned(K, d, 0)
    away = [[-(c.sum(axis=0) - row)] for row in c]  # the loss falls fastest away from all other classes
    assert least_slope(c, m, tau, 0.99 * found, 2, away) < 0 < least_slope(c, m, tau, 1.01 * found, 2, away)
    rng = np.random.default_rng(1)
    anywhere = rng.normal(size=(K, 300, d))
    assert least_slope(c, m, tau, 1.01 * found, 2, anywhere) > 0


@pytest.mark.parametrize("rho", [-1 / 3 + 1e-12, -0.2, 0.3, 0.8])
def test_any_common_cosine(rho):
    c = equiangular(4, 5, rho)
    found = euclidean_critical_weight(classes=4, per_class=3, temperature=0.5, prototype_cosine=rho)
    away = [[-(c.sum(axis=0) - row)] for row in c]
    at_rest = least_slope(c, 3, 0.5, 0.0, 2, away) if found > 1e-5 else 0.0
    assert -at_rest == pytest.approx(found, rel=1e-4, abs=1e-5)


def test_a_simplex_needs_no_weight():
    assert euclidean_critical_weight(classes=4, per_class=3, temperature=0.5, prototype_cosine=-1 / 3) < 1e-7


@pytest.mark.parametrize("seed", range(3))
def test_manhattan_against_a_linear_programme(seed):
    """The best tangent direction by linear programming: the independent oracle of the one-dimensional search."""
    from scipy.optimize import linprog

    K, m, d, tau = 4, 3, 6, 0.4
    c = turned(K, d, seed)
    found = manhattan_critical_weight(c, per_class=m, temperature=tau)
    euclidean = euclidean_critical_weight(classes=K, per_class=m, temperature=tau)
    assert euclidean / math.sqrt(d) <= found <= euclidean
    best = []
    for k in range(K):  # max -F.v over |v|_1 <= 1, v.c = 0, v = p - q
        F = euclidean / math.sqrt(K - 1) * (c.sum(axis=0) - c[k])
        run = linprog(
            np.concatenate([F, -F]), A_ub=np.ones((1, 2 * d)), b_ub=[1], A_eq=[np.concatenate([c[k], -c[k]])], b_eq=[0]
        )
        best.append(-run.fun)
    assert found == pytest.approx(max(best), rel=1e-9)


def test_manhattan_depends_on_the_axes():
    along = manhattan_critical_weight(np.eye(4, 8), per_class=8, temperature=0.5)
    euclidean = euclidean_critical_weight(classes=4, per_class=8, temperature=0.5)
    assert along == pytest.approx(euclidean / math.sqrt(3), rel=1e-12)
    assert manhattan_critical_weight(turned(4, 8, 0), per_class=8, temperature=0.5) != pytest.approx(along, rel=0.05)
    uneven = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1]])  # any unit rows: the class pairs differ
    steepest = np.array([[[1.0, -1, -1], [-1.0, 1, -1], [1.0, 1, 0]]] * 3)
    found = manhattan_critical_weight(uneven, per_class=2, temperature=0.5)
    rng = np.random.default_rng(0)
    assert least_slope(uneven, 2, 0.5, 1.02 * found, 1, rng.normal(size=(3, 400, 3))) > 0
    assert least_slope(uneven, 2, 0.5, 1.02 * found, 1, steepest) > 0
    corners = np.random.default_rng(1).normal(size=(3, 4000, 3))  # fine enough to come within 5 % of the steepest
    assert least_slope(uneven, 2, 0.5, 0.95 * found, 1, corners) < 0


@pytest.mark.parametrize(
    "counts, expected", [((6, 4, 2), 0.015683), ((5, 5), 0.014645), ((7, 1, 1, 1), 0.013944), ((4, 0), 0.0)]
)
def test_floor_is_attained_and_never_violated(counts, expected):
    floor = euclidean_rank_one_floor(1.0, counts)
    assert floor == pytest.approx(expected, abs=6e-7)
    assert euclidean_rank_one_floor(3.0, counts) == pytest.approx(9 * floor, rel=1e-12)
    assert floor <= rank_one_gradient_floor(1.0, counts)
    K, d = len(counts), 6
    labels = np.repeat(np.arange(K), counts)

    def squared(star, signs):
        total = 0.0
        for sign, label in zip(signs, labels, strict=True):
            z, c = sign * star, np.eye(d)[label]
            pull = (z - c) / max(np.linalg.norm(z - c), 1e-300) / len(labels)
            total += np.sum((pull - (pull @ z) * z) ** 2)
        return total

    worst = -np.array([*counts, *[0] * (d - K)]) / math.hypot(*counts)
    assert squared(worst, np.ones(len(labels))) == pytest.approx(floor, rel=1e-12, abs=1e-16)
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0, 1e3):
        for _ in range(100):
            star = worst + size * rng.normal(size=d)
            star /= np.linalg.norm(star)
            assert squared(star, rng.choice([-1.0, 1.0], size=len(labels))) >= floor * (1 - 1e-12)
    for k in range(K):  # on a prototype, where the subgradient may be 0
        assert squared(np.eye(d)[k], np.ones(len(labels))) >= floor * (1 - 1e-12)


def test_limits():
    for tau in (1e-4, 0.01):
        assert euclidean_critical_weight(classes=4, per_class=8, temperature=tau) < 1e-30
        assert manhattan_critical_weight(np.eye(4, 8), per_class=8, temperature=tau) < 1e-30
    one = euclidean_critical_weight(classes=4, per_class=1, temperature=1e-4)
    assert one == pytest.approx(2e4 / math.sqrt(3), rel=1e-12)
    assert manhattan_critical_weight(np.eye(4, 8), per_class=1, temperature=1e-4) == pytest.approx(2e4 / 3, rel=1e-12)


def test_wrong_input():
    good = {"classes": 4, "per_class": 8, "temperature": 0.5}
    for change, message in (
        ({"classes": 1}, "^classes must be a whole number >= 2, got 1"),
        ({"per_class": 0}, "^per_class must be a whole number >= 1, got 0"),
        ({"temperature": -1.0}, "^temperature must be a finite number > 0"),
        ({"temperature": 1e-6}, "^temperature must be >= 0.0001"),
        (
            {"prototype_cosine": 1.0},
            r"^prototype_cosine must be in \[-1/\(classes - 1\), 1\) = \[-0.333333, 1\), got 1.0",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            euclidean_critical_weight(**good | change)
    with pytest.raises(ValueError, match=r"^prototypes must be unit rows \(K, d\), got shape \(3, 3\)"):
        manhattan_critical_weight(2 * np.eye(3), per_class=2, temperature=0.5)
    with pytest.raises(ValueError, match="^classes must be a whole number >= 2, got 1"):
        manhattan_critical_weight(np.eye(1, 3), per_class=2, temperature=0.5)
    with pytest.raises(ValueError, match="^weight must be a finite number > 0, got 0"):
        euclidean_rank_one_floor(0, [1, 1])
    with pytest.raises(ValueError, match="^class_counts must be a whole number >= 0, got -1"):
        euclidean_rank_one_floor(1.0, [2, -1])
    with pytest.raises(ValueError, match="^class_counts must hold a labelled sample"):
        euclidean_rank_one_floor(1.0, [0, 0])
