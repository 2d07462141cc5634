import numpy as np
import pytest
import sympy as sp

from bounds.heavy_ball import derive, heavy_ball_rate


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    rate = sp.lambdify(sp.symbols("h beta", positive=True), proof.formulas["heavy_ball_rate"])
    for h, beta in ((0.3, 0.0), (5.0, 0.9), (200.0, 0.5)):
        assert heavy_ball_rate(h, momentum=beta) == pytest.approx(rate(h, beta), rel=1e-12)


@pytest.mark.parametrize("beta", (0.0, 0.5, 0.9, 0.99))
@pytest.mark.parametrize("factor", (0.90, 0.99, 1.01, 1.10))
def test_descent_on_a_quadratic_stays_below_and_leaves_above(beta, factor):
    """Two curvatures, the larger decides; update rule as in torch.optim.SGD."""
    h = np.array([0.5, 3.0])
    rate = factor * heavy_ball_rate(3.0, momentum=beta)
    x, v = np.ones(2), np.zeros(2)
    for _ in range(6000):
        v = beta * v + h * x
        x = x - rate * v
        if np.abs(x).max() > 1e9:
            break
    assert (np.abs(x).max() < 1e-6) == (factor < 1)
    assert (np.abs(x).max() > 1e9) == (factor > 1)


def test_by_hand_and_wrong_input():
    assert heavy_ball_rate(4.0) == 0.5
    with pytest.raises(ValueError, match="^curvature must be a finite number > 0, got -1.0"):
        heavy_ball_rate(-1.0)
    with pytest.raises(ValueError, match=r"^momentum must be in \[0, 1\), got 1.0"):
        heavy_ball_rate(1.0, momentum=1.0)
