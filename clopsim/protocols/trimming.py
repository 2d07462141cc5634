"""L-statistics under contamination: k-means, a principal subspace, and InfoNCE on digits whose pairs are broken.

The same four ways to weigh the ranked losses everywhere. All networks of all seeds are one stack.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import xarray as xr
from torch import Tensor
from torch.func import vmap

from clopsim.losses import info_nce, rank_weights
from clopsim.protocols import networks
from clopsim.protocols.protocol import Comparison, Progress, Protocol
from clopsim.training.datasets import load
from clopsim.training.recipe import Training
from clopsim.training.views import Views, two_views

VARIANTS = ("plain", "hard", "soft", "true")
"""plain: the mean; hard: the smallest 0.7; soft: 0.6 in full, falling to 0 at 0.8; true: the share that is clean."""

SHARES = (0.0, 0.1, 0.2, 0.3)
"""Contaminated parts of the data; at the last one the outliers of k-means outnumber a true cluster."""

JUDGED = 0.2
"""The share that the claims are about; hard and soft trimming guess more."""

POINTS, TESTED = 200, 1000
"""Clean points to fit, and clean ones to test on."""

CENTRES, SPACE = 3, 6
PLANE, AROUND = 2, 10
RESTARTS, ROUNDS = 10, 30

WIDTHS = (64, 64, 32)
VIEWS = Views("images", noise=0.2, shift=1)
RIDGE = 1e-2

Weigh = Callable[[Tensor], Tensor]
"""Losses (n,) -> weights (n,) of mean 1."""


@dataclass(frozen=True)
class Trimming:
    """Repeated over seeds: points, starts, split, weights of the networks, broken pairs and batches."""

    seeds: int = 8
    steps: int = 200  # of the networks
    batch: int = 64
    rate: float = 0.1
    momentum: float = 0.9
    temperature: float = 0.5
    held_out: float = 0.3


def weighing(variant: str, share: float) -> Weigh:
    """How a variant weighs losses of which a share comes from contaminated samples."""
    keep, ramp = {"plain": (1.0, 0.0), "hard": (0.7, 0.0), "soft": (0.6, 0.2), "true": (1 - share, 0.0)}[variant]
    return partial(rank_weights, keep=keep, ramp=ramp)


def kmeans_error(seed: int, share: float, weigh: Weigh) -> float:
    """Mean squared distance of clean points to the nearest of the centres that trimmed Lloyd steps have found.

    Three clusters of deviation 1/2, and far from all a fourth of outliers; the best of 10 restarts by the criterion.
    """
    generator = torch.Generator().manual_seed(seed)
    middles = 3.5 * torch.eye(CENTRES, SPACE, dtype=torch.float64)

    def clean(count: int) -> Tensor:
        return middles[torch.arange(count) % CENTRES] + 0.5 * _normal(generator, count, SPACE)

    away = torch.zeros(SPACE, dtype=torch.float64)
    away[-1] = 15
    x, tested = clean(POINTS), clean(TESTED)
    x = torch.cat([x, away + 0.5 * _normal(generator, _outliers(share), SPACE)])
    starts = torch.stack([torch.randperm(len(x), generator=generator)[:CENTRES] for _ in range(RESTARTS)])
    centres = x[starts]  # (restarts, K, space)
    for _ in range(ROUNDS):
        losses, nearest = torch.cdist(x.expand(RESTARTS, -1, -1), centres).square().min(dim=-1)
        mass = vmap(weigh)(losses)[..., None] * torch.nn.functional.one_hot(nearest, CENTRES)  # (restarts, n, K)
        total = mass.sum(dim=1)[..., None]
        centres = torch.where(total > 0, mass.mT @ x / total.clamp_min(1e-12), centres)
    best = centres[_criterion(torch.cdist(x.expand(RESTARTS, -1, -1), centres).square().amin(dim=-1), weigh).argmin()]
    return float(torch.cdist(tested, best).square().amin(dim=-1).mean())


def subspace_error(seed: int, share: float, weigh: Weigh) -> float:
    """Mean squared distance of clean points to the plane that trimmed eigenvector steps have found.

    Points about a plane, deviation 0.3 across it, and outliers along one strong direction.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = torch.full((AROUND,), 0.3, dtype=torch.float64)
    spread[:PLANE] = 1
    x, tested = (spread * _normal(generator, count, AROUND) for count in (POINTS, TESTED))
    along = torch.zeros(AROUND, dtype=torch.float64)
    along[-1] = 6
    count = _outliers(share)
    x = torch.cat([x, along * _normal(generator, count, 1) + 0.3 * _normal(generator, count, AROUND)])
    basis = torch.linalg.qr(_normal(generator, RESTARTS, AROUND, PLANE))[0]
    for _ in range(ROUNDS):
        weights = vmap(weigh)(_residuals(x, basis))
        basis = torch.linalg.eigh((weights[..., None] * x).mT @ x)[1][..., -PLANE:]
    best = basis[_criterion(_residuals(x, basis), weigh).argmin()]
    return float(_residuals(tested, best).mean())


