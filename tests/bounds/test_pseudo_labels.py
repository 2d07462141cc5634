import math
from importlib import import_module

import pytest
import torch

from clopsim.audit.experiments.modes import growth, modes
from clopsim.audit.experiments.pseudo_labels import guessed, labels_of
from clopsim.bounds import (
    binding_confidence,
    calibrated_holding_confidence,
    calibration_gain,
    class_loss,
    class_state,
    guessed_collapse,
    guessed_view_rate,
    guessed_ways_out,
    holding_confidence,
)

A, B, C = {"classes": 3, "per_class": 4}, {"classes": 4, "per_class": 4}, {"classes": 10, "per_class": 8}


@pytest.mark.parametrize(
    "setting, tau, binds, holds",
    [
        (A, 0.5, 0.7745966692414834, 0.7964771260172621),
        (B, 0.2, 0.7559289460184544, 0.9905779396853258),
        (C, 0.1, 0.7254762501100116, 0.9994101725606079),
        ({"classes": 2, "per_class": 6}, 0.5, 0.816496580927726, None),
    ],
)
def test_confidences_of_the_document(setting, tau, binds, holds):
    assert binding_confidence(**setting) == pytest.approx(binds, rel=1e-13)
    assert holds is None or holding_confidence(**setting, temperature=tau) == pytest.approx(holds, rel=1e-13)


@pytest.mark.parametrize(
    "setting, tau, q, together, apart, rate",
    [
        (A, 0.5, 0.6, -1.0148, 1.96195, 1.0194),
        (A, 0.5, 0.95, 0.784314, 1.06239, 1.88255),
        (B, 0.2, 0.6, -2.29457, 5.14729, 0.388554),
        (B, 0.2, 0.95, 2.20321, 2.8984, 0.690037),
        (C, 0.1, 0.6, -2.02532, 6.07595, 0.329167),
        (C, 0.1, 0.95, 2.25658, 2.86453, 0.698195),
    ],
)
def test_levels_of_the_document(setting, tau, q, together, apart, rate):
    given = {**setting, "temperature": tau, "confidence": q}
    state, n = guessed_collapse(**given), setting["classes"] * setting["per_class"]
    assert state.classes == pytest.approx(-2 / tau * n / (n - 1), rel=1e-13)
    assert state.together == pytest.approx(together, rel=1e-5)
    assert state.apart == pytest.approx(apart, rel=1e-5)
    assert guessed_view_rate(**given) == pytest.approx(rate, rel=1e-5)


def test_both_ends_are_info_nce_and_supcon():
    n, tau = 12, 0.5
    doubt, sure = (guessed_collapse(**A, temperature=tau, confidence=q) for q in (0.0, 1.0))
    assert doubt.together == pytest.approx(doubt.classes, rel=1e-13)  # samples of a class are any samples
    assert doubt.apart == pytest.approx(2 * (n - 2) / (tau * (n - 1)), rel=1e-13)  # T2
    assert sure.together == pytest.approx(sure.apart, rel=1e-13)  # SupCon's level inside a class
    assert sure.apart == pytest.approx(2 / tau * (n - 4) / ((n - 1) * 3), rel=1e-13)
    assert guessed_view_rate(**A, temperature=tau, confidence=0.0) == pytest.approx(tau * (n - 1) / (n - 2), rel=1e-13)


