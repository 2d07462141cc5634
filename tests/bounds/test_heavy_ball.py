from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    alignment_uniform_rate,
    bessel_ratios,
    certify_collapse,
    collapse_rate,
    critical_rates,
    enclose_exact_rate,
    enclose_uniform_rate,
    exact_rate,
    flip_rate,
    harmonic_spectrum,
    heavy_ball,
    heavy_ball_collapse_rate,
    mean_after_step,
    nesterov_rate,
    paper_range,
    rescue_angle,
    ripple_multiplier,
    spin_rate,
    spread_multiplier,
    swap_cosine,
    uniform_rate,
    view_difference_multiplier,
    view_multiplier,
)
from clopsim.bounds.heavy_ball import derive, heavy_ball_rate


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


def test_the_whole_of_t14_equals_its_derivation():
    formulas = derive().formulas
    names = sp.symbols("h beta rho n tau pull A", positive=True)
    h, beta, _, n, tau, pull, A = names
    rho = sp.Symbol("rho", real=True)

    def value(name, **numbers):
        places = {h: "h", beta: "beta", rho: "rho", n: "n", tau: "tau", pull: "pull", A: "A"}
        return float(formulas[name].subs({symbol: numbers[key] for symbol, key in places.items() if key in numbers}))

    for b in (0.0, 0.3, 0.9):
        assert nesterov_rate(3.0, momentum=b) == pytest.approx(value("nesterov_rate", h=3.0, beta=b), rel=1e-12)
        for radial in (0.0, 0.7, -0.2):
            expected = value("flip_rate", h=20.0, beta=b, rho=radial)
            assert flip_rate(20.0, radial, momentum=b) == pytest.approx(expected, rel=1e-12)
        if b:
            assert spin_rate(-0.2, momentum=b) == pytest.approx(value("spin_rate", beta=b, rho=-0.2), rel=1e-12)
        for keys, reduction in product(("symmetric", "detached"), ("sum", "mean")):
            setting = Setting(0.5, 8, 64, keys=keys, reduction=reduction, momentum=b)
            expected = value("heavy_ball_collapse_rate", beta=b, n=64, tau=0.5, pull=setting.pull)
            assert collapse_rate(setting) == pytest.approx(expected, rel=1e-12)
            assert heavy_ball_collapse_rate(setting) == pytest.approx(expected, rel=1e-12)
            views = Setting(0.02, 3, 64, "full", keys=keys, reduction=reduction, momentum=b)
            mean = bessel_ratios(50.0, 3, degrees=1)[1]
            expected = value("alignment_uniform_rate, ambient", beta=b, A=mean, tau=0.02, pull=views.pull)
            assert alignment_uniform_rate(views, limit=True) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "n, tau, beta, rate",
    [
        (8, 0.5, 0.3, 0.88472), (8, 0.5, 0.6, 1.86667), (32, 0.5, 0.5, 0.83036), (32, 0.5, 0.9, 2.45417),
        (64, 0.2, 0.9, 0.54409),
    ],
)  # fmt: skip
def test_reference_values_of_collapse(n, tau, beta, rate):
    assert collapse_rate(Setting(tau, 8, n, momentum=beta)) == pytest.approx(rate, abs=6e-6)


def test_collapse_never_attracts_few_embeddings():
    for n, beta, attracts in ((20, 0.9, False), (21, 0.9, True), (4, 0.5, False), (5, 0.5, True), (10, 0.8, False)):
        setting = Setting(0.5, 8, n, momentum=beta)
        assert (collapse_rate(setting) is not None) is attracts
        assert ("momentum" in critical_rates(setting).reasons.get("collapse_rate", "")) is not attracts
    with pytest.raises(ValueError, match=r"^momentum must be below \(n - 2\)/n = 0.9 for collapse"):
        exact_rate(Setting(0.5, 8, 20, momentum=0.9))
    with pytest.raises(ValueError, match="^loss and gradient must be merged and ambient"):
        heavy_ball_collapse_rate(Setting(0.5, 8, 32, "full"))


