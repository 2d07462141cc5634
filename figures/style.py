"""The one look of all figures: sizes, colours (Okabe & Ito), measurement as points with spread, theory as lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clopsim.show import plots
from clopsim.show.plots import BLUE, GREEN, GREY, PURPLE, VERMILION

ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
AMBER = "#A86400"
"""Words about what is drawn in orange, which is too light to read."""

PAGE = 7.0
"""Width of a figure, inches: 1400 pixels in a file, of which most pages show 680."""

STYLE: Any = {
    **plots.STYLE, "font.size": 9, "axes.titlesize": 9, "axes.titlelocation": "left", "legend.fontsize": 8.5,
    "pdf.fonttype": 42, "hatch.linewidth": 0.6,
}  # fmt: skip
RANK_MAP = "Blues_r"
"""From dark, all on one line, to white, every direction in use: lines of any colour stand out on it."""

OUTLINE = [patheffects.withStroke(linewidth=3, foreground="white")]
"""Under lines and words on a map of colours."""

__all__ = [
    "AMBER", "BLACK", "BLUE", "GREEN", "GREY", "ORANGE", "OUTLINE", "PAGE", "PURPLE", "RANK_MAP", "SKY", "STYLE",
    "VERMILION", "headline", "measured", "plain_ticks", "rank_share",
]  # fmt: skip


def headline(figure: Figure, caption: str | None) -> None:
    """The first sentence of a caption, the finding, over the figure."""
    words = (caption or "").partition("\n")[0].removesuffix(".")
    figure.suptitle(words, x=0.01, ha="left", weight="bold", fontsize=11.5)


def rank_share(rank: Any, most: Any) -> Any:
    """Effective rank as a share of what there is room for: 0 is one direction, 1 are `most` of them."""
    return (rank - 1) / (most - 1)


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
