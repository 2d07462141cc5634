"""Where the prototypes put the classes: between the simplex ETF and the orthonormal frame.

Merged loss, tangent gradient, three balanced classes on the sphere, all labelled. Left: cosine between the class means
against the prototype weight. Line: T8, dashed below the critical weight lambda* (T9), where the classes keep a spread
and T8 describes no equilibrium. Points: simulated, median and range over seeds. Right: the sphere just above lambda*
(nearly the simplex, 120 degrees) and at a large weight (the orthonormal frame, 90 degrees); arrows: prototypes, dots:
embeddings, coloured by class.
"""

import math
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from clopsim.bounds import Setting
from clopsim.bounds.critical_weight import critical_weight
from clopsim.bounds.equilibrium import class_equilibrium
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import part_of
from clopsim.figures.style import BLUE, GREEN, GREY, ORANGE, PAGE, STYLE, VERMILION, measured, plain_ticks
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from clopsim.sphere.dynamics import step

CLASSES, PER_CLASS, TAU = 3, 8, 2.0
SETTING = Setting(TAU, 3, CLASSES * PER_CLASS, gradient="tangent")
LABELS = torch.arange(SETTING.samples) % CLASSES
SPREAD = 1e-2
"""Distance from the class mean, rms, that counts as a spread inside the classes."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """The embeddings at rest: (seeds, weights, n, d)."""
    critical = critical_weight(classes=CLASSES, per_class=PER_CLASS, temperature=TAU, dimension=3)
    factors = (
        np.array([0.5, 0.96, 1.04, 4, 64])
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
        figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
        left, first, second = figure.subplots(1, 3, width_ratios=(2.1, 1, 1))
        for part, style, label in ((fine >= critical, "-", "T8"), (fine <= critical, "--", "T8, not an equilibrium")):
            left.plot(fine[part], [_cosine(weight) for weight in fine[part]], style, color=VERMILION, label=label)
        left.axvline(critical, color=GREY, linestyle=":", label=rf"$\lambda^*={critical:.3g}$ (T9)")
        left.axvspan(fine[0], critical, color=GREY, alpha=0.12, linewidth=0)
        measured(left, weights, cosine, label="simulation")
        left.axhline(0, color=GREEN, linewidth=0.8)
        left.axhline(-1 / (CLASSES - 1), color=GREEN, linewidth=0.8)
        left.annotate("orthonormal frame", (fine[0], 0), (3, -10), textcoords="offset points", color=GREEN, fontsize=7)
        left.annotate(
            "simplex ETF", (fine[-1], -0.5), (-3, 4), textcoords="offset points", color=GREEN, fontsize=7, ha="right"
        )
        left.annotate("classes keep\ntheir spread", (critical * 0.75, -0.24), ha="right", fontsize=7)
        left.set(xscale="log", xlim=(fine[0], fine[-1]), ylim=(-0.56, 0.04))
        left.set(xlabel=r"prototype weight $\lambda$ per labelled sample", ylabel="cosine between two classes $s$")
        plain_ticks(left, "x", tuple(tick for tick in (0.1, 1, 10, 100) if fine[0] < tick < fine[-1]))
        left.legend(loc="center right", bbox_to_anchor=(1, 0.42))
        ends = ((first, int(np.flatnonzero(above)[0]), "nearly a simplex ETF"), (second, -1, "orthonormal frame"))
        for axes, index, words in ends:
            _draw_sphere(axes, z[0, index])
            angle = math.degrees(math.acos(float(np.median(cosine[:, index]))))
            axes.set_title(f"{words}\n$\\lambda={weights[index]:.3g}$: {angle:.0f}°")
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
    """The unit sphere from a corner, the three prototypes as arrows, the embeddings as dots."""
    view = np.array([1.0, 0.75, 0.5])
    depth = view / np.linalg.norm(view)
    across = np.cross([0, 0, 1.0], depth)
    across /= np.linalg.norm(across)
    upward = np.cross(depth, across)
    screen = np.stack([across, upward])  # (2, 3)
    axes.add_patch(Circle((0, 0), 1, fill=False, color=GREY, linewidth=0.8))
    for k, colour in enumerate((BLUE, ORANGE, GREEN)):
        tip = screen @ np.eye(3)[k]
        axes.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 0.9})
        axes.text(0.5 * tip[0] + 0.1, 0.5 * tip[1] + 0.13, f"$c_{k + 1}$", ha="center", va="center", fontsize=7)
        points = z[LABELS.eq(k)].numpy()
        axes.plot(*(screen @ points.T), "o", color=colour, markersize=5, mec="white", mew=0.5)
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    axes.set_axis_off()
