import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from clopsim.bounds import class_equilibrium, critical_weight, spread_curvature
from clopsim.bounds.equiangular import (
    authors_etf_cosine,
    derive,
    equiangular_critical_weight,
    equiangular_curvature,
    equiangular_equilibrium,
    equiangular_weight,
)

SETTINGS = [
    (4, 3, 6, 0.5, 0.0), (4, 3, 6, 0.5, -1 / 3), (4, 3, 6, 0.5, -0.2), (4, 3, 6, 0.5, 0.3), (3, 4, 3, 1.0, 0.0),
    (3, 2, 4, 0.3, -0.6 / 2), (3, 3, 2, 0.5, -0.5), (2, 4, 2, 0.7, -0.6), (3, 3, 3, 0.5, 0.6), (2, 3, 2, 0.4, 0.3),
]  # fmt: skip
"""(K, m, d, tau, rho), d = K - 1, K and more."""


def named(K, m, d, tau, rho):
    return {"classes": K, "per_class": m, "dimension": d, "temperature": tau, "prototype_cosine": rho}


def frame(K, d, rho):
    """K unit rows in d dimensions with cosine rho: a simplex leaned by the mean, or its corners alone."""
    corners = np.eye(K) - 1 / K
    corners = np.linalg.svd(corners / np.linalg.norm(corners, axis=1, keepdims=True))
    eta = (corners[0] * corners[1])[:, : K - 1]  # (K, K-1)
    height = math.sqrt(max(0.0, (1 + (K - 1) * rho) / K))
    rows = np.concatenate([math.sqrt(1 - height**2) * eta, np.full((K, 1), height)], axis=1)
    out = np.zeros((K, max(d, K)))
    out[:, :K] = rows
    return out[:, :d], eta


def derivatives(weight, K, m, d, tau, rho, *, keys, angle):
    """Eigenvalues of the Hessian (symmetric) or of the force's Jacobian (detached), all tangent directions."""
    c, eta = frame(K, d, rho)
    psi = math.acos(math.sqrt(max(0.0, (1 + (K - 1) * rho) / K))) + angle
    v = np.zeros((K, max(d, K)))
    v[:, : K - 1], v[:, K - 1] = math.sin(psi) * eta, math.cos(psi)
    state = torch.from_numpy(np.repeat(v[:, :d], m, axis=0))
    rows = torch.from_numpy(np.repeat(c, m, axis=0)) * weight
    eye = torch.eye(K * m, dtype=torch.bool)

    def unit(shift):
        z = state + shift
        return z / z.norm(dim=1, keepdim=True)

    def loss(shift):
        z = unit(shift)
        return torch.logsumexp((z @ z.T / tau).masked_fill(eye, -torch.inf), dim=1).sum() - (z * rows).sum()

    def force(shift):
        z = unit(shift)
        g = rows - torch.softmax((z @ z.T / tau).masked_fill(eye, -torch.inf), dim=1) @ z / tau
        return (g * z).sum(dim=1, keepdim=True) * z - g

    zero = torch.zeros_like(state)
    if keys == "symmetric":
        matrix = torch.autograd.functional.hessian(loss, zero, vectorize=True)
    else:
        assert force(zero).abs().max() < 1e-10
        matrix = torch.autograd.functional.jacobian(force, zero, vectorize=True)
    basis = np.zeros((K * m, d - 1, K * m, d))
    for i, z in enumerate(state.numpy()):
        basis[i, :, i] = np.linalg.svd(z[None])[2][1:]
    basis = basis.reshape(-1, K * m * d)
    return np.linalg.eigvals(basis @ matrix.reshape(K * m * d, -1).numpy() @ basis.T).real


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


@pytest.mark.parametrize(
    "K, m, d, tau", [(4, 8, 8, 0.5), (3, 4, 6, 0.2), (2, 5, 2, 0.4), (4, 3, 4, 0.5), (3, 3, 3, 2.0)]
)
def test_orthonormal_prototypes_are_t8_and_t9(K, m, d, tau):
    setting = named(K, m, d, tau, 0.0)
    plain = {name: value for name, value in setting.items() if name != "prototype_cosine"}
    critical = critical_weight(**plain)
    assert equiangular_critical_weight(**setting) == pytest.approx(critical, rel=1e-12)
    for multiple in (0.5, 1.5, 10.0):
        old = class_equilibrium(multiple * critical, allow_unstable=True, **plain)
        new = equiangular_equilibrium(multiple * critical, allow_unstable=True, **setting)
        assert new.angle == pytest.approx(old.angle, rel=1e-10)
        assert new.cosine == pytest.approx(old.cosine, rel=1e-10)
        assert new.effective_rank == pytest.approx(old.effective_rank, rel=1e-10)
        assert new.is_equilibrium is old.is_equilibrium
        assert equiangular_curvature(old.angle, **setting) == pytest.approx(
            spread_curvature(old.angle, **plain), rel=1e-9
        )


