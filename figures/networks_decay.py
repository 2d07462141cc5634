"""Networks with weight decay: above a product of rate and decay the rank is lost, with prototypes too.

Full-batch gradient descent, 1500 steps, on four Gaussian clusters with fixed views; mean-reduced InfoNCE, tau = 0.5,
rate mu, weight decay w, prototype weight lambda. Top left: how far the views are from agreeing; T10's mu w holds for
free embeddings (table), an MLP with batch normalisation lies at one to four times that, and a linear embedder cannot
undo the views' noise. Top right: learning rate over squared norm, in units of T5's threshold: T10 says 1 for free
embeddings, and networks stay far below. Bottom: effective rank. An MLP that lost it did not regain it in 500 more steps
without decay, with prototypes or without; the linear embedder has no dead features and never fell to one direction.
Points: median and range over seeds and the rates 1 and 10, left out on top where a run lost all rank. For networks
there is no theory here to hold this against; it is a measurement.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from bounds import Setting
from bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from clopsim import metrics
from clopsim.data import GaussianClusters, gaussian_clusters, views_of_points
from clopsim.embedders import build
from clopsim.losses import OrthonormalPrototypes
from clopsim.recipe import Embedder
from clopsim.stacked_loss import stacked_loss, stacked_prototype_term
from figures.drawing import Drawing, Gap
from figures.runs import Arrays, Run
from figures.simulate import part_of
from figures.style import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, SKY, STYLE, VERMILION, measured, plain_ticks

SAMPLES, FEATURES, CLASSES = 64, 16, 4
SETTING = Setting(0.5, 8, 2 * SAMPLES, loss="full", gradient="tangent", reduction="mean")
EMBEDDERS = {
    "table": (Embedder("table", SETTING.dimension), BLACK, "D"),
    "linear": (Embedder("linear", SETTING.dimension), ORANGE, "s"),
    "MLP": (Embedder("mlp", SETTING.dimension, width=32, batch_norm=False), SKY, "v"),
    "MLP, batch norm": (Embedder("mlp", SETTING.dimension, width=32), BLUE, "o"),
}
RANKS = ("MLP, batch norm", "linear")
"""Embedders that are trained with prototypes too."""

WEIGHTS = {0.0: (BLUE, "o"), 1.0: (ORANGE, "s"), 30.0: (PURPLE, "^")}
EARLY = 20
"""Steps after which a transient loss of rank is deepest; only among the numbers."""

OBSERVED_EVERY = 7
"""Steps between observations over the last third of the run: odd, so that a swap of period two is seen at both ends."""

SMALL = 0.03
"""Product mu w up to which T10 is held to 5 % for the table; above, long runs drift past it (figures.free_norm)."""

LOST = 1.01
"""Effective rank below which everything is at one point or on one line."""

COLUMNS = (
    "embedder", "rate", "rate_times_decay", "prototype_weight", "seed", "view_cosine", "squared_norm",
    "effective_rank", "effective_rank_after_decay_ends", "effective_rank_early",
)  # fmt: skip

Floats = NDArray[np.float64]


class Cell(NamedTuple):
    """One run."""

    rate: float
    decay: float  # times the rate
    weight: float
    seed: int


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Every run of every embedder, one after the other."""
    decays = (0.01, 0.1) if quick else (0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3)
    rates = (1.0,) if quick else (1.0, 10.0)
    seeds, steps, after = (1, 150, 10) if quick else (3, 1500, 500)
    names: list[str] = []
    cells: list[Cell] = []
    results: list[Floats] = []
    for e, (name, (record, _, _)) in enumerate(EMBEDDERS.items()):
        weights = tuple(WEIGHTS) if name in RANKS else (0.0,)
        own = [Cell(*cell) for cell in product(rates, decays, weights, range(seeds))]
        results.append(_train(record, own, steps, after, part_of(on_progress, e, len(EMBEDDERS))))
        names += [name] * len(own)
        cells += own
    coordinates = (np.array(column) for column in zip(*cells, strict=True))
    columns = (np.array(names), *coordinates, *np.concatenate(results, axis=1))
    return dict(zip(COLUMNS, columns, strict=True))


