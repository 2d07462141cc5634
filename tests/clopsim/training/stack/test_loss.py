"""Every member of a stack has the loss and the gradient that it has alone."""

import pytest
import torch
from torch.func import vmap

from clopsim.losses import LOSSES, OrthonormalPrototypes, by_name, prototype_term
from clopsim.training.stack import loss as stacked


@pytest.fixture
def members():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 12, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, 3, (5, 6), generator=generator)
    return rows, labels, torch.tensor([0.05, 0.1, 0.5, 1.0, 3.0], dtype=torch.float64)


def stacked_loss(rows, labels, tau, *, loss):
    closed_form = stacked.has_closed_form(loss, temperature=float(tau.min()), dtype=rows.dtype)
    return stacked.stacked_loss(rows, labels, tau, loss=loss, closed_form=closed_form)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("cache", [stacked.CACHE_BYTES, 1])
def test_losses_and_gradients_are_those_of_the_members(name, cache, members, monkeypatch):
    monkeypatch.setattr(stacked, "CACHE_BYTES", cache)
    rows, labels, tau = members
    for outer in (torch.ones(5, dtype=torch.float64), torch.arange(5.0, dtype=torch.float64)):
        x = rows.clone().requires_grad_()
        values = stacked_loss(x, labels, tau, loss=name)
        (gradient,) = torch.autograd.grad(values @ outer, x)
        for m in range(5):
            alone = rows[m].clone().requires_grad_()
            value = by_name(name, temperature=float(tau[m]))(*alone.chunk(2), labels[m])
            (expected,) = torch.autograd.grad(outer[m] * value, alone)
            torch.testing.assert_close(values[m].detach(), value.detach(), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(gradient[m], expected, rtol=1e-11, atol=1e-12)


def test_fixed_directions_are_each_members_own(members):
    rows, labels, tau = members
    vectors = torch.stack(
        [OrthonormalPrototypes(3, 4, kind="simplex", seed=m, dtype=torch.float64).vectors for m in range(5)]
    )
    values = stacked.stacked_loss(rows, labels, tau, loss="unhinged", closed_form=False, directions=vectors)
    for m in range(5):
        alone = by_name("unhinged", temperature=1, directions=vectors[m])(*rows[m].chunk(2), labels[m])
        torch.testing.assert_close(values[m], alone, rtol=1e-13, atol=0)


def test_the_prototype_term_takes_each_members_prototypes(members):
    rows, labels, _ = members
    vectors = torch.stack([OrthonormalPrototypes(3, 4, seed=m, dtype=torch.float64).vectors for m in range(5)])
    values = stacked.stacked_prototype_term(rows, labels, prototypes=vectors, distance="euclidean")
    for m in range(5):
        alone = prototype_term(*rows[m].chunk(2), labels[m], prototypes=vectors[m], distance="euclidean")
        torch.testing.assert_close(values[m], alone, rtol=1e-13, atol=0)


@pytest.mark.parametrize("size", (0.0, 2e-38, 1e-25, 1e-15, 1e25, 1e36))
def test_rows_whose_squares_vanish_or_overflow_keep_their_direction(members, size):
    rows, labels, tau = members
    x = rows.float()
    x[:, 3] *= size / x[:, 3].abs().amax(dim=1, keepdim=True)
    x.requires_grad_()
    values = stacked_loss(x, labels, tau.float(), loss="infonce")
    alone = torch.stack(
        [by_name("infonce", temperature=float(t))(*one.chunk(2)) for t, one in zip(tau, x, strict=True)]
    )
    torch.testing.assert_close(values, alone, rtol=2e-6, atol=0)
    slopes = [torch.autograd.grad(each.sum(), x)[0][:, 3] * size for each in (values, alone)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)
    assert bool(slopes[0].any()) == bool(size)


def test_temperatures_below_the_range_of_the_closed_form_stay_finite(members):
    rows, labels, tau = members
    low = torch.full_like(tau, 0.01).float()
    values = stacked_loss(rows.float(), labels, low, loss="infonce")
    alone = vmap(lambda x: by_name("infonce", temperature=0.01)(*x.chunk(2)))(rows)
    torch.testing.assert_close(values.double(), alone, rtol=1e-5, atol=0)


def test_a_member_that_is_not_finite_touches_no_other(members):
    rows, labels, tau = members
    bad = rows.clone()
    bad[2, 3, 1] = torch.nan
    for name in LOSSES:
        gradients = []
        for start in (rows, bad):
            x = start.clone().requires_grad_()
            values = stacked_loss(x, labels, tau, loss=name)
            gradients.append(torch.autograd.grad(values.sum(), x)[0])
        others = [0, 1, 3, 4]
        assert torch.equal(gradients[0][others], gradients[1][others])
        assert gradients[1][2].isnan().any()
