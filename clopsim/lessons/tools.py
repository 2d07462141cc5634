"""What the notebooks call: runs that end somewhere, spheres to look at, a prediction to commit to, a slider."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from clopsim.audit.breaking import STYLE, display
from clopsim.audit.typeset import prose
from clopsim.bounds import Setting
from clopsim.bounds.setting import Floats, one_of, whole_number
from clopsim.losses import OrthonormalPrototypes
from clopsim.metrics import geometry
from clopsim.show.plots import BLUE, GREEN, VERMILION, Picture
from clopsim.sphere import starts
from clopsim.sphere.dynamics import advance, step

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure

__all__ = ["Runs", "commit", "growth", "proof", "runs", "slide", "spheres"]

SPREAD = 1e-3
"""About so many radians the points of a start near collapse are from it."""

COLOURS = (BLUE, VERMILION, GREEN)
STARTS = ("random", "collapse")


def commit(prediction: object) -> float:
    """Note a prediction before the run: the number itself, for the pictures to draw, or nan for the `...` of the cell.

    Errors: ValueError for what is no number.
    """
    if prediction is Ellipsis:
        print("No prediction yet. Put a number in the place of the dots, and only then run on.")
        return float("nan")
    if isinstance(prediction, bool | str):
        raise ValueError(f"prediction must be a number, got {prediction!r}; write it without quotes")
    try:
        number = float(prediction)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"prediction must be a number, got {prediction!r}; write one, such as 0.5") from None
    print(f"Noted: {number:g}. Run on to see.")
    return number


@dataclass(frozen=True)
class Runs:
    """Where runs ended: one for every rate and weight, or several with seeds."""

    rates: NDArray[np.float64]  # (runs,)
    z: Tensor  # (runs, n, d) unit rows
    classes: int  # labels are i mod classes; 0: none

    @property
    def R(self) -> NDArray[np.float64]:
        """Mean resultant length of each run: 0 balanced, 1 complete collapse."""
        return geometry.mean_resultant_length(self.z).numpy()

    @property
    def rank(self) -> NDArray[np.float64]:
        """Effective rank of each run: the number of directions in use."""
        return geometry.effective_rank(self.z).numpy()

    @property
    def angle(self) -> NDArray[np.float64]:
        """Largest angle of each run between a point and the prototype of its class, in degrees."""
        own = _prototypes(self.classes, self.z.shape[2])[torch.arange(self.z.shape[1]) % self.classes]
        return (self.z * own).sum(dim=-1).amin(dim=-1).clamp(-1, 1).arccos().rad2deg().numpy()

    @property
    def cosine(self) -> NDArray[np.float64]:
        """Cosine between samples 0 and 1 of each run, which are of different classes."""
        return (self.z[:, 0] * self.z[:, 1]).sum(dim=-1).numpy()


def runs(
    setting: Setting,
    rates: Floats | Sequence[float],
    *,
    steps: int,
    start: str = "random",
    seeds: int = 1,
    weights: ArrayLike = 0.0,
    classes: int = 0,
) -> Runs:
    """Gradient descent on free embeddings, many runs at once.

    rates: learning rates, one or several; start: "random" directions, or "collapse", about 0.001 rad from it; seeds:
    so many starts a rate, the last to change; weights: of the prototypes of so many classes, one or as many as rates.
    Errors: ValueError for an unknown start, prototypes without classes, weights that are no numbers from 0 on.
    """
    one_of("start", start, STARTS)
    whole_number("steps", steps, low=0)
    whole_number("seeds", seeds, low=1)
    given = np.asarray(weights, dtype=np.float64)
    if not np.all(given >= 0):
        raise ValueError(f"weights must be >= 0, got {weights!r}; 0 is without prototypes")
    if np.any(given > 0) and classes < 2:
        raise ValueError(f"classes must be >= 2 with prototypes, got {classes!r}; 4 fit into {setting.dimension} axes")
    rate, weight = np.broadcast_arrays(np.atleast_1d(np.asarray(rates, dtype=np.float64)), given)
    each = np.repeat(rate, seeds)
    z = torch.stack([_start(setting, start, seed) for seed in range(seeds)]).repeat(len(rate), 1, 1)  # (runs, n, d)
    pull = None
    if classes:
        vectors = _prototypes(classes, setting.dimension)[torch.arange(setting.samples) % classes]
        pull = torch.from_numpy(np.repeat(weight, seeds).copy())[:, None, None] * vectors  # (runs, n, d)
    tau = torch.full((len(each),), float(setting.tau), dtype=torch.float64)
    end = advance(z, torch.from_numpy(each.copy()), tau, setting=setting, steps=steps, prototypes=pull)
    return Runs(each, end, classes)


def _start(setting: Setting, start: str, seed: int) -> Tensor:
    if start == "random":
        return starts.random_directions(setting, seed=seed)
    return starts.near_collapse(setting, spread=SPREAD, seed=seed)


def _prototypes(classes: int, dimension: int) -> Tensor:
    return OrthonormalPrototypes(classes, dimension, seed=1, dtype=torch.float64).vectors


def growth(setting: Setting, rate: float) -> float:
    """The factor by which one step of the simulator multiplies a small spread about one point, with its sign.

    Measured along the spread and relative to the mean, which a large step turns round.
    """
    z = starts.near_collapse(setting, spread=SPREAD / 100, seed=0)
    after = step(z, rate, float(setting.tau), setting)
    mean, turned = z.mean(dim=0), after.mean(dim=0)
    spread, later = z - mean, after - turned
    return float((later * spread).sum() / (spread * spread).sum() * torch.sign(mean @ turned))


def spheres(found: Runs, titles: Sequence[str]) -> Picture:
    """The points of every run on a sphere, a title each; colours are classes, lines their prototypes.

    Errors: ValueError if the embeddings are not three-dimensional, or titles are not as many as runs.
    """
    if found.z.shape[-1] != 3:
        raise ValueError(f"spheres must have 3 dimensions, got {found.z.shape[-1]}; make the setting with dimension=3")
    if len(titles) != len(found.z):
        raise ValueError(f"titles must be as many as runs, got {len(titles)} for {len(found.z)} runs")
    u, v = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
    figure = Picture(figsize=(3 * len(titles), 3.4))
    labels = torch.arange(found.z.shape[1]) % max(found.classes, 1)
    prototypes = _prototypes(found.classes, 3) if found.classes else None
    for place, (z, title) in enumerate(zip(found.z, titles, strict=True), start=1):
        axes: Any = figure.add_subplot(1, len(titles), place, projection="3d")
        axes.plot_wireframe(np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v), color="0.88", linewidth=0.5)
        for label in range(max(found.classes, 1)):
            axes.scatter(*z[labels == label].T, color=COLOURS[label % 3], s=22, depthshade=False)
            if prototypes is not None:
                line = torch.stack([0 * prototypes[label], prototypes[label]])
                axes.plot(*line.T, color=COLOURS[label % 3], linewidth=1)
        if prototypes is not None:  # look from between them
            x, y, height = torch.nn.functional.normalize(prototypes.sum(dim=0), dim=0).tolist()
            axes.view_init(np.degrees(np.arcsin(height)), np.degrees(np.arctan2(y, x)))
        axes.set_title(title, fontsize=10)
        axes.set_box_aspect((1, 1, 1), zoom=1.5)
        axes.set_axis_off()
    return figure


def slide(draw: "Callable[..., Figure]", values: Sequence[float], *, name: str) -> None:
    """A slider over the values, which shows draw(value); without ipywidgets draw(first, middle, last) side by side."""
    from IPython.display import display

    try:
        import ipywidgets
    except ImportError:
        display(draw(values[0], values[len(values) // 2], values[-1]))
        print(f'For a slider over {name}: pip install "clopsim[lessons]"')
        return
    slider = ipywidgets.SelectionSlider(
        options=[(f"{value:g}", value) for value in values],
        value=values[len(values) // 2],
        description=name,
        continuous_update=False,
        style={"description_width": "initial"},
    )
    ipywidgets.interact(lambda value: draw(value), value=slider)


def proof(theorem: str) -> "HTML":
    """The proof in a file of clopsim.bounds, such as "collapse", line by line."""
    from IPython.display import HTML

    lines = importlib.import_module(f"clopsim.bounds.{theorem}").derive().steps
    items = [
        f"<li>{prose(line.text)}{'' if line.formula is None else display(line.formula, line.left)}</li>"
        for line in lines
    ]
    return HTML(f"<style>{STYLE}</style><ol>{''.join(items)}</ol>")
