import numpy as np
import pytest
import sympy as sp
import torch

from clopsim.bounds import Setting, gradients
from clopsim.sphere.gradient import gradient


@pytest.fixture(scope="module")
def proof():
    return gradients.derive()


def test_derivation_closes(proof):
    assert proof.open_zeros() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent, proof):
    broken = broken_by_five_percent(gradients, "_closed_form", "_prototype_gradients")
    assert broken == set(proof.zeros) - {"normalisation projects"}


@pytest.mark.parametrize("loss, n", [("merged", 3), ("full", 4)])
@pytest.mark.parametrize("keys", ["symmetric", "detached"])
def test_formula_equals_the_simulator(proof, loss, n, keys):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, 2))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    w = rng.standard_normal((n, 2))
    symbols = [sp.Symbol(f"{name}{i + 1}_{k + 1}", real=True) for name in "zw" for i in range(n) for k in range(2)]
    formula = sp.lambdify([*symbols, sp.Symbol("tau", positive=True)], proof.formulas[f"{loss}, {keys} keys"])
    for tau in (0.2, 1.5):
        g = gradient(torch.from_numpy(z), tau, Setting(tau, 2, n, loss=loss, keys=keys)).numpy()
        assert formula(*z.ravel(), *w.ravel(), tau) == pytest.approx((w * g).sum(), rel=1e-12)


@pytest.mark.parametrize("name", ["cosine", "euclidean", "manhattan"])
def test_prototype_term_equals_autograd(proof, name):
    torch.manual_seed(0)
    u, c, v = torch.randn(3, 3, dtype=torch.float64)
    u.requires_grad_()
    value = {"cosine": lambda: 1 - u @ c, "euclidean": lambda: (u - c).norm(), "manhattan": lambda: (u - c).abs().sum()}
    (g,) = torch.autograd.grad(value[name](), u)
    symbols = [sp.Symbol(f"{letter}{k}", real=True) for letter in "ucv" for k in (1, 2, 3)]
    formula = sp.lambdify(symbols, proof.formulas[f"prototype term, {name}"])
    assert formula(*u.tolist(), *c.tolist(), *v.tolist()) == pytest.approx(float(g @ v), rel=1e-12)
