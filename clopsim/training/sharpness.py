"""Sharpness: the largest Hessian eigenvalue of a loss in the weights, and with it the largest stable learning rate."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

Weights = Mapping[str, Tensor]

SEARCHED = 8
"""Lanczos vectors where a tolerance is given: ARPACK first looks at it when it has that many. Its own choice is 20."""

RESTARTS = 40
"""Largest number of ARPACK's restarts, some four products each, where a tolerance is given."""


def sharpness(
    loss: Callable[[dict[str, Tensor]], Tensor],
    weights: Weights,
    *,
    seed: int = 0,
    tolerance: float = 0.0,
    on_product: Callable[[int], None] = lambda number: None,
) -> float:
    """The value of sharpest(), with its arguments; nan where that fails."""
    try:
        return sharpest(loss, weights, seed=seed, tolerance=tolerance, on_product=on_product)[0]
    except (FloatingPointError, ArpackError):
        return math.nan


def in_units(
    loss: Callable[[dict[str, Tensor]], Tensor], weights: Weights, scale: Weights
) -> tuple[Callable[[dict[str, Tensor]], Tensor], dict[str, Tensor]]:
    """Loss and weights in the coordinates sqrt(scale) x weights, whose Hessian is P^-1/2 H P^-1/2, P = diag(scale)."""
    root = {name: scale[name].sqrt() for name in weights}
    scaled = {name: root[name] * value for name, value in weights.items()}
    return lambda moved: loss({name: value / root[name] for name, value in moved.items()}), scaled


def sharpest(
    loss: Callable[[dict[str, Tensor]], Tensor],
    weights: Weights,
    *,
    seed: int = 0,
    tolerance: float = 0.0,
    on_product: Callable[[int], None] = lambda number: None,
) -> tuple[float, dict[str, Tensor]]:
    """Largest (algebraic, not largest-magnitude) eigenvalue of the Hessian in all weights, and its unit eigenvector.

    Gradient descent on a quadratic of this curvature is stable up to the learning rate 2/sharpness. Contrastive losses
    have negative curvature too, so the largest magnitude would be another number. Hessian-vector products by double
    backward, SciPy's Lanczos (ARPACK) on them. The graph of the loss and of its gradient is kept meanwhile.

    loss: maps a dictionary of weights to a scalar; called once, so it must be deterministic (full batch, fixed views).
    weights: float64 for exact results, any device; more than one number in all. seed: of the start vector.
    tolerance: relative, of the eigenvector's residual: some eigenvalue is no further off, and one that stands alone
    far less. 0: to machine precision, which float32 cannot give. on_product: called with the number of Hessian-vector
    products.

    Errors: FloatingPointError where the loss's second derivatives are not finite; scipy's ArpackError where Lanczos
    does not converge.
    """
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    parts = list(leaves.values())
    sizes = [part.numel() for part in parts]
    size = sum(sizes)
    if size < 2:
        raise ValueError(f"weights must hold two numbers or more, got {size}; Lanczos needs them")
    slopes = torch.autograd.grad(loss(leaves), parts, create_graph=True, materialize_grads=True)
    gradient = torch.cat([slope.reshape(-1) for slope in slopes])

    def tensor(vector: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(vector.reshape(-1), dtype=gradient.dtype, device=gradient.device)

    def shaped(vector: NDArray[np.float64]) -> list[Tensor]:
        pieces = torch.split(tensor(vector), sizes)
        return [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]

    number = 0

    def times(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal number
        # of a number: given directions (grad_outputs), torch would import sympy
        along = gradient @ tensor(vector)
        products = torch.autograd.grad(along, parts, retain_graph=True, materialize_grads=True)
        result: NDArray[np.float64] = torch.cat([product.reshape(-1) for product in products]).cpu().double().numpy()
        if not np.isfinite(result).all():
            raise FloatingPointError("the second derivatives of the loss are not finite")
        number += 1
        on_product(number)
        return result

    generator = np.random.default_rng(seed)
    start = generator.standard_normal(size)
    if not gradient.requires_grad or not times(start).any():  # flat: ARPACK has nothing to begin with
        return 0.0, dict(zip(leaves, shaped(start / np.linalg.norm(start)), strict=True))
    operator = LinearOperator((size, size), matvec=times, dtype=np.float64)
    early = {"tol": tolerance, "ncv": min(size, SEARCHED), "maxiter": RESTARTS} if tolerance else {}
    # rng: of a new start where the first one reaches nothing more
    values, vectors = eigsh(operator, k=1, which="LA", v0=start, rng=generator, **early)
    return float(values[0]), dict(zip(leaves, shaped(vectors[:, 0]), strict=True))
