"""The pure step, the loop, determinism, resuming, and stopping on nan."""

import dataclasses
from typing import get_args

import pytest
import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from clopsim.bounds import Setting
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.training import batches, checkpoint, loop
from clopsim.training.datasets import load
from clopsim.training.observation import dataset_of, predictions
from clopsim.training.optimizers import TRUST, at_rest, update
from clopsim.training.recipe import LossName, Training
from clopsim.training.trainee import objective, trainee

CPU = torch.device("cpu")
SMALL = Training(
    data="clusters", samples=80, features=6, dimension=4, width=8, batch=16, steps=30, save_every=10, rate=0.05,
    precision="float64",
)  # fmt: skip
LOSSES = get_args(LossName)


def ready(recipe, device=CPU, dtype=torch.float64):
    data = load(recipe, device=device, dtype=dtype)
    return data, trainee(recipe, data, device=device, dtype=dtype)


def trained(recipe, **more):
    return loop.train(recipe, *ready(recipe), **more)


def same(first, second):
    """Bit for bit, nan equal to nan."""
    assert first.step == second.step
    names = ("params", "velocity", "squares")
    for a, b in ((getattr(first, name), getattr(second, name)) for name in names):
        assert set(a) == set(b)
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert repr(first.records) == repr(second.records)
    return True


def test_the_names_of_the_losses_are_those_of_the_registry():
    from clopsim.losses import LOSSES as registry

    assert set(get_args(LossName)) == set(registry)


@pytest.mark.parametrize("embedder", ("table", "linear", "mlp", "conv"))
@pytest.mark.parametrize("precision", ("float32", "bfloat16"))
def test_the_whole_step_runs_on_the_meta_device(embedder, precision):
    """Where nothing may touch another device: batch, views, forward, loss with prototypes, gradient, update."""
    meta = torch.device("meta")
    recipe = Training(embedder=embedder, prototypes="orthonormal", labelled=0.1, precision=precision, batch=64)
    data, model = ready(recipe, meta, torch.float32)
    state = loop.start(model)
    value = objective(model, recipe, CPU if precision == "bfloat16" else meta)  # no autocast for meta
    for _ in range(2):
        state, loss = loop.step(value, state, loop.batch_of(data, recipe, state.step), recipe)
    assert state.step == 2
    assert {tensor.device.type for tensor in (loss, *state.params.values(), *state.velocity.values())} == {"meta"}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("embedder", ("table", "linear", "mlp", "conv"))
def test_every_loss_steps_on_the_meta_device(embedder, loss):
    meta = torch.device("meta")
    recipe = dataclasses.replace(
        SMALL, data="digits", dimension=9, embedder=embedder, loss=loss, prototypes="simplex", distance="manhattan"
    )
    data, model = ready(recipe, meta)
    value = objective(model, recipe, meta)
    state, _ = loop.step(value, loop.start(model), loop.batch_of(data, recipe, 0), recipe)
    assert state.step == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("embedder", ("table", "linear", "mlp", "conv"))
@pytest.mark.parametrize("precision", ("float64", "float32", "bfloat16"))
def test_training_on_cuda(embedder, precision):
    recipe = Training(embedder=embedder, prototypes="orthonormal", steps=30, batch=128, width=16, precision=precision)
    dtype = torch.float64 if precision == "float64" else torch.float32
    data, model = ready(recipe, torch.device("cuda"), dtype)
    state = loop.train(recipe, data, model)
    assert {tensor.device.type for tensor in state.params.values()} == {"cuda"}
    assert state.records["loss"][-1] < state.records["loss"][0]


