import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from clopsim.audit.experiments.modes import modes
from clopsim.bounds import (
    PaucSetting,
    pauc,
    pauc_class_curvature,
    pauc_class_slope,
    pauc_classes,
    pauc_critical_correlation,
    pauc_critical_prototypes,
    pauc_critical_weight,
    pauc_simplex,
)
from clopsim.bounds.pauc import pauc_shares
from clopsim.losses.pauc import pauc_of_rows

WEIGHED = PaucSetting(4, 3, 0.6, 1.3, 0.7, 0.9, 0.4, 1.7)


def loss_of(setting):
    """The loss as the code has it, of rows (2N, d) with the classes one after another in each view."""
    labels = torch.arange(setting.classes).repeat_interleave(setting.per_class).repeat(2)
    weights = {name: getattr(setting, name) for name in ("prototypes", "alignment", "uniformity", "correlation", "t")}
    return lambda z: pauc_of_rows(z, labels, temperature=setting.temperature, **weights)


def class_points(setting, cosine, dimension):
    """(n, d) rows, every class at a point, equal cosines between classes; the last axis is across their span."""
    K = setting.classes
    values, axes = np.linalg.eigh((1 - cosine) * np.eye(K) + cosine)
    points = np.pad(axes * np.sqrt(values.clip(0)), ((0, 0), (0, dimension - K)))
    return torch.from_numpy(points).repeat_interleave(setting.per_class, dim=0).repeat(2, 1)


@pytest.mark.parametrize("setting, prototypes, correlation", (
    (PaucSetting(8, 2, 1.0), 0.578686133, 19.0370155),
    (PaucSetting(4, 2, 0.5), 8.44251644, 7.16994236),
    (PaucSetting(16, 2, 0.5), 1.02242694, 50.145187),
))  # fmt: skip
def test_reference_values(setting, prototypes, correlation):
    assert pauc_critical_prototypes(setting) == pytest.approx(prototypes, rel=1e-8)
    assert pauc_critical_correlation(setting) == pytest.approx(correlation, rel=1e-8)


def test_more_reference_values():
    assert pauc_critical_prototypes(PaucSetting(32, 2, 0.5)) == pytest.approx(0.453, abs=5e-4)
    assert pauc_critical_prototypes(PaucSetting(4, 8, 0.2)) == pytest.approx(418, abs=0.5)
    assert pauc_critical_prototypes(PaucSetting(4, 4, 1.0)) == pytest.approx(1.501652, abs=1e-6)
    assert pauc_critical_weight(PaucSetting(4, 2, 0.5)) == pytest.approx(3.667240, abs=1e-6)
    assert pauc_critical_weight(PaucSetting(3, 3, 0.3)) == pytest.approx(8.121013, abs=1e-6)


@pytest.mark.parametrize("cosine", (-0.2, 0.0, 0.6))
def test_slope_and_curvature_of_class_points_by_the_code_s_loss(cosine):
    setting, d = WEIGHED, 6
    loss = loss_of(setting)
    ahead, behind = (float(loss(class_points(setting, cosine + step, d))) for step in (1e-6, -1e-6))
    assert (ahead - behind) / 2e-6 == pytest.approx(pauc_class_slope(setting, cosine), rel=1e-8)
    z = class_points(setting, cosine, d)
    move = torch.zeros_like(z)
    move[:, -1] = torch.tensor([1.0, -0.4, -0.6]).double().repeat(8)

    def value(angle):
        moved = z + angle * move
        return loss(moved / moved.norm(dim=-1, keepdim=True))

    zero = torch.zeros((), dtype=torch.float64)
    second = torch.func.grad(torch.func.grad(value))(zero) / move.square().sum()
    assert float(second) == pytest.approx(pauc_class_curvature(setting, cosine), rel=1e-10)


def test_shares_add_up_to_one():
    for setting, cosine in ((WEIGHED, -0.3), (PaucSetting(2, 1, 0.05), -1.0), (PaucSetting(9, 5, 7.0), 0.9)):
        share = pauc_shares(setting, cosine)
        assert (2 * setting.per_class - 1) * share.mate + share.others == pytest.approx(1, rel=1e-14)
        prototype = 1 / (1 + (setting.classes - 1) * math.exp((cosine - 1) / setting.temperature))
        assert share.prototypes == pytest.approx(1 - prototype, rel=1e-12)


def test_no_term_on_class_means_moves_the_coagulation():
    for weights in ({"alignment": 5.0}, {"uniformity": 5.0}, {"correlation": 5.0}, {"t": 7.0}):
        assert pauc_critical_prototypes(replace(WEIGHED, **weights)) == pauc_critical_prototypes(WEIGHED)
        assert pauc_class_curvature(replace(WEIGHED, **weights), -0.1) == pauc_class_curvature(WEIGHED, -0.1)


@pytest.mark.parametrize("factor", (0.97, 1.03))
def test_the_critical_weights_are_where_the_hessian_turns(factor):
    """The lowest curvature on the simplex, turns left out, by the code's loss."""
    setting = PaucSetting(4, 2, 1.0)
    critical = pauc_critical_prototypes(setting)
    held = replace(setting, prototypes=factor * critical)
    found = modes(loss_of(held), class_points(held, -1 / 3, 5)).curvatures
    assert (float(found.min()) > -1e-9) == (factor > 1)
    held = replace(setting, prototypes=3 * critical)
    opened = replace(held, correlation=factor * pauc_critical_correlation(held))
    found = modes(loss_of(opened), class_points(opened, -1 / 3, 5)).curvatures
    assert (float(found.min()) > -1e-9) == (factor < 1)


