"""PAUC-style beyond what every loss is asked: single terms, missing labels, absent classes, zero class means."""

import math
from functools import partial

import pytest
import torch

from clopsim.losses import LOSSES, info_nce, pauc

WAVES = torch.tensor([[math.cos(i * j) for j in range(1, 6)] for i in range(1, 13)], dtype=torch.float64)
PAIRS = torch.tensor([0, 0, 1, 1, 2, 2])
TERMS = ("prototypes", "alignment", "uniformity", "correlation")
OFF = dict.fromkeys(TERMS, 0.0)


def gradient(loss, *views):
    views = [view.clone().requires_grad_() for view in views]
    return torch.autograd.grad(loss(*views), views)


def term(name, first, second, labels, **options):
    without = pauc(first, second, labels, **{**options, **OFF})
    return float(pauc(first, second, labels, **{**options, **OFF, name: 1.0}) - without)


def test_golden_values():
    assert float(pauc(WAVES[:6], WAVES[6:], PAIRS)) == pytest.approx(-0.109316134939, abs=1e-12)
    values = (0.449020835670, 0.962661242843, -3.516477434510, 0.538052097328)
    for name, value in zip(TERMS, values, strict=True):
        assert term(name, WAVES[:6], WAVES[6:], PAIRS) == pytest.approx(value, abs=1e-12), name
    assert float(pauc(WAVES[:6], WAVES[6:], PAIRS, **OFF)) == pytest.approx(1.457427123731, abs=1e-12)


def test_the_weights_multiply_their_terms_and_t_the_energy(batch):
    first, second, labels = batch(8, 5)
    for name in TERMS:
        thrice = pauc(first, second, labels, **{**OFF, name: 3.0}) - pauc(first, second, labels, **OFF)
        assert float(thrice) == pytest.approx(3 * term(name, first, second, labels), rel=1e-12)
    # two classes: one pair, so U is linear in t
    two = labels.clamp(min=0, max=1)
    slow, fast = (term("uniformity", first, second, two, t=t) for t in (1.0, 4.0))
    assert fast == pytest.approx(4 * slow, rel=1e-12)


def test_it_never_calls_itself_the_paper_s_loss():
    info = LOSSES["pauc"]
    assert info.status == "style of"
    assert "PAUC-style" in info.source
    assert "not the paper's loss" in pauc.__doc__


def test_classes_are_those_of_the_batch_however_numbered(batch):
    first, second, _ = batch(6, 5)
    wanted = pauc(first, second, PAIRS)
    for numbers in ((7, 3, 1000), (2, 0, 1), (5, 6, 0)):  # others are absent
        named = torch.tensor(numbers)[PAIRS]
        assert float(pauc(first, second, named)) == pytest.approx(float(wanted), rel=1e-14)
    order = torch.tensor([5, 2, 0, 3, 1, 4])
    assert float(pauc(first[order], second[order], PAIRS[order])) == pytest.approx(float(wanted), rel=1e-13)
    assert float(pauc(second, first, PAIRS)) == pytest.approx(float(wanted), rel=1e-13)  # symmetric in the views


def test_an_unlabelled_sample_is_in_info_nce_alone(batch):
    first, second, _ = batch(6, 5)
    labels = torch.tensor([0, 0, 1, 1, -1, -7])
    slope = gradient(lambda a, b: pauc(a, b, labels) - info_nce(a, b), first, second)
    for view in slope:
        assert view[:4].abs().min() > 1e-6
        assert not view[4:].abs().max() > 1e-15
    alone = [term(name, first[:4], second[:4], labels[:4]) for name in TERMS]
    assert [term(name, first, second, labels) for name in TERMS] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("labels", (None, torch.full((6,), -1)))
def test_without_labels_it_is_info_nce(labels, batch):
    first, second, _ = batch(6, 5)
    wanted = gradient(partial(info_nce, temperature=0.3), first, second)
    found = gradient(lambda a, b: pauc(a, b, labels, temperature=0.3), first, second)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15)


