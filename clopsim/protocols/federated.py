"""Federated learning on digits: what a contrastive term in the clients, and FedRCL's penalty, do to the global model.

Every client of every seed and variant is one network of one stack; a round is local steps, then FedAvg.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from clopsim.losses import fedrcl, supcon
from clopsim.metrics import geometry
from clopsim.protocols import networks
from clopsim.protocols.protocol import Comparison, Progress, Protocol, less
from clopsim.training.datasets import DataSet, load
from clopsim.training.recipe import Training

WIDTHS = (64, 64, 32, 10)
"""Pixels, hidden layer, embedding, head."""

LEAST = 10
"""Samples of the smallest client."""

LAST = 5
"""Rounds that the accuracy at the end is averaged over."""

Contrast = Callable[[Tensor, Tensor], Tensor]
"""(rows, d) raw features of one level and (rows,) labels -> the mean over the anchors."""


@dataclass(frozen=True)
class Federated:
    """One federation, repeated over seeds: its partition, its initial weights and its batches are those of the seed."""

    seeds: int = 8
    clients: int = 10
    alpha: float = 0.1  # Dirichlet(alpha) shares of every class over the clients
    rounds: int = 40
    local_steps: int = 10
    batch: int = 32  # samples of a client in a step, drawn with replacement
    rate: float = 0.1
    weight_decay: float = 1e-3
    clip: float = 10.0  # largest norm of a client's gradient
    temperature: float = 0.05  # of the contrastive terms
    held_out: float = 0.3


def variants(temperature: float) -> dict[str, Contrast | None]:
    """The contrastive term of every variant, next to the cross entropy that all have."""
    return {
        "ce": None,
        "supcon": lambda x, y: supcon(x, None, y, temperature=temperature),
        "scl": lambda x, y: fedrcl(x, None, y, temperature=temperature, beta=0.0),
        "fedrcl": lambda x, y: fedrcl(x, None, y, temperature=temperature),
    }


def dirichlet_parts(y: NDArray[np.int64], *, clients: int, alpha: float, seed: int) -> list[NDArray[np.int64]]:
    """Indices of every client: the samples of each class shared out by Dirichlet(alpha).

    Drawn anew until every client has 10 samples, as the usual partitions are.
    """
    rng = np.random.default_rng((seed, 0))
    while True:
        parts: list[list[NDArray[np.int64]]] = [[] for _ in range(clients)]
        for k in np.unique(y):
            mine = rng.permutation(np.flatnonzero(y == k))
            cuts = (rng.dirichlet(np.full(clients, alpha)).cumsum()[:-1] * len(mine)).astype(np.int64)
            for part, share in zip(parts, np.split(mine, cuts), strict=True):
                part.append(share)
        whole = [np.concatenate(part) for part in parts]
        if min(map(len, whole)) >= LEAST:
            return whole


def deviation(before: list[Tensor], after: list[Tensor], weights: Tensor) -> Tensor:
    """Share of the clients' squared updates that is not common to them, 0 to 1, head left out: (groups,).

    before, after: (groups, clients, ...) parameters; weights: (groups, clients) of FedAvg, rows of sum one.
    """
    total, common = torch.zeros(len(weights)), torch.zeros(len(weights))
    for old, new in zip(before[:-2], after[:-2], strict=True):
        update = (new - old).flatten(2)  # (groups, clients, parameters)
        mean = (weights[..., None] * update).sum(dim=1)
        total += (weights * update.square().sum(dim=2)).sum(dim=1)
        common += mean.square().sum(dim=1)
    return 1 - common / total


def run(setting: Federated, on_progress: Progress) -> xr.Dataset:
    """Train every federation; measures of the global model on held-out digits after every round."""
    contrasts = variants(setting.temperature)
    seeds, kinds, clients = setting.seeds, len(contrasts), setting.clients
    data = [load(Training(data="digits", held_out=setting.held_out, seed=seed)) for seed in range(seeds)]
    x, y = (
        torch.stack(part) for part in zip(*((d.x.flatten(1), d.y) for d in data), strict=True)
    )  # (S, N, 64), (S, N)
    parts = [
        dirichlet_parts(d.y.numpy(), clients=clients, alpha=setting.alpha, seed=seed) for seed, d in enumerate(data)
    ]
    sizes = torch.tensor([[len(part) for part in of_seed] for of_seed in parts])  # (S, C)
    table = torch.zeros(seeds, clients, int(sizes.max()), dtype=torch.long)
    for s, of_seed in enumerate(parts):
        for c, part in enumerate(of_seed):
            table[s, c, : len(part)] = torch.from_numpy(part)
    weights = (sizes / sizes.sum(dim=1, keepdim=True)).repeat_interleave(kinds, dim=0)  # (S V, C)
    batches = [torch.Generator().manual_seed(2**20 + seed) for seed in range(seeds)]
    parameters = networks.fresh(WIDTHS, seeds=range(seeds), copies=kinds * clients)  # (S V C, ...)
    groups = (seeds * kinds, clients)
    records: dict[str, list[Tensor]] = {
        name: [] for name in ("accuracy", "deviation", "effective_rank", "within_share")
    }
    local = torch.zeros(seeds * kinds)
    for round_ in range(setting.rounds):
        before = [p.view(*groups, *p.shape[1:]) for p in parameters]
        for _ in range(setting.local_steps):
            u = torch.stack([torch.rand(clients, setting.batch, generator=g) for g in batches])
            index = table.gather(2, (u * sizes[..., None]).long()).flatten(1)  # (S, C B)
            rows = x.gather(1, index[..., None].expand(-1, -1, x.shape[2])).view(seeds, 1, clients, setting.batch, -1)
            labels = y.gather(1, index).view(seeds, 1, clients, setting.batch)
            rows, labels = (part.expand(-1, kinds, *part.shape[2:]).flatten(0, 2) for part in (rows, labels))
            parameters = _step(parameters, rows, labels, list(contrasts.values()), setting)
        after = [p.view(*groups, *p.shape[1:]) for p in parameters]
        records["deviation"].append(deviation(before, after, weights))
        if round_ == setting.rounds - 1:
            local = _local_accuracy(parameters, data, clients * kinds).view(groups).mean(dim=1)
        means = [torch.einsum("gc,gc...->g...", weights, p) for p in after]
        for name, values in _observed(means, data, kinds).items():
            records[name].append(values)
        parameters = [m.repeat_interleave(clients, dim=0) for m in means]
        on_progress((round_ + 1) / setting.rounds)
    shape = (seeds, kinds)
    along = {
        name: (("seed", "variant", "round"), torch.stack(values, dim=-1).view(*shape, -1).numpy())
        for name, values in records.items()
    }
    found = xr.Dataset(
        {**along, "local_accuracy": (("seed", "variant"), local.view(shape).numpy())},
        coords={"seed": range(seeds), "variant": list(contrasts), "round": range(1, setting.rounds + 1)},
    )
    found["final_accuracy"] = found["accuracy"].isel(round=slice(-LAST, None)).mean("round")
    found["early_accuracy"] = found["accuracy"].isel(round=max(0, setting.rounds // 4 - 1), drop=True)
    found["mean_deviation"] = found["deviation"].mean("round")
    for name in ("effective_rank", "within_share"):
        found[f"final_{name}"] = found[name].isel(round=slice(-LAST, None)).mean("round")
    return found.transpose("variant", "seed", "round")


def _step(
    parameters: list[Tensor], x: Tensor, y: Tensor, contrasts: list[Contrast | None], setting: Federated
) -> list[Tensor]:
    """One step of SGD of every client. x: (S V C, B, 64), the variants of a seed side by side."""
    leaves = [p.detach().requires_grad_() for p in parameters]
    outputs = networks.layers(leaves, x)
    count = setting.clients * len(contrasts)
    loss = torch.nn.functional.cross_entropy(outputs[-1].flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]
    for k, contrast in enumerate(contrasts):
        if contrast is None:
            continue
        mine = [k * setting.clients + c + start for start in range(0, len(x), count) for c in range(setting.clients)]
        for level in outputs[:-1]:
            loss = loss + vmap(contrast)(level[mine], y[mine]).sum() / (len(outputs) - 1)
    gradients = networks.clipped(torch.autograd.grad(loss, leaves), norm=setting.clip)
    with torch.no_grad():
        decay = 1 - setting.rate * setting.weight_decay
        return [p * decay - setting.rate * g for p, g in zip(leaves, gradients, strict=True)]


@torch.no_grad()
def _observed(parameters: list[Tensor], data: list[DataSet], kinds: int) -> dict[str, Tensor]:
    """Accuracy, effective rank and within-class share of the embedding on held-out digits, (S V,) each."""
    x, y = _held(data, kinds)
    *_, embedding, logits = networks.layers(parameters, x)
    z = geometry.unit(embedding)
    return {
        "accuracy": (logits.argmax(dim=-1) == y).double().mean(dim=1),
        "effective_rank": geometry.effective_rank(z),
        "within_share": within_share(z, y, classes=data[0].classes),
    }


def _local_accuracy(parameters: list[Tensor], data: list[DataSet], copies: int) -> Tensor:
    """Held-out accuracy of every client's own network before the last mean, (S V C,)."""
    x, y = _held(data, copies)
    return (networks.layers(parameters, x)[-1].argmax(dim=-1) == y).double().mean(dim=1)


