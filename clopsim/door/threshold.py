"""clopsim.threshold: what `clopsim threshold` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from clopsim.bounds import Setting
from clopsim.bounds.setting import is_number, positive_number, whole_number
from clopsim.door.answer import Answer
from clopsim.door.arguments import takes
from clopsim.door.critical_rates import SETTING, temperatures
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.show import tables

SEARCH = {"bracket": 0.005, "seeds": 4, "tolerance": 0.05}


class Threshold(Answer):
    """A critical rate as predicted and as found by a search."""

    def __init__(self, row: Mapping[str, Any], tolerance: float | None = None) -> None:
        """row: as of sphere.thresholds.Threshold.as_row; tolerance: with which it was judged, if that is to be said."""
        self._row, self._tolerance = dict(row), tolerance
        self.kind: str = row["kind"]
        self.tau: float = row["temperature"]
        self.predicted_rate: float | None = row["predicted_rate"]
        self.observed_rate: float | None = row["observed_rate"]
        self.bracket: tuple[float, float] | None = None if row["bracket"] is None else tuple(row["bracket"])
        self.relative_gap: float | None = row["relative_gap"]
        self.holds: bool | None = row["holds"]

    def report(self) -> str:
        """Whether the prediction holds, then predicted and observed rate side by side."""
        return tables.threshold_report([self._row], self._tolerance)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain numbers."""
        return dict(self._row)


class Thresholds(Answer, Sequence[Threshold]):
    """Several searched rates, in one table."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], tolerance: float | None = None) -> None:
        """rows, tolerance: as of Threshold."""
        self._rows, self._tolerance = [dict(row) for row in rows], tolerance

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Thresholds(self._rows[place], self._tolerance)
        return Threshold(self._rows[place], self._tolerance)

    def __len__(self) -> int:
        return len(self._rows)

    def report(self) -> str:
        """Whether the predictions hold, then one rate a line."""
        return tables.threshold_report(self._rows, self._tolerance)

    @property
    def holds(self) -> bool | None:
        """Whether all hold; None where none fails and n is too small to tell for some."""
        return tables.all_hold(self._rows)

    def to_dict(self) -> dict[str, Any]:
        """The comparisons as plain numbers."""
        return {"thresholds": [dict(row) for row in self._rows]}


@takes({**SETTING, **SEARCH})
def threshold(kind: str, **options: Any) -> Threshold | Thresholds:
    """Search one critical learning rate by bisection, which knows nothing of the prediction, and hold it against that.

    kind: "collapse" (above which rate does complete collapse attract?), "uniform" (... does the uniform state break?),
    "alignment_uniform" or "alignment_collapse" (full loss: ... do the views come apart?), "line" (full loss: ... does
    the line with antipodal views attract?).
    tau, dim, samples, loss, gradient, keys, reduction, momentum: as of critical_rates. bracket: relative width, in
    (0, 1). seeds: number of starts; each gets a bracket. tolerance: largest relative gap at which the theory holds.

    Returns an object with predicted_rate, observed_rate, bracket, relative_gap and holds; None stands for "never", and
    in holds for "n too small to tell" (T13: a batch that cannot resolve the harmonics that break first).
    Errors: ValueError for an unknown kind, a setting in which it has no meaning, numbers out of range.
    Source: ours (bounds/THEORY.md).

    >>> import clopsim
    >>> clopsim.threshold("collapse", samples=8, seeds=1).holds
    True
    """
    options = {**SETTING, **SEARCH, **options}
    taus = options["temperature"]
    several = isinstance(taus, list | tuple) and len(taus) != 1
    rows = [_row(kind, {**options, "temperature": tau}) for tau in temperatures(taus)]
    return Thresholds(rows, options["tolerance"]) if several else Threshold(rows[0], options["tolerance"])


def _row(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison at one temperature."""
    setting = Setting(**{name: options[name] for name in SETTING})
    whole_number("seeds", options["seeds"], low=1)
    positive_number("tolerance", options["tolerance"], remedy="0.05 allows five percent")
    from clopsim.sphere import thresholds

    n, d, seeds = setting.samples, setting.dimension, options["seeds"]
    most = max(("samples", n), ("dimension", d), ("seeds", seeds), key=lambda each: each[1])[0]
    ready.check_memory({most: 24 * n * n + 96 * seeds * n * d})
    checked = thresholds.check(kind, setting)
    low, bracket = thresholds.SMALLEST_WIDTH, options["bracket"]
    if not (is_number(bracket) and low <= bracket < 1):
        raise ValueError(
            f"bracket must be in [{low:g}, 1), got {bracket!r}; 0.001 finds the rate to one part in a thousand"
        )
    with progress("search") as advance:
        found = thresholds.search(checked, setting, width=bracket, seeds=range(options["seeds"]), on_progress=advance)
    return found.as_row(options["tolerance"])
