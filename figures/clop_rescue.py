"""Enough prototype weight saves every class at any learning rate.

Merged loss, ambient gradient, four balanced classes, all labelled, d = 8; runs start 0.001 rad from collapse. Above
the line one step leaves the collapsed state, whatever the rate (T7). Colour, medians over seeds after 800 steps: a
spread inside the classes, else their largest cosine, up to 0, up to 0.95, or more.
"""

from collections.abc import Callable
from itertools import product

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from clopsim.bounds import Setting, exact_rate
from clopsim.bounds.rescue import gradient_bound, leading_share_bound, rescue_angle
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final
from clopsim.figures.style import BLACK, BLUE, ORANGE, OUTLINE, PAGE, SKY, STYLE, VERMILION, headline, plain_ticks
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.gradient import gradient

CLASSES, SETTING = 4, Setting(0.5, 8, 32)
TURNED = (0.2, 0.5, 0.8)
"""Angles between embeddings and prototypes, radians, at which the bound on the leading share is measured."""

CURVES = (0.0, 2.0, 8.0)
"""Prototype weights in the CSV file only."""

OUTCOMES = {
    "classes keep\ntheir spread": SKY,
    "classes apart": BLUE,
    "classes at\nacute angles": ORANGE,
    "one point": VERMILION,
}
"""What becomes of the classes, with its colour: with a spread of more than SPREAD inside, or each of them one point."""

