"""Any loss on free embeddings: one step, the modes of its Hessian at a state, and whether a mode decays at a rate."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.bounds import Gradient, critical_rate
from clopsim.bounds.effective_rate import stable_side

Loss = Callable[[Tensor], Tensor]
"""Embeddings (n, d) -> the loss, written in their dot products: its ambient gradient is that of this formula."""

SIZE = 1e-6
"""Of a deviation: its square is at the rounding of a float64."""

STEPS = 8
"""In which a mode's answer shows; few, as other directions grow from rounding by up to 3 a step."""


def step(loss: Loss, z: Tensor, rate: float, gradient: Gradient) -> Tensor:
    """One step z <- normalise(z - mu g) with the Euclidean gradient or its tangent part; float64 rows (n, d)."""
    leaf = z.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(leaf), leaf)
    if gradient == "tangent":
        g = g - (g * z).sum(dim=-1, keepdim=True) * z
    moved = z - rate * g
    return moved / moved.norm(dim=-1, keepdim=True)


class Modes(NamedTuple):
    """The eigenvectors of the Riemannian Hessian at a state, by rising curvature, and the pull on each embedding."""

    curvatures: Tensor  # (n (d - 1),)
    directions: Tensor  # (n (d - 1), n, d), of length 1
    pulls: Tensor  # (n,), z_i . g_i of the Euclidean gradient


def modes(loss: Loss, z: Tensor) -> Modes:
    """The Hessian of the loss on the product of spheres at z, unit rows (n, d), and the pulls there."""
    n, d = z.shape
    frames = torch.linalg.svd(z[:, None, :])[2][:, 1:]  # (n, d - 1, d), across each embedding

    def lifted(coordinates: Tensor) -> Tensor:
        moves = (coordinates.reshape(n, d - 1, 1) * frames).sum(dim=1)
        moved = z + moves  # normalised it is a retraction of second order: its Hessian is the Riemannian one
        return loss(moved / moved.norm(dim=-1, keepdim=True))

    at = torch.zeros(n * (d - 1), dtype=z.dtype)
    hessian = torch.autograd.functional.hessian(lifted, at)  # type: ignore[no-untyped-call]
    curvatures, vectors = torch.linalg.eigh(hessian)
    leaf = z.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(leaf), leaf)
    directions = torch.einsum("nkd,nkm->mnd", frames, vectors.reshape(n, d - 1, -1))
    return Modes(curvatures, directions, (g * z).sum(dim=-1))


def distinct(found: Modes, *, apart: float = 1e-6) -> list[tuple[float, Tensor]]:
    """One direction of each level of the curvature."""
    levels: list[tuple[float, Tensor]] = []
    for curvature, direction in zip(found.curvatures.tolist(), found.directions, strict=True):
        if not levels or curvature - levels[-1][0] > apart:
            levels.append((curvature, direction))
    return levels


def growth(
    loss: Loss,
    z: Tensor,
    direction: Tensor,
    *,
    rate: float,
    gradient: Gradient,
    steps: int = STEPS,
    onto: Tensor | None = None,
) -> float:
    """Factor by which so many steps multiply a small deviation along a direction, relative to the state.

    An ambient step may turn the state over; a deviation is then that from the turned state. onto: what the deviation is
    projected on, the direction itself where the modes are orthogonal.
    """
    ends = []
    for side in (SIZE, -SIZE):
        now = z + side * direction
        now = now / now.norm(dim=-1, keepdim=True)
        for _ in range(steps):
            now = step(loss, now, rate, gradient)
        ends.append(now * (now * z).sum(dim=-1, keepdim=True).sign())
    return float(((ends[0] - ends[1]) * (direction if onto is None else onto)).sum()) / (2 * SIZE)


def brackets(
    loss: Loss, z: Tensor, direction: Tensor, *, curvature: float, pull: float, gradient: Gradient, factor: float = 1.0
) -> tuple[list[float], list[float], list[float]]:
    """Multiples 0.97 and 1.03 of a direction's critical rate, whether it decays there, and whether it should.

    Without a critical rate: in one step at 0.1, 1, 10 and 1000 over |c|, where others may grow by a thousand; a rising
    direction decays and a falling one grows.
    """
    rate = critical_rate(curvature, pull=pull, gradient=gradient)
    multiples = [0.97, 1.03] if rate is not None else [0.1, 1.0, 10.0, 1000.0]
    unit = rate * factor if rate is not None else factor / abs(curvature)
    steps = 1 if rate is None else STEPS
    decays = [
        float(abs(growth(loss, z, direction, rate=multiple * unit, gradient=gradient, steps=steps)) < 1)
        for multiple in multiples
    ]
    below, above = (1.0, 0.0) if stable_side(curvature) == "below" else (0.0, 1.0)
    return multiples, decays, [below, above] if rate is not None else [below] * len(multiples)
