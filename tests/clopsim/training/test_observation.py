"""The sharpness among the records of a training run."""

import dataclasses
import math
import sys
from typing import get_args

import numpy as np
import pytest
import torch

from clopsim.show.tables import sharpness_line
from clopsim.sphere.dynamics import recorded_steps
from clopsim.training import loop
from clopsim.training.datasets import load
from clopsim.training.observation import Observer, dataset_of
from clopsim.training.recipe import LossName, Training
from clopsim.training.trainee import trainee

SMALL = Training(
    data="clusters", samples=20, held_out=0.2, features=3, dimension=3, classes=2, depth=1, width=4, batch=8, steps=30,
    rate=0.05, precision="float64",
)  # fmt: skip


def ready(recipe):
    dtype = torch.float64 if recipe.precision == "float64" else torch.float32
    data = load(recipe, dtype=dtype)
    return data, trainee(recipe, data, device=torch.device("cpu"), dtype=dtype)


def dense(observer, model, params):
    """Largest eigenvalue of the whole Hessian."""
    return float(torch.linalg.eigvalsh(dense_hessian(observer, model, params))[-1])


def dense_hessian(observer, model, params):
    """The whole Hessian, batch by batch and column by column."""
    shapes = {name: value.shape for name, value in params.items()}
    flat = torch.cat([value.reshape(-1) for value in params.values()])
    total = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    batches = list(
        zip(*(part.split(observer.batch) for part in (observer.first, observer.second, observer.labels)), strict=True)
    )
    for batch in batches:

        def loss(vector, batch=batch):
            pieces = vector.split([shape.numel() for shape in shapes.values()])
            weights = {name: piece.view(shape) for piece, (name, shape) in zip(pieces, shapes.items(), strict=True)}
            return torch.func.functional_call(model, weights, batch)

        total += torch.autograd.functional.hessian(loss, flat) / len(batches)
    return total


def test_the_edge_of_adamw_is_that_of_its_own_second_moments():
    recipe = dataclasses.replace(SMALL, optimizer="adamw", rate=0.01, momentum=0.8, weight_decay=0.1)
    data, model = ready(recipe)
    state = loop.train(recipe, data, model)
    first, last = (state.records["stable_learning_rate"][place] for place in (0, -1))
    assert math.isnan(first)  # no second moments yet
    observer = Observer(recipe, data, model)
    scale = torch.cat([value.reshape(-1) for value in state.squares.values()]) / (1 - 0.999**recipe.steps)
    root = (scale.sqrt() + 1e-8).sqrt()
    h = float(torch.linalg.eigvalsh(dense_hessian(observer, model, state.params) / root / root[:, None])[-1])
    assert last == pytest.approx(2 * 1.8 / (0.2 * h + 1.8 * 0.1), rel=1e-3)
    assert state.records["sharpness"][-1] == pytest.approx(dense(observer, model, state.params), rel=1e-3)


def test_lars_has_no_edge():
    recipe = dataclasses.replace(SMALL, optimizer="lars", rate=1.0)
    records = loop.train(recipe, *ready(recipe)).records
    assert all(math.isnan(value) for value in records["stable_learning_rate"])
    assert records["sharpness"][-1] > 0
    assert all(math.isnan(value) for value in records["effective_rate"])  # T5 is of descent
    setting = {**dataclasses.asdict(recipe), "momentum": 0.0}
    assert "no rate is below an edge" in sharpness_line(setting, {"sharpness": 3.0, "stable_learning_rate": None})


EMBEDDERS = [
    {"embedder": "table"},
    {"embedder": "linear"},
    {"embedder": "mlp"},
    {"embedder": "mlp", "batch_norm": False},
    {"embedder": "conv", "data": "digits", "classes": 10, "dimension": 10, "prototypes": "orthonormal"},
    {"embedder": "conv", "data": "digits", "classes": 10, "batch_norm": False},
    {"embedder": "mlp", "prototypes": "simplex", "distance": "euclidean", "labelled": 0.5},
    {"embedder": "table", "batch": 0, "prototypes": "orthonormal"},
    *({"loss": loss} for loss in get_args(LossName)[1:]),
]


