"""Random changes of pictures for their views: crop, mirror, shift, colours; of all pictures at once, on their device.

Every function takes pictures (V, B, C, H, W), or (1, B, C, H, W) where the V views are still alike, and what chance
said about each, and returns (V, B, C, H, W).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

RATIO = 4 / 3
"""Largest ratio of the sides of a crop, either way, as in SimCLR."""

APPLIED, GREY = 0.8, 0.2
"""Shares of views whose colours are jittered, and that are grey, as in SimCLR."""


def cropped(x: Tensor, chance: Tensor, smallest: float) -> Tensor:
    """A random rectangle of every picture, of at least this share of its area, enlarged to the picture's size.

    chance: (V, B, 4), uniform in [0, 1): area, ratio of the sides, place across and down. A side longer than the
    picture's is cut to it and the other one stretched to the same area. Bilinear.
    """
    views, batch = chance.shape[:2]
    area, ratio, across, down = chance.unbind(dim=-1)  # (V, B) each
    area, ratio = smallest + (1 - smallest) * area, torch.exp(math.log(RATIO) * (2 * ratio - 1))
    wide = (area * ratio).sqrt().clamp(max=1).maximum(area)  # share of the side, as area / wide is of the other
    grids = []
    for size, share, place in ((x.shape[-1], wide, across), (x.shape[-2], area / wide, down)):
        centre = (1 - share) * (2 * place - 1)  # coordinates are -1 and 1 at the picture's edges
        pixels = (2 * torch.arange(size, dtype=x.dtype, device=x.device) + 1) / size - 1
        grids.append((centre[..., None] + share[..., None] * pixels).flatten(0, 1))  # (V B, size)
    x_there, y_there = grids[0][:, None, :], grids[1][:, :, None]
    grid = torch.stack([x_there + 0 * y_there, y_there + 0 * x_there], dim=-1)  # (V B, H, W, 2)
    whole = x.expand(views, -1, -1, -1, -1).flatten(0, 1)
    shown = grid_sample(whole, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return shown.view(views, batch, *x.shape[2:])


def mirrored(x: Tensor, chance: Tensor) -> Tensor:
    """Half of the pictures mirrored, left to right; chance: (V, B), uniform in [0, 1)."""
    return torch.where((chance < 0.5)[..., None, None, None], x.flip(-1), x)


def shifted(x: Tensor, move: Tensor, largest: int) -> Tensor:
    """Every picture moved by its own whole numbers of pixels; what moves in is the smallest value of the picture.

    move: (V, 2, B, 1), down and right, at most `largest` either way: a crop of the picture in a frame so wide.
    """
    (_, _, channels, height, width), views = x.shape, len(move)
    wide = width + 2 * largest  # of the picture in its frame
    darkest = x.amin(dim=(-3, -2, -1), keepdim=True)
    framed = darkest.expand(-1, -1, channels, height + 2 * largest, wide).contiguous()
    framed[..., largest : largest + height, largest : largest + width] = x
    row = torch.arange(largest, largest + height, device=x.device) - move[:, 0]  # (V, B, H), where pixels come from
    column = torch.arange(largest, largest + width, device=x.device) - move[:, 1]  # (V, B, W)
    flat = (row * wide)[..., None] + column[:, :, None]  # (V, B, H, W)
    index = flat.flatten(2)[:, :, None].expand(-1, -1, channels, -1)
    return framed.flatten(3).expand(views, -1, -1, -1).gather(3, index).reshape(views, *x.shape[1:])


def jittered(x: Tensor, chance: Tensor, strength: float, *, black: float, white: float) -> Tensor:
    """Brightness, contrast, saturation and hue changed at random, some views grey, all kept between black and white.

    Factors are uniform in 1 +- 0.8 strength, at least 0; the hue turns by up to 0.2 strength of a circle either way,
    about the axis of greys. In the style of SimCLR, arXiv:2002.05709, whose order of the four is random and whose hue
    is that of HSV. Grey pictures have brightness and contrast alone.

    chance: (V, B, 6), uniform in [0, 1): the four, whether they are applied, whether the view is grey.
    """
    brightness, contrast, saturation, hue, applied, grey = chance[..., None, None, None].unbind(dim=2)
    # each (V, B, 1, 1, 1)
    own = strength * (applied < APPLIED).to(x.dtype)
    factor = [(1 + 0.8 * own * (2 * each - 1)).clamp(min=0) for each in (brightness, contrast, saturation)]
    span = (white - black) or 1.0  # pictures of one value
    light = (x - black) / span * factor[0]
    mean = light.mean(dim=(-3, -2, -1), keepdim=True)
    light = mean + factor[1] * (light - mean)
    if x.shape[2] == 3:
        level = light.mean(dim=2, keepdim=True)
        colour, angle = light - level, 0.4 * math.pi * own * (2 * hue - 1)
        across = (colour.roll(1, dims=2) - colour.roll(-1, dims=2)) / math.sqrt(3)  # by a right angle about the greys
        turned = factor[2] * (angle.cos() * colour + angle.sin() * across)
        light = level + torch.where(grey < GREY, 0.0, turned)
    return black + span * light.clamp(0, 1)
