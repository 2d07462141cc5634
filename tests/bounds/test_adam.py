"""T14 for Adam: the formula, its edge on a quadratic, wrong input."""

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds.adam import adam_rate, derive


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}
    h, beta = sp.symbols("h beta", positive=True)
    formula = sp.lambdify((h, beta, sp.Symbol("w", nonnegative=True)), proof.formulas["adam_rate"])
    for each in ((0.3, 0.0, 0.0), (5.0, 0.9, 0.1), (-0.1, 0.5, 0.3)):
        assert adam_rate(each[0], momentum=each[1], weight_decay=each[2]) == pytest.approx(formula(*each), rel=1e-12)


def test_38_over_h():
    assert adam_rate(2.0) == pytest.approx(19.0)
    assert adam_rate(2.0, momentum=0.0) == pytest.approx(1.0)


@pytest.mark.parametrize("beta", (0.0, 0.5, 0.9))
@pytest.mark.parametrize("decay", (0.0, 0.4))
@pytest.mark.parametrize("factor", (0.90, 0.99, 1.01, 1.10))
def test_the_step_stays_below_and_leaves_above(beta, decay, factor):
    h = np.array([0.2, 3.0])  # the larger decides
    rate = factor * adam_rate(3.0, momentum=beta, weight_decay=decay)
    x, m = np.ones(2), np.zeros(2)
    for _ in range(6000):
        m = beta * m + (1 - beta) * h * x
        x = (1 - rate * decay) * x - rate * m
        if np.abs(x).max() > 1e9:
            break
    assert (np.abs(x).max() < 1e-6) == (factor < 1)
    assert (np.abs(x).max() > 1e9) == (factor > 1)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"^curvature \+ weight_decay must be a finite number > 0, got -0.5; along a"):
        adam_rate(-1.0, weight_decay=0.5)
    with pytest.raises(ValueError, match=r"^momentum must be in \[0, 1\), got 1.0"):
        adam_rate(1.0, momentum=1.0)
    with pytest.raises(ValueError, match="^weight_decay must be a finite number >= 0, got -1.0"):
        adam_rate(1.0, weight_decay=-1.0)
