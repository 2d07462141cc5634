"""Gradients and second derivatives of a loss on the sphere, and whether they describe it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.cards.subject import SEED, Subject

Value = Callable[[Tensor], Tensor]


def unit(x: Tensor) -> Tensor:
    """Rows of length one; nan for a row of zeros."""
    return x / x.norm(dim=-1, keepdim=True)


def value_and_gradient(value: Value, z: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its Euclidean gradient at rows z (n, d): (), (n, d)."""
    leaf = z.detach().requires_grad_()
    found = value(leaf)
    (slope,) = torch.autograd.grad(found, leaf)
    return found.detach(), slope


def pulls(z: Tensor, gradient: Tensor) -> Tensor:
    """The radial part z_i . g_i of the gradient of every row, (..., n)."""
    return (z * gradient).sum(dim=-1)


def tangent(z: Tensor, gradient: Tensor) -> Tensor:
    """The gradient without its radial part, as z."""
    return gradient - pulls(z, gradient)[..., None] * z


def tangent_frames(z: Tensor) -> Tensor:
    """An orthonormal basis of the tangent space at every row of z (n, d): (n, d, d - 1)."""
    return torch.linalg.qr(z[..., None], mode="complete").Q[..., 1:]


def euclidean_hessian(value: Value, z: Tensor) -> Tensor:
    """Second derivatives in the rows, (n d, n d): the slope of the gradient, whether or not that comes from a value."""
    leaf = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(value(leaf), leaf, create_graph=True)
    size = leaf.numel()
    if not slope.requires_grad:  # linear in the rows
        return z.new_zeros(size, size)
    every = torch.eye(size, dtype=z.dtype).view(size, *leaf.shape)
    try:
        (rows,) = torch.autograd.grad(slope, leaf, every, is_grads_batched=True, retain_graph=True, allow_unused=True)
    except RuntimeError:  # an operation that torch cannot batch
        parts = [torch.autograd.grad(slope, leaf, one, retain_graph=True, allow_unused=True)[0] for one in every]
        rows = None if parts[0] is None else torch.stack(parts)
    return z.new_zeros(size, size) if rows is None else rows.reshape(size, size)


class Curvature(NamedTuple):
    """Second derivatives of a loss at rows z (n, d) on the sphere."""

    hessian: Tensor  # (n (d-1), n (d-1)) in tangent coordinates
    pulls: Tensor  # (n,)
    frames: Tensor  # (n, d, d - 1) of the coordinates
    size: float  # Frobenius norm of the second derivatives that were subtracted from each other


def curvature(value: Value, z: Tensor) -> Curvature:
    """The second derivatives on the sphere: T'(d^2 F)T - diag(a).

    Along a great circle through z a row falls back by half the squared angle, times the radial part of the gradient.
    """
    _, gradient = value_and_gradient(value, z)
    frames, (n, d) = tangent_frames(z), z.shape
    whole = euclidean_hessian(value, z)
    inner = torch.einsum("iap,iajb,jbq->ipjq", frames, whole.view(n, d, n, d), frames)
    a = pulls(z, gradient)
    flat = inner.reshape(n * (d - 1), n * (d - 1))
    return Curvature(flat - torch.diag(a.repeat_interleave(d - 1)), a, frames, float(torch.linalg.norm(whole)))


STEP = 1e-4
"""Radians of the second difference that is held against the second derivative."""

DISAGREE = 1e-2
"""Relative gap between the two above which the second derivative does not describe the loss; its own error is 1e-4."""


def not_smooth(subject: Subject, z: Tensor, found: Curvature) -> str:
    """Why the second derivatives by autograd are not those of the loss at z, in one clause; empty where they are.

    Along some directions the loss itself is asked on both sides: a kink has a slope there, and a loss that passes no
    gradient through a part of itself has another curvature than its gradient's slope.
    """
    hessian, frames = found.hessian, found.frames
    if bool((hessian - hessian.mT).abs().max() > 1e-6 * hessian.abs().max()):
        return "a part of it passes no gradient, so the step descends no function and has no curvature"
    generator = torch.Generator().manual_seed(SEED)
    size = hessian.shape[0]
    directions = torch.randn(size, 3, generator=generator, dtype=z.dtype)
    directions = torch.cat([directions, torch.linalg.eigh(hessian).eigenvectors[:, [0, -1]]], dim=1)
    here, largest = float(subject.value(z)), float(torch.linalg.matrix_norm(hessian, ord=2))
    for u in directions.T / directions.norm(dim=0)[:, None]:
        move = torch.einsum("iap,ip->ia", frames, u.view(len(z), -1))

        def around(step: float, move: Tensor = move) -> float:
            """The loss on both sides, less twice that here."""
            return float(subject.value(unit(z + step * move)) + subject.value(unit(z - step * move))) - 2 * here

        expected, seen = float(u @ hessian @ u), around(STEP) / STEP**2
        noise = 64 * torch.finfo(z.dtype).eps * (1 + abs(here)) / STEP**2
        if not abs(seen - expected) <= DISAGREE * max(abs(expected), 1e-3 * largest) + noise:
            wide, narrow = around(10 * STEP), around(STEP)
            if abs(narrow) > noise * STEP**2 and 5 < wide / narrow < 20:
                return f"a kink: on both sides the loss changes by {narrow / (2 * STEP):.3g} a radian"
            return "its slope is not that of its value: it has a kink, a jump, or a part that passes no gradient"
    return ""
