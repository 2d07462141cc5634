import pytest
import sympy as sp

from clopsim.bounds import Setting, apart_curvature, curvature, together_curvature


def test_derivation_closes_and_equals_the_code():
    proof = curvature.derive()
    assert proof.open_zeros() == {}
    for name, function in (("together_curvature", together_curvature), ("apart_curvature", apart_curvature)):
        formula = sp.lambdify(sp.symbols("n tau", positive=True), proof.formulas[name])
        for n, tau in ((4, 0.1), (32, 0.5), (256, 2.0)):
            assert function(Setting(tau, 8, n, loss="full")) == pytest.approx(formula(n, tau), rel=1e-12)
            mean = function(Setting(tau, 8, n, loss="full", reduction="mean"))
            assert mean == pytest.approx(formula(n, tau) / n, rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(curvature, "_closed_forms") == {"merged", "together", "apart"}


def test_values_measured_before_the_project():
    """NT-Xent, n = 8, tau = 0.5, mean reduction: the Hessian's extreme eigenvalues of the losses' survey."""
    setting = Setting(0.5, 6, 8, loss="full", reduction="mean")
    assert together_curvature(setting) == pytest.approx(-0.571, abs=5e-4)
    assert apart_curvature(setting) == pytest.approx(0.429, abs=5e-4)


def test_wrong_input():
    with pytest.raises(ValueError, match="^samples must be >= 4 for the full loss, got 2"):
        together_curvature(Setting(0.5, 8, 2, loss="full"))
    with pytest.raises(ValueError, match="^loss must be full, got 'merged'"):
        apart_curvature(Setting(0.5, 8, 8))
