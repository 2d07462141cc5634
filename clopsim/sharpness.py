"""Sharpness: the largest Hessian eigenvalue of a loss in the weights, and with it the largest stable learning rate."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

Weights = Mapping[str, Tensor]


def sharpness(loss: Callable[[dict[str, Tensor]], Tensor], weights: Weights, *, seed: int = 0) -> float:
    """The value of sharpest(): the largest eigenvalue of the Hessian of the loss in all weights."""
    return sharpest(loss, weights, seed=seed)[0]


def sharpest(
    loss: Callable[[dict[str, Tensor]], Tensor], weights: Weights, *, seed: int = 0
) -> tuple[float, dict[str, Tensor]]:
    """Largest (algebraic, not largest-magnitude) eigenvalue of the Hessian in all weights, and its unit eigenvector.

    Gradient descent on a quadratic of this curvature is stable up to the learning rate 2/sharpness. Contrastive losses
    have negative curvature too, so the largest magnitude would be another number. Hessian-vector products by double
    backward, SciPy's Lanczos (ARPACK) on them, to machine precision.

    loss: maps a dictionary of weights to a scalar; called once, so it must be deterministic (full batch, fixed views).
    weights: float64 for exact results, any device; more than one number in all. seed: of the start vector.
    """
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    parts = list(leaves.values())
    sizes = [part.numel() for part in parts]
    slopes = torch.autograd.grad(loss(leaves), parts, create_graph=True, materialize_grads=True)

    def times(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = torch.as_tensor(vector.reshape(-1), dtype=parts[0].dtype, device=parts[0].device)
        pieces = torch.split(flat, sizes)
        directions = [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]
        products = torch.autograd.grad(slopes, parts, directions, retain_graph=True, materialize_grads=True)
        result: NDArray[np.float64] = torch.cat([product.reshape(-1) for product in products]).double().cpu().numpy()
        return result

    size = sum(sizes)
    if size < 2:
        raise ValueError(f"weights must hold two numbers or more, got {size}; Lanczos needs them")
    start = np.random.default_rng(seed).standard_normal(size)
    operator = LinearOperator((size, size), matvec=times, dtype=np.float64)
    values, vectors = eigsh(operator, k=1, which="LA", v0=start)
    pieces = torch.split(torch.as_tensor(vectors[:, 0], dtype=parts[0].dtype, device=parts[0].device), sizes)
    return float(values[0]), {name: piece.view_as(leaves[name]) for name, piece in zip(leaves, pieces, strict=True)}
