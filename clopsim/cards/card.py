"""A loss in one document: what it sees, where it is stationary, every critical rate, and all of it simulated."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clopsim.cards import calculus, optimum, simulation, states, weights
from clopsim.cards.spectrum import OPTIMUM, STATIONARY, Critical, Spectrum, spectrum
from clopsim.cards.subject import FORMS, SAME, Subject, random_rows

MOST_LEVELS = 10
"""Up to so many levels of a state have their rates simulated; of more the outermost two."""


class Rated(NamedTuple):
    """A critical rate of a state, and what was simulated on both sides of it."""

    state: str
    critical: Critical
    checks: tuple[simulation.Check, ...]

    @property
    def holds(self) -> bool | None:
        """Whether prediction and simulation agree; None where there was nothing to simulate."""
        return all(check.agrees for check in self.checks) if self.checks else None


@dataclass(frozen=True)
class Portrait:
    """Everything that the card says."""

    subject: Subject
    scale: float  # largest tangent gradient of a row at random rows
    turned: float  # relative change of the value as all rows are turned together
    stationary: dict[str, float]  # by place: the largest tangent gradient of a row, in units of that at random rows
    spectra: dict[str, Spectrum]  # by name: collapse, line, simplex, orthonormal (with classes and room), optimum
    rates: tuple[Rated, ...]
    unit: float  # learning rate in whose multiples the long runs are
    unit_of: str  # where it comes from
    runs: tuple[simulation.Run, ...]
    weights: weights.Weights

    @property
    def holds(self) -> bool:
        """Whether every rate that was simulated is where it was predicted."""
        return all(rated.holds is not False for rated in self.rates)

    def _twin(self, found: Spectrum) -> str | None:
        """The title of an earlier state that has the loss and the levels of the optimum, so that it is the optimum."""
        if found.name != OPTIMUM:
            return None
        for other in self.spectra.values():
            pairs = zip(found.levels, other.levels, strict=False)
            if (
                other is not found
                and found.levels
                and len(found.levels) == len(other.levels)
                and all(
                    math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-9)
                    for pair in pairs
                    for one, two in zip(*pair, strict=True)
                )
            ):
                return other.title
        return None

    def at(self, z: Tensor) -> Spectrum:
        """The spectrum at rows of anybody's, (n, d), of any length but 0. Errors: ValueError for anything else."""
        shape = (self.subject.rows, self.subject.dimension)
        if tuple(z.shape) != shape:
            raise ValueError(f"state must be rows of shape {shape}, got {tuple(z.shape)}; one for each row of the loss")
        rows = calculus.unit(z.detach().double().cpu())
        if not bool(rows.isfinite().all()):
            raise ValueError("state must have finite rows longer than 0, got others; only their direction counts")
        return spectrum(self.subject, rows, name="", title="rows as given", scale=self.scale, turns=self.turned <= SAME)

    def document(self) -> dict[str, Any]:
        """The card as plain values."""
        subject = self.subject
        return {
            "loss": subject.name,
            "formula": subject.formula or None,
            "reduction": subject.reduction,
            "temperature": subject.temperature,
            "rows": subject.rows,
            "dimension": subject.dimension,
            "classes": subject.classes,
            "views": subject.views,
            "form": subject.form,
            "form_in_words": FORMS[subject.form],
            "reads_own_cosine": subject.sees_lengths,
            "noise": subject.noise,
            "cosines_only": self.turned <= SAME,
            "turned": self.turned,
            "stationary": [
                {"at": place, "residual": residual, "stationary": residual < STATIONARY}
                for place, residual in self.stationary.items()
            ],
            "states": [{**_state(found), "same_as": self._twin(found)} for found in self.spectra.values()],
            "rates": [_rate(rated) for rated in self.rates],
            "runs": {
                "unit": self.unit,
                "unit_of": self.unit_of,
                "multiples": list(simulation.MULTIPLES),
                "steps": simulation.STEPS,
                "ends": [
                    {"gradient": run.gradient, "start": run.start, "effective_rank": list(run.ranks)}
                    for run in self.runs
                ],
            },
            "prototypes": self.weights._asdict(),
            "holds": self.holds,
        }


def _state(found: Spectrum) -> dict[str, Any]:
    gradients = ("ambient", "tangent") if found.has_ambient else ("tangent",)
    return {
        "name": found.name,
        "title": found.title,
        "loss": found.value,
        "effective_rank": found.rank,
        "residual": found.residual,
        "pull": found.pull,
        "pulls": list(found.pulls),
        "levels": [level._asdict() for level in found.levels],
        "turns": found.turns,
        "flat": found.flat,
        "kind": found.kind if found.levels else None,
        "attracts": {gradient: _attracts(found, gradient) for gradient in gradients},
        "trouble": found.trouble or None,
    }


