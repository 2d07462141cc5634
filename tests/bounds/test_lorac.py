import math
from functools import partial

import numpy as np
import pytest
import torch

from clopsim.audit.experiments.modes import modes
from clopsim.bounds import (
    Setting,
    antipodal_line_rate,
    apart_curvature,
    attracting_rates,
    critical_rate,
    lorac,
    lorac_collapse,
    lorac_line,
    multiplier,
    together_curvature,
)
from clopsim.losses.lorac import lorac_of_rows

SETTINGS = ((8, 4, 1.0, 15.0, 0.01), (12, 3, 0.5, 2.0, 0.001), (4, 3, 0.3, 5.0, 0.1))
FORMS = ("matrix", "cosine")
GRADIENTS = ("tangent", "ambient")


def options(n, tau, beta, smoothing, written):
    return {"samples": n, "temperature": tau, "beta": beta, "smoothing": smoothing, "written": written}


def loss(tau, beta, smoothing, written):
    return partial(lorac_of_rows, temperature=tau, beta=beta, smoothing=smoothing, written=written)


def states(n, d):
    point = torch.zeros(n, d, dtype=torch.float64)
    point[:, 0] = 1
    line = point.clone()
    line[n // 2 :] *= -1
    return point, line


def spectra(n, d, *rest):
    """For the point and the line: every curvature, turns of the whole state included, and the pull."""
    here, there = lorac_collapse(**options(n, *rest)), lorac_line(**options(n, *rest))
    N = n // 2
    at_point = [0.0] + [here.together] * (N - 1) + [here.apart] * N
    on_line = [0.0] + [there.together] * (N - 1) + [there.apart] * (N - 1) + [there.common]
    return (sorted(at_point * (d - 1)), here.pull), (sorted(on_line * (d - 1)), there.pull)


@pytest.mark.parametrize("written", FORMS)
@pytest.mark.parametrize("n, d, tau, beta, smoothing", SETTINGS)
def test_every_level_of_the_hessian_and_the_pull(n, d, tau, beta, smoothing, written):
    for z, (curvatures, pull) in zip(states(n, d), spectra(n, d, tau, beta, smoothing, written), strict=True):
        found = modes(loss(tau, beta, smoothing, written), z)
        np.testing.assert_allclose(found.curvatures, curvatures, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.pulls, [pull] * n, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("written", FORMS)
def test_every_factor_of_a_step(written, gradient, step_factors):
    n, d, *rest = SETTINGS[0]
    for z, (curvatures, pull) in zip(states(n, d), spectra(n, d, *rest, written), strict=True):
        for rate in (0.2, 20.0):
            expected = sorted(multiplier(rate, curvature=c, pull=pull, gradient=gradient) for c in curvatures)
            found = step_factors(loss(*rest, written), z, rate, gradient)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * max(map(abs, expected)))


@pytest.mark.parametrize("setting, together, apart, cosine, matrix, tangent, by_cosine, by_rows", (
    ((8, 1.0, 15.0, 0.01), -0.28969689, 0.35190429, -0.06731581, 0.01021682, 5.68336354, 9.20502353, 5.37146456),
    ((12, 0.5, 2.0, 0.001), -0.39079804, 5.3597702, -2.51705258, 0.1151112, 0.37315033, 6.14127944, 0.35778223),
    ((256, 1.0, 15.0, 1e-4), -0.00784592, 0.05931519, -0.02576528, 0.00036696, 33.7181779, 256.916579, 33.3060724),
))  # fmt: skip
def test_reference_values(setting, together, apart, cosine, matrix, tangent, by_cosine, by_rows):
    found = {written: lorac_collapse(**options(*setting, written)) for written in FORMS}
    assert found["cosine"] == pytest.approx((together, apart, cosine), abs=6e-8)
    assert found["matrix"] == pytest.approx((together, apart, matrix), abs=6e-8)
    for written, gradient, rate in (("cosine", "tangent", tangent), ("cosine", "ambient", by_cosine),
                                    ("matrix", "tangent", tangent), ("matrix", "ambient", by_rows)):  # fmt: skip
        there = found[written]
        assert critical_rate(there.apart, pull=there.pull, gradient=gradient) == pytest.approx(rate, rel=2e-8)


@pytest.mark.parametrize("tau, beta, smoothing, rate", ((0.5, 15.0, 0.01, 9.762638), (0.5, 3.0, 0.1, 9.749908)))
def test_reference_values_of_the_line(tau, beta, smoothing, rate):
    levels = lorac_line(**options(16, tau, beta, smoothing, "cosine"))
    found = attracting_rates(levels[:3], pull=levels.pull, gradient="ambient")
    assert found.above == pytest.approx(rate, abs=1e-6)
    assert found.below == math.inf
    assert attracting_rates(levels[:3], pull=levels.pull, gradient="tangent") is None


@pytest.mark.parametrize("written", FORMS)
def test_without_the_prior_it_is_the_full_loss(written):
    setting = Setting(0.5, 4, 12, loss="full", reduction="mean")
    here, there = (call(**options(12, 0.5, 1e9, 0.01, written)) for call in (lorac_collapse, lorac_line))
    assert here.together == pytest.approx(together_curvature(setting), rel=1e-7)
    assert here.apart == pytest.approx(apart_curvature(setting), rel=1e-7)
    assert here.pull == pytest.approx(0, abs=1e-8)
    found = attracting_rates(there[:3], pull=there.pull, gradient="ambient")
    assert found.above == pytest.approx(antipodal_line_rate(setting), rel=1e-7)


@pytest.mark.parametrize("written", FORMS)
def test_the_line_attracts_iff_views_that_come_together_fall(written):
    """All three curvatures are negative iff q psi' > (N-1) p_o; then the prior cancels in the cosine form's rate."""
    for smoothing in (0.001, 0.01, 0.0229, 0.0232, 0.03, 0.1, 1.0):
        levels = lorac_line(**options(16, 0.5, 3.0, smoothing, written))
        found = attracting_rates(levels[:3], pull=levels.pull, gradient="ambient")
        assert (found is None) == (levels.common > 0) == (smoothing < 0.023)
        assert levels.apart < 0
        if found is not None:
            assert found.above == critical_rate(levels.together, pull=levels.pull, gradient="ambient")


def test_the_prior_cancels_in_the_cosine_form_alone():
    n, tau = 8, 0.7
    for beta, smoothing in ((15.0, 0.01), (1.0, 0.1)):
        found = lorac_collapse(**options(n, tau, beta, smoothing, "cosine"))
        p = -found.together * tau / 2
        rate = critical_rate(found.apart, pull=found.pull, gradient="ambient")
        assert rate == pytest.approx(n * tau / ((n - 2) * p), rel=1e-12)
        rows = lorac_collapse(**options(n, tau, beta, smoothing, "matrix"))
        assert rows[:2] == found[:2]  # the same loss
        assert critical_rate(rows.apart, pull=rows.pull, gradient="ambient") < 0.9 * rate


def test_views_come_apart_at_any_rate_as_the_smoothing_vanishes():
    rates = [2 / lorac_collapse(samples=8, smoothing=smoothing).apart for smoothing in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 2e-3


def test_extreme_temperatures_do_not_overflow():
    for call, tau in ((lorac_collapse, 1e-4), (lorac_collapse, 1e4), (lorac_line, 1e-4), (lorac_line, 1e4)):
        assert all(map(math.isfinite, call(samples=8, temperature=tau, smoothing=0.01)))


@pytest.mark.parametrize("wrong, message", (
    ({"samples": 7}, "samples must be even, got 7; it counts both views of every sample, so give 2N"),
    ({"samples": 2}, "samples must be a whole number >= 4"),
    ({"temperature": 1e-5}, "temperature must be >= 0.0001"),
    ({"temperature": 0.0}, "temperature must be a finite number > 0"),
    ({"beta": 0.0}, "beta must be a finite number > 0"),
    ({"smoothing": 0.0}, "smoothing must be a finite number > 0, got 0.0; .* lorac_swap has its kink"),
    ({"written": "svd"}, "written must be one of matrix, cosine"),
))  # fmt: skip
def test_wrong_input(wrong, message):
    for call in (lorac_collapse, lorac_line):
        with pytest.raises(ValueError, match=message):
            call(**({"samples": 8, "smoothing": 0.01} | wrong))


def test_derivation_closes_and_equals_the_code():
    proof = lorac.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(lorac, "_closed_forms", "_closed_slopes")
    assert broken == set(lorac.derive().zeros) - {"beta -> infinity, line: T12"}  # holds no claim of this file
