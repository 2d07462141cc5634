import math
from functools import partial

import numpy as np
import pytest
import torch

from clopsim.audit.experiments.anti_collapse import SETTINGS, _normal, _point, _unit, frame
from clopsim.audit.experiments.modes import modes, step
from clopsim.bounds import (
    anti_collapse,
    attracting_rates,
    coding_classes,
    coding_collapse,
    coding_optimum,
    coding_weight,
    critical_rate,
    multiplier,
)
from clopsim.losses.anti_collapse import anti_collapse_of_rows
from clopsim.metrics import geometry

GRADIENTS = ("tangent", "ambient")


@pytest.mark.parametrize("n, d, eps, gamma", SETTINGS)
def test_every_level_at_collapse_and_on_lines(n, d, eps, gamma, step_factors):
    loss = partial(anti_collapse_of_rows, eps=eps, gamma=gamma)
    here = coding_collapse(n, dimension=d, eps=eps, gamma=gamma)
    curvatures = [here.curvature] * ((n - 1) * (d - 1)) + [0.0] * (d - 1)
    signs = torch.where(torch.arange(n) % 3 == 0, -1.0, 1.0).double()[:, None]
    for z in (_point(n, d), signs * _point(n, d)):
        found = modes(loss, z)
        np.testing.assert_allclose(found.curvatures, curvatures, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.pulls, [here.pull] * n, rtol=0, atol=1e-12)
        assert attracting_rates(curvatures, pull=here.pull, gradient="tangent") is None
        assert attracting_rates(curvatures, pull=here.pull, gradient="ambient") is None
        for gradient in GRADIENTS:
            for rate in (1.0, 1e3):
                expected = sorted(multiplier(rate, curvature=c, pull=here.pull, gradient=gradient) for c in curvatures)
                np.testing.assert_allclose(step_factors(loss, z, rate, gradient), expected, rtol=1e-7)


def test_an_ambient_step_grows_by_less_than_one_and_a():
    here = coding_collapse(9, dimension=8)
    levels = {"curvature": here.curvature, "pull": here.pull, "gradient": "ambient"}
    factors = [multiplier(rate, **levels) for rate in (1, 1e3, 1e8)]
    assert factors == sorted(factors)
    assert 16.9999 < factors[-1] < 17  # 1 + a, a = 16


@pytest.mark.parametrize("n, d, eps, gamma", SETTINGS)
def test_frames_have_the_highest_curvature_and_the_pull(n, d, eps, gamma):
    found = modes(partial(anti_collapse_of_rows, eps=eps, gamma=gamma), frame(n, d))
    expected = coding_optimum(n, dimension=d, eps=eps, gamma=gamma)
    assert float(found.curvatures[-1]) == pytest.approx(expected.highest, rel=1e-8) == expected.least
    assert float(found.curvatures[0]) > -1e-8
    np.testing.assert_allclose(found.pulls, [expected.pull] * n, rtol=1e-8)
    assert critical_rate(expected.highest, pull=expected.pull, gradient="ambient") is None


def test_many_rows_have_frames_between_the_bounds():
    expected = coding_optimum(24, dimension=3, eps=0.2)
    assert expected.least == pytest.approx(0.6 * expected.highest, rel=1e-14)
    loss = partial(anti_collapse_of_rows, eps=0.2)
    tops = [float(modes(loss, frame(24, 3, seed=seed)).curvatures[-1]) for seed in range(5)]
    assert expected.least <= min(tops) < max(tops) < expected.highest
    cross = torch.eye(3, dtype=torch.float64).repeat(8, 1)  # its z z' do not span the symmetric matrices
    top = float(modes(loss, cross).curvatures[-1])
    assert top == pytest.approx(expected.highest, rel=1e-10)


@pytest.mark.parametrize("n, d, rate", ((24, 3, 282.181), (40, 3, 470.302)))
def test_the_limit_of_designs(n, d, rate):
    assert 2 / coding_optimum(n, dimension=d, eps=0.2).least == pytest.approx(rate, abs=6e-4)


@pytest.mark.parametrize("setting, curvature, start, end, rate, classes, weight", (
    ((9, 4, 0.5, 1.0), -0.263374486, 0.333333, 0.111111, 45.5625, 3, 0.828667187),
    ((24, 8, 0.5, 1.0), -0.152179216, 0.242535625, 0.012345679, 546.75, 4, 0.512),
    ((20, 6, 0.2, 0.3), -0.260176352, 0.597441943, 0.199371866, 80.2520450, 2, 3.67263519),
))  # fmt: skip
def test_reference_values(setting, curvature, start, end, rate, classes, weight):
    n, d, eps, gamma = setting
    options = {"dimension": d, "eps": eps, "gamma": gamma}
    assert coding_collapse(n, **options).curvature == pytest.approx(curvature, abs=6e-10)
    loss = partial(anti_collapse_of_rows, eps=eps, gamma=gamma)
    assert float(loss(_point(n, d))) == pytest.approx(start, abs=6e-7)
    assert float(loss(frame(n, d))) == pytest.approx(end, abs=6e-7)
    assert 2 / coding_optimum(n, **options).highest == pytest.approx(rate, abs=6e-7)
    assert coding_weight(classes, **options) == pytest.approx(weight, abs=6e-9)


