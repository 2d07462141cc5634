import math
from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import (
    Setting,
    antipodal_line,
    antipodal_line_rate,
    ascent_rates,
    enclose_antipodal_line_rate,
    line_multipliers,
)


def full(samples, d=8, tau=0.5, **fields):
    return Setting(tau, d, 2 * samples, loss="full", **fields)


@pytest.mark.parametrize("samples, d, tau, rate", [
    (4, 3, 0.5, 0.79753), (8, 4, 0.5, 0.61045), (16, 8, 0.5, 0.55786), (16, 8, 0.2, 0.21431),
    (16, 8, 1.0, 1.45043), (32, 8, 2.0, 4.69305),
])  # fmt: skip
def test_values_of_the_document(samples, d, tau, rate):
    assert antipodal_line_rate(full(samples, d, tau)) == pytest.approx(rate, abs=6e-6)


@pytest.mark.parametrize("tau", (0.1, 0.5, 2.0))
def test_many_samples(tau):
    assert antipodal_line_rate(full(10**7, tau=tau)) == pytest.approx(tau / math.tanh(1 / tau), rel=1e-5)


def test_keys_and_reduction_scale_the_rate():
    assert antipodal_line_rate(full(6, keys="detached")) == pytest.approx(2 * antipodal_line_rate(full(6)), rel=1e-14)
    assert antipodal_line_rate(full(6, reduction="mean")) == pytest.approx(12 * antipodal_line_rate(full(6)), rel=1e-14)


def test_momentum():
    assert antipodal_line_rate(full(16, momentum=0.1)) == pytest.approx(0.83392, abs=1e-5)
    for tau, samples in product((0.05, 0.5, 5.0), (4, 100, 10**7)):
        assert antipodal_line_rate(full(samples, tau=tau, momentum=1 / 3)) is None
    assert antipodal_line_rate(full(10**7, tau=0.05, momentum=0.333)) > 1
    assert "beta below 1/3" in antipodal_line.why_line_never_attracts(full(16, momentum=0.9))
    with pytest.raises(ValueError, match="^momentum must be 0 here, got 0.1"):
        line_multipliers(0.1, full(16, momentum=0.1))


def test_one_rate_gives_floats_and_several_broadcast():
    several = line_multipliers(np.array([0.3, 0.6]), full(4))
    for name, one in line_multipliers(0.6, full(4))._asdict().items():
        assert isinstance(one, float)
        assert getattr(several, name)[1] == one
    assert line_multipliers(0.3, full(4, tau=(0.5, 1.0))).common.shape == (2,)


def test_never():
    for setting in (Setting(0.5, 8, 32), full(16, gradient="tangent"), full(1), full(2), full(4, tau=50.0)):
        assert antipodal_line_rate(setting) is None
        assert antipodal_line.why_line_never_attracts(setting)
    rates = antipodal_line_rate(full(4, tau=(0.5, 50.0)))
    assert rates.tolist() == [antipodal_line_rate(full(4)), math.inf]
    # N - 2 = N q at this temperature
    edge = 2 / math.log(2)
    assert antipodal_line_rate(full(4, tau=edge * 1.001)) is None
    assert antipodal_line_rate(full(4, tau=edge * 0.999)) > 1000


