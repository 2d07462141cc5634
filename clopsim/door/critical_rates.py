"""clopsim.critical_rates: what `clopsim bounds` prints."""

from dataclasses import MISSING, asdict, fields
from typing import Any

import bounds
from bounds import Setting
from clopsim.door.answer import Answer
from clopsim.door.arguments import takes
from clopsim.runs.config import Sweep
from clopsim.show import tables

SETTING: dict[str, Any] = {
    each.name: getattr(Sweep, each.name) if each.default is MISSING else each.default for each in fields(Setting)
}
"""Fields of a setting with their defaults, those of a sweep where the theory has none."""


class CriticalRates(Answer, bounds.CriticalRates):
    """Every critical learning rate of a setting: an attribute each, None where there is none (see reasons)."""

    def report(self) -> str:
        """One rate a line, with its meaning."""
        return tables.bounds_table(self)

    def to_dict(self) -> dict[str, Any]:
        """The rates by name."""
        return {name: value for name, value in asdict(self).items() if name != "reasons"}


@takes(SETTING)
def critical_rates(**setting: Any) -> CriticalRates:
    """Every critical learning rate of a setting, in closed form; prints as the table of `clopsim bounds`.

    tau: temperature > 0. dim: dimension d >= 2 of the embeddings. samples: number n >= 2 of embeddings in the loss; the
    full loss counts both views, so it is 2N there. loss: "merged" (the two views coincide) or "full" (InfoNCE/NT-Xent).
    gradient: "ambient" (Euclidean step, then normalise) or "tangent" (as autograd through a normalisation). keys:
    "symmetric" or "detached" (the gradient reaches the anchor only). reduction: over the n anchors, "sum" or "mean".
    momentum: beta of the heavy ball, in [0, 1).

    Rates are step sizes of gradient descent on unit embeddings, for the loss in that reduction.
    Returns an object with an attribute for every rate (None: there is none, and reasons says why) and to_dict().
    Errors: ValueError for a setting that is none, and for several temperatures.
    Source: the paper's range is the argument of arXiv:2512.07880 (T3); the rest is ours (bounds/THEORY.md).

    >>> import clopsim
    >>> clopsim.critical_rates(tau=0.5, dim=8, samples=32).collapse_rate
    0.516...
    """
    found = bounds.critical_rates(Setting(**{**SETTING, **setting}))
    return CriticalRates(**vars(found))
