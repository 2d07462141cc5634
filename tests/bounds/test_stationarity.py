import numpy as np
import sympy as sp
import torch

from clopsim.bounds import Setting, stationarity
from clopsim.sphere.gradient import gradient


def test_derivation_closes():
    assert stationarity.derive().open_zeros() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(stationarity, "_closed_form")
    assert {f"gradient of embedding {i}, axis {k}" for i in (1, 2, 3) for k in (1, 2, 3)} <= broken
    assert "the gradient is a multiple of z*" in broken


def test_radial_gradient_equals_the_simulator():
    radial = stationarity.derive().formulas["radial gradient"]
    signs, star, tau = np.array([1.0, -1.0, 1.0]), np.array([0.6, 0.8]), 0.3
    z = signs[:, None] * star
    P = np.exp(z @ z.T / tau)
    np.fill_diagonal(P, 0)
    P /= P.sum(axis=1, keepdims=True)
    values = {sp.Symbol(f"Gamma{i + 1}_{j + 1}", real=True): P[i, j] / tau for i in range(3) for j in range(3)}
    values |= {sp.Symbol(f"sigma{i + 1}", real=True): signs[i] for i in range(3)}
    g = gradient(torch.from_numpy(z), tau, Setting(tau, 2, 3))[0].numpy()
    np.testing.assert_allclose(float(radial.subs(values)) * star, g, rtol=1e-12)
