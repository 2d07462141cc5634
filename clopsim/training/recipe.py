"""The record of a training run: every option of `clopsim train`, checked on construction. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from clopsim.bounds.setting import (
    LARGEST,
    LARGEST_SEED,
    SMALLEST_TEMPERATURE,
    number_from_zero,
    one_of,
    positive_number,
    whole_number,
)

Kind = Literal["table", "linear", "mlp", "conv", "resnet18"]
LossName = Literal[
    "infonce",
    "supcon",
    "supcon_in",
    "dcl",
    "clip",
    "vicreg",
    "barlow",
    "pauc",
    "lorac",
    "blcl",
    "fedrcl",
    "fedrcl_dense",
    "sscl",
    "lstat",
    "adt",
    "simo",
    "simo_ratio",
    "anti_collapse",
    "unhinged",
]
NamedLoss = Literal[LossName, "clop"]
"""What a user may ask for: clop is InfoNCE with prototypes."""

Prototypes = Literal["none", "orthonormal", "simplex"]
Distance = Literal["cosine", "euclidean", "manhattan"]
Optimizer = Literal["sgd", "lars", "adamw"]
USUAL_RATES: Mapping[Optimizer, float] = {"lars": 1.0, "adamw": 0.001}
"""About, where the usual one is not that of sgd, the default."""

Schedule = Literal["constant", "cosine"]
NamedSchedule = Literal[Schedule, "warmup"]
"""What a user may ask for: warmup is cosine after a rise of a tenth of the steps, where no other length is given."""

Precision = Literal["float64", "float32", "bfloat16"]
BuiltIn = Literal["clusters", "lines", "digits"]

OPENML, FILE = "openml:", ".npz"

LARGE = frozenset({"resnet18"})
"""Embedders that fill a device alone: a sweep trains one at a time, in bfloat16 too, and no sharpness is recorded."""

DEEPEST = 1000
"""Hidden layers: without shortcuts no signal comes through more."""


@dataclass(frozen=True)
class Embedder:
    """A network from inputs to embeddings; embedders.build makes it."""

    kind: Kind = "mlp"  # table: one free embedding for each view of each sample; conv, resnet18: images only
    dimension: int = 16  # d >= 2 of the embeddings
    depth: int = 2  # hidden layers of mlp and conv, >= 1; each one of conv halves the picture
    width: int = 64  # units of a hidden layer, channels of conv, of resnet18's stem
    batch_norm: bool = True  # after every hidden layer or convolution, before its ReLU; both views are one batch

    def __post_init__(self) -> None:
        one_of("embedder", self.kind, get_args(Kind))
        whole_number("dimension", self.dimension, low=2)
        whole_number("depth", self.depth, low=1, high=DEEPEST)
        whole_number("width", self.width, low=1)


@dataclass(frozen=True)
class Training:
    """What a training run does; the fields are the options of `clopsim train`."""

    kind: ClassVar[str] = "train"  # the command that runs it

    data: str = "digits"  # clusters, lines, digits, openml:NAME or FILE.npz with x and optional y
    samples: int = 0  # drawn (clusters, lines; 0: 512) or kept at random (the others; 0: all), before the split
    features: int = 16  # clusters, lines: dimension of the inputs
    classes: int = 4  # clusters, lines
    noise: float = 0.1  # clusters, lines: standard deviation of every coordinate inside a class
    held_out: float = 0.2  # share kept for evaluation, stratified, in [0, 1)
    labelled: float = 1.0  # share of every class's training labels that the loss sees, drawn once; the rest is -1
    label_noise: float = 0.0  # share of the seen labels that name a wrong class
    imbalance: float = 1.0  # largest over smallest class of the training set, by dropping samples
    view_noise: float = 0.1  # standard deviation of a view; images are scaled to mean 0 and deviation 1
    shift: int = 1  # images: largest shift of a view in pixels, each way: a random crop of the padded picture
    crop: float = 1.0  # images: smallest share of the picture that a view shows, enlarged to its size; 1: all of it
    flip: bool = False  # images: mirror every other view at random
    jitter: float = 0.0  # images: strength of the colour jitter, SimCLR's s
    embedder: Kind = Embedder.kind
    dimension: int = Embedder.dimension
    depth: int = Embedder.depth
    width: int = Embedder.width
    batch_norm: bool = Embedder.batch_norm
    loss: LossName = "infonce"
    temperature: float = 0.5  # tau; ignored by a loss that has none
    prototypes: Prototypes = "none"  # one fixed unit vector for each class: CLOP
    weight: float = 1.0  # lambda of the prototype term, >= 0
    distance: Distance = "cosine"  # of the prototype term
    optimizer: Optimizer = "sgd"
    rate: float = 0.1  # mu, learning rate at the start, or after the warm-up
    momentum: float = 0.9  # in [0, 1); adamw: beta_1
    weight_decay: float = 1e-4  # w, added to the gradient as w * parameter; lars: of matrices only; adamw: decoupled
    schedule: Schedule = "cosine"  # cosine falls to 0 at the last step
    warmup: int = 0  # steps in which the rate rises in equal parts, from the first part on, before the schedule
    batch: int = 256  # samples in a step, each with two views; 0: all of the training set
    steps: int = 1000
    save_every: int = 500  # steps
    sharpness: bool = True  # recorded about once a decade of steps; never of resnet18, whose Hessian is too dear
    seed: int = 0  # of data, split, initial weights, prototypes, batches and views
    precision: Precision = "float32"  # bfloat16: mixed, the weights stay float32
    compile: bool = False  # torch.compile; the first step then takes long
    device: str = "auto"  # auto: cuda, then mps, then cpu; or any torch device

    def __post_init__(self) -> None:
        source = self.data.startswith(OPENML) and self.data != OPENML
        if not (self.data in get_args(BuiltIn) or source or self.data.endswith(FILE)):
            raise ValueError(
                f"data must be one of {', '.join(get_args(BuiltIn))}, {OPENML}NAME, FILE{FILE}, got {self.data!r}; "
                "choose one of them"
            )
        _ = self.network
        for name, choices in (
            ("loss", LossName),
            ("prototypes", Prototypes),
            ("distance", Distance),
            ("optimizer", Optimizer),
            ("schedule", Schedule),
            ("precision", Precision),
        ):
            one_of(name, getattr(self, name), get_args(choices))
        for name, low in (
            ("samples", 0), ("features", 2), ("classes", 1), ("shift", 0), ("batch", 0), ("steps", 1),
            ("save_every", 1), ("warmup", 0),
        ):  # fmt: skip
            whole_number(name, getattr(self, name), low=low)
        whole_number("seed", self.seed, low=0, high=LARGEST_SEED - LARGEST)
        for name in ("noise", "view_noise", "jitter", "weight", "weight_decay"):
            number_from_zero(name, getattr(self, name), remedy="0 leaves it out")
        positive_number("crop", self.crop, remedy="it is a share; 1 shows all of the picture")
        _share("crop", self.crop, closed=True)
        _share("labelled", self.labelled, closed=True)
        _share("label_noise", self.label_noise, closed=True)
        _share("held_out", self.held_out, closed=False)
        _share("momentum", self.momentum, closed=False)
        positive_number("imbalance", self.imbalance, remedy="1 keeps every class")
        if self.imbalance < 1:
            raise ValueError(f"imbalance must be >= 1, got {self.imbalance!r}; 1 keeps every class")
        positive_number("temperature", self.temperature, remedy="typical values lie between 0.05 and 1")
        if self.temperature < SMALLEST_TEMPERATURE:
            raise ValueError(
                f"temperature must be >= {SMALLEST_TEMPERATURE}, got {self.temperature}; "
                "below it rounding decides the softmax"
            )
        positive_number("rate", self.rate, remedy="it is the learning rate mu")
        if self.warmup >= self.steps:
            raise ValueError(f"warmup must be < steps = {self.steps}, got {self.warmup}; 0 leaves it out")
        if self.batch == 1:
            raise ValueError("batch must be 0 or >= 2, got 1; one sample has nobody to differ from")

    def to_plain(self) -> dict[str, Any]:
        """The options that make the record, by name."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Training":
        """The record from options by name; those that a run of an earlier version lacks have their defaults."""
        return cls(**with_schedule({**asdict(cls()), **values}))

    def rate_at(self, step: int) -> float:
        """Learning rate of the step that leads from `step` to `step + 1`; cosine: mu (1 + cos(pi t/T))/2 of the steps
        t of T after the warm-up.
        """
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.rate
        return self.rate * (1 + math.cos(math.pi * (step - self.warmup) / (self.steps - self.warmup))) / 2

    def needs(self) -> dict[str, int]:
        """Bytes that a run takes, about, by the field that asks for most of them; of files the network alone."""
        drawn = (self.samples or 1) if self.data in ("clusters", "lines") else 0
        inputs = self.features if drawn else 1
        hidden = self.width if self.embedder in ("mlp", "conv") else 0
        last = hidden or (drawn if self.embedder == "table" else inputs)
        weights = hidden * (inputs + self.depth * hidden)
        if self.embedder == "resnet18":
            last, weights = 8 * self.width, 2727 * self.width**2
        return {
            "samples" if drawn > inputs else "features": 32 * drawn * inputs,
            "width": 24 * weights,
            "dimension": 24 * last * self.dimension,
        }

    @property
    def network(self) -> Embedder:
        """The embedder's own record."""
        return Embedder(self.embedder, self.dimension, self.depth, self.width, self.batch_norm)


