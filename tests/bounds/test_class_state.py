import math
from importlib import import_module
from itertools import product

import numpy as np
import pytest

from clopsim.audit.experiments.class_state import ZOO, case
from clopsim.audit.experiments.modes import modes
from clopsim.bounds import (
    Setting,
    attracting_rates,
    class_critical_weight,
    class_equilibrium,
    class_loss,
    class_state,
    cluster_multipliers,
    critical_rate,
    critical_weight,
    immune_weight,
    multiplier,
    spread_curvature,
)

VALUES = [  # zoo, K, m, d, tau, weight: s, Q, a, smallest and largest c, tangent and ambient rate (sum over anchors)
    ("nt_xent", {}, (6, 2, 6, 0.5), 0, -0.2, 0.475666, -2.28319, 1.82656, 5.09913, 0.392223, 3.75414),
    ("nt_xent", {}, (6, 2, 6, 0.5), 1, -0.181051, None, -3.24877, 0.920165, 6.106, 0.327547, math.inf),
    ("dcl", {}, (6, 2, 6, 0.5), 0, -0.2, 1.0, -4.8, 3.84, 10.72, 0.186567, 1.78571),
    ("dcl", {}, (6, 2, 6, 0.5), 1, -0.193877, 1.0, -5.71521, 0.915209, 11.6254, 0.172037, 10.2567),
    ("supcon", {}, (3, 4, 6, 0.5), 0, -0.5, 0.117205, -0.703229, 0.703229, 1.56273, 1.27981, 12.7981),
    ("supcon", {}, (3, 4, 6, 0.5), 1, -0.343142, None, -1.78538, 0.862857, 2.81644, 0.710115, math.inf),
    ("blcl", {}, (3, 4, 6, 0.5), 0, -0.5, 0.090557, -0.271671, 0.271671, 1.06823, 1.87225, 3.81032),
    ("blcl", {}, (3, 4, 6, 0.5), 1, -0.312359, None, -1.30015, 0.872918, 2.25317, 0.88764, math.inf),
    ("fedrcl", {"penalty": 1.0}, (3, 4, 6, 0.5), 0, -0.5, 0.284844, 1.29094, -1.91114, 3.23557, None, None),
    ("fedrcl", {"penalty": 1.0}, (3, 4, 6, 0.5), 1, -0.432178, None, 0.284823, -0.86714, 4.28902, None, None),
    ("sscl", {"confidence": 0.6}, (3, 4, 6, 0.5), 0, -0.5, 0.117205, -0.703229, -1.12499, 2.55498, None, None),
    ("sscl", {"confidence": 0.6}, (3, 4, 6, 0.5), 1, -0.343142, None, -1.78538, 0.00589245, 3.80869, 0.525115, 8.40598),
    ("supcon", {}, (4, 4, 6, 0.2), 0, -1 / 3, 0.00506475, -0.06753, 0.06753, 0.2251, 8.88493, 22.2123),
    ("blcl", {}, (4, 4, 6, 0.2), 0, -1 / 3, 0.00380338, -0.0253559, 0.0253559, 0.169039, 11.8316, 16.9023),
    ("sscl", {"confidence": 0.95}, (4, 4, 6, 0.2), 1, -0.093197, None, -1.17818, 0.770157, 1.76837, 1.13099, math.inf),
    ("nt_xent", {}, (40, 2, 64, 0.1), 0, -1 / 39, 0.00273277, -0.0560569, 0.0287471, 0.125086, 15.989, 154.177),
    ("dcl", {}, (40, 2, 64, 0.1), 1, -0.0255856, 1.0, -21.5003, 0.987448, 46.7597, 0.0427719, 0.532036),
    ("supcon", {}, (10, 8, 32, 0.1), 0, -1 / 9, 0.0001537, -0.00341555, 0.00341555, 0.00764975, 261.446, 2443.05),
]  # fmt: skip


