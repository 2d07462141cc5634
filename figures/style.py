"""The one look of all figures: sizes, colours (Okabe & Ito), measurement as points with spread, theory as lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from numpy.typing import NDArray

from clopsim.show import plots
from clopsim.show.plots import BLUE, GREEN, GREY, PURPLE, VERMILION

ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
COLUMN, PAGE = 3.4, 7.0
"""Widths of one and of two columns, inches."""

STYLE: Any = {**plots.STYLE, "font.size": 8, "axes.titlesize": 8.5, "legend.fontsize": 7, "pdf.fonttype": 42}
RANK_MAP = "viridis"
OUTLINE = [patheffects.withStroke(linewidth=3, foreground="white")]
"""Under lines and words on a map of colours."""

__all__ = [
    "BLACK", "BLUE", "COLUMN", "GREEN", "GREY", "ORANGE", "OUTLINE", "PAGE", "PURPLE", "RANK_MAP", "SKY", "STYLE",
    "VERMILION", "measured", "plain_ticks",
]  # fmt: skip


def measured(
    axes: Axes,
    x: Any,
    values: Any,
    *,
    color: str = BLUE,
    label: str | None = None,
    marker: str = "o",
    hollow: bool = False,
) -> None:
    """Points at the median of values (seeds, x), bars from the smallest to the largest; hollow: others show through."""
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    middle = np.median(array, axis=0)
    spread = [middle - array.min(axis=0), array.max(axis=0) - middle]
    look: Any = {"markersize": 5, "markerfacecolor": "none"} if hollow else {"markersize": 3}
    axes.errorbar(x, middle, yerr=spread, fmt=marker, color=color, elinewidth=0.9, label=label, zorder=3, **look)


def plain_ticks(axes: Axes, which: str, ticks: Sequence[float]) -> None:
    """Ticks on a logarithmic axis, written as plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
