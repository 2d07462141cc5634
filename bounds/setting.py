"""The assumptions of every theorem, as one frozen record."""

import math
import reprlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

Loss = Literal["merged", "full"]
Gradient = Literal["ambient", "tangent"]
Keys = Literal["symmetric", "detached"]
Reduction = Literal["sum", "mean"]
Floats = float | NDArray[np.float64]
"""A float for one temperature, an array with one entry each for several."""

SMALLEST_TEMPERATURE = 1e-4
"""Below it the float32 rounding of a cosine, 6e-8, is no longer small beside tau."""


LARGEST = 10**9
"""Of whole numbers: sizes that no machine holds, and steps that none takes."""

LARGEST_SEED = 2**63 - 1
"""That every generator takes."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60

LONGEST_TEXT = 80
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Setting:
    """One contrastive set-up: theory and simulation take the same record.

    Equality and hash work, so a setting can key a cache. Several temperatures make every closed form an array.
    """

    temperature: float | tuple[float, ...]  # tau > 0, one or several
    dimension: int  # d >= 2, of the embedding space; the sphere is S^(d-1)
    samples: int  # n >= 2 embeddings in the loss; the full loss counts both views, so n = 2N is even
    loss: Loss = "merged"  # merged: the two views coincide (the paper's simplification); full: InfoNCE / NT-Xent
    gradient: Gradient = (
        "ambient"  # ambient: Euclidean step, then renormalise; tangent: projected first, as autograd does
    )
    keys: Keys = "symmetric"  # detached: the gradient reaches the anchor only, as with a momentum encoder
    reduction: Reduction = "sum"  # over the n anchors; mean is what PyTorch's cross_entropy does
    momentum: float = 0.0  # beta in [0, 1) of the heavy ball: v <- beta v + g, z <- N(z - mu v), as torch.optim.SGD

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", _checked_temperature(self.temperature))
        object.__setattr__(self, "momentum", plain(self.momentum))
        for name, low in (("dimension", 2), ("samples", 2)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), low=low))
        for name, choices in (("loss", Loss), ("gradient", Gradient), ("keys", Keys), ("reduction", Reduction)):
            one_of(name, getattr(self, name), get_args(choices))
        momentum_below_one(self.momentum)
        object.__setattr__(self, "momentum", float(self.momentum))
        if self.loss == "full" and self.samples % 2:
            raise ValueError(
                f"samples must be even for the full loss, got {self.samples}; "
                "it counts both views of every sample, so give 2N"
            )

    @property
    def tau(self) -> Floats:
        """The temperature as a float, or as an array of shape (temperatures,)."""
        return np.asarray(self.temperature) if isinstance(self.temperature, tuple) else self.temperature

    @property
    def pull(self) -> float:
        """Weight of the anchors' pull on one embedding: mu * pull / tau is the step that the paper writes 2 mu / tau.

        2 with symmetric keys (each embedding acts as anchor and as key), 1 with detached keys; over n for the mean.
        """
        return (2.0 if self.keys == "symmetric" else 1.0) / (self.samples if self.reduction == "mean" else 1)


def _checked_temperature(value: float | Sequence[float] | NDArray[np.float64]) -> float | tuple[float, ...]:
    found = plain(value)
    several = isinstance(found, tuple | list)
    values = tuple(found) if several else (found,)
    if not values:
        raise ValueError("temperature must have at least one value, got none; give one such as 0.5")
    for tau in values:
        check_temperature(tau)
    each_once("temperature", values)
    floats = tuple(float(tau) for tau in values)
    return floats if several else floats[0]


def plain(value: Any) -> Any:
    """An array or a tensor, on any device, as numbers or lists of Python; anything else as it is."""
    try:
        if hasattr(value, "tolist"):
            return value.tolist()
        return np.asarray(value).tolist() if hasattr(value, "__array__") else value
    except (RuntimeError, TypeError, ValueError):  # a tensor without data
        return value


def shown(value: object) -> str:
    """A value in a message: one short line."""
    if len(shape := getattr(value, "shape", ())) > 1:
        return f"an array of shape {tuple(shape)}"
    try:
        text = " ".join(_SHORT.repr(plain(value)).split())
        return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT // 2]}...{text[-LONGEST_TEXT // 4 :]}"
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "one of thousands of digits"


def check_temperature(value: object) -> None:
    """Raise ValueError unless value is a temperature tau."""
    positive_number("temperature", value, remedy="typical values lie between 0.05 and 1")
    if value < SMALLEST_TEMPERATURE:  # type: ignore[operator]
        raise ValueError(
            f"temperature must be >= {SMALLEST_TEMPERATURE}, got {value}; below it rounding decides the softmax"
        )


def positive_number(name: str, value: object, *, remedy: str) -> None:
    """Raise ValueError unless value is a finite number > 0."""
    if not (is_number(value) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a finite number > 0, got {shown(value)}; {remedy}")


def number_from_zero(name: str, value: object, *, remedy: str) -> None:
    """Raise ValueError unless value is a finite number >= 0."""
    if not (is_number(value) and 0 <= value < math.inf):
        raise ValueError(f"{name} must be a finite number >= 0, got {shown(value)}; {remedy}")


def momentum_below_one(value: object) -> None:
    """Raise ValueError unless value is a momentum, in [0, 1)."""
    if not (is_number(value) and 0 <= value < 1):
        raise ValueError(f"momentum must be in [0, 1), got {shown(value)}; at 1 the start is never forgotten")


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return not isinstance(value, int) or abs(value) <= sys.float_info.max


def without_momentum(setting: Setting) -> None:
    """Raise ValueError if the setting has momentum: for formulas of one step, which has no memory."""
    if setting.momentum:
        raise ValueError(f"momentum must be 0 here, got {setting.momentum:g}; this is a formula of a single step")


def whole_number(name: str, value: object, *, low: int, high: int = LARGEST) -> int:
    """The value as an int; ValueError unless it is a whole number from low to high."""
    whole = plain(value)
    if isinstance(whole, bool) or not isinstance(whole, int) or whole < low:
        remedy = f"raise it to {low} or more"
        if isinstance(whole, float) and low <= whole <= high:
            remedy = f"write it as {round(whole)}" if whole == round(whole) else "round it"
        raise ValueError(f"{name} must be a whole number >= {low}, got {shown(value)}; {remedy}")
    if whole > high:
        raise ValueError(f"{name} must be a whole number <= {high}, got {shown(value)}; lower it")
    return whole


def each_once(name: str, values: Sequence[object]) -> None:
    """Raise ValueError unless the values are at least one, none of them empty, each there once."""
    if not values or "" in values:
        raise ValueError(f"{name} must hold values separated by single commas, got an empty one; take it out")
    try:
        different = len(set(values))
    except TypeError:
        raise ValueError(f"{name} must hold numbers or words, got {shown(values)}; take out what is neither") from None
    if different < len(values):
        raise ValueError(f"{name} must hold each value once, got {','.join(map(str, values))}; drop the repeated ones")


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError unless value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {shown(value)}; choose one of them")