@pytest.mark.parametrize("name, numbers, shape, weight, s, Q, a, low, high, tangent, ambient", VALUES)
def test_values_of_the_document(name, numbers, shape, weight, s, Q, a, low, high, tangent, ambient):
    K, m, d, tau = shape
    state = class_state(
        class_loss(name, classes=K, per_class=m, temperature=tau, **numbers), dimension=d, weight=float(weight)
    )
    assert state.cosine == pytest.approx(s, rel=1e-5)
    assert Q is None or (K - 1) * state.share == pytest.approx(Q, rel=1e-5)
    assert state.pull == pytest.approx(a, rel=1e-5)
    assert state.lowest.curvature == pytest.approx(low, rel=1e-5)
    assert state.highest.curvature == pytest.approx(high, rel=1e-5)
    for gradient, below in (("tangent", tangent), ("ambient", ambient)):
        rates = attracting_rates(state.curvatures, pull=state.pull, gradient=gradient)
        assert rates == (None if below is None else (0.0, pytest.approx(below, rel=1e-5)))


@pytest.mark.parametrize("name, numbers, shape, star, immune", [
    ("nt_xent", {}, (6, 2, 6, 0.5), 0, 0.579648),
    ("dcl", {}, (6, 2, 6, 0.5), 0, 1.208),
    ("supcon", {}, (3, 4, 6, 0.5), 0, 0.184505),
    ("blcl", {}, (3, 4, 6, 0.5), 0, 0.625544),
    ("fedrcl", {"penalty": 1.0}, (3, 4, 6, 0.5), 1.77821, 5.66504),
    ("fedrcl", {"penalty": 1.0}, (4, 4, 6, 0.2), 9.15974, 16.0692),
    ("sscl", {"confidence": 0.6}, (3, 4, 6, 0.5), 0.994807, 1.24807),
    ("sscl", {"confidence": 0.95}, (4, 4, 6, 0.2), 0.297095, 0.370815),
    ("supcon", {}, (10, 8, 32, 0.1), 0, 0.000883709),
])  # fmt: skip
def test_weights_of_the_document(name, numbers, shape, star, immune):
    K, m, d, tau = shape
    loss = class_loss(name, classes=K, per_class=m, temperature=tau, **numbers)
    assert class_critical_weight(loss, dimension=d) == pytest.approx(star, rel=1e-5)
    assert immune_weight(loss, dimension=d) == pytest.approx(immune, rel=1e-5)


@pytest.mark.parametrize("inside", (False, True))
@pytest.mark.parametrize("shape, tau, weight", [
    ((2, 4, 2), 0.5, 0.0), ((3, 3, 2), 0.5, 0.0), ((3, 4, 4), 0.3, 0.0), ((5, 2, 4), 1.0, 0.0),
    ((2, 6, 2), 0.5, 0.3), ((2, 2, 3), 0.3, 2.0), ((3, 4, 3), 0.7, 1.0), ((4, 2, 5), 0.5, 0.05),
])  # fmt: skip
def test_every_curvature_is_an_eigenvalue_of_the_hessian(shape, tau, weight, inside):
    for name, numbers in ZOO:
        if (shape[1] % 2 and name in ("nt_xent", "dcl", "sscl")) or (inside and name != "supcon"):
            continue
        state, loss, z = case(name, numbers, shape=shape, tau=tau, weight=weight, inside=inside)
        found = modes(loss, z)
        expected = np.sort([mode.curvature for mode in state.modes for _ in range(mode.multiplicity)])
        np.testing.assert_allclose(found.curvatures.numpy(), expected, atol=1e-8, err_msg=name)
        np.testing.assert_allclose(found.pulls.numpy(), state.pull, atol=1e-10)


def test_t9_is_the_merged_loss():
    for (K, m, tau), more in product(((4, 8, 0.5), (3, 5, 0.3), (2, 2, 1.0), (4, 8, 20.0), (3, 4, 0.002)), (0, 2)):
        shape = {"classes": K, "per_class": m, "temperature": tau}
        loss, star = class_loss("merged", **shape), critical_weight(**shape, dimension=K + more)
        assert class_critical_weight(loss, dimension=K + more) == pytest.approx(star, rel=1e-12)
        weight = 1.5 * star
        state = class_state(loss, dimension=K + more, weight=weight)
        old = class_equilibrium(weight, **shape, dimension=K + more)
        assert (state.angle, state.cosine) == pytest.approx((old.angle, old.cosine), rel=1e-12)
        if tau > 0.01:
            spread = min(mode.curvature for mode in state.modes if mode.name.startswith("spread"))
            assert spread == pytest.approx(spread_curvature(state.angle, **shape, dimension=K + more), rel=1e-10)


