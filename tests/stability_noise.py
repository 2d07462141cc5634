"""By which factor small batches and momentum move the loss of stability that clopsim.stable_rate predicts.

    python -m tests.stability_noise [NAME ...]

A network is trained as in tests.stability, then each batch's loss is tilted by its own gradient there, so that the
place is at rest in every batch, and torch's SGD takes the batches in a new order every epoch. The weights are moved by
a hair, and the observed rate is the one above which the motion grows. What goes along falling or flat directions is
taken out after every step (curvature below FLAT of the largest): there no rate is stable, whatever the noise. Predicted
is stable_rate for the mean loss of the same batches. One batch of the whole is the control: its factor must be 1.
"""

import argparse
import math
import statistics

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from clopsim.show.tables import table
from clopsim.training.stability import stability
from tests.stability import HAIR, LOSS, _mlp, settled

WHOLE, BATCHES, MOMENTA, SEEDS = 256, (256, 64, 16), (0.0, 0.9), 3
FLAT, MOST = 0.1, 160
STEPS, WIDTH = 320, 0.05
"""Steps that are watched, ratio of the last bracket less one."""

Batch = tuple[Tensor, Tensor]


def network(name: str) -> tuple[nn.Module, Batch]:
    """The linear network or the MLP of tests.stability, with more samples."""
    torch.manual_seed(0)
    model = (nn.Linear(20, 8) if name == "linear" else _mlp(False)).double().train()
    first = torch.randn(WHOLE, 20, dtype=torch.float64)
    return model, (first, first + 0.3 * torch.randn(WHOLE, 20, dtype=torch.float64))


def flat_gradient(model: nn.Module, batch: Batch) -> Tensor:
    """Of the loss in all parameters, (P,)."""
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(LOSS(*map(model, batch)), list(model.parameters()))])


def rising(model: nn.Module, batches: list[Batch]) -> Tensor:
    """Directions (P, k) along which the mean loss curves upwards by at least FLAT of the most, by Lanczos."""
    parameters = list(model.parameters())
    mean = torch.stack([LOSS(*map(model, batch)) for batch in batches]).mean()
    slope = torch.cat([g.reshape(-1) for g in torch.autograd.grad(mean, parameters, create_graph=True)])

    def times(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        found = torch.autograd.grad(slope, parameters, torch.from_numpy(vector.reshape(-1)), retain_graph=True)
        return torch.cat([part.reshape(-1) for part in found]).numpy()

    start = np.random.default_rng(0).standard_normal(len(slope))
    operator = LinearOperator((len(slope), len(slope)), matvec=times, dtype=np.float64)
    curvature, directions = eigsh(operator, k=MOST, which="LA", v0=start, tol=1e-3)
    if curvature.min() >= FLAT * curvature.max():
        raise ValueError(f"MOST must be larger, got {MOST}: all of these directions rise")
    return torch.from_numpy(directions[:, curvature >= FLAT * curvature.max()].copy())


def grows(
    model: nn.Module, batches: list[Batch], rests: list[Tensor], up: Tensor, *, rate: float, momentum: float, seed: int
) -> bool:
    """Whether a hair's move grows under torch's SGD at that rate."""
    generator = torch.Generator().manual_seed(seed)
    place = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    move = HAIR * up @ torch.randn(up.shape[1], generator=generator, dtype=torch.float64)
    first = size = float(move.norm())
    order: list[int] = []
    for _ in range(STEPS):
        nn.utils.vector_to_parameters(place + move, model.parameters())
        order = order or torch.randperm(len(batches), generator=generator).tolist()
        k = order.pop()
        pull = (flat_gradient(model, batches[k]) - rests[k]).split([p.numel() for p in model.parameters()])
        for parameter, part in zip(model.parameters(), pull, strict=True):
            parameter.grad = part.view_as(parameter)
        optimizer.step()
        move = nn.utils.parameters_to_vector(model.parameters()).detach() - place
        move = up @ (up.mT @ move)
        size = float(move.norm())
        if not 1e-4 < size / first < 1e4:
            break
    nn.utils.vector_to_parameters(place, model.parameters())
    return not size < first


def factors(name: str, size: int, momentum: float) -> list[float]:
    """Observed over predicted rate, of each seed of the order."""
    model, (first, second) = network(name)
    settled(model, (first, second), "sgd")
    batches = list(zip(first.split(size), second.split(size), strict=True))
    rests = [flat_gradient(model, batch) for batch in batches]
    predicted = stability(model, LOSS, batches, momentum=momentum).rate
    if predicted is None:
        raise ValueError(f"{name} must curve upwards somewhere, got no such direction; train it longer")
    up = rising(model, batches)
    found = []
    for seed in range(SEEDS):
        low, high = predicted / 64, 2 * predicted
        while high / low > 1 + WIDTH:
            middle = math.sqrt(low * high)
            over = grows(model, batches, rests, up, rate=middle, momentum=momentum, seed=seed)
            low, high = (low, middle) if over else (middle, high)
        found.append(math.sqrt(low * high) / predicted)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of linear, mlp; both without")
    rows = []
    for name in parser.parse_args().names or ("linear", "mlp"):
        for size in BATCHES:
            cells = []
            for momentum in MOMENTA:
                found = factors(name, size, momentum)
                cells.append(f"{statistics.median(found):.3g} ({min(found):.3g} to {max(found):.3g})")
            rows.append((name, str(size), *cells))
            print(*rows[-1], flush=True)
    print(table(("network", "batch", *(f"momentum {m:g}" for m in MOMENTA)), rows))


if __name__ == "__main__":
    main()
