import math

import numpy as np
import pytest

from clopsim.bounds import Setting


@pytest.mark.parametrize(
    "field, value, rule",
    [
        ("temperature", 0.0, "temperature must be a finite number > 0, got 0.0"),
        ("temperature", -1.0, "temperature must be a finite number > 0, got -1.0"),
        ("temperature", math.nan, "temperature must be a finite number > 0, got nan"),
        ("temperature", (0.5, math.inf), "temperature must be a finite number > 0, got inf"),
        ("temperature", (), "temperature must have at least one value"),
        ("temperature", 1e-6, "temperature must be >= 0.0001"),
        ("temperature", "hot", "temperature must be a finite number > 0, got 'hot'"),
        ("dimension", 1, "dimension must be a whole number >= 2, got 1"),
        ("dimension", 2.5, "dimension must be a whole number >= 2, got 2.5"),
        ("dimension", 8.0, "dimension must be a whole number >= 2, got 8.0"),
        ("dimension", 1.5, "dimension must be a whole number >= 2, got 1.5"),
        ("samples", 1, "samples must be a whole number >= 2, got 1"),
        ("loss", "triplet", "loss must be one of merged, full, got 'triplet'"),
        ("gradient", "natural", "gradient must be one of ambient, tangent"),
        ("keys", "frozen", "keys must be one of symmetric, detached"),
        ("reduction", "none", "reduction must be one of sum, mean"),
        ("momentum", 1.0, r"momentum must be in \[0, 1\), got 1.0"),
        ("momentum", -0.1, r"momentum must be in \[0, 1\), got -0.1"),
        ("momentum", "much", r"momentum must be in \[0, 1\), got 'much'"),
    ],
)
def test_wrong_fields_name_argument_rule_value_and_remedy(field, value, rule):
    fields = {"temperature": 0.5, "dimension": 8, "samples": 32} | {field: value}
    with pytest.raises(ValueError, match=f"^{rule}.*;"):
        Setting(**fields)


def test_full_loss_needs_pairs():
    with pytest.raises(ValueError, match=r"^samples must be even for the full loss, got 31; .*2N"):
        Setting(0.5, 8, 31, loss="full")


def test_equal_settings_are_one_key_and_arrays_become_tuples():
    a = Setting(np.array([0.1, 0.5]), 8, 32)
    assert a == Setting((0.1, 0.5), 8, 32)
    assert len({a, Setting([0.1, 0.5], 8, 32)}) == 1
    assert a.tau.tolist() == [0.1, 0.5]
    assert Setting(0.5, 8, 32).tau == 0.5


def test_pull_is_the_weight_of_the_anchors():
    assert Setting(0.5, 8, 32).pull == 2
    assert Setting(0.5, 8, 32, keys="detached").pull == 1
    assert Setting(0.5, 8, 32, reduction="mean").pull == 2 / 32


@pytest.mark.parametrize(
    "value, remedy",
    [(8.0, "write it as 8"), (8.5, "round it"), (1.5, "raise it to 2 or more"), (0, "raise it to 2 or more")],
)
def test_a_fraction_is_told_how_to_become_a_whole_number(value, remedy):
    with pytest.raises(ValueError, match=f"; {remedy}$"):
        Setting(0.5, value, 32)
