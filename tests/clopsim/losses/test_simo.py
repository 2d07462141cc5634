"""SimO: golden values, random batches, and the form that its ambient gradient depends on."""

import re
from functools import partial

import pytest
import torch

from clopsim.losses import simo
from clopsim.losses.simo import simo_of_rows
from clopsim.losses.views import unit_rows

FORMS = ("pair", "ratio")


def regression_rows():
    """Rows cos(i j), normalised, in three classes of four."""
    i, j = torch.arange(1.0, 13, dtype=torch.float64), torch.arange(1.0, 6, dtype=torch.float64)
    return unit_rows(torch.cos(i[:, None] * j)), torch.arange(12) // 4


@pytest.mark.parametrize(
    "form, eps, olean, value",
    (
        ("ratio", 0.1, 0.0, 61.968715101955),
        ("ratio", 0.1, 1 / 137, 62.699972296638),
        ("pair", 1 / 137, 0.0, 32.182311624034),
        ("pair", 1 / 137, 1 / 137, 32.172176434332),
    ),
)
def test_golden_values(form, eps, olean, value):
    z, labels = regression_rows()
    assert float(simo_of_rows(z, labels, form=form, eps=eps, olean=olean)) == pytest.approx(value, abs=6e-13)


def classes_first(z, labels, *, form, eps, olean, cosine=False):
    """The three calls as the authors' code makes them: rows reshaped to (K, m, d), classes of equal size."""
    rows = torch.stack([z[labels == k] for k in labels.unique()])  # (K, m, d)
    total = torch.zeros((), dtype=z.dtype)
    for sets, answer in ((rows, 1.0), (rows.transpose(0, 1), olean), (rows.mean(dim=1)[None], olean)):
        i, j = torch.triu_indices(sets.shape[1], sets.shape[1], offset=1)
        d = (sets[:, i] - sets[:, j]).square().sum(dim=-1)  # (sets, pairs)
        s = (sets[:, i] * sets[:, j]).sum(dim=-1)
        d, o = 2 - 2 * s if cosine and sets.shape[0] > 1 else d, s.square()  # the means are not unit vectors
        if form == "pair":
            total = total + ((1 + o / (eps + d)) ** (1 - 2 * answer)).sum()
        else:
            d, o = d.sum(dim=1), o.sum(dim=1)
            total = total + (answer * d / (eps + o) + (1 - answer) * o / (eps + d)).sum()
    return total


@pytest.mark.parametrize("form", FORMS)
def test_classes_of_equal_size_in_any_order_are_the_calls_of_the_code_gradients_too(form):
    z, labels = regression_rows()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    both = []
    for loss in (simo_of_rows, classes_first):
        x = z[order].clone().requires_grad_()
        value = loss(x, 7 * labels[order], form=form, eps=0.3, olean=0.2)  # labels need not be 0, 1, ..
        both.append((value.detach(), *torch.autograd.grad(value, x)))
    torch.testing.assert_close(*both, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_unequal_classes_and_unlabelled_samples(form, batch):
    first, second, _ = batch(6, 5)
    labels = torch.tensor([0, 0, 0, 1, -1, -1])
    value = simo(first, second, labels, form=form)
    torch.testing.assert_close(value, simo(first[:4], second[:4], labels[:4], form=form), rtol=1e-13, atol=0)
    slopes = torch.autograd.grad(simo(first.requires_grad_(), second, labels, form=form), first)[0]
    assert not slopes[4:].any()
    assert slopes[:4].any(dim=1).all()
    assert float(simo(first.detach(), second, torch.full((6,), -1), form=form)) == 0
    one_class = torch.zeros(6, dtype=torch.long)
    z = unit_rows(torch.cat([first, second])).detach()
    alike = classes_first(z, torch.zeros(12), form=form, eps=0.3, olean=0.0)
    torch.testing.assert_close(simo(first, second, one_class, form=form, eps=0.3).detach(), alike, rtol=1e-12, atol=0)


def test_one_view_and_a_list_of_views(batch):
    first, second, _ = batch(6, 5)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert float(simo([first, second], None, labels)) == float(simo(first, second, labels))
    rows = torch.cat([first, second])
    assert float(simo(rows, None, torch.cat([labels, labels]))) == float(simo(first, second, labels))


@pytest.mark.parametrize("form", FORMS)
def test_the_cosine_form_is_another_ambient_gradient_and_the_same_tangent_one(form):
    """Writing 2 - 2 s for |e_i - e_j|^2 moves the radial part and nothing else."""
    z, labels = regression_rows()
    gradients = []
    for loss in (simo_of_rows, partial(classes_first, cosine=True)):
        x = z.clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(x, labels, form=form, eps=0.3, olean=0.0), x)[0])
    radial = [(z * g).sum(dim=-1, keepdim=True) for g in gradients]
    assert (radial[0] - radial[1]).abs().max() > 0.1
    torch.testing.assert_close(gradients[0] - radial[0] * z, gradients[1] - radial[1] * z, rtol=0, atol=1e-12)


def test_digits_near_collapse_are_kept_in_float32():
    """Squared distances of 1e-10 beside an eps of 1e-9: as 2 - 2 s they would be rounding."""
    rows = torch.eye(6)[0] + 1e-5 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    z, labels = unit_rows(rows), torch.arange(6) // 2
    exact = simo_of_rows(z.double(), labels, eps=1e-9, olean=0.0)
    assert float(simo_of_rows(z, labels, eps=1e-9, olean=0.0)) == pytest.approx(float(exact), rel=1e-3)


def test_wrong_options():
    x, y = torch.ones(4, 3), torch.arange(4) // 2
    with pytest.raises(ValueError, match="form must be one of pair, ratio, got 'mean'"):
        simo(x, x, y, form="mean")
    with pytest.raises(ValueError, match="eps must be a finite number > 0, got 0; the authors' code has 1/137"):
        simo(x, x, y, eps=0)
    for olean in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=re.escape(f"olean must be in [0, 1], got {olean}")):
            simo(x, x, y, olean=olean)