@pytest.mark.parametrize("keys, reduction", list(product(("symmetric", "detached"), ("sum", "mean"))))
def test_tangent_rates_are_one_plus_beta_times_the_plain_ones(keys, reduction):
    for loss, gradient in (("full", "tangent"), ("merged", "tangent")):
        plain = Setting(0.5, 8, 64, loss, gradient, keys, reduction)
        heavy = Setting(0.5, 8, 64, loss, gradient, keys, reduction, momentum=0.9)
        assert uniform_rate(heavy).rate == pytest.approx(1.9 * uniform_rate(plain).rate, rel=1e-13)
        assert uniform_rate(heavy).degree == uniform_rate(plain).degree
        assert exact_rate(heavy) == pytest.approx(1.9 * exact_rate(plain), rel=1e-13)
        if loss == "full":
            assert alignment_uniform_rate(heavy) == pytest.approx(1.9 * alignment_uniform_rate(plain), rel=1e-13)


def test_reference_values_of_the_uniform_circle():
    """The flip rates and the spin of n = 64 (A_1 there lies below its limit)."""
    for beta, spin, flip in ((0.3, 0.1797, 0.2618), (0.5, 0.0917, 0.2299), (0.8, 0.0147, 0.1224)):
        found = uniform_rate(Setting(0.5, 2, 4096, momentum=beta))
        assert found.degree == 0
        assert found.rate == pytest.approx(spin, rel=0.03)
        e = harmonic_spectrum(Setting(0.5, 2, 4096)).e.max()
        assert flip_rate(e, -((1 - beta) ** 2) / spin, momentum=beta) == pytest.approx(flip, rel=0.01)
    assert uniform_rate(Setting(0.5, 2, 4096, momentum=0.05)).degree == 2  # flips first


def test_what_momentum_prevents():
    assert alignment_uniform_rate(Setting(0.5, 8, 64, "full", momentum=0.9)) == np.inf
    rates = critical_rates(Setting(0.5, 8, 64, "full", momentum=0.9))
    assert rates.alignment_uniform_rate is None
    assert rates.reasons["alignment_uniform_rate"].endswith(
        "the views stay together at every rate: momentum is at least A_1"
    )
    several = Setting((0.5, 0.01), 8, 64, "full", momentum=0.5)
    assert np.isinf(alignment_uniform_rate(several, limit=True)).tolist() == [True, False]
    assert spin_rate(-0.2, momentum=0.0) == spin_rate(0.2, momentum=0.5) == np.inf
    assert flip_rate(1.0, 2.0, momentum=0.5) == np.inf


@pytest.mark.parametrize("beta", (0.0, 0.5, 0.9))
@pytest.mark.parametrize("factor", (0.99, 1.01))
def test_nesterov_on_a_quadratic(beta, factor):
    rate, x, v = factor * nesterov_rate(3.0, momentum=beta), 1.0, 0.0
    for _ in range(4000):
        v = beta * v + 3.0 * x
        x -= rate * (3.0 * x + beta * v)
        if abs(x) > 1e9:
            break
    assert (abs(x) > 1e9) == (factor > 1)
    assert (abs(x) < 1e-6) == (factor < 1)


def test_formulas_of_single_steps_refuse_momentum():
    full, merged = (Setting(0.5, 3, 8, loss, momentum=0.9) for loss in ("full", "merged"))
    tangent = Setting(0.5, 3, 8, "full", "tangent", momentum=0.9)
    for call in (
        lambda: spread_multiplier(0.1, merged), lambda: view_multiplier(0.1, full),
        lambda: view_difference_multiplier(0.1, full), lambda: swap_cosine(0.1, tangent),
        lambda: ripple_multiplier(0.1, merged, degrees=2), lambda: paper_range(merged),
        lambda: mean_after_step(np.eye(8, 3), 0.1, merged), lambda: certify_collapse(0.1, merged),
        lambda: enclose_exact_rate(merged), lambda: enclose_uniform_rate(merged),
        lambda: rescue_angle(10.0, 1.0, 1.0, merged),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="^momentum must be 0 here, got 0.9"):
            call()


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(heavy_ball, "_closed_forms")
    assert {"flip", "spin", "nesterov", "views, ambient", "collapse", "its other root is -beta"} <= broken
