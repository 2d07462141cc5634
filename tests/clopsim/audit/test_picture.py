"""What a picture of an experiment says, to those who see it and to those who do not."""

import math
from itertools import pairwise

import pytest

from clopsim.audit.experiments import Experiment
from clopsim.audit.picture import described, draw_experiment


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


def test_long_labels_are_broken_and_not_cut():
    wide, high = (
        "learning rate / that of the state or the largest pull a_i where there is none",
        "a hundred times further (1 yes)",
    )
    figure = draw_experiment(Experiment("t", wide, high, (0.0, 1.0), (1.0, 2.0), (1.0, 2.0), 0.01))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for drawn in (axes.xaxis.label, axes.yaxis.label):
        box = drawn.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert axes.get_ylabel() == "a hundred times further (1\nyes)"


@pytest.mark.parametrize("points, shown, angle", [(6, 6, 0), (24, 24, 90), (200, 29, 90)])
def test_numbers_below_the_axis_do_not_touch(points, shown, angle):
    x = tuple((0.97, 1.03)[k % 2] for k in range(points))
    figure = draw_experiment(Experiment("t", "x", "y", x, x, x, 0.01))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    assert len(boxes) == shown
    assert {text.get_rotation() for text in figure.axes[0].get_xticklabels()} == {angle}
    assert all(one.x1 < two.x0 for one, two in pairwise(boxes))
