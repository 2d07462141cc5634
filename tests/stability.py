"""clopsim.stable_rate against descent: predicted and observed loss of stability, the table of the guide.

    python -m tests.stability [NAME ...]

Networks that nobody tuned for it are trained for some steps at full batch and fixed views. Then the loss is tilted by
its gradient there, so that the place is at rest, the weights are moved by a hair, and torch's own optimiser runs: the
observed rate is the one above which the part of the motion that alternates from step to step grows. The bisection knows
nothing of the prediction.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clopsim.losses import by_name
from clopsim.show.tables import table
from clopsim.training.stability import stability

LOSS = by_name("infonce", temperature=0.5)
STEPS, RATE, DECAY = 300, {"sgd": 0.05, "momentum": 0.05, "adamw": 2e-3}, 1e-3
HAIR, WATCHED, WIDTH = 1e-10, 100, 0.01
"""First move of every weight, steps that are watched, ratio of the last bracket less one."""

GONE = 1e-4
"""Share of the first move below which it has gone, far above rounding; its inverse: it has left."""

ORDER = 12
"""Of the difference in time that keeps what alternates: a slow motion along a falling direction is small in it."""

Inputs = tuple[Tensor, Tensor]


class Block(nn.Module):
    """The basic block of a residual network."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        same = inputs == outputs and stride == 1
        short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.short = nn.Identity() if same else short

    def forward(self, x: Tensor) -> Tensor:
        h = self.norms[0](self.first(x)).relu()
        return (self.norms[1](self.second(h)) + self.short(x)).relu()


def resnet18(width: int = 64, dimension: int = 16) -> nn.Module:
    """ResNet-18 in its form for 32 x 32 images: a 3 x 3 stem of stride 1 and no pooling behind it."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for stage in range(4):
        for block in range(2):
            outputs = width * 2**stage
            layers.append(Block(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, dimension))


class ViT(nn.Module):
    """A small vision transformer: patches of 8 x 8, two layers before which it normalises, the mean of the tokens."""

    def __init__(self, width: int = 32, depth: int = 2, dimension: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.places = nn.Parameter(0.02 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, dimension)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT + self.places
        return self.head(self.layers(tokens).mean(dim=1))


def _mlp(norm: bool) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs in (20, 32):
        layers += [nn.Linear(inputs, 32), *([nn.BatchNorm1d(32)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 8))


def _conv() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 8))


def _on(build: Callable[[], nn.Module], *shape: int) -> Callable[[], tuple[nn.Module, Inputs]]:
    def made() -> tuple[nn.Module, Inputs]:
        torch.manual_seed(0)
        model = build().double().train()
        first = torch.randn(*shape, dtype=torch.float64)
        if len(shape) == 4:  # pictures of 4 x 4 fields under the noise
            first = first + 2 * torch.randn(*shape[:2], 4, 4, dtype=torch.float64).repeat_interleave(
                8, 2
            ).repeat_interleave(8, 3)
        return model, (first, first + 0.3 * torch.randn(*shape, dtype=torch.float64))

    return made


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Inputs]]] = {
    "linear": _on(lambda: nn.Linear(20, 8), 64, 20),
    "mlp": _on(lambda: _mlp(False), 64, 20),
    "mlp, batch norm": _on(lambda: _mlp(True), 64, 20),
    "conv": _on(_conv, 32, 3, 32, 32),
    "ResNet-18, width 8": _on(lambda: resnet18(8), 8, 3, 32, 32),
    "ViT": _on(ViT, 16, 3, 32, 32),
}


@dataclass
class Ready:
    """A network after some steps: its optimiser, and the loss whose gradient is zero there."""

    optimizer: torch.optim.Optimizer
    kind: str
    loss: Callable[..., Tensor]
    gradients: list[Tensor]
    weights: list[Tensor]


def optimizer_of(kind: str, model: nn.Module) -> torch.optim.Optimizer:
    """SGD, SGD with momentum 0.9, or AdamW, with weight decay."""
    if kind == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=RATE[kind], weight_decay=DECAY)
    momentum = 0.9 if kind == "momentum" else 0.0
    return torch.optim.SGD(model.parameters(), lr=RATE[kind], momentum=momentum, weight_decay=DECAY)


def gradients(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Of the loss in all parameters."""
    return list(torch.autograd.grad(LOSS(*map(model, inputs)), list(model.parameters())))


