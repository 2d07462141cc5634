"""Adversarial distributional training on digits: does entropy keep the adversary from a point, and what does it buy?

Moves of the inputs inside a box, all networks of all seeds one stack; nothing is clamped to the range of the pixels.
"""

import math
from dataclasses import dataclass

import torch
import xarray as xr
from torch import Tensor

from clopsim.protocols import networks
from clopsim.protocols.protocol import Comparison, Progress, Protocol, less
from clopsim.training.datasets import DataSet, load
from clopsim.training.recipe import Training

WIDTHS = (64, 128, 64, 10)

ENTROPIES = {"adt 0": 0.0, "adt 0.01": 0.01, "adt 1": 1.0}
"""lambda of the adversaries that learn a law; the authors take 0.01."""

VARIANTS = ("standard", "pgd", *ENTROPIES)

ATTACK = 20
"""Steps of the attack that robustness is measured by."""

LONG = 100
"""Steps after which the spread of an adversary's law is measured."""

TINY = 1e-8


@dataclass(frozen=True)
class Adversarial:
    """Repeated over seeds: split, weights, batches, starts of the attacks and draws of the laws."""

    seeds: int = 6
    steps: int = 200
    batch: int = 64
    rate: float = 0.1
    momentum: float = 0.9
    radius: float = 0.4  # epsilon of the box, in standard deviations of a pixel
    inner_steps: int = 7
    draws: int = 2  # of the law in an inner step
    inner_rate: float = 0.3  # of a sign step on the law's two parameters
    held_out: float = 0.3


Law = tuple[Tensor, Tensor]
"""Location and spread of every coordinate before tanh and softplus, as the input."""


