"""Two random views of every sample, as one tensor program on the data's device."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from clopsim.training import pictures

ViewKind = Literal["vectors", "images", "lines", "rows"]


@dataclass(frozen=True)
class Views:
    """How views are made: by the kind of the data."""

    kind: ViewKind  # vectors: x + noise; images: below; lines: x and -x + noise; rows: a table's indices
    noise: float = 0.1  # standard deviation
    shift: int = 1  # images: largest shift in pixels, each way; what moves in is the smallest value of the picture
    rows: int = 0  # rows: N; the second view of row i is row i + N
    crop: float = 1.0  # images: smallest share of the area that is shown, enlarged; 1: all of it
    flip: bool = False  # images: mirrored, left to right, every other time
    jitter: float = 0.0  # images: strength of the colour jitter
    black: float = 0.0  # images: value of a pixel without light, for the colour jitter
    white: float = 1.0  # images: of a pixel with all of it


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
    if spec.kind == "images":
        return _of_pictures(x, spec, generator)
    return _noisy(x, _noise(x, spec, generator)), _noisy(x, _noise(x, spec, generator))


def _of_pictures(x: Tensor, spec: Views, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Crop, mirror, shift, colours, noise; the random numbers of one view after those of the other."""
    crops, flips, moves, jitters, noises = [], [], [], [], []

    def uniform(*shape: int) -> Tensor:
        return torch.rand(len(x), *shape, generator=generator, dtype=x.dtype, device=x.device)

    for _ in range(2):
        if spec.crop < 1:
            crops.append(uniform(4))
        if spec.flip:
            flips.append(uniform())
        if spec.shift:
            size = (2, len(x), 1)
            moves.append(torch.randint(-spec.shift, spec.shift + 1, size, generator=generator, device=x.device))
        if spec.jitter:
            jitters.append(uniform(6))
        noises.append(_noise(x, spec, generator))
    both = x[None]  # (1, B, C, H, W) as long as the views are alike
    if crops:
        both = pictures.cropped(both, torch.stack(crops), spec.crop)
    if flips:
        both = pictures.mirrored(both, torch.stack(flips))
    if moves:
        both = pictures.shifted(both, torch.stack(moves), spec.shift)
    if jitters:
        both = pictures.jittered(both, torch.stack(jitters), spec.jitter, black=spec.black, white=spec.white)
    return _noisy(both[0], noises[0]), _noisy(both[-1], noises[1])


def _noise(x: Tensor, spec: Views, generator: torch.Generator | None) -> Tensor | None:
    if spec.noise == 0:
        return None
    return spec.noise * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def _noisy(x: Tensor, noise: Tensor | None) -> Tensor:
    return x if noise is None else x + noise
