import math
from importlib import import_module

import pytest
import torch

from clopsim.audit.experiments.cosine_losses import class_graphs, cosine_loss
from clopsim.bounds import line_slopes
from clopsim.bounds.line_slopes import cases

SHAPE = {"classes": 3, "per_class": 4, "temperature": 0.5}


@pytest.mark.parametrize("name", cases())
def test_slopes_are_those_of_the_loss(name):
    """With a coordinate e_i beside the line z_i . z_j has the part e_i e_j, so d2L/de_i de_j is the slope M_ij."""
    given = dict(cases()[name])
    slopes = line_slopes(**given, **SHAPE)
    loss = cosine_loss(
        given["name"], **SHAPE, confidence=given.get("confidence", 0.0), penalty=given.get("penalty", 0.0),
        inside=given.get("form") == "in",
    )  # fmt: skip
    ends = torch.tensor([1.0, -1.0] * 6, dtype=torch.float64)
    mates, views = class_graphs(3, 4)

    def beside(column):
        return loss(torch.stack([ends, column], dim=1))

    hessian = torch.autograd.functional.hessian(beside, torch.zeros(12, dtype=torch.float64))
    same_end, itself = ends[:, None] == ends, torch.eye(12, dtype=torch.bool)
    mates, views = mates.bool(), views.bool()
    for kind, mask in (
        ("same", mates & same_end),
        ("other", mates & ~views & ~same_end),
        ("view", views),
        ("near", ~mates & same_end & ~itself),
        ("far", ~mates & ~same_end),
    ):
        expected = torch.full_like(hessian[mask], getattr(slopes, kind))
        torch.testing.assert_close(hessian[mask], expected, atol=1e-12, rtol=1e-9)


def test_low_temperature_does_not_overflow():
    slopes = line_slopes("fedrcl", classes=10, per_class=8, temperature=1e-4, penalty=1.0)
    assert all(math.isfinite(value) for value in slopes)
    assert line_slopes("nt_xent", classes=10, per_class=8, temperature=1e-4).far == 0


def test_with_one_sample_a_class_supcon_is_nt_xent():
    pair = {"classes": 6, "per_class": 2, "temperature": 0.5}
    out, inside, plain = (
        line_slopes(name, **pair, form=form) for name, form in (("supcon", "out"), ("supcon", "in"), ("nt_xent", "out"))
    )
    assert out[2:] == pytest.approx(plain[2:])  # there is no pair of the first two kinds
    assert inside[2:] == pytest.approx(plain[2:])


@pytest.mark.parametrize("fields, message", [
    ({"name": "blcl"}, "^name must be a loss that the line is a state of, got 'blcl'; its class means vanish there"),
    ({"name": "supcon", "per_class": 5}, "^per_class must be even on the line, got 5; half of a class is at each end"),
    ({"name": "supcon", "form": "both"}, "^form must be one of out, in, got 'both'"),
    ({"name": "fedrcl"}, "^penalty must be given for fedrcl"),
    ({"name": "merged", "per_class": 1}, "^per_class must be even on the line, got 1"),
])  # fmt: skip
def test_wrong_input(fields, message):
    with pytest.raises(ValueError, match=message):
        line_slopes(**(SHAPE | fields))


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    slopes = import_module("clopsim.bounds.line_slopes")
    assert broken_by_five_percent(slopes, "_closed_slopes") == set(slopes.derive().zeros)
