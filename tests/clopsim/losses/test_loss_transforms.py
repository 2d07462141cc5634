"""Every loss under gradcheck, vmap, compile, autocast, in half precision and on the meta device."""

import os
import shutil
from functools import partial
from typing import get_args

import pytest
import torch

from clopsim.losses import CLOP, LOSSES, LossName, OrthonormalPrototypes, by_name, info_nce, prototype_term, supcon

NAMES = get_args(LossName)
DISTANCES = ("cosine", "euclidean", "manhattan")
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def loss_of(name, *, temperature=0.3, dtype=torch.float64):
    """A registered loss, or `clop DISTANCE` over InfoNCE."""
    if not name.startswith("clop"):
        return by_name(name, temperature=temperature)
    prototypes = OrthonormalPrototypes(3, 5, dtype=dtype)
    return CLOP(by_name("infonce", temperature=temperature), prototypes, 0.7, distance=name.split()[1])


ALL = (*NAMES, *(f"clop {distance}" for distance in DISTANCES))


@pytest.mark.parametrize("name", ALL)
def test_gradcheck(name, batch):
    first, second, labels = batch(4, 5)
    loss = loss_of(name)
    assert torch.autograd.gradcheck(
        lambda a, b: loss(a, b, labels), (first.requires_grad_(), second.requires_grad_()), atol=1e-7
    )


@pytest.mark.parametrize("name", ALL)
def test_many_models_at_once_are_each_alone(name, batch):
    """vmap over a leading model axis, of values and gradients, with a model that has no labelled sample."""
    draws = [batch(6, 5, seed=seed) for seed in range(3)]
    draws[1] = (*draws[1][:2], torch.full((6,), -1))
    loss = loss_of(name)
    together = torch.func.grad_and_value(lambda a, b, y: loss(a, b, y), argnums=(0, 1))
    gradients, values = torch.func.vmap(together)(*(torch.stack(part) for part in zip(*draws, strict=True)))
    for k, draw in enumerate(draws):
        alone, value = together(*draw)
        torch.testing.assert_close(values[k], value, rtol=1e-13, atol=1e-14)
        for all_models, one in zip(gradients, alone, strict=True):
            torch.testing.assert_close(all_models[k], one, rtol=1e-12, atol=1e-14)


def test_temperatures_and_weights_map_over_models(batch):
    first, second, labels = batch()
    prototypes = OrthonormalPrototypes(3, 5, dtype=torch.float64)

    def value(tau, weight):
        return CLOP(partial(supcon, temperature=tau), prototypes, weight)(first, second, labels)

    taus, weights = torch.tensor([0.05, 0.5, 2.0]).double(), torch.tensor([0.0, 1.0, 30.0]).double()
    together = torch.func.vmap(value)(taus, weights)
    for k in range(3):
        assert float(together[k]) == pytest.approx(float(value(float(taus[k]), float(weights[k]))), rel=1e-13)


@pytest.mark.parametrize("name", ALL)
def test_compiled_without_a_break_is_the_same(name, batch):
    loss = loss_of(name)
    torch.compiler.reset()
    compiled = torch.compile(lambda a, b, y: loss(a, b, y), fullgraph=True, backend="aot_eager")
    assert_the_same(loss, compiled, batch)


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # the compiler imports what torch itself deprecates
def test_compiled_to_machine_code_is_the_same(batch):
    """One graph with labels, masks and prototypes stands for all: each takes half a minute of a busy core."""
    prototypes = OrthonormalPrototypes(3, 5, dtype=torch.float64)
    loss = CLOP(partial(supcon, temperature=0.3), prototypes, 0.7, distance="manhattan")
    torch.compiler.reset()
    assert_the_same(loss, torch.compile(lambda a, b, y: loss(a, b, y), fullgraph=True), batch)


def assert_the_same(loss, compiled, batch):
    first, second, labels = batch()
    results = []
    for function in (loss, compiled):
        a, b = first.clone().requires_grad_(), second.clone().requires_grad_()
        value = function(a, b, labels)
        results.append((value.detach(), *torch.autograd.grad(value, (a, b))))
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-14)


def states(dtype, batch):
    """Random rows, a point, opposite points, a dead row, rows near the largest and the smallest float16."""
    first, second, labels = batch(6, 5, dtype=dtype)
    yield first, second, labels
    yield first[:1].expand(6, 5), first[:1].expand(6, 5), labels
    yield first[:1].expand(6, 5), -first[:1].expand(6, 5), labels
    dead = torch.arange(6)[:, None] == 2
    yield torch.where(dead, 0, first), torch.where(dead, 0, second), labels
    yield 2e4 * first.clamp(-1, 1), second, labels
    yield 1e-3 * first, 1e-3 * second, torch.full((6,), -1)


