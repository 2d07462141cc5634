"""A member of a stack is the network that plain torch trains alone."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from clopsim.losses import CLOP, OrthonormalPrototypes, by_name
from clopsim.training import evaluation, loop
from clopsim.training.batches import views_of
from clopsim.training.datasets import load
from clopsim.training.embedders import build
from clopsim.training.recipe import Training
from clopsim.training.stack import ensemble
from clopsim.training.stack.ensemble import parts_of, train_together
from clopsim.training.stack.stack import OBSERVABLES, Stack
from clopsim.training.trainee import trainee

SMALL = Training(
    data="clusters", samples=40, features=6, classes=3, dimension=4, width=8, batch=8, steps=12, labelled=0.5,
    precision="float64", weight_decay=1e-2,
)  # fmt: skip


def members(recipe: Training) -> list[Training]:
    """Two seeds, and everything that may differ in a stack; VICReg and SimO diverge at rates that suit the others."""
    unit = {"vicreg": 0.01, "simo": 0.001}.get(recipe.loss, 1.0)
    return [
        replace(recipe, rate=0.3 * unit, seed=1),
        replace(recipe, rate=0.01 * unit, seed=2, weight_decay=0.1, temperature=0.2),
        replace(recipe, rate=0.1 * unit, seed=1, labelled=1.0, prototypes="orthonormal", weight=3.0),
        replace(recipe, rate=0.2 * unit, seed=2, prototypes="orthonormal", label_noise=0.5),
    ]


def alone(recipe: Training, steps: int) -> torch.nn.Module:
    """The textbook loop: a module, torch.optim.SGD, backward."""
    data = load(recipe, dtype=torch.float64)
    network = build(recipe.network, data.shape, samples=len(data.y), seed=recipe.seed, dtype=torch.float64)
    simplex = None
    if recipe.loss == "unhinged":
        simplex = OrthonormalPrototypes(
            data.classes, recipe.dimension, kind="simplex", seed=recipe.seed, dtype=torch.float64
        ).vectors
    loss = by_name(recipe.loss, temperature=recipe.temperature, directions=simplex)
    if recipe.prototypes != "none":
        vectors = OrthonormalPrototypes(data.classes, recipe.dimension, seed=recipe.seed, dtype=torch.float64)
        loss = CLOP(loss, vectors, recipe.weight)
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, 0.999)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=recipe.rate, betas=betas, weight_decay=recipe.weight_decay
        )
    else:
        optimiser = torch.optim.SGD(
            network.parameters(), lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = recipe.rate_at(step)
        first, second, index = views_of(data, recipe, step)
        labels = data.labels if index is None else data.labels[index]
        value = loss(*network(torch.cat([first, second])).chunk(2), labels)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    return network


def stack_of(recipes: list[Training]) -> Stack:
    return Stack(recipes, [load(recipe, dtype=torch.float64) for recipe in recipes])


@pytest.mark.parametrize(
    "change",
    [
        {"embedder": "linear"},
        {"embedder": "mlp", "batch_norm": True},
        {"embedder": "mlp", "batch_norm": False, "loss": "dcl"},
        {"embedder": "mlp", "loss": "vicreg", "schedule": "constant", "momentum": 0.0},
        {"embedder": "mlp", "loss": "barlow"},
        {"embedder": "mlp", "loss": "supcon", "batch": 0},
        {"embedder": "mlp", "loss": "simo"},
        {"embedder": "mlp", "loss": "unhinged"},
        {"embedder": "table", "held_out": 0.0},
        {"embedder": "mlp", "optimizer": "adamw", "warmup": 4},
    ],
    ids=str,
)
def test_a_member_is_the_network_trained_alone(change):
    recipes = members(replace(SMALL, **change))
    stack = stack_of(recipes)
    for _ in range(SMALL.steps):
        stack.step()
    for m, recipe in enumerate(recipes):
        network = alone(recipe, SMALL.steps)
        for name, expected in network.state_dict().items():
            torch.testing.assert_close(stack.params[name][m].detach(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
def test_a_member_is_the_run_of_train(optimizer):
    recipes = members(replace(SMALL, optimizer=optimizer, warmup=5))
    stack = stack_of(recipes)
    for _ in range(SMALL.steps):
        stack.step()
    for m, recipe in enumerate(recipes):
        data = load(recipe, dtype=torch.float64)
        model = trainee(recipe, data, device=torch.device("cpu"), dtype=torch.float64)
        state = loop.train(replace(recipe, sharpness=False), data, model)
        for name, value in stack.params.items():
            torch.testing.assert_close(value[m].detach(), state.params[f"network.{name}"], rtol=1e-9, atol=1e-10)


def test_convolutional_members_too():
    recipes = members(Training(samples=60, embedder="conv", depth=1, width=3, batch=10, steps=3, precision="float64"))
    recipes = [replace(recipe, dimension=10) for recipe in recipes]
    stack = stack_of(recipes)
    for _ in range(3):
        stack.step()
    network = alone(recipes[2], 3)
    for name, expected in network.state_dict().items():
        torch.testing.assert_close(stack.params[name][2].detach(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("precision", ("float64", "bfloat16"))
def test_large_networks_are_trained_one_by_one_each_as_alone(precision, monkeypatch):
    base = Training(
        samples=30, embedder="resnet18", width=2, dimension=10, batch=8, steps=2, precision=precision, sharpness=False,
        flip=True, rate=0.01,
    )  # fmt: skip
    recipes, sizes = members(base), []
    own = Stack.__init__

    def noted(self, recipes, loaded):
        sizes.append(len(recipes))
        own(self, recipes, loaded)

    monkeypatch.setattr(Stack, "__init__", noted)
    trained = train_together(recipes)
    assert sizes == [1, 1, 1, 1]
    near, dtype = (1e-9, torch.float64) if precision == "float64" else (0.1, torch.float32)  # bfloat16 rounds to 0.004
    data = load(recipes[2], dtype=dtype)
    state = loop.train(recipes[2], data, trainee(recipes[2], data, device=torch.device("cpu"), dtype=dtype))
    assert trained.observables["loss"][2, 0] == pytest.approx(state.records["loss"][0], rel=1e-6)
    assert trained.observables["loss"][2, -1] == pytest.approx(state.records["loss"][-1], rel=near)
    assert np.isfinite(trained.accuracies["knn"]).all()
    with pytest.raises(ValueError, match="^compile must be off in a sweep, got True; a single training takes it"):
        train_together([replace(base, compile=True)])


@pytest.mark.parametrize("loss", ["infonce", "barlow"])
def test_a_member_does_not_depend_on_its_neighbours_their_order_or_the_threads(loss, monkeypatch):
    recipes = members(replace(SMALL, loss=loss))
    together = train_together(recipes, workers=2)
    order = [3, 1, 0, 2]
    shuffled = train_together([recipes[m] for m in order], workers=1)
    single = train_together(recipes[2:3])
    monkeypatch.setattr(ensemble, "ROWS", range(1, 2))  # every member in a stack of its own
    apart = train_together(recipes, workers=2)
    for name, values in together.observables.items():
        np.testing.assert_allclose(values[order], shuffled.observables[name], rtol=1e-10)
        np.testing.assert_allclose(values[2:3], single.observables[name], rtol=1e-10)
        np.testing.assert_allclose(values, apart.observables[name], rtol=1e-10)
    for name, values in together.accuracies.items():
        np.testing.assert_array_equal(values, apart.accuracies[name])


def test_the_bits_do_not_depend_on_the_workers(monkeypatch):
    """Parts come from the recipes alone: sweeps that are resumed on another machine rely on it."""
    monkeypatch.setattr(ensemble, "ROWS", range(32, 64))
    recipes = [replace(SMALL, rate=0.01 * (m + 1), seed=m % 3) for m in range(14)]
    first = train_together(recipes, workers=1)
    for workers in (2, 5):
        again = train_together(recipes, workers=workers)
        for name in OBSERVABLES:
            np.testing.assert_array_equal(first.observables[name], again.observables[name])
        for name, values in first.accuracies.items():
            np.testing.assert_array_equal(values, again.accuracies[name])


@pytest.mark.parametrize(
    "seeds, sizes",
    [
        ([0] * 40, [4] * 10),  # as many rows as a stack may have
        ([0] * 20, [2, 3] * 4),
        ([0] * 3, [3]),
        ([0, 1] * 8, [2] * 8),
        ([0, 0, 0, 1, 2, 3], [3, 3]),
        ([5], [1]),
    ],
)
def test_every_worker_has_a_part_while_members_suffice(seeds, sizes):
    parts = parts_of(seeds, rows=8, at_once=range(16, 33))
    assert sorted(m for part in parts for m in part) == list(range(len(seeds)))
    assert [len(part) for part in parts] == sizes


@pytest.mark.parametrize("prototypes", ["none", "orthonormal"])
def test_a_member_is_what_train_makes_of_its_recipe(prototypes):
    recipe = replace(SMALL, prototypes=prototypes, seed=3, batch=16)
    data = load(recipe, dtype=torch.float64)
    model = trainee(recipe, data, device=torch.device("cpu"), dtype=torch.float64)
    state = loop.train(recipe, data, model)
    accuracies = evaluation.accuracies(data, evaluation.embed(recipe, data, model, state))
    trained = train_together([recipe, replace(recipe, rate=1.0)])
    for name in set(OBSERVABLES) & set(state.records):
        assert trained.observables[name][0, -1] == pytest.approx(state.records[name][-1], rel=1e-9), name
    assert {name: values[0] for name, values in trained.accuracies.items()} == {
        name: accuracies[name] for name in trained.accuracies
    }


def test_records_are_the_observables_of_the_member():
    recipe = replace(SMALL, batch=0, rate=0.2, seed=4, view_noise=0.0)  # without noise every view is the sample
    trained = train_together([recipe, replace(recipe, rate=0.1)])
    assert trained.steps[0] == 0
    assert trained.steps[-1] == SMALL.steps
    network = alone(recipe, SMALL.steps)
    data = load(recipe, dtype=torch.float64)
    raw = network(data.x).detach()
    z = raw / raw.norm(dim=1, keepdim=True)
    last = {name: trained.observables[name][0, -1] for name in OBSERVABLES}
    assert last["loss"] == pytest.approx(float(by_name("infonce", temperature=0.5)(raw, raw)), rel=1e-10)
    assert last["view_cosine"] == pytest.approx(1, abs=1e-12)
    assert last["squared_norm"] == pytest.approx(float(raw.square().sum(dim=1).mean()), rel=1e-10)
    assert last["mean_resultant_length"] == pytest.approx(float(z.mean(dim=0).norm()), rel=1e-9)
    assert last["embedding_variance"] == pytest.approx(float(z.var(dim=0, correction=0).sum()), rel=1e-9)
    share = torch.linalg.svdvals(z).square()
    share = share / share.sum()
    assert last["effective_rank"] == pytest.approx(float(torch.exp(-(share * share.log()).sum())), rel=1e-9)
    assert last["leading_share"] == pytest.approx(float(share[0]), rel=1e-9)
    accuracies = evaluation.accuracies(data, evaluation.embeddings_of(network, data))
    assert {name: float(values[0]) for name, values in trained.accuracies.items()} == {
        name: accuracies[name] for name in ("knn", "linear_probe")
    }


def test_a_member_that_diverges_is_nan_from_there_and_touches_no_other():
    recipe = replace(SMALL, loss="vicreg", batch_norm=False, seed=1)
    good, bad = replace(recipe, rate=1e-3), replace(recipe, rate=1e30)
    alone_, both = train_together([good]), train_together([good, bad])
    for name in OBSERVABLES:
        np.testing.assert_allclose(both.observables[name][0], alone_.observables[name][0], rtol=1e-10)
        assert np.isnan(both.observables[name][1, -1])
    assert np.isfinite(both.observables["loss"][0]).all()
    assert np.isnan(both.accuracies["knn"][1])


def test_progress_rises_to_one_and_threads_are_given_back():
    shares, threads = [], torch.get_num_threads()
    lock = threading.Lock()

    def note(share: float) -> None:
        assert not lock.locked()
        with lock:
            shares.append(share)

    train_together(members(SMALL), workers=2, on_progress=note)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    "others, message",
    [
        ([], "recipes must hold at least one"),
        ([replace(SMALL, loss="dcl")], "loss must be the same in a stack"),
        ([replace(SMALL, prototypes=kind) for kind in ("simplex", "orthonormal")], "prototypes must be the same"),
        ([replace(SMALL, batch=4)], "batch must be the same"),
    ],
)
def test_what_cannot_share_a_stack_is_refused(others, message):
    with pytest.raises(ValueError, match=message):
        train_together([SMALL, *others] if others else [])
    with pytest.raises(ValueError, match="precision must be float32 or float64"):
        train_together([replace(SMALL, precision="bfloat16")])


def test_a_step_runs_on_the_meta_device():
    recipe = replace(SMALL, prototypes="orthonormal", precision="float32")
    data = load(recipe)
    there = replace(data, **{name: getattr(data, name).to("meta") for name in ("x", "y", "labels", "held_x", "held_y")})
    stack = Stack([recipe, replace(recipe, rate=1.0)], [there, there])
    stack.step()
    assert all(value.is_meta for value in stack.params.values())
