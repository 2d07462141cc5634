import math

import pytest

from clopsim.bounds import ClassLoss, Pattern, class_loss, class_losses
from clopsim.bounds.class_losses import inside_curvatures, softmax_share, unheld_pull

SHAPE = {"classes": 3, "per_class": 4, "temperature": 0.5}


@pytest.mark.parametrize("name, numbers, Q, pull, curvatures", [
    ("merged", {}, 0.117205, 3.296771, {"spread": -4.473832}),
    ("supcon", {}, 0.117205, -0.703229, {"spread": 0.859501}),
    ("sscl", {"confidence": 0.6}, 0.117205, -0.703229, {"together": -1.124988, "apart": 1.851754}),
    ("sscl", {"confidence": 0.95}, 0.117205, -0.703229, {"together": 0.674118, "apart": 0.952190}),
    ("fedrcl", {"penalty": 1.0}, 0.284844, 1.290937, {"spread": -1.911144}),
    ("blcl", {}, 0.090557, -0.271671, {"spread": 0.271671}),
])  # fmt: skip
def test_values_at_the_simplex(name, numbers, Q, pull, curvatures):
    loss = class_loss(name, **SHAPE, **numbers)
    assert 2 * softmax_share(loss, -0.5) == pytest.approx(Q, abs=1e-6)
    assert unheld_pull(loss, -0.5) == pytest.approx(pull, abs=1e-5)
    found = dict(zip([one.name for one in loss.patterns], inside_curvatures(loss, -0.5), strict=True))
    assert found == pytest.approx(curvatures, abs=1e-5)


def test_sscl_runs_from_nt_xent_to_supcon():
    without, full = (class_loss("sscl", **SHAPE, confidence=q) for q in (0.0, 1.0))
    assert without == class_loss("nt_xent", **SHAPE)
    (spread,) = inside_curvatures(class_loss("supcon", **SHAPE), -0.3)
    assert inside_curvatures(full, -0.3) == pytest.approx([spread, spread])


def test_fedrcl_without_penalty_is_supcon_with_its_own_share():
    (own,) = inside_curvatures(class_loss("fedrcl", **SHAPE, penalty=0.0), -0.5)
    assert unheld_pull(class_loss("fedrcl", **SHAPE, penalty=0.0), -0.5) < 0
    Q = 2 * softmax_share(class_loss("fedrcl", **SHAPE, penalty=0.0), -0.5)
    assert own == pytest.approx(4 * (Q * 4 / 3 + Q / 2))


def test_the_confidence_that_binds():
    """q_E of the simplex: q^2 = (1 - A)/(2 + (m - 2) A), A = QK/(K-1) - (1 - Q)/(m - 1)."""
    Q = 2 * softmax_share(class_loss("supcon", **SHAPE), -0.5)
    A = Q * 3 / 2 - (1 - Q) / 3
    q = math.sqrt((1 - A) / (2 + 2 * A))
    assert q == pytest.approx(0.7964771260172621, rel=1e-12)
    together, _ = inside_curvatures(class_loss("sscl", **SHAPE, confidence=q), -0.5)
    assert together == pytest.approx(0, abs=1e-12)


def test_the_penalty_that_unbinds():
    """beta_E of the simplex: Q [m/(m-1) + 1/(K-1)]."""
    (spread,) = inside_curvatures(class_loss("fedrcl", **SHAPE, penalty=0.5222142167614299), -0.5)
    assert spread == pytest.approx(0, abs=1e-12)


def test_no_overflow():
    loss = class_loss("supcon", classes=10, per_class=8, temperature=1e-4)
    assert softmax_share(loss, -1 / 9) == 0.0
    assert softmax_share(loss, 1.0) == pytest.approx(8 / 79)


def test_views_of_one_sample_have_no_together():
    assert [one.name for one in class_loss("nt_xent", classes=4, per_class=2, temperature=0.5).patterns] == ["apart"]
    assert class_loss("merged", classes=4, per_class=1, temperature=0.5).patterns == ()


@pytest.mark.parametrize("fields, message", [
    ({"name": "simclr"}, "^name must be one of merged, nt_xent, supcon, dcl, sscl, fedrcl, blcl, got 'simclr'"),
    ({"per_class": 3}, "^per_class must be even for nt_xent, got 3; it counts both views of every sample"),
    ({"per_class": 1}, "^per_class must be a whole number >= 2, got 1"),
    ({"classes": 1}, "^classes must be a whole number >= 2, got 1"),
    ({"temperature": 0.0}, "^temperature must be a finite number > 0, got 0.0"),
    ({"temperature": 1e-5}, "^temperature must be >= 0.0001, got 1e-05"),
    ({"penalty": 1.0}, "^penalty must be given for fedrcl and only for it, got 1.0 for nt_xent; leave it out"),
    ({"name": "fedrcl"}, "^penalty must be given for fedrcl and only for it, got None for fedrcl; give penalty"),
    ({"name": "fedrcl", "penalty": -1.0}, "^penalty must be a finite number >= 0, got -1.0"),
    ({"name": "sscl"}, "^confidence must be given for sscl and only for it, got None for sscl; give confidence"),
    ({"name": "sscl", "confidence": 1.5}, r"^confidence must be in \[0, 1\], got 1.5; it is a probability"),
])  # fmt: skip
def test_wrong_input(fields, message):
    with pytest.raises(ValueError, match=message):
        class_loss(**({"name": "nt_xent", **SHAPE} | fields))


def test_a_record_of_ones_own_is_checked():
    spread = Pattern("spread", -0.5, -0.5, 2)
    with pytest.raises(ValueError, match="^patterns must have numbers that sum to per_class - 1 = 3, got 2"):
        ClassLoss(3, 4, 0.5, 0.75, 1.0, (spread,))
    with pytest.raises(ValueError, match="^roles must be 1 or 2, got 3"):
        ClassLoss(3, 3, 0.5, 0.75, 1.0, (spread,), 3)
    with pytest.raises(ValueError, match="^own must be a finite number >= 0, got -1"):
        ClassLoss(3, 3, 0.5, -1, 1.0, (spread,))


def test_derivation_closes_and_equals_the_code():
    proof = class_losses.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    zeros = class_losses.derive().zeros
    assert broken_by_five_percent(class_losses, "_closed_forms") == {
        name for name in zeros if "log-sum-exp" not in name
    }
