"""The record of a training sweep: a grid of training recipes, checked on construction. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from math import prod
from typing import Any, ClassVar, NamedTuple, get_args

from clopsim.bounds.setting import one_of, whole_number
from clopsim.training.recipe import LossName, NamedLoss, Training, check_stackable, with_prototypes, with_schedule


class Cell(NamedTuple):
    """The coordinates of one run, in the order of the dataset's axes."""

    loss: LossName
    rate: float
    weight_decay: float
    weight: float
    labelled: float
    batch: int
    seed: int


MOST_RUNS = 2**20
"""Of one sweep."""

AXES = Cell._fields[:-1]
"""Fields that are lists, in the order of the dataset's axes."""


@dataclass(frozen=True)
class TrainingSweep:
    """What a training sweep runs: every combination of its lists, and `base` for all that they share.

    The fields that `base` has too replace its own. A weight above 0 is CLOP, with the base's prototypes (orthonormal if
    it has none); weight 0 is the loss alone. The loss "clop" is infonce with every weight above 0; the losses beside it
    then run alone.
    """

    kind: ClassVar[str] = "train-sweep"  # the command that runs it
    lists: ClassVar[tuple[str, ...]] = AXES  # fields that hold several values of one sweep

    base: Training = field(default_factory=lambda: Training(prototypes="orthonormal"))
    loss: tuple[NamedLoss, ...] = ("infonce",)
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
        count = self.seeds * prod(len(getattr(self, name)) for name in AXES)
        if count > MOST_RUNS:
            raise ValueError(f"seeds must leave at most {MOST_RUNS} runs, got {count}; use several folders")
        for loss in self.loss:
            one_of("loss", loss, get_args(NamedLoss))
        if "clop" in self.loss and not any(self.weight):
            raise ValueError("weight must hold one above 0 for the loss clop, got 0; infonce is it without prototypes")
        check_stackable(self.base)
        for cell in self.cells():
            self.recipe(cell)  # each checks its own fields

    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The values along every axis of the dataset, clop as infonce and its weights."""
        values = {name: getattr(self, name) for name in AXES}
        if "clop" in self.loss:
            values["loss"] = tuple(dict.fromkeys("infonce" if loss == "clop" else loss for loss in self.loss))
            plain = (0.0,) if len(self.loss) > 1 else ()
            values["weight"] = (*plain, *(weight for weight in self.weight if weight))
        return {**values, "seed": tuple(range(self.base.seed, self.base.seed + self.seeds))}

    def cells(self) -> list[Cell]:
        """Every run, the seed running fastest; with clop not every combination of the axes is one."""
        return [cell for cell in map(Cell._make, product(*self.axes().values())) if self._asked(cell)]

    def _asked(self, cell: Cell) -> bool:
        if "clop" not in self.loss:
            return True
        return cell.loss == "infonce" if cell.weight else cell.loss in self.loss

    def recipe(self, cell: Cell) -> Training:
        """What `clopsim train` would be told to do the run of a cell."""
        kind = with_prototypes(self.base.prototypes) if cell.weight else "none"
        return replace(self.base, **cell._asdict(), prototypes=kind)

    def to_plain(self) -> dict[str, Any]:
        """The options that make the record, by name."""
        shared = {name: getattr(self.base, name) for name in BASE}
        return {**{name: getattr(self, name) for name in AXES}, "seeds": self.seeds, **shared}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "TrainingSweep":
        """The record from options by name; lists stand for tuples, and a single value for a list of one.

        Options that a plan of an earlier version lacks have their defaults.
        """
        lists = {name: values[name] for name in AXES}
        axes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else (value,) for name, value in lists.items()
        }
        usual = {name: getattr(Training, name) for name in BASE}
        shared = with_schedule({name: values.get(name, usual[name]) for name in BASE})
        return cls(Training(**shared), **axes, seeds=values["seeds"])


BASE = tuple(each.name for each in fields(Training) if each.name not in (*AXES, "compile", "save_every", "sharpness"))
"""Fields of the recipe that all runs share."""


def _shown(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))