def settled(model: nn.Module, inputs: Inputs, kind: str) -> Ready:
    """Train at full batch with AdamW, then give it to the optimiser that is to be tested."""
    optimizer = optimizer_of("adamw", model)
    for _ in range(STEPS):
        for parameter, gradient in zip(model.parameters(), gradients(model, inputs), strict=True):
            parameter.grad = gradient
        optimizer.step()
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    if kind != "adamw":
        optimizer = optimizer_of(kind, model)
    return Ready(optimizer, kind, LOSS, gradients(model, inputs), weights)


def grows(model: nn.Module, inputs: Inputs, ready: Ready, rate: float) -> bool:
    """Whether a hair's move away from the place grows by turns, under the optimiser at that rate."""
    fresh = optimizer_of(ready.kind, model)
    adam = ready.kind == "adamw"
    generator = torch.Generator().manual_seed(1)
    for parameter, weight in zip(model.parameters(), ready.weights, strict=True):
        hair = HAIR * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        parameter.data.copy_(weight + hair)
    fresh.param_groups[0]["lr"] = rate
    if adam:  # its second moments stand still, and no bias is left to correct
        fresh.param_groups[0]["betas"] = (0.9, 1 - 1e-15)
        for parameter in model.parameters():
            state = ready.optimizer.state[parameter]
            squares = state["exp_avg_sq"] / (1 - 0.999 ** int(state["step"]))
            zero = torch.zeros_like(parameter)
            fresh.state[parameter] = {"step": torch.tensor(1e17), "exp_avg": zero, "exp_avg_sq": squares.clone()}
    places: list[Tensor] = []
    turns: list[float] = []
    for _ in range(WATCHED):
        for parameter, gradient, rest, weight in zip(
            model.parameters(), gradients(model, inputs), ready.gradients, ready.weights, strict=True
        ):
            parameter.grad = gradient - rest if adam else gradient - rest - DECAY * weight  # decay is at rest too
        fresh.step()
        if adam:
            for parameter, weight in zip(model.parameters(), ready.weights, strict=True):
                parameter.data.add_(rate * DECAY * weight)
        moved = zip(model.parameters(), ready.weights, strict=True)
        places = [*places[-ORDER:], torch.cat([(p.detach() - w).reshape(-1) for p, w in moved])]
        if len(places) > ORDER:
            alternating = sum((-1) ** k * math.comb(ORDER, k) * place for k, place in enumerate(places))
            turns.append(float(alternating.norm()) / 2**ORDER)
            if not GONE * HAIR < turns[-1] < HAIR / GONE:
                return not turns[-1] < HAIR
        if (
            len(turns) > 1 and float(places[-1].abs().max()) > HAIR / GONE
        ):  # it left along a falling direction, where no rate is stable
            break
    tenth = max(1, len(turns) // 10)
    return bool(turns) and max(turns[-tenth:]) > max(turns[: -4 * tenth][-tenth:], default=turns[0])


def observed_rate(model: nn.Module, inputs: Inputs, ready: Ready) -> float:
    """By doubling and bisection from the rate it was trained at."""
    low = high = RATE[ready.kind]
    while grows(model, inputs, ready, low):
        low /= 2
    high = 2 * low
    while not grows(model, inputs, ready, high):
        low, high = high, 2 * high
    while high / low > 1 + WIDTH:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if grows(model, inputs, ready, middle) else (middle, high)
    for parameter, weight in zip(model.parameters(), ready.weights, strict=True):
        parameter.data.copy_(weight)
    return math.sqrt(low * high)


def row(name: str, kind: str) -> tuple[str, ...]:
    """A line of the table."""
    began = time.process_time()
    model, inputs = NETWORKS[name]()
    ready = settled(model, inputs, kind)
    found = stability(model, LOSS, [inputs], optimizer=ready.optimizer)
    if found.rate is None:
        return name, kind, "never", "", "", str(found.products), ""
    seen = observed_rate(model, inputs, ready)
    gap = f"{100 * (seen / found.rate - 1):+.1f} %"
    print(f"{name}, {kind}: {time.process_time() - began:.0f} s", gap, flush=True)
    return name, kind, f"{found.rate:.4g}", f"{seen:.4g}", gap, str(found.products), f"{found.sharpness:.3g}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; all of them without")
    names = parser.parse_args().names or list(NETWORKS)
    rows = [row(name, kind) for name, kind in itertools.product(names, RATE)]
    print(table(("network", "optimiser", "predicted", "observed", "gap", "products", "sharpness"), rows))


if __name__ == "__main__":
    main()
