"""Networks settle where the learning rate is two over the sharpness.

Full-batch descent, 1500 steps, Gaussian clusters with fixed views, mean-reduced InfoNCE; sharpness: largest Hessian
eigenvalue in the weights; MLP 16-32-32-8, ReLU. Right: copies 1e-6 apart in the sharpest direction; line: |1 - 2m| of
a quadratic. Median and range over seeds. That training ends on the left line is measured, no theorem.
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import AMBER, BLUE, GREEN, ORANGE, PAGE, STYLE, VERMILION, headline, measured, plain_ticks
from clopsim.losses import info_nce
from clopsim.sphere.data import GaussianClusters, gaussian_clusters, views_of_points
from clopsim.training.embedders import build
from clopsim.training.recipe import Embedder
from clopsim.training.sharpness import sharpest

TAU = 0.5
EMBEDDERS = {
    "linear": (Embedder("linear", dimension=8), ORANGE, "s"),
    "MLP": (Embedder("mlp", dimension=8, width=32, batch_norm=False), BLUE, "o"),
}
APART = 1e-6
"""Distance of the two copies: far above rounding, far below where a step is no longer linear in it."""

STEPS = 4
"""Steps over which the growth is taken: few, since a run beyond the edge soon finds flatter ground."""

Weights = dict[str, Tensor]


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """2/sharpness, (embedders, seeds, rates), and growth per step, (embedders, seeds, multiples)."""
    rates = np.array([0.1, 1.0]) if quick else np.array([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
    multiples = np.array([0.9, 1.1]) if quick else np.array([0.7, 0.9, 1.1, 1.3])
    seeds, steps = (1, 600) if quick else (3, 1500)
    edge = np.empty((len(EMBEDDERS), seeds, len(rates)))
    growth = np.empty((len(EMBEDDERS), seeds, len(multiples)))
    for e, (record, _, _) in enumerate(EMBEDDERS.values()):
        for seed in range(seeds):
            loss, start = _problem(record, seed)
            for r, rate in enumerate(rates):
                weights = _descend(loss, start, float(rate), steps)
                sharp, direction = sharpest(loss, weights)
                edge[e, seed, r] = 2 / sharp
                if rate == 0.1:
                    weights = _descend(loss, weights, float(rate) / 3, steps)  # come to rest before the test
                    sharp, direction = sharpest(loss, weights)
                    growth[e, seed] = [_growth(loss, weights, direction, m * 2 / sharp) for m in multiples]
                on_progress(((e * seeds + seed) * len(rates) + r + 1) / (len(EMBEDDERS) * seeds * len(rates)))
    return {"rates": rates, "multiples": multiples, "two_over_sharpness": edge, "growth": growth}


def growth_on_a_quadratic(multiple: NDArray[np.float64]) -> NDArray[np.float64]:
    """|1 - 2m|: the factor along the sharpest direction of one step at m times 2/sharpness."""
    return np.abs(1 - 2 * multiple)


def draw(run: Run) -> Drawing:
    """The edge on the left, the growth on the right."""
    rates, multiples, edge, growth = run["rates"], run["multiples"], run["two_over_sharpness"], run["growth"]
    predicted = growth_on_a_quadratic(multiples)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.5), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        left.plot(rates, rates, color=VERMILION)
        left.annotate(
            r"2/sharpness $=\mu$",
            (rates[-1], rates[-1]),
            (-64, -8),
            textcoords="offset points",
            color=VERMILION,
            ha="right",
        )
        fine = np.linspace(multiples[0] - 0.05, multiples[-1] + 0.05, 200)
        right.axvspan(1, fine[-1], color=VERMILION, alpha=0.12, linewidth=0)
        right.plot(fine, growth_on_a_quadratic(fine), color=VERMILION)
        for e, (name, (_, colour, marker)) in enumerate(EMBEDDERS.items()):
            measured(left, rates, edge[e], color=colour, marker=marker, label=name)
            measured(right, multiples + 0.01 * (e - 0.5), growth[e], color=colour, marker=marker, label=name)
        if edge[0, :, 0].min() > 2 * rates[0]:  # the linear embedder at small rates
            left.text(rates[0], 1.6 * edge[0, :, 0].max(), "flatter already", color=AMBER)
        left.set(xscale="log", yscale="log", xlabel=r"learning rate $\mu$", ylabel="2 / sharpness at the end")
        left.set_title("where training ends")
        plain_ticks(left, "x", (0.01, 0.1, 1, 10))
        plain_ticks(left, "y", (0.01, 0.1, 1, 10))
        right.set(
            xlabel=r"learning rate, multiple $m$ of 2/sharpness", title="beyond it copies part", xlim=fine[[0, -1]]
        )
        right.set_ylabel("growth of a distance per step")
        low: Any = {"xycoords": right.get_xaxis_transform(), "textcoords": "offset points"}
        right.annotate("parting", (1, 0.05), (5, 0), color=VERMILION, weight="bold", **low)
        right.annotate("holding", (1, 0.05), (-5, 0), color=GREEN, weight="bold", ha="right", **low)
        left.legend(loc="lower right")
        headline(figure, __doc__)
    names = np.array(list(EMBEDDERS))[:, None, None]
    numbers = {
        "embedder": np.concatenate(
            [np.broadcast_to(names, edge.shape).ravel(), np.broadcast_to(names, growth.shape).ravel()]
        ),
        "seed": np.concatenate(
            [np.broadcast_to(np.arange(edge.shape[1])[None, :, None], a.shape).ravel() for a in (edge, growth)]
        ),
        "quantity": np.array(["two_over_sharpness"] * edge.size + ["growth_per_step"] * growth.size),
        "rate_or_multiple": np.concatenate(
            [np.broadcast_to(rates, edge.shape).ravel(), np.broadcast_to(multiples, growth.shape).ravel()]
        ),
        "value": np.concatenate([edge.ravel(), growth.ravel()]),
    }
    near = np.isin(multiples, (0.9, 1.1))
    gap = float(np.abs(np.median(growth, axis=1) - predicted)[:, near].max())
    return Drawing(figure, numbers, gaps=(Gap("growth per step at 0.9 and 1.1 from |1 - 2m|", gap, 0.05),))


def _problem(record: Embedder, seed: int) -> tuple[Callable[[Weights], Tensor], Weights]:
    """The full-batch loss as a function of the weights, float64, and the initial weights."""
    x = gaussian_clusters(GaussianClusters(samples=64, dimension=16), seed=seed).x
    views = torch.from_numpy(np.concatenate(views_of_points(x, noise=0.1, seed=seed)))
    network = build(record, (16,), samples=64, seed=seed, device=torch.device("cpu"), dtype=torch.float64)

    def loss(weights: Weights) -> Tensor:
        return info_nce(*functional_call(network, weights, (views,)).chunk(2), temperature=TAU)

    return loss, {name: weight.detach() for name, weight in network.named_parameters()}


def _descend(loss: Callable[[Weights], Tensor], weights: Weights, rate: float, steps: int) -> Weights:
    for _ in range(steps):
        leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        slopes = torch.autograd.grad(loss(leaves), list(leaves.values()))
        weights = {
            name: leaf.detach() - rate * slope for (name, leaf), slope in zip(leaves.items(), slopes, strict=True)
        }
    return weights


def _growth(loss: Callable[[Weights], Tensor], weights: Weights, direction: Weights, rate: float) -> float:
    """Factor per step by which two copies part that start APART in a direction, over the first STEPS steps."""
    other = {name: weight + APART * direction[name] for name, weight in weights.items()}
    weights, other = (_descend(loss, part, rate, STEPS) for part in (weights, other))
    distance = torch.cat([(weights[name] - other[name]).reshape(-1) for name in weights]).norm()
    return float(distance / APART) ** (1 / STEPS)
