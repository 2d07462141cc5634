from itertools import product

import numpy as np
import pytest
import sympy as sp

from clopsim.bounds import Setting, harmonic_spectrum, moco, moco_rate, uniform_rate
from clopsim.bounds.moco import derive


def setting(tau=0.5, d=2, reduction="sum"):
    return Setting(tau, d, 256, "full", "tangent", "detached", reduction)


def ripple_energies(tau, d):
    return harmonic_spectrum(setting(tau, d), limit=True).e


@pytest.mark.parametrize(
    "tau, ema, rate",
    [
        (0.5, 0.0, 1.6544), (0.5, 0.3, 1.2706), (0.5, 0.6, 1.1097), (0.5, 0.9, 1.0213), (0.5, 0.99, 1.0020),
        (0.2, 0.0, 0.5859), (0.2, 0.3, 0.4824), (0.2, 0.6, 0.4345), (0.2, 0.9, 0.4068),
    ],
)  # fmt: skip
def test_reference_values(tau, ema, rate):
    assert moco_rate(setting(tau), ema=ema) == pytest.approx(rate, abs=6e-5)


def test_reference_values_of_a_queue():
    assert moco_rate(setting(), ema=0.6, queue=8) == pytest.approx(0.5 * (1 + 1 / 0.6), rel=1e-12)
    assert moco_rate(setting(), ema=0.9, queue=8) == pytest.approx(0.5 * (1 + 1 / 0.9), rel=1e-12)
    for length in (2, 3, 8, 100):
        expected = 2 * length * np.sin(np.pi / (2 * length)) ** 2 / ripple_energies(0.5, 2).max()
        assert moco_rate(setting(), ema=0.0, queue=length) == pytest.approx(expected, rel=1e-10)
    for d in (3, 8, 16):  # the root, pi/8, is an angle that is looked at
        expected = 16 * np.sin(np.pi / 16) ** 2 / ripple_energies(0.5, d).max()
        assert moco_rate(setting(d=d), ema=0.0, queue=8) == pytest.approx(expected, rel=1e-10)


def test_derivation_closes_and_equals_the_code():
    proof = derive()
    assert proof.open_zeros() == {}
    m, kappa, E = sp.symbols("m kappa E", positive=True)
    for tau, ema, reduction in product((0.5, 0.1), (0.0, 0.5, 0.999), ("sum", "mean")):
        case = setting(tau, 8, reduction)
        weight = 1 / 256 if reduction == "mean" else 1
        numbers = {m: ema, kappa: case.pull / tau, E: weight * ripple_energies(tau, 8).max()}
        assert moco_rate(case, ema=ema) == pytest.approx(float(proof.formulas["moco_rate"].subs(numbers)), rel=1e-12)
    numbers = {E: ripple_energies(0.5, 2).max()}
    found = moco_rate(setting(), ema=0.0, queue=4)
    assert found == pytest.approx(float(proof.formulas["old keys, L = 4"].subs(numbers)), rel=1e-10)


@pytest.mark.parametrize("d, tau", [(2, 0.5), (3, 0.2), (8, 0.05), (128, 0.1)])
def test_limits(d, tau):
    """m = 0 is T5 with detached keys up to finite batches, m -> 1 keys that stand still."""
    plain = Setting(tau, d, 10**9, gradient="tangent", keys="detached")
    assert moco_rate(setting(tau, d), ema=0.0) == pytest.approx(float(uniform_rate(plain, limit=True).rate), rel=1e-6)
    assert moco_rate(setting(tau, d), ema=1 - 1e-9) == pytest.approx(2 * tau, rel=1e-8)


@pytest.mark.parametrize(
    "ema, length", [(0.0, 2), (0.0, 8), (0.3, 2), (0.6, 3), (0.9, 3), (0.9, 8), (0.99, 5), (0.2, 13)]
)
def test_a_queue_is_stable_up_to_its_rate(ema, length):
    """Largest eigenvalue of the whole linear map, all degrees: queries, and keys of every age."""
    tau = 0.5

    def radius(rate):
        found = []
        for E in (0.0, *ripple_energies(tau, 2)):
            step = np.zeros((length + 1, length + 1))
            step[0, 0] = 1 - rate / tau
            step[0, 1:] = -rate * E / length
            step[0, 1] += rate / tau
            step[1] = (1 - ema) * step[0]
            step[1, 1] += ema
            step[2:, 1:-1] = np.eye(length - 1)
            size = np.abs(np.linalg.eigvals(step))
            found.append(np.sort(size)[-2] if E == 0 else size.max())  # a common shift stays: 1
        return max(found)

    rate = moco_rate(setting(tau), ema=ema, queue=length)
    assert radius(0.999 * rate) < 1 + 1e-12  # high degrees hardly move
    assert radius(1.001 * rate) > 1 + 1e-6


def test_wrong_input():
    with pytest.raises(
        ValueError, match="^loss, gradient and keys must be full, tangent and detached for MoCo, got full"
    ):
        moco_rate(Setting(0.5, 8, 64, "full", "tangent"), ema=0.9)
    with pytest.raises(ValueError, match=r"^ema must be in \[0, 1\), got 1.0; "):
        moco_rate(setting(), ema=1.0)
    with pytest.raises(ValueError, match="^ema must be a finite number >= 0, got -0.1"):
        moco_rate(setting(), ema=-0.1)
    with pytest.raises(ValueError, match="^queue must be a whole number >= 1, got 0"):
        moco_rate(setting(), ema=0.9, queue=0)
    with pytest.raises(ValueError, match="^temperature must be one number here"):
        moco_rate(setting((0.1, 0.5)), ema=0.9)
    with pytest.raises(ValueError, match="^momentum must be 0 here"):
        moco_rate(Setting(0.5, 2, 64, "full", "tangent", "detached", momentum=0.9), ema=0.9)


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(moco, "_closed_forms")
    assert {"at -1", "query from key alone", "m = 0 is T5 with detached keys", "m = 1"} <= broken
    assert {f"old keys, L = {length}" for length in (1, 2, 3, 4)} <= broken
