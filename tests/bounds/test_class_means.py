import math

import numpy as np
import pytest

from clopsim.bounds import class_means
from clopsim.bounds.class_means import free_means, held_means
from clopsim.bounds.equilibrium import weight_that_balances


def slow_hessian(share_loss, points, prototypes, weight, size=1e-4):
    """Of sum_k [log(r + sum_l x_l) + weight (1 - v_k . c_k)] in the tangent space, by second differences."""
    frames = [np.linalg.svd(row[None])[2][1:] for row in points]
    K, d = points.shape

    def loss(coordinates):
        moved = points + np.einsum("ka,kad->kd", coordinates.reshape(K, d - 1), np.array(frames))
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        return share_loss(moved @ moved.T) + weight * (K - (moved * prototypes).sum())

    count, steps = K * (d - 1), size * np.eye(K * (d - 1))
    middle = loss(np.zeros(count))
    hessian = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1):
            if i == j:
                second = loss(steps[i]) - 2 * middle + loss(-steps[i])
            else:
                both, apart = steps[i] + steps[j], steps[i] - steps[j]
                second = (loss(both) + loss(-both) - loss(apart) - loss(-apart)) / 4
            hessian[i, j] = hessian[j, i] = second / size**2
    return np.linalg.eigvalsh(hessian)


def contrast(own, tau):
    def loss(cosines):
        K = len(cosines)
        return sum(
            math.log(own + sum(math.exp((cosines[k, j] - 1) / tau) for j in range(K) if j != k)) for k in range(K)
        )

    return loss


def spectrum(levels):
    return np.sort([mode.curvature for mode in levels for _ in range(mode.multiplicity)])


@pytest.mark.parametrize("K, d", [(2, 2), (2, 4), (3, 3), (4, 5), (5, 5)])
def test_held_levels_are_the_hessian(K, d):
    tau, angle, own = 0.6, 0.2, 0.4
    p, q = math.cos(angle), -math.sin(angle) / math.sqrt(K - 1)
    prototypes = np.eye(K, d)
    points = (p - q) * prototypes + q * prototypes.sum(axis=0)
    x = math.exp((points[0] @ points[1] - 1) / tau)
    share = x / (own + (K - 1) * x)
    weight = weight_that_balances(share, angle, classes=K, temperature=tau)
    levels = held_means(share, angle, classes=K, dimension=d, temperature=tau, weight=weight)
    found = slow_hessian(contrast(own, tau), points, prototypes, weight)
    np.testing.assert_allclose(spectrum(levels), found, atol=2e-6)
    assert all(mode.multiplicity > 0 for mode in levels)


@pytest.mark.parametrize("K, d", [(2, 3), (3, 2), (3, 4), (4, 3), (5, 4)])
def test_free_levels_are_the_hessian(K, d):
    tau, own = 0.6, 0.4
    corners = np.linalg.svd(np.eye(K) - 1 / K)[0][:, : K - 1]
    points = np.zeros((K, d))
    points[:, : K - 1] = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    x = math.exp((-1 / (K - 1) - 1) / tau)
    levels = free_means(x / (own + (K - 1) * x), classes=K, dimension=d, temperature=tau)
    found = slow_hessian(contrast(own, tau), points, points, 0.0)
    np.testing.assert_allclose(spectrum(levels), found, atol=2e-6)


def test_held_levels_tend_to_the_free_ones():
    K, d, tau, P = 4, 6, 0.5, 0.07
    top = math.atan(1 / math.sqrt(K - 1))
    weight = weight_that_balances(P, top - 1e-9, classes=K, temperature=tau)
    held = held_means(P, top - 1e-9, classes=K, dimension=d, temperature=tau, weight=weight)
    np.testing.assert_allclose(
        spectrum(held), spectrum(free_means(P, classes=K, dimension=d, temperature=tau)), atol=1e-8
    )


def test_derivation_closes_and_equals_the_code():
    proof = class_means.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(class_means, "_closed_forms") == {
        "perpendicular", "common perpendicular", "antisymmetric", "pairs", "theta", "stationary", "standard, N",
        "standard, G", "simplex: common perpendicular", "simplex: theta", "simplex: pairs",
    }  # fmt: skip


def test_a_wrong_formula_at_the_simplex_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(class_means, "_closed_simplex") == {
        "simplex: common perpendicular", "simplex: theta", "simplex: pairs", "simplex: the other standard level",
    }  # fmt: skip
