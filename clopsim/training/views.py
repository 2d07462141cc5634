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
        return x, _noisy(-x, _noise(x, spec, generator))
    shifts, noises = [], []
    for _ in range(2):  # the numbers of one view after those of the other, whatever is then done for both at once
        if spec.kind == "images" and spec.shift:
            moves = (2, len(x), 1)
            shifts.append(torch.randint(-spec.shift, spec.shift + 1, moves, generator=generator, device=x.device))
        noises.append(_noise(x, spec, generator))
    if shifts:
        moved = _shifted(x, torch.stack(shifts), spec.shift)
        return _noisy(moved[0], noises[0]), _noisy(moved[1], noises[1])
    return _noisy(x, noises[0]), _noisy(x, noises[1])


def _noise(x: Tensor, spec: Views, generator: torch.Generator | None) -> Tensor | None:
    if spec.noise == 0:
        return None
    return spec.noise * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def _noisy(x: Tensor, noise: Tensor | None) -> Tensor:
    return x if noise is None else x + noise


def _shifted(x: Tensor, move: Tensor, largest: int) -> Tensor:
    """Every picture of x (B, C, H, W) moved by its own whole numbers of pixels, once for each view: (V, B, C, H, W).

    move: (V, 2, B, 1), down and right, at most `largest` either way.
    """
    _, channels, height, width = x.shape
    wide = width + 2 * largest  # of the picture in a frame
    framed = x.amin(dim=(1, 2, 3), keepdim=True).expand(-1, channels, height + 2 * largest, wide).contiguous()
    framed[..., largest : largest + height, largest : largest + width] = x
    row = torch.arange(largest, largest + height, device=x.device) - move[:, 0]  # (V, B, H), where pixels come from
    column = torch.arange(largest, largest + width, device=x.device) - move[:, 1]  # (V, B, W)
    flat = (row * wide)[..., None] + column[:, :, None]  # (V, B, H, W)
    index = flat.flatten(2)[:, :, None].expand(-1, -1, channels, -1)
    return framed.flatten(2).expand(len(move), -1, -1, -1).gather(3, index).view(len(move), *x.shape)
