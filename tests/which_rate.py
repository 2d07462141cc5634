"""Which of clopsim's numbers is the rate to start with: networks on digits trained at multiples of them, for the guide.

    python -m tests.which_rate

Batches of 64 with fresh noisy views, InfoNCE at temperature 0.2. rate_test looks at the network as it is made,
stable_rate at it after STEPS steps at a tenth of the steepest rate; the runs begin anew, without warm-up. A run is
judged by its mean loss over the last tenth of its steps.
"""

import copy
import itertools
import statistics
from collections.abc import Callable, Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import clopsim
from clopsim.bounds import Setting
from clopsim.bounds.alignment import alignment_uniform_rate
from clopsim.losses import by_name
from clopsim.show.tables import table

TAU, MOMENTUM, BATCH, DIMENSION, STEPS, SEEDS = 0.2, 0.9, 64, 16, 300, 2

MULTIPLES = {"steepest": (0.1, 1.0, 3.0, 10.0, 100.0), "stable": (0.3, 1.0, 3.0)}
"""Of the steepest and of the stable rate, at which networks are trained."""

LOSS = by_name("infonce", temperature=TAU)
IMAGES = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]  # (1797, 1, 8, 8)


def mlp() -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, DIMENSION)]
    return nn.Sequential(*layers)


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, DIMENSION),
    )  # fmt: skip


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Two views of random digits, for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        x = IMAGES[torch.randint(len(IMAGES), (BATCH,), generator=generator)]
        first, second = (x + 0.1 * torch.randn(x.shape, generator=generator) for _ in range(2))
        yield first, second


def stepper(model: nn.Module, kind: str, rate: float) -> torch.optim.Optimizer:
    if kind == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=1e-4)


def trained(model: nn.Module, kind: str, rate: float, seed: int) -> tuple[nn.Module, torch.optim.Optimizer, float, str]:
    """A copy after STEPS steps, its optimiser, its last loss and the verdict on its embeddings."""
    model = copy.deepcopy(model)
    optimizer = stepper(model, kind, rate)
    losses = []
    for _, views in zip(range(STEPS), batches(seed), strict=False):
        z = [model(view) for view in views]
        value = LOSS(*z)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    monitor = clopsim.Monitor(LOSS)
    monitor(z[0], z[1])
    return model, optimizer, statistics.fmean(losses[-STEPS // 10 :]), monitor.verdict or "broken"


def measured(make: Callable[[], nn.Module], kind: str, seed: int) -> tuple[list[float | None], list[tuple[float, str]]]:
    """steepest_rate, collapse_rate, stable_rate and T5's rate of one network, and how the runs at multiples end."""
    torch.manual_seed(seed)
    model = make()
    some = [next(batches(1000 + k)) for k in range(4)]
    test = clopsim.rate_test(model, LOSS, batches(seed), optimizer=stepper(model, kind, 1.0))
    assert test.steepest_rate is not None
    grown, optimizer, _, _ = trained(model, kind, test.steepest_rate / 10, seed)
    stable = clopsim.stable_rate(grown, LOSS, some, optimizer=optimizer).rate
    assert stable is not None
    bound = None
    if kind == "sgd":
        norm = float(model(some[0][0]).detach().square().sum(dim=1).mean())
        setting = Setting(TAU, DIMENSION, 2 * BATCH, "full", "tangent", "symmetric", "mean", MOMENTUM)
        edge = alignment_uniform_rate(setting)
        bound = None if edge is None else edge * norm
    rates = [k * rate for rate, name in ((test.steepest_rate, "steepest"), (stable, "stable")) for k in MULTIPLES[name]]
    return [test.steepest_rate, test.collapse_rate, stable, bound], [
        trained(model, kind, rate, seed)[2:] for rate in rates
    ]


def main() -> None:
    """Print the table: rates and losses are medians over the seeds, a star marks a collapse in one of them."""
    names = ["steepest_rate", "collapse_rate", "stable_rate", "T5's rate"]
    names += [f"loss at {k:g} x {name}" for name, ks in MULTIPLES.items() for k in ks]
    cases = list(itertools.product((mlp, conv), ("sgd", "adamw")))
    columns = []
    for make, kind in cases:
        rates, ends = zip(*(measured(make, kind, seed) for seed in range(SEEDS)), strict=True)
        column = []
        for each in zip(*rates, strict=True):
            known = [rate for rate in each if rate is not None]
            column.append(f"{statistics.median(known):.2g}" if known else "-")
        for each in zip(*ends, strict=True):
            star = "" if all(verdict == "none" for _, verdict in each) else "*"
            column.append(f"{statistics.median(loss for loss, _ in each):.2f}{star}")
        columns.append(column)
    heads = ["", *(f"{make.__name__}, {kind}" for make, kind in cases)]
    print(table(heads, [list(row) for row in zip(names, *columns, strict=True)]))


if __name__ == "__main__":
    main()
