"""What all figures draw alike."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from clopsim.figures.style import measured, rank_share
from clopsim.figures.training import draw_labels


@pytest.mark.parametrize("rank, share", [(1, 0), (4.5, 0.5), (8, 1)])
def test_the_share_of_a_rank_is_that_of_the_directions_beside_the_first(rank, share):
    assert rank_share(rank, 8) == share


def test_points_are_medians_and_bars_the_range():
    axes = Figure().subplots()
    measured(axes, [1.0, 2.0], [[0.0, 5.0], [1.0, 5.0], [4.0, 5.0]])
    (drawn,) = axes.containers
    points, _, (bars,) = drawn.lines
    np.testing.assert_array_equal(points.get_ydata(), [1, 5])
    np.testing.assert_array_equal(bars.get_segments(), [[[1, 0], [1, 4]], [[2, 5], [2, 5]]])


@pytest.mark.parametrize("last", ([2.8, 2.79, 2.78, 0.1], [0.0, 0.01, 0.02, 0.03], [1.0, 1.0, 1.0, 1.0]))
def test_words_beside_curves_keep_apart_in_the_curves_order_and_leave_the_heading_free(last):
    axes = Figure().subplots()
    axes.set_ylim(0, 2.85)
    draw_labels(axes, last, [("", (f"curve {k}", "black")) for k in range(len(last))])
    heading, *words = axes.texts
    heights = np.array([each.xy[1] for each in words])
    order = np.argsort(last, kind="stable")
    assert (np.diff(heights[order]) > 0.07).all()
    assert heights.max() <= heading.xy[1] - 0.07
