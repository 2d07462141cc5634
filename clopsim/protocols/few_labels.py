"""Semi-supervised digits: do pseudo-labels calibrated by the embedding's cosines beat plain ones?

A trunk with two heads, one of logits and one of embeddings; a few labelled samples a class, all others guessed. All
variants of all seeds are one stack of networks.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from clopsim.losses import calibrated, info_nce, sscl
from clopsim.metrics import geometry
from clopsim.protocols import networks
from clopsim.protocols.federated import within_share
from clopsim.protocols.protocol import Comparison, Progress, Protocol, less
from clopsim.training.datasets import DataSet, load
from clopsim.training.recipe import Training
from clopsim.training.views import Views, two_views

CLASSES, DIMENSION = 10, 32
WIDTHS = (64, 128, 64, CLASSES + DIMENSION)
"""Pixels, two hidden layers, both heads side by side."""

WEAK = Views("images", noise=0.1, shift=0)
STRONG = Views("images", noise=0.3, shift=1)

VARIANTS = ("ce", "self", "self+infonce", "positives", "sscl")
"""ce: labelled samples alone; self: with pseudo-labels; self+infonce: and contrast of the views; positives: guesses
choose the contrast's positives too; sscl: the same, the guesses calibrated by the cosines to the class means."""


@dataclass(frozen=True)
class FewLabels:
    """Repeated over seeds: split, labelled samples, weights, batches and views are those of the seed."""

    seeds: int = 16  # at 8 the interval of the calibration is wider than what matters
    labelled: int = 4  # samples of a class
    steps: int = 500
    batch: int = 96  # unlabelled samples in a step, drawn with replacement; all labelled ones join
    rate: float = 0.05
    momentum: float = 0.9
    clip: float = 5.0  # largest norm of a gradient
    threshold: float = 0.9  # theta: guesses below this confidence are not used
    temperature: float = 0.2  # of the contrast and of the calibration
    held_out: float = 0.3


def run(setting: FewLabels, on_progress: Progress) -> xr.Dataset:
    """Train all networks; accuracy on held-out digits, and what their guesses on the unlabelled ones are worth."""
    seeds, kinds = range(setting.seeds), len(VARIANTS)
    data = [load(Training(data="digits", held_out=setting.held_out, seed=seed)) for seed in seeds]
    known = [
        np.concatenate([rng.permutation(np.flatnonzero(d.y.numpy() == k))[: setting.labelled] for k in range(CLASSES)])
        for d, rng in ((d, np.random.default_rng((seed, 5))) for seed, d in zip(seeds, data, strict=True))
    ]
    labels = torch.stack([d.y[of_seed] for d, of_seed in zip(data, known, strict=True)]).repeat_interleave(kinds, dim=0)
    generators = [torch.Generator().manual_seed(2**20 + seed) for seed in seeds]
    parameters = [p.requires_grad_() for p in networks.fresh(WIDTHS, seeds=seeds, copies=kinds)]
    velocity = [torch.zeros_like(p) for p in parameters]
    rate = torch.full((1, 1, 1), setting.rate)
    for step in range(setting.steps):
        rows = []
        for d, of_seed, generator in zip(data, known, generators, strict=True):
            drawn = d.x[torch.randint(len(d.x), (setting.batch,), generator=generator)]
            weak, _ = two_views(torch.cat([d.x[of_seed], drawn]), WEAK, generator)
            strong, _ = two_views(drawn, STRONG, generator)
            rows.append(torch.cat([weak, strong]).flatten(1))
        x = torch.stack(rows).repeat_interleave(kinds, dim=0)  # (S V, labelled + 2 batch, 64)
        loss = _loss(networks.layers(parameters, x, linear=1)[-1], labels, setting)
        gradients = networks.clipped(torch.autograd.grad(loss, parameters), norm=setting.clip)
        networks.descend(parameters, velocity, gradients, rate=rate, momentum=setting.momentum)
        on_progress((step + 1) / setting.steps)
    with torch.no_grad():
        return _measured(parameters, data, known, setting)


def _loss(outputs: Tensor, labels: Tensor, setting: FewLabels) -> Tensor:
    """Sum of the losses of all networks, the variants of a seed side by side; outputs: (S V, rows, K + d)."""
    count = labels.shape[1]
    logits, z = outputs[..., :CLASSES], outputs[..., CLASSES:]
    loss = torch.nn.functional.cross_entropy(logits[:, :count].mT, labels, reduction="none").mean(dim=1).sum()
    weak, strong = logits[:, count:].chunk(2, dim=1)
    first, second = z[:, count:].chunk(2, dim=1)
    calibrating = _mask("sscl", like=labels)
    guess, confidence = guesses(weak, first, class_means(z[:, :count], labels), calibrating, setting)
    entropy = torch.nn.functional.cross_entropy(strong.mT, guess, reduction="none")  # (S V, batch)
    used = (confidence >= setting.threshold) & ~_mask("ce", like=labels)[:, None]
    loss = loss + torch.where(used, entropy, 0.0).mean(dim=1).sum()
    tau = setting.temperature
    plain = _mask("self+infonce", like=labels)
    loss = loss + vmap(lambda a, b: info_nce(a, b, temperature=tau))(first[plain], second[plain]).sum()

    def contrast(a: Tensor, b: Tensor, y: Tensor, q: Tensor) -> Tensor:
        return sscl(a, b, y, temperature=tau, confidence=q, threshold=setting.threshold)

    bound = _mask("positives", "sscl", like=labels)
    return loss + vmap(contrast)(first[bound], second[bound], guess[bound], confidence[bound]).sum()


