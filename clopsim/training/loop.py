"""Training an embedder: a pure step, and the loop that records, checkpoints and stops on a loss that is not finite.

Nothing random is kept between steps: batches and views of step t come from the seed and t alone, so a checkpoint needs
no generator state and a resumed run is the same bit for bit on the same number of threads.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from clopsim.sphere.dynamics import recorded_steps
from clopsim.training.batches import views_of
from clopsim.training.checkpoint import State
from clopsim.training.datasets import DataSet
from clopsim.training.observation import Observer
from clopsim.training.optimizers import Moments, at_rest, update
from clopsim.training.recipe import Optimizer, Training
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


def batch_of(data: DataSet, recipe: Training, step: int) -> Batch:
    """Two views and the visible labels of a step's batch, from the seed and the step alone."""
    first, second, index = views_of(data, recipe, step)
    return first, second, data.labels if index is None else data.labels[index]


def step(value: Objective, state: State, batch: Batch, recipe: Training) -> tuple[State, Tensor]:
    """One step of the optimiser: the next state and the loss before it. The given state stays as it is."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in state.params.items()}
    loss = value(leaves, *batch)
    gradient = torch.autograd.grad(loss, list(leaves.values()))
    with torch.no_grad():
        params, moments = update(
            state.params,
            Moments(state.velocity, state.squares),
            dict(zip(leaves, gradient, strict=True)),
            optimizer=recipe.optimizer,
            step=state.step,
            rate=recipe.rate_at(state.step),
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return State(state.step + 1, params, moments.velocity, state.records, moments.squares), loss.detach()


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
    device = data.y.device
    value = objective(model, recipe, device)
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
            while state.step < stop:
                state, loss = step(value, state, batch_of(data, recipe, state.step), recipe)
                losses.append(loss)
                whole = whole if state.step in records else state
            if losses:
                _check(torch.stack(losses).cpu(), before)
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
