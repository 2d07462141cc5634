import numpy as np
import pytest
import torch

from clopsim.audit.experiments.modes import modes
from clopsim.bounds import (
    PaucSetting,
    Setting,
    apart_curvature,
    attracting_rates,
    critical_rate,
    multiplier,
    pauc_collapse,
    pauc_critical_prototypes,
    pauc_simplex,
    pauc_spectra,
    together_curvature,
)
from clopsim.losses.pauc import pauc_of_rows

WEIGHTS = (0.6, 1.3, 0.7, 0.9, 0.4, 1.7)
SHAPES = ((2, 2, 3), (3, 1, 2), (3, 2, 3), (4, 1, 3), (4, 1, 5), (2, 3, 2))
"""K, m, d."""


def loss_of(setting):
    labels = torch.arange(setting.classes).repeat_interleave(setting.per_class).repeat(2)
    weights = {name: getattr(setting, name) for name in ("prototypes", "alignment", "uniformity", "correlation", "t")}
    return lambda z: pauc_of_rows(z, labels, temperature=setting.temperature, **weights)


def states(setting, d):
    K, m = setting.classes, setting.per_class
    point = torch.zeros(2 * K * m, d, dtype=torch.float64)
    point[:, 0] = 1
    corners = np.linalg.svd(np.eye(K) - 1 / K)[0][:, : K - 1]
    corners = np.pad(corners / np.linalg.norm(corners, axis=1, keepdims=True), ((0, 0), (0, d - K + 1)))
    return (
        (point, pauc_collapse(setting, dimension=d)),
        (torch.from_numpy(corners).repeat_interleave(m, dim=0).repeat(2, 1), pauc_simplex(setting, dimension=d)),
    )


def curvatures(found):
    return sorted(level.curvature for level in found.levels.values() for _ in range(level.directions))


@pytest.mark.parametrize("K, m, d", SHAPES)
def test_every_level_of_the_hessian_with_its_multiplicity_and_the_pull(K, m, d):
    setting = PaucSetting(K, m, *WEIGHTS)
    for z, spectrum in states(setting, d):
        found = modes(loss_of(setting), z)
        np.testing.assert_allclose(found.curvatures, curvatures(spectrum), rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.pulls, spectrum.pull, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gradient", ("tangent", "ambient"))
def test_every_factor_of_a_step(gradient, step_factors):
    setting, d = PaucSetting(3, 2, *WEIGHTS), 3
    for z, spectrum in states(setting, d):
        for rate in (0.3, 10.0):
            expected = sorted(
                multiplier(rate, curvature=c, pull=spectrum.pull, gradient=gradient) for c in curvatures(spectrum)
            )
            found = step_factors(loss_of(setting), z, rate, gradient)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * max(map(abs, expected)))


@pytest.mark.parametrize("setting, align, steepest, tangent, pull, ambient", (
    (PaucSetting(8, 2, 1.0), 6.441558, 0.853635724, 2.342919753, -0.078130979, 2.867902544),
    (PaucSetting(4, 2, 0.5), 2.727273, 2.88228057, 0.693894973, -0.101244607, 0.746326759),
    (PaucSetting(16, 2, 0.5), 10.723404, 0.441474764, 4.53027028, -0.068205803, 6.55601947),
))  # fmt: skip
def test_reference_values(setting, align, steepest, tangent, pull, ambient):
    there = pauc_collapse(setting, dimension=3)
    parting = there.levels["common, apart"].curvature
    for gradient in ("tangent", "ambient"):  # no pull: both gradients do the same
        assert critical_rate(parting, pull=there.pull, gradient=gradient) == pytest.approx(align, abs=6e-7)
    found = pauc_simplex(setting, dimension=setting.classes + 1)
    assert max(curvatures(found)) == pytest.approx(steepest, rel=5e-9)
    assert found.pull == pytest.approx(pull, abs=6e-10)
    for gradient, rate in (("tangent", tangent), ("ambient", ambient)):
        assert critical_rate(max(curvatures(found)), pull=found.pull, gradient=gradient) == pytest.approx(
            rate, rel=5e-9
        )


def test_the_safe_rates_of_other_weights():
    """Of the document: other terms at 0.1, twice l_p*; and l_c = 0."""
    critical = pauc_critical_prototypes(PaucSetting(4, 4, 1.0))
    found = pauc_simplex(PaucSetting(4, 4, 1.0, 2 * critical, 0.1, 0.1, 0.1), dimension=6)
    ranges = {
        gradient: attracting_rates([c for c in curvatures(found) if abs(c) > 1e-12], pull=found.pull, gradient=gradient)
        for gradient in ("tangent", "ambient")
    }
    assert ranges["tangent"].below == pytest.approx(5.946886, abs=1e-6)
    assert ranges["ambient"].below == pytest.approx(13.635930, abs=1e-6)
    assert ranges["tangent"].above == 0


def test_without_its_terms_it_is_the_full_loss():
    bare = PaucSetting(3, 2, 0.4, 0.0, 0.0, 0.0, 0.0)
    levels = pauc_collapse(bare, dimension=4).levels
    setting = Setting(0.4, 4, 12, loss="full", reduction="mean")
    for name, level in levels.items():
        if name != "turns":
            wanted = together_curvature(setting) if name.endswith("together") else apart_curvature(setting)
            assert level.curvature == pytest.approx(wanted, rel=1e-12), name


def test_collapse_never_attracts():
    for weights in ((0.6, 1.3, 0.7, 0.9, 0.4, 1.7), (5.0, 0.0, 0.0, 0.0, 0.0, 1.0), (0.05, 9.0, 9.0, 9.0, 9.0, 9.0)):
        found = pauc_collapse(PaucSetting(3, 2, *weights), dimension=3)
        for gradient in ("tangent", "ambient"):
            assert attracting_rates(curvatures(found), pull=found.pull, gradient=gradient) is None


def test_directions_that_are_not_there_are_left_out():
    levels = pauc_simplex(PaucSetting(2, 1), dimension=1 + 1).levels
    assert set(levels) == {
        "class, together, common, outside", "class, apart, contrast, outside", "class, apart, common, outside", "turns",
    }  # fmt: skip
    assert not [name for name in pauc_simplex(PaucSetting(4, 2), dimension=3).levels if "outside" in name]
    assert not [name for name in pauc_collapse(PaucSetting(4, 1), dimension=3).levels if "within" in name]
    with pytest.raises(ValueError, match="dimension must be >= 4, got 3; a simplex of 5 classes needs that many"):
        pauc_simplex(PaucSetting(5, 2), dimension=3)
    for spectrum in (pauc_simplex, pauc_collapse):
        with pytest.raises(ValueError, match="dimension must be a whole number >= 2"):
            spectrum(PaucSetting(2, 2), dimension=1)


def test_derivation_closes_and_equals_the_code():
    proof = pauc_spectra.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(pauc_spectra, "_closed_forms")
    zeros = set(pauc_spectra.derive().zeros)
    turns = {
        "collapse: turns",
        "simplex: class, together, contrast, outside",
        "simplex: class, together, antisymmetric",
    }
    assert broken == zeros - turns - {"collapse: pull", "shares add up to 1", "directions at the simplex"}
