"""clopsim.critical_rates: what `clopsim bounds` prints."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, get_args

from clopsim import bounds
from clopsim.bounds import (
    PrototypeDistance,
    PrototypeWeights,
    Setting,
    alignment_collapse_rate,
    moco_rate,
    prototype_weights,
    spread_growth,
)
from clopsim.bounds.setting import one_of, whole_number
from clopsim.door.answer import Answer
from clopsim.door.arguments import takes
from clopsim.runs.config import Sweep
from clopsim.show.rates import bounds_report

SETTING: dict[str, Any] = {
    each.name: getattr(Sweep, each.name) if each.default is MISSING else each.default for each in fields(Setting)
}
"""Fields of a setting with their defaults, those of a sweep where the theory has none."""

MORE: dict[str, Any] = {
    "classes": None,
    "prototypes": "orthonormal",
    "weight": None,
    "distance": "cosine",
    "labelled": 1.0,
    "ema": None,
    "queue": 1,
    "batch_of": None,
}
"""What else can be asked about a setting."""


@dataclass(frozen=True, repr=False)
class CriticalRates(Answer, bounds.CriticalRates):
    """Every critical learning rate of a setting: an attribute each, None where there is none (see reasons)."""

    with_prototypes: PrototypeWeights | None = None  # with classes
    distance: str = "cosine"
    moco_rate: float | None = None  # with ema; T21
    batch_spread_growth: float | None = None  # with batch_of; T24, a step's factor at alignment_collapse_rate

    def report(self, title: str = "") -> str:
        """The rates that matter in a sentence, then one rate a line with its meaning; title: before the sentence."""
        return bounds_report(
            self,
            title=title,
            prototypes=self.with_prototypes,
            distance=self.distance,
            moco=self.moco_rate,
            batch_growth=self.batch_spread_growth,
        )

    def to_dict(self) -> dict[str, Any]:
        """The rates by name; what was not asked about is left out."""
        document = {name: value for name, value in asdict(self).items() if name not in ("reasons", "distance")}
        if self.with_prototypes is not None:
            document["with_prototypes"].pop("reasons")
        unasked = ("with_prototypes", "moco_rate", "batch_spread_growth")
        return {name: value for name, value in document.items() if not (name in unasked and value is None)}


class RatesByTemperature(Answer, Mapping[float, CriticalRates]):
    """The critical rates of a setting at several temperatures, by temperature."""

    def __init__(self, rates: Mapping[float, CriticalRates]) -> None:
        """rates: by temperature."""
        self._rates = dict(rates)

    def __getitem__(self, temperature: float) -> CriticalRates:
        return self._rates[temperature]

    def __iter__(self) -> Iterator[float]:
        return iter(self._rates)

    def __len__(self) -> int:
        return len(self._rates)

    def report(self) -> str:
        """The report of every temperature."""
        return "\n\n\n".join(rates.report(f"tau = {tau:g}: ") for tau, rates in self._rates.items())

    def to_dict(self) -> dict[str, Any]:
        """The rates of every temperature, in a list."""
        return {"rates": [{"temperature": tau, **rates.to_dict()} for tau, rates in self._rates.items()]}


@takes({**SETTING, **MORE})
def critical_rates(**options: Any) -> CriticalRates | RatesByTemperature:
    """Every critical learning rate of a setting, in closed form; prints as `clopsim bounds` does.

    tau: temperature > 0, one or a list. dim: dimension d >= 2 of the embeddings. samples: number n >= 2 of embeddings
    in the loss; the full loss counts both views, so it is 2N there. loss: "merged" (the two views coincide) or "full"
    (InfoNCE/NT-Xent). gradient: "ambient" (Euclidean step, then normalise) or "tangent" (as autograd through a
    normalisation). keys: "symmetric" or "detached" (the gradient reaches the anchor only). reduction: over the n
    anchors, "sum" or "mean". momentum: beta of the heavy ball, in [0, 1).
    classes: number K of balanced classes (merged loss, sum): adds with_prototypes, what prototypes do to them, of the
    kind prototypes ("orthonormal", "etf", "simplex"), at a weight, for a distance ("cosine", "euclidean", "manhattan"),
    with a share labelled. ema: m of MoCo's key encoder, with a queue of so many steps: adds moco_rate (full loss,
    tangent gradient, detached keys). batch_of: number of all embeddings of which the samples are a batch, drawn at
    every step (full loss): adds batch_spread_growth.

    Rates are step sizes of gradient descent on unit embeddings, for the loss in that reduction.
    Returns an object with an attribute for every rate (None: there is none, and reasons says why) and to_dict(), of
    several temperatures a mapping to such objects.
    Errors: ValueError for a setting that is none, and for a question that does not fit it.
    Source: the paper's range is the argument of arXiv:2512.07880 (T3); the rest is ours (bounds/THEORY.md).

    >>> import clopsim
    >>> clopsim.critical_rates(tau=0.5, dim=8, samples=32).collapse_rate
    0.516...
    """
    options = {**SETTING, **MORE, **options}
    taus = options["temperature"]
    found = {tau: _at_one(**{**options, "temperature": tau}) for tau in temperatures(taus)}
    return RatesByTemperature(found) if len(found) > 1 else next(iter(found.values()))


def temperatures(given: Any) -> Sequence[Any]:
    """One or several temperatures as a sequence. Errors: ValueError for none, or one twice."""
    if not isinstance(given, list | tuple):
        return (given,)
    if not given or len(set(given)) < len(given):
        raise ValueError(f"temperature must hold one value or more, each once, got {given!r}; give some as in 0.2, 0.5")
    return given


def _at_one(**options: Any) -> CriticalRates:
    """The rates at one temperature."""
    setting = Setting(**{name: options[name] for name in SETTING})
    rates = bounds.critical_rates(setting)
    more: dict[str, Any] = {}
    if options["classes"] is not None:
        asked = {name: options[name] for name in ("classes", "prototypes", "weight", "labelled")}
        more["with_prototypes"] = prototype_weights(setting, **asked)
        one_of("distance", options["distance"], get_args(PrototypeDistance))
        more["distance"] = options["distance"]
    for name in ("prototypes", "weight", "distance", "labelled"):
        _needs("classes", "say how many classes there are", name, options)
    _needs("ema", "say how slow the key encoder is, as in 0.999", "queue", options)
    if options["ema"] is not None:
        more["moco_rate"] = moco_rate(setting, ema=options["ema"], queue=options["queue"])
    if options["batch_of"] is not None:
        apart = alignment_collapse_rate(setting)
        if setting.loss != "full" or apart is None:
            raise ValueError("batch_of needs loss full with two samples or more; a merged step flips the batch alone")
        data = whole_number("batch_of", options["batch_of"], low=setting.samples)
        if data % 2:
            raise ValueError(f"batch_of must be even, got {data}; it counts both views of every sample, so give 2N")
        more["batch_spread_growth"] = float(spread_growth(apart, setting, data=data))
    return CriticalRates(**vars(rates), **more)


def _needs(other: str, remedy: str, name: str, options: Mapping[str, Any]) -> None:
    if options[other] is None and options[name] != MORE[name]:
        found = options[name]
        shown = f"{found:g}" if isinstance(found, float) else found
        raise ValueError(f"{name} must come with {other}, got {shown} alone; {remedy}")
