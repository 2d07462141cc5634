import math
from importlib import import_module
from itertools import product

import numpy as np
import pytest

from clopsim.bounds import (
    Setting,
    antipodal_line_rate,
    collapse_spectrum,
    line_multipliers,
    line_rate,
    line_slopes,
    line_state,
    multiplier,
)
from clopsim.bounds.line_slopes import LineSlopes, cases


@pytest.mark.parametrize("name, numbers, classes, per_class, tau, rate", [
    ("nt_xent", {}, 6, 2, 0.5, 0.6567807682366836), ("dcl", {}, 6, 2, 0.5, 0.6544266372561884),
    ("nt_xent", {}, 8, 2, 0.2, 0.23335956599181057), ("dcl", {}, 8, 2, 0.2, 0.2333580525692063),
    ("nt_xent", {}, 8, 2, 1.0, 1.64372), ("dcl", {}, 8, 2, 1.0, 1.61620),
    ("nt_xent", {}, 40, 2, 0.1, 0.10263157938700507), ("dcl", {}, 40, 2, 0.1, 0.10263157938158099),
    ("supcon", {}, 3, 4, 0.5, 5.284162579543531), ("supcon", {}, 4, 4, 0.2, 1.0505314204427292),
    ("supcon", {}, 10, 8, 0.1, 0.8531250303778638), ("fedrcl", {"penalty": 1.0}, 3, 4, 0.5, 0.56889),
    ("fedrcl", {"penalty": 1.0}, 4, 4, 0.2, 0.18808),
])  # fmt: skip
def test_values_of_the_document(name, numbers, classes, per_class, tau, rate):
    found = line_rate(name, classes=classes, per_class=per_class, temperature=tau, **numbers)
    assert found == pytest.approx(rate, rel=3e-5 if len(str(rate)) < 9 else 1e-12)


def test_never():
    for K, m, tau in ((3, 4, 0.5), (4, 4, 0.2), (2, 8, 1.0)):
        shape = {"classes": K, "per_class": m, "temperature": tau}
        assert line_rate("merged", **shape) is None
        assert line_rate("supcon", **shape, form="in") is None  # where "out" may
    assert line_rate("supcon", classes=2, per_class=64, temperature=0.5) is None  # large classes are not torn


def test_inside_the_logarithm_samples_keep_off_the_line():
    """SupCon's two forms agree at class-collapsed states (T29) and differ on the line."""
    shape = {"classes": 3, "per_class": 4}
    out, inside = (
        line_state(line_slopes("supcon", **shape, temperature=0.5, form=form), **shape) for form in ("out", "in")
    )
    assert max(out.curvatures) < 0 < max(inside.curvatures)


def test_nt_xent_needs_no_classes():
    for K, m in ((3, 4), (2, 6), (6, 2)):
        rate = line_rate("nt_xent", classes=K, per_class=m, temperature=0.5)
        assert rate == pytest.approx(0.6567807682366836, rel=1e-12)


def test_t12_is_a_case():
    for N, tau in product((4, 8, 32), (0.1, 0.5, 1.0)):
        setting = Setting(tau, 5, 2 * N, loss="full")
        assert line_rate("nt_xent", classes=N, per_class=2, temperature=tau) == (
            pytest.approx(antipodal_line_rate(setting), rel=1e-12)
        )
        state = line_state(line_slopes("nt_xent", classes=N, per_class=2, temperature=tau), classes=N, per_class=2)
        curvatures = {mode.name: mode.curvature for mode in state.modes}
        for rate in (0.3 * tau, 2.0):
            found = line_multipliers(rate, setting)
            for name, mode in (("classes, ends", "together"), ("classes", "apart"), ("contrast", "common")):
                expected = multiplier(rate, curvature=curvatures[name], pull=state.pull, gradient="ambient")
                assert getattr(found, mode) == pytest.approx(expected, rel=1e-11)
    assert line_rate("nt_xent", classes=2, per_class=2, temperature=0.5) is None
    assert antipodal_line_rate(Setting(0.5, 5, 4, loss="full")) is None


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("classes, per_class", [(2, 2), (3, 4), (2, 6), (1, 4)])
def test_it_is_t28_with_the_signs_of_the_ends(name, classes, per_class):
    if classes == 1:
        slopes = LineSlopes(0.3, -0.2, -0.9, 0.0, 0.0)
    else:
        slopes = line_slopes(**cases()[name], classes=classes, per_class=per_class, temperature=0.4)
    n = classes * per_class
    place = np.arange(n)
    ends, owner = 1 - 2 * (place % 2), place // per_class
    same_end, mates, views = ends[:, None] == ends, owner[:, None] == owner, place[:, None] // 2 == place // 2
    M = np.where(mates, np.where(same_end, slopes.same, np.where(views, slopes.view, slopes.other)),
                 np.where(same_end, slopes.near, slopes.far))  # fmt: skip
    np.fill_diagonal(M, 0)
    found = collapse_spectrum(M * np.outer(ends, ends) / 2, dimension=2)
    state = line_state(slopes, classes=classes, per_class=per_class)
    expected = sorted(mode.curvature for mode in state.modes for _ in range(mode.multiplicity))
    np.testing.assert_allclose(found.curvatures, expected, atol=1e-12)
    np.testing.assert_allclose(found.pulls, state.pull, atol=1e-12)


def test_many_samples():
    """N -> infinity: InfoNCE and DCL both tau coth(1/tau)."""
    for name, tau in product(("nt_xent", "dcl"), (0.2, 1.0)):
        rate = line_rate(name, classes=10**6, per_class=2, temperature=tau)
        assert rate == pytest.approx(tau / math.tanh(1 / tau), rel=1e-5)


@pytest.mark.parametrize("module", ("line", "line_slopes"))
def test_derivation_closes_and_equals_the_code(module):
    proof = import_module(f"clopsim.bounds.{module}").derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(import_module("clopsim.bounds.line"), "_closed_levels") == {
        "pull", "contrast", "classes", "classes, ends", "samples", "samples, ends", "merged: the contrast",
        "nt_xent: the rate", "dcl: the rate", "supcon: the rate",
    }  # fmt: skip


def test_a_wrong_rate_is_caught(broken_by_five_percent):
    assert broken_by_five_percent(import_module("clopsim.bounds.line"), "_closed_forms") == {
        "nt_xent: the rate", "dcl: the rate", "supcon: the rate", "T12: the rate",
    }  # fmt: skip
