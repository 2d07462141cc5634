"""The record of a training sweep: a grid of training recipes, checked on construction. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any, NamedTuple, get_args

from bounds.setting import one_of, whole_number
from clopsim.recipe import LossName, Training


class Cell(NamedTuple):
    """The coordinates of one run, in the order of the dataset's axes."""

    loss: LossName
    rate: float
    weight_decay: float
    weight: float
    labelled: float
    batch: int
    seed: int


@dataclass(frozen=True)
class TrainingSweep:
    """What a training sweep runs: every combination of its lists, and `base` for all that they share.

    The fields that `base` has too replace its own. A weight above 0 is CLOP, with the base's prototypes (orthonormal if
    it has none); weight 0 is the loss alone.
    """

    base: Training = field(default_factory=lambda: Training(prototypes="orthonormal"))
    loss: tuple[LossName, ...] = ("infonce",)
    rate: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)  # mu
    weight_decay: tuple[float, ...] = (1e-4,)
    weight: tuple[float, ...] = (0.0, 1.0)  # lambda
    labelled: tuple[float, ...] = (0.1,)  # share of the training labels that the loss sees
    batch: tuple[int, ...] = (128,)  # samples in a step, each with two views; 0: all of the training set
    seeds: int = 3  # runs of every combination, from base.seed, base.seed + 1, ...

    def __post_init__(self) -> None:
        whole_number("seeds", self.seeds, low=1)
        for name in AXES:
            values = getattr(self, name)
            if not values:
                raise ValueError(f"{name} must hold at least one value, got none; give some separated by commas")
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must hold each value once, got {_shown(values)}; drop the repeated ones")
        for loss in self.loss:
            if loss not in get_args(LossName) and "clop" in str(loss):
                raise ValueError(f"loss must be a base loss, got {loss!r}; CLOP is any of them with a weight above 0")
            one_of("loss", loss, get_args(LossName))
        if self.base.precision == "bfloat16" or self.base.compile:
            raise ValueError("precision must be float32 or float64 without compile in a sweep, got another; change it")
        for cell in self.cells():
            self.recipe(cell)  # each checks its own fields

    def cells(self) -> list[Cell]:
        """Every run, the seed running fastest."""
        seeds = range(self.base.seed, self.base.seed + self.seeds)
        return [Cell(*each) for each in product(*(getattr(self, name) for name in AXES), seeds)]

    def recipe(self, cell: Cell) -> Training:
        """What `clopsim train` would be told to do the run of a cell."""
        kind = "orthonormal" if self.base.prototypes == "none" else self.base.prototypes
        return replace(self.base, **cell._asdict(), prototypes=kind if cell.weight else "none")


AXES = tuple(each.name for each in fields(TrainingSweep) if each.name not in ("base", "seeds"))
"""Fields that are lists, in the order of the dataset's axes."""


def _shown(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))
