"""A row of the table of closed forms: a loss, a state, what the theory says there; and the card of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from clopsim.bounds import Gradient
from clopsim.cards import calculus, optimum, states
from clopsim.cards.spectrum import Spectrum, spectrum
from clopsim.cards.subject import Subject, random_rows, subject_of
from clopsim.losses import LOSSES

Levels = list[tuple[float, int]]  # curvature and multiplicity; those of 0 and of no directions may be in it


@dataclass(frozen=True)
class Row:
    """One loss at one state, and what is known there."""

    loss: str  # of LOSSES, or merged
    state: str | Callable[[Subject], Tensor]  # of cards.states, "optimum", or rows
    levels: Levels
    pull: float | tuple[float, float] | None  # of all rows, or the smallest and the largest; None: not known
    shape: dict[str, Any]  # of subject_of
    options: dict[str, Any] = field(default_factory=dict)
    rates: tuple[tuple[Gradient, float | None], ...] = ()  # of the theory's own functions; None: attracts at none
    weight: float = 0.0  # lambda of prototypes, a mean over the rows
    function: Callable[..., Tensor] | None = None  # in the place of the registered one
    whole: bool = True  # all levels are given
    turns: bool = True  # the loss is blind to turns

    def __str__(self) -> str:
        state = self.state if isinstance(self.state, str) else getattr(self.state, "func", self.state).__name__
        told = [f"{key}={value}" for key, value in self.options.items() if not isinstance(value, Tensor)]
        numbers = [f"{key[0]}={value}" for key, value in self.shape.items() if value is not None]
        return "-".join([self.loss, state, *told, *numbers, *([f"lambda={self.weight}"] if self.weight else [])])


def shape(samples: int, d: int, *, classes: int = 0, tau: float | None = None) -> dict[str, Any]:
    return {"samples": samples, "dimension": d, "classes": classes, "temperature": tau}


def over(count: float, levels: Iterable[tuple[float, int]]) -> Levels:
    """Of the mean of so many terms, from those of the sum."""
    return [(c / count, number) for c, number in levels]


def of_modes(modes: Iterable[Any], times: int = 1) -> Levels:
    return [(mode.curvature, times * mode.multiplicity) for mode in modes]


def held(subject: Subject, angle: float) -> Tensor:
    """Class points at this angle from their prototypes."""
    z = states.tilted(subject, angle)
    assert z is not None
    return z


def subject_at(row: Row) -> tuple[Subject, Tensor]:
    """The loss as the card has it, with prototypes where the row has them, and the rows of the state."""
    registered = "merged" if row.loss == "merged" else LOSSES[row.loss].loss  # type: ignore[index]
    options = dict(row.options)
    if row.shape["temperature"] is not None and not isinstance(registered, str):
        options["temperature"] = row.shape["temperature"]
    function = row.function or (registered if isinstance(registered, str) else partial(registered, **options))
    plain = isinstance(function, str)
    subject = subject_of(function, **row.shape | ({} if plain else {"temperature": None}))
    if row.weight:
        bare, c = subject.value, states.orthonormal(subject)
        subject = replace(subject, value=lambda z: bare(z) + row.weight * (1 - (z * c).sum(dim=-1)).mean())
    if not isinstance(row.state, str):
        return subject, row.state(subject)
    place = optimum.own_optimum if row.state == "optimum" else getattr(states, row.state)
    return subject, place(subject)


def card_at(row: Row) -> tuple[Subject, Spectrum]:
    subject, z = subject_at(row)
    return subject, at(subject, z, turns=row.turns)


def at(subject: Subject, z: Tensor, *, turns: bool = True) -> Spectrum:
    there = random_rows(subject)
    scale = float(calculus.tangent(there, calculus.value_and_gradient(subject.value, there)[1]).norm(dim=-1).max())
    return spectrum(subject, z, name="", title="", scale=scale, turns=turns)
