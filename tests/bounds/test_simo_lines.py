import pytest
import torch

from clopsim.audit.experiments.modes import modes, step
from clopsim.audit.experiments.simo import _normal, _unit, loss_of, split
from clopsim.bounds import simo_leaning, simo_lines, simo_split_curvature, simo_split_limit


@pytest.mark.parametrize("form", ("pair", "ratio"))
@pytest.mark.parametrize("m, opposite", ((2, 1), (4, 1), (4, 2), (5, 1)))
def test_split_classes_are_stationary_and_their_softest_direction_is_the_predicted_one(m, opposite, form):
    K, d, eps = 2, 3, 0.1
    loss, z = loss_of(K, m, eps, 0.0, form), split(K, m, opposite, d)
    leaf = z.clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(leaf), leaf)
    assert g.isfinite().all()  # balanced ones too: their means are 0, and are not normalised
    assert float((g - (g * z).sum(dim=-1, keepdim=True) * z).abs().max()) < 1e-13
    found = modes(loss, z).curvatures
    turns = K * (d - K) + K * (K - 1) // 2  # of the two lines
    rest = found[found.abs() > 1e-8]
    assert len(found) - len(rest) == turns
    value = simo_split_curvature(m, opposite=opposite, eps=eps, form=form)
    assert int(((rest - value).abs() < 1e-9).sum()) >= K * (d - K)
    assert (float(rest[0]) > 0) == (value > 0) == (form == "pair" or eps < simo_split_limit(m, opposite=opposite))


def test_which_splits_hold_in_large_classes():
    m = 1000
    for opposite, holds in ((146, False), (148, True), (500, True), (852, True), (854, False)):
        assert (simo_split_limit(m, opposite=opposite) > 0) == holds
    assert simo_split_limit(4, opposite=2) == 10
    assert simo_split_limit(7, opposite=1) == 3
    assert simo_split_limit(10, opposite=2) == 19


def test_splits_survive_or_heal_in_runs():
    for multiple, holds in ((0.97, True), (1.03, False)):
        loss = loss_of(2, 4, 10 * multiple, 0.0, "ratio")
        z = _unit(split(2, 4, 2, 4) + 1e-2 * _normal(8, 4))
        for _ in range(800):
            z = step(loss, z, 2.0, "tangent")
        spread = float((z[:4] @ z[:4].mT).min())
        assert (spread < -0.9) == holds


def test_leaning():
    u, cosine, value = simo_leaning(1 / 137)
    assert (u, cosine, value) == pytest.approx((0.0857, 0.3372, 0.1702), abs=6e-5)
    assert cosine**2 / (2 - 2 * cosine) == pytest.approx(u, rel=1e-12)
    assert simo_leaning(0.0) == (0.0, 0.0, 0.0)
    alike = torch.full((3, 3), cosine, dtype=torch.float64).fill_diagonal_(1.0)
    z = torch.linalg.cholesky(alike)
    assert float(loss_of(3, 1, 1e-12, 1 / 137, "ratio")(z)) == pytest.approx(2 * value, rel=1e-6)  # rows and means


@pytest.mark.parametrize("call, message", (
    (lambda: simo_split_curvature(4, opposite=4), "opposite must be < rows, got 4 and 4"),
    (lambda: simo_split_curvature(4, opposite=1, form="triple"), "form must be one of pair, ratio"),
    (lambda: simo_split_limit(1, opposite=1), "rows must be a whole number >= 2"),
    (lambda: simo_split_limit(3, opposite=0), "opposite must be a whole number >= 1"),
    (lambda: simo_leaning(-0.1), "olean must be a finite number >= 0"),
    (lambda: simo_leaning(0.5), "olean must be < 0.5, got 0.5; from there on the set"),
))  # fmt: skip
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_derivation_closes_and_equals_the_code():
    proof = simo_lines.derive()
    assert proof.open_zeros() == {}
    assert proof.disagreements() == {}


def test_a_wrong_formula_is_caught(broken_by_five_percent):
    broken = broken_by_five_percent(simo_lines, "_closed_forms")
    assert broken == set(simo_lines.derive().zeros)
