"""An embedder with its loss, as a pure function of parameters and batch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call

from clopsim.losses import CLOP, LOSSES, OrthonormalPrototypes, by_name
from clopsim.training.datasets import DataSet
from clopsim.training.embedders import build
from clopsim.training.optimizers import Params
from clopsim.training.recipe import Training


class Trainee(nn.Module):
    """An embedder with its loss: the value of one batch, a pure function of parameters, buffers and inputs."""

    def __init__(self, network: nn.Module, loss: nn.Module) -> None:
        """Join the two."""
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        """The loss of two views, (B, ...) each; they pass through the network as one batch."""
        embeddings = self.network(torch.cat([first, second]))  # (2B, d)
        return self.loss(*embeddings.chunk(2), labels)


class _Plain(nn.Module):
    """A loss function as a module."""

    def __init__(self, loss: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = loss

    def forward(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return self.function(first, second, labels)


def trainee(recipe: Training, data: DataSet, *, device: torch.device, dtype: torch.dtype) -> Trainee:
    """The network and the loss of a recipe, fresh. Errors: ValueError where the classes do not fit the dimension."""
    directions = directions_of(recipe, data, device=device, dtype=dtype)
    loss: nn.Module = _Plain(by_name(recipe.loss, temperature=recipe.temperature, directions=directions))
    if recipe.prototypes != "none":
        prototypes = OrthonormalPrototypes(
            data.classes, recipe.dimension, kind=recipe.prototypes, seed=recipe.seed, dtype=dtype, device=device
        )
        loss = CLOP(loss, prototypes, recipe.weight, distance=recipe.distance)
    network = build(recipe.network, data.shape, samples=len(data.y), seed=recipe.seed, device=device, dtype=dtype)
    return Trainee(network, loss)


def directions_of(recipe: Training, data: DataSet, *, device: torch.device, dtype: torch.dtype) -> Tensor | None:
    """A simplex of fixed class directions from the recipe's seed, (K, d), for a loss that needs them.

    Errors: ValueError where that many do not fit the dimension.
    """
    if not LOSSES[recipe.loss].fixed_directions:
        return None
    if data.classes < 2:
        raise ValueError(
            f"loss must be another one for data of {data.classes} classes, got {recipe.loss!r}: try infonce"
        )
    return OrthonormalPrototypes(
        data.classes, recipe.dimension, kind="simplex", seed=recipe.seed, dtype=dtype, device=device
    ).vectors


Objective = Callable[[Params, Tensor, Tensor, Tensor], Tensor]


def objective(model: Trainee, recipe: Training, device: torch.device) -> Objective:
    """The loss of a batch as a function of the parameters; compiled and in mixed precision where the recipe says."""

    def value(params: Params, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        with autocast(recipe, device):
            return functional_call(model, params, (first, second, labels))

    return torch.compile(value) if recipe.compile else value


def autocast(recipe: Training, device: torch.device) -> AbstractContextManager[None]:
    """Mixed precision for bfloat16, nothing otherwise."""
    if recipe.precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