def test_an_epoch_shows_every_sample_once_and_the_next_in_another_order():
    epochs = [batches.batch_indices(SMALL, 64, range(4 * epoch, 4 * epoch + 4)).flatten() for epoch in (0, 1)]
    for indices in epochs:
        assert sorted(indices.tolist()) == list(range(64))
    assert not torch.equal(*epochs)
    short = batches.batch_indices(SMALL, 70, range(4)).flatten()  # 6 left over
    assert len(set(short.tolist())) == 64
    across = batches.batch_indices(SMALL, 64, range(2, 7))  # over the end of an epoch
    assert torch.equal(across, torch.stack([batches.batch_indices(SMALL, 64, range(k, k + 1))[0] for k in range(2, 7)]))
    assert batches.batch_indices(dataclasses.replace(SMALL, batch=0), 64, range(3, 4)) is None


def test_views_differ_from_step_to_step_and_not_from_call_to_call():
    data, _ = ready(dataclasses.replace(SMALL, batch=0))
    recipe = dataclasses.replace(SMALL, batch=0)
    first, again, next_ = (loop.batch_of(data, recipe, step) for step in (3, 3, 4))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], next_[0])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("embedder", ("table", "linear", "mlp"))
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_on_every_embedder(embedder, loss):
    state = trained(dataclasses.replace(SMALL, embedder=embedder, loss=loss, rate=0.01, steps=100))
    assert state.step == 100
    assert state.records["loss"][-1] < state.records["loss"][0]
    assert all(len(values) == len(state.records["loss"]) for values in state.records.values())


@pytest.mark.parametrize("precision", ("float32", "bfloat16"))
def test_precisions_follow_float64(precision):
    """Not step by step: the noise of the views is drawn in the precision of the data."""
    recipe = dataclasses.replace(SMALL, precision=precision)
    data, model = ready(recipe, dtype=torch.float32)
    state = loop.train(recipe, data, model)
    assert {tensor.dtype for tensor in state.params.values()} == {torch.float32}
    assert state.records["loss"][-1] == pytest.approx(trained(SMALL).records["loss"][-1], abs=0.1)


