"""The record of a learning-rate sweep: every option of `clopsim sweep`, checked on construction. Imports no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from clopsim.bounds import Gradient, Keys, Loss, Reduction, Setting, exact_rate
from clopsim.bounds.setting import LARGEST, LARGEST_SEED, number_from_zero, one_of, positive_number, whole_number
from clopsim.sphere.data import GaussianClusters

Start = Literal["data", "random", "uniform", "collapse"]
Data = Literal["clusters", "lines"]
Precision = Literal["float64", "float32"]

DEFAULT_RATES = tuple(float(rate) for rate in np.geomspace(1 / 4, 4, 41))
"""41 rates, geometric from mu_c/4 to 4 mu_c; the middle one is mu_c itself."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep runs; the fields are the options of `clopsim sweep`."""

    kind: ClassVar[str] = "sweep"  # the command that runs it
    lists: ClassVar[tuple[str, ...]] = ("temperature", "rates")  # fields that hold several values of one sweep

    temperature: float | tuple[float, ...] = 0.5  # tau, one or several
    dimension: int = 8  # d
    samples: int = 32  # n embeddings; both views counted in the full loss
    loss: Loss = "merged"
    gradient: Gradient = "ambient"
    keys: Keys = "symmetric"
    reduction: Reduction = "sum"
    momentum: float = 0.0  # beta of the heavy ball
    rates: tuple[float, ...] = DEFAULT_RATES  # in units of mu_c (clopsim.bounds.exact_rate), increasing
    seeds: int = 8  # runs per rate, from seed, seed + 1, ...
    steps: int = 1000
    start: Start = "data"
    data: Data = "clusters"  # of start="data"; lines: the paper's antipodal lines, whose second view is -x + noise
    clusters: int = 4  # Gaussian clusters, or lines
    noise: float = 0.1
    separation: float = 1.0  # clusters only
    imbalance: float = 1.0  # clusters only
    view_noise: float = 0.05  # standard deviation of a view around its point (full loss, start="data")
    seed: int = 0  # of the first run; the same seed gives the same bytes on the same machine
    precision: Precision = "float64"
    device: str = "cpu"  # auto: cuda, else cpu; or any torch device

    def __post_init__(self) -> None:
        exact_rate(self.setting)  # the unit of the rates: needs n >= 3
        _ = self.gaussian
        one_of("data", self.data, get_args(Data))
        if not self.rates:
            raise ValueError("rates must hold at least one rate, got none; give some such as 0.5,1,2")
        for rate in self.rates:
            positive_number("rates", rate, remedy="rates are learning rates in units of mu_c, such as 0.5,1,2")
        for before, after in pairwise(self.rates):
            if not before < after:
                raise ValueError(f"rates must be increasing, got {after:g} after {before:g}; sort them, each once")
        whole_number("seeds", self.seeds, low=1)
        whole_number("steps", self.steps, low=1)
        whole_number("seed", self.seed, low=0, high=LARGEST_SEED - LARGEST)
        one_of("start", self.start, get_args(Start))
        one_of("precision", self.precision, get_args(Precision))
        number_from_zero("view_noise", self.view_noise, remedy="0 leaves it out")

    @property
    def setting(self) -> Setting:
        """The theory's record of this sweep."""
        return self._setting(self.temperature)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """One setting for each temperature."""
        several = self.setting.temperature
        temperatures = several if isinstance(several, tuple) else (several,)
        return tuple(self._setting(tau) for tau in temperatures)

    def needs(self) -> dict[str, int]:
        """Bytes that a worker takes, about, by the field that asks for most of them."""
        n, d = self.samples, self.dimension
        return {"samples" if n > 4 * d else "dimension": 24 * n * n + 96 * n * d}

    def _setting(self, tau: float | tuple[float, ...]) -> Setting:
        kind = (self.loss, self.gradient, self.keys, self.reduction, self.momentum)
        return Setting(tau, self.dimension, self.samples, *kind)

    @property
    def gaussian(self) -> GaussianClusters:
        """The clusters of start="data": one point for each embedding, or for each pair of views."""
        points = self.samples // (2 if self.loss == "full" else 1)
        return GaussianClusters(points, self.clusters, self.dimension, self.noise, self.separation, self.imbalance)

    def to_plain(self) -> dict[str, Any]:
        """The options that make the record, by name."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Sweep":
        """The record from plain JSON or TOML values: lists stand for tuples, a single rate for a list of one."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        rates = plain.get("rates", ())
        return cls(**plain | ({"rates": (rates,)} if isinstance(rates, int | float) else {}))
