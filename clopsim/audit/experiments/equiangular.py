"""T18: prototypes with any common cosine, and detached keys, by the Hessian of all embeddings at once."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting
from clopsim.bounds.equiangular import equiangular_critical_weight, equiangular_curvature, equiangular_equilibrium
from clopsim.bounds.setting import Keys
from clopsim.sphere.gradient import contrastive_loss, gradient


class Shape(NamedTuple):
    """K classes of m in d dimensions at tau, prototypes with the cosine rho."""

    classes: int
    per_class: int
    dimension: int
    temperature: float
    prototype_cosine: float


SHAPES = (
    Shape(4, 3, 6, 0.5, 0.0),
    Shape(4, 3, 6, 0.5, 0.3),
    Shape(4, 3, 6, 0.5, -1 / 5),  # the authors' "etf" in six dimensions
    Shape(4, 3, 6, 0.5, -1 / 3),  # the simplex
    Shape(4, 3, 3, 0.5, -1 / 3),
    Shape(3, 3, 3, 0.5, -0.2),
    Shape(3, 3, 3, 0.5, 0.6),
)
MULTIPLES = (0.99, 1.01)


def frame(classes: int, dimension: int, cosine: float) -> Tensor:
    """(K, d) unit rows with the pairwise cosine: the square root of their Gram matrix, d = K - 1 for a simplex."""
    gram = (1 - cosine) * np.eye(classes) + cosine
    values, axes = np.linalg.eigh(gram)  # increasing: the simplex's zero comes first
    rows = (axes * np.sqrt(values.clip(0)))[:, ::-1]
    return torch.from_numpy(np.pad(rows, ((0, 0), (0, max(0, dimension - classes))))[:, :dimension].copy())


def state(shape: Shape, weight: float, keys: Keys) -> tuple[Tensor, Tensor]:
    """The class-collapsed state and the rows weight * c_y, (n, d) each: every class turned away from the sum of all."""
    c = frame(shape.classes, shape.dimension, shape.prototype_cosine)
    settled = equiangular_equilibrium(weight, keys=keys, allow_unstable=True, **shape._asdict())
    total = c.sum(dim=0)
    if settled.angle:
        sigma = total / total.norm()
        across = sigma - (c @ sigma)[:, None] * c
        z = np.cos(settled.angle) * c - np.sin(settled.angle) * across / across.norm(dim=1, keepdim=True)
    else:
        z = c
    return z.repeat_interleave(shape.per_class, dim=0), weight * c.repeat_interleave(shape.per_class, dim=0)


def _tangent_rows(z: Tensor) -> Tensor:
    """(n (d-1), n d): an orthonormal basis of all tangent moves of the unit rows z (n, d)."""
    n, d = z.shape
    rows = torch.zeros(n, d - 1, n, d, dtype=z.dtype)
    for i, point in enumerate(z):
        rows[i, :, i] = torch.linalg.svd(point[None]).Vh[1:]
    return rows.reshape(n * (d - 1), n * d)


def lowest_eigenvalue(shape: Shape, weight: float) -> float:
    """Of the Riemannian Hessian of the merged loss with prototypes, in all n (d - 1) directions, by autograd."""
    z, rows = state(shape, weight, "symmetric")
    setting = Setting(shape.temperature, shape.dimension, len(z))

    def loss(shift: Tensor) -> Tensor:
        moved = z + shift
        moved = moved / moved.norm(dim=1, keepdim=True)
        return contrastive_loss(moved, shape.temperature, setting) - (moved * rows).sum()

    hessian = torch.autograd.functional.hessian(loss, torch.zeros_like(z), vectorize=True)  # type: ignore[no-untyped-call]
    basis = _tangent_rows(z)
    return float(torch.linalg.eigvalsh(basis @ hessian.reshape(z.numel(), -1) @ basis.T)[0])


def growth(shape: Shape, weight: float) -> float:
    """Largest real part of the Jacobian's eigenvalues under the anchors' force alone (detached keys)."""
    z, rows = state(shape, weight, "detached")
    setting = Setting(shape.temperature, shape.dimension, len(z), gradient="tangent", keys="detached")

    def force(shift: Tensor) -> Tensor:
        moved = z + shift
        moved = moved / moved.norm(dim=1, keepdim=True)
        return -gradient(moved, shape.temperature, setting, prototypes=rows)

    jacobian = torch.autograd.functional.jacobian(force, torch.zeros_like(z), vectorize=True)  # type: ignore[no-untyped-call]
    basis = _tangent_rows(z)
    square: NDArray[np.float64] = (basis @ jacobian.reshape(z.numel(), -1) @ basis.T).numpy()
    return float(np.linalg.eigvals(square).real.max())


def lowest_curvature(factor: float = 1.0) -> Experiment:
    """T18: lowest eigenvalue of the whole Hessian at 0.99 and 1.01 lambda*."""
    x, measured, predicted = [], [], []
    for shape in SHAPES:
        given: dict[str, Any] = shape._asdict()
        critical = equiangular_critical_weight(**given)
        for multiple in MULTIPLES:
            angle = equiangular_equilibrium(multiple * critical, allow_unstable=True, **given).angle
            # a simplex stays at angle 0 at every weight, so its curvature is the weight less the critical one
            claim = equiangular_curvature(angle, **given) if angle else (multiple - 1) * critical
            x.append(shape.prototype_cosine)
            measured.append(lowest_eigenvalue(shape, multiple * critical))
            predicted.append(claim * factor)
    return Experiment(
        title="the whole Hessian at 0.99 and 1.01 of the critical weight, K = 4 and 3, d from K - 1 to K + 2",
        x_label="cosine between prototypes",
        y_label="lowest eigenvalue",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="orthonormal, 0.3, the authors' etf, the simplex with a spare axis and without, -0.2 and 0.6 at d = K",
    )


def stability_turns(factor: float = 1.0) -> Experiment:
    """T18: the state is stable at 1.01 and unstable at 0.99 of the critical weight, for both kinds of keys."""
    x, measured = [], []
    detached = (Shape(4, 3, 6, 0.5, 0.0), Shape(2, 2, 2, 1.0, 0.0), Shape(3, 3, 3, 0.5, 0.6))
    cases = [(shape, "symmetric") for shape in SHAPES[:4]] + [(shape, "detached") for shape in detached]
    for shape, keys in cases:
        critical = equiangular_critical_weight(keys=keys, **shape._asdict()) * factor  # type: ignore[arg-type]
        for multiple in MULTIPLES:
            weight = multiple * critical
            stable = lowest_eigenvalue(shape, weight) > 0 if keys == "symmetric" else growth(shape, weight) < 0
            x.append(multiple)
            measured.append(float(stable))
    return Experiment(
        title="class-collapsed state on both sides of the critical weight: four frames, then three with detached keys",
        x_label="weight / critical weight",
        y_label="stable (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * len(cases),
        tolerance=0.0,
        absolute=True,
    )
