"""A loss of another form is refused where it is given, with the form and how to come to it."""

import re
from functools import partial

import pytest
import torch
from torch import nn

import clopsim
from clopsim.losses import CLOP, LOSSES, OrthonormalPrototypes, by_name, gathered, info_nce, moco
from clopsim.losses.views import check_call_form
from clopsim.training.stability import stability

A, B, QUEUE = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2] * 2)
PROTOTYPES = OrthonormalPrototypes(3, 4)
FORM = "must be a loss of the form loss(first, second, labels=None), got "
WRAP = "wrap it: lambda first, second, labels=None: "


def distance(first, second):
    return (first - second).square().mean()


def scaled(first, second, labels=None, *, scale):
    return scale * distance(first, second)


class Distance(nn.Module):
    def forward(self, first, second):
        return distance(first, second)


class Labelled(Distance):
    def forward(self, first, second, labels=None):
        return distance(first, second)


TWO = f"{FORM}distance: too many positional arguments; add labels=None to it, or {WRAP}distance(first, second)"
OTHERS = (
    (distance, TWO),
    (Distance(), TWO.replace("distance", "Distance")),
    (lambda a, b: a.sum(), f"{FORM}<lambda>: too many positional arguments; add labels=None to it, or {WRAP}loss("),
    (scaled, f"{FORM}scaled: missing a required argument: 'scale'; set it with functools.partial"),
    (Labelled, "must be a loss of two views and labels, got the class Labelled; make one: Labelled()"),
    (moco, f"must be a loss of two views and labels, got moco, which needs a queue; {WRAP}moco(first, second, queue)"),
    (
        partial(moco, temperature=0.2),
        "must be a loss of two views and labels, got moco(temperature=0.2), which needs a queue; "
        f"{WRAP}moco(first, second, queue)",
    ),
    (
        partial(moco, queue=QUEUE),
        f"{FORM}moco(queue=an array of shape (6, 4)): too many positional arguments; add labels=None to it, or {WRAP}",
    ),
    (lambda first, second, queue=None: first.sum(), "must be a loss of two views and labels, got <lambda>, which"),
)  # fmt: skip


@pytest.mark.parametrize("loss, message", OTHERS)
def test_another_form_is_refused_where_the_loss_is_given(loss, message):
    for name, give in (
        ("base", lambda: CLOP(loss, PROTOTYPES)),
        ("loss", lambda: gathered(loss)),
        ("loss", lambda: stability(nn.Linear(4, 4), loss, [(A, B, Y)])),
        ("loss", lambda: clopsim.Monitor(loss)(A, B, Y)),
        ("loss", lambda: clopsim.rate_test(nn.Linear(4, 4), loss, [(A, B, Y)])),
    ):
        with pytest.raises(ValueError, match="^" + re.escape(f"{name} {message}")) as error:
            give()
        assert "\n" not in str(error.value)


def told_in_c(a, b, c):
    """A stand-in for what has no signature."""
    return distance(a, b)


told_in_c.__signature__ = "none to read"


@pytest.mark.parametrize(
    "loss",
    (
        lambda first, second, labels=None: moco(first, second, QUEUE),
        lambda *views_and_labels: distance(*views_and_labels[:2]),
        lambda a, b, y: distance(a, b),
        partial(scaled, scale=2.0),
        Labelled(),
        told_in_c,
        CLOP(info_nce, PROTOTYPES),
        *(by_name(name, temperature=0.5) for name in LOSSES),
    ),
)
def test_every_loss_of_the_form_passes(loss):
    check_call_form(loss, "loss")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, while it loads its compiler
def test_a_compiled_loss_passes():
    for loss in (info_nce, Labelled()):
        check_call_form(torch.compile(loss), "loss")


def test_without_labels_two_arguments_will_do():
    network = nn.Linear(4, 4)
    for loss in (distance, Distance(), partial(moco, queue=QUEUE)):
        assert stability(network, loss, [(A, B), (A, B, None)]).sharpness > 0
    with pytest.raises(ValueError, match="^loss must be a loss of two views and labels, got moco"):
        stability(network, moco, [(A, B)])
    with pytest.raises(ValueError, match="^loss must be a loss of the form"):
        stability(network, distance, [(A, B), (A, B, Y)])
    assert clopsim.Monitor(distance)(A, B)["loss"] > 0


def test_a_name_needs_a_temperature_only_where_the_loss_has_one():
    for name, info in LOSSES.items():
        if info.takes_temperature:
            with pytest.raises(ValueError, match=f"^temperature must be given for {name}, got none; typical"):
                by_name(name)
        else:
            assert repr(by_name(name)) == repr(by_name(name, temperature=0.5))  # which it ignores
    with pytest.raises(ValueError, match="^name must be one of infonce, .* got 'nothing'; choose one of them"):
        by_name("nothing")