def test_one_class_has_no_pairs(batch):
    first, second, _ = batch(6, 5)
    labels = torch.zeros(6, dtype=torch.long)
    assert [term(name, first, second, labels) for name in ("prototypes", "uniformity", "correlation")] == [0, 0, 0]
    assert term("alignment", first, second, labels) > 0.01
    assert all(slope.isfinite().all() for slope in gradient(lambda a, b: pauc(a, b, labels), first, second))


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32), ids=str)
def test_a_class_mean_that_vanishes_is_the_zero_vector(dtype, batch):
    """Rows that cancel: exactly, and but for rounding. Nothing is nan, and the slope does not explode."""
    first, second, _ = batch(6, 5, dtype=dtype)
    first[1], second[1] = -3 * first[0], -0.7 * second[0]
    a, b = torch.nn.functional.normalize(first[2:4]).unbind()
    first[3] = -a
    first[4], first[5] = a, b  # a class that has a mean
    for labels in (PAIRS, torch.tensor([0, 0, 0, 1, 1, 1]), torch.zeros(6, dtype=torch.long)):
        for slope in gradient(lambda a, b, y=labels: pauc(a, b, y), first, second):
            assert slope.isfinite().all()
            assert slope.abs().max() < 100
    # both views of class 0 cancel: no distance; its cosines are 0, so E of its rows is log of K terms
    rows = torch.eye(4, dtype=dtype)
    x = torch.stack([rows[0], -rows[0], rows[1], rows[1]])
    labels = torch.tensor([0, 0, 1, 1])
    tau = 0.5
    wanted = (2 * math.log(2) + 2 * (math.log(1 + math.exp(1 / tau)) - 1 / tau)) / 4
    assert term("prototypes", x, x, labels) == pytest.approx(wanted, rel=1e-5)
    assert term("alignment", x, x, labels) == 0
    assert term("uniformity", x, x, labels) == pytest.approx(-4, rel=1e-5)  # t = 2, cosine 0
    assert term("correlation", x, x, labels) == 0
    one = torch.stack([rows[2], rows[2], rows[1], rows[1]])
    assert term("alignment", x, one, labels) == pytest.approx(0.5, rel=1e-5)  # |0 - b|^2 = 1, over two classes


def test_the_terms_on_means_do_not_see_the_spread_around_them(batch):
    """What T34 calls blind: mirrored rows of a class keep its mean, and the three terms do not change."""
    mean = torch.eye(3, 6, dtype=torch.float64)[[0, 0, 1, 1, 2, 2]]
    across = batch(3, 6)[0]
    across[:, :3] = 0
    across = torch.nn.functional.normalize(across)
    spread = torch.stack([across, -across], dim=1).reshape(6, 6)
    for size in (0.0, 0.3, 1.0):
        z = mean + size * spread
        assert term("alignment", z, z, PAIRS) == pytest.approx(0, abs=1e-15)
        assert term("uniformity", z, z, PAIRS) == pytest.approx(-4, abs=1e-13)
        assert term("correlation", z, z, PAIRS) == pytest.approx(0, abs=1e-15)
    assert term("prototypes", mean, mean, PAIRS) < term("prototypes", mean + spread, mean + spread, PAIRS) - 0.1


@pytest.mark.parametrize("options, message", (
    ({"alignment": -1.0}, "alignment must be a finite number >= 0"),
    ({"prototypes": math.inf}, "prototypes must be a finite number >= 0"),
    ({"t": 0.0}, "t must be a finite number > 0, got 0.0; Wang and Isola take 2"),
    ({"temperature": -1.0}, "temperature must be a finite number > 0"),
))  # fmt: skip
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        pauc(torch.ones(4, 3), torch.ones(4, 3), **options)


def test_wrong_number_of_views():
    for views in (torch.ones(4, 3), torch.ones(3, 4, 3)):
        with pytest.raises(ValueError, match="first must hold two views, got [13]; class means of two are compared"):
            pauc(views)
    with pytest.raises(ValueError, match="labels must be integers"):
        pauc(torch.ones(4, 3), torch.ones(4, 3), torch.zeros(4))
