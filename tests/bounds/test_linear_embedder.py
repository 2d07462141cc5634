import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.special import iv

from clopsim.bounds import Setting, harmonic_spectrum, linear_embedder
from clopsim.bounds.linear_embedder import (
    linear_collapse_curvatures,
    linear_collapse_rate,
    linear_uniform_curvature,
    linear_uniform_rate,
)


def loss_by_hand(weights, inputs, tau, *, full):
    """The sum over anchors, nothing of clopsim's."""
    z = inputs @ weights.T
    z = z / z.norm(dim=1, keepdim=True)
    n, cosines = len(z), z @ z.T
    others = cosines.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    value = torch.logsumexp(others / tau, dim=1).sum()
    if full:
        value = value - sum(cosines[i, (i + n // 2) % n] for i in range(n)) / tau
    return value


def hessian(weights, inputs, tau, *, full=True):
    size = weights.numel()
    found = torch.autograd.functional.hessian(lambda w: loss_by_hand(w, inputs, tau, full=full), weights)
    return torch.linalg.eigvalsh(found.reshape(size, size)).numpy()


@pytest.mark.parametrize(
    "d, p, samples, tau, full", [(2, 3, 4, 0.5, True), (4, 3, 5, 0.2, True), (3, 2, 3, 1.0, False)]
)
def test_every_eigenvalue_at_collapse_is_autograd_s(d, p, samples, tau, full):
    rng = np.random.default_rng(d)
    a, u = rng.normal(size=p), rng.normal(size=d)
    first, second = (a / (a @ a) + 0.2 * rng.normal(size=(samples, p)) for _ in range(2))
    assert min((first @ a).min(), (second @ a).min()) > 0
    setting = Setting(tau, d, 2 * samples, loss="full" if full else "merged", gradient="tangent")
    scaled = [half / (half @ a * np.linalg.norm(u))[:, None] for half in (first, second)]
    claimed = np.sort(
        np.concatenate([np.repeat(linear_collapse_curvatures(*scaled, setting=setting), d - 1), np.zeros(p)])
    )
    found = hessian(torch.from_numpy(np.outer(u, a)), torch.from_numpy(np.vstack([first, second])), tau, full=full)
    np.testing.assert_allclose(found, claimed, rtol=1e-9, atol=1e-9 * np.abs(claimed).max())


def six_hundred_cell():
    """Its 120 corners in four dimensions, a spherical design of degree 11."""
    golden = (1 + math.sqrt(5)) / 2
    corners = [sign * row for sign in (1, -1) for row in np.eye(4)]
    corners += [np.array(signs) / 2 for signs in itertools.product((1, -1), repeat=4)]
    even = [order for order in itertools.permutations(range(4)) if np.linalg.det(np.eye(4)[list(order)]) > 0]
    for signs in itertools.product((1, -1), repeat=3):
        corner = np.array([golden * signs[0], signs[1], signs[2] / golden, 0]) / 2
        corners += [corner[list(order)] for order in even]
    return torch.from_numpy(np.array(corners))


@pytest.mark.parametrize(
    "tau, scale, predicted, measured", [(0.5, 1.0, 41.424752, 41.424886), (0.3, 2.0, 20.3634, 20.3668)]
)
def test_the_curvature_over_a_design_is_autograd_s(tau, scale, predicted, measured):
    """N15's numbers. e_2 at n = 120 comes from Bessel functions here: an anchor is not its own key."""
    setting = Setting(tau, 4, 120, gradient="tangent")
    found = hessian(scale * torch.eye(4, dtype=torch.float64), six_hundred_cell(), tau, full=False)
    assert found[-9:] == pytest.approx(np.full(9, measured), rel=1e-6 if tau == 0.5 else 1e-5)  # 4 * 5/2 - 1 copies
    assert np.abs(found[:-9]).max() < 1e-9 * measured
    kappa = 1 / tau
    own = 1 / (1 - math.exp(kappa) / (120 * (2 / kappa) * iv(1, kappa)))
    A = own * iv(3, kappa) / iv(1, kappa)
    in_use = float(harmonic_spectrum(setting, degrees=2).e[1])
    at_n = 2 * 4 * A * (2 - A)
    assert linear_uniform_curvature(setting, scale=scale) * at_n / in_use == pytest.approx(predicted, rel=3e-6)


def test_derivation_closes_and_equals_the_code():
    proof = linear_embedder.derive()
    assert proof.open_zeros() == {}
    n, tau, Q, V = sp.Symbol("n", positive=True), sp.Symbol("tau", positive=True), *sp.symbols("Q V")
    b = np.array([0.3, -1.1, 0.4, 0.9, 0.2, -0.5])
    for loss in ("full", "merged"):
        setting = Setting(0.7, 5, 6, loss=loss, gradient="tangent")
        formula = sp.lambdify((n, tau, Q, V), proof.formulas[f"linear_collapse_curvatures, {loss}"])
        expected = formula(6, 0.7, np.square(b[:3] - b[3:]).sum(), np.square(b - b.mean()).sum())
        assert linear_collapse_curvatures(b[:3, None], b[3:, None], setting=setting) == pytest.approx(
            expected, rel=1e-12
        )
    s, d, A, beta = sp.symbols("s d A_2 beta", positive=True)
    setting = Setting(0.7, 5, 1000, gradient="tangent")
    e = float(harmonic_spectrum(setting, degrees=2).e[1])
    ratio = 1 - math.sqrt(1 - e / 10)  # A (2 - A) = e/(2 d)
    at = (1000, 1.3, 5, ratio, 0.4)
    for name, value in (
        ("linear_uniform_curvature", linear_uniform_curvature(setting, scale=1.3)),
        ("linear_uniform_rate", linear_uniform_rate(replace(setting, momentum=0.4), scale=1.3)),
    ):
        assert sp.lambdify((n, s, d, A, beta), proof.formulas[name])(*at) == pytest.approx(value, rel=1e-12)


def test_wrong_formulas_are_caught(broken_by_five_percent):
    broken = broken_by_five_percent(linear_embedder, "_collapse_form", "_uniform_form")
    assert broken == {
        "full loss, 4 inputs", "full loss, 6 inputs", "merged loss, 4 inputs", "merged loss, 6 inputs",
        "curvature at the uniform state",
    }  # fmt: skip


def test_reduction_keys_and_momentum():
    b = np.array([[0.3, 1.0], [-1.1, 0.2], [0.4, 0.0]])
    full = Setting(0.5, 3, 6, loss="full", gradient="tangent")
    rate = linear_collapse_rate(b, -b, setting=full)
    for change, factor in (({"keys": "detached"}, 2), ({"reduction": "mean"}, 6)):
        other = Setting(0.5, 3, 6, loss="full", gradient="tangent", **change)
        assert linear_collapse_rate(b, -b, setting=other) == pytest.approx(factor * rate, rel=1e-12)
    assert linear_collapse_rate(b, -b, setting=replace(full, momentum=0.5)) == pytest.approx(1.5 * rate, rel=1e-12)
    uniform = linear_uniform_rate(Setting(0.5, 3, 600, gradient="tangent"), scale=1.0)
    mean = Setting(0.5, 3, 600, gradient="tangent", reduction="mean")
    assert linear_uniform_rate(mean, scale=2.0) == pytest.approx(4 * 600 * uniform, rel=1e-12)


def test_where_collapse_attracts_and_where_it_cannot():
    b = np.array([[0.3, 1.0], [-1.1, 0.2], [0.4, 0.0]])
    full = Setting(0.5, 3, 6, loss="full", gradient="tangent")
    assert linear_collapse_curvatures(b, -b, setting=full).min() > 0  # mirrored: all midpoints are 0
    assert linear_collapse_curvatures(b + b[::-1], b[::-1] - b, setting=full).min() < 0
    wide = np.hstack([b, [[0.1], [0.5], [-0.2]]])
    assert linear_collapse_rate(wide, -wide, setting=full) == pytest.approx(
        2 / linear_collapse_curvatures(wide, -wide, setting=full).max(), rel=1e-12
    )
    assert linear_collapse_rate(b, b, setting=full) is None
    assert linear_collapse_rate(b, -b, setting=Setting(0.5, 3, 6, gradient="tangent")) is None  # merged


def test_wrong_input():
    b, full = np.ones((3, 2)), Setting(0.5, 3, 6, loss="full", gradient="tangent")
    with pytest.raises(ValueError, match="^gradient must be tangent"):
        linear_collapse_rate(b, b, setting=Setting(0.5, 3, 6, loss="full"))
    with pytest.raises(ValueError, match="^gradient must be tangent"):
        linear_uniform_rate(Setting(0.5, 3, 6), scale=1.0)
    with pytest.raises(ValueError, match=r"^first must have shape \(samples / 2, p\) = \(3, p\), got \(2, 2\)"):
        linear_collapse_rate(b[:2], b[:2], setting=full)
    with pytest.raises(ValueError, match="^second must be finite"):
        linear_collapse_rate(b, b * np.nan, setting=full)
    with pytest.raises(ValueError, match="^temperature must be one number"):
        linear_uniform_rate(Setting((0.5, 1.0), 3, 6, gradient="tangent"), scale=1.0)
    with pytest.raises(ValueError, match="^samples must fill the sphere at this temperature, got 6"):
        linear_uniform_rate(Setting(0.1, 3, 6, gradient="tangent"), scale=1.0)
    with pytest.raises(ValueError, match="^scale must be a finite number > 0"):
        linear_uniform_curvature(Setting(0.5, 3, 6, gradient="tangent"), scale=0.0)
    with pytest.raises(ValueError, match="^momentum must be in"):
        linear_uniform_rate(Setting(0.5, 3, 6, gradient="tangent", momentum=1.0), scale=1.0)
