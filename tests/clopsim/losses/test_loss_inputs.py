"""Wrong inputs, and the registry."""

import re
from typing import get_args

import pytest
import torch

from clopsim.losses import (
    CLOP,
    LOSSES,
    LossName,
    OrthonormalPrototypes,
    barlow_twins,
    by_name,
    dcl,
    info_nce,
    prototype_distance,
    prototype_term,
    supcon,
    vicreg,
)

ALL = (info_nce, supcon, dcl, vicreg, barlow_twins)


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize(
    "first, second, labels, message",
    (
        (torch.ones(4, 3, 2), torch.ones(4, 3, 2), None, r"first must be .* \(N, d\), got .*\(4, 3, 2\); .*vmap"),
        (torch.ones(4, 3, dtype=torch.long), torch.ones(4, 3), None, "first must be a float tensor"),
        (torch.ones(4, 3), torch.ones(4, 2), None, r"second must match first, got .*\(4, 2\)"),
        (torch.ones(4, 3), torch.ones(4, 3).double(), None, "second must match first, got torch.float64"),
        (torch.ones(4, 3), torch.ones(4, 3, device="meta"), None, "second must match first, got .* on meta"),
        (torch.ones(0, 3), torch.ones(0, 3), None, "first must have >= [12] rows, got 0"),
        (torch.ones(4, 0), torch.ones(4, 0), None, r"first must be .* \(N, d\), got .*\(4, 0\)"),
        (
            torch.ones(4, 3),
            torch.ones(4, 3),
            torch.zeros(3, dtype=torch.long),
            r"labels must be .*\(4,\), got .*\(3,\)",
        ),
        (torch.ones(4, 3), torch.ones(4, 3), torch.zeros(4), "labels must be integers .* got torch.float32"),
        (
            torch.ones(4, 3),
            torch.ones(4, 3),
            torch.zeros(4, dtype=torch.long, device="meta"),
            "labels must be on cpu as the embeddings, got meta; move them there",
        ),
    ),
)
def test_wrong_tensors(loss, first, second, labels, message):
    with pytest.raises(ValueError, match=message):
        loss(first, second, labels)


@pytest.mark.parametrize("loss", (dcl, vicreg, barlow_twins))
def test_a_single_sample_is_refused_where_nothing_is_left(loss):
    with pytest.raises(ValueError, match="first must have >= 2 rows, got 1; raise the batch size"):
        loss(torch.ones(1, 3), torch.ones(1, 3))