def test_t25_is_the_merged_loss_without_prototypes():
    M, h, tau = 4, 3, 0.5
    state = class_state(class_loss("merged", classes=M, per_class=h, temperature=tau), dimension=6)
    levels = {mode.name: mode.curvature for mode in state.modes}
    for gradient, rate in product(("ambient", "tangent"), (0.05, 0.2, 3.0)):
        found = cluster_multipliers(rate, Setting(tau, 6, M * h, gradient=gradient), clusters=M)
        for name, mode in (
            ("spread, perpendicular", "across"),
            ("spread, parallel", "within"),
            ("common perpendicular", "common"),
        ):
            expected = multiplier(rate, curvature=levels[name], pull=state.pull, gradient=gradient)
            assert getattr(found, mode) == pytest.approx(expected, rel=1e-12)


def test_prototypes_widen_the_ambient_range_and_narrow_the_tangent_one():
    loss = class_loss("supcon", classes=3, per_class=4, temperature=0.5)
    tangent, ambient = [], []
    for weight in (0.0, 0.05, 0.1, 0.18, 0.2, 5.0):
        state = class_state(loss, dimension=6, weight=weight)
        for gradient, rates in (("tangent", tangent), ("ambient", ambient)):
            rates.append(critical_rate(state.highest.curvature, pull=state.pull, gradient=gradient) or math.inf)
    assert tangent == sorted(tangent, reverse=True)
    assert tangent[-1] < 2 / 5 / state.angle  # below 2/(lambda p)
    assert ambient[-2:] == [math.inf, math.inf]


def test_a_weak_weight_can_harm_what_a_stronger_one_heals():
    """Two samples at low temperature: stable at every rate without prototypes, not with weak ones."""
    loss = class_loss("nt_xent", classes=2, per_class=2, temperature=0.2)

    def immune(weight):
        state = class_state(loss, dimension=3, weight=weight)
        return state.highest.curvature + 2 * state.pull <= 0

    last = immune_weight(loss, dimension=3)
    assert [immune(weight) for weight in (0.0, 0.001, 0.01, 0.1, 0.99 * last, 1.01 * last, 10.0)] == [
        True, True, False, False, False, True, True,
    ]  # fmt: skip
    assert last == pytest.approx(0.26849, rel=1e-4)


def test_a_class_of_one_and_very_low_temperatures():
    alone = class_state(class_loss("merged", classes=5, per_class=1, temperature=0.5), dimension=4)
    assert alone.lowest.name == "pairs"
    assert class_critical_weight(class_loss("merged", classes=4, per_class=1, temperature=0.5), dimension=4) == 0
    cold = class_loss("supcon", classes=3, per_class=4, temperature=1e-3)
    assert class_state(cold, dimension=3).lowest.curvature == 0  # nothing is left of the softmax
    assert class_state(cold, dimension=4, weight=2.0).lowest.curvature == pytest.approx(2)
    assert class_critical_weight(class_loss("merged", classes=3, per_class=4, temperature=1e-3), dimension=4) == (
        pytest.approx(2000 * 4 / 3)
    )


def test_wrong_input():
    loss = class_loss("supcon", classes=4, per_class=2, temperature=0.5)
    with pytest.raises(
        ValueError, match="^dimension must be >= 4 for 4 classes, got 3; orthonormal prototypes of that many"
    ):
        class_state(loss, dimension=3, weight=1.0)
    with pytest.raises(ValueError, match="^dimension must be >= 3 for 4 classes, got 2; a simplex of that many"):
        class_state(loss, dimension=2)
    with pytest.raises(ValueError, match="^weight must be a finite number >= 0, got -1"):
        class_state(loss, dimension=8, weight=-1.0)
    with pytest.raises(ValueError, match="^dimension must be a whole number >= 2, got 1"):
        class_state(class_loss("merged", classes=2, per_class=2, temperature=0.5), dimension=1)


def test_derivation_closes_and_equals_the_code():
    proof = import_module("clopsim.bounds.class_state").derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(import_module("clopsim.bounds.class_state"), "_closed_forms") == {
        "theta", "across", "T9: in the span",
    }  # fmt: skip
