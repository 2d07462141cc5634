"""Networks with weight decay: the rank is lost for good above a rate times decay that is smaller in deeper networks.

Full-batch gradient descent, 1500 steps, four Gaussian clusters with fixed views, mean-reduced InfoNCE, tau = 0.5, rate
mu, weight decay w, prototype weight lambda. Top left: weights before a batch norm turn by the cosine 1 - mu w per step
(a balance of norms); a table's views, started at T10's norm, circulate about that angle on average; a network's
depend on the data too. Top right: without decay a large rate costs an MLP with batch norm its rank only for a while.
Bottom left: with decay its ReLUs die; mu w times the hidden layers, where the rank falls below 1.5, is 0.04 to 0.12
here, a rule of thumb and no law. With gain and shift of the norm layers left undecayed nearly three directions survive.
No run below rank 1.05 came back above 1.03 in 300 steps without decay. Bottom right: where the rank falls below 1.5,
two hidden layers. Prototypes delay that at rate 1 for weights 0.3 to 3, hardly at rate 10, not at all without the last
bias, and at 30 they bring it forward. Points: median and range over seeds, on the left also over the rates 1 and 10.
Only T10's line, for the table, is derived.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Lock

import matplotlib as mpl
import numpy as np
import torch
from clopsim.bounds.free_norm import decayed_view_cosine, effective_rate
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.fixed_views import SETTING, Cell, Ends, Floats, train
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, SKY, STYLE, VERMILION, measured, plain_ticks
from matplotlib.figure import Figure

from clopsim.training.recipe import Embedder


def _mlp(depth: int, *, batch_norm: bool = True) -> Embedder:
    return Embedder("mlp", SETTING.dimension, depth=depth, width=32, batch_norm=batch_norm)


MAIN = "MLP, batch norm"
BIASLESS = f"{MAIN}, no last bias"
EMBEDDERS = {
    "table": Embedder("table", SETTING.dimension),
    "linear": Embedder("linear", SETTING.dimension),
    "MLP": _mlp(2, batch_norm=False),
    MAIN: _mlp(2),
    **{f"{MAIN}, {depth} hidden": _mlp(depth) for depth in (1, 3, 4)},
    BIASLESS: _mlp(2),
}
SHOWN = {"table": (BLACK, "D"), "linear": (ORANGE, "s"), "MLP": (SKY, "v"), MAIN: (BLUE, "o")}
"""In the panel of the views."""

DEPTHS = {1: (SKY, "v"), 2: (BLUE, "o"), 3: (PURPLE, "^"), 4: (BLACK, "D")}
RATES = {1.0: (BLUE, "o"), 10.0: (ORANGE, "s")}
FREE_RATES = {0.1: (SKY, "v"), 1.0: (BLUE, "o"), 10.0: (ORANGE, "s"), 100.0: (VERMILION, "^")}
"""Without decay."""

LOST = 1.5
"""Effective rank below which hardly more than one direction is left."""

SMALL = 0.03
"""Product mu w up to which the mean of 1 - cos is mu w for the table, which starts at T10's norm, and the mean of the
effective rate 1. Above, 1500 steps widen the orbits; theirs is larger and not derived, so no gap holds it
(figures.free_norm)."""

TOGETHER = 54
"""Runs in a stack: more leave the cache, with fewer Python is the cost."""

WATCHED = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1500)
"""Steps at which the rank is noted."""

COLUMNS = (
    "embedder", "rate", "rate_times_decay", "norm_layers_decayed", "prototype_weight", "seed", "view_cosine",
    "median_view_cosine", "weight_cosine", "squared_norm", "live_units_early", "live_units", "effective_rank",
    "effective_rank_after_decay_ends",
)  # fmt: skip


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """Every run of every embedder, stacks of them in as many threads as torch uses."""
    decays = (0.01, 0.1) if quick else (0.001, 0.003, 0.01, 0.014, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15)
    weights = (0.0, 30.0) if quick else (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
    rates = (1.0,) if quick else tuple(RATES)
    seeds, steps, after = (1, 200, 10) if quick else (3, 1500, 300)
    watched = [step for step in WATCHED if step <= steps]
    runs: list[tuple[str, Cell]] = []
    for name in EMBEDDERS:
        tried = {MAIN: weights, BIASLESS: weights, "linear": (0.0, 30.0)}.get(name, (0.0,))
        pairs = product(rates[:1], decays[1:7]) if name == BIASLESS and not quick else product(rates, decays)
        runs += [(name, Cell(*pair, lam, seed)) for pair, lam, seed in product(pairs, tried, range(seeds))]
    runs += [(MAIN, Cell(*cell, spared=True)) for cell in product(rates, decays, (0.0,), range(seeds))]
    runs += [(MAIN, Cell(*cell)) for cell in product(FREE_RATES, (0.0,), (0.0,), range(seeds))]
    stacks = []
    for name in EMBEDDERS:
        own = [k for k, (other, _) in enumerate(runs) if other == name]
        stacks += [(name, own[first : first + TOGETHER]) for first in range(0, len(own), TOGETHER)]
    shares, lock = [0.0] * len(stacks), Lock()

    def take(k: int) -> Ends:
        def progress(share: float) -> None:
            with lock:
                shares[k] = share * len(stacks[k][1]) / len(runs)
                on_progress(min(1.0, sum(shares)))

        name, part = stacks[k]
        cells = [runs[m][1] for m in part]
        return train(
            EMBEDDERS[name], cells, steps=steps, after=after, watched=watched, last_bias=name != BIASLESS,
            on_progress=progress,
        )  # fmt: skip

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            results = list(pool.map(take, range(len(stacks))))
    finally:
        torch.set_num_threads(threads)  # the workers' setting reaches MKL in every thread
    order = np.argsort([m for _, part in stacks for m in part])
    ends = Ends(*(np.concatenate(column)[order] for column in zip(*results, strict=True)))
    *coordinates, spared = (np.array(column) for column in zip(*(cell for _, cell in runs), strict=True))
    rate, decay, weight, seed = coordinates
    columns = (
        np.array([name for name, _ in runs]), rate, decay, 1 - spared.astype(int), weight, seed, ends.view_cosine,
        ends.median_view_cosine, ends.weight_cosine, ends.squared_norm, ends.live_units_early, ends.live_units,
        ends.effective_rank, ends.effective_rank_later,
    )  # fmt: skip
    path = {f"effective_rank_{step}": ends.path[:, k] for k, step in enumerate(watched)}
    return {**dict(zip(COLUMNS, columns, strict=True)), **path}


def draw(run: Run) -> Drawing:
    """Four panels: views and weights, no decay, depth, prototypes."""
    kind, mu, decay, lam = (run[name] for name in ("embedder", "rate", "rate_times_decay", "prototype_weight"))
    rank, norm = run["effective_rank"], run["squared_norm"].tolist()
    units = np.array([effective_rate(*pair, SETTING) for pair in zip(mu.tolist(), norm, strict=True)])
    decays, weights = np.unique(decay[decay > 0]), np.unique(lam)
    watched = [step for step in WATCHED if f"effective_rank_{step}" in run.arrays]

    def chosen(values: Floats, name: str, weight: float = 0.0, *, decayed: bool = True, rate: float = np.nan) -> Floats:
        """The values of the runs at every decay, (rates x seeds, decays), or those of one rate."""
        own = (kind == name) & (lam == weight) & (run["norm_layers_decayed"] == decayed) & (decay > 0)
        own &= np.isnan(rate) | (mu == rate)
        return np.stack([values[own & (decay == w)] for w in np.unique(decay[own])], axis=1)

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.8), layout="constrained")
        (views, free), (depths, edges) = figure.subplots(2, 2)
        line = np.array([decays[0] / 1.5, decays[-1] * 1.5])
        views.plot(line, line, color=VERMILION, label=r"$\mu w$ (T10)")
        gap, turn = (np.where(rank > LOST, 1 - run[f"{what}_cosine"], np.nan) for what in ("view", "weight"))
        for name, (colour, marker) in SHOWN.items():
            measured(views, decays, chosen(gap, name), color=colour, marker=marker, label=f"views, {name}")
        measured(views, decays * 1.1, chosen(turn, MAIN), color=GREEN, marker="x", label="weights, MLP, batch norm")
        views.set(yscale="log", ylabel="1 - cosine", title="views; weights over one step", ylim=(5e-5, 0.4))
        views.set(xlabel=r"rate $\times$ decay $\mu w$")
        for rate, (colour, marker) in FREE_RATES.items():
            own = (decay == 0) & (mu == rate)
            path = np.stack([run[f"effective_rank_{step}"][own] for step in watched], axis=1)
            measured(free, watched, path, color=colour, marker=marker, label=rf"$\mu={rate:g}$")
        free.set(xscale="log", xlabel="steps", ylabel="effective rank", title="without decay", ylim=(0.7, 8.4))
        for hidden, (colour, marker) in DEPTHS.items():
            values = chosen(rank, MAIN if hidden == 2 else f"{MAIN}, {hidden} hidden")
            x = hidden * decays * 1.04**hidden  # side by side
            measured(depths, x, values, color=colour, marker=marker, label=f"{hidden} hidden layer{'s' * (hidden > 1)}")
        spared = chosen(rank, MAIN, decayed=False)
        measured(depths, 2 * decays, spared, color=GREEN, marker="x", label="2, gain and shift not decayed")
        depths.set(xlabel=r"$\mu w$ $\times$ hidden layers", ylabel="effective rank", ylim=(0.7, 8.4))
        depths.set(title="with decay", xlim=(1e-4, 1))
        series = [(MAIN, rate, *RATES[rate], rf"$\mu={rate:g}$") for rate in np.unique(mu[decay > 0]).tolist()]
        series += [(BIASLESS, 1.0, GREEN, "x", r"$\mu=1$, last layer without bias")]
        for shift, (name, rate, colour, marker, label) in zip((1.0, 1.1, 0.9), series, strict=False):  # side by side
            edge = [
                _edge(chosen(rank, name, weight, rate=rate), np.unique(decay[(kind == name) & (decay > 0)]))
                for weight in weights
            ]
            measured(edges, weights * shift, np.stack(edge, axis=1), color=colour, marker=marker, label=label)
        edges.set_xscale("symlog", linthresh=0.1, linscale=0.4)
        edges.set(yscale="log", xlabel=r"prototype weight $\lambda$", ylabel=r"rank lost above $\mu w$")
        edges.set(title="with decay and prototypes", ylim=(0.004, 0.6))
        plain_ticks(edges, "x", (0, 0.3, 1, 3, 10, 30))
        plain_ticks(edges, "y", (0.01, 0.03, 0.1))
        for axes in (views, depths):
            axes.set(xscale="log")
            plain_ticks(axes, "x", (0.001, 0.01, 0.1))
        for axes in (views, free, depths, edges):
            axes.legend()
    tables = [(kind == "table") & (decay == w) for w in decays]
    predicted = [1 - decayed_view_cosine(1.0, weight_decay=float(w)) for w in decays]
    off = [np.median(1 - run["view_cosine"][own]) / line - 1 for own, line in zip(tables, predicted, strict=True)]
    small, felt = decays <= SMALL, np.abs([np.median(units[own]) - 1 for own in tables])
    says = f"table: mean 1 - cosine from mu w (T10's swap, whose norm it starts at), up to mu w = {SMALL}, relative"
    gaps = (
        Gap(says, float(np.abs(off)[small].max()), 0.15 if run.quick else 0.03),
        Gap("table: mean effective rate from 1 (T10), up to there", float(felt[small].max()), 0.03),
    )
    return Drawing(figure, {**run.arrays, "effective_rate": units}, gaps)


def _edge(rank: Floats, decays: Floats) -> Floats:
    """Between the largest rate times decay that leaves a rank and the next, (seeds,); rank: (seeds, decays)."""
    last = [int(np.flatnonzero(row > LOST).max(initial=0)) for row in rank]
    return np.array([np.sqrt(decays[k] * decays[min(k + 1, len(decays) - 1)]) for k in last])
