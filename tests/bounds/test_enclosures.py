import math
from itertools import pairwise, product

import mpmath as mp
import numpy as np
import pytest
from flint import arb

from clopsim.bounds import (
    Setting,
    certify_collapse,
    enclose_bessel_ratio,
    enclose_exact_rate,
    enclose_growth,
    enclose_root,
    enclose_uniform_rate,
    exact_rate,
    harmonic_spectrum,
    uniform_rate,
)

FORMS = list(product(("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")))


@pytest.mark.parametrize("n, tau", [(8, "0.1"), (32, "0.5"), (256, "2.0"), (3, "0.07")])
def test_exact_rate_lies_inside_for_the_float_and_the_decimal(n, tau):
    box = enclose_exact_rate(Setting(float(tau), 8, n))
    with mp.workdps(40):
        for value in (mp.mpf(tau), mp.mpf(float(tau))):
            assert box.low <= value * (n - 1) / (n - 2) <= box.high
    assert box.high - box.low < 1e-15 * box.high
    assert exact_rate(Setting(float(tau), 8, n)) * 1.05 not in box


def test_certified_collapse():
    for keys, reduction in product(("symmetric", "detached"), ("sum", "mean")):
        setting = Setting(0.1, 8, 32, keys=keys, reduction=reduction)
        box = enclose_exact_rate(setting)
        assert certify_collapse(box.high * (1 + 1e-14), setting) == "attracts"
        assert certify_collapse(box.low * (1 - 1e-14), setting) == "repels"
        assert certify_collapse(1e6 * box.high, setting) == "attracts"
    exact = Setting(1.0, 8, 3)  # mu_c = 2 exactly: |m| = 1
    assert certify_collapse(2.0, exact) == "undecided"
    for other in (Setting(0.5, 8, 32, loss="full"), Setting(0.5, 8, 32, gradient="tangent"), Setting(0.5, 8, 2)):
        assert certify_collapse(100.0, other) == "repels"
    assert certify_collapse(0.25, Setting(0.5, 8, 32)) == "repels"  # the pole of the multiplier


@pytest.mark.parametrize("d, tau", [(8, 0.5), (3, 0.2), (2, 1e-4), (4096, 0.01), (3, 100.0)])
@pytest.mark.parametrize("loss, gradient, keys, reduction", FORMS)
def test_uniform_rate_and_degree_agree_with_the_float(d, tau, loss, gradient, keys, reduction):
    setting = Setting(tau, d, 100, loss, gradient, keys, reduction)
    box, degree = enclose_uniform_rate(setting)
    rate = uniform_rate(setting, limit=True)
    assert degree == rate.degree
    if degree:
        assert box.high - box.low < 1e-10 * box.high
        assert box.low * (1 - 1e-12) <= rate.rate <= box.high * (1 + 1e-12)
        assert int(np.argmax(harmonic_spectrum(setting, degrees=1000, limit=True).e)) + 1 == degree  # the tail
    else:
        assert math.isinf(box.low)


@pytest.mark.parametrize("d, degree, kappa", [(2, 1, 2.0), (3, 2, 5.0), (8, 3, 0.1), (129, 20, 10.0)])
def test_bessel_ratio_by_mpmath(d, degree, kappa):
    box = enclose_bessel_ratio(kappa, dimension=d, degree=degree)
    with mp.workdps(50):
        order = mp.mpf(d) / 2 - 1
        for value in (mp.mpf(kappa), mp.mpf(repr(kappa))):
            assert box.low <= mp.besseli(order + degree, value) / mp.besseli(order, value) <= box.high
    assert box.high - box.low < 1e-12 * box.high


@pytest.mark.parametrize("keys", ("symmetric", "detached"))
@pytest.mark.parametrize("d, tau", [(2, 0.5), (3, 0.1), (8, 0.02), (100, 0.3)])
def test_growth_of_the_spectrum_is_bounded_by_a_falling_number(d, tau, keys):
    setting = Setting(tau, d, 100, keys=keys)
    e = harmonic_spectrum(setting, degrees=13, limit=True).e
    boxes = [enclose_growth(setting, degree=degree) for degree in range(1, 13)]
    for degree, box in enumerate(boxes, start=1):
        with mp.workdps(40):
            nu, kappa = mp.mpf(d) / 2 - 1, 1 / mp.mpf(tau)
            A, r = (
                mp.besseli(nu + degree + above, kappa) / mp.besseli(nu + under, kappa)
                for above, under in ((0, 0), (1, degree))
            )
            bound = (1 + mp.mpf(1) / degree) * (1 + mp.mpf(1) / (degree + d - 2)) * r
            bound *= 2 / (2 - A) if keys == "symmetric" else 1
        assert box.low <= bound <= box.high
        assert box.high - box.low < 1e-12
        assert e[degree] / e[degree - 1] <= box.high * (1 + 1e-12)
    assert all(later.high < sooner.low for sooner, later in pairwise(boxes))


def test_root_is_bracketed_and_the_bracket_is_checked():
    box = enclose_root(lambda x: x * x - 2, 1.0, 2.0)
    assert math.nextafter(box.low, 2.0) == box.high
    assert box.low**2 < 2 < box.high**2
    with pytest.raises(ValueError, match="^low and high must have certified opposite signs, got 2.0 and 3.0"):
        enclose_root(lambda x: x * x - 2, 2.0, 3.0)
    assert enclose_root(lambda x: x, -1.0, 1.0).low <= 0
    blurred = enclose_root(lambda x: x + arb(0, 0.1), -0.7, 1.0)  # between -0.1 and 0.1 no sign is certain
    assert blurred.low < -0.1 < 0.1 < blurred.high
    with pytest.raises(ValueError, match="^low and high must have certified opposite signs, got -1.0 and 0.05"):
        enclose_root(lambda x: x + arb(0, 0.1), -1.0, 0.05)


def test_wrong_input():
    with pytest.raises(ValueError, match="^samples must be >= 3, got 2"):
        enclose_exact_rate(Setting(0.5, 8, 2))
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        enclose_uniform_rate(Setting((0.5, 1.0), 8, 32))
    with pytest.raises(ValueError, match="^rate must be a finite number > 0, got 0"):
        certify_collapse(0, Setting(0.5, 8, 32))
    with pytest.raises(ValueError, match="^degree must be a whole number >= 1, got 0"):
        enclose_bessel_ratio(1.0, dimension=3, degree=0)
    with pytest.raises(ValueError, match="^degree must be a whole number >= 1, got 0"):
        enclose_growth(Setting(0.5, 8, 32), degree=0)