@pytest.mark.parametrize("keys", ["symmetric", "detached"])
@pytest.mark.parametrize("K, m, d, tau, rho", SETTINGS)
@pytest.mark.parametrize("multiple", [0.99, 1.01, 3.0])
def test_every_direction_of_the_hessian(K, m, d, tau, rho, multiple, keys):
    setting = named(K, m, d, tau, rho)
    weight = multiple * equiangular_critical_weight(keys=keys, **setting)
    state = equiangular_equilibrium(weight, keys=keys, allow_unstable=True, **setting)
    assert state.is_equilibrium is (multiple > 1)
    values = derivatives(weight, K, m, d, tau, rho, keys=keys, angle=state.angle)
    assert (values.min() > 0) == (multiple > 1)
    if state.angle and multiple < 2:  # the softest direction is a spread near the critical weight
        claim = equiangular_curvature(state.angle, keys=keys, **setting) / (2 if keys == "detached" else 1)
        assert values.min() == pytest.approx(claim, abs=1e-9 * np.abs(values).max())


def test_no_class_collapsed_state_has_a_smaller_loss():
    """Random moves of all class points, large and small: the independent oracle of the minimum."""
    rng = np.random.default_rng(0)
    for K, m, d, tau, rho in ((3, 4, 3, 0.5, 0.4), (4, 2, 6, 0.3, -0.2), (3, 3, 4, 1.0, -0.5)):
        c, eta = frame(K, d, rho)
        state = equiangular_equilibrium(2.0, allow_unstable=True, **named(K, m, d, tau, rho))
        psi = math.acos(math.sqrt(max(0.0, (1 + (K - 1) * rho) / K))) + state.angle
        v = np.zeros((K, d))
        v[:, : K - 1], v[:, K - 1] = math.sin(psi) * eta, math.cos(psi)

        def loss(points, K=K, m=m, tau=tau, c=c):
            points = points / np.linalg.norm(points, axis=1, keepdims=True)
            e = np.exp(points @ points.T / tau) * (m - np.eye(K))
            return m * np.log(e.sum(axis=1)).sum() - 2 * m * (points * c).sum()

        for size in (1e-3, 0.1, 1.0, 10.0):
            for _ in range(200):
                assert loss(v + size * rng.normal(size=(K, d))) > loss(v)


@pytest.mark.parametrize(
    "K, m, d, tau, rho, expected",
    [
        (4, 3, 6, 0.5, 0.0, 3.98909), (4, 3, 6, 0.5, -1 / 3, 4.25322), (4, 3, 6, 0.5, -0.2, 4.13675),
        (4, 3, 6, 0.5, 0.3, 3.82636),
        (4, 8, 8, 0.5, 0.0, 3.282), (4, 8, 8, 0.5, -1 / 7, 3.339), (4, 8, 8, 0.5, -1 / 3, 3.435),
        (100, 8, 128, 0.2, 0.0, 6.552), (100, 8, 128, 0.2, -1 / 127, 6.577), (100, 8, 128, 0.2, -1 / 99, 6.584),
        (1000, 8, 1024, 0.1, 0.0, 21.732), (1000, 8, 1024, 0.1, -1 / 1023, 21.740),
        (1000, 8, 1024, 0.1, -1 / 999, 21.741),
    ],
)  # fmt: skip
def test_reference_values(K, m, d, tau, rho, expected):
    digits = 6e-6 if m == 3 else 6e-4
    assert equiangular_critical_weight(**named(K, m, d, tau, rho)) == pytest.approx(expected, abs=digits)


@pytest.mark.parametrize("K, crossing", [(4, 0.680), (10, 0.447), (100, 0.2407)])
def test_a_simplex_needs_more_weight_than_orthonormal_prototypes_at_low_temperature_only(K, crossing):
    for temperature, more in ((0.5 * crossing, True), (0.97 * crossing, True), (1.03 * crossing, False), (2.0, False)):
        simplex, axes = (
            equiangular_critical_weight(**named(K, 8, K + 2, temperature, rho)) for rho in (-1 / (K - 1), 0.0)
        )
        assert (simplex > axes) == more


@pytest.mark.parametrize(
    "K, m, d, tau, share",
    [(3, 20, 3, 1.0, 0.510780), (2, 2, 2, 1.0, 0.515090), (2, 2, 2, 1.36, 0.5161), (4, 8, 8, 0.5, 0.5)],
)
def test_detached_keys_need_half_the_weight_or_a_little_more(K, m, d, tau, share):
    setting = named(K, m, d, tau, 0.0)
    ratio = equiangular_critical_weight(keys="detached", **setting) / equiangular_critical_weight(**setting)
    assert ratio == pytest.approx(share, abs=5e-5 if share == 0.5161 else 1e-6)


def test_acute_prototypes_without_a_spare_dimension_spread_across():
    """The spread along the class's own turn is not the softest there: with its V alone lambda* would be far too low."""
    setting = named(30, 8, 30, 0.05, 0.99)
    critical = equiangular_critical_weight(**setting)
    assert critical == pytest.approx(36.734, abs=1e-3)
    assert critical > 3.3 * 10.98