def draw(run: Run) -> Drawing:
    """Views, norm and ranks against the product of rate and decay."""
    kind, rate, decay, weight, seed, cosine, norm, rank, later, early = (run[name] for name in COLUMNS)
    decays = np.unique(decay)
    units = np.array([effective_rate(*pair, SETTING) for pair in zip(rate.tolist(), norm.tolist(), strict=True)])

    def points(axes: Axes, values: Floats, name: str, lam: float, colour: str, marker: str, label: str) -> None:
        """The median and range over rates and seeds at each decay."""
        chosen = [values[(kind == name) & (weight == lam) & (decay == w)] for w in decays]
        measured(axes, decays, np.stack(chosen, axis=1), color=colour, marker=marker, label=label)

    alive = rank > LOST
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.8), layout="constrained")
        (views, norms), ranks = figure.subplots(2, 2)
        fine = np.array([decays[0] / 1.5, decays[-1] * 1.5])
        views.plot(fine, fine, color=VERMILION, label=r"$\mu w$ (T10)")
        norms.axhline(1, color=VERMILION, label="1 (T10)")
        for name, (_, colour, marker) in EMBEDDERS.items():
            points(views, np.where(alive, 1 - cosine, np.nan), name, 0.0, colour, marker, name)
            points(norms, np.where(alive, units, np.nan), name, 0.0, colour, marker, name)
        for axes, name in zip(ranks, RANKS, strict=True):
            for lam, (colour, marker) in WEIGHTS.items():
                points(axes, rank, name, lam, colour, marker, rf"$\lambda={lam:g}$")
            axes.axhline(CLASSES, color=GREEN, linestyle=":", linewidth=1)
            axes.annotate("one per class", (decays[-1], CLASSES), (0, 3), textcoords="offset points", ha="right")
            axes.set(ylabel="effective rank", ylim=(0.7, 8.4), title=f"rank: {name}")
            axes.legend(loc="upper right")
        views.set(yscale="log", ylabel="1 - cosine of the two views", title=r"views, $\lambda=0$")
        norms.set(yscale="log", ylabel=r"effective rate $\mu/|u|^2/\mu_{align}$", title=r"norm, $\lambda=0$")
        for axes in (views, norms, *ranks):
            axes.set(xscale="log", xlabel=r"learning rate $\times$ weight decay $\mu w$")
            plain_ticks(axes, "x", (0.001, 0.01, 0.1))
        views.legend()
    numbers = {
        "embedder": kind,
        "rate": rate,
        "rate_times_decay": decay,
        "prototype_weight": weight,
        "seed": seed,
        "view_cosine": cosine,
        "squared_norm": norm,
        "effective_rate": units,
        "effective_rank_early": early,
        "effective_rank": rank,
        "effective_rank_after_decay_ends": later,
    }
    settled = [(kind == "table") & (decay == w) for w in decays]
    predicted = [1 - decayed_view_cosine(1.0, weight_decay=float(w)) for w in decays]
    apart = np.abs([np.median(1 - cosine[runs]) / line - 1 for runs, line in zip(settled, predicted, strict=True)])
    felt = np.abs([np.median(units[runs]) - 1 for runs in settled])
    small = decays <= SMALL
    gaps = (
        Gap(
            f"table: 1 - cosine from mu w (T10), up to mu w = {SMALL}, relative",
            float(apart[small].max()),
            0.15 if run.quick else 0.03,
        ),
        Gap(
            "table: the same above, where long runs drift past it",
            float(apart[~small].max()),
            0.15 if run.quick else 0.06,
        ),
        Gap("table: effective rate from 1 (T10)", float(felt.max()), 0.05 if run.quick else 0.03),
    )
    return Drawing(figure, numbers, gaps)


def _train(record: Embedder, cells: list[Cell], steps: int, after: int, on_progress: Callable[[float], None]) -> Floats:
    """View cosine, squared norm (means of the last third) and effective rank (its median), and that rank after some
    more steps without decay and after the first EARLY ones: (5, cells). The table starts at T10's norm, which decay
    alone would take long to reach."""
    networks = [build(record, (FEATURES,), samples=SAMPLES, seed=c.seed, dtype=torch.float64) for c in cells]
    stacked, _ = stack_module_state(networks)
    params = {name: value.detach().requires_grad_() for name, value in stacked.items()}
    rate, decay, weight = (torch.tensor([c[k] for c in cells], dtype=torch.float64) for k in range(3))
    tau = torch.full_like(rate, float(SETTING.tau))
    clusters = GaussianClusters(samples=SAMPLES, clusters=CLASSES, dimension=FEATURES)
    drawn = [gaussian_clusters(clusters, seed=c.seed) for c in cells]
    labels = torch.stack([torch.from_numpy(data.y) for data in drawn])
    pull = torch.stack([
        OrthonormalPrototypes(CLASSES, SETTING.dimension, seed=c.seed, dtype=torch.float64).vectors for c in cells
    ])  # fmt: skip
    if record.kind == "table":
        inputs = torch.arange(2 * SAMPLES).expand(len(cells), -1)
        with torch.no_grad():
            norms = torch.tensor([float(steady_squared_norm(c.rate, SETTING)) for c in cells], dtype=torch.float64)
            params["rows"].mul_(norms.sqrt()[:, None, None])
    else:
        pairs = [views_of_points(data.x, noise=0.1, seed=c.seed) for data, c in zip(drawn, cells, strict=True)]
        inputs = torch.stack([torch.from_numpy(np.concatenate(pair)) for pair in pairs])

    def embed() -> Tensor:
        return vmap(lambda own, x: functional_call(networks[0], own, (x,)))(params, inputs)

    def advance(keep: Tensor) -> None:
        """One step; keep: 1 - mu w."""
        u = embed()
        loss = stacked_loss(u, labels, tau, loss="infonce", closed_form=True)
        loss = loss + weight * stacked_prototype_term(u, labels, prototypes=pull)
        slopes = torch.autograd.grad(loss.sum(), list(params.values()))
        with torch.no_grad():
            for value, slope in zip(params.values(), slopes, strict=True):
                each = (-1, *[1] * (value.ndim - 1))
                value.mul_(keep.view(each)).addcmul_(rate.view(each), slope, value=-1)

    @torch.no_grad()
    def observed() -> Tensor:
        u = embed()
        squared = u.square().sum(dim=-1)
        z = u / squared.sqrt()[..., None]
        return torch.stack([1 - metrics.alignment(z) / 2, squared.mean(dim=-1), metrics.effective_rank(z)])

    seen = []
    for done in range(steps):
        advance(1 - decay)
        if done + 1 == EARLY:
            early = observed()[2]
        if done >= 2 * steps // 3 and done % OBSERVED_EVERY == 0:
            seen.append(observed())
        on_progress((done + 1) / (steps + after))
    for done in range(after):
        advance(torch.ones_like(decay))
        on_progress((steps + done + 1) / (steps + after))
    values = torch.stack(seen)
    typical = [*values[:, :2].mean(dim=0), values[:, 2].median(dim=0).values]
    result: Floats = torch.stack([*typical, observed()[2], early]).numpy()
    return result
