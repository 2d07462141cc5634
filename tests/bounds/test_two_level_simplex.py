import math
from importlib import import_module

import pytest
import torch

from clopsim.audit.experiments.modes import step
from clopsim.audit.experiments.relaxed_penalty import dense, labels_of
from clopsim.bounds import class_loss, class_point_penalty, class_state, two_level_simplex

A, B, C = {"classes": 3, "per_class": 4}, {"classes": 4, "per_class": 4}, {"classes": 10, "per_class": 8}


@pytest.mark.parametrize(
    "setting, tau, points",
    [(A, 0.5, 0.5222142167614299), (B, 0.2, 0.025069819628562563), (C, 0.1, 0.0013479001366352448)],
)
def test_values_of_the_document(setting, tau, points):
    assert class_point_penalty(**setting, temperature=tau) == pytest.approx(points, rel=1e-13)


@pytest.mark.parametrize("K, m, tau", [(3, 4, 0.5), (4, 2, 0.3)])
def test_class_points_are_t29_s(K, m, tau):
    for penalty, stable in ((0.97, True), (1.03, False)):
        beta = penalty * class_point_penalty(classes=K, per_class=m, temperature=tau)
        loss = class_loss("fedrcl", classes=K, per_class=m, temperature=tau, penalty=beta)
        assert (class_state(loss, dimension=K + 1).lowest.curvature > 0) == stable


@pytest.mark.parametrize(
    "K, m, tau, beta, within", [(3, 4, 0.5, 1.0, 0.72310), (4, 4, 0.2, 1.0, 0.55608), (3, 4, 0.5, 2.0, None)]
)
def test_two_levels_are_stationary_and_none_else_beside_them(K, m, tau, beta, within):
    state = two_level_simplex(classes=K, per_class=m, temperature=tau, penalty=beta)
    assert within is None or state.within == pytest.approx(within, abs=5e-6)
    y = labels_of((m,) * K)

    def force(r, s):
        gram = (s + (r - s) * (y[:, None] == y).double()).fill_diagonal_(1)
        values, vectors = torch.linalg.eigh(gram)
        z = (vectors * values.clamp(min=0).sqrt()).requires_grad_()
        (g,) = torch.autograd.grad(dense((m,) * K, tau, beta)(z), z)
        return float((g - (g * z).sum(dim=-1, keepdim=True) * z).detach().norm())

    assert force(*state) < 1e-6  # the square root of an eigenvalue that rounding makes 1e-16
    length = (1 + (m - 1) * state.within) / m
    for other in (0.9 * length, 1.05 * length):
        assert force((m * other - 1) / (m - 1), -other / (K - 1)) > 1e-3


def test_two_levels_at_both_ends():
    edge = class_point_penalty(**A, temperature=0.5)
    assert two_level_simplex(**A, temperature=0.5, penalty=edge) == (1.0, -0.5)
    just = two_level_simplex(**A, temperature=0.5, penalty=1.001 * edge)
    assert 0.99 < just.within < 1
    assert two_level_simplex(**A, temperature=0.5, penalty=50.0) == (pytest.approx(-1 / 3), 0.0)
    low = two_level_simplex(**A, temperature=0.01, penalty=1.0)  # no underflow: the pull has e^(-(1 - r)/tau)
    assert -1 / 3 < low.within < 1
    assert math.isfinite(low.between)


def test_with_its_threshold_the_penalty_stops_at_it():
    """Trap: at r = threshold the gradient jumps. Where the smooth state lies below, the classes slide along it."""
    tau, threshold, y = 0.2, 0.9, labels_of((4, 4, 4))
    assert two_level_simplex(**A, temperature=tau, penalty=1.0).within < threshold
    loss = dense((4, 4, 4), tau, 1.0, threshold=threshold)
    z = torch.eye(12, dtype=torch.float64)[y] + 0.02 * torch.randn(
        12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    z = z / z.norm(dim=-1, keepdim=True)
    for _ in range(600):
        z = step(loss, z, 0.02 * tau, "tangent")
    mates = (y[:, None] == y) & ~torch.eye(12, dtype=torch.bool)
    assert (z @ z.mT)[mates].tolist() == pytest.approx([threshold] * 36, abs=0.02)


def test_wrong_arguments():
    good = {**A, "temperature": 0.5, "penalty": 1.0}
    for bad, message in (
        ({"classes": 1}, "classes must be a whole number >= 2"),
        ({"per_class": 1}, "per_class must be a whole number >= 2"),
        ({"temperature": 0.0}, "temperature must be a finite number > 0"),
        ({"penalty": -1.0}, "penalty must be a finite number >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            two_level_simplex(**{**good, **bad})


def test_proof_and_code():
    derivation = import_module("clopsim.bounds.two_level_simplex").derive()
    assert derivation.open_zeros() == {}
    assert derivation.disagreements() == {}
