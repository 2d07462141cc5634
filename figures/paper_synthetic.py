"""The paper's synthetic experiment: where three antipodal lines end on the sphere, with and without prototypes.

Three classes, each on a line through the origin in three dimensions; the second view of x is -x with noise (the paper's
first version, section 3). MLP with three dense layers, ReLU and batch normalisation, 500 full-batch steps of plain
gradient descent without weight decay, mean-reduced losses, tau = 0.5; prototype weight 1, all samples labelled. Dots:
embeddings of the samples of one seed, coloured by class, seen from a corner; number: effective rank, median over seeds
(3: a direction for each class; 2: classes share directions; cross: a seed diverged). A measurement, without a theory.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import matplotlib as mpl
import numpy as np
import torch
from clopsim.figures.drawing import Drawing
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLUE, GREEN, GREY, ORANGE, PAGE, STYLE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray
from torch import Tensor

from clopsim.metrics import geometry
from clopsim.training.datasets import load
from clopsim.training.recipe import LossName, Training
from clopsim.training.stack.stack import Stack

LOSSES: dict[LossName, str] = {"infonce": "InfoNCE", "dcl": "DCL", "vicreg": "VICReg", "barlow": "Barlow Twins"}
RATES = (0.001, 0.1, 10.0)
WEIGHTS = {0.0: "without prototypes", 1.0: "with prototypes"}
BASE = Training(
    data="lines", samples=300, features=3, classes=3, noise=0.05, view_noise=0.05, held_out=0.0, dimension=3,
    prototypes="orthonormal", momentum=0.0, weight_decay=0.0, schedule="constant", batch=0, steps=500, device="cpu",
)  # fmt: skip


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Unit embeddings of the first seed, (losses, weights x rates, n, 3), their classes, and every effective rank."""
    base = replace(BASE, samples=60, steps=20) if quick else BASE
    seeds = 2 if quick else 3
    runs = list(product(WEIGHTS, RATES, range(seeds)))
    rank, shown = [], []
    for k, loss in enumerate(LOSSES):
        recipes = [replace(base, loss=loss, weight=weight, rate=rate, seed=seed) for weight, rate, seed in runs]
        z, y = _trained(recipes)
        rank.append(geometry.effective_rank(z).reshape(len(WEIGHTS), len(RATES), seeds).numpy())
        shown.append(z[::seeds].numpy())
        on_progress((k + 1) / len(LOSSES))
    return {"effective_rank": np.stack(rank), "z": np.stack(shown), "y": y.numpy()}


def draw(run: Run) -> Drawing:
    """A sphere for every loss, weight and rate."""
    rank = run["effective_rank"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.84 * PAGE, 4.2), layout="constrained")
        grid = figure.subplots(len(LOSSES), len(WEIGHTS) * len(RATES))
        for k, name in enumerate(LOSSES.values()):
            for axes, points, middle in zip(grid[k], run["z"][k], np.median(rank[k], axis=-1).ravel(), strict=True):
                _draw_sphere(axes, points, run["y"] if np.isfinite(middle) else None)
                axes.set_title("× diverged" if np.isnan(middle) else f"rank {middle:.2f}", pad=1, fontsize=7)
            grid[k, 0].text(-1.5, 0, name, rotation=90, ha="center", va="center")
        for axes, (words, rate) in zip(grid[0], product(WEIGHTS.values(), RATES), strict=True):
            axes.set_title(f"{words}\n$\\mu$ = {rate:g}\n\n{axes.get_title()}", fontsize=7, pad=1)
    numbers = {
        "loss": np.array(list(LOSSES))[:, None, None, None],
        "weight": np.array(list(WEIGHTS))[:, None, None],
        "learning_rate": np.array(RATES)[:, None],
        "seed": np.arange(rank.shape[3]),
        "effective_rank": rank,
    }
    return Drawing(figure, numbers, gaps=())


def _trained(recipes: list[Training]) -> tuple[Tensor, Tensor]:
    """Unit embeddings (runs, n, 3) of the samples after the last step, and the classes (n,) of the first seed."""
    data = [load(recipe, device=torch.device("cpu"), dtype=torch.float32) for recipe in recipes]
    stack = Stack(recipes, data)
    while stack.steps < recipes[0].steps:
        stack.step()
    with torch.no_grad():
        u = stack.embed(torch.stack([each.x for each in data])).double()
    return u / u.norm(dim=-1, keepdim=True), data[0].y


def _draw_sphere(axes: Axes, z: NDArray[np.float64], y: NDArray[np.int64] | None) -> None:
    """The unit sphere from a corner with the embeddings as dots; without their classes it stays empty."""
    across = np.array([-0.6, 0.8, 0.0])
    upward = np.array([-0.36, -0.27, 0.89])
    axes.add_patch(Circle((0, 0), 1, fill=False, color=GREY, linewidth=0.6))
    for k, colour in enumerate(() if y is None else (BLUE, ORANGE, GREEN)):
        points = z[y == k]
        axes.plot(points @ across, points @ upward, "o", color=colour, markersize=1.8, alpha=0.6, mew=0)
    axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
    axes.set_axis_off()
