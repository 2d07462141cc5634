import math

import numpy as np
import pytest
import sympy as sp
import torch

from clopsim.bounds.class_enclosures import enclose_critical_weight
from clopsim.bounds.critical_weight import critical_angle, critical_weight, derive, spread_curvature
from clopsim.bounds.equilibrium import class_equilibrium, class_weight

SETTINGS = [
    (4, 8, 8, 0.5),
    (3, 4, 6, 0.2),
    (5, 4, 9, 1.0),
    (2, 2, 3, 0.3),
    (2, 5, 2, 0.4),
    (4, 3, 4, 0.5),
    (3, 3, 3, 2.0),
]
"""(K, m, d, tau), d > K and d = K."""


def named(K, m, d, tau):
    return {"classes": K, "per_class": m, "dimension": d, "temperature": tau}


def riemannian_hessian(weight, K, m, d, tau):
    """Hessian of the merged loss with prototypes at T8's state, by autograd, in a basis of the tangent space.

    Returns it with the embedding (n, d) of each basis vector: (n (d-1), n (d-1)) and (n (d-1), n, d).
    """
    theta = class_equilibrium(weight, allow_unstable=True, **named(K, m, d, tau)).angle
    means = np.cos(theta) * np.eye(K, d) - np.sin(theta) / np.sqrt(K - 1) * (np.ones((K, K)) - np.eye(K)) @ np.eye(K, d)
    state = torch.from_numpy(np.repeat(means, m, axis=0))
    prototypes = torch.eye(K, d, dtype=torch.float64).repeat_interleave(m, dim=0)
    eye = torch.eye(K * m, dtype=torch.bool)

    def loss(shift):
        z = state + shift
        z = z / z.norm(dim=1, keepdim=True)
        logits = (z @ z.T / tau).masked_fill(eye, -torch.inf)
        return torch.logsumexp(logits, dim=1).sum() + weight * (1 - (z * prototypes).sum(dim=1)).sum()

    flat = torch.autograd.functional.hessian(loss, torch.zeros_like(state), vectorize=True).reshape(K * m * d, -1)
    basis = np.zeros((K * m * (d - 1), K * m, d))
    for i, z in enumerate(state.numpy()):
        basis[i * (d - 1) : (i + 1) * (d - 1), i] = np.linalg.svd(z[None])[2][1:]  # orthogonal to z
    rows = basis.reshape(len(basis), -1)
    return rows @ flat.numpy() @ rows.T, basis


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    symbols = sp.symbols("theta K m tau", positive=True)
    formulas = {name: sp.lambdify(symbols, formula, "math") for name, formula in proof.formulas.items()}
    for K, m, d, tau in SETTINGS:
        case = ", d = K" if d == K else ""
        angle = critical_angle(**named(K, m, d, tau))
        expected = formulas["critical_weight" + case](angle, K, m, tau)
        assert critical_weight(**named(K, m, d, tau)) == pytest.approx(expected, rel=1e-12)
        for share in (0.1, 0.5, 0.99):
            theta = share * math.atan(1 / math.sqrt(K - 1))
            expected = formulas["spread_curvature" + case](theta, K, m, tau)
            assert spread_curvature(theta, **named(K, m, d, tau)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("K, m, d, tau", SETTINGS)
@pytest.mark.parametrize("multiple", (0.5, 0.99, 1.01, 3.0))
def test_hessian_has_the_curvature_and_turns_definite_at_the_critical_weight(K, m, d, tau, multiple):
    setting = named(K, m, d, tau)
    weight = multiple * critical_weight(**setting)
    hessian, basis = riemannian_hessian(weight, K, m, d, tau)
    assert (np.linalg.eigvalsh(hessian)[0] > 0) == (multiple > 1)
    angle = class_equilibrium(weight, allow_unstable=True, **setting).angle
    means = basis.reshape(len(basis), K, m, d).sum(axis=2).reshape(len(basis), -1)  # of a class, times m
    u, values, _ = np.linalg.svd(means)
    rank = int((values > 1e-9).sum())
    spread = np.linalg.eigvalsh(u[:, rank:].T @ hessian @ u[:, rank:])  # class means at rest
    scale = np.abs(spread).max()
    assert spread[0] == pytest.approx(spread_curvature(angle, **setting), abs=1e-9 * scale)
    assert len(spread) == K * (m - 1) * (d - 1)
    assert np.abs(u[:, :rank].T @ hessian @ u[:, rank:]).max() < 1e-9 * scale  # they do not mix
    W = math.cos(angle) - math.sqrt(K - 1) * math.sin(angle)
    P = (
        class_weight(angle, classes=K, per_class=m, temperature=tau)
        * tau
        / 2
        / (W * (1 + math.sqrt(K - 1) / math.tan(angle)))
    )
    resistance = 2 * P / tau * math.sqrt(K - 1) * W / math.sin(angle)
    assert np.linalg.eigvalsh(u[:, :rank].T @ hessian @ u[:, :rank])[0] >= resistance * (1 - 1e-9)


def growth_with_detached_keys(weight, K, m, d, tau):
    """Largest growth rate of a small perturbation of the stationary state under the anchors' force alone."""
    theta = class_equilibrium(2 * weight, allow_unstable=True, **named(K, m, d, tau)).angle
    means = np.cos(theta) * np.eye(K, d) - np.sin(theta) / np.sqrt(K - 1) * (np.ones((K, K)) - np.eye(K)) @ np.eye(K, d)
    state = torch.from_numpy(np.repeat(means, m, axis=0))
    prototypes = weight * torch.eye(K, d, dtype=torch.float64).repeat_interleave(m, dim=0)
    eye = torch.eye(K * m, dtype=torch.bool)

    def force(x):
        z = x / x.norm(dim=1, keepdim=True)
        softmax = torch.softmax((z @ z.T / tau).masked_fill(eye, -torch.inf), dim=1)
        g = prototypes - softmax @ z / tau
        return g - (g * z).sum(dim=1, keepdim=True) * z

    assert force(state).abs().max() < 1e-12
    jacobian = torch.autograd.functional.jacobian(force, state, vectorize=True).reshape(K * m * d, -1).numpy()
    basis = np.zeros((K * m * (d - 1), K * m, d))
    for i, z in enumerate(state.numpy()):
        basis[i * (d - 1) : (i + 1) * (d - 1), i] = np.linalg.svd(z[None])[2][1:]
    rows = basis.reshape(len(basis), -1)
    return np.linalg.eigvals(rows @ jacobian @ rows.T).real.max()


@pytest.mark.parametrize("K, m, d, tau, share", [(4, 8, 8, 0.5, 0.5), (3, 4, 6, 0.2, 0.5), (3, 20, 3, 1.0, 0.51078)])
def test_detached_keys_need_half_the_weight_or_slightly_more(K, m, d, tau, share):
    critical = share * critical_weight(**named(K, m, d, tau))
    assert growth_with_detached_keys(0.999 * critical, K, m, d, tau) > 0
    assert growth_with_detached_keys(1.001 * critical, K, m, d, tau) < 0


@pytest.mark.parametrize(
    "K, m, d, tau, expected", [(4, 8, 8, 0.5, 3.2823), (3, 10, 16, 0.2, 10.9557), (5, 4, 9, 1.0, 0.8043)]
)
def test_reference_values(K, m, d, tau, expected):
    setting = named(K, m, d, tau)
    found = critical_weight(**setting)
    assert found == pytest.approx(expected, abs=5e-5)
    assert critical_weight(**{**setting, "dimension": d + 5}) == found  # d > K: whatever d
    # T9 as theory.md writes it: lambda p tau/2 against the repulsion, p and s from T8 at the same weight
    for weight, stable in ((0.999 * found, False), (1.001 * found, True)):
        state = class_equilibrium(weight, allow_unstable=True, **setting)
        inside, outside = math.exp(1 / tau), math.exp(state.cosine / tau)
        repulsion = (m * inside + state.cosine * (K - 1) * m * outside) / ((m - 1) * inside + (K - 1) * m * outside)
        assert (weight * math.cos(state.angle) * tau / 2 > repulsion) is stable
        assert state.is_equilibrium is stable


def test_critical_angle_and_weight_are_one_state():
    for K, m, d, tau in [*SETTINGS, (4, 8, 8, 0.02), (3, 5, 3, 0.02), (4, 8, 8, 1e4)]:
        setting = named(K, m, d, tau)
        angle = critical_angle(**setting)
        weight = class_weight(angle, classes=K, per_class=m, temperature=tau)
        # at high temperature the weight is a difference of nearly equal numbers
        assert weight == pytest.approx(critical_weight(**setting), rel=1e-11 * max(1, tau**2))
        just_less, just_more = (spread_curvature(factor * angle, **setting) for factor in (1 - 1e-4, 1 + 1e-5))
        assert just_less > 0 > just_more or tau > 100


def test_more_room_makes_collapse_of_a_class_harder():
    for K, m, tau in ((2, 5, 0.4), (4, 3, 0.5), (3, 3, 2.0)):
        assert critical_weight(**named(K, m, K, tau)) < critical_weight(**named(K, m, K + 1, tau))


def test_limits():
    assert critical_weight(**named(4, 1, 8, 0.5)) == 0
    for d in (4, 8):
        assert critical_weight(**named(4, 8, d, 1e-4)) == pytest.approx(2 / 1e-4 * 8 / 7, rel=1e-12)
        assert critical_weight(**named(4, 8, d, 0.01)) == pytest.approx(2 / 0.01 * 8 / 7, rel=1e-12)
        assert 0 < critical_weight(**named(4, 8, d, 1e8)) < 1e-15
        assert critical_angle(**named(4, 8, d, 1e8)) == pytest.approx(math.atan(1 / math.sqrt(3)), rel=1e-7)
    assert critical_angle(**named(4, 8, 8, 0.02)) == pytest.approx(math.sqrt(3) * math.exp(-50), rel=1e-12)
    assert critical_angle(**named(4, 8, 8, 1e-4)) == 0
    assert math.isfinite(critical_weight(**named(1000, 2, 1000, 0.07)))


def test_wrong_input():
    good = named(4, 8, 8, 0.5)
    for change, message in (
        ({"classes": 1}, "^classes must be a whole number >= 2, got 1"),
        ({"classes": 9}, "^classes must be <= dimension, got 9 > 8"),
        ({"per_class": 0}, "^per_class must be a whole number >= 1, got 0"),
        ({"dimension": 1}, "^dimension must be a whole number >= 2, got 1"),
        ({"temperature": 0.0}, "^temperature must be a finite number > 0"),
        ({"temperature": 1e-5}, "^temperature must be >= 0.0001"),
    ):
        with pytest.raises(ValueError, match=message):
            critical_weight(**good | change)
        with pytest.raises(ValueError, match=message):
            critical_angle(**good | change)
    with pytest.raises(ValueError, match="^per_class must be >= 2 here, got 1"):
        critical_angle(**good | {"per_class": 1})
    with pytest.raises(ValueError, match="^per_class must be >= 2 here, got 1"):
        spread_curvature(0.1, **good | {"per_class": 1})
    with pytest.raises(ValueError, match="^angle must be <= arctan"):
        spread_curvature(0.6, **good)
    with pytest.raises(ValueError, match="^angle must be"):
        spread_curvature(0.0, **good)


@pytest.mark.parametrize("given", ((4, 8, 0.5, 8), (3, 5, 0.3, 3), (2, 2, 1.0, 2), (100, 4, 0.1, 128)))
def test_the_enclosure_holds_the_weight_and_is_narrow(given):
    known = dict(zip(("classes", "per_class", "temperature", "dimension"), given, strict=True))
    box = enclose_critical_weight(**known)
    assert critical_weight(**known) == pytest.approx(box.low, rel=1e-13)
    assert 0 <= box.high - box.low < 1e-12 * box.high
    with pytest.raises(ValueError, match="^per_class must be >= 2"):
        enclose_critical_weight(**{**known, "per_class": 1})