SPREAD, POINT = 1e-2, 0.95
"""Distance from the class mean, rms; cosine between two classes from which on all are one point."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Effective rank and leading share of every weight (those of CURVES first), rate and seed, and T7's excess."""
    unit = float(exact_rate(SETTING))
    rates = np.geomspace(1 / 8, 16, 7 if quick else 29)  # in units of mu_c
    weights = np.geomspace(1 / 4, 64, 6 if quick else 25)
    seeds, steps = (2, 100) if quick else (3, 800)
    every = [*CURVES, *weights]
    cells = list(product(every, rates, range(seeds)))
    classes = torch.arange(SETTING.samples) % CLASSES
    pull = torch.eye(SETTING.dimension, dtype=torch.float64)[classes]  # rows c_y
    weight = torch.tensor([cell[0] for cell in cells], dtype=torch.float64)
    rate = unit * torch.tensor([cell[1] for cell in cells], dtype=torch.float64)
    table = [starts.near_collapse(SETTING, spread=1e-3, seed=seed) for seed in range(seeds)]
    end = final(
        torch.stack([table[cell[2]] for cell in cells]),
        rate,
        torch.full_like(rate, float(SETTING.tau)),
        setting=SETTING,
        steps=steps,
        prototypes=weight[:, None, None] * pull,
        on_progress=on_progress,
    )
    shape = (len(every), len(rates), seeds)
    return {
        "weight": np.array(every),
        "rate_over_mu_c": rates,
        "effective_rank": geometry.effective_rank(end).numpy().reshape(shape),
        "leading_share": geometry.leading_share(end).numpy().reshape(shape),
        **{name: values.numpy().reshape(shape) for name, values in _classes(end, classes).items()},
        **_worst(unit * rates[[0, len(rates) // 2, -1]]),
        **_one_step([*table, starts.random_directions(SETTING, seed=0)], weights, unit * rates, pull),
    }


def _classes(z: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Spread inside the classes, rms, and the largest cosine between the means of two, (runs,) each."""
    means = torch.stack([z[:, labels == k].mean(dim=1) for k in range(CLASSES)], dim=1)
    unit = means / means.norm(dim=-1, keepdim=True)
    others = ~torch.eye(CLASSES, dtype=torch.bool)
    return {
        "class_spread": (z - means[:, labels]).square().sum(dim=-1).mean(dim=-1).sqrt(),
        "class_cosine": (unit @ unit.mT)[:, others].amax(dim=-1),
    }


def _one_step(table: list[Tensor], weights: np.ndarray, rates: np.ndarray, pull: Tensor) -> Arrays:
    """Leading share after one step, (starts, weights, rates), and the largest column sum c_i of each start."""
    tau, columns = float(SETTING.tau), []
    after = np.empty((len(table), len(weights), len(rates)))
    for k, z in enumerate(table):
        logits = z @ z.T / tau
        logits.fill_diagonal_(-torch.inf)
        columns.append(float(torch.softmax(logits, dim=1).sum(dim=0).max()))
        for i, j in product(range(len(weights)), range(len(rates))):
            moved = step(z, float(rates[j]), tau, SETTING, prototypes=float(weights[i]) * pull)
            after[k, i, j] = float(geometry.leading_share(moved))
    return {"column_sum": np.array(columns), "leading_share_after_one_step": after}


def _worst(rates: np.ndarray) -> Arrays:
    """Where T7's bounds are attained, measured: one embedding opposite to all others; classes turned to their sum.

    The largest angle to the prototype after one step, over the directions of the embedding; its gradient's length.
    """
    weight, tau, n, d = 32.0, float(SETTING.tau), SETTING.samples, SETTING.dimension
    turn = torch.linspace(0, torch.pi, 4001, dtype=torch.float64)
    line = torch.nn.functional.pad(torch.stack([turn.cos(), turn.sin()], dim=-1), (0, d - 2))  # (turns, d)
    z = torch.cat([line[:, None], -line[:, None].expand(-1, n - 1, -1)], dim=1)
    pull = torch.zeros(n, d, dtype=torch.float64)
    pull[0, 0] = weight
    angles = [step(z, float(rate), tau, SETTING, prototypes=pull)[:, 0, 0].clamp(-1, 1).acos().max() for rate in rates]
    logits = z[0] @ z[0].T / tau
    logits.fill_diagonal_(-torch.inf)
    turned = torch.tensor(TURNED, dtype=torch.float64)[:, None, None]
    classes = torch.eye(CLASSES, dtype=torch.float64)
    others = (1 - classes) / (CLASSES - 1) ** 0.5  # from c_k straight to the sum of all
    return {
        "worst_weight": np.array(weight),
        "worst_rate": rates,
        "worst_angle": torch.stack(angles).numpy(),
        "worst_column_sum": torch.softmax(logits, dim=1).sum(dim=0)[0].numpy(),
        "worst_gradient": gradient(z[0], tau, SETTING)[0].norm().numpy(),
        "turned_share": geometry.leading_share(turned.cos() * classes + turned.sin() * others).numpy(),
    }


def draw(run: Run) -> Drawing:
    """The map of outcomes with T7's line."""
    unit = float(exact_rate(SETTING))
    rates, every, rank = run["rate_over_mu_c"], run["weight"], run["effective_rank"]
    weights = every[len(CURVES) :]
    spread, cosine = (np.median(run[f"class_{name}"][len(CURVES) :], axis=-1) for name in ("spread", "cosine"))
    outcome = np.where(spread > SPREAD, 0, 1 + np.digitize(cosine, (0, POINT)))
    share = run["leading_share"][len(CURVES) :].max(axis=-1)
    limit = np.sin(np.arccos(1 / np.sqrt(CLASSES)))  # T7's share stays below 1 up to this angle
    bound = gradient_bound(1.0, SETTING)  # column sums are 1 at collapse
    fine = np.geomspace(rates[0], rates[-1], 200)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.9), layout="constrained")
        axes = figure.subplots()
        colours = ListedColormap([*OUTCOMES.values()])
        axes.pcolormesh(
            rates, weights, outcome, cmap=colours, vmin=0, vmax=3, shading="nearest", rasterized=True, alpha=0.75
        )
        axes.set(xscale="log", yscale="log", xlabel=r"learning rate $\mu/\mu_c$", ylabel=r"prototype weight $\lambda$")
        corners = axes.get_xlim(), axes.get_ylim()
        line = (bound + 1 / (unit * fine)) / limit
        axes.plot(fine, line, color=BLACK, path_effects=OUTLINE)
        axes.text(0.16, 28, "rescued in one step, predicted (T7)", weight="bold", path_effects=OUTLINE)
        places = ((0.3, 0.9), (0.3, 5.7), (4.5, 1.5), (6, 0.33))
        for k, (words, (x, y)) in enumerate(zip(OUTCOMES, places, strict=True)):
            if k in outcome:
                axes.text(x, y, words, weight="bold", ha="center", va="center", fontsize=10.5)
        axes.axvline(1, color=BLACK, linestyle=":", linewidth=1)
        axes.annotate(r"$\mu_c$, no prototypes (T4)", (1, corners[1][1]), (4, -14), textcoords="offset points")
        axes.set(xlim=corners[0], ylim=corners[1])
        plain_ticks(axes, "x", (0.125, 0.25, 0.5, 1, 2, 4, 8, 16))
        plain_ticks(axes, "y", (0.25, 1, 4, 16, 64))
        headline(figure, __doc__)
    numbers = {
        "weight": every[:, None, None],
        "rate_over_mu_c": rates[None, :, None],
        "seed": np.arange(rank.shape[2])[None, None, :],
        "effective_rank": rank,
        **{name: run[name] for name in ("class_spread", "class_cosine")},
        "predicted_rescue_weight": ((bound + 1 / (unit * rates)) / limit)[None, :, None],
    }
    excess = [
        share - leading_share_bound(rescue_angle(float(weight), float(rate), float(column), SETTING), CLASSES)
        for column, after in zip(run["column_sum"], run["leading_share_after_one_step"], strict=True)
        for (weight, rate), share in zip(product(weights, unit * rates), after.ravel().tolist(), strict=True)
        if weight > gradient_bound(float(column), SETTING) + 1 / rate
    ]
    inside = weights[:, None] > (bound + 1 / (unit * rates[None, :])) / limit
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("T7's bounds where they are attained, relative", _attained(run), 1e-5),
            Gap("leading share after one step above T7's bound", max(excess), 1e-9),
            Gap("leading share in the end, where T7 rescues; 1 is collapse", float(share[inside].max()), 0.99),
        ),
    )


def _attained(run: Run) -> float:
    """Largest relative distance of what was measured in the worst states from T7's bounds."""
    weight, column = float(run["worst_weight"]), float(run["worst_column_sum"])
    pairs = [(float(run["worst_gradient"]), gradient_bound(column, SETTING))]
    for rate, angle in zip(run["worst_rate"].tolist(), run["worst_angle"].tolist(), strict=True):
        pairs.append((angle, rescue_angle(weight, rate, column, SETTING)))
    for turned, share in zip(TURNED, run["turned_share"].tolist(), strict=True):
        pairs.append((share, leading_share_bound(turned, CLASSES)))
    return max(abs(found / bound - 1) for found, bound in pairs)
