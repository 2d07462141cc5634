"""The golden file, and the slow-loop twins that make it, against the code."""

import json
from functools import partial
from typing import get_args

import pytest
import torch
from mpmath import mpf

from clopsim.losses import LOSSES, LossName, by_name, prototype_term


@pytest.fixture(scope="module")
def stored(golden):
    return json.loads(golden.FILE.read_text())


def tensor(golden, rows):
    return torch.tensor([[float(x) for x in row] for row in golden.numbers(rows)], dtype=torch.float64)


def ours(name, options):
    """The function of this name in the code, for the options of a golden entry or of a twin."""
    if name == "prototypes":
        return partial(prototype_term, **options)
    return by_name(name, temperature=float(options.get("temperature", 1)))


def test_the_script_reproduces_the_file(golden, stored):
    assert golden.make() == stored


def test_every_loss_and_distance_has_an_entry(stored):
    entries = stored["entries"].values()
    assert {entry["loss"] for entry in entries} == {*get_args(LossName), "prototypes"}
    assert set(LOSSES) == set(get_args(LossName))


def test_values_and_gradients_are_those_of_fifty_digits(golden, stored):
    for case, entry in stored["entries"].items():
        first, second = (tensor(golden, stored["inputs"][view]).requires_grad_() for view in ("first", "second"))
        options = dict(entry["options"])
        if entry["loss"] == "prototypes":
            options["prototypes"] = tensor(golden, stored["inputs"]["prototypes"])
        loss = ours(entry["loss"], options)(first, second, torch.tensor(stored["inputs"]["labels"]))
        loss.backward()
        assert float(loss.detach()) == pytest.approx(float(entry["value"]), rel=2e-14), case
        for view, key in ((first, "first_gradient"), (second, "second_gradient")):
            torch.testing.assert_close(
                view.grad, tensor(golden, entry[key]), rtol=1e-12, atol=1e-13, msg=lambda text, case=case: case + text
            )


@pytest.mark.parametrize("name", get_args(LossName))
@pytest.mark.parametrize("seed", range(3))
def test_value_equals_the_slow_loop(name, seed, golden, batch):
    first, second, labels = batch(5 + seed, 4, seed=seed)
    options = {"temperature": mpf("0.3")} if LOSSES[name].takes_temperature else {}
    slow = golden.LOSSES[name](first.tolist(), second.tolist(), labels.tolist(), **options)
    assert float(by_name(name, temperature=0.3)(first, second, labels)) == pytest.approx(float(slow), rel=1e-13)


@pytest.mark.parametrize("distance", ("cosine", "euclidean", "manhattan"))
@pytest.mark.parametrize("seed", range(3))
def test_prototype_term_equals_the_slow_loop(distance, seed, golden, batch):
    first, second, labels = batch(5 + seed, 4, seed=seed)
    prototypes = torch.eye(4, dtype=torch.float64)[:3]
    slow = golden.prototypes_term(
        first.tolist(), second.tolist(), labels.tolist(), prototypes=prototypes.tolist(), distance=distance
    )
    value = prototype_term(first, second, labels, prototypes=prototypes, distance=distance)
    assert float(value) == pytest.approx(float(slow), rel=1e-13)
