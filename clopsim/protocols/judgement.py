"""From paired differences over seeds to a verdict, by one rule for every claim."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Verdict = Literal["supported", "not supported", "cannot tell"]

LEVEL = 0.95
"""Of the interval for the mean difference."""


@dataclass(frozen=True)
class Judgement:
    """The mean of paired differences over seeds, positive where the claim is right, and what it says of the claim."""

    mean: float
    low: float  # of the t-interval for the mean, to LEVEL
    high: float
    seeds: int
    matters: float  # smallest difference that would matter
    verdict: Verdict

    def to_dict(self) -> Mapping[str, Any]:
        """As plain values; None where one seed has no interval."""
        return {
            "mean": self.mean, "low": self.low, "high": self.high, "seeds": self.seeds, "matters": self.matters,
            "verdict": self.verdict,
        }  # fmt: skip


def judge(differences: NDArray[np.float64], *, matters: float) -> Judgement:
    """Supported, not supported or cannot tell, from the 95 % t-interval for the mean of paired differences (seeds,).

        supported: low > 0;   not supported: high < matters;   else cannot tell

    So a claim falls where the seeds exclude a difference that would matter, not where they merely show none.
    One seed, or a difference that is not finite, cannot tell.
    """
    count = differences.size
    mean = float(differences.mean())
    if count < 2 or not np.isfinite(differences).all():
        return Judgement(mean, math.nan, math.nan, count, matters, "cannot tell")
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * differences.std(ddof=1) / math.sqrt(count))
    low, high = mean - reach, mean + reach
    verdict: Verdict = "supported" if low > 0 else "not supported" if high < matters else "cannot tell"
    return Judgement(mean, low, high, count, matters, verdict)
