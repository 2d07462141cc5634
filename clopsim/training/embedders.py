"""Trainable networks from inputs to embeddings: table, linear, MLP, convolutional, ResNet-18.

No module holds a buffer or draws from the global random state: batch normalisation uses the statistics of its batch, so
a network is a pure function of its parameters and inputs, on any device, for one run or for many stacked ones. For
evaluation `with_statistics` fixes those of a whole training set.
"""

import copy
import math

import torch
from torch import Tensor, nn

from clopsim.bounds.setting import whole_number
from clopsim.training.recipe import Embedder
from clopsim.training.resnet import ResNet18, side_by_side

TABLE_VIEW_NOISE = 0.05
"""Standard deviation of a table's views around their sample, times sqrt(d): they start close, as augmentations do."""


class Table(nn.Module):
    """One free embedding for each row index; rows (rows, d) are the parameter."""

    def __init__(self, rows: int, dimension: int) -> None:
        """Leave the rows empty; build fills them."""
        super().__init__()
        self.rows = nn.Parameter(torch.empty(rows, dimension))

    def forward(self, index: Tensor) -> Tensor:
        """Embeddings (B, d) of the row indices (B,)."""
        return self.rows[index]


def build(
    record: Embedder,
    shape: tuple[int, ...],
    *,
    samples: int,
    seed: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """The network of a record for inputs of a shape, (features,) or (channels, height, width), with seeded weights.

    Weights and biases are uniform in +-1/sqrt(fan in), PyTorch's own law, from a generator of their own in float64:
    the same seed gives the same network on every device and in every precision. A table has 2 `samples` rows of mean
    squared length 1; rows i and i + samples are the views of sample i, and its inputs are row indices.

    Errors: ValueError where conv or resnet18 gets no images, or conv would halve them to nothing.
    """
    whole_number("samples", samples, low=1)
    with torch.device("cpu"), torch.random.fork_rng(devices=()):  # on meta its first module would import sympy
        network = _layers(record, shape, samples).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Table):
                base = torch.randn(samples, record.dimension, generator=generator, dtype=torch.float64)
                views = torch.randn(2, samples, record.dimension, generator=generator, dtype=torch.float64)
                module.rows.copy_(((base + TABLE_VIEW_NOISE * views) / math.sqrt(record.dimension)).flatten(0, 1))
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_parameters()  # 1 and 0
            elif isinstance(module, nn.Linear | nn.Conv2d):
                bound = module.weight[0].numel() ** -0.5
                for parameter in module.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)
    network = network.to(device=device, dtype=dtype)
    if isinstance(network, ResNet18) and torch.device(device).type == "cuda":
        side_by_side(network)
    return network


def rows_at_once(x: Tensor) -> int:
    """How many of the inputs x to embed together without a gradient: up to 4096, fewer of large pictures."""
    return min(4096, max(256, 2**21 // x[0].numel())) if len(x) else 1


def with_statistics(network: nn.Module, x: Tensor, *, batch: int | None = None) -> nn.Module:
    """A copy for evaluation: batch normalisation takes the statistics of x, averaged over batches of it.

    So one held-out sample has one embedding, whatever else is embedded with it.
    """
    frozen = copy.deepcopy(network)
    for module in frozen.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.track_running_stats, module.momentum = True, None  # None: the average of all batches
            module.running_mean = torch.zeros_like(module.weight)
            module.running_var = torch.ones_like(module.weight)
            module.num_batches_tracked = torch.zeros((), dtype=torch.long, device=x.device)
    frozen.train()
    with torch.no_grad():
        for part in x.tensor_split(math.ceil(len(x) / (batch or rows_at_once(x)))):
            frozen(part)
    return frozen.eval()


def _layers(record: Embedder, shape: tuple[int, ...], samples: int) -> nn.Module:
    if record.kind == "table":
        return Table(2 * samples, record.dimension)
    if record.kind in ("conv", "resnet18") and len(shape) != 3:
        raise ValueError(
            f"embedder must be table, linear or mlp for vectors of length {shape[0]}, got {record.kind!r}, which takes "
            "pictures: store x as (N, H, W), (N, C, H, W) or (N, H, W, C)"
        )
    if record.kind == "conv":
        return _convolutional(record, shape)
    if record.kind == "resnet18":
        return ResNet18(shape[0], record.width, record.dimension, batch_norm=record.batch_norm)
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = math.prod(shape)
    for _ in range(record.depth if record.kind == "mlp" else 0):
        layers.append(nn.Linear(inputs, record.width, bias=not record.batch_norm))
        if record.batch_norm:
            layers.append(nn.BatchNorm1d(record.width, track_running_stats=False))
        layers.append(nn.ReLU())
        inputs = record.width
    return nn.Sequential(*layers, nn.Linear(inputs, record.dimension))


def _convolutional(record: Embedder, shape: tuple[int, ...]) -> nn.Module:
    """3 x 3 convolutions of stride 2, the mean over the remaining pixels, one linear layer."""
    if 2 ** (record.depth - 1) >= max(shape[1:]):
        raise ValueError(
            f"depth must be <= {(max(shape[1:]) - 1).bit_length()} for {shape[1]} x {shape[2]} pixels, "
            f"got {record.depth}; every layer halves them"
        )
    layers: list[nn.Module] = []
    channels = shape[0]
    for _ in range(record.depth):
        layers.append(nn.Conv2d(channels, record.width, 3, stride=2, padding=1, bias=not record.batch_norm))
        if record.batch_norm:
            layers.append(nn.BatchNorm2d(record.width, track_running_stats=False))
        layers.append(nn.ReLU())
        channels = record.width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, record.dimension))
