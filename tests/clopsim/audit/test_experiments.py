"""Every experiment of the audit holds, and fails when its formula is wrong by 5 % either way."""

import math

import pytest

from clopsim.audit.experiments import Experiment
from clopsim.audit.ledger import CLAIMS

EXPERIMENTS = {
    f"{one.__module__.split('.')[-1]}.{one.__name__}": one for claim in CLAIMS for one in claim.experiments
}  # two files may have one of the same name


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("factor, holds", [(1.0, True), (1.05, False), (0.95, False)])
def test_experiments_hold_and_a_formula_off_by_five_percent_fails(name, factor, holds):
    result = EXPERIMENTS[name](factor)
    assert all(math.isfinite(value) for value in result.measured)
    assert len(result.x) == len(result.measured) == len(result.predicted)
    assert result.holds is holds, (result.gap, result.tolerance)


def experiment(measured: float, predicted: float, **fields: object) -> Experiment:
    return Experiment("t", "x", "y", (0.0,), (measured,), (predicted,), 0.01, **fields)  # type: ignore[arg-type]


def test_relations():
    assert experiment(1.0, 1.005).holds
    assert not experiment(1.0, 1.02).holds
    assert experiment(1.0, 2.0, relation="below").holds
    assert not experiment(2.0, 1.0, relation="below").holds
    assert experiment(2.0, 1.0, relation="above").holds
    assert not experiment(1.0, 2.0, relation="above").holds
    assert not experiment(float("nan"), 1.0).holds
    assert not experiment(0.02, 0.0, absolute=True).holds