def moved(law: Law, noise: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """delta = radius tanh(m + softplus(v) r), and -log p(delta) up to constants, mean over the coordinates."""
    scale = torch.nn.functional.softplus(law[1])
    squashed = torch.tanh(law[0] + scale * noise)
    surprise = noise.square() / 2 + (scale + TINY).log() + (1 - squashed.square() + TINY).log()
    return radius * squashed, surprise.mean(dim=-1)


def adversary(
    parameters: list[Tensor], x: Tensor, y: Tensor, entropy: Tensor, *, setting: Adversarial, steps: int, noise: Tensor
) -> Law:
    """The law of every sample that sign steps on E[loss] + lambda H have found, from m = v = 0.

    x: (M, B, 64); y: (M, B); entropy: (M,); noise: (steps, draws, M, B, 64). Gradients are of the step alone.
    """
    law = (torch.zeros_like(x), torch.zeros_like(x))
    fixed = [p.detach() for p in parameters]
    for k in range(steps):
        leaves = (law[0].requires_grad_(), law[1].requires_grad_())
        value = torch.zeros(())
        for r in noise[k]:
            delta, surprise = moved(leaves, r, setting.radius)
            value = value + (_losses(fixed, x + delta, y) + entropy[:, None] * surprise).sum()
        gradients = torch.autograd.grad(value, leaves)
        law = (
            (leaves[0] + setting.inner_rate * gradients[0].sign()).detach(),
            (leaves[1] + setting.inner_rate * gradients[1].sign()).detach(),
        )
    return law


def attacked(parameters: list[Tensor], x: Tensor, y: Tensor, *, radius: float, steps: int, start: Tensor) -> Tensor:
    """Inputs after projected sign steps of radius/4 from a start in [-1, 1] of the box."""
    fixed, delta = [p.detach() for p in parameters], radius * start
    for _ in range(steps):
        delta.requires_grad_()
        (slope,) = torch.autograd.grad(_losses(fixed, x + delta, y).sum(), delta)
        delta = (delta + radius / 4 * slope.sign()).clamp(-radius, radius).detach()
    return x + delta


def _losses(parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    logits = networks.layers(parameters, x, linear=1)[-1]
    return torch.nn.functional.cross_entropy(logits.mT, y, reduction="none")


def run(setting: Adversarial, on_progress: Progress) -> xr.Dataset:
    """Train all networks; accuracy, accuracy under attack, and how far each adversary's law spreads."""
    seeds, kinds = range(setting.seeds), len(VARIANTS)
    data = [load(Training(data="digits", held_out=setting.held_out, seed=seed)) for seed in seeds]
    generators = [torch.Generator().manual_seed(2**20 + seed) for seed in seeds]
    parameters = [p.requires_grad_() for p in networks.fresh(WIDTHS, seeds=seeds, copies=kinds)]
    velocity = [torch.zeros_like(p) for p in parameters]
    rate = torch.full((1, 1, 1), setting.rate)
    entropy = torch.tensor(list(ENTROPIES.values())).repeat(setting.seeds)
    learned, pgd = (_places(names, setting.seeds) for names in (tuple(ENTROPIES), ("pgd",)))
    laws = len(ENTROPIES)

    def drawn(steps: int, draws: int, rows: int) -> Tensor:
        """Normal numbers, alike for the variants of a seed: (steps, draws, S laws, rows, 64)."""
        each = [torch.randn(steps, draws, rows, WIDTHS[0], generator=g) for g in generators]
        return torch.stack(each, dim=2).repeat_interleave(laws, dim=2)

    for step in range(setting.steps):
        index = [torch.randint(len(d.x), (setting.batch,), generator=g) for d, g in zip(data, generators, strict=True)]
        x = torch.stack([d.x[i].flatten(1) for d, i in zip(data, index, strict=True)]).repeat_interleave(kinds, dim=0)
        y = torch.stack([d.y[i] for d, i in zip(data, index, strict=True)]).repeat_interleave(kinds, dim=0)
        start = torch.stack([2 * torch.rand(setting.batch, WIDTHS[0], generator=g) - 1 for g in generators])
        noise = drawn(setting.inner_steps + 1, setting.draws, setting.batch)
        of_laws = [p[learned] for p in parameters]
        law = adversary(
            of_laws, x[learned], y[learned], entropy, setting=setting, steps=setting.inner_steps, noise=noise
        )
        inputs = x.clone()
        inputs[learned] += moved(law, noise[-1, 0], setting.radius)[0]
        inputs[pgd] = attacked(
            [p[pgd] for p in parameters], x[pgd], y[pgd], radius=setting.radius, steps=setting.inner_steps, start=start
        )
        loss = _losses(parameters, inputs, y).mean(dim=1).sum()
        networks.descend(
            parameters, velocity, torch.autograd.grad(loss, parameters), rate=rate, momentum=setting.momentum
        )
        on_progress((step + 1) / setting.steps)
    return _measured(parameters, setting, data, generators, drawn(LONG + 1, 1, setting.batch))


def _measured(
    parameters: list[Tensor],
    setting: Adversarial,
    data: list[DataSet],
    generators: list[torch.Generator],
    noise: Tensor,
) -> xr.Dataset:
    kinds, laws = len(VARIANTS), len(ENTROPIES)
    x, y = (torch.stack(part) for part in zip(*((d.held_x.flatten(1), d.held_y) for d in data), strict=True))
    start = torch.stack([2 * torch.rand(x.shape[1:], generator=g) - 1 for g in generators])
    x, y, start = (part.repeat_interleave(kinds, dim=0) for part in (x, y, start))
    worst = attacked(parameters, x, y, radius=setting.radius, steps=ATTACK, start=start)
    with torch.no_grad():
        clean, robust = (
            (networks.layers(parameters, inputs, linear=1)[-1].argmax(dim=-1) == y).double().mean(dim=1)
            for inputs in (x, worst)
        )
    targets = [p[_places(("pgd",), setting.seeds)].repeat_interleave(laws, dim=0) for p in parameters]
    some = slice(0, setting.batch)
    seen = _places(tuple(ENTROPIES), setting.seeds)
    entropy = torch.tensor(list(ENTROPIES.values())).repeat(setting.seeds)
    law = adversary(targets, x[seen, some], y[seen, some], entropy, setting=setting, steps=LONG, noise=noise)
    nodes = torch.erfinv((torch.arange(64) + 0.5) / 32 - 1) * math.sqrt(2)  # normal numbers at equal shares
    deltas = torch.stack([moved(law, r.expand_as(law[0]), 1.0)[0].detach() for r in nodes])
    spread = torch.zeros(setting.seeds, kinds, dtype=torch.float64)
    spread[:, kinds - laws :] = deltas.std(dim=0).mean(dim=(1, 2)).double().view(setting.seeds, laws)
    axes = ("variant", "seed")
    return xr.Dataset(
        {
            "accuracy": (axes, clean.view(-1, kinds).T.numpy()),
            "robust_accuracy": (axes, robust.view(-1, kinds).T.numpy()),
            "spread": (axes, spread.T.numpy()),
        },
        coords={"variant": list(VARIANTS), "seed": list(range(setting.seeds))},
    )


def _places(names: tuple[str, ...], seeds: int) -> Tensor:
    """Numbers of the networks of these variants, seed after seed."""
    return torch.tensor([s * len(VARIANTS) + VARIANTS.index(name) for s in range(seeds) for name in names])


ADVERSARIAL = Protocol(
    name="adversarial",
    identifier="P31",
    system="ADT",
    source="claims: arXiv:2002.05999; law and steps: authors' code without its accumulated gradients; protocol: ours",
    statement="An entropy term keeps the adversary from a point, and training against its law beats training by PGD.",
    assumptions="digits, MLP 64-128-64, a box of 0.4 deviations, 7 inner steps, PGD-20 within the same box",
    verdict="refined",
    finding="Entropy keeps the law from a point, and a little of it adds a point of accuracy under PGD-20; much of it"
    " costs twenty. Whether it is more robust than training against PGD-7 the seeds cannot tell.",
    question="does entropy keep an adversary from a point, and make training more robust?",
    setting=Adversarial(),
    short=Adversarial(seeds=3, steps=60),
    run=run,
    claims=(
        Comparison(
            "entropy keeps the adversary's law from a point",
            "deviation of the law over the radius after 100 steps, lambda = 0.01 less 0",
            less("spread", "adt 0.01", "adt 0"),
            matters=0.02,
            short="supported",
        ),
        Comparison(
            "training against the law makes networks robust",
            "accuracy under PGD-20, lambda = 0.01 less standard training",
            less("robust_accuracy", "adt 0.01", "standard"),
            matters=0.05,
            short="supported",
        ),
        Comparison(
            "training against the law is more robust than PGD training",
            "accuracy under PGD-20, lambda = 0.01 less PGD-7",
            less("robust_accuracy", "adt 0.01", "pgd"),
            matters=0.01,
        ),
        Comparison(
            "entropy adds to the robustness",
            "accuracy under PGD-20, lambda = 0.01 less 0",
            less("robust_accuracy", "adt 0.01", "adt 0"),
            matters=0.01,
        ),
    ),
    variables={
        "seed": "seed of split, weights, batches and attacks",
        "variant": "what the inputs are moved by in training",
        "accuracy": "accuracy on held-out digits",
        "robust_accuracy": "accuracy on held-out digits under PGD-20",
        "spread": "mean deviation of the variant's law over the radius, 100 steps against the PGD-trained network",
    },
    columns={"accuracy": "clean", "robust_accuracy": "PGD-20", "spread": "spread"},
)