def jacobian(setting, rate, size=1e-6):
    """Of one ambient step at the line in the tangent plane (one direction across it), by differences of a slow step."""
    n, tau = setting.samples, setting.temperature
    pull = setting.pull / 2 * (n if setting.reduction == "mean" else 1)  # 1 symmetric, 1/2 detached

    def after(angle):
        z = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.repeat([1, -1], n // 2)[:, None]
        g = np.zeros_like(z)
        for i in range(n):
            weights = [math.exp(z[i] @ z[a] / tau) if a != i else 0.0 for a in range(n)]
            for a in range(n):
                g[i] += weights[a] / sum(weights) * z[a] / tau
                if pull == 1:
                    g[a] += weights[a] / sum(weights) * z[i] / tau
            g[i] -= 2 * pull * z[(i + n // 2) % n] / tau
        moved = z - rate * g / (n if setting.reduction == "mean" else 1)
        return moved[:, 1] / moved[:, 0]

    return np.stack([(after(size * e) - after(-size * e)) / (2 * size) for e in np.eye(n)], axis=1)


@pytest.mark.parametrize("keys, reduction", list(product(("symmetric", "detached"), ("sum", "mean"))))
@pytest.mark.parametrize("samples, tau, multiple", [(3, 0.5, 0.5), (4, 0.5, 0.97), (4, 0.5, 1.03), (5, 2.0, 3.0)])
def test_multipliers_are_the_eigenvalues_of_a_step(samples, tau, multiple, keys, reduction):
    setting = full(samples, 2, tau, keys=keys, reduction=reduction)
    rate = multiple * (antipodal_line_rate(setting) or 1.0)
    together, apart, common = line_multipliers(rate, setting)
    expected = sorted([together] * (samples - 1) + [apart] * (samples - 1) + [common, 1.0])
    found = np.sort(np.linalg.eigvals(jacobian(setting, rate)).real)
    np.testing.assert_allclose(found, expected, atol=1e-6 * max(map(abs, expected)))


def test_the_line_attracts_iff_every_multiplier_is_below_one():
    for samples, tau, factor in product((3, 4, 16, 100), (0.1, 0.5, 1.0, 3.0), (0.1, 0.5, 0.99, 1.01, 2.0, 50.0)):
        setting = full(samples, tau=tau)
        rate = antipodal_line_rate(setting)
        sizes = [abs(value) for value in line_multipliers(factor * (rate or tau), setting)]
        assert (max(sizes) < 1) == (rate is not None and factor > 1)


def test_it_is_ascent_on_the_loss():
    """At the line T11's rate of ascent is mu/(-r)."""
    setting = full(5, 2)
    z = np.repeat([1.0, -1.0], 5)[:, None] * np.array([1.0, 0.0])
    rate = 0.9
    common = line_multipliers(rate, setting).common
    q = math.exp(-4)
    rho = 4 * (1 + (4 - 5 * q) / (4 + 5 * q))
    assert ascent_rates(z, rho * z, rate) == pytest.approx(-rate * common)


def test_enclosures_hold_the_code():
    for samples, tau, keys, reduction in product((4, 16), (0.1, 0.5), ("symmetric", "detached"), ("sum", "mean")):
        setting = full(samples, tau=tau, keys=keys, reduction=reduction)
        box, rate = enclose_antipodal_line_rate(setting), antipodal_line_rate(setting)
        assert box.low * (1 - 1e-15) <= rate <= box.high * (1 + 1e-15)
        assert box.high - box.low < 1e-14 * rate
    assert enclose_antipodal_line_rate(full(2)).low == math.inf


def test_wrong_input():
    for wrong in (Setting(0.5, 8, 32), full(16, gradient="tangent")):
        with pytest.raises(ValueError, match="^loss and gradient must be full and ambient, got"):
            line_multipliers(0.1, wrong)
        with pytest.raises(ValueError, match="^loss and gradient must be full and ambient, got"):
            enclose_antipodal_line_rate(wrong)
    with pytest.raises(ArithmeticError, match="^attracting or never is within rounding"):
        enclose_antipodal_line_rate(full(6, tau=4.932606924752863))  # N q = N - 2 lies in its hull


def test_derivation_closes_and_equals_the_code():
    proof = antipodal_line.derive()
    assert proof.open_zeros() == {}
    symbols = sp.symbols("mu N tau pull beta", positive=True)
    formulas = {name: sp.lambdify(symbols, formula) for name, formula in proof.formulas.items()}
    for keys, reduction, samples in product(("symmetric", "detached"), ("sum", "mean"), (4, 16)):
        setting = full(samples, tau=0.3, keys=keys, reduction=reduction)
        at = (0.2, samples, 0.3, setting.pull, 0)
        for name, value in line_multipliers(0.2, setting)._asdict().items():
            assert value == pytest.approx(formulas[name](*at), rel=1e-12)
        assert antipodal_line_rate(setting) == pytest.approx(formulas["antipodal_line_rate"](*at), rel=1e-12)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(antipodal_line, "_closed_forms")
    zeros = antipodal_line.derive().zeros
    assert broken == {
        name for name in zeros if name.startswith(("together,", "apart,", "common,")) and "keys" in name
    } | {"rate", "N -> infinity", "momentum: rate"}
