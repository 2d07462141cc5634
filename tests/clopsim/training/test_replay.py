"""A replayed step is the step; the GPU's own part is in tests/gpu_training.py."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from clopsim.training import loop
from clopsim.training import replay as module
from clopsim.training.datasets import load
from clopsim.training.recipe import LossName, Training
from clopsim.training.stack.stack import Stack
from clopsim.training.trainee import trainee
from tests.clopsim.training.tape import on_tape

CPU = torch.device("cpu")
SMALL = Training(
    data="clusters", samples=60, features=6, classes=3, dimension=4, width=8, batch=12, steps=25, save_every=10,
    rate=0.05, precision="float64", sharpness=False, prototypes="orthonormal", labelled=0.5, warmup=4,
)  # fmt: skip


def trained(recipe, **more):
    data = load(recipe, dtype=torch.float64)
    return loop.train(recipe, data, trainee(recipe, data, device=CPU, dtype=torch.float64), **more)


def same(first, second):
    assert first.step == second.step
    assert repr(first.records) == repr(second.records)
    for name in ("params", "velocity", "squares"):
        one, other = getattr(first, name), getattr(second, name)
        assert set(one) == set(other)
        assert all(torch.equal(one[each], other[each]) for each in one), name
    return True


@pytest.fixture
def replayed(monkeypatch):
    """Steps on a CPU are replayed too, three a block."""
    monkeypatch.setattr(module, "BLOCK", 3)

    def turn(on):
        monkeypatch.setattr(module, "RECORDERS", {"cpu": on_tape} if on else {})

    return turn


@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
@pytest.mark.parametrize(
    "change", ({}, {"batch": 0}, {"embedder": "table"}, {"data": "digits", "dimension": 10}), ids=str
)
def test_a_replayed_run_is_the_run_bit_for_bit(replayed, change, optimizer):
    recipe = replace(SMALL, optimizer=optimizer, **change)
    replayed(False)
    expected = trained(recipe)
    replayed(True)
    assert same(trained(recipe), expected)


@pytest.mark.parametrize("loss", sorted(set(get_args(LossName)) - module.WAITING))
@pytest.mark.parametrize("embedder", ("table", "conv"))
def test_no_step_takes_a_number_from_the_host_or_waits_for_the_device(replayed, loss, embedder):
    recipe = replace(
        SMALL, data="digits", dimension=10, depth=1, embedder=embedder, loss=loss, steps=2, warmup=0, rate=1e-3
    )
    replayed(False)
    expected = trained(recipe)
    replayed(True)
    assert same(trained(recipe), expected)


def test_losses_that_wait_for_the_host_are_launched_from_it(replayed):
    replayed(True)
    for loss in module.WAITING:
        assert module.recorder(replace(SMALL, loss=loss), CPU) is None
    assert module.recorder(SMALL, CPU) is not None
    replayed(False)
    assert module.recorder(SMALL, CPU) is None
    assert module.recorder(SMALL, torch.device("meta")) is None


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", ("sgd", "adamw"))
def test_a_replayed_run_goes_on_from_any_state(replayed, optimizer):
    recipe = replace(SMALL, optimizer=optimizer)
    replayed(True)
    whole, kept = trained(recipe), []

    def keep(state):
        kept.append(state)
        if state.step == 10:
            raise Killed

    with pytest.raises(Killed):
        trained(recipe, on_checkpoint=keep)
    assert [state.step for state in kept] == [0, 10]
    for state in kept[::-1]:
        assert same(trained(recipe, state=state), whole)


def test_states_that_were_handed_out_stay_as_they_were(replayed):
    replayed(True)
    states = []
    trained(SMALL, on_progress=lambda state: states.append((state, {n: p.clone() for n, p in state.params.items()})))
    for state, params in states:
        assert all(torch.equal(state.params[name], value) for name, value in params.items())
    assert not torch.equal(*(states[k][1]["network.1.weight"] for k in (0, -1)))


def test_an_interrupted_run_keeps_its_last_look(replayed, monkeypatch):
    """No state is read back between two looks, and resuming makes the missing steps again."""
    replayed(True)
    whole, kept, calls = trained(SMALL), [], [0]
    seed = module.view_seed

    def interrupt(recipe, step):
        calls[0] += 1
        if calls[0] == 14:
            raise KeyboardInterrupt
        return seed(recipe, step)

    monkeypatch.setattr(module, "view_seed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trained(SMALL, on_checkpoint=kept.append)
    monkeypatch.setattr(module, "view_seed", seed)
    assert 0 < kept[-1].step <= 13
    assert same(trained(SMALL, state=kept[-1]), whole)


def test_a_replayed_run_stops_at_the_step_whose_loss_is_not_finite(replayed):
    recipe = replace(SMALL, loss="vicreg", rate=1e6, momentum=0.0, batch_norm=False, prototypes="none", warmup=0)
    steps = []
    for on in (False, True):
        replayed(on)
        with pytest.raises(loop.Diverged) as stop:
            trained(recipe)
        steps.append((stop.value.step, stop.value.state.step))
    assert steps[0] == steps[1]
    assert steps[0][0] > 0


@pytest.mark.parametrize("optimizer", ("sgd", "lars", "adamw"))
@pytest.mark.parametrize("change", ({}, {"batch": 0, "loss": "vicreg", "rate": 0.01}, {"embedder": "table"}), ids=str)
def test_a_replayed_stack_is_the_stack_bit_for_bit(replayed, change, optimizer):
    replayed(True)
    base = replace(SMALL, optimizer=optimizer, **change)
    recipes = [base, replace(base, rate=base.rate / 2, seed=1), replace(base, prototypes="none", weight_decay=0.1)]
    loaded = [load(recipe, dtype=torch.float64) for recipe in recipes]
    launched, replays = (Stack(recipes, loaded) for _ in range(2))
    advance = replays.by_replay(on_tape)
    for count in (1, 2, 8):
        launched.by_step(count)
        advance(count)
    assert launched.steps == replays.steps == 11
    for name, value in launched.params.items():
        assert torch.equal(value, replays.params[name]), name
    assert torch.equal(launched.observe(), replays.observe())
