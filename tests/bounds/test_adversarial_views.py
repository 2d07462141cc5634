import math

import pytest
from scipy.optimize import brentq, minimize_scalar

from clopsim.bounds import (
    Setting,
    adversarial_attraction,
    adversarial_curvature,
    adversarial_rate,
    adversarial_swap,
    adversarial_views,
    swap_cosine,
)

TAU = 0.5


def gain(turn: float, phi: float, reach: float) -> float:
    """What the adversary has of turning two views at angle phi by a turn each; the price is |delta|^2/(2 reach)."""
    return -2 * math.cos(phi + 2 * turn) / TAU - 2 * math.sin(turn) ** 2 / (2 * reach)


@pytest.mark.parametrize("reach", (0.01, TAU / 16, 0.12))
@pytest.mark.parametrize("phi", (0.2, 1.0, 2.5))
def test_the_attraction_is_the_slope_of_the_best_gain(phi, reach):
    def best(angle: float) -> float:
        found = minimize_scalar(
            lambda turn: -gain(turn, angle, reach), bounds=(0, math.pi / 2), method="bounded", options={"xatol": 1e-12}
        )
        return -found.fun

    slope = (best(phi + 1e-4) - best(phi - 1e-4)) / 2e-4
    expected = adversarial_attraction(math.cos(phi), temperature=TAU, reach=reach) * 2 * math.sin(phi) / TAU
    assert slope == pytest.approx(expected, rel=1e-6)


def test_views_that_agree_have_the_curvature_and_the_rate_of_t40():
    for reach in (0.0, 0.03, 0.1):
        shifted = adversarial_curvature(4 / TAU, reach=reach)
        assert adversarial_attraction(1, temperature=TAU, reach=reach) * 4 / TAU == pytest.approx(shifted, rel=1e-13)
        starts = adversarial_rate(4 / TAU, reach=reach)
        assert adversarial_swap(0.999 * starts, temperature=TAU, reach=reach) == 1
        assert adversarial_swap(1.001 * starts, temperature=TAU, reach=reach) < 1


@pytest.mark.parametrize("reach", (0.0, TAU / 16, 0.12))
def test_on_the_swap_a_step_turns_each_view_onto_the_other(reach):
    for rate in (0.26, 0.5, 3.0):
        c = adversarial_swap(rate, temperature=TAU, reach=reach)

        def off(phi: float, rate: float = rate) -> float:
            pull = 2 * rate / TAU * adversarial_attraction(math.cos(phi), temperature=TAU, reach=reach)
            return phi - math.atan(pull * math.sin(phi))

        assert c == pytest.approx(math.cos(brentq(off, 1e-2, math.pi / 2)), rel=1e-9)


def test_without_an_adversary_it_is_t5_s_swap():
    tangent = Setting(TAU, 3, 20, "full", "tangent")
    for rate in (0.1, 0.25, 0.4, 7.0):
        assert adversarial_swap(rate, temperature=TAU, reach=0) == pytest.approx(swap_cosine(rate, tangent), rel=1e-14)
    assert adversarial_attraction(0.3, temperature=TAU, reach=0) == 1


def test_reference_values():
    """sigma^2/lambda = tau/16: views part at 3 tau/8, and attract each other 4/3 times as much there; k = 1/4."""
    assert adversarial_attraction(1, temperature=0.4, reach=0.025) == pytest.approx(4 / 3, rel=1e-14)
    assert adversarial_attraction(-1, temperature=0.4, reach=0.025) == pytest.approx(4 / 5, rel=1e-14)
    assert adversarial_swap(0.375 * 0.4, temperature=0.4, reach=0.025) == pytest.approx(1, rel=1e-14)
    assert adversarial_swap(0.6 * 0.4, temperature=0.4, reach=0.025) == pytest.approx(0.702738, abs=1e-6)


def test_the_swap_is_stable_down_to_the_cosine_k():
    """By one step of the angle, over whose sign the views swap."""
    reach, k = TAU / 16, 0.25

    def stepped(phi: float, x: float) -> float:
        return phi - 2 * math.atan(
            x * math.sin(phi) * adversarial_attraction(math.cos(phi), temperature=TAU, reach=reach)
        )

    for c, stable in ((0.9, True), (0.3, True), (0.27, True), (0.23, False)):
        x = 1 / (c * adversarial_attraction(c, temperature=TAU, reach=reach))
        phi = math.acos(c)
        assert adversarial_swap(x * TAU / 2, temperature=TAU, reach=reach) == pytest.approx(c, rel=1e-12)
        slope = (stepped(phi + 1e-6, x) - stepped(phi - 1e-6, x)) / 2e-6
        assert (abs(slope) < 1) == stable == (c > k)


def test_wrong_input():
    good = {"temperature": TAU, "reach": 0.03}
    for call in (adversarial_attraction, adversarial_swap):
        with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
            call(0.5, **good | {"temperature": 0})
        with pytest.raises(ValueError, match="reach must be a finite number >= 0, got -1"):
            call(0.5, **good | {"reach": -1})
        with pytest.raises(ValueError, match="reach must be < temperature/4 = 0.125, got 0.125; beyond, the adversary"):
            call(0.5, **good | {"reach": 0.125})
    for cosine in (1.01, -1.01, math.nan):
        with pytest.raises(ValueError, match=r"cosine must lie in \[-1, 1\], got"):
            adversarial_attraction(cosine, **good)
    with pytest.raises(ValueError, match="rate must be a finite number > 0"):
        adversarial_swap(0.0, **good)


def test_derivation_closes_and_equals_the_code():
    proof = adversarial_views.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(adversarial_views, "_closed_forms") >= {"best move, an angle", "swap", "stability"}
