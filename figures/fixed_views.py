"""Many networks at once on Gaussian clusters with fixed views: plain full-batch gradient descent with weight decay."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from clopsim.bounds import Setting
from clopsim.bounds.free_norm import steady_squared_norm
from clopsim.losses import OrthonormalPrototypes
from clopsim.metrics import geometry
from clopsim.sphere.data import GaussianClusters, gaussian_clusters, views_of_points
from clopsim.training.embedders import build
from clopsim.training.recipe import Embedder
from clopsim.training.stack.loss import stacked_loss, stacked_prototype_term

SAMPLES, FEATURES, CLASSES, NOISE = 64, 16, 4, 0.1
SETTING = Setting(0.5, 8, 2 * SAMPLES, loss="full", gradient="tangent", reduction="mean")
DTYPE = torch.float32

OBSERVED_EVERY = 7
"""Steps between observations over the last third of the run: odd, so that a swap of period two is seen at both ends.

A table is observed at every step: its runs start in one state and ring in phase, some with a period near twice this.
"""

EARLY = 20
"""Steps after which the live units are counted for the first time: what the first, large steps did."""

Floats = NDArray[np.float64]


class Cell(NamedTuple):
    """One run."""

    rate: float
    decay: float  # times the rate
    weight: float  # of the prototypes
    seed: int
    spared: bool = False  # whether gain and shift of batch normalisation are not decayed


class Ends(NamedTuple):
    """What became of the runs, (runs,) each; means over the last third where nothing else is said."""

    view_cosine: Floats
    median_view_cosine: Floats  # over the steps
    squared_norm: Floats
    effective_rank: Floats  # median over the steps
    weight_cosine: Floats  # of the first layer's weights before and after a step
    live_units_early: Floats  # after EARLY steps, in the hidden layer that has fewest; nan without hidden layers
    live_units: Floats  # after the last step
    effective_rank_later: Floats  # after some more steps without decay
    path: Floats  # effective rank at the steps asked for, (runs, steps)


def train(
    record: Embedder,
    cells: Sequence[Cell],
    *,
    steps: int,
    after: int = 0,
    watched: Sequence[int] = (),
    last_bias: bool = True,
    on_progress: Callable[[float], None],
) -> Ends:
    """Train the cells for at least EARLY steps, then for `after` without decay. watched: the steps of the path.
    last_bias: without it the output's bias stays 0; then dead features leave embeddings of length 0, and nan.

    A table starts at T10's norm, which decay alone would take long to reach.
    """
    networks = [build(record, (FEATURES,), samples=SAMPLES, seed=c.seed, dtype=DTYPE) for c in cells]
    stacked, _ = stack_module_state(networks)
    params = {name: value.detach().requires_grad_() for name, value in stacked.items()}
    rate, decay, weight = (torch.tensor([c[k] for c in cells], dtype=DTYPE) for k in range(3))
    inputs, labels, pull = _data(record, cells)
    if record.kind == "table":
        with torch.no_grad():
            norms = torch.tensor([float(steady_squared_norm(c.rate, SETTING)) for c in cells], dtype=DTYPE)
            params["rows"].mul_(norms.sqrt()[:, None, None])
    normed = {
        f"{layer}.{name}"
        for layer, module in networks[0].named_children()
        if isinstance(module, nn.BatchNorm1d)
        for name in ("weight", "bias")
    }
    spared, held = torch.tensor([c.spared for c in cells]), None if last_bias else list(params)[-1]
    if held:
        params[held].detach().zero_()
    tau, first = torch.full_like(rate, float(SETTING.tau)), next(iter(params.values()))

    def embed(network: nn.Module = networks[0]) -> Tensor:
        own = {name: params[name] for name, _ in network.named_parameters()}
        return vmap(lambda values, x: functional_call(network, values, (x,)))(own, inputs)

    def advance(keep: Tensor) -> None:
        """One step; keep: 1 - mu w."""
        u = embed()
        loss = stacked_loss(u, labels, tau, loss="infonce", closed_form=True)
        if weight.any():
            loss = loss + weight * stacked_prototype_term(u, labels, prototypes=pull)
        slopes = torch.autograd.grad(loss.sum(), list(params.values()))
        with torch.no_grad():
            for (name, value), slope in zip(params.items(), slopes, strict=True):
                if name == held:
                    continue
                each = (-1, *[1] * (value.ndim - 1))
                own = torch.where(spared, 1.0, keep) if name in normed else keep
                value.mul_(own.view(each)).addcmul_(rate.view(each), slope, value=-1)

    @torch.no_grad()
    def observed() -> Tensor:
        """View cosine, squared norm and effective rank, (3, runs)."""
        u = embed().double()
        squared = u.square().sum(dim=-1)
        z = u / squared.sqrt()[..., None]
        return torch.stack([1 - geometry.alignment(z) / 2, squared.mean(dim=-1), geometry.effective_rank(z)])

    @torch.no_grad()
    def live() -> Tensor:
        layers = list(networks[0].children())
        counts = [
            (embed(nn.Sequential(*layers[: k + 1])) > 0).any(dim=1).sum(dim=-1).double()
            for k, module in enumerate(layers)
            if isinstance(module, nn.ReLU)
        ]
        return torch.stack(counts).amin(dim=0) if counts else torch.full((len(cells),), torch.nan)

    seen, turns, path = [], [], []
    every = 1 if record.kind == "table" else OBSERVED_EVERY
    for done in range(steps):
        looks = done >= 2 * steps // 3 and done % every == 0
        before = first.detach().clone() if looks else first
        if looks:
            seen.append(observed())
        advance(1 - decay)
        if looks:
            pair = (before.flatten(1).double(), first.detach().flatten(1).double())
            turns.append(torch.cosine_similarity(*pair, dim=1))
        if done + 1 == EARLY:
            early = live()
        if done + 1 in watched:
            path.append(observed()[2])
        on_progress((done + 1) / (steps + after))
    units = live()
    for done in range(after):
        advance(torch.ones_like(decay))
        on_progress((steps + done + 1) / (steps + after))
    cosine, norm, rank = torch.stack(seen).unbind(dim=1)
    values = (
        cosine.mean(dim=0), cosine.median(dim=0).values, norm.mean(dim=0), rank.median(dim=0).values,
        torch.stack(turns).mean(dim=0), early, units, observed()[2],
        torch.stack(path, dim=-1) if path else torch.empty(len(cells), 0),
    )  # fmt: skip
    return Ends(*(value.double().numpy() for value in values))


def _data(record: Embedder, cells: Sequence[Cell]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (runs, 2N, ...), labels (runs, N) and prototypes (runs, K, d) of every cell's seed."""
    clusters = GaussianClusters(samples=SAMPLES, clusters=CLASSES, dimension=FEATURES)
    drawn = [gaussian_clusters(clusters, seed=c.seed) for c in cells]
    labels = torch.stack([torch.from_numpy(data.y) for data in drawn])
    pull = [OrthonormalPrototypes(CLASSES, SETTING.dimension, seed=c.seed, dtype=DTYPE).vectors for c in cells]
    if record.kind == "table":
        inputs = torch.arange(2 * SAMPLES).expand(len(cells), -1)
    else:
        pairs = [views_of_points(data.x, noise=NOISE, seed=c.seed) for data, c in zip(drawn, cells, strict=True)]
        inputs = torch.stack([torch.from_numpy(np.concatenate(pair)) for pair in pairs]).to(DTYPE)
    return inputs, labels, torch.stack(pull)
