"""The one rule that makes a verdict of paired differences."""

import numpy as np
import pytest
from scipy import stats

from clopsim.protocols.judgement import judge


@pytest.mark.parametrize(
    "mean, verdict", [(0.05, "supported"), (-0.05, "not supported"), (0.0, "not supported"), (0.012, "cannot tell")]
)
def test_the_interval_decides(mean, verdict):
    """Half-width 0.0185 and 0.005 that matters: a mean of 0 is excluded from mattering only by a narrower interval."""
    spread = np.array([-1.0, 0.0, 1.0]) * (0.0015 if mean == 0 else 0.0075)
    found = judge(mean + spread, matters=0.005)
    assert found.verdict == verdict
    reference = stats.ttest_1samp(mean + spread, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))
    assert found.mean == pytest.approx(mean)
    assert found.seeds == 3


def test_a_difference_that_does_not_matter_is_still_there():
    assert judge(np.full(4, 0.001), matters=0.01).verdict == "supported"


@pytest.mark.parametrize("differences", ([1.0], [1.0, np.nan, 1.0], [1.0, np.inf]))
def test_one_seed_and_a_run_that_broke_cannot_tell(differences):
    found = judge(np.array(differences), matters=0.1)
    assert found.verdict == "cannot tell"
    assert np.isnan(found.low)


def test_about_one_true_null_in_forty_is_called_supported():
    rng = np.random.default_rng(0)
    calls = [judge(rng.standard_normal(8), matters=10).verdict for _ in range(2000)]
    assert calls.count("supported") / 2000 == pytest.approx(0.025, abs=0.01)
