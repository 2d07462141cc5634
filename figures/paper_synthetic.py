"""Without prototypes three antipodal lines fall onto one great circle.

InfoNCE on three classes, each on a line through the origin, the second view of x being -x with noise (the paper's
first version, section 3); an MLP after 500 full-batch steps, all labelled. Dots and rank: one seed, by class; circle:
the nearest one, red if it holds them: rank 2. Other seeds and losses in the table. A measurement, no theory.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from clopsim.figures.drawing import Drawing
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.spheres import draw_globe, draw_great_circle, draw_points
from clopsim.figures.style import AMBER, BLUE, GREEN, GREY, ORANGE, PAGE, STYLE, VERMILION, headline
from clopsim.metrics import geometry
from clopsim.training.datasets import load
from clopsim.training.recipe import LossName, Training
from clopsim.training.stack.stack import Stack

LOSSES: dict[LossName, str] = {"infonce": "InfoNCE", "dcl": "DCL", "vicreg": "VICReg", "barlow": "Barlow Twins"}
RATES = (0.001, 0.1, 10.0)
FLAT = 2.1
"""Effective rank below which the embeddings lie on a great circle, or on less."""

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
    """A sphere for every weight and rate of InfoNCE, with the great circle of those of rank 2."""
    rank = run["effective_rank"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.4), layout="constrained")
        grid = figure.subplots(len(WEIGHTS), len(RATES))
        own = rank[0, ..., 0]
        for k, axes in enumerate(grid.flat):
            at = divmod(k, len(RATES))
            _draw_sphere(axes, run["z"][0, k], run["y"], flat=own[at] < FLAT)
            axes.set_title(f"rank {own[at]:.1f}", loc="center", y=0.97, weight="bold")
        for axes, rate in zip(grid[-1], RATES, strict=True):
            axes.text(0, -1.15, rf"learning rate $\mu={rate:g}$", ha="center", va="top")
        for axes, (words, colour) in zip(grid[:, 0], zip(WEIGHTS.values(), (AMBER, BLUE), strict=True), strict=True):
            axes.text(-1.25, 0, words, rotation=90, ha="center", va="center", weight="bold", color=colour)
        headline(figure, __doc__)
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


def _draw_sphere(axes: Axes, z: NDArray[np.float64], y: NDArray[np.int64], *, flat: bool) -> None:
    """The sphere from 35 degrees over the great circle nearest to the embeddings: red if it holds them."""
    first, _, normal = np.linalg.svd(z, full_matrices=False)[2]
    normal *= np.sign(normal @ z.mean(axis=0))
    view = np.sin(np.radians(35)) * normal + np.cos(np.radians(35)) * first
    draw_globe(axes, view=view, grid=False)
    draw_great_circle(axes, normal, view=view, color=VERMILION if flat else GREY, linewidth=1.6, behind=0.8)
    for k, colour in enumerate((BLUE, ORANGE, GREEN)):
        draw_points(axes, z[y == k], view=view, color=colour, size=3)