@pytest.mark.parametrize("loss", (info_nce, supcon, dcl))
@pytest.mark.parametrize("temperature", (0, -1.0, float("nan"), float("inf"), True))
def test_wrong_temperature(loss, temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number > 0"):
        loss(torch.ones(4, 3), torch.ones(4, 3), temperature=temperature)


def test_wrong_choices():
    x, y = torch.ones(4, 3), torch.zeros(4, dtype=torch.long)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none, got 'all'"):
        info_nce(x, x, reduction="all")
    with pytest.raises(ValueError, match="form must be one of out, in, got 'inside'"):
        supcon(x, x, form="inside")
    with pytest.raises(ValueError, match="distance must be one of cosine, euclidean, manhattan, got 'l2'"):
        prototype_distance(x, y, torch.eye(3), distance="l2")
    with pytest.raises(ValueError, match=r"prototypes must have shape \(K, 3\), got \(4, 4\)"):
        prototype_term(x, x, y, prototypes=torch.eye(4))
    with pytest.raises(ValueError, match="prototypes must be on cpu as the embeddings, got meta; move them"):
        prototype_term(x, x, y, prototypes=torch.eye(3, device="meta"))
    for labels in (y + 3, torch.tensor([0, -1, 3, 2])):
        with pytest.raises(ValueError, match="labels must be < 3, the number of prototypes, got a larger one"):
            prototype_term(x, x, labels, prototypes=torch.eye(3))


@pytest.mark.parametrize("dtype", (torch.uint8, torch.int8, torch.int16, torch.int32), ids=str)
def test_labels_of_any_width(dtype, batch):
    """torch indexes with long and int alone, and takes uint8 for a mask."""
    first, second, _ = batch()
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    if dtype.is_signed:
        labels[1] = -1
    loss = CLOP(supcon, OrthonormalPrototypes(3, 5, dtype=torch.float64))
    assert float(loss(first, second, labels.to(dtype))) == float(loss(first, second, labels))


def test_wrong_clop():
    prototypes = OrthonormalPrototypes(2, 3)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight must be a finite number >= 0, .*0 leaves the base loss"):
            CLOP(info_nce, prototypes, weight)
    with pytest.raises(ValueError, match="distance must be one of"):
        CLOP(info_nce, prototypes, distance="l1")


def test_registry():
    assert set(LOSSES) == set(get_args(LossName))
    with pytest.raises(ValueError, match=re.escape("name must be one of " + ", ".join(get_args(LossName)))):
        by_name("simclr", temperature=0.5)
    with pytest.raises(ValueError, match="temperature must be a finite number > 0, got 0"):
        by_name("vicreg", temperature=0)
    for info in LOSSES.values():
        assert info.formula
        assert info.reduction
        function = getattr(info.loss, "func", info.loss)  # supcon_in is a partial
        assert re.match(r"arXiv:[\d.]+", info.source)[0] in function.__doc__
        assert re.search("authors' code|reconstruction", info.source)[0] in function.__doc__
        assert "\n" not in info.formula  # one line of --help


@pytest.mark.parametrize("name", get_args(LossName))
def test_what_the_registry_says_is_what_the_function_does(name, batch):
    first, second, labels = batch()
    loss, other = (by_name(name, temperature=tau) for tau in (0.2, 0.4))
    value = float(loss(first, second, labels))
    turned = float(loss(3 * first, 0.5 * second, labels))
    assert (turned == pytest.approx(value, rel=1e-12)) == LOSSES[name].cosine_only
    assert (float(other(first, second, labels)) != value) == LOSSES[name].takes_temperature
    if LOSSES[name].needs_labels:
        with pytest.raises(ValueError, match="labels must be given for .*, got none"):
            loss(first, second)


@pytest.mark.parametrize(
    "scale, dtype", ((1e25, "float32"), (1e-30, "float32"), (1e220, "float64"), (1e-220, "float64"))
)
@pytest.mark.parametrize("name", ("infonce", "supcon", "supcon_in", "dcl", "clip"))
def test_rows_whose_square_overflows_or_vanishes_keep_their_direction(name, scale, dtype, batch):
    first, second, labels = batch()
    loss = by_name(name, temperature=0.4)
    want = loss(first.double(), second.double(), labels)
    views = [(view.double() * scale).to(getattr(torch, dtype)).requires_grad_() for view in (first, second)]
    found = loss(*views, labels)
    assert float(found.detach()) == pytest.approx(float(want), rel=1e-5)
    (slope,) = torch.autograd.grad(found, views[0])
    assert slope.isfinite().all()
    assert slope.abs().amax() > 0


def test_coordinates_whose_square_overflows_are_correlated_as_others(batch):
    first, second = batch()[:2]
    want = float(barlow_twins(1e3 * first.double(), 1e3 * second.double()))
    large = [(1e25 * view.double()).float() for view in (first, second)]
    assert float(barlow_twins(*large)) == pytest.approx(want, rel=1e-4)


def test_several_labels_may_be_of_any_type():
    first, second = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    several = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [0, 1]])
    want = supcon(first, second, several)
    for dtype in (torch.bool, torch.uint8, torch.float32, torch.float64):
        assert supcon(first, second, several.to(dtype)).equal(want)
    with pytest.raises(ValueError, match="must hold 0 and 1 only"):
        supcon(first, second, several / 2)


def test_a_temperature_is_one_number():
    with pytest.raises(ValueError, match=r"temperature must be one number, got a tensor of shape \(2,\)"):
        info_nce(torch.ones(4, 3), torch.ones(4, 3), temperature=torch.ones(2))