@pytest.mark.parametrize("setting", (PaucSetting(4, 2, 0.5), PaucSetting(3, 3, 0.3), PaucSetting(2, 2, 0.5), WEIGHED))
def test_prototypes_hold_the_classes_where_the_gradient_vanishes(setting):
    K, d = setting.classes, setting.classes + 1
    labels = torch.arange(K).repeat_interleave(setting.per_class).repeat(2)
    c = torch.eye(K, d, dtype=torch.float64)
    for weight in (0.1, 1.0, 30.0):
        state = pauc_classes(setting, weight)
        angle = torch.tensor(state.angle, dtype=torch.float64)
        v = angle.cos() * c - angle.sin() * (c.sum(dim=0) - c) / (K - 1) ** 0.5
        assert float(v[0] @ v[1]) == pytest.approx(state.cosine, abs=1e-13)
        z = v[labels].requires_grad_()
        value = loss_of(setting)(z) + weight * (1 - (z * c[labels]).sum(dim=-1)).mean()
        (g,) = torch.autograd.grad(value, z)
        tangent = g - (g * z).sum(dim=-1, keepdim=True) * z
        assert float(tangent.detach().abs().max()) < 1e-12


@pytest.mark.parametrize("factor", (0.97, 1.03))
@pytest.mark.parametrize("setting", (PaucSetting(4, 2, 0.5), PaucSetting(3, 3, 0.3)))
def test_the_critical_prototype_weight_is_where_the_hessian_turns(setting, factor):
    K, d = setting.classes, setting.classes + 1
    weight = factor * pauc_critical_weight(setting)
    labels = torch.arange(K).repeat_interleave(setting.per_class).repeat(2)
    c = torch.eye(K, d, dtype=torch.float64)
    angle = torch.tensor(pauc_classes(setting, weight).angle, dtype=torch.float64)
    v = angle.cos() * c - angle.sin() * (c.sum(dim=0) - c) / (K - 1) ** 0.5
    found = modes(lambda z: loss_of(setting)(z) - weight * (z * c[labels]).sum(dim=-1).mean(), v[labels]).curvatures
    assert (float(found.min()) > 1e-9) == (factor > 1)


def test_ends_of_the_state_with_prototypes():
    assert pauc_classes(WEIGHED, 0.0).cosine == pytest.approx(-1 / 3, abs=1e-14)
    assert pauc_classes(WEIGHED, 0.0).angle == pytest.approx(math.atan(1 / math.sqrt(3)))
    assert pauc_classes(WEIGHED, 1e6).cosine == pytest.approx(0, abs=1e-4)
    cosines = [pauc_classes(WEIGHED, weight).cosine for weight in (0.0, 0.1, 1.0, 10.0, 100.0)]
    assert cosines == sorted(cosines)
    plenty = replace(WEIGHED, prototypes=1.01 * pauc_critical_prototypes(WEIGHED))
    assert pauc_critical_weight(plenty) == 0
    little = replace(WEIGHED, prototypes=0.99 * pauc_critical_prototypes(WEIGHED))
    assert 0 < pauc_critical_weight(little) < pauc_critical_weight(WEIGHED)


def test_there_is_one_critical_weight():
    """The classes come to hold once, as the weight grows."""
    for shape in ((4, 2, 0.5), (3, 3, 0.3), (10, 2, 0.1, 0.0), (3, 5, 3.0, 0.0)):
        setting = PaucSetting(*shape)
        critical = pauc_critical_weight(setting)
        assert critical > 0
        for factor in (0.01, 0.1, 0.5, 0.9, 0.999, 1.001, 1.1, 2.0, 10.0, 1000.0):
            state = pauc_classes(setting, factor * critical)
            prototypes = factor * critical * math.cos(state.angle) / setting.rows
            held = pauc_class_curvature(setting, state.cosine) + prototypes
            assert (held > 0) == (factor > 1), (setting, factor)


def test_the_simplex_agrees_with_the_spectrum():
    setting = PaucSetting(4, 2, 0.6, 1.3)
    level = pauc_simplex(setting, dimension=6).levels["within, together, outside"]
    assert level.curvature == pytest.approx(pauc_class_curvature(setting, -1 / 3), rel=1e-12)


def test_low_temperature():
    assert pauc_critical_prototypes(PaucSetting(4, 2, 1e-3)) == math.inf  # no negative is near enough to bind a class


@pytest.mark.parametrize("wrong, message", (
    ({"classes": 1}, "classes must be a whole number >= 2"),
    ({"per_class": 0}, "per_class must be a whole number >= 1"),
    ({"temperature": 0.0}, "temperature must be a finite number > 0"),
    ({"temperature": 1e-5}, "temperature must be >= 0.0001"),
    ({"alignment": -1.0}, "alignment must be a finite number >= 0"),
    ({"t": 0.0}, "t must be a finite number > 0"),
))  # fmt: skip
def test_wrong_setting(wrong, message):
    with pytest.raises(ValueError, match=message):
        PaucSetting(**({"classes": 4, "per_class": 2} | wrong))


def test_wrong_input():
    for call in (pauc_critical_prototypes, pauc_critical_weight):
        with pytest.raises(ValueError, match="per_class must be >= 2 here, got 1; one sample has no inside to spread"):
            call(PaucSetting(4, 1))
    opened = PaucSetting(4, 2, 0.5, correlation=8.0)
    for call in (lambda: pauc_critical_weight(opened), lambda: pauc_classes(opened, 1.0)):
        with pytest.raises(ValueError, match="correlation must be below 7.17, got 8; above, classes leave"):
            call()
    with pytest.raises(ValueError, match="weight must be a finite number >= 0"):
        pauc_classes(WEIGHED, -1.0)


def test_derivation_closes_and_equals_the_code():
    proof = pauc.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(pauc, "_closed_forms") == {"slope", "curvature", "l_p*", "l_c*"}
