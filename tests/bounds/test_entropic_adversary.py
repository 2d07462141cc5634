import math

import numpy as np
import pytest

from clopsim.bounds import (
    Setting,
    adversarial_curvature,
    adversarial_rate,
    apart_curvature,
    collapse_rate,
    entropic_adversary,
    entropic_deviation,
    entropic_mean,
    noise_temperature,
    noisy_collapse,
    noisy_collapse_rate,
    together_curvature,
)


def test_reference_values():
    """The change per sigma^2 at n = 8, d = 4, tau = 1/2; the harmonic shift; the rate in 500 dimensions."""
    still, noisy = (noisy_collapse(samples=8, dimension=4, temperature=0.5, sigma=s, loss="full") for s in (0.0, 0.05))
    assert (noisy.together - still.together) / 0.05**2 == pytest.approx(25.47, abs=0.005)
    assert (noisy.apart - still.apart) / 0.05**2 == pytest.approx(1.47, abs=0.005)
    setting = Setting(0.5, 3, 8, "full")
    apart, together = float(apart_curvature(setting)), float(together_curvature(setting))
    assert adversarial_rate(apart, reach=0.0) == pytest.approx(7 / 24 * 2)
    assert adversarial_curvature(together, reach=0.0) == together
    nu = 0.5
    sigma = math.sqrt(nu / 499)
    warmer = noise_temperature(0.5, dimension=500, sigma=sigma)
    assert warmer == pytest.approx(0.75, rel=1e-14)
    assert warmer * 7 / 6 == pytest.approx(0.875, rel=1e-14)


def test_without_noise_it_is_T2_and_T4():
    for n, tau in ((4, 0.2), (9, 1.0)):
        found = noisy_collapse(samples=n, dimension=5, temperature=tau, sigma=0)
        setting = Setting(tau, 5, n)
        assert found.together == found.apart == pytest.approx(float(together_curvature(setting)))
        assert found.pull == pytest.approx(2 / tau)
        rate = noisy_collapse_rate(samples=n, dimension=5, temperature=tau, sigma=0)
        assert rate == pytest.approx(float(collapse_rate(setting)))
    assert noise_temperature(0.3, dimension=7, sigma=0) == 0.3


def test_noise_raises_the_rate_in_many_dimensions_and_lowers_it_in_few_at_low_temperature():
    def rate(d, tau, sigma):
        return noisy_collapse_rate(samples=8, dimension=d, temperature=tau, sigma=sigma)

    assert rate(30, 0.5, 0.05) > rate(30, 0.5, 0.0)
    assert rate(2, 0.5, 0.05) < rate(2, 0.5, 0.0)
    tau = 1.5 * 8 / 7 / 2  # (d - 1) tau = (3/2) n/(n - 1), d = 3
    assert rate(3, tau, 0.05) == pytest.approx(rate(3, tau, 0.0), rel=1e-12)


@pytest.mark.parametrize("curvature", (3.0, -3.0, 0.0, 9.0))
def test_more_steps_come_closer_to_the_best_move(curvature):
    best = adversarial_curvature(curvature, reach=0.1)
    gaps = [abs(adversarial_curvature(curvature, reach=0.1, steps=k) - best) for k in (1, 2, 5, 400)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-12
    a = curvature * 0.1
    assert adversarial_curvature(curvature, reach=0.1, steps=1) == pytest.approx(curvature * (1 + a + a**2))


def test_where_the_adversary_runs_away():
    assert adversarial_curvature(10.0, reach=0.1) is None
    assert adversarial_rate(10.0, reach=0.1) is None
    assert adversarial_curvature(9.999, reach=0.1) > 1e4
    assert adversarial_curvature(10.0, reach=0.1, steps=3) == pytest.approx(70)  # one power for each of 2k + 1
    assert adversarial_rate(-1.0, reach=0.1) is None
    assert adversarial_rate(0.0, reach=0.1) is None
    assert adversarial_curvature(-1e9, reach=0.1) == pytest.approx(-10, rel=1e-6)  # slower than lambda/sigma^2


def test_a_rate_falls_by_twice_the_reach():
    for c in (0.5, 3.0):
        for reach in (0.01, 0.2):
            assert adversarial_rate(c, reach=reach) == pytest.approx(2 / c - 2 * reach, rel=1e-12)


@pytest.mark.parametrize("theta", (0.0, 1e-8, 0.0999, 0.1001, -0.5, 3.0, -40.0, 300.0))
def test_moments_by_quadrature(theta):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    density = weights * np.exp(theta * nodes - abs(theta))
    density /= density.sum()
    mean = (density * nodes).sum()
    assert entropic_mean(theta) == pytest.approx(mean, rel=1e-9, abs=1e-14)
    assert entropic_deviation(theta) == pytest.approx(math.sqrt((density * (nodes - mean) ** 2).sum()), rel=1e-9)


def test_the_law_is_never_a_point():
    assert entropic_deviation(0.0) == pytest.approx(1 / math.sqrt(3))
    for theta in (1e4, -1e300):
        assert entropic_deviation(theta) == pytest.approx(1 / abs(theta))
        assert abs(entropic_mean(theta)) == pytest.approx(1, abs=1.01e-4)


def test_wrong_input():
    good = {"samples": 8, "dimension": 4, "temperature": 0.5, "sigma": 0.1}
    for call in (noisy_collapse, noisy_collapse_rate):
        with pytest.raises(ValueError, match="samples must be a whole number >= 3"):
            call(**good | {"samples": 2})
        with pytest.raises(ValueError, match="dimension must be a whole number >= 2"):
            call(**good | {"dimension": 1})
        with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
            call(**good | {"temperature": 0})
        with pytest.raises(ValueError, match="sigma must be a finite number >= 0, got -1"):
            call(**good | {"sigma": -1})
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        noise_temperature(0, dimension=3, sigma=0.1)
    with pytest.raises(ValueError, match="dimension must be a whole number >= 2"):
        noise_temperature(1.0, dimension=1, sigma=0.1)
    with pytest.raises(ValueError, match="loss must be one of merged, full"):
        noisy_collapse(**good, loss="dcl")
    with pytest.raises(ValueError, match="samples must be even for the full loss, got 9"):
        noisy_collapse(**good | {"samples": 9}, loss="full")
    with pytest.raises(ValueError, match=r"sigma must leave \(d-1\) sigma\^2 well below 1, got 3"):
        noisy_collapse_rate(**good | {"sigma": 3, "temperature": 5.0})
    with pytest.raises(ValueError, match="reach must be a finite number >= 0, got -0.1"):
        adversarial_curvature(1.0, reach=-0.1)
    with pytest.raises(ValueError, match="steps must be a whole number >= 1"):
        adversarial_curvature(1.0, reach=0.1, steps=0)
    with pytest.raises(ValueError, match="curvature must be finite, got nan"):
        adversarial_rate(math.nan, reach=0.1)
    for call in (entropic_mean, entropic_deviation):
        with pytest.raises(ValueError, match="theta must be finite, got inf"):
            call(math.inf)


def test_derivation_closes_and_equals_the_code():
    proof = entropic_adversary.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(entropic_adversary, "_closed_forms") >= {
        "together", "apart", "pull", "temperature", "its value", "k steps, value", "mean", "variance",
    }  # fmt: skip