COSINE = [name for name in ALL if name.startswith("clop") or LOSSES[name].cosine_only]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", COSINE)
def test_finite_at_temperature_0_01(name, dtype, batch):
    loss = loss_of(name, temperature=0.01, dtype=dtype)
    for first, second, labels in states(dtype, batch):
        a, b = first.clone().requires_grad_(), second.clone().requires_grad_()
        value = loss(a, b, labels)
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert a.grad.dtype == dtype
        assert a.grad.isfinite().all()
        assert b.grad.isfinite().all()
        exact = loss(first.double(), second.double(), labels)
        assert float(value.detach()) == pytest.approx(float(exact), rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ("vicreg", "barlow"))
def test_statistics_of_half_precision_are_taken_in_float32(name, dtype, batch):
    first, second, _ = batch(6, 5, dtype=dtype)
    loss = by_name(name, temperature=1)
    value = loss(first.requires_grad_(), second)
    value.backward()
    assert float(value.detach()) == pytest.approx(float(loss(first.detach().double(), second.double())), rel=1e-5)
    assert first.grad.isfinite().all()


def test_a_dead_row_counts_as_cosine_0_and_gets_no_gradient(batch):
    first, second, _ = batch(3, 5)
    first[1] = 0
    first.requires_grad_()
    value = info_nce(first, second, temperature=0.5)
    value.backward()
    assert not first.grad[1].any()
    assert first.grad[0].any()
    unit = torch.nn.functional.normalize(torch.cat([first.detach(), second]), dim=1)  # a 0 row stays 0 there too
    s = unit @ unit.mT / 0.5
    wanted = sum(
        -float(s[i, (i + 3) % 6]) + float(torch.logsumexp(torch.cat([s[i, :i], s[i, i + 1 :]]), 0)) for i in range(6)
    )
    assert float(value.detach()) == pytest.approx(wanted / 6, rel=1e-13)


@pytest.mark.parametrize("bad", (float("nan"), float("inf")))
@pytest.mark.parametrize("name", ALL)
def test_embeddings_that_are_not_finite_give_nan(name, bad, batch):
    """Not the value at collapse: training that broke must not look like training that is stuck."""
    first, second, labels = batch()
    loss = loss_of(name)
    for broken in (torch.where(torch.arange(6)[:, None] == 1, bad, first), torch.full_like(first, bad)):
        assert loss(broken, second, labels).isnan()


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_autocast_leaves_the_loss_in_float32(name, dtype, batch):
    first, second, labels = batch(dtype=torch.float32)
    loss = loss_of(name, temperature=0.01, dtype=torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        inside = loss(first, second, labels)
        layer = torch.nn.Linear(5, 5)
        through = loss(layer(first), layer(second), labels)
    through.backward()
    assert inside.dtype == torch.float32
    assert torch.equal(inside, loss(first, second, labels))
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_made_on_another_device(name):
    first, second = torch.empty(2, 6, 5, device="meta").requires_grad_()
    loss = loss_of(name)
    if isinstance(loss, CLOP):
        loss = loss.to("meta")
    value = loss(first, second, torch.empty(6, dtype=torch.long, device="meta"))
    value.backward()
    assert value.device.type == "meta"
    assert value.shape == ()


@pytest.mark.parametrize("device", ("cuda", "mps"))
@pytest.mark.parametrize("name", ALL)
def test_an_accelerator_gives_the_value_of_the_cpu(name, device, batch):
    if not (torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()):
        pytest.skip(f"no {device} device")
    first, second, labels = batch(dtype=torch.float32)
    loss = loss_of(name, dtype=torch.float32)
    wanted = loss(first, second, labels)
    if isinstance(loss, CLOP):
        loss = loss.to(device)
    found = loss(first.to(device), second.to(device), labels.to(device))
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_an_embedding_on_its_prototype_has_a_finite_gradient(distance):
    c = torch.eye(3, dtype=torch.float64)
    first = c.clone().requires_grad_()
    prototype_term(first, None, torch.arange(3), prototypes=c, distance=distance).backward()
    assert first.grad.isfinite().all()


def test_not_a_number_in_an_unlabelled_row_stays_out_of_the_term(batch):
    first, second, labels = batch()
    labels[2] = -1
    first[2] = torch.nan
    assert prototype_term(first, second, labels, prototypes=torch.eye(5).double()[:3]).isfinite()
