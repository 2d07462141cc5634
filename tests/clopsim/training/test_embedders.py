import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from clopsim.training.embedders import TABLE_VIEW_NOISE, build, with_statistics
from clopsim.training.recipe import Embedder

KINDS = ("table", "linear", "mlp", "conv", "resnet18")


def inputs(kind, count=6, seed=0, dtype=torch.float32):
    if kind == "table":
        return torch.arange(count)
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_norm", (True, False))
def test_every_kind_embeds(kind, batch_norm):
    network = build(Embedder(kind, 5, depth=2, width=7, batch_norm=batch_norm), (1, 8, 8), samples=6, seed=0)
    assert network(inputs(kind)).shape == (6, 5)
    assert not dict(network.named_buffers())  # a pure function of parameters and inputs


def test_vectors_and_images_are_flattened():
    assert build(Embedder("linear", 3), (7,), samples=1, seed=0)(torch.zeros(2, 7)).shape == (2, 3)
    network = build(Embedder("mlp", 3, depth=3, width=4), (2, 5, 5), samples=1, seed=0)
    linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(50, 4), (4, 4), (4, 4), (4, 3)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_whatever_the_global_state_device_and_precision(kind):
    record = Embedder(kind, 5, width=8)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build(record, (1, 8, 8), samples=4, seed=3, dtype=torch.float64)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    second = build(record, (1, 8, 8), samples=4, seed=3, dtype=torch.float64)
    single = build(record, (1, 8, 8), samples=4, seed=3)
    other = build(record, (1, 8, 8), samples=4, seed=4, dtype=torch.float64)
    for a, b, c in zip(first.parameters(), second.parameters(), single.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.float(), c)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert all(p.device.type == "meta" for p in build(record, (1, 8, 8), samples=4, seed=3, device="meta").parameters())


def test_weights_are_uniform_within_one_over_the_root_of_the_fan_in():
    network = build(Embedder("mlp", 50, depth=1, width=400, batch_norm=False), (100,), samples=1, seed=0)
    for layer, bound in ((network[1], 0.1), (network[3], 0.05)):
        for parameter in (layer.weight.detach(), layer.bias.detach()):
            assert float(parameter.abs().max()) <= bound
            assert float(parameter.abs().max()) > 0.9 * bound
        assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.03)


def test_a_table_starts_with_its_views_close():
    table = build(Embedder("table", 8), (64,), samples=2000, seed=0, dtype=torch.float64)
    first, second = table(torch.arange(2000)), table(torch.arange(2000) + 2000)
    assert float(first.detach().square().sum(dim=1).mean()) == pytest.approx(1, rel=0.05)
    apart = (first - second).detach().square().sum(dim=1).mean()
    assert float(apart) == pytest.approx(2 * TABLE_VIEW_NOISE**2, rel=0.05)


def test_statistics_of_the_training_set_make_embeddings_independent_of_their_batch():
    network = build(Embedder("conv", 4, width=6), (1, 8, 8), samples=1, seed=0, dtype=torch.float64)
    x = inputs("conv", 40, dtype=torch.float64)
    frozen = with_statistics(network, x)
    torch.testing.assert_close(frozen(x)[:3], frozen(x[:3]))
    assert not torch.allclose(network(x)[:3], network(x[:3]))
    # the biased variance of training and the unbiased one of the running average differ by n/(n - 1)
    torch.testing.assert_close(frozen(x), network(x), rtol=0.05, atol=0.05)
    assert not dict(network.named_buffers())
    assert not frozen.training
    halves = with_statistics(network, x, batch=20)
    assert float((halves(x) - frozen(x)).detach().abs().max()) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_many_networks_advance_together(kind):
    networks = [build(Embedder(kind, 5, width=4), (1, 8, 8), samples=6, seed=seed) for seed in range(3)]
    params, buffers = stack_module_state(networks)
    assert not buffers
    x = inputs(kind)
    together = vmap(lambda p: functional_call(networks[0], p, (x,)))(params)
    for one, network in zip(together, networks, strict=True):
        torch.testing.assert_close(one, network(x))


def test_wrong_shapes():
    for kind in ("conv", "resnet18"):
        rule = (
            f"^embedder must be table, linear or mlp for vectors of length 7, got '{kind}', which takes pictures: store"
        )
        with pytest.raises(ValueError, match=rule):
            build(Embedder(kind), (7,), samples=1, seed=0)
    with pytest.raises(ValueError, match="^depth must be <= 3 for 8 x 8 pixels, got 4; every layer halves them"):
        build(Embedder("conv", depth=4), (1, 8, 8), samples=1, seed=0)
