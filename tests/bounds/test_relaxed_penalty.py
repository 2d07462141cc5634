from importlib import import_module

import pytest
import torch

from clopsim.audit.experiments.modes import growth, modes, step
from clopsim.audit.experiments.relaxed_penalty import at_ends, dense, labels_of
from clopsim.bounds import (
    attracting_penalty,
    critical_penalty,
    critical_rate,
    relaxed_classes,
    relaxed_collapse,
    relaxed_collapse_rate,
)
from clopsim.losses.fedrcl import fedrcl_of_rows

A, B, C = {"classes": 3, "per_class": 4}, {"classes": 4, "per_class": 4}, {"classes": 10, "per_class": 8}
REFERENCE = [  # beta*, beta for attraction, rate of complete collapse at beta = 1
    (A, 0.5, 0.2962962962962963, 0.8888888888888888, 3.0),
    (B, 0.2, 0.3076923076923077, 0.8205128205128205, 0.742857142857),
    (C, 0.1, 0.14090019569471623, 0.6262230919765166, 0.15288),
]


@pytest.mark.parametrize("setting, tau, star, attracting, rate", REFERENCE)
def test_values_of_the_document(setting, tau, star, attracting, rate):
    assert critical_penalty(**setting) == pytest.approx(star, rel=1e-13)
    assert attracting_penalty(**setting) == pytest.approx(attracting, rel=1e-13)
    given = {**setting, "temperature": tau, "penalty": 1.0}
    assert relaxed_collapse_rate(**given) == pytest.approx(rate, rel=1e-5)
    assert relaxed_collapse_rate(**given, gradient="tangent") is None


@pytest.mark.parametrize("levels", [("between", -5.33333, 4), ("within", -2.81481, 18)])
def test_levels_of_the_document_with_their_multiplicities(levels):
    name, value, number = levels
    state = relaxed_collapse(**A, temperature=0.5, penalty=1.0)
    assert state.pull == pytest.approx(3.0, rel=1e-14)
    assert getattr(state, name) == pytest.approx(value, abs=1e-5)
    found = modes(dense((4, 4, 4), 0.5, 1.0), at_ends((4, 4, 4), 3, line=False))
    assert int(((found.curvatures - getattr(state, name)).abs() < 1e-8).sum()) == number


@pytest.mark.parametrize("gradient", ("ambient", "tangent"))
@pytest.mark.parametrize("beta", (0.2, 1.0))
def test_modes_at_collapse_turn_at_their_rates(gradient, beta):
    """Document, section 9: beta = 1 class 3.0, within 0.627907 (ambient); beta = 0.2 within 5.192308, 1.261682."""
    state, loss = relaxed_collapse(**A, temperature=0.5, penalty=beta), dense((4, 4, 4), 0.5, beta)
    z = at_ends((4, 4, 4), 3, line=False)
    direction = torch.zeros_like(z)
    direction[0, 1], direction[1, 1] = 0.5**0.5, -(0.5**0.5)
    rate = critical_rate(state.within, pull=state.pull, gradient=gradient)
    expected = {(1.0, "ambient"): 0.627907, (0.2, "ambient"): 1.261682, (0.2, "tangent"): 5.192308}
    assert rate == pytest.approx(expected[beta, gradient], rel=1e-6) if (beta, gradient) in expected else rate is None
    for multiple in (0.97, 1.03):
        size = abs(growth(loss, z, direction, rate=multiple * (rate or 1.0), gradient=gradient))
        below = size < 1 if state.within > 0 else size > 1
        assert below == (multiple < 1 or rate is None)


def test_one_class_is_flat_without_penalty_and_expels_with_it():
    """A client with one label."""
    state = relaxed_collapse(classes=1, per_class=6, temperature=0.5, penalty=0.3)
    assert state.between is None
    assert state.within == pytest.approx(-2 * 0.3 / 0.5, rel=1e-14)
    assert critical_penalty(classes=1, per_class=6) == 0
    flat = {"classes": 1, "per_class": 6, "temperature": 0.5, "penalty": 0.0}
    assert relaxed_collapse(**flat).within == 0
    assert relaxed_collapse_rate(**flat) is None
    pair = {"classes": 1, "per_class": 2, "temperature": 0.5, "penalty": 0.3}
    assert relaxed_collapse_rate(**pair) is None  # c + 2a = 0
    assert relaxed_collapse_rate(classes=1, per_class=6, temperature=0.5, penalty=0.3) == pytest.approx(
        2 / (2 / 0.5 * 0.3 * 4 / 6), rel=1e-13
    )


