"""The files of a finished training."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import xarray as xr

from clopsim.runs import results, training_run
from clopsim.training import checkpoint, loop
from clopsim.training.datasets import load
from clopsim.training.recipe import Training
from clopsim.training.trainee import trainee

SMALL = Training(
    data="clusters", samples=80, features=6, dimension=4, width=8, batch=0, steps=30, precision="float64", seed=1
)


ORIGIN = {**results.origin_now("clopsim train ..."), "date": "2026-01-01T00:00:00+00:00"}


def ready(recipe):
    data = load(recipe, dtype=torch.float64)
    return data, trainee(recipe, data, device=torch.device("cpu"), dtype=torch.float64)


@pytest.mark.parametrize("alive", (0, 3))
def test_a_run_whose_embeddings_have_no_length_is_written_too(tmp_path, alive):
    recipe = dataclasses.replace(SMALL, embedder="table")
    data, model = ready(recipe)
    state = loop.start(model)
    state.params["network.rows"].mul_(torch.arange(128)[:, None] < alive)
    state = loop.Observer(recipe, data, model).record(state)
    summary = training_run.write(tmp_path, recipe, data, model, state=state, origin=ORIGIN)
    assert summary["verdict"] == "collapsed"
    assert json.loads((tmp_path / "summary.json").read_text())["final"]["mean_cosine"] is None


def test_a_run_is_written_with_everything_to_go_on(tmp_path):
    recipe = dataclasses.replace(SMALL, labelled=0.5)
    data, model = ready(recipe)
    state = loop.train(recipe, data, model)
    summary = training_run.write(tmp_path, recipe, data, model, state=state, origin=ORIGIN)
    assert {path.name for path in tmp_path.iterdir()} == {
        "data.nc", "summary.json", "provenance.json", "train.png", "embeddings.npz", "checkpoint.pt",
    }  # fmt: skip
    assert json.loads((tmp_path / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert set(json.loads((tmp_path / "provenance.json").read_text())["sha256"]) == {
        "data.nc", "summary.json", "train.png", "embeddings.npz", "checkpoint.pt",
    }  # fmt: skip
    with np.load(tmp_path / "embeddings.npz") as arrays:
        assert arrays["z"].shape == (80, 4)
        np.testing.assert_allclose(np.linalg.norm(arrays["z"], axis=1), 1)
        assert (arrays["split"] == "train").sum() == 64
        np.testing.assert_array_equal(arrays["y"], np.concatenate([data.y, data.held_y]))
        assert (arrays["labels"] >= 0).sum() == 32
        assert arrays["norm"].min() > 0
    with xr.open_dataset(tmp_path / "data.nc") as dataset:
        assert dataset.attrs["command"] == "clopsim train ..."
        assert json.loads(dataset.attrs["recipe"])["labelled"] == 0.5
        assert dataset.attrs["accuracy_knn"] == summary["accuracy"]["knn"]
    assert checkpoint.load(tmp_path / "checkpoint.pt", recipe).step == 30
