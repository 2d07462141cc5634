"""Two random views of every sample, as one tensor program on the data's device."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ViewKind = Literal["vectors", "images", "lines", "rows"]


@dataclass(frozen=True)
class Views:
    """How views are made: by the kind of the data."""

    kind: ViewKind  # vectors: x + noise; images: shifted, + noise; lines: x and -x + noise; rows: a table's indices
    noise: float = 0.1  # standard deviation
    shift: int = 1  # images: largest shift in pixels, each way; what moves in is the smallest value of the picture
    rows: int = 0  # rows: N; the second view of row i is row i + N


def two_views(x: Tensor, spec: Views, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Two views of every sample, each of x's shape, dtype and device.

    x: (B, features), (B, channels, height, width), or (B,) row indices. generator: on x's device; None draws from
    torch's global state (and is all that the meta device takes).

    Source of the lines' views: arXiv:2403.18699v1, section 3; the first is x itself.
    """
    if spec.kind == "rows":
        return x, x + spec.rows
    if spec.kind == "lines":
        return x, _noisy(-x, spec.noise, generator)
    if spec.kind == "images" and spec.shift:
        return (
            _noisy(_shifted(x, spec.shift, generator), spec.noise, generator),
            _noisy(_shifted(x, spec.shift, generator), spec.noise, generator),
        )
    return _noisy(x, spec.noise, generator), _noisy(x, spec.noise, generator)


def _noisy(x: Tensor, noise: float, generator: torch.Generator | None) -> Tensor:
    if noise == 0:
        return x
    return x + noise * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def _shifted(x: Tensor, shift: int, generator: torch.Generator | None) -> Tensor:
    """Every picture of x (B, C, H, W) moved by its own whole number of pixels in [-shift, shift], down and right."""
    batch, channels, height, width = x.shape
    move = torch.randint(-shift, shift + 1, (2, batch, 1), generator=generator, device=x.device)
    row = torch.arange(height, device=x.device) - move[0]  # (B, H), where each pixel comes from
    column = torch.arange(width, device=x.device) - move[1]  # (B, W)
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]  # (B, H, W)
    flat = row.clamp(0, height - 1)[:, :, None] * width + column.clamp(0, width - 1)[:, None, :]  # (B, H, W)
    moved = x.flatten(2).gather(2, flat.flatten(1)[:, None].expand(-1, channels, -1)).reshape(x.shape)
    return torch.where(inside[:, None], moved, x.amin(dim=(1, 2, 3), keepdim=True))
