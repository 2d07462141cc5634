"""The federation: its partition, its measures, FedAvg."""

import numpy as np
import pytest
import torch

from clopsim.protocols import networks
from clopsim.protocols.federated import deviation, dirichlet_parts, within_share


def test_every_sample_has_one_client_and_alpha_says_how_uneven():
    y = np.arange(2000) % 10

    def largest_class(alpha):
        parts = dirichlet_parts(y, clients=10, alpha=alpha, seed=3)
        assert sorted(np.concatenate(parts)) == list(range(2000))
        assert min(map(len, parts)) >= 10
        return np.mean([np.bincount(y[part]).max() / len(part) for part in parts])

    assert largest_class(100) < 0.2 < 0.4 < largest_class(0.1)
    assert all(
        np.array_equal(*pair)
        for pair in zip(*(dirichlet_parts(y, clients=4, alpha=0.1, seed=1) for _ in range(2)), strict=True)
    )


def test_deviation_is_nought_for_clients_that_agree_and_one_for_those_that_cancel():
    before = [torch.zeros(1, 2, 3, 2), torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 1, 2)]
    weights = torch.tensor([[0.5, 0.5]])
    step = torch.randn(1, 1, 3, 2)
    for second, expected in ((step, 0.0), (-step, 1.0)):
        after = [torch.cat([step, second], dim=1), before[1], before[2] + torch.randn(1, 2, 2, 2), before[3]]
        assert float(deviation(before, after, weights)) == pytest.approx(expected, abs=1e-6)  # the head is left out


def test_within_share_of_points_and_of_one_class():
    z = torch.eye(3)[[0, 0, 1, 1]][None]
    assert float(within_share(z, torch.tensor([[0, 0, 1, 1]]), classes=3)) == pytest.approx(0)
    assert float(within_share(z, torch.tensor([[0, 0, 0, 0]]), classes=3)) == pytest.approx(0.5)


def test_a_stack_is_its_networks_one_by_one():
    parameters = networks.fresh((5, 4, 3, 2), seeds=(0, 7), copies=2)
    x = torch.randn(4, 6, 5)
    *_, embedding, logits = networks.layers(parameters, x)
    for m in range(4):
        w1, b1, w2, b2, w3, b3 = (p[m] for p in parameters)
        e = (x[m] @ w1 + b1).relu() @ w2 + b2
        torch.testing.assert_close(embedding[m], e)
        torch.testing.assert_close(logits[m], e @ w3 + b3)
    assert torch.equal(parameters[0][0], parameters[0][1])
    assert not torch.equal(parameters[0][0], parameters[0][2])
    assert torch.equal(networks.fresh((5, 4, 3, 2), seeds=(7,), copies=1)[0][0], parameters[0][2])


def test_gradients_are_clipped_network_by_network():
    gradients = [torch.tensor([[[3.0]], [[0.3]]]), torch.tensor([[[4.0]], [[0.4]]])]
    first, second = networks.clipped(gradients, norm=1.0)
    torch.testing.assert_close(first.flatten(), torch.tensor([0.6, 0.3]))
    torch.testing.assert_close(second.flatten(), torch.tensor([0.8, 0.4]))
