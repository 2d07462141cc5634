"""What an experiment returns: measured beside predicted values, and whether they agree."""

from dataclasses import dataclass

import numpy as np

from clopsim.bounds import Setting
from clopsim.sphere.thresholds import Kind, prober


@dataclass(frozen=True)
class Experiment:
    """Measured beside predicted values, point by point, and how far they may lie apart."""

    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    tolerance: float  # of |measured - predicted|, relative to |predicted| unless absolute
    absolute: bool = False
    relation: str = "equal"  # or "below": measured <= predicted (1 + tolerance), "above": measured >= predicted (...)
    note: str = ""
    verdicts: tuple[tuple[str, str], ...] = ()  # of claims that are tested one by one: verdict, claim with its evidence

    @property
    def gap(self) -> float:
        """Largest distance in the sense of the relation; nan if anything was not finite."""
        measured, predicted = np.array(self.measured), np.array(self.predicted)
        difference = measured - predicted
        if self.relation == "equal":
            difference = np.abs(difference)
        elif self.relation == "above":
            difference = -difference
        return float(np.max(difference if self.absolute else difference / np.abs(predicted)))

    @property
    def holds(self) -> bool:
        """Whether every point meets its prediction."""
        return self.gap <= self.tolerance  # False for nan


def bracket(kind: Kind, setting: Setting, rate: float, margin: float) -> tuple[list[float], list[float]]:
    """Multiples of the rate just below and above, two seeds, and whether the runs are above the true critical rate."""
    multiples = [1 - margin, 1 + margin] * 2
    above = prober(kind, setting, seeds=[0, 0, 1, 1])
    return multiples, [float(answer) for answer in above([multiple * rate for multiple in multiples])]
