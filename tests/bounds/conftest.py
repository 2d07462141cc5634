"""Shared checks of derivations."""

import random

import pytest
import sympy as sp


@pytest.fixture
def broken_by_five_percent(monkeypatch):
    """Zeros of a module's derivation that no longer vanish when its claimed closed forms are 5 % too large.

    Evaluated at random symbols where possible: far faster than simplifying a wrong identity.
    """

    def scaled(value):
        if isinstance(value, dict):
            return {name: scaled(one) for name, one in value.items()}
        return value * sp.Rational(21, 20)

    def vanishes(expression):
        rng = random.Random(0)
        numbers = {s: sp.Float(rng.uniform(1.2, 1.9)) for s in sorted(expression.free_symbols, key=str)}
        value = expression.subs(numbers).evalf()
        return abs(value) < 1e-9 if value.is_number else sp.expand(expression) == 0

    def broken(module, *names):
        assert all(vanishes(zero) for zero in module.derive().zeros.values())
        for name in names:
            right = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *a, right=right, **k: scaled(right(*a, **k)))
        return {name for name, zero in module.derive().zeros.items() if not vanishes(zero)}

    return broken


@pytest.fixture
def step_factors():
    """Eigenvalues of one step at a stationary state, in the directions along the sphere, by torch.func; ascending.

    The step is z - rate g with the gradient of loss(z) as written (ambient), or its tangent part, then renormalised.
    """
    import torch

    def factors(loss, z, rate, gradient):
        n, d = z.shape
        frames = torch.linalg.svd(z[:, None, :])[2][:, 1:]  # (n, d - 1, d)

        def stepped(move):
            at = z + (move.reshape(n, d - 1, 1) * frames).sum(dim=1)
            g = torch.func.grad(loss)(at)
            if gradient == "tangent":
                unit = at / at.norm(dim=-1, keepdim=True)
                g = g - (g * unit).sum(dim=-1, keepdim=True) * unit
            after = at - rate * g
            after = after / (after * z).sum(dim=-1, keepdim=True)  # relative to the state, turned over or not
            return (after[:, None] * frames).sum(dim=-1).flatten()

        jacobian = torch.func.jacrev(stepped)(torch.zeros(n * (d - 1), dtype=z.dtype))
        return torch.linalg.eigvals(jacobian).real.sort()[0].tolist()

    return factors
