"""Unhinged: golden values, what it shares with CLOP's term, and where a line is stationary."""

import math

import pytest
import torch

from clopsim.losses import OrthonormalPrototypes, prototype_term, unhinged
from clopsim.losses.unhinged import simplex_axes, unhinged_of_rows
from clopsim.losses.views import unit_rows


def simplex_of(w):
    return unit_rows(w - w.mean(dim=0))


@pytest.mark.parametrize(
    "simplex, gamma, value",
    ((False, 0.0, 0.130366658654), (False, 0.5, 0.148706151637), (True, 0.5, 0.182127096562)),
)
def test_golden_values(simplex, gamma, value):
    i, j = torch.arange(1.0, 13, dtype=torch.float64), torch.arange(1.0, 6, dtype=torch.float64)
    z, w = unit_rows(torch.cos(i[:, None] * j)), torch.eye(5, dtype=torch.float64)[:3]
    found = unhinged_of_rows(z, torch.arange(12) // 4, directions=simplex_of(w) if simplex else w, gamma=gamma)
    assert float(found) == pytest.approx(value, abs=6e-13)


@pytest.mark.parametrize("gamma", (0.0, 0.2, 1.5))
def test_any_directions_equal_the_slow_loop(gamma, golden, batch):
    first, second, labels = batch(6, 4)
    w = torch.randn(3, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)  # neither unit nor simplex
    z = [golden.unit(row) for row in torch.cat([first, second]).tolist()]
    slow = golden.unhinged_rows(z, labels.tolist() * 2, w.tolist(), gamma)
    assert float(unhinged(first, second, labels, directions=w, gamma=gamma)) == pytest.approx(float(slow), rel=1e-13)


def test_it_is_the_prototype_term_of_clop_up_to_a_factor_and_a_constant(batch):
    first, second, labels = batch(6, 5)
    frame = OrthonormalPrototypes(3, 5, dtype=torch.float64).vectors
    simplex = OrthonormalPrototypes(3, 5, kind="simplex", dtype=torch.float64).vectors
    for vectors, gamma in ((frame, 0.0), (simplex, 0.0), (simplex, 0.7)):
        term = float(prototype_term(first, second, labels, prototypes=vectors))
        value = float(unhinged(first, second, labels, directions=vectors, gamma=gamma))
        assert value == pytest.approx((1 + gamma) * (term - 1), rel=1e-13)
    default = unhinged(first, second, labels, directions=simplex)
    assert float(default) == float(unhinged(first, second, labels, directions=simplex, gamma=0.5))  # 1/(K - 1)


def test_the_directions_of_its_own_are_a_simplex_of_as_many_classes_as_coordinates(batch):
    first, second, labels = batch(6, 5)
    w = simplex_axes(first)
    gram = torch.full((5, 5), -0.25, dtype=torch.float64).fill_diagonal_(1.0)
    torch.testing.assert_close(w @ w.mT, gram, rtol=0, atol=1e-15)
    assert float(unhinged(first, second, labels)) == float(unhinged(first, second, labels, directions=w))


def line_gradient(classes, signs, w, axis):
    """Largest entry of the gradient where all rows lie on one line."""
    labels = torch.arange(len(signs)) % classes
    x = (signs[:, None] * axis).requires_grad_()
    return float(torch.autograd.grad(unhinged(x, None, labels, directions=w), x)[0].abs().max())


@pytest.mark.parametrize("classes", (2, 3, 4))
def test_a_line_is_stationary_for_two_classes_along_their_axis_alone(classes):
    w = OrthonormalPrototypes(classes, 5, kind="simplex", dtype=torch.float64).vectors
    signs = torch.tensor([1.0, -1, 1, 1, -1, 1, -1, -1, 1, 1, 1, 1], dtype=torch.float64)
    along = line_gradient(classes, signs, w, w[0])
    if classes == 2:
        assert along < 1e-15
        assert line_gradient(classes, signs, w, torch.eye(5, dtype=torch.float64)[0]) > 0.01
    else:
        assert along > 0.01


def test_unlabelled_samples_are_left_out(batch):
    first, second, _ = batch(6, 5)
    labels = torch.tensor([0, 1, 2, 2, -1, -1])
    value = unhinged(first.requires_grad_(), second, labels)
    torch.testing.assert_close(value, unhinged(first[:4], second[:4], labels[:4]), rtol=1e-13, atol=0)
    slopes = torch.autograd.grad(value, first)[0]
    assert not slopes[4:].any()
    assert slopes[:4].any(dim=1).all()
    nobody = unhinged(first, second, torch.full((6,), -1))
    assert float(nobody.detach()) == 0
    assert not torch.autograd.grad(nobody, first)[0].any()


def test_longer_directions_make_a_steeper_loss(batch):
    first, second, labels = batch(6, 5)
    w = simplex_axes(first)
    twice = unhinged(first, second, labels, directions=2 * w)
    assert float(twice) == pytest.approx(2 * float(unhinged(first, second, labels, directions=w)), rel=1e-13)


def test_wrong_options():
    x, y = torch.ones(4, 3), torch.arange(4) // 2
    for gamma in (-1.0, math.nan):
        with pytest.raises(ValueError, match="gamma must be a finite number >= 0"):
            unhinged(x, x, y, gamma=gamma)
    for wrong in (torch.ones(2, 4), torch.ones(1, 3), torch.ones(3)):
        with pytest.raises(ValueError, match=r"directions must have shape \(K, 3\) with K >= 2, got"):
            unhinged(x, x, y, directions=wrong)
    with pytest.raises(ValueError, match="directions must be on cpu as the embeddings, got meta"):
        unhinged(x, x, y, directions=torch.ones(2, 3, device="meta"))
    with pytest.raises(ValueError, match="labels must be < 3, the number of directions, got a larger one"):
        unhinged(x, x, y + 2)
    with pytest.raises(ValueError, match="first must have >= 2 coordinates for two class directions, got 1"):
        unhinged(x[:, :1], x[:, :1], y)
