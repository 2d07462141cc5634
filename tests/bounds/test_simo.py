import numpy as np
import pytest
import torch

from clopsim.audit.experiments.modes import modes
from clopsim.audit.experiments.simo import SETTINGS, _normal, _point, _unit, classes_at, loss_of
from clopsim.bounds import (
    attracting_rates,
    multiplier,
    simo,
    simo_collapse,
    simo_optimum,
)

GRADIENTS = ("tangent", "ambient")
COLLAPSE = ((3, 4, 4, 0.1, 0.0, "ratio"), (3, 3, 3, 1.5, 0.2, "ratio"), (2, 5, 3, 0.3, 1 / 137, "pair"),
            (4, 1, 4, 2.5, 0.0, "pair"))  # fmt: skip
OPTIMUM = ((3, 4, 4, 0.1, 0.0, "ratio"), (3, 2, 3, 1.5, 0.0, "ratio"), (2, 5, 3, 0.3, 0.1, "pair"),
           (4, 1, 5, 2.5, 0.0, "pair"))  # fmt: skip


def options(m, eps, olean, form):
    return {"rows": m, "eps": eps, "olean": olean, "form": form}


def collapse_levels(K, m, d, *rest):
    here = simo_collapse(K, **options(m, *rest))
    levels = [here.contrast] * (K - 1) + [here.common] * (m - 1) + [here.within] * ((K - 1) * (m - 1)) + [0.0]
    return sorted(levels * (d - 1)), here.pull


def optimum_levels(K, m, d, eps, olean, form, weight=0.0):
    here = simo_optimum(K, **options(m, eps, olean, form), prototype_weight=weight)
    pairs = K * (K - 1) // 2
    levels = [here.outside] * (K * (m - 1) * (d - K) + pairs * (m - 1))
    levels += [here.inside] * (pairs * (m - 1)) + [here.symmetric] * pairs
    return sorted(levels + [weight / (K * m)] * (K * m * (d - 1) - len(levels))), here.pull


@pytest.mark.parametrize("setting", COLLAPSE, ids=str)
def test_every_level_of_the_hessian_at_collapse(setting):
    K, m, d, *rest = setting
    levels, pull = collapse_levels(*setting)
    for z in (_point(K * m, d), -_point(K * m, d)):
        found = modes(loss_of(K, m, *rest), z)
        np.testing.assert_allclose(found.curvatures, levels, rtol=1e-11, atol=1e-8)
        np.testing.assert_allclose(found.pulls, [pull] * (K * m), rtol=1e-12)


@pytest.mark.parametrize("weight", (0.0, 1.5))
@pytest.mark.parametrize("setting", OPTIMUM, ids=str)
def test_every_level_of_the_hessian_at_orthonormal_class_points(setting, weight):
    K, m, d, *rest = setting
    c, base = classes_at(K, m, d), loss_of(K, m, *rest)
    found = modes(lambda z: base(z) + weight * (1 - (z * c).sum(dim=-1)).mean(), c)
    levels, pull = optimum_levels(*setting, weight=weight)
    np.testing.assert_allclose(found.curvatures, levels, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.pulls, [pull] * (K * m), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("setting", SETTINGS[:3:2], ids=str)
def test_every_factor_of_a_step(setting, gradient, step_factors):
    K, m, d, eps, olean, form = (3, 2, 4, *setting[3:])
    loss = loss_of(K, m, eps, olean, form)
    states = ((_point(K * m, d), collapse_levels), (classes_at(K, m, d), optimum_levels))
    for z, levels_of in states:
        levels, pull = levels_of(K, m, d, eps, olean, form)
        for rate in (1e-3, 0.3):
            expected = sorted(multiplier(rate, curvature=c, pull=pull, gradient=gradient) for c in levels)
            found = step_factors(loss, z, rate, gradient)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * max(map(abs, expected)))


@pytest.mark.parametrize("K, m, eps, olean, form, levels, pull, top, tangent, ambient", (
    (4, 4, 0.1, 0.0, "ratio", (-6100, -13.68852, -4893.68852), 75, 1.64205392, 1.2179868, 1.2179868),
    (3, 2, 1 / 137, 0.0, "ratio", (-507996, -270.029, -338934.029), 822, 4.63687111, 0.43132534, 0.43132534),
    (4, 4, 1 / 137, 0.0, "pair", (-189060, -197.557971, -151445.558), 1027.456837, 9.93475626, 0.20131344, 0.20307806),
    (4, 4, 1 / 137, 1 / 137, "pair", (-173369.918, -180.503534, -138876.438), 942.184653, 9.90566535, 0.20190466,
     0.2036797),
))  # fmt: skip
def test_reference_values(K, m, eps, olean, form, levels, pull, top, tangent, ambient):
    here = simo_collapse(K, **options(m, eps, olean, form))
    assert here[:3] == pytest.approx(levels, rel=1e-8, abs=1e-3)
    assert here.pull == pytest.approx(pull, rel=1e-9)
    best = simo_optimum(K, **options(m, eps, olean, form))
    assert best.inside == pytest.approx(top, rel=1e-8) == max(best[:3])
    for gradient, rate in (("tangent", tangent), ("ambient", ambient)):
        found = attracting_rates(best[:3], pull=best.pull, gradient=gradient)
        assert found.above == 0
        assert found.below == pytest.approx(rate, rel=1e-7)


