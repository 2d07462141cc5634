"""Accuracy on held-out data, and the verdict in plain words."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch

from clopsim.training import evaluation, loop
from clopsim.training.datasets import load
from clopsim.training.evaluation import Embeddings
from clopsim.training.recipe import LossName, Training
from clopsim.training.trainee import trainee

CPU = torch.device("cpu")
SMALL = Training(
    data="clusters", samples=80, features=6, dimension=4, width=8, batch=0, steps=30, precision="float64", seed=1
)


def ready(recipe):
    data = load(recipe, dtype=torch.float64)
    return data, trainee(recipe, data, device=CPU, dtype=torch.float64)


def test_separated_classes_are_found_and_collapsed_ones_are_guessed():
    data, _ = ready(SMALL)
    apart = np.eye(4)
    perfect = evaluation.accuracies(data, Embeddings(3 * apart[data.y], 2 * apart[data.held_y]))
    assert perfect == {"knn": 1, "linear_probe": 1, "largest_class": 0.25}
    point = Embeddings(np.ones((64, 4)), np.ones((16, 4)))
    assert evaluation.accuracies(data, point)["linear_probe"] == 0.25
    shuffled = dataclasses.replace(data, y=data.y[torch.randperm(64, generator=torch.Generator().manual_seed(0))])
    unlearned = evaluation.accuracies(shuffled, Embeddings(3 * apart[data.y], 2 * apart[data.held_y]))
    assert max(unlearned["knn"], unlearned["linear_probe"]) < 0.7
    broken = Embeddings(np.full((64, 4), np.nan), np.ones((16, 4)))
    assert set(evaluation.accuracies(data, broken).values()) == {None}


def test_no_accuracy_without_labels_or_held_out_data(tmp_path):
    nothing = {"knn": None, "linear_probe": None, "largest_class": None}
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((40, 5)))
    for more in ({"data": str(tmp_path / "x.npz")}, {"held_out": 0.0}, {"embedder": "table"}):
        recipe = dataclasses.replace(SMALL, **{"samples": 0, **more})
        data, model = ready(recipe)
        assert evaluation.accuracies(data, evaluation.embed(recipe, data, model, loop.start(model))) == nothing


def test_digits_are_told_apart_far_above_chance_after_a_short_training():
    recipe = Training(steps=100, batch=128, width=32)
    data = load(recipe)
    model = trainee(recipe, data, device=CPU, dtype=torch.float32)
    state = loop.train(recipe, data, model)
    found = evaluation.accuracies(data, evaluation.embed(recipe, data, model, state))
    assert found["knn"] > 0.5
    assert found["linear_probe"] > 0.5
    assert found["largest_class"] < 0.15


def test_a_held_out_sample_has_one_embedding_whatever_its_company():
    data, model = ready(SMALL)
    state = loop.start(model)
    all_of_them = evaluation.embed(SMALL, data, model, state).held_out
    few = evaluation.embed(SMALL, dataclasses.replace(data, held_x=data.held_x[:3]), model, state).held_out
    np.testing.assert_allclose(few, all_of_them[:3])


def at(recipe, vectors):
    """A table that holds these vectors, recorded."""
    data, model = ready(dataclasses.replace(recipe, embedder="table"))
    state = loop.start(model)
    state.params["network.rows"].copy_(vectors)
    observer = loop.Observer(dataclasses.replace(recipe, embedder="table"), data, model)
    return data, model, observer.record(state)


def normal(seed=0):
    return torch.randn(128, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POINT = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)


@pytest.mark.parametrize("loss", get_args(LossName))
def test_a_collapsed_run_is_told_so_with_bound_and_remedy(loss):
    recipe = dataclasses.replace(SMALL, loss=loss, embedder="table", rate=1e4)
    data, model, state = at(recipe, POINT + 1e-3 * normal())
    found = evaluation.verdict(recipe, data, model, state)
    assert found.state == "collapsed"
    assert "collapsed onto one point: mean cosine 1.0000, effective rank 1.00" in found.text
    assert "T6" in found.text
    assert ("T5, momentum 0.9: views stay together while the learning rate is below 60.8 |u|^2" in found.text) == (
        loss in ("infonce", "dcl")
    )
    if loss in ("infonce", "supcon"):
        assert found.loss_at_collapse == pytest.approx(np.log(127))


@pytest.mark.parametrize("loss, hidden", (("vicreg", True), ("barlow", True), ("infonce", False)))
def test_a_large_common_mean_hides_a_collapse_from_losses_that_subtract_it(loss, hidden):
    recipe = dataclasses.replace(SMALL, loss=loss, embedder="table")
    one = normal()[:64]
    data, model, state = at(recipe, 1000 * POINT + torch.cat([one, one]))
    found = evaluation.verdict(recipe, data, model, state)
    assert found.state == "collapsed"
    assert state.records["loss"][-1] < 0.5 * found.loss_at_collapse or not hidden
    assert (f"hides it from {loss}, which subtracts it" in found.text) == hidden


@pytest.mark.parametrize("alive", (0, 3))
def test_embeddings_without_length_are_a_collapse_too(alive):
    """Rate x weight decay = 1 forgets the weights in each step and can end here, where no cosine is defined."""
    recipe = dataclasses.replace(SMALL, embedder="table")
    data, model, state = at(recipe, normal() * (torch.arange(128)[:, None] < alive))
    found = evaluation.verdict(recipe, data, model, state)
    assert found.state == "collapsed"
    assert found.text.startswith("collapsed to zero: embeddings without length have no direction, loss ")
    assert "Lower the rate" in found.text
    assert found.loss_at_collapse == pytest.approx(np.log(127))


def test_a_line_is_told_so():
    recipe = dataclasses.replace(SMALL, embedder="table")
    sign = torch.where(torch.arange(128) % 3 == 0, -1.0, 1.0).double()[:, None]
    data, model, state = at(recipe, sign * POINT + 1e-3 * normal())
    found = evaluation.verdict(recipe, data, model, state)
    assert found.state == "line"
    assert found.text.startswith("collapsed onto a line, both ends: mean cosine")


def test_a_rate_below_t5_is_not_said_to_be_too_large_by_it():
    recipe = dataclasses.replace(SMALL, embedder="table", rate=1e3)  # 60.8 * 30 = 1824
    data, model, state = at(recipe, POINT + 1e-3 * normal())
    assert "T5" not in evaluation.verdict(recipe, data, model, state).text


@pytest.mark.parametrize("optimizer, momentum, said", (
    ("adamw", 0.9, "Rate x weight decay is 0.05: small networks lose their rank for good above about 0.03 to 0.5"),
    ("sgd", 0.5, "Rate x weight decay / (1 - momentum) is 0.1: small networks lose their rank for good above about"),
    ("lars", 0.9, "Lower the rate"),
))  # fmt: skip
def test_decay_that_costs_the_rank_is_named(optimizer, momentum, said):
    recipe = dataclasses.replace(SMALL, optimizer=optimizer, momentum=momentum, rate=0.1, weight_decay=0.5)
    recipe = dataclasses.replace(recipe, embedder="table")
    found = evaluation.verdict(recipe, *at(recipe, POINT + 1e-3 * normal()))
    assert said in found.text
    assert ("Rate x weight decay" in found.text) == (optimizer != "lars")


def test_the_loss_alone_does_not_make_a_collapse():
    """Orthogonal embeddings have all cosines equal, so InfoNCE shows log(2N - 1), and nothing has collapsed."""
    recipe = dataclasses.replace(SMALL, embedder="table", dimension=4, temperature=2.0)
    data, model, state = at(recipe, normal())
    found = evaluation.verdict(recipe, data, model, state)
    assert state.records["loss"][-1] == pytest.approx(np.log(127), rel=0.01)
    assert found.state == "unlearned"
    assert "not collapsed (mean cosine" in found.text
    assert "embeddings that have learned nothing show it too" in found.text


def test_a_good_run_is_spread_and_prototypes_are_not_recommended_twice():
    recipe = dataclasses.replace(SMALL, rate=0.5)
    data, model = ready(recipe)
    state = loop.train(recipe, data, model)
    assert evaluation.verdict(recipe, data, model, state).state == "spread"
    recipe = dataclasses.replace(SMALL, embedder="table", prototypes="orthonormal", weight_decay=1.0)
    data, model, state = at(recipe, POINT.expand(128, 4))
    text = evaluation.verdict(recipe, data, model, state).text
    assert "T6" not in text
    assert "Rate x weight decay / (1 - momentum) is 1:" in text


def test_weight_decay_collapses_a_network_for_good():
    """Rate x weight decay = 0.5: the features die and every input gets one output (theory, section 6)."""
    recipe = dataclasses.replace(
        SMALL, rate=1.0, weight_decay=0.5, momentum=0.0, schedule="constant", steps=200, batch_norm=False
    )
    data, model = ready(recipe)
    state = loop.train(recipe, data, model)
    assert evaluation.verdict(recipe, data, model, state).state == "collapsed"


def test_a_run_ends_with_the_verdict_of_inspect():
    recipe = dataclasses.replace(SMALL, embedder="table", dimension=8, temperature=0.1)
    wide = torch.randn(128, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    one = wide[:64]
    near = torch.cat([one, one + 0.1 * wide[64:]])
    for vectors, expected, words in (
        (near, "spread", "not collapsed: mean cosine"),
        (near * (torch.arange(8) < 2), "dimensional", "collapsed in part: directions are lost: 2 of 8 directions"),
        (wide, "views", "views say little about their sample"),
    ):
        found = evaluation.verdict(recipe, *at(recipe, vectors))
        assert found.state == expected
        assert found.text.startswith(words)
