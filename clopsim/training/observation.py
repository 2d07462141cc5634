"""What is recorded along a training run, and the dataset that it becomes."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.func import functional_call

from clopsim.bounds import Setting
from clopsim.bounds.adam import adam_rate
from clopsim.bounds.alignment import alignment_uniform_rate
from clopsim.bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from clopsim.bounds.heavy_ball import heavy_ball_rate
from clopsim.bounds.lars import lars_view_cosine
from clopsim.losses.views import unit_rows
from clopsim.metrics import geometry
from clopsim.show.variables import described
from clopsim.sphere.dynamics import recorded_steps
from clopsim.training.checkpoint import State
from clopsim.training.datasets import DataSet
from clopsim.training.optimizers import TRUST, Params, preconditioner
from clopsim.training.recipe import LARGE, Training
from clopsim.training.sharpness import in_units, sharpness
from clopsim.training.trainee import Trainee, autocast
from clopsim.training.views import two_views

OBSERVED = 1024
"""Largest number of training samples that a record looks at, or one batch where that is more."""

SHARPNESS_EVERY = 8
"""Records from one with a sharpness to the next, about a decade of steps: one costs as much as many steps."""

SHARPNESS_TOLERANCE = 3e-3
"""Relative; ten to forty Hessian-vector products reach it. Where eigenvalues crowd, as a table's, it may be 1 % off."""

DIMENSIONS = ("temperature", "learning_rate", "seed", "step")
"""As the sweep's, with the absolute learning rate."""


class Observer:
    """Embeds the same two views of the same training samples at every record, so that records compare."""

    def __init__(self, recipe: Training, data: DataSet, model: Trainee) -> None:
        """Draw the samples and their views once."""
        self.recipe, self.model = recipe, model
        self.batch = recipe.batch or len(data.y)
        self.first, self.second, self.index = observed_views(recipe, data)
        self.labels = data.labels[self.index]
        self.setting = setting_of(recipe, len(data.y))
        measures = recipe.sharpness and recipe.embedder not in LARGE
        self.sharpness_steps = {*recorded_steps(recipe.steps)[::SHARPNESS_EVERY], recipe.steps} if measures else set()

    def embeddings(self, params: Params) -> tuple[Tensor, Tensor]:
        """Raw embeddings of the two views, (M, d) each, batch by batch as in training."""
        network = {name.removeprefix("network."): value for name, value in params.items()}
        parts = []
        with torch.no_grad(), autocast(self.recipe, self.labels.device):
            for first, second in zip(
                *(torch.split(view, self.batch) for view in (self.first, self.second)), strict=True
            ):
                both = functional_call(self.model.network, network, (torch.cat([first, second]),))
                parts.append(both.to(next(iter(params.values())).dtype).chunk(2))
        return torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Mean over the batches of the loss of raw embeddings (M, d) each, prototypes included."""
        parts = zip(*(torch.split(part, self.batch) for part in (first, second, self.labels)), strict=True)
        return torch.stack([self.model.loss(*part) for part in parts]).mean()

    def sharpness(
        self,
        params: Params,
        on_product: Callable[[int], None] = lambda number: None,
        *,
        scale: Params | None = None,
    ) -> float:
        """Largest eigenvalue of the Hessian of the loss in all weights; nan where it is not to be had.

        The loss is the mean over the observed batches, prototypes included and weight decay not, without mixed
        precision and compiler: with minibatches this is neither one batch's sharpness nor quite all samples'.
        on_product: called with the number of Hessian-vector products. scale: a preconditioner P, for that of
        P^-1/2 H P^-1/2.
        """
        parts = (torch.split(part, self.batch) for part in (self.first, self.second, self.labels))
        batches = list(zip(*parts, strict=True))

        def value(weights: Params) -> Tensor:
            return torch.stack([functional_call(self.model, weights, batch) for batch in batches]).mean()

        loss, weights = in_units(value, params, scale) if scale else (value, params)
        return sharpness(loss, weights, tolerance=SHARPNESS_TOLERANCE, on_product=on_product)

    def observe(self, params: Params) -> dict[str, float]:
        """Every observable of these parameters."""
        first, second = self.embeddings(params)
        raw = torch.cat([first, second])  # (2M, d)
        z = geometry.unit(raw)
        squared_norm = geometry.doubled(raw).square().sum(dim=-1).mean()
        values = {
            "loss": self.loss(first, second),
            "mean_resultant_length": geometry.mean_resultant_length(z),
            "effective_rank": geometry.effective_rank(z),
            "effective_rank_centered": geometry.effective_rank(z, centered=True),
            "leading_share": geometry.leading_share(z),
            "mean_cosine": geometry.mean_cosine(z),
            "alignment": geometry.alignment(z),
            "uniformity": geometry.uniformity(z),
            "squared_norm": squared_norm,
        }
        numbers = {name: float(value) for name, value in values.items()}
        numbers["view_cosine"] = 1 - numbers["alignment"] / 2
        return numbers

    def record(self, state: State, on_product: Callable[[int], None] = lambda number: None) -> State:
        """The state with one more record; on_product: called with the number of Hessian-vector products."""
        values = self.observe(state.params)
        rate = self.recipe.rate_at(min(state.step, self.recipe.steps - 1))
        values["learning_rate_now"] = rate
        values["effective_rate"] = math.nan
        if self.setting is not None and values["squared_norm"] > 0:
            values["effective_rate"] = float(effective_rate(rate, values["squared_norm"], self.setting))
        values["sharpness"] = values["stable_learning_rate"] = math.nan
        if state.step in self.sharpness_steps:
            values["sharpness"] = self.sharpness(state.params, on_product)
            values["stable_learning_rate"] = self._stable(values["sharpness"], state, on_product)
        records = {name: [*state.records.get(name, []), value] for name, value in values.items()}
        return replace(state, records=records)

    def _stable(self, curvature: float, state: State, on_product: Callable[[int], None]) -> float:
        """The rate up to which the optimiser is stable at this sharpness; nan where none is too large, or all are.

        Under AdamW by the sharpness in the units of its preconditioner, which it has from the first step on.
        """
        momentum, decay = self.recipe.momentum, self.recipe.weight_decay
        if self.recipe.optimizer == "adamw" and state.step:
            curvature = self.sharpness(state.params, on_product, scale=preconditioner(state.squares, state.step))
            return adam_rate(curvature, momentum=momentum, weight_decay=decay) if curvature + decay > 0 else math.nan
        if self.recipe.optimizer != "sgd" or not curvature + decay > 0:
            return math.nan
        return heavy_ball_rate(curvature + decay, momentum=momentum)

    def loss_at_collapse(self, params: Params) -> float:
        """What the loss would be if every embedding were the mean direction of those that have one."""
        mean = unit_rows(torch.cat(self.embeddings(params))).mean(dim=0)
        point = mean.expand(len(self.labels), -1)
        return float(self.loss(point, point))


def observed_views(recipe: Training, data: DataSet) -> tuple[Tensor, Tensor, Tensor]:
    """The two views that every record looks at, (M, ...) each, and the indices (M,) of their training samples."""
    batch = recipe.batch or len(data.y)
    count = min(len(data.y), max(OBSERVED, batch))
    count -= count % batch  # whole batches: the loss depends on their size
    index = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(recipe.seed))[:count]
    index = index.to(data.y.device)
    generator = None if index.is_meta else torch.Generator(index.device).manual_seed(recipe.seed)
    return *two_views(data.x[index], data.views, generator), index


def setting_of(recipe: Training, samples: int) -> Setting | None:
    """The theory's record of a training run; None where the theory has none for its loss or optimiser."""
    if recipe.loss not in ("infonce", "dcl") or recipe.optimizer != "sgd":
        return None
    count = 2 * (recipe.batch or samples)
    return Setting(recipe.temperature, recipe.dimension, count, "full", "tangent", "symmetric", "mean", recipe.momentum)