def _residuals(x: Tensor, basis: Tensor) -> Tensor:
    return (x - x @ basis @ basis.mT).square().sum(dim=-1)


def _criterion(losses: Tensor, weigh: Weigh) -> Tensor:
    return (vmap(weigh)(losses) * losses).mean(dim=-1)


def _outliers(share: float) -> int:
    """How many make that share of all."""
    return round(POINTS * share / (1 - share))


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def run(setting: Trimming, on_progress: Progress) -> xr.Dataset:
    """Fit all centres and planes, train all networks; errors and accuracies over variant, share and seed."""
    seeds = range(setting.seeds)
    errors = torch.tensor([
        [[[fit(seed, share, weighing(variant, share)) for seed in seeds] for share in SHARES] for variant in VARIANTS]
        for fit in (kmeans_error, subspace_error)
    ], dtype=torch.float64)  # fmt: skip
    probe = _networks(setting, on_progress)
    axes = ("variant", "share", "seed")
    return xr.Dataset(
        {
            "kmeans_error": (axes, errors[0].numpy()),
            "subspace_error": (axes, errors[1].numpy()),
            "probe_accuracy": (axes, probe.permute(1, 2, 0).double().numpy()),
        },
        coords={"variant": list(VARIANTS), "share": list(SHARES), "seed": list(seeds)},
    )


def _networks(setting: Trimming, on_progress: Progress) -> Tensor:
    """Accuracy of a ridge classifier on the hidden layer, for held-out digits, (seeds, variants, shares)."""
    kinds = (len(VARIANTS), len(SHARES))
    shape, copies = (setting.seeds, *kinds), kinds[0] * kinds[1]
    data = [load(Training(data="digits", held_out=setting.held_out, seed=seed)) for seed in range(setting.seeds)]
    generators = [torch.Generator().manual_seed(2**20 + seed) for seed in range(setting.seeds)]
    count = len(data[0].x)
    order = torch.stack([torch.randperm(count, generator=g) for g in generators])  # the first ones' pairs are broken
    partner = torch.stack([torch.randperm(count, generator=g) for g in generators])
    parameters = [p.requires_grad_() for p in networks.fresh(WIDTHS, seeds=range(setting.seeds), copies=copies)]
    velocity = [torch.zeros_like(p) for p in parameters]
    rate = torch.full((1, 1, 1), setting.rate)
    broken = torch.tensor([round(share * count) for share in SHARES])
    for step in range(setting.steps):
        batches = []
        for s, (d, generator) in enumerate(zip(data, generators, strict=True)):
            place = torch.randint(count, (setting.batch,), generator=generator)
            index = order[s, place]
            first, second = two_views(d.x[index], VIEWS, generator)
            other, _ = two_views(d.x[partner[s, index]], VIEWS, generator)
            wrong = (place < broken[:, None])[..., None]  # (shares, batch, 1)
            seconds = torch.where(wrong, other.flatten(1), second.flatten(1))
            batches.append(torch.cat([first.flatten(1).expand_as(seconds), seconds], dim=1))
        x = torch.stack(batches)[:, None].expand(-1, kinds[0], -1, -1, -1).flatten(0, 2)  # (S V shares, 2 batch, 64)
        embedded = networks.layers(parameters, x, linear=1)[-1]

        def anchors(z: Tensor) -> Tensor:
            return info_nce(*z.chunk(2), temperature=setting.temperature, reduction="none")

        losses = vmap(anchors)(embedded).view(*shape, -1)
        weights = torch.stack([
            torch.stack([vmap(weighing(name, share))(losses[:, v, k]) for k, share in enumerate(SHARES)], dim=1)
            for v, name in enumerate(VARIANTS)
        ], dim=1)  # fmt: skip
        gradients = torch.autograd.grad((weights * losses).mean(dim=-1).sum(), parameters)
        networks.descend(parameters, velocity, gradients, rate=rate, momentum=setting.momentum)
        on_progress((step + 1) / setting.steps)
    with torch.no_grad():
        found = []
        for s, d in enumerate(data):
            mine = [p[s * copies : (s + 1) * copies] for p in parameters]
            seen, held = (
                networks.layers(mine, x.flatten(1).expand(copies, -1, -1), linear=1)[0] for x in (d.x, d.held_x)
            )
            found.append(_ridge_accuracy(seen, d.y, held, d.held_y))
    return torch.stack(found).view(shape)


