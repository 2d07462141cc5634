"""Values and gradients against pytorch-metric-learning, a maintained package, to rounding."""

import importlib
import warnings

import pytest
import torch

from clopsim.losses import by_name, vicreg


def gradients(loss, first, second, labels):
    first, second = first.clone().requires_grad_(), second.clone().requires_grad_()
    return torch.autograd.grad(loss(first, second, labels), (first, second))


@pytest.fixture(scope="module")
def pml():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports torch's deprecated scripting
        return importlib.import_module("pytorch_metric_learning.losses")


def compare(ours, theirs, first, second, labels):
    assert float(ours(first, second, labels)) == pytest.approx(float(theirs(first, second, labels)), rel=1e-13)
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