@pytest.mark.parametrize("K, m, tau, q", [(3, 4, 0.5, 0.6), (2, 6, 0.3, 0.95), (4, 2, 0.5, 0.5)])
def test_the_whole_hessian_at_collapse(K, m, tau, q):
    z = torch.zeros(K * m, 3, dtype=torch.float64)
    z[:, 0] = 1
    state = guessed_collapse(classes=K, per_class=m, temperature=tau, confidence=q)
    numbers = [(0.0, 1), (state.classes, K - 1), (state.apart, K * m // 2), (state.together or 0.0, K * (m // 2 - 1))]
    expected = sorted(level for level, count in numbers for _ in range(2 * count))
    found = modes(guessed(labels_of(K, m), tau, q), z)
    assert found.curvatures.tolist() == pytest.approx(expected, abs=1e-8)
    assert float(found.pulls.abs().max()) < 1e-12


def test_samples_of_one_class_alone_have_no_together():
    """Trap: with one sample a class there is no pattern in which samples of a class part."""
    lone = {"classes": 3, "per_class": 2}
    assert guessed_collapse(**lone, temperature=0.5, confidence=0.9).together is None
    for function in (lambda: binding_confidence(**lone), lambda: holding_confidence(**lone, temperature=0.5)):
        with pytest.raises(ValueError, match="per_class must be a whole number >= 4, got 2"):
            function()


@pytest.mark.parametrize(
    "setting, tau, above", [(A, 0.5, 1.03), (B, 0.2, 1.005), ({"classes": 2, "per_class": 6}, 0.8, 1.03)]
)
def test_the_simplex_is_t29_s(setting, tau, above):
    edge = holding_confidence(**setting, temperature=tau)
    for multiple, stable in ((0.97, False), (above, True)):
        loss = class_loss("sscl", **setting, temperature=tau, confidence=multiple * edge)
        state = class_state(loss, dimension=setting["classes"] + 1)
        assert (state.lowest.curvature > 0) == stable


def test_the_edge_rises_from_0_to_1_as_the_temperature_falls():
    edges = [holding_confidence(**A, temperature=tau) for tau in (100.0, 5.0, 1.0, 0.3, 0.05)]
    assert edges == sorted(edges)
    assert edges[0] < 0.1
    assert edges[-1] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("q, number", [(0.95, 12), (0.6, 20)])
def test_ways_out_of_collapse(q, number):
    """Two classes and two samples without a guess: 3 x 4 directions; unbound classes leave more. Document, Z2."""
    z = torch.zeros(12, 5, dtype=torch.float64)
    z[:, 0] = 1
    y = torch.tensor([0, 0, 1, 1, -1, -1]).repeat(2)
    falling = int((modes(guessed(y, 0.5, q), z).curvatures < -1e-9).sum())
    assert falling == number
    least = guessed_ways_out(confident_classes=2, others=2, dimension=5)
    assert least == 12
    assert falling >= least
    assert guessed_ways_out(confident_classes=1, others=0, dimension=5) == 0


def test_unequal_confidences_make_the_pulls_unequal():
    """Trap: the weights are no longer symmetric; a_i = (1 - column sum)/tau."""
    z = torch.zeros(8, 3, dtype=torch.float64)
    z[:, 0] = 1
    y, tau = torch.zeros(8, dtype=torch.long), 0.5
    q = torch.tensor([0.95, 0.9, 0.99, 0.92], dtype=torch.float64).repeat(2)
    pulls = modes(guessed(y, tau, q), z).pulls
    weight = q[:, None] * q
    for i in range(8):
        weight[i, i], weight[i, (i + 4) % 8] = 0, 1
    weight = weight / weight.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(pulls, (1 - weight.sum(dim=0)) / tau, rtol=1e-10, atol=1e-12)
    assert float(pulls.abs().max()) > 1e-3
    assert float(modes(guessed(y, tau, 0.95), z).pulls.abs().max()) < 1e-12


def test_thresholds_in_use_do_not_hold_a_class_to_a_point():
    """A threshold below q_E lets guesses in that do not bind: 0.95 at tau = 0.2."""
    edge = holding_confidence(**B, temperature=0.2)
    assert edge > 0.95
    y = labels_of(4, 4)
    corners = torch.eye(4, 5, dtype=torch.float64) - torch.eye(4, 5, dtype=torch.float64).mean(dim=0)
    z = (corners / corners.norm(dim=-1, keepdim=True))[y]
    direction = torch.zeros_like(z)
    for row, sign in ((0, 1), (4, -1), (8, 1), (12, -1)):
        direction[row, -1] = 0.5 * sign
    sizes = [growth(guessed(y, 0.2, q), z, direction, rate=0.02, gradient="tangent", steps=1) for q in (0.95, 1.0)]
    assert sizes[0] > 1 > sizes[1]


def test_calibration():
    assert calibration_gain(1.0, temperature=0.2) == 0
    assert calibration_gain(-0.5, temperature=0.2) == pytest.approx(3 / (2 * 0.2))
    needed = calibrated_holding_confidence(**A, temperature=0.5, calibration_temperature=0.2)
    odds = math.log(0.7964771260172621 / (1 - 0.7964771260172621)) - 1.5 / 0.2
    assert math.log(needed / (1 - needed)) == pytest.approx(odds, rel=1e-12)
    with pytest.raises(ValueError, match=r"cosine must be in \[-1, 1\], got 1.5"):
        calibration_gain(1.5, temperature=0.2)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="per_class must be even, got 5; it counts both views"):
        binding_confidence(classes=3, per_class=5)
    with pytest.raises(ValueError, match="confidence must be <= 1, got 1.5; it is a probability"):
        guessed_collapse(**A, temperature=0.5, confidence=1.5)
    with pytest.raises(ValueError, match="confidence must be a finite number >= 0"):
        guessed_collapse(**A, temperature=0.5, confidence=-0.1)
    for function in (holding_confidence, lambda **k: guessed_collapse(**k, confidence=0.9)):
        with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
            function(**A, temperature=0)
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        calibration_gain(0.5, temperature=0)
    with pytest.raises(ValueError, match="confident_classes and others must be 1 together, got none"):
        guessed_ways_out(confident_classes=0, others=0, dimension=4)


def test_proof_and_code():
    derivation = import_module("clopsim.bounds.pseudo_labels").derive()
    assert derivation.open_zeros() == {}
    assert derivation.disagreements() == {}
