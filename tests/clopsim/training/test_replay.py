"""A replayed step is the step, here from a tape and on a GPU from a graph (tests/gpu_training.py)."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from clopsim.losses import info_nce
from clopsim.sphere import products
from clopsim.training import loop
from clopsim.training import replay as module
from clopsim.training.datasets import load
from clopsim.training.recipe import LossName, Training
from clopsim.training.stack.stack import Stack
from clopsim.training.trainee import objective, trainee
from tests import gpu_training
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


@pytest.fixture(autouse=True)
def products_as_on_a_gpu(monkeypatch):
    """A tape sees what torch does."""
    monkeypatch.setattr(products, "BY_NUMPY", frozenset())


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


def test_a_replayed_run_stops_at_the_step_whose_loss_is_not_finite(replayed, monkeypatch):
    monkeypatch.setattr(loop, "recorded_steps", lambda steps: (0, steps))  # in the midst of a stretch
    recipe = replace(
        SMALL, loss="vicreg", rate=1e6, momentum=0.0, batch_norm=False, prototypes="none", warmup=0, save_every=25
    )
    steps = []
    for on in (False, True):
        replayed(on)
        with pytest.raises(loop.Diverged) as stop:
            trained(recipe)
        steps.append((stop.value.step, stop.value.state.step))
    assert steps[0] == steps[1]
    assert steps[0][0] > 0


def test_the_losses_of_several_blocks_are_those_of_the_steps(replayed):
    replayed(True)
    data = load(SMALL, dtype=torch.float64)
    model = trainee(SMALL, data, device=CPU, dtype=torch.float64)
    value = objective(model, SMALL, CPU)
    ways = loop.by_step(value, data, SMALL), loop.by_replay(value, data, SMALL, model, on_tape)
    launched, replays = (torch.cat([loss for _, loss in way(loop.start(model), 8)]) for way in ways)
    assert torch.equal(launched, replays)


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_recorded_step_on_a_gpu():
    assert gpu_training.check("cuda") == []


def test_what_is_asked_of_a_gpu_is_asked_here_from_a_tape(monkeypatch):
    """So that the questions themselves are right; a wrong replay is noticed."""
    monkeypatch.setattr(module, "on_graph", on_tape)
    monkeypatch.setattr(gpu_training, "_is_graph", lambda play: True)
    quick = replace(gpu_training.CHECKED, steps=3, warmup=0)
    for recipe in (quick, replace(quick, view_noise=0.0, shift=0), replace(quick, loss="lorac", view_noise=0.0)):
        assert gpu_training._run(recipe, CPU) == []
    assert gpu_training._stack(quick, CPU) == []

    def shifted(once, generators):
        play = on_tape(once)
        calls = []

        def wrong():
            calls.append(None)
            if len(calls) != 2:  # forgets the second step
                play()

        return wrong

    monkeypatch.setattr(module, "on_graph", shifted)
    assert any("from the launched one" in line for line in gpu_training._run(quick, CPU))
    assert gpu_training._stack(quick, CPU)
    monkeypatch.setattr(gpu_training, "_is_graph", lambda play: False)
    assert "not recorded" in gpu_training._run(quick, CPU)


def test_the_table_of_a_gpu_is_printed_here_small():
    few = gpu_training.pictures(CPU, 6, (3, 8, 8))
    text = gpu_training._small(CPU, (1, 2), steps=1) + gpu_training._resnet(CPU, few, batches=(4, 2), rounds=1)
    assert "in `clopsim train`, a step launched:" in text
    assert text.count("plain torch") == text.count("ours") == 2
    assert "an epoch of CIFAR-10" in text
    quick = ("train", "--data", "clusters", "--samples", "40", "--batch", "0", "--steps", "2", "--no-sharpness")
    assert float(gpu_training._command("cpu", quick)) > 0
    assert gpu_training._command("cpu", ("train", "--steps", "0")).startswith("failed: clopsim: --steps must be")


def test_the_loss_of_the_plain_loop_is_ours():
    first, second = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = info_nce(first, second, temperature=0.2)
    torch.testing.assert_close(gpu_training._written(first, second, 0.2), expected)
