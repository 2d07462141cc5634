"""What became of networks under weight decay: the runs that the figures of networks share."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import torch

from clopsim.figures.fixed_views import SETTING, Cell, Ends, Floats, train
from clopsim.figures.runs import Arrays, Run
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
LOST = 1.5
"""Effective rank below which hardly more than one direction is left."""

TOGETHER = 54
"""Runs in a stack: more leave the cache, with fewer Python is the cost."""

WATCHED = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1500)
"""Steps at which the rank is noted."""

COLUMNS = (
    "embedder", "rate", "rate_times_decay", "norm_layers_decayed", "prototype_weight", "seed", "view_cosine",
    "median_view_cosine", "weight_cosine", "squared_norm", "live_units_early", "live_units", "effective_rank",
    "effective_rank_after_decay_ends",
)  # fmt: skip


def rates(*, quick: bool) -> tuple[float, ...]:
    """Of the runs with weight decay."""
    return (1.0,) if quick else (1.0, 10.0)


def decays(*, quick: bool) -> tuple[float, ...]:
    """Products mu w."""
    return (0.01, 0.1) if quick else (0.001, 0.003, 0.01, 0.014, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15)


def seeds(*, quick: bool) -> range:
    """Of every run."""
    return range(1 if quick else 3)


def trained(runs: Sequence[tuple[str, Cell]], *, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """COLUMNS and the watched ranks of runs, (name of the embedder, cell) each: stacks of them in torch's threads."""
    steps, after = (200, 10) if quick else (1500, 300)
    watched = [step for step in WATCHED if step <= steps]
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


def at_decays(
    run: Run, values: Floats, name: str, *, weight: float = 0.0, decayed: bool = True, rate: float = np.nan
) -> tuple[Floats, Floats]:
    """The products mu w of an embedder's runs and its values there, (rates x seeds, products), or those of one rate."""
    decay = run["rate_times_decay"]
    own = (run["embedder"] == name) & (run["prototype_weight"] == weight) & (decay > 0)
    own &= (run["norm_layers_decayed"] == decayed) & (np.isnan(rate) | (run["rate"] == rate))
    products = np.unique(decay[own])
    return products, np.stack([values[own & (decay == product)] for product in products], axis=1)


def edge(rank: Floats, products: Floats) -> Floats:
    """Between the largest rate times decay that leaves a rank and the next, (seeds,); rank: (seeds, products)."""
    last = [int(np.flatnonzero(row > LOST).max(initial=0)) for row in rank]
    return np.array([np.sqrt(products[k] * products[min(k + 1, len(products) - 1)]) for k in last])