def stable_rate(recipe: Training, samples: int) -> float | None:
    """T5's threshold for unit-norm embeddings, with momentum (T14): the learning rate above which the views come apart.

    None where there is no theory.
    """
    setting = setting_of(recipe, samples)
    rate = None if setting is None else alignment_uniform_rate(setting)
    return None if rate is None else float(rate)


def predictions(recipe: Training, samples: int) -> dict[str, float | None]:
    """What T5 and T10, or T26, predict for this recipe; None where they do not apply (momentum, a schedule, ...).

    View cosine and squared norm are those of T10's swap, under LARS T26's, about which the free embeddings of a table
    circulate: their averages stay close to it, the values at one step need not. A network's views are not free, nor is
    its norm.
    """
    setting = setting_of(recipe, samples)
    free = recipe.embedder == "table" and recipe.prototypes == "none" and recipe.loss == "infonce"
    plain = free and recipe.momentum == 0 and recipe.schedule == "constant" and not recipe.warmup
    found = {"stable_rate": stable_rate(recipe, samples), "view_cosine": None, "squared_norm": None}
    if plain and recipe.optimizer == "lars" and not recipe.weight_decay:
        found["view_cosine"] = lars_view_cosine(recipe.rate * TRUST)
    elif plain and setting is not None and 0 < recipe.rate * recipe.weight_decay < 1:
        found["view_cosine"] = decayed_view_cosine(recipe.rate, weight_decay=recipe.weight_decay)
        found["squared_norm"] = float(steady_squared_norm(recipe.rate, setting))
    return found


def dataset_of(recipe: Training, state: State, samples: int) -> xr.Dataset:
    """The records of a run over (temperature, learning_rate, seed, step), float64; nan: not measured, or no theory."""
    steps = [number for number in recorded_steps(recipe.steps) if number <= state.step]
    dataset = xr.Dataset(
        coords={
            "temperature": [recipe.temperature],
            "learning_rate": [recipe.rate],
            "seed": [recipe.seed],
            "step": steps,
        }
    )
    for name, values in state.records.items():
        dataset[name] = (DIMENSIONS, np.asarray(values, dtype=np.float64)[None, None, None])
    for name, value in predictions(recipe, samples).items():
        dataset.attrs[f"predicted_{name}"] = float("nan") if value is None else value
    dataset.attrs["recipe"] = json.dumps(asdict(recipe))
    return described(dataset, "train")