def test_classes_of_unequal_sizes():
    """Each class has its own pull and its own level; small ones part first under SupCon's part alone."""
    sizes = (2, 4, 6)
    found = modes(dense(sizes, 0.5, 0.3), at_ends(sizes, 3, line=False))
    for start, one in zip((0, 2, 6), relaxed_classes(sizes, temperature=0.5, penalty=0.3), strict=True):
        assert float(found.pulls[start]) == pytest.approx(one.pull, rel=1e-12)
        assert float((found.curvatures - one.within).abs().min()) < 1e-10
    rates = [critical_rate(one.within, pull=one.pull, gradient="ambient")
             for one in relaxed_classes(sizes, temperature=0.5, penalty=0.0)]  # fmt: skip
    assert rates == sorted(rates)


def test_the_form_as_coded_is_the_dense_one_for_pairs_alone():
    """m = 2 and n = 4: every pair is the hardest; so T37 holds for it there."""
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = z / z.norm(dim=-1, keepdim=True)
    y = labels_of((2, 2))
    code = fedrcl_of_rows(z, y, temperature=0.5, threshold=-1.0, reduction="sum", views=1)
    torch.testing.assert_close(code, dense((2, 2), 0.5, 1.0)(z), rtol=1e-13, atol=0)


@pytest.mark.parametrize("beta, multiple, drawn", [(1.0, 3, False), (1.0, 10, False), (2.0, 5, True), (2.0, 10, True)])
def test_as_coded_it_is_drawn_to_collapse_at_twice_the_penalty_alone(beta, multiple, drawn):
    """The hardest pairs change from step to step, and no closed form is known; at the authors' beta = 1, tau = 0.05."""
    y, tau = labels_of((4, 4, 4)), 0.05
    state = at_ends((4, 4, 4), 4, line=False)
    noise = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = torch.nn.functional.normalize(state + 1e-4 * noise, dim=-1)
    start = float((1 - z @ z.mT).max())
    for _ in range(100):
        z = step(
            lambda rows: fedrcl_of_rows(rows, y, temperature=tau, beta=beta, reduction="sum", views=1),
            z, multiple * tau, "ambient",
        )  # fmt: skip
    assert (float((1 - z @ z.mT).max()) < start) == drawn


@pytest.mark.parametrize("function", [relaxed_collapse, relaxed_collapse_rate])
def test_wrong_arguments(function):
    good = {**A, "temperature": 0.5, "penalty": 1.0}
    for bad, message in (
        ({"classes": 0}, "classes must be a whole number >= "),
        ({"per_class": 1}, "must be a whole number >= 2"),
        ({"temperature": 0.0}, "temperature must be a finite number > 0"),
        ({"penalty": -1.0}, "penalty must be a finite number >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            function(**{**good, **bad})
    with pytest.raises(ValueError, match="sizes must hold a class, got none"):
        relaxed_classes((), temperature=0.5, penalty=1.0)
    with pytest.raises(ValueError, match="classes must be a whole number >= 2, got 1"):
        attracting_penalty(classes=1, per_class=4)


def test_the_pulls_of_the_penalty_are_a_number_s():
    """Trap: the penalty's 1 written as z_i.z_i has another pull and the same tangent gradient: other ambient rates."""
    z, tau = at_ends((4,), 3, line=False).requires_grad_(), 0.5
    s = z @ z.mT
    written = torch.log1p(
        ((s - s.diagonal()[:, None]) / tau).exp().masked_fill(torch.eye(4).bool(), 0).sum(dim=-1)
    ).sum()
    (g,) = torch.autograd.grad(written, z)
    assert float((g.detach() * z.detach()).sum(dim=-1).abs().max()) < 1e-12
    assert relaxed_collapse(classes=1, per_class=4, temperature=tau, penalty=1.0).pull == 3.0


def test_proof_and_code():
    derivation = import_module("clopsim.bounds.relaxed_penalty").derive()
    assert derivation.open_zeros() == {}
    assert derivation.disagreements() == {}
