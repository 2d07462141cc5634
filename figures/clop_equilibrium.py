"""Prototypes move the classes from 120 degrees apart to 90.

Merged loss, tangent gradient, three balanced classes on the sphere, all labelled. Line: T8, from the simplex ETF to
the orthonormal frame; dashed below the critical weight lambda* (T9), where it describes no equilibrium. Points: median
and range over seeds. Spheres, face on: arrows are prototypes, dots embeddings by class.
"""

import math
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.bounds.critical_weight import critical_weight
from clopsim.bounds.equilibrium import class_equilibrium
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import part_of
from clopsim.figures.spheres import draw_globe, draw_points, screen
from clopsim.figures.style import BLUE, GREEN, GREY, ORANGE, PAGE, STYLE, VERMILION, headline, measured, plain_ticks
from clopsim.sphere.dynamics import step

CLASSES, PER_CLASS, TAU = 3, 8, 2.0
SETTING = Setting(TAU, 3, CLASSES * PER_CLASS, gradient="tangent")
LABELS = torch.arange(SETTING.samples) % CLASSES
FACE_ON = (1.0, 1.0, 1.0)
SPREAD = 1e-2
"""Distance from the class mean, rms, that counts as a spread inside the classes."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """The embeddings at rest: (seeds, weights, n, d)."""
    critical = critical_weight(classes=CLASSES, per_class=PER_CLASS, temperature=TAU, dimension=3)
    factors = (
        np.array([0.1, 0.5, 0.96, 1.04, 4, 200])
        if quick
        else np.array([0.1, 0.2, 0.35, 0.6, 0.8, 0.96, 1.04, 1.5, 2.5, 5, 10, 20, 50, 200])
    )
    weights, seeds = critical * factors, 1 if quick else 3
    ends = []
    for k in range(seeds):
        ends.append(
            _settle(
                weights,
                seed=k,
                steps=1500 if quick else 20000,
                report=part_of(on_progress, k, seeds),
            )
        )
    return {"weights": weights, "z": torch.stack(ends).numpy()}


def draw(run: Run) -> Drawing:
    """The class cosine with T8 and T9, and the sphere at both ends."""
    weights, z = run["weights"], torch.from_numpy(run["z"])
    critical = critical_weight(classes=CLASSES, per_class=PER_CLASS, temperature=TAU, dimension=3)
    means = torch.stack([z[..., LABELS.eq(k), :].mean(dim=-2) for k in range(CLASSES)], dim=-2)
    spread = (z - means[..., LABELS, :]).square().sum(dim=-1).mean(dim=-1).sqrt().numpy()
    unit = means / means.norm(dim=-1, keepdim=True)
    cosine = ((unit @ unit.mT).sum(dim=(-2, -1)).numpy() - CLASSES) / (CLASSES * (CLASSES - 1))
    predicted = np.array([_cosine(weight) for weight in weights])
    above = weights > critical
    fine = np.geomspace(weights[0] / 1.3, weights[-1] * 1.3, 200)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.7), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(fine[0], critical, color=GREY, alpha=0.12, linewidth=0)
        for part, style in ((fine >= critical, "-"), (fine <= critical, "--")):
            axes.plot(fine[part], [_cosine(weight) for weight in fine[part]], style, color=VERMILION)
        measured(axes, weights, cosine)
        for level, words in ((0, "orthonormal frame"), (-1 / (CLASSES - 1), "simplex ETF")):
            axes.axhline(level, color=GREEN, linewidth=0.8)
            side, x = ("left", fine[0]) if level == 0 else ("right", fine[-1])
            place: Any = {"ha": side, "va": "bottom", "color": GREEN, "textcoords": "offset points"}
            axes.annotate(words, (x, level), (4 if side == "left" else -4, 2), **place)
        axes.text(
            critical / 1.2,
            -0.06,
            f"$\\lambda<\\lambda^*={critical:.3g}$ (T9):\nclasses keep a spread",
            ha="right",
            va="top",
        )
        axes.set(xscale="log", xlim=(fine[0], fine[-1]), ylim=(-0.56, 0.06))
        axes.set(xlabel=r"prototype weight $\lambda$ per labelled sample", ylabel="cosine between two classes")
        plain_ticks(axes, "x", tuple(tick for tick in (0.1, 1, 10, 100) if fine[0] < tick < fine[-1]))
        ends = (((0.303, 0.51, 0.2, 0.37), int(np.flatnonzero(above)[0])), ((0.75, 0.28, 0.2, 0.37), -1))
        for box, index in ends:
            inset = axes.inset_axes(box)
            _draw_sphere(inset, z[0, index])
            angle = math.degrees(math.acos(float(np.median(cosine[:, index]))))
            inset.text(0, -1.15, f"$\\lambda={weights[index]:.3g}$: {angle:.0f}°", ha="center", va="top", weight="bold")
        headline(figure, __doc__)
    numbers = {
        "seed": np.arange(len(z))[:, None],
        "weight": weights[None, :],
        "class_cosine": cosine,
        "spread": spread,
        "predicted_class_cosine": predicted[None, :],
        "critical_weight": critical,
    }
    wrong = np.not_equal(spread > SPREAD, ~above)
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("class cosine above lambda* from T8", float(np.abs(cosine - predicted)[:, above].max()), 5e-3),
            Gap("runs on the wrong side of lambda* (T9), share", float(wrong.mean()), 0.0),
        ),
    )


def _cosine(weight: float) -> float:
    return class_equilibrium(
        float(weight), classes=CLASSES, per_class=PER_CLASS, temperature=TAU, dimension=3, allow_unstable=True
    ).cosine


def _settle(weights: np.ndarray, *, seed: int, steps: int, report: Callable[[float], None]) -> Tensor:
    """(weights, n, d) after small steps, from points around their prototypes."""
    prototypes = torch.eye(3, dtype=torch.float64)[LABELS]
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((SETTING.samples, 3)))
    start = prototypes + 0.3 * noise
    z = (start / start.norm(dim=1, keepdim=True)).repeat(len(weights), 1, 1)
    weight = torch.from_numpy(weights)
    rate = 0.5 / (weight + 2 / TAU)  # small beside the curvature
    for done in range(steps):
        z = step(z, rate, TAU, SETTING, prototypes=weight[:, None, None] * prototypes)
        if done % 500 == 0:
            report(done / steps)
    report(1.0)
    return z


def _draw_sphere(axes: Axes, z: Tensor) -> None:
    """The sphere along (1, 1, 1), on which the three prototypes end at the corners of a triangle."""
    draw_globe(axes, view=FACE_ON, grid=False)
    axes.set(xlim=(-1.13, 1.13), ylim=(-1.13, 1.13))  # room for half a dot
    for k, colour in enumerate((BLUE, ORANGE, GREEN)):
        tip = (screen(FACE_ON) @ np.eye(3)[k])[:2]
        axes.annotate(
            "",
            tip,
            (0, 0),
            arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 1, "shrinkA": 0, "shrinkB": 0},
        )
        draw_points(axes, z[LABELS.eq(k)].numpy(), view=FACE_ON, color=colour, size=7)
