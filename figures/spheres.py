"""Spheres with embeddings on them, seen from any side."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy.typing import NDArray

from clopsim.figures.style import GREY

Floats = NDArray[np.float64]


def screen(view: Any) -> Floats:
    """(3, 3) rows: to the right, upward, towards the eye at `view`."""
    depth = np.asarray(view, dtype=np.float64) / np.linalg.norm(view)
    across = np.cross([0.0, 0.0, 1.0], depth)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(depth, across), depth])


def draw_globe(axes: Axes, *, view: Any, grid: bool = True) -> None:
    """The unit sphere; grid: with its equator and two meridians, faint."""
    axes.add_patch(Circle((0, 0), 1, facecolor="#f2f2f2", edgecolor=GREY, linewidth=0.8, zorder=0))
    for normal in np.eye(3) if grid else ():
        draw_great_circle(axes, normal, view=view, color="#cccccc", linewidth=0.6, behind=0.0)
    axes.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06), aspect="equal")
    axes.set_axis_off()


def draw_great_circle(
    axes: Axes, normal: Floats, *, view: Any, color: str, linewidth: float = 1.2, behind: float = 0.4
) -> None:
    """The great circle about an axis; behind: how dark its far half is, dotted."""
    first, second = np.linalg.svd(normal[None])[2][1:]
    turn = np.linspace(0, 2 * np.pi, 241)
    x, y, depth = screen(view) @ (np.outer(first, np.cos(turn)) + np.outer(second, np.sin(turn)))
    for near, style, alpha in ((depth >= 0, "-", 1.0), (depth < 0, ":", behind)):
        shown = (np.where(near, each, np.nan) for each in (x, y))
        axes.plot(*shown, style, color=color, linewidth=linewidth, alpha=alpha, zorder=1)


def draw_points(axes: Axes, z: Floats, *, view: Any, color: str, size: float = 4) -> None:
    """Embeddings (n, 3); those on the far side are faint."""
    x, y, depth = screen(view) @ z.T
    for near, alpha, order in ((depth >= 0, 1.0, 3), (depth < 0, 0.3, 2)):
        axes.plot(x[near], y[near], "o", color=color, markersize=size, alpha=alpha, mew=0, zorder=order)
