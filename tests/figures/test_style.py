"""What all figures draw alike."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from clopsim.figures.style import measured, rank_share


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