def test_the_seed_decides_and_the_global_state_does_not():
    torch.manual_seed(1)
    first = trained(SMALL)
    torch.manual_seed(2)
    assert same(first, trained(SMALL))
    assert trained(dataclasses.replace(SMALL, seed=1)).records["loss"] != first.records["loss"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("embedder", ("table", "mlp"))
@pytest.mark.parametrize("at", (0, 10, 20, 30))
@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
def test_a_run_resumed_from_a_checkpoint_is_the_same_bit_for_bit(tmp_path, embedder, at, optimizer):
    recipe = dataclasses.replace(
        SMALL, embedder=embedder, prototypes="orthonormal", labelled=0.5, optimizer=optimizer, warmup=15
    )
    path = tmp_path / "run.checkpoint.pt"

    def stop(state):
        checkpoint.save(path, recipe, state)
        if state.step == at:
            raise Killed

    with pytest.raises(Killed):
        trained(recipe, on_checkpoint=stop)
    resumed = trained(recipe, state=checkpoint.load(path, recipe))
    assert same(resumed, trained(recipe))


def test_a_record_looks_at_whole_batches_of_the_training_size():
    """Or the loss at collapse, log(2B - 1), would not be comparable."""
    data, model = ready(SMALL)
    observer = loop.Observer(SMALL, data, model)
    assert len(observer.labels) == 64
    state = loop.start(model)
    collapsed = torch.ones(64, 4, dtype=torch.float64)
    assert float(observer.loss(collapsed, collapsed)) == pytest.approx(torch.tensor(31.0).log().item())
    assert set(observer.observe(state.params)) >= {"loss", "effective_rank", "view_cosine", "squared_norm"}


def test_records_become_a_dataset_like_the_sweeps():
    recipe = dataclasses.replace(SMALL, embedder="table", momentum=0.0, weight_decay=0.5, schedule="constant", batch=0)
    state = trained(recipe)
    dataset = dataset_of(recipe, state, 64)
    assert dataset["effective_rank"].dims == ("temperature", "learning_rate", "seed", "step")
    assert list(dataset["step"].values[[0, -1]]) == [0, 30]
    assert dataset.attrs["predicted_view_cosine"] == pytest.approx(1 - 0.05 * 0.5)
    assert dataset.attrs["predicted_squared_norm"] == pytest.approx(2 * 0.05 / 0.5 / 128)
    assert dataset.attrs["predicted_stable_rate"] == pytest.approx(0.5 / 2 * 128)
    final = dataset.isel(temperature=0, learning_rate=0, seed=0, step=-1)
    assert float(final["effective_rate"]) == pytest.approx(0.05 / float(final["squared_norm"]) / 32)
    assert float(final["view_cosine"]) == pytest.approx(1 - float(final["alignment"]) / 2)


def test_the_effective_rate_is_that_of_a_step_with_its_momentum():
    """The views come apart by a flip, which momentum puts off to (1 + beta) times the rate (T14)."""
    recipe = dataclasses.replace(SMALL, momentum=0.9, schedule="constant", steps=2)
    records = trained(recipe).records
    threshold = predictions(recipe, 64)["stable_rate"]
    plain = predictions(dataclasses.replace(recipe, momentum=0.0), 64)["stable_rate"]
    assert threshold == pytest.approx(1.9 * plain)
    assert records["effective_rate"][-1] == pytest.approx(recipe.rate / records["squared_norm"][-1] / threshold)


def test_no_prediction_where_the_theory_has_none():
    nothing = {"stable_rate": None, "view_cosine": None, "squared_norm": None}
    assert predictions(dataclasses.replace(SMALL, loss="vicreg"), 64) == nothing
    assert predictions(SMALL, 64)["view_cosine"] is None  # momentum, a schedule
    plain = dataclasses.replace(SMALL, momentum=0.0, schedule="constant", weight_decay=0.1)
    assert predictions(plain, 64)["view_cosine"] is None  # a network's views are not free
    assert predictions(plain, 64)["squared_norm"] is None  # the norm of a network's output is not its weights'
    table = dataclasses.replace(plain, embedder="table")
    assert predictions(table, 64)["view_cosine"] is not None
    assert predictions(dataclasses.replace(table, weight_decay=0.0), 64)["view_cosine"] is None


def test_the_views_of_a_table_under_lars_circle_t26_s_cosine():
    """Its average, over steps and pairs: no rate is small enough for it to settle."""
    recipe = dataclasses.replace(
        SMALL, embedder="table", optimizer="lars", rate=0.1 / TRUST, momentum=0.0, weight_decay=0.0,
        schedule="constant", batch=0, steps=600, dimension=3, temperature=1.0,
    )  # fmt: skip
    expected = predictions(recipe, 64)
    assert expected["view_cosine"] == pytest.approx(1 / 1.01**0.5)
    assert expected["stable_rate"] is expected["squared_norm"] is None
    tables = []
    loop.train(
        dataclasses.replace(recipe, save_every=1),
        *ready(recipe),
        on_checkpoint=lambda s: tables.append(s.params["network.rows"]),
    )
    late = geometry.unit(torch.stack(tables[200:]))
    assert float(geometry.alignment(late).mean()) / 2 == pytest.approx(1 - expected["view_cosine"], rel=0.01)
    growth = torch.stack(tables)[1:].square().sum(dim=(1, 2)) / torch.stack(tables)[:-1].square().sum(dim=(1, 2))
    torch.testing.assert_close(growth, torch.full_like(growth, 1.01))


def test_a_table_circles_t10_s_state():
    """Full batch, free norm, decay: mean view cosine 1 - mu w and mean |u|^2 = 2 mu/(n tau), from another angle.

    Nothing settles, so only means are held, and over 80 steps: rounding grows tenfold in ten to twenty steps here, and
    after 200 it has decided where every pair is.
    """
    recipe = Training(
        data="clusters", samples=128, held_out=0.0, embedder="table", dimension=3, temperature=1.0, batch=0, rate=2.0,
        weight_decay=0.05, momentum=0.0, schedule="constant", steps=80, save_every=1, precision="float64",
        sharpness=False,
    )  # fmt: skip
    expected = predictions(recipe, 128)
    setting = Setting(1.0, 3, 256, loss="full", gradient="tangent", reduction="mean")
    z = starts.near_uniform(setting, temperature=1.0, seed=0, view_angle=0.3)
    data, model = ready(recipe)
    first = loop.start(model)
    first.params["network.rows"].copy_(z * expected["squared_norm"] ** 0.5)
    tables = []
    loop.train(recipe, data, model, state=first, on_checkpoint=lambda s: tables.append(s.params["network.rows"]))
    assert len(tables) == 81
    late = torch.stack(tables[40:])
    squared_norm = late.square().sum(dim=-1)
    view_cosine = 1 - geometry.alignment(late / squared_norm.sqrt()[..., None]) / 2
    assert 1 - float(view_cosine.mean()) == pytest.approx(1 - expected["view_cosine"], rel=0.025)
    assert float(squared_norm.mean()) == pytest.approx(expected["squared_norm"], rel=0.02)


def diverging(**more):
    return dataclasses.replace(SMALL, loss="vicreg", rate=1e6, momentum=0.0, batch_norm=False, **more)


def test_nan_stops_the_run_at_its_step_and_keeps_good_checkpoints(monkeypatch):
    saved = []
    recipe = diverging(save_every=2)
    with pytest.raises(loop.Diverged) as stop:
        trained(recipe, on_checkpoint=saved.append)
    assert saved
    for state in saved:
        assert all(bool(value.isfinite().all()) for value in state.params.values())
    data, model = ready(recipe)
    value, state = objective(model, recipe, CPU), loop.start(model)
    for step in range(recipe.steps):  # by hand
        state, loss = loop.step(value, state, loop.batch_of(data, recipe, step), recipe)
        if not loss.isfinite():
            break
    assert stop.value.step == step > 0
    assert saved[-1].step <= step
    monkeypatch.setattr(loop, "recorded_steps", lambda steps: (0, steps))  # in the midst of a stretch as well
    with pytest.raises(loop.Diverged) as stop:
        trained(diverging(save_every=recipe.steps))
    assert (stop.value.step, stop.value.state.step) == (step, 0)


@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
def test_many_networks_step_together_as_one_by_one(optimizer):
    """What a training sweep builds on: the same trainee under vmap, weights, prototypes and views stacked."""
    recipes = [
        dataclasses.replace(SMALL, seed=seed, prototypes="orthonormal", optimizer=optimizer) for seed in range(3)
    ]
    pairs = [ready(recipe) for recipe in recipes]
    models = [model for _, model in pairs]
    batches = [loop.batch_of(data, recipe, 0) for recipe, (data, _) in zip(recipes, pairs, strict=True)]
    params, buffers = stack_module_state(models)

    def value(p, b, first, second, labels):
        return functional_call(models[0], (p, b), (first, second, labels))

    stacked = [torch.stack(parts) for parts in zip(*batches, strict=True)]
    gradient, losses = vmap(grad_and_value(value))(params, buffers, *stacked)
    rest = at_rest(params, recipes[0].optimizer)
    moved, _ = update(
        params, rest, gradient,
        optimizer=recipes[0].optimizer, rate=0.05, momentum=0.9, weight_decay=1e-4, stacked=True,
    )  # fmt: skip
    for k, (recipe, model) in enumerate(zip(recipes, models, strict=True)):
        state, loss = loop.step(objective(model, recipe, CPU), loop.start(model, optimizer), batches[k], recipe)
        torch.testing.assert_close(losses[k].detach(), loss)
        for name, tensor in state.params.items():
            torch.testing.assert_close(moved[name][k].detach(), tensor)
