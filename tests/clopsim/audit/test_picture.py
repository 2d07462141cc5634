"""What a picture of an experiment says to those who do not see it."""

import math

import pytest

from clopsim.audit.experiments import Experiment
from clopsim.audit.picture import described


@pytest.mark.parametrize(
    "relation, measured, words",
    [
        ("equal", (1.0, 1.0), "1 throughout, beside predictions from 1 to 2; they do not agree"),
        ("equal", (1.0, 2.001), "from 1 to 2, beside predictions from 1 to 2; they agree"),
        ("below", (0.1, 0.5), "from 0.1 to 0.5, beside upper bounds from 1 to 2; they agree"),
        ("above", (4.0, 3.0), "from 3 to 4, beside lower bounds from 1 to 2; they agree"),
        ("above", (math.nan, math.nan), "nan throughout, beside lower bounds from 1 to 2; they do not agree"),
    ],
)
def test_a_picture_is_described_in_words(relation, measured, words):
    found = Experiment("t", "mu/tau", "R", (0.0, 1.0), measured, (1.0, 2.0), 0.01, relation=relation)
    assert described(found) == f"R over μ/τ: 2 points, measured {words} within 0.01"
