import math

import numpy as np
import pytest
import torch
from scipy import optimize

from clopsim.bounds import critical_weight
from clopsim.bounds.labels import (
    class_curvatures,
    derive,
    lone_unlabelled_cosine,
    pair_critical_weights,
    pair_equilibrium,
    pair_weight,
)


def merged_loss(z, rows, tau):
    """Slow and plain: sum over anchors of the log-sum-exp over the others, less the prototypes' pull."""
    eye = torch.eye(len(z), dtype=torch.bool)
    return torch.logsumexp((z @ z.T / tau).masked_fill(eye, -torch.inf), dim=1).sum() - (z * rows).sum()


def spread_eigenvalues(v, weight, sizes, tau):
    """Per class the lowest Hessian eigenvalue against spreads alone, class means at rest; v (K, d)."""
    K, d = v.shape
    labels = np.repeat(np.arange(K), sizes)
    state, rows = torch.from_numpy(v[labels]), weight * torch.eye(K, d, dtype=torch.float64)[labels]

    def loss(shift):
        z = state + shift
        return merged_loss(z / z.norm(dim=1, keepdim=True), rows, tau)

    n = len(labels)
    full = (
        torch.autograd.functional.hessian(loss, torch.zeros_like(state), vectorize=True).reshape(n * d, n * d).numpy()
    )
    found = []
    for k in range(K):
        tangent = np.linalg.svd(v[k][None])[2][1:]  # (d-1, d)
        m = sizes[k]
        contrasts = np.linalg.svd(np.ones((1, m)))[2][1:]  # (m-1, m), sum zero
        basis = np.zeros((m - 1, d - 1, n, d))
        basis[:, :, labels == k] = np.einsum("sm,td->stmd", contrasts, tangent)
        basis = basis.reshape(-1, n * d)
        found.append(np.linalg.eigvalsh(basis @ full @ basis.T)[0] if m > 1 else np.inf)
    return np.array(found)


def settled_classes(weight, sizes, tau, d):
    """Class points (K, d) of least loss, by BFGS from four starts, some of which it may give up on."""
    K = len(sizes)
    labels = np.repeat(np.arange(K), sizes)
    rows = weight * torch.eye(K, d, dtype=torch.float64)[labels]

    def objective(x):
        u = torch.tensor(x.reshape(K, d), requires_grad=True)
        v = u / u.norm(dim=1, keepdim=True)
        value = merged_loss(v[labels], rows, tau)
        value.backward()
        return float(value.detach()), u.grad.numpy().ravel()

    starts = np.random.default_rng(0).normal(size=(4, K * d))
    runs = [optimize.minimize(objective, x, jac=True, method="BFGS", options={"gtol": 1e-10}) for x in starts]
    v = min(runs, key=lambda run: run.fun).x.reshape(K, d)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


@pytest.mark.parametrize(
    "K, m, d, tau, rho", [(3, 6, 4, 0.5, 0.0), (4, 8, 8, 0.5, 0.0), (2, 5, 3, 0.3, 0.4), (3, 4, 5, 1.0, -0.3)]
)
def test_no_place_of_the_unlabelled_one_is_better(K, m, d, tau, rho):
    """Random places, and small moves of the claimed one, beside classes on a cone."""
    gram = (1 - rho) * np.eye(K) + rho
    c = np.pad(np.linalg.cholesky(gram), ((0, 0), (0, d - K)))
    v = c * 0.8 - 0.1 * c.sum(axis=0)  # turned away from the sum
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    cosine = lone_unlabelled_cosine(classes=K, prototype_cosine=rho)
    best = -c.sum(axis=0) / np.linalg.norm(c.sum(axis=0))
    np.testing.assert_allclose(c @ best, cosine, rtol=1e-12)

    def energy(z):
        e = np.exp(v @ v.T / tau)
        D = (e * (m - np.eye(K))).sum(axis=1)
        return math.log(m * np.exp(v @ z / tau).sum()) + m * np.log(D + np.exp(v @ z / tau)).sum()

    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0, 100.0):
        for _ in range(100):
            z = best + size * rng.normal(size=d)
            assert energy(z / np.linalg.norm(z)) > energy(best)


@pytest.mark.parametrize(
    "sizes, tau, large, small",
    [
        ((8, 2), 0.5, 4.4123, 4.6832),
        ((12, 3), 0.3, 7.2098, 8.5718),
        ((5, 4), 1.0, 1.8752, 1.7466),
        ((20, 2), 0.5, 4.1383, 3.2759),
    ],
)
def test_reference_values_and_the_hessian(sizes, tau, large, small):
    found = pair_critical_weights(sizes=sizes, temperature=tau, dimension=4)
    assert found == pytest.approx((large, small), abs=6e-5)
    assert pair_critical_weights(sizes=sizes[::-1], temperature=tau, dimension=4) == pytest.approx(
        found[::-1], rel=1e-12
    )
    for k in (0, 1):
        for multiple in (0.98, 1.02):
            state = pair_equilibrium(multiple * found[k], sizes=sizes, temperature=tau, dimension=4)
            first, second = state.angles
            v = np.zeros((2, 4))
            v[0, :2], v[1, :2] = (math.cos(first), -math.sin(first)), (-math.sin(second), math.cos(second))
            lowest = spread_eigenvalues(v, multiple * found[k], sizes, tau)
            np.testing.assert_allclose(state.curvatures, lowest, atol=1e-8)
            assert (lowest[k] > 0) == (multiple > 1)
            assert v[0] @ v[1] == pytest.approx(state.cosine, abs=1e-12)