def check_stackable(recipe: Training) -> None:
    """Raise ValueError unless networks of this recipe can be trained together."""
    if recipe.compile:
        raise ValueError("compile must be off in a sweep, got True; a single training takes it")
    if recipe.precision == "bfloat16" and recipe.embedder not in LARGE:
        raise ValueError(
            f"precision must be float32 or float64 in a sweep of {recipe.embedder}s, got 'bfloat16'; "
            f"{', '.join(sorted(LARGE))} takes it, and a single training"
        )


def spelt_out(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of Training where the loss may be clop, infonce with prototypes, orthonormal if none are named, and the
    schedule warmup.
    """
    one_of("loss", options["loss"], get_args(NamedLoss))
    found = with_schedule(options)
    if found["loss"] != "clop":
        return found
    return {**found, "loss": "infonce", "prototypes": with_prototypes(found["prototypes"])}


def with_schedule(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of Training where the schedule may be warmup: cosine after a rise of a tenth of the steps."""
    one_of("schedule", options["schedule"], get_args(NamedSchedule))
    if options["schedule"] != "warmup":
        return dict(options)
    steps = whole_number("steps", options["steps"], low=1)
    return {**options, "schedule": "cosine", "warmup": options["warmup"] or min(max(1, steps // 10), steps - 1)}


def with_prototypes(kind: Prototypes) -> Prototypes:
    """The kind of prototypes of a run that has some."""
    return "orthonormal" if kind == "none" else kind


def _share(name: str, value: object, *, closed: bool) -> None:
    edge = "]" if closed else ")"
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if not good or (value == 1 and not closed):
        raise ValueError(f"{name} must be in [0, 1{edge}, got {value!r}; it is a share")