def _attracts(found: Spectrum, gradient: Any) -> dict[str, float | None] | None:
    """Between which rates the state attracts; None: at none, or nobody can tell."""
    if not found.levels or found.kind in ("flat", "saddle"):
        return None
    rates = [each.rate for each in found.criticals() if each.gradient == gradient]
    known = [rate for rate in rates if rate is not None]
    if found.kind == "minimum":
        return {"above": 0.0, "below": min(known, default=math.inf)}
    return {"above": max(known), "below": math.inf} if known == rates else None


def _rate(rated: Rated) -> dict[str, Any]:
    critical = rated.critical._asdict()
    critical["why"] = critical["why"] or None
    return {
        "state": rated.state,
        **critical,
        "checks": [{**check._asdict(), "agrees": check.agrees} for check in rated.checks],
        "holds": rated.holds,
    }


def portrait(subject: Subject, on_progress: Callable[[float, str], None] = lambda share, note: None) -> Portrait:
    """The card of a loss. on_progress takes the share done and what comes next."""
    z = random_rows(subject)
    _, slope = calculus.value_and_gradient(subject.value, z)
    scale = float(calculus.tangent(z, slope).norm(dim=-1).max())
    turned = _turned(subject)
    places = _places(subject)
    spectra: dict[str, Spectrum] = {}
    for done, (name, (title, rows)) in enumerate(places.items()):
        on_progress(0.05 * (done + 1), title)
        there = rows()
        if there is not None:
            spectra[name] = spectrum(subject, there, name=name, title=title, scale=scale, turns=turned <= SAME)
    on_progress(0.4, "rates")
    rates = tuple(
        Rated(name, critical, simulation.check(subject, found, critical))
        for name, found in spectra.items()
        for critical in _shown(found)
    )
    unit, unit_of = _unit(spectra, scale)
    runs = simulation.long_runs(subject, unit, lambda share: on_progress(0.5 + 0.4 * share, "long runs"))
    on_progress(0.9, "prototypes")
    if turned > SAME:
        prototypes = weights.Weights(None, None, "the loss has directions of its own, and its classes rest there")
    else:
        prototypes = weights.critical_weights(subject, scale=scale)
    rough = [spectra[name] for name in ("simplex", "orthonormal") if name in spectra and not spectra[name].levels]
    for found in rough:
        if found.stationary or not math.isfinite(found.residual):
            words = found.trouble
            prototypes = weights.Weights(None, None, f"of {found.title}: {words[0].lower()}{words[1:].rstrip('.')}")
    on_progress(1.0, "")
    return Portrait(
        subject, scale, turned, _stationary(subject, spectra, scale), spectra, rates, unit, unit_of, runs, prototypes
    )


def _places(subject: Subject) -> dict[str, tuple[str, Callable[[], Tensor | None]]]:
    halves = "views at the two ends" if subject.views else "half the rows at each end"
    count = subject.classes
    return {
        "collapse": ("complete collapse", lambda: states.point(subject)),
        "line": (f"the antipodal line ({halves})", lambda: states.line(subject)),
        "simplex": (f"{count} classes on a simplex", lambda: states.simplex(subject)),
        "orthonormal": (f"{count} classes at right angles", lambda: states.orthonormal(subject)),
        OPTIMUM: ("its own optimum, found by descent", lambda: optimum.own_optimum(subject)),
    }


def _turned(subject: Subject) -> float:
    """Largest relative change of the value as all rows are turned, or turned and mirrored, together."""
    changes = []
    for seed in (1, 2):
        z = random_rows(subject, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        turn = torch.linalg.qr(torch.randn(*(2 * (z.shape[1],)), generator=generator, dtype=z.dtype)).Q
        turn[0] *= (-1) ** seed * torch.linalg.det(turn)
        here, there = subject.value(z), subject.value(z @ turn)
        changes.append(float((here - there).abs() / (1 + here.abs())))
    return max(changes)


def _stationary(subject: Subject, spectra: dict[str, Spectrum], scale: float) -> dict[str, float]:
    found = {spectra[name].title: spectra[name].residual for name in spectra if name != OPTIMUM}
    mixed = spectrum(subject, states.mixed_line(subject), name="", title="", scale=scale, turns=False)
    return found | {"a line with the rows at either end by chance": mixed.residual}


def _shown(found: Spectrum) -> list[Critical]:
    """The critical rates that the card shows and simulates: of many levels the outermost."""
    criticals = found.criticals()
    if len(found.levels) <= MOST_LEVELS:
        return criticals
    kept = []
    for gradient in ("ambient", "tangent"):
        mine = [each for each in criticals if each.gradient == gradient]
        kept += [each for each in mine if each in (mine[0], mine[-1])]
    return kept


def _unit(spectra: dict[str, Spectrum], scale: float) -> tuple[float, str]:
    """A learning rate to measure others by: the one up to which tangent steps hold the optimum."""
    best = spectra[OPTIMUM]
    steepest = max((level.curvature for level in best.levels), default=0.0)
    if steepest > 0:
        return 2 / steepest, "up to it tangent steps hold its own optimum"
    return 1 / scale, "its optimum has no steepest direction, so the rate that moves random rows by up to a radian"