def _held(data: list[DataSet], copies: int) -> tuple[Tensor, Tensor]:
    x, y = (torch.stack(part) for part in zip(*((d.held_x.flatten(1), d.held_y) for d in data), strict=True))
    return x.repeat_interleave(copies, dim=0), y.repeat_interleave(copies, dim=0)


def within_share(z: Tensor, y: Tensor, *, classes: int) -> Tensor:
    """Share of the energy of unit rows z (M, n, d) that lies inside the classes y (M, n): 0 at class points."""
    one_hot = torch.nn.functional.one_hot(y, classes).to(z.dtype)  # (M, n, K)
    means = one_hot.mT @ z / one_hot.sum(dim=1)[..., None].clamp_min(1)  # (M, K, d)
    return (z - one_hot @ means).square().sum(dim=(1, 2)).double() / z.shape[1]


FEDERATED = Protocol(
    name="federated",
    identifier="P28",
    system="FedRCL",
    source="arXiv:2401.04928, abstract; loss: authors' code",
    statement="Supervised contrast in federated clients mitigates their deviations and collapses the classes; a"
    " relaxed penalty keeps them apart and raises the accuracy.",
    assumptions="digits, 10 clients, Dirichlet(0.1) labels, MLP 64-64-32, temperature 0.05, full participation",
    verdict="refined",
    finding="Contrast in the clients collapses the classes, and the penalty keeps the rank. The global model learns"
    " faster with it and ends no better; contrast makes the clients deviate more, not less.",
    question="does a relaxed contrastive loss in the clients help the global model?",
    setting=Federated(),
    short=Federated(seeds=4, rounds=20),
    run=run,
    claims=(
        Comparison(
            "supervised contrast in the clients collapses the classes",
            "within-class share, cross entropy less SupCon",
            less("final_within_share", "ce", "supcon"),
            matters=0.01,
            short="supported",
        ),
        Comparison(
            "supervised contrast in the clients mitigates their deviations",
            "deviation, cross entropy less SupCon",
            less("mean_deviation", "ce", "supcon"),
            matters=0.01,
            short="not supported",
        ),
        Comparison(
            "the relaxed penalty keeps the representations from collapsing",
            "effective rank, FedRCL less the same without penalty",
            less("final_effective_rank", "fedrcl", "scl"),
            matters=0.1,
            short="supported",
        ),
        Comparison(
            "FedRCL converges faster than SupCon in the clients",
            "accuracy after a quarter of the rounds, FedRCL less SupCon",
            less("early_accuracy", "fedrcl", "supcon"),
            matters=0.01,
            short="supported",
        ),
        Comparison(
            "the penalty raises the accuracy in the end",
            "final accuracy, FedRCL less the same without penalty",
            less("final_accuracy", "fedrcl", "scl"),
            matters=0.01,
            short="not supported",
        ),
    ),
    variables={
        "seed": "seed of partition, weights and batches",
        "variant": "loss in the clients",
        "round": "rounds of local steps and averaging done",
        "accuracy": "accuracy of the global model on held-out digits",
        "deviation": "share of the clients' squared updates that is not common to them, head left out",
        "effective_rank": "exp of the entropy of the embeddings' energies, global model, held-out digits",
        "within_share": "share of the embeddings' energy inside the classes; 0 where each is a point",
        "local_accuracy": "held-out accuracy of the clients' own networks before the last mean, mean over clients",
        "final_accuracy": "accuracy, mean of the last five rounds",
        "early_accuracy": "accuracy after a quarter of the rounds",
        "mean_deviation": "deviation, mean over the rounds",
        "final_effective_rank": "effective_rank, mean of the last five rounds",
        "final_within_share": "within_share, mean of the last five rounds",
    },
    columns={
        "early_accuracy": "early",
        "final_accuracy": "accuracy",
        "local_accuracy": "local",
        "mean_deviation": "deviation",
        "final_effective_rank": "rank",
        "final_within_share": "within",
    },
)
