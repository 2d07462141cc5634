from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    alignment_is_resolved,
    bessel_ratios,
    finite_batch,
    harmonic_spectrum,
    kernel_harmonics,
    self_exclusion,
    uniform_is_resolved,
    unresolved_share,
)
from clopsim.bounds.finite_batch import RESOLVED, design_strength


def test_reference_values():
    """The default sweep; the 600-cell at tau = 0.5, where T5 is off by 2.9, 3.7, 4.0 %."""
    default = Setting(0.5, 8, 32)
    assert self_exclusion(default) - 1 == pytest.approx(0.2209, abs=5e-5)
    assert harmonic_spectrum(default).mean_length == pytest.approx(0.0703, abs=5e-5)
    assert harmonic_spectrum(default, limit=True).mean_length == pytest.approx(0.2385, abs=5e-5)
    cell = Setting(0.5, 4, 120)
    off = harmonic_spectrum(cell, degrees=3).e / harmonic_spectrum(cell, degrees=3, limit=True).e - 1
    np.testing.assert_allclose(off, (0.029, 0.037, 0.040), atol=5e-4)


def test_the_limit_is_one_and_few_points_give_no_number():
    assert self_exclusion(Setting(0.5, 8, 10**9)) == pytest.approx(1, abs=1e-8)
    assert self_exclusion(Setting(0.5, 8, 12)) == pytest.approx(1 / (1 - 5.79 / 12), rel=1e-3)
    assert np.isnan(self_exclusion(Setting(0.5, 8, 11)))
    several = self_exclusion(Setting((0.1, 0.5), 8, 32))
    assert np.isnan(several[0])
    assert several[1] == self_exclusion(Setting(0.5, 8, 32))


def test_design_strength_counts_conditions():
    assert design_strength(64, 2, up_to=100) == 31
    assert design_strength(64, 2, up_to=7) == 7
    assert design_strength(12, 3, up_to=100) == 3  # 15 conditions, 21 degrees of freedom; the icosahedron manages 5
    assert design_strength(32, 8, up_to=100) == 3
    assert design_strength(2, 8, up_to=100) == 0


def test_what_a_batch_resolves():
    """Measured gaps of the bisection from T13: 0.9, 0.7, 0.1 % against 6, 18, 6, 8 %."""
    for setting in (Setting(0.5, 8, 200), Setting(0.5, 8, 64), Setting(0.2, 3, 64)):
        assert uniform_is_resolved(setting)
    for setting in (Setting(0.5, 8, 32), Setting(0.5, 8, 20), Setting(0.2, 8, 200), Setting(0.1, 3, 64)):
        assert not uniform_is_resolved(setting)
    assert not uniform_is_resolved(Setting(0.2, 8, 32))  # not even a number
    for n, gradient, resolved in ((256, "ambient", True), (64, "ambient", False), (64, "tangent", True)):
        assert alignment_is_resolved(Setting(0.5, 8, n, loss="full", gradient=gradient)) == resolved


def test_the_unresolved_share_falls_with_n_and_counts_points():
    shares = [unresolved_share(Setting(0.5, 8, n), degree=1) for n in (4, 16, 32, 64, 128, 400)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > RESOLVED > shares[-1] >= 0
    full, half = Setting(0.5, 8, 64, loss="full"), Setting(0.5, 8, 32)
    assert unresolved_share(full, degree=1) == unresolved_share(half, degree=1)


def test_wrong_input():
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        unresolved_share(Setting((0.1, 0.5), 8, 32), degree=1)
    with pytest.raises(ValueError, match="^degree must be a whole number >= 0, got -1"):
        unresolved_share(Setting(0.5, 8, 32), degree=-1)


def test_derivation_closes_and_equals_the_code():
    proof = finite_batch.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    n, M, A, kappa = sp.symbols("n M_0 A kappa", positive=True)
    formulas = {name: sp.lambdify((n, M, A, kappa), formula) for name, formula in proof.formulas.items()}
    for d, tau, keys in product((2, 3, 9), (0.4, 1.0), ("symmetric", "detached")):
        setting, degree = Setting(tau, d, 60, keys=keys), np.arange(1, 5)
        mean = np.exp(1 / tau) / float(kernel_harmonics(1 / tau, d))
        ratios = bessel_ratios(1 / tau, d, degrees=4)[1:]
        spectrum = harmonic_spectrum(setting, degrees=4)
        expected = degree * (degree + d - 2) * formulas[keys](60, mean, ratios, 1 / tau)
        np.testing.assert_allclose(spectrum.e, expected, rtol=1e-12)
        assert spectrum.mean_length == pytest.approx(formulas["mean length"](60, mean, ratios[0], 1 / tau), rel=1e-12)
        assert self_exclusion(setting) == pytest.approx(formulas["S"](60, mean, ratios, 1 / tau), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(finite_batch, "_closed_forms") == {
        "anchors", "e_l, symmetric keys", "e_l, detached keys", "mean length", "limit", "limit, mean length",
        "stretch, merged",
    }  # fmt: skip