@pytest.mark.parametrize("K, m, eps, form, rate", (
    (6, 2, 2.5, "pair", 1.812130), (6, 1, 2.5, "pair", 0.781250), (5, 1, 4.0, "pair", 1.142857),
    (6, 2, 30.0, "ratio", 20.0), (5, 1, 40.0, "ratio", 11.428571),
))  # fmt: skip
def test_reference_rates_of_collapse(K, m, eps, form, rate):
    here = simo_collapse(K, **options(m, eps, 0.0, form))
    curvatures = here[:3] if m > 1 else here[:1]
    assert attracting_rates(curvatures, pull=here.pull, gradient="ambient").above == pytest.approx(rate, abs=6e-7)
    assert attracting_rates(curvatures, pull=here.pull, gradient="tangent") is None
    if m == 1 and form == "pair":
        assert rate == pytest.approx(eps**2 / (2 * ((K - 2) * eps - K)), abs=6e-7)


@pytest.mark.parametrize("form", ("pair", "ratio"))
def test_collapse_attracts_at_no_rate_for_eps_up_to_one(form):
    for K in (2, 3, 5, 20):
        for m in (1, 2, 8, 40):
            for eps in (1e-4, 1 / 137, 0.1, 0.7, 1.0):
                here = simo_collapse(K, **options(m, eps, 0.0, form))
                curvatures = here[:3] if m > 1 else here[:1]
                assert attracting_rates(curvatures, pull=here.pull, gradient="ambient") is None


def cosine_form(z, K, m, eps):
    """The ratio form with 2 - 2 s for the squared distance of two rows; the means are no unit vectors and stay."""
    plain = z @ z.mT
    gram = plain - torch.diag_embed(plain.diagonal()) + torch.eye(K * m, dtype=z.dtype)
    average = torch.eye(K, dtype=z.dtype).repeat_interleave(m, dim=1) / m

    def of_set(g, answer):
        i, j = torch.triu_indices(len(g), len(g), offset=1)
        square = g.diagonal()
        far, near = (square[i] + square[j] - 2 * g[i, j]).sum(), g[i, j].square().sum()
        return answer * far / (eps + near) + (1 - answer) * near / (eps + far)

    index = torch.arange(K * m).reshape(K, m)
    sets = [of_set(gram[rows][:, rows], 1) for rows in index] + [of_set(gram[rows][:, rows], 0) for rows in index.T]
    return sum(sets) + of_set(average @ plain @ average.mT, 0)


@pytest.mark.parametrize("K, m, d, eps, rate", ((4, 4, 3, 0.1, 0.0016025), (3, 5, 3, 0.5, 0.155325)))
def test_the_cosine_form_of_the_same_loss_does_collapse(K, m, d, eps, rate):
    """The ambient rate is a property of the formula, not of the loss."""
    z = _unit(_normal(K * m, d))
    written = loss_of(K, m, eps, 0.0, "ratio")
    assert float(cosine_form(z, K, m, eps)) == pytest.approx(float(written(z)), rel=1e-12)
    levels, pull = collapse_levels(K, m, d, eps, 0.0, "ratio")
    found = modes(lambda z: cosine_form(z, K, m, eps), _point(K * m, d))
    np.testing.assert_allclose(found.curvatures, levels, rtol=1e-9, atol=1e-7)  # tangent: the same
    assert attracting_rates(levels, pull=pull, gradient="ambient") is None
    there = attracting_rates(levels, pull=float(found.pulls[0]), gradient="ambient")
    assert there.above == pytest.approx(rate, abs=6e-7 if rate > 0.1 else 6e-8)


def test_the_common_mode_changes_sign_where_classes_are_few():
    K, m = 3, 4
    limit = (K - 1) * 6 / (m**2 - K + 1)
    signs = [simo_collapse(K, **options(m, f * limit, 0.0, "ratio")).common for f in (0.99, 1.01)]
    assert signs[0] < 0 < signs[1]
    assert simo_collapse(2, rows=4, eps=1e-3, form="ratio").common < 0


def test_a_safe_rate_does_not_see_eps_but_collapse_does():
    small, large = (simo_optimum(4, rows=4, eps=eps, olean=0.0).inside for eps in (1e-6, 1e-3))
    assert small == pytest.approx(large, rel=3e-3)
    low, high = (simo_collapse(4, rows=4, eps=eps, olean=0.0).contrast for eps in (1e-6, 1e-3))
    assert low / high == pytest.approx(1e6, rel=2e-3)


def test_olean_only_scales_the_pair_form():
    plain, leaning = (simo_optimum(4, rows=3, eps=0.2, olean=olean) for olean in (0.0, 0.1))
    assert leaning.symmetric == pytest.approx(0.8 * plain.symmetric, rel=1e-13)
    assert leaning.outside == plain.outside


@pytest.mark.parametrize("call, message", (
    (lambda: simo_collapse(1, rows=2), "classes must be a whole number >= 2"),
    (lambda: simo_collapse(3, rows=0), "rows must be a whole number >= 1"),
    (lambda: simo_collapse(3, rows=2, eps=0.0), "eps must be a finite number > 0, got 0.0; the authors"),
    (lambda: simo_collapse(3, rows=2, olean=-0.1), "olean must be a finite number >= 0"),
    (lambda: simo_collapse(3, rows=2, olean=0.5), "olean must be < 0.5, got 0.5; from there on classes"),
    (lambda: simo_collapse(3, rows=2, form="triple"), "form must be one of pair, ratio, got 'triple'"),
    (lambda: simo_optimum(3, rows=2, olean=0.1, form="ratio"), "olean must be 0 for the ratio form, got 0.1"),
    (lambda: simo_optimum(3, rows=2, prototype_weight=-1.0), "prototype_weight must be a finite number >= 0"),
))  # fmt: skip
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_derivation_closes_and_equals_the_code():
    proof = simo.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(simo, "_closed_forms")
    assert broken == set(simo.derive().zeros)