@pytest.mark.parametrize("more", EMBEDDERS, ids=lambda more: " ".join(map(str, more.values())))
def test_the_recorded_sharpness_is_that_of_the_dense_hessian(more):
    recipe = dataclasses.replace(SMALL, **more)
    data, model = ready(recipe)
    state = loop.start(model)
    value = loop.objective(model, recipe, data.y.device)
    for _ in range(3):
        state, _ = loop.step(value, state, loop.batch_of(data, recipe, state.step), recipe)
    observer = Observer(recipe, data, model)
    assert len(observer.labels) == 16
    assert observer.sharpness(state.params) == pytest.approx(dense(observer, model, state.params), rel=0.01)


@pytest.mark.parametrize("momentum, weight_decay", [(0.0, 0.0), (0.9, 0.5)])
def test_it_is_recorded_at_the_start_about_once_a_decade_and_at_the_end(momentum, weight_decay):
    recipe = dataclasses.replace(SMALL, steps=100, momentum=momentum, weight_decay=weight_decay)
    state = loop.train(recipe, *ready(recipe))
    dataset = dataset_of(recipe, state, 16).isel(temperature=0, learning_rate=0, seed=0)
    measured = dataset["sharpness"].dropna("step")
    assert list(measured["step"].values) == [*recorded_steps(100)[::8], 100] == [0, 8, 38, 100]
    there = dataset.sel(step=measured["step"])
    np.testing.assert_allclose(
        there["stable_learning_rate"], 2 * (1 + momentum) / (there["sharpness"] + weight_decay), rtol=1e-12
    )
    assert np.isnan(dataset["stable_learning_rate"]).sum() == len(dataset["step"]) - 4
    assert "mean over the observed batches" in dataset["sharpness"].attrs["long_name"]


@pytest.mark.parametrize("more", [{"precision": "bfloat16"}, {"compile": True}])
def test_mixed_precision_and_the_compiler_have_no_part_in_it(more):
    recipe = dataclasses.replace(SMALL, precision="float32")
    data, model = ready(recipe)
    params = loop.start(model).params
    plain = Observer(recipe, data, model).sharpness(params)
    assert plain == Observer(dataclasses.replace(recipe, **more), data, model).sharpness(params)


def test_looking_does_not_touch_the_training_and_reports_its_products():
    seen = []
    looked = loop.train(SMALL, *ready(SMALL), on_product=lambda state, number: seen.append((state.step, number)))
    blind = dataclasses.replace(SMALL, sharpness=False)
    not_looked = loop.train(blind, *ready(blind))
    assert all(torch.equal(looked.params[name], value) for name, value in not_looked.params.items())
    assert {step for step, _ in seen} == {0, 10, 30}
    assert [number for step, number in seen if step == 10][:3] == [1, 2, 3]
    assert all(
        math.isnan(value) for name in ("sharpness", "stable_learning_rate") for value in not_looked.records[name]
    )


def test_nan_and_never_a_crash(monkeypatch):
    data, model = ready(SMALL)
    observer, state = Observer(SMALL, data, model), loop.start(model)
    broken = {name: value * math.nan for name, value in state.params.items()}
    assert math.isnan(observer.sharpness(broken))
    monkeypatch.setattr(sys.modules["clopsim.training.sharpness"], "RESTARTS", 1)
    monkeypatch.setattr(sys.modules["clopsim.training.observation"], "SHARPNESS_TOLERANCE", 1e-15)
    record = observer.record(state).records
    assert math.isnan(record["sharpness"][0])
    assert math.isnan(record["stable_learning_rate"][0])
    assert math.isfinite(record["loss"][0])


def test_without_upward_curvature_no_rate_is_too_large(monkeypatch):
    data, model = ready(SMALL)
    observer = Observer(SMALL, data, model)
    monkeypatch.setattr(observer, "sharpness", lambda params, on_product: -1.0)
    final = {name: values[-1] for name, values in observer.record(loop.start(model)).records.items()}
    assert math.isnan(final["stable_learning_rate"])
    setting = dataclasses.asdict(dataclasses.replace(SMALL, schedule="constant", momentum=0.0))
    line = sharpness_line(setting, {**final, "stable_learning_rate": None})
    assert line == "Sharpness -1: plain descent is stable at any rate (this run: 0.05)."