@pytest.mark.parametrize(
    "sizes, tau, weight", [((8, 2), 0.5, 5.0), ((5, 4), 1.0, 0.3), ((1, 6), 0.3, 12.0), ((2, 20), 5.0, 0.2)]
)
def test_no_class_collapsed_state_has_a_smaller_loss(sizes, tau, weight):
    state = pair_equilibrium(weight, sizes=sizes, temperature=tau, dimension=3)
    v = settled_classes(weight, sizes, tau, 3)
    assert v[0] @ v[1] == pytest.approx(state.cosine, abs=1e-6)
    assert np.arccos([v[0, 0], v[1, 1]]) == pytest.approx(state.angles, abs=1e-6)
    assert pair_weight(state.angles[0], sizes=sizes, temperature=tau) == pytest.approx(weight, rel=1e-9)


@pytest.mark.parametrize("sizes, tau, weight", [((6, 3, 2), 0.5, 4.5), ((5, 4, 3, 2), 0.3, 8.0)])
def test_more_classes(sizes, tau, weight):
    """General K: the formula at the class points that a minimiser finds."""
    K = len(sizes)
    v = settled_classes(weight, sizes, tau, K + 1)
    expected = spread_eigenvalues(v, weight, sizes, tau)
    found = class_curvatures(weight, sizes=sizes, cosines=v @ v.T, alignments=v[range(K), range(K)], temperature=tau)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_equal_sizes_are_t9():
    for m, tau in ((3, 0.5), (8, 0.2), (2, 2.0), (3, 50.0)):  # the last with the classes nearly antipodal
        expected = critical_weight(classes=2, per_class=m, temperature=tau, dimension=3)
        assert pair_critical_weights(sizes=(m, m), temperature=tau, dimension=3) == pytest.approx(
            (expected,) * 2, rel=1e-9
        )


def test_limits():
    assert pair_critical_weights(sizes=(8, 2), temperature=1e-4, dimension=3) == pytest.approx(
        (2e4 * 8 / 7, 4e4), rel=1e-9
    )
    assert pair_critical_weights(sizes=(1, 6), temperature=0.1, dimension=3)[0] == 0
    assert pair_critical_weights(sizes=(2, 20), temperature=5.0, dimension=3)[0] == 0
    crowded = pair_equilibrium(1e-3, sizes=(2, 20), temperature=5.0, dimension=3)
    assert crowded.curvatures[0] > 0 > crowded.curvatures[1]
    alone = pair_equilibrium(5.0, sizes=(1, 20), temperature=1e-3, dimension=3)
    assert alone.curvatures[0] == math.inf
    assert math.isfinite(alone.curvatures[1])


def test_wrong_input():
    good = {"sizes": (8, 2), "temperature": 0.5, "dimension": 4}
    for change, message in (
        ({"sizes": (8, 2, 1)}, "^sizes must be two numbers, got 3; for more classes see class_curvatures"),
        ({"sizes": (8, 0)}, "^sizes must be a whole number >= 1, got 0"),
        ({"dimension": 2}, "^dimension must be a whole number >= 3, got 2"),
        ({"temperature": 0.0}, "^temperature must be a finite number > 0"),
        ({"temperature": 1e-5}, "^temperature must be >= 0.0001"),
    ):
        with pytest.raises(ValueError, match=message):
            pair_critical_weights(**good | change)
        with pytest.raises(ValueError, match=message):
            pair_equilibrium(5.0, **good | change)
    with pytest.raises(ValueError, match="^weight must be a finite number > 0"):
        pair_equilibrium(0.0, **good)
    with pytest.raises(ValueError, match="^angle must be <= arctan"):
        pair_weight(0.3, sizes=(8, 2), temperature=0.5)
    with pytest.raises(ValueError, match="^angle must be a finite number > 0"):
        pair_weight(0.0, sizes=(8, 2), temperature=0.5)
    with pytest.raises(ValueError, match=r"^prototype_cosine must be in \(-1/\(classes - 1\), 1\)"):
        lone_unlabelled_cosine(classes=4, prototype_cosine=-1 / 3)
    with pytest.raises(ValueError, match="^classes must be a whole number >= 2, got 1"):
        lone_unlabelled_cosine(classes=1)
    with pytest.raises(ValueError, match=r"^cosines must have shape \(K, K\)"):
        class_curvatures(1.0, sizes=(2, 2), cosines=np.eye(3), alignments=np.ones(2), temperature=0.5)