def _ridge_accuracy(seen: Tensor, y: Tensor, held: Tensor, held_y: Tensor) -> Tensor:
    """Accuracy (M,) on held features (M, n, h) of least squares for the classes, with a little ridge."""
    mean = seen.mean(dim=1, keepdim=True)
    f, g = (seen - mean).double(), (held - mean).double()
    scale = f.square().mean(dim=(1, 2), keepdim=True)
    gram = f.mT @ f / f.shape[1] + RIDGE * scale * torch.eye(f.shape[-1], dtype=f.dtype)
    target = torch.nn.functional.one_hot(y).to(f.dtype)
    target = target - target.mean(dim=0)
    offset = torch.nn.functional.one_hot(y).to(f.dtype).mean(dim=0)
    scores = g @ torch.linalg.solve(gram, f.mT @ target / f.shape[1]) + offset
    return (scores.argmax(dim=-1) == held_y).double().mean(dim=1)


def _gain(measure: str, better: str, worse: str) -> Callable[[xr.Dataset], xr.DataArray]:
    """The measure of one variant less another's at the judged share, (seed,)."""

    def difference(data: xr.Dataset) -> xr.DataArray:
        there = data[measure].sel(share=JUDGED, drop=True)
        return there.sel(variant=better, drop=True) - there.sel(variant=worse, drop=True)

    return difference


TRIMMING = Protocol(
    name="trimming",
    identifier="P30",
    system="L-statistics",
    source="claims on k-means and subspaces: arXiv:2012.07399, abstract; its use on InfoNCE, and the protocol: ours",
    statement="Minimising an L-statistic of the losses, with small weights for large ones, is robust to contamination.",
    assumptions="three clusters in six dimensions, a plane in ten, a fifth of outliers; digits, MLP 64-64-32, a fifth"
    " of the pairs broken",
    verdict="refined",
    finding="It is for k-means and principal subspaces up to the guessed share; InfoNCE needs none of it. A cluster of"
    " outliers that is larger than a true one is taken for a true one. InfoNCE bears broken pairs by itself: trimming"
    " gains no accuracy, whether by the guess or by the true share.",
    question="do trimmed losses resist contaminated data, and does InfoNCE need it?",
    setting=Trimming(),
    short=Trimming(seeds=4, steps=60),
    run=run,
    claims=(
        Comparison(
            "trimming makes k-means robust",
            "error on clean points at a fifth of outliers, plain less hard trimming",
            _gain("kmeans_error", "plain", "hard"),
            matters=0.05,
            short="supported",
        ),
        Comparison(
            "trimming makes principal subspaces robust",
            "error on clean points at a fifth of outliers, plain less hard trimming",
            _gain("subspace_error", "plain", "hard"),
            matters=0.05,
            short="supported",
        ),
        Comparison(
            "trimming makes InfoNCE robust to broken pairs",
            "probe accuracy at a fifth of broken pairs, hard trimming less plain",
            _gain("probe_accuracy", "hard", "plain"),
            matters=0.01,
        ),
        Comparison(
            "trimming just the broken share makes InfoNCE robust to broken pairs",
            "probe accuracy at a fifth of broken pairs, trimming at the true share less plain",
            _gain("probe_accuracy", "true", "plain"),
            matters=0.01,
        ),
    ),
    variables={
        "seed": "seed of points, starts, split, weights, broken pairs and batches",
        "variant": "weights of the ranked losses",
        "share": "share of outliers, or of samples whose pair is broken",
        "kmeans_error": "mean squared distance of clean points to the nearest centre",
        "subspace_error": "mean squared distance of clean points to the plane",
        "probe_accuracy": "accuracy of a ridge classifier on the hidden layer, held-out digits",
    },
    columns={"kmeans_error": "k-means", "subspace_error": "subspace", "probe_accuracy": "probe"},
)
