"""The closed form of the layers against torch's own gradient, for every network that takes it."""

import pytest
import torch

from clopsim.training.embedders import build
from clopsim.training.recipe import Embedder
from clopsim.training.stack import network as stacked


@pytest.mark.parametrize(
    "record",
    [
        Embedder("linear", 4),
        Embedder("mlp", 4, 1, 5),
        Embedder("mlp", 4, 3, 5),
        Embedder("mlp", 4, 2, 5, batch_norm=False),
    ],
    ids=str,
)
@pytest.mark.parametrize("shared", [True, False])
def test_embeddings_and_gradients_are_those_of_torch(record, shared, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    network = build(record, (2, 3), samples=9, seed=0, dtype=torch.float64)
    params = {
        name: torch.randn(3, *value.shape, generator=generator, dtype=torch.float64).requires_grad_()
        for name, value in network.named_parameters()
    }
    x = 1 + torch.randn(*(() if shared else (3,)), 9, 2, 3, generator=generator, dtype=torch.float64)
    outer = torch.randn(3, 9, 4, generator=generator, dtype=torch.float64)
    expected = stacked.by_torch(network, params, x, shared=shared)
    gradients = torch.autograd.grad((expected * outer).sum(), list(params.values()))
    monkeypatch.delattr(stacked, "by_torch")
    found = stacked.stacked_network(network, params, x, shared=shared)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for name, here, there in zip(
        params, torch.autograd.grad((found * outer).sum(), list(params.values())), gradients, strict=True
    ):
        torch.testing.assert_close(here, there, rtol=1e-10, atol=1e-11, msg=name)


def test_other_networks_are_left_to_torch():
    inner = [torch.nn.Linear(6, 5, bias=False), torch.nn.ReLU()]  # no batch norm behind
    network = torch.nn.Sequential(torch.nn.Flatten(), *inner, torch.nn.Linear(5, 4, bias=False)).double()
    params = {name: value.detach()[None].repeat(2, 1, 1) for name, value in network.named_parameters()}
    x = torch.randn(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = stacked.stacked_network(network, params, x, shared=True)
    torch.testing.assert_close(found, network(x).expand(2, -1, -1))