def _mask(*names: str, like: Tensor) -> Tensor:
    """Which networks are of these variants, (S V,)."""
    return torch.tensor([name in names for name in VARIANTS]).repeat(len(like) // len(VARIANTS))


def class_means(z: Tensor, labels: Tensor) -> Tensor:
    """Mean unit embedding of every class of the labelled samples, (S V, K, d), without gradient."""
    return torch.nn.functional.one_hot(labels, CLASSES).to(z.dtype).mT @ geometry.unit(z.detach())


def guesses(logits: Tensor, z: Tensor, means: Tensor, calibrating: Tensor, setting: FewLabels) -> tuple[Tensor, Tensor]:
    """Guessed class and its confidence, (S V, rows) each, calibrated where the variant says so; without gradient."""
    confidence, guess = logits.detach().softmax(dim=-1).max(dim=-1)

    one = partial(calibrated, temperature=setting.temperature)
    label, sure = vmap(one)(logits.detach(), z.detach(), means)
    where = calibrating[:, None]
    return torch.where(where, label, guess), torch.where(where, sure, confidence)


def _measured(
    parameters: list[Tensor], data: list[DataSet], known: list[NDArray[np.int64]], setting: FewLabels
) -> xr.Dataset:
    """Accuracy, the guesses' number and worth, the geometry of the embeddings."""
    x, y, held_x, held_y = (
        torch.stack(part).repeat_interleave(len(VARIANTS), dim=0)
        for part in zip(*((d.x.flatten(1), d.y, d.held_x.flatten(1), d.held_y) for d in data), strict=True)
    )
    out = networks.layers(parameters, x, linear=1)[-1]
    logits, z = out[..., :CLASSES], out[..., CLASSES:]
    seen = torch.from_numpy(np.stack(known)).repeat_interleave(len(VARIANTS), dim=0)
    means = class_means(z.gather(1, seen[..., None].expand(-1, -1, DIMENSION)), y.gather(1, seen))
    guess, confidence = guesses(logits, z, means, _mask("sscl", like=y), setting)
    hidden = torch.ones_like(y, dtype=torch.bool).scatter(1, seen, False)
    sure = hidden & (confidence >= setting.threshold)
    held = networks.layers(parameters, held_x, linear=1)[-1]
    embedding = geometry.unit(held[..., CLASSES:])
    measures = {
        "accuracy": (held[..., :CLASSES].argmax(dim=-1) == held_y).double().mean(dim=1),
        "confident": sure.sum(dim=1) / hidden.sum(dim=1),
        "right": (sure & (guess == y)).sum(dim=1) / sure.sum(dim=1),
        "effective_rank": geometry.effective_rank(embedding),
        "within_share": within_share(embedding, held_y, classes=CLASSES),
    }
    shape = (setting.seeds, len(VARIANTS))
    found = xr.Dataset(
        {name: (("seed", "variant"), value.double().view(shape).numpy()) for name, value in measures.items()},
        coords={"seed": range(setting.seeds), "variant": list(VARIANTS)},
    )
    return found.transpose("variant", "seed")


FEW_LABELS = Protocol(
    name="few-labels",
    identifier="P29",
    system="SsCL style",
    source="arXiv:2105.07387, abstract; loss: style of, a reconstruction",
    statement="Co-calibrating pseudo-labels and contrast avoids confirmation bias, and training both together beats"
    " either.",
    assumptions="digits, 4 labels a class, MLP 64-128-64 with two heads, confidence 0.9",
    verdict="refined",
    finding="Training both together beats self-training by far. That calibration adds to it is not seen: more guesses"
    " are used, and no larger share of them is right.",
    question="does co-calibration of pseudo-labels beat plain ones?",
    setting=FewLabels(),
    short=FewLabels(seeds=4, steps=250),
    run=run,
    claims=(
        Comparison(
            "pseudo-labels with contrast beat cross entropy on the labelled samples",
            "accuracy, SsCL less cross entropy alone",
            less("accuracy", "sscl", "ce"),
            matters=0.01,
            short="supported",
        ),
        Comparison(
            "training both branches together beats self-training",
            "accuracy, SsCL less self-training",
            less("accuracy", "sscl", "self"),
            matters=0.01,
            short="supported",
        ),
        Comparison(
            "co-calibration raises the accuracy",
            "accuracy, SsCL less the same uncalibrated",
            less("accuracy", "sscl", "positives"),
            matters=0.01,
        ),
        Comparison(
            "co-calibration avoids confirmation bias: confident guesses are more often right",
            "share of right ones among the confident, SsCL less the same uncalibrated",
            less("right", "sscl", "positives"),
            matters=0.01,
        ),
    ),
    variables={
        "seed": "seed of split, labelled samples, weights, batches and views",
        "variant": "what joins cross entropy on the labelled samples",
        "accuracy": "held-out accuracy of the logits",
        "confident": "share of the unlabelled training samples whose guess is used at the end",
        "right": "share of these guesses that are right",
        "effective_rank": "exp of the entropy of the embeddings' energies, held-out digits",
        "within_share": "share of the embeddings' energy inside the classes; 0 where each is a point",
    },
    columns={
        "accuracy": "accuracy",
        "confident": "confident",
        "right": "right",
        "effective_rank": "rank",
        "within_share": "within",
    },
)