def test_reference_rates_of_orthonormal_rows_and_with_prototypes():
    assert 2 / coding_optimum(4, dimension=6).highest == pytest.approx(28.4444, abs=6e-5)
    assert 2 / coding_optimum(5, dimension=5, eps=1.0).highest == pytest.approx(22.6274, abs=6e-5)
    found = coding_classes(4, rows=6, dimension=8, prototype_weight=1.0)
    assert 2 / found.symmetric == pytest.approx(39.840637, abs=6e-7)
    assert attracting_rates(found[:3], pull=found.pull, gradient="ambient").below == math.inf


@pytest.mark.parametrize("weight", (0.0, 0.3, 2.0))
@pytest.mark.parametrize("K, m, d, eps", ((3, 2, 5, 0.5), (2, 4, 3, 0.2), (3, 3, 3, 1.0)))
def test_every_level_of_classes_on_orthonormal_points(K, m, d, eps, weight):
    c = torch.eye(d, dtype=torch.float64)[:K].repeat_interleave(m, dim=0)
    n = K * m

    def loss(z):
        return anti_collapse_of_rows(z, eps=eps) + weight * (1 - (z * c).sum(dim=-1)).mean()

    here = coding_classes(K, rows=m, dimension=d, eps=eps, prototype_weight=weight)
    counts = ((n - K) * (d - K), K * (K - 1) * (m - 1), K * (K - 1) // 2)
    levels = [value for value, count in zip(here[:3], counts, strict=True) for _ in range(count)]
    levels += [weight / n] * (n * (d - 1) - len(levels))
    found = modes(loss, c)
    np.testing.assert_allclose(found.curvatures, sorted(levels), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.pulls, [here.pull] * n, rtol=0, atol=1e-12)


def test_classes_of_one_row_are_orthonormal_rows():
    one = coding_classes(4, rows=1, dimension=6, eps=0.3, gamma=0.7, weight=1.5)
    best = coding_optimum(4, dimension=6, eps=0.3, gamma=0.7, weight=1.5)
    assert (one.symmetric, one.pull) == pytest.approx((best.highest, best.pull), rel=1e-13)


def test_the_critical_weight_is_where_the_outside_turns():
    for K, m, d, eps in ((4, 4, 8, 0.5), (3, 3, 6, 1.0), (2, 4, 5, 0.2)):
        star = coding_weight(K, dimension=d, eps=eps)
        signs = [
            coding_classes(K, rows=m, dimension=d, eps=eps, prototype_weight=f * star).outside for f in (0.99, 1.01)
        ]
        assert signs[0] < 0 < signs[1]
    assert coding_weight(4, dimension=4) == 0.0
    assert coding_weight(4, dimension=8) == pytest.approx(0.512, rel=1e-12)  # below CLOP's weight of 1


@pytest.mark.parametrize("multiple", (0.01, 1.0, 100.0, 1e4))
def test_ambient_runs_end_on_a_frame_at_every_rate(multiple):
    expected = coding_optimum(12, dimension=5)
    z = _unit(_point(12, 5) + 1e-3 * _normal(12, 5))
    for _ in range(2000 if multiple < 1 else 60):
        z = step(anti_collapse_of_rows, z, multiple * 2 / expected.highest, "ambient")
    assert float(geometry.effective_rank(z)) == pytest.approx(5, abs=1e-5)


def test_tangent_runs_leave_a_frame_above_the_rate_and_never_end_at_rank_one():
    expected = coding_optimum(9, dimension=4)
    for multiple, stays in ((0.97, True), (1.03, False), (10.0, False)):
        z = _unit(frame(9, 4) + 1e-4 * _normal(9, 4))
        for _ in range(400):
            z = step(anti_collapse_of_rows, z, multiple * 2 / expected.highest, "tangent")
        rank = float(geometry.effective_rank(z))
        assert (rank > 4 - 1e-6) == stays
        assert rank > 2


@pytest.mark.parametrize("call, message", (
    (lambda: coding_collapse(0, dimension=4), "samples must be a whole number >= 1"),
    (lambda: coding_collapse(4, dimension=1), "dimension must be a whole number >= 2"),
    (lambda: coding_optimum(4, dimension=4, eps=0.0), "eps must be a finite number > 0"),
    (lambda: coding_optimum(4, dimension=4, scale=-1.0), "scale must be a finite number > 0"),
    (lambda: coding_optimum(4, dimension=4, gamma=0.0), "gamma must be a finite number > 0"),
    (lambda: coding_collapse(4, dimension=4, weight=0.0), "weight must be a finite number > 0"),
    (lambda: coding_classes(5, rows=2, dimension=4), "classes must be <= dimension, got 5 and 4"),
    (lambda: coding_classes(3, rows=0, dimension=4), "rows must be a whole number >= 1"),
    (lambda: coding_classes(3, rows=2, dimension=4, prototype_weight=-1.0), "prototype_weight must be a finite number"),
    (lambda: coding_weight(5, dimension=4), "classes must be <= dimension"),
))  # fmt: skip
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_derivation_closes_and_equals_the_code():
    proof = anti_collapse.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(anti_collapse, "_closed_forms")
    ratios = {name for name in anti_collapse.derive().zeros if "c + 2a" in name or "tends" in name or "meet" in name}
    assert broken == set(anti_collapse.derive().zeros) - ratios
