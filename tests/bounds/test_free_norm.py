import numpy as np
import pytest
import sympy as sp

from bounds import Setting
from bounds.free_norm import decayed_view_cosine, derive, effective_rate, steady_squared_norm


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    symbols = sp.symbols("mu w tau pull", positive=True)
    cosine, norm = (
        sp.lambdify(symbols, proof.formulas[name]) for name in ("decayed_view_cosine", "steady_squared_norm")
    )
    for mu, w, tau in ((0.1, 1.0, 0.5), (3.0, 0.01, 0.07), (1.0, 0.3, 2.0)):
        for keys, reduction in (("symmetric", "sum"), ("detached", "mean")):
            setting = Setting(tau, 8, 64, loss="full", gradient="tangent", keys=keys, reduction=reduction)
            assert decayed_view_cosine(mu, weight_decay=w) == pytest.approx(cosine(mu, w, tau, setting.pull), rel=1e-12)
            assert steady_squared_norm(mu, setting) == pytest.approx(norm(mu, w, tau, setting.pull), rel=1e-12)


@pytest.mark.parametrize("keys", ("symmetric", "detached"))
@pytest.mark.parametrize("reduction", ("sum", "mean"))
def test_effective_rate_is_1_where_the_norm_settles(keys, reduction):
    setting = Setting(0.5, 8, 64, loss="full", gradient="tangent", keys=keys, reduction=reduction)
    steady = steady_squared_norm(3.0, setting)
    assert effective_rate(3.0, steady, setting) == pytest.approx(1, rel=1e-12)
    several = effective_rate(3.0, steady * np.array([0.5, 1.0, 4.0]), setting)
    assert several == pytest.approx([2, 1, 0.25], rel=1e-12)


def test_effective_rate_by_hand():
    heavy = Setting(0.5, 8, 64, "full", "tangent", momentum=0.9)
    assert effective_rate(1.9, 4.0, heavy) == pytest.approx(1.0)  # (1 + beta) times the plain threshold
    assert effective_rate(1.0, 4.0, Setting(0.5, 8, 64, "full", "tangent")) == pytest.approx(1.0)  # 1/4 over tau/2
    assert effective_rate(1.0, 0.0, Setting(0.5, 8, 64, "full", "tangent")) == float("inf")
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        effective_rate(1.0, 1.0, Setting(0.5, 8, 64))
    with pytest.raises(ValueError, match="^squared_norm must be >= 0, got -1.0"):
        effective_rate(1.0, -1.0, Setting(0.5, 8, 64, "full", "tangent"))


def test_wrong_input():
    with pytest.raises(ValueError, match="^weight_decay must keep rate"):
        decayed_view_cosine(10.0, weight_decay=0.1)
    with pytest.raises(ValueError, match="^weight_decay must be a finite number > 0, got 0"):
        decayed_view_cosine(1.0, weight_decay=0.0)
    with pytest.raises(ValueError, match="^rate must be a finite number > 0"):
        decayed_view_cosine(-1.0, weight_decay=0.1)
    with pytest.raises(ValueError, match="^loss and gradient must be full and tangent"):
        steady_squared_norm(1.0, Setting(0.5, 8, 64))
    with pytest.raises(ValueError, match="^momentum must be 0 here, got 0.9; "):
        steady_squared_norm(1.0, Setting(0.5, 8, 64, "full", "tangent", momentum=0.9))
