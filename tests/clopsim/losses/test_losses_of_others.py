"""Values and gradients against maintained packages, to rounding: pytorch-metric-learning, and lightly where it is.

pytorch-metric-learning has NTXentLoss, SupConLoss and VICRegLoss of ours, no DCL and no Barlow Twins. lightly has
NTXentLoss, DCLLoss, BarlowTwinsLoss and VICRegLoss with its terms, no SupCon; its DCLWLoss weights the positives and is
none of ours. Neither has prototypes.

lightly needs torchvision, whose wheels import beside the torch of the same index only, not beside the pinned CPU build.
So its tests are skipped in the usual environment and run in one of their own (torch 2.14.1, torchvision 0.29.1 and
lightly 1.6.0 the last time):

    python3 -m venv /tmp/lightly
    /tmp/lightly/bin/pip install torch torchvision lightly pytorch-metric-learning pytest mpmath scipy sympy
    /tmp/lightly/bin/python -m pytest tests/clopsim/losses
"""

import importlib
import warnings
from functools import partial

import pytest
import torch

from clopsim.losses import barlow_twins, by_name, vicreg


def gradients(loss, first, second, labels):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    return torch.autograd.grad(loss(first, second, labels), (first, second))


def package(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both import what torch deprecates
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def pml():
    return package("pytorch_metric_learning.losses")


@pytest.fixture(scope="module")
def lightly():
    try:
        return package("lightly.loss")
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        pytest.skip(f"needs lightly and torchvision in an environment of their own, see the top of this file: {error}")


def compare(ours, theirs, first, second, labels):
    value = float(ours(first, second, labels))
    assert value == pytest.approx(float(theirs(first, second, labels)), rel=1e-13, abs=1e-14)
    torch.testing.assert_close(
        gradients(ours, first, second, labels), gradients(theirs, first, second, labels), rtol=1e-11, atol=1e-14
    )


@pytest.mark.parametrize("temperature", (0.05, 0.5))
def test_info_nce(pml, temperature, batch):
    loss = pml.SelfSupervisedLoss(pml.NTXentLoss(temperature=temperature))
    compare(by_name("infonce", temperature=temperature), lambda a, b, _: loss(a, b), *batch())


@pytest.mark.parametrize("temperature", (0.05, 0.5))
def test_supcon(pml, temperature, batch):
    loss = pml.SupConLoss(temperature=temperature)

    def theirs(first, second, labels):
        classes = torch.where(labels < 0, 100 + torch.arange(len(labels)), labels)  # unlabelled: a class of its own
        return loss(torch.cat([first, second]), torch.cat([classes, classes]))

    compare(by_name("supcon", temperature=temperature), theirs, *batch())


def test_vicreg(pml, batch):
    first, second, labels = batch()
    loss = pml.VICRegLoss()  # averages non-zero entries only: keep every spread below 1
    compare(vicreg, lambda a, b, _: loss(a, ref_emb=b), first / 3, second / 3, labels)


@pytest.mark.parametrize("name, theirs", (("infonce", "NTXentLoss"), ("dcl", "DCLLoss")))
@pytest.mark.parametrize("temperature", (0.05, 0.5))
def test_contrastive_losses_of_lightly(lightly, name, theirs, temperature, batch):
    loss = getattr(lightly, theirs)(temperature=temperature)
    compare(by_name(name, temperature=temperature), lambda a, b, _: loss(a, b), *batch())


@pytest.mark.parametrize("redundancy", (0.0051, 5e-3))
def test_barlow_twins_of_lightly(lightly, redundancy, batch):
    """Its default weight is 0.005; ours is the 0.0051 of the authors' code."""
    loss = lightly.BarlowTwinsLoss(lambda_param=redundancy)
    compare(partial(barlow_twins, redundancy=redundancy), lambda a, b, _: loss(a, b), *batch())


@pytest.mark.parametrize("weights", ((25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
@pytest.mark.parametrize("scale", (0.3, 1.0, 3.0))  # spreads below the target, on both sides of it, above
def test_vicreg_of_lightly_and_each_of_its_terms(lightly, weights, scale, batch):
    first, second, labels = batch()
    loss = lightly.VICRegLoss(*weights)
    ours = partial(vicreg, **dict(zip(("invariance", "variance", "covariance"), weights, strict=True)))
    compare(ours, lambda a, b, _: loss(a, b), scale * first, scale * second, labels)
