"""ResNet-18 in its form for small pictures: a stem of 3 x 3 without pooling, four stages, each half as large.

Source: He et al., arXiv:1512.03385; the stem is that of SimCLR's CIFAR experiments, arXiv:2002.05709, appendix B.9.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

STAGES, BLOCKS = 4, 2
"""Stages, each twice as wide as the one before, and blocks of two convolutions in a stage."""


class ResNet18(nn.Module):
    """Pictures (B, C, H, W) to embeddings (B, d): 17 convolutions, the mean over the pixels, one linear layer."""

    def __init__(self, channels: int, width: int, dimension: int, *, batch_norm: bool = True) -> None:
        """width: channels of the stem; 64 is ResNet-18, with 11,168,832 parameters before the head for 3 channels."""
        super().__init__()
        self.stem = _Convolution(channels, width, 3, 1, batch_norm)
        widths = [width] + [width * 2**stage for stage in range(STAGES) for _ in range(BLOCKS)]
        blocks = []
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            halves = number and number % BLOCKS == 0  # the first block of every stage but the first
            blocks.append(_Block(inputs, outputs, 2 if halves else 1, batch_norm))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], dimension)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, d) of pictures (B, C, H, W)."""
        if x.is_cuda:
            x = x.contiguous(memory_format=torch.channels_last)  # its tensor cores want the channels side by side
        h = self.blocks(self.stem(x).relu_())
        return self.head(h.mean(dim=(2, 3)))


class _Convolution(nn.Module):
    """A convolution with batch normalisation by the statistics of its batch, or with a bias instead."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.weights = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=not batch_norm)
        self.norm = nn.BatchNorm2d(outputs, track_running_stats=False) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.weights(x))


class _Block(nn.Module):
    """relu(second(relu(first(x))) + x), x through a convolution of 1 x 1 where its shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.first = _Convolution(inputs, outputs, 3, stride, batch_norm)
        self.second = _Convolution(outputs, outputs, 3, 1, batch_norm)
        same = inputs == outputs and stride == 1
        self.short = nn.Identity() if same else _Convolution(inputs, outputs, 1, stride, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(self.first(x).relu_())  # nobody else needs what the ReLUs are taken of
        return (h + self.short(x)).relu_()


def side_by_side(network: nn.Module) -> None:
    """Lay the weights of every convolution out as its pictures on a GPU, channels last, those of 1 x 1 too.

    Gradients come laid out so; a step of the optimiser then takes all of them at once.
    """
    for parameter in network.parameters():
        if parameter.ndim == 4:
            _, channels, height, width = parameter.shape
            strides = (channels * height * width, 1, width * channels, channels)
            moved = torch.empty_strided(parameter.shape, strides, dtype=parameter.dtype, device=parameter.device)
            parameter.data = moved.copy_(parameter.data)
