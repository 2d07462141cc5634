"""ResNet-18 against its known size and against one written otherwise, for the table of the stable rates."""

import math

import pytest
import torch
from torch.func import functional_call

from clopsim.training import loop
from clopsim.training.datasets import load
from clopsim.training.embedders import build, rows_at_once, with_statistics
from clopsim.training.observation import Observer
from clopsim.training.recipe import Embedder, Training
from clopsim.training.resnet import side_by_side
from clopsim.training.stack.network import stacked_network
from clopsim.training.trainee import trainee
from tests import stability

SMALL = Embedder("resnet18", 5, width=4)


def built(record=SMALL, dtype=torch.float64):
    return build(record, (3, 16, 16), samples=1, seed=0, dtype=dtype)


def pictures(count=6, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_number_of_parameters_is_that_of_the_cifar_resnet_18():
    network = build(Embedder("resnet18", 128), (3, 32, 32), samples=1, seed=0, device="meta")
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    assert sum(size for name, size in sizes.items() if not name.startswith("head")) == 11_168_832
    assert sizes["head.weight"] + sizes["head.bias"] == 128 * 512 + 128


def test_it_is_the_network_that_is_written_otherwise():
    ours, theirs = built(), stability.resnet18(4, 5).double()

    def same(theirs_conv, theirs_norm, own):
        theirs_conv.weight.data = own.weights.weight.data
        theirs_norm.weight.data, theirs_norm.bias.data = own.norm.weight.data, own.norm.bias.data

    for parameter in ours.parameters():  # or scales of 1 and shifts of 0 would hide a mistake
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    same(theirs[0], theirs[1], ours.stem)
    for block, own in zip(theirs[3:11], ours.blocks, strict=True):
        same(block.first, block.norms[0], own.first)
        same(block.second, block.norms[1], own.second)
        if not isinstance(own.short, torch.nn.Identity):
            same(*block.short, own.short)
    theirs[-1].weight.data, theirs[-1].bias.data = ours.head.weight.data, ours.head.bias.data
    x = pictures()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(network(x).square().sum(), network.parameters()) for network in (ours, theirs)]
    for own, other in zip(*(sorted(each, key=lambda g: (g.shape, float(g.sum()))) for each in gradients), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch_norm", (True, False))
def test_a_weight_laid_out_otherwise_is_the_same_weight(batch_norm):
    network = built(Embedder("resnet18", 5, width=4, batch_norm=batch_norm))
    x, before = pictures(), {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    expected = network(x)
    side_by_side(network)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name])
        if parameter.ndim == 4:
            assert parameter.stride(1) == 1  # of 1 x 1 too
    torch.testing.assert_close(network(x), expected)
    gradient = torch.autograd.grad(network(x).sum(), list(network.parameters()))
    assert all(g.shape == p.shape for g, p in zip(gradient, network.parameters(), strict=True))


def test_one_member_is_the_network_and_several_are_each_their_own():
    networks = [build(SMALL, (3, 16, 16), samples=1, seed=seed, dtype=torch.float64) for seed in range(2)]
    x = pictures()
    for members in (networks[:1], networks):
        params = {
            name: torch.stack([dict(each.named_parameters())[name] for each in members])
            for name, _ in networks[0].named_parameters()
        }
        together = stacked_network(networks[0], params, x, shared=True)
        apart = stacked_network(networks[0], params, torch.stack([x] * len(members)), shared=False)
        for k, network in enumerate(members):
            alone = functional_call(network, dict(network.named_parameters()), (x,))
            torch.testing.assert_close(together[k], alone)
            torch.testing.assert_close(apart[k], alone)


def test_it_is_evaluated_with_the_statistics_of_the_training_set():
    network, x = built(), pictures(24)
    frozen = with_statistics(network, x)
    torch.testing.assert_close(frozen(x)[:3], frozen(x[:3]))
    assert not frozen.training
    assert not dict(network.named_buffers())


def test_no_sharpness_is_recorded_of_it_and_its_weights_are_counted_before():
    recipe = Training(embedder="resnet18", dimension=128, width=64)
    assert recipe.needs()["width"] == pytest.approx(24 * 11_168_832, rel=1e-3)
    for kind, measured in (("resnet18", False), ("conv", True)):
        recipe = Training(embedder=kind, samples=40, width=2, dimension=10, batch=8, steps=2)
        data = load(recipe)
        model = trainee(recipe, data, device=torch.device("cpu"), dtype=torch.float32)
        state = Observer(recipe, data, model).record(loop.start(model))
        assert math.isfinite(state.records["sharpness"][0]) == measured


def test_large_pictures_are_embedded_in_smaller_batches():
    assert rows_at_once(torch.empty(9, 64)) == 4096
    assert rows_at_once(torch.empty(9, 3, 32, 32)) == 682
    assert rows_at_once(torch.empty(9, 3, 224, 224)) == 256
    assert rows_at_once(torch.empty(0, 3, 32, 32)) == 1