def test_one_crossing_in_every_setting():
    """Where the curvature is proved to change sign once, and for K = d = 2, where it is not."""
    for K, m, rho, tau in ((2, 2, 0.95, 1.0), (2, 30, 0.5, 0.2), (2, 2, 0.9, 5.0), (4, 3, 0.8, 0.3), (3, 8, -0.4, 1.0)):
        for keys in ("symmetric", "detached"):
            setting = named(K, m, K, tau, rho)
            top = math.asin(math.sqrt((1 + (K - 1) * rho) / K))
            angles = top * np.linspace(0, 1, 300)[1:-1]
            signs = [equiangular_curvature(angle, keys=keys, **setting) > 0 for angle in angles]
            assert sum(a != b for a, b in pairwise(signs)) <= 1


def test_limits():
    for rho in (-1 / 3, -0.2, 0.0, 0.4):
        for d in (4, 8):
            setting = named(4, 8, d, 0.01, rho)
            assert equiangular_critical_weight(**setting) == pytest.approx(2 / 0.01 * 8 / 7, rel=1e-9)
            assert equiangular_critical_weight(**{**setting, "temperature": 1e-4}) == pytest.approx(
                2e4 * 8 / 7, rel=1e-9
            )
            assert 0 < equiangular_critical_weight(**{**setting, "temperature": 1e8}) < 1e-7
            assert equiangular_critical_weight(**{**setting, "per_class": 1}) == 0
    near = equiangular_critical_weight(**named(4, 8, 8, 0.5, -1 / 3 + 1e-9))
    assert near == pytest.approx(equiangular_critical_weight(**named(4, 8, 8, 0.5, -1 / 3)), rel=1e-4)
    tight = equiangular_equilibrium(1e9, **named(4, 8, 8, 0.5, 0.4))
    assert tight.cosine == pytest.approx(0.4, abs=1e-7)
    simplex = equiangular_equilibrium(5.0, **named(4, 8, 3, 0.5, -1 / 3))
    assert (simplex.angle, simplex.effective_rank) == (0.0, 3.0)
    assert simplex.cosine == pytest.approx(-1 / 3)


def test_the_authors_etf_is_no_simplex():
    """Their code: K rows of the projection on the zero-sum vectors, whose cosines and rank these are."""
    for K, d in ((4, 8), (10, 128), (6, 6)):
        rows = (np.eye(d) - 1 / d)[:K]
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        gram = unit @ unit.T
        np.testing.assert_allclose(gram[~np.eye(K, dtype=bool)], authors_etf_cosine(d), atol=1e-14)
        assert np.linalg.matrix_rank(rows) == (K - 1 if d == K else K)
        assert (authors_etf_cosine(d) == -1 / (K - 1)) == (d == K)


def test_wrong_input():
    good = named(4, 8, 8, 0.5, 0.2)
    for change, message in (
        (
            {"prototype_cosine": -0.5},
            r"^prototype_cosine must be in \[-1/\(classes - 1\), 1\) = \[-0.333333, 1\), got -0.5",
        ),
        ({"prototype_cosine": 1.0}, "^prototype_cosine must be in"),
        ({"prototype_cosine": math.nan}, "^prototype_cosine must be in"),
        ({"classes": 9}, "^classes must be <= 8 in 8 dimensions, got 9"),
        ({"classes": 10, "prototype_cosine": -1 / 9}, "^classes must be <= 9 in 8 dimensions, got 10"),
        ({"classes": 1}, "^classes must be a whole number >= 2, got 1"),
        ({"per_class": 0}, "^per_class must be a whole number >= 1, got 0"),
        ({"dimension": 1}, "^dimension must be a whole number >= 2, got 1"),
        ({"temperature": 1e-5}, "^temperature must be >= 0.0001"),
        ({"keys": "both"}, "^keys must be one of symmetric, detached, got 'both'"),
    ):
        with pytest.raises(ValueError, match=message):
            equiangular_critical_weight(**good | change)
        with pytest.raises(ValueError, match=message):
            equiangular_equilibrium(5.0, **good | change)
        with pytest.raises(ValueError, match=message):
            equiangular_curvature(0.1, **good | change)
    with pytest.raises(
        ValueError, match=r"^weight must be > the critical weight 3\.\d+, got 1.0; below it the classes keep"
    ):
        equiangular_equilibrium(1.0, **good)
    with pytest.raises(ValueError, match="^weight must be a finite number > 0"):
        equiangular_equilibrium(0.0, **good)
    with pytest.raises(ValueError, match="^per_class must be >= 2 here, got 1"):
        equiangular_curvature(0.1, **good | {"per_class": 1})
    shape = {name: good[name] for name in ("classes", "per_class", "temperature")}
    with pytest.raises(ValueError, match="^prototype_cosine must be > -1"):
        equiangular_weight(0.1, prototype_cosine=-1 / 3, **shape)
    with pytest.raises(ValueError, match="^angle must be <= 0.6"):
        equiangular_weight(1.5, prototype_cosine=0.2, **shape)
    with pytest.raises(ValueError, match="^angle must be a finite number > 0"):
        equiangular_weight(0.0, prototype_cosine=0.2, **shape)
    with pytest.raises(ValueError, match="^dimension must be a whole number >= 2, got 1"):
        authors_etf_cosine(1)
