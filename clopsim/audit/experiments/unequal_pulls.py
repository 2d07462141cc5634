"""T27a: states whose embeddings are pulled unequally, simulated on both sides of the rate of the whole."""

import math

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, modes, step
from clopsim.bounds.unequal_pulls import unequal_attracting_rates

STEPS = 60
"""Of a run, from a small random deviation; the second half says whether it grows."""

SMALL = 1e-5
"""Of the deviation, radians."""

ROUNDING = 1e-14
"""Cosines this near to those of the state have come back."""


def _merged(z: Tensor) -> Tensor:
    """InfoNCE with one copy of every sample, tau = 0.5."""
    s = z @ z.mT / 0.5
    return s.masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf).logsumexp(dim=-1).sum()


def _full(z: Tensor) -> Tensor:
    """InfoNCE of two views, tau = 0.5."""
    return _merged(z) - 2 * (z * z.roll(len(z) // 2, dims=0)).sum()


def _weighted(sign: float) -> Loss:
    """Every pair attracts or repels with a weight of its own."""
    w = torch.rand(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).triu(1)
    return lambda z: sign * (w * (z @ z.mT)).sum()


def _states() -> list[tuple[Loss, Tensor]]:
    """Two poles with three points on the equator, once and with two views; a point of weighted pairs."""
    thirds = 2 * math.pi * torch.arange(3, dtype=torch.float64) / 3
    equator = torch.stack([thirds.cos(), thirds.sin(), torch.zeros(3, dtype=torch.float64)], dim=1)
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
    bipyramid = torch.cat([poles, equator])
    point = torch.zeros(6, 3, dtype=torch.float64)
    point[:, 0] = 1
    return [
        (_merged, bipyramid),
        (_full, bipyramid.repeat(2, 1)),
        (_weighted(1.0), point),
        (_weighted(-1.0), point),
    ]


def whole_states_turn_at_their_rates(factor: float = 1.0) -> Experiment:
    """T27a: a state attracts on one side of its rate and not on the other; without one it does so at every rate."""
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for loss, z in _states():
        found = modes(loss, z)
        frames = torch.linalg.svd(z[:, None, :])[2][:, 1:]  # (n, d - 1, d), across each embedding
        inside = torch.einsum("mnd,nkd->mnk", found.directions, frames).flatten(1)  # modes in tangent coordinates
        hessian = inside.T @ torch.diag(found.curvatures) @ inside
        pulls = found.pulls.repeat_interleave(z.shape[1] - 1)
        attracts = unequal_attracting_rates(hessian.numpy(), pulls=pulls.numpy())
        ends = [] if attracts is None else [rate for rate in attracts if 0 < rate < math.inf]
        unit = factor * (ends[0] if ends else 1 / float(found.pulls.abs().max()))
        for multiple in (0.97, 1.03) if ends else (0.1, 0.5, 2.0, 50.0):
            x.append(multiple)
            measured.append(float(_decays(loss, z, multiple * unit)))
            expected = attracts is not None and attracts.above < multiple * unit / factor < attracts.below
            predicted.append(float(expected))
    return Experiment(
        title="two poles and an equator, once and with two views; a point of weighted pairs that attract, or repel",
        x_label="learning rate / that of the whole state, or times the largest pull where there is none",
        y_label="decays (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def _decays(loss: Loss, z: Tensor, rate: float) -> bool:
    """Whether the cosines come back to those of the state, from random deviations."""
    generator = torch.Generator().manual_seed(1)
    now = z + SMALL * torch.randn(z.shape, generator=generator, dtype=z.dtype)
    now = now / now.norm(dim=-1, keepdim=True)
    away = []
    for done in range(1, STEPS + 1):
        now = step(loss, now, rate, "ambient")
        if done in (STEPS // 2, STEPS):
            away.append(float((now @ now.mT - z @ z.mT).abs().max()))
    return away[1] < max(away[0], ROUNDING)
