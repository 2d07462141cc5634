"""Training an embedder: a pure step, and the loop that records, checkpoints and stops on a loss that is not finite.

Nothing random is kept between steps: batches and views of step t come from the seed and t alone, so a checkpoint needs
no generator state and a resumed run is the same bit for bit on the same number of threads.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from clopsim.sphere.devices import keep_freed
from clopsim.sphere.dynamics import recorded_steps
from clopsim.training.batches import Draw, draw, drawn_views
from clopsim.training.checkpoint import State
from clopsim.training.datasets import DataSet
from clopsim.training.observation import Observer
from clopsim.training.optimizers import Moments, Params, at_rest, update
from clopsim.training.recipe import Optimizer, Training
from clopsim.training.replay import Now, Recorder, Replay, recorder
from clopsim.training.trainee import Objective, Trainee, objective

Batch = tuple[Tensor, Tensor, Tensor]
"""Two views and the visible labels."""

LOOK_EVERY = 100
"""Steps between two looks at the losses for nan: looking at each would make a GPU wait for every step."""


class Diverged(Exception):
    """The loss left the finite numbers."""

    def __init__(self, step: int, loss: float, state: State) -> None:
        """Remember where it happened and the last state seen before."""
        super().__init__(f"the loss turned {loss} at step {step}")
        self.step, self.loss, self.state = step, loss, state


Advance = Callable[[State, int], Iterator[tuple[State, Tensor]]]
"""Goes on from a state to a later step: states on the way, each with the losses (m,) of the steps since the last."""


def batch_of(data: DataSet, recipe: Training, step: int) -> Batch:
    """Two views and the visible labels of a step's batch, from the seed and the step alone."""
    return _batch(data, draw(data, recipe, step))


def _batch(data: DataSet, drawn: Draw) -> Batch:
    return *drawn_views(data, drawn), data.labels if drawn.samples is None else data.labels[drawn.samples]


def step(value: Objective, state: State, batch: Batch, recipe: Training) -> tuple[State, Tensor]:
    """One step of the optimiser: the next state and the loss before it. The given state stays as it is."""
    moments = Moments(state.velocity, state.squares)
    number, rate = state.step, recipe.rate_at(state.step)
    params, moments, loss = _moved(value, state.params, moments, batch, recipe, step=number, rate=rate)
    return State(state.step + 1, params, moments.velocity, state.records, moments.squares), loss


def _moved(
    value: Objective,
    params: Params,
    moments: Moments,
    batch: Batch,
    recipe: Training,
    *,
    step: Tensor | int,
    rate: Tensor | float,
) -> tuple[Params, Moments, Tensor]:
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
    loss = value(leaves, *batch)
    gradient = torch.autograd.grad(loss, list(leaves.values()))
    with torch.no_grad():
        moved = update(
            params,
            moments,
            dict(zip(leaves, gradient, strict=True)),
            optimizer=recipe.optimizer,
            step=step,
            rate=rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return *moved, loss.detach()


def by_step(value: Objective, data: DataSet, recipe: Training) -> Advance:
    """Launches every step from the host."""

    def advance(state: State, stop: int) -> Iterator[tuple[State, Tensor]]:
        while state.step < stop:
            state, loss = step(value, state, batch_of(data, recipe, state.step), recipe)
            yield state, loss[None]

    return advance


def by_replay(value: Objective, data: DataSet, recipe: Training, model: Trainee, record: Recorder) -> Advance:
    """Replays a recorded step: a GPU does not wait for the host between steps, so there are no states on the way."""
    own = start(model, recipe.optimizer)
    parts = [
        {name: tensor.clone() for name, tensor in part.items()} for part in (own.params, own.velocity, own.squares)
    ]
    params, velocity, squares = parts
    fixed = _tensors(parts)

    def once(now: Now) -> Tensor:
        (drawn,) = now.draws
        moments, batch = Moments(velocity, squares), _batch(data, drawn)
        moved, left, loss = _moved(value, params, moments, batch, recipe, step=now.step, rate=now.rate)
        torch._foreach_copy_(fixed, _tensors([moved, left.velocity, left.squares]))
        return loss

    zero = next(iter(params.values())).new_zeros(())
    replay = Replay(once, fixed, [(data, recipe)], rate=recipe.rate_at, value=zero, record=record)

    def advance(state: State, stop: int) -> Iterator[tuple[State, Tensor]]:
        if state.step < stop:
            torch._foreach_copy_(fixed, _tensors([state.params, state.velocity, state.squares]))
            losses = replay.run(state.step, stop - state.step)
            copies = [{name: tensor.clone() for name, tensor in part.items()} for part in parts]
            yield State(stop, copies[0], copies[1], state.records, copies[2]), losses

    return advance


def _tensors(parts: list[Params]) -> list[Tensor]:
    return [tensor for part in parts for tensor in part.values()]


def start(model: Trainee, optimizer: Optimizer = "sgd") -> State:
    """The state of a fresh model at step 0."""
    params = {name: parameter.detach() for name, parameter in model.named_parameters()}
    moments = at_rest(params, optimizer)
    return State(0, params, moments.velocity, {}, moments.squares)


def train(
    recipe: Training,
    data: DataSet,
    model: Trainee,
    *,
    state: State | None = None,
    on_checkpoint: Callable[[State], None] = lambda state: None,
    on_progress: Callable[[State], None] = lambda state: None,
    on_product: Callable[[State, int], None] = lambda state, number: None,
) -> State:
    """Run a recipe to its last step, from a fresh start or from a state.

    on_checkpoint gets the state at step 0, then every recipe.save_every steps, at the end and at an interruption, never
    one whose loss or parameters are not finite; on_progress gets it at least every LOOK_EVERY steps, on_product the
    state and the number of Hessian-vector products while a sharpness is measured.

    Errors: Diverged at the first step whose loss is not finite, with the state of the last record or look before it.
    """
    keep_freed()
    device = data.y.device
    value, record = objective(model, recipe, device), recorder(recipe, device)
    advance = by_replay(value, data, recipe, model, record) if record else by_step(value, data, recipe)
    observer = Observer(recipe, data, model)
    records = recorded_steps(recipe.steps)
    saves = range(0, recipe.steps + 1, recipe.save_every)
    stops = sorted({*records, *saves, *range(0, recipe.steps, LOOK_EVERY), recipe.steps})
    state = state or start(model, recipe.optimizer)
    whole: State | None = None  # the last state with the record of its step, if it has one
    try:
        for stop in stops:
            if stop < state.step or (stop == state.step and state.records):
                continue  # done before the checkpoint
            before, losses = state, []
            for state, loss in advance(state, stop):  # noqa: B020 (it goes on from the one given)
                losses.append(loss)
                whole = whole if state.step in records else state
            if losses:
                _check(torch.cat(losses).cpu(), before)
            if stop in records:
                state = observer.record(state, partial(on_product, state))
                if not math.isfinite(state.records["loss"][-1]):
                    raise Diverged(stop, state.records["loss"][-1], before)
            whole = state
            if (stop in saves or stop == recipe.steps) and _is_finite(state):
                on_checkpoint(state)
            on_progress(state)
    except KeyboardInterrupt:
        if whole is not None and whole.records and _is_finite(whole):
            on_checkpoint(whole)
        raise
    return state


def _is_finite(state: State) -> bool:
    return all(bool(each.isfinite().all()) for each in state.params.values())


def _check(losses: Tensor, before: State) -> None:
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        first = int(bad[0])
        raise Diverged(before.step + first, float(losses[first]), before)
