"""The states that a card looks at: a point, lines, classes on points."""

import math

import torch
from torch import Tensor

from clopsim.cards.calculus import unit
from clopsim.cards.subject import SEED, Subject


def point(subject: Subject) -> Tensor:
    """Complete collapse at a random point, (n, d)."""
    return _direction(subject).expand(subject.rows, -1).clone()


def line(subject: Subject) -> Tensor:
    """The antipodal line: rows of the first view (the first half) at one end, those of the second at the other."""
    signs = torch.ones(subject.rows, 1, dtype=torch.float64)
    signs[(subject.rows + 1) // 2 :] = -1
    return signs * _direction(subject)


def mixed_line(subject: Subject) -> Tensor:
    """Rows at either end of a line, by a seeded coin each; both ends are taken."""
    coins = torch.rand(subject.rows, 1, generator=_generator(2), dtype=torch.float64)
    signs = torch.where(coins < 0.5, 1.0, -1.0)
    signs[0], signs[-1] = 1, -1
    return signs.double() * _direction(subject)


def simplex(subject: Subject) -> Tensor | None:
    """Every class at a point, cosine -1/(K - 1) between any two; None without classes or room, K > d + 1."""
    count = subject.classes
    if not 2 <= count <= subject.dimension + 1:
        return None
    corners = torch.eye(count, dtype=torch.float64) - 1 / count  # (K, K), of rank K - 1
    in_span = corners @ torch.linalg.svd(corners).Vh[: count - 1].mT  # (K, K - 1)
    return unit(in_span @ frame(subject, count - 1))[subject.labels]


def orthonormal(subject: Subject) -> Tensor | None:
    """Every class at a point, all at right angles; None without classes or room, K > d."""
    return tilted(subject, 0.0)


def tilted(subject: Subject, angle: float | Tensor) -> Tensor | None:
    """Every class at cos(angle) c_k - sin(angle) b_k, b_k the direction of the other prototypes' sum (T8).

    0 is the orthonormal frame, arctan(1/sqrt(K - 1)) the simplex. None as orthonormal. angle: may need a gradient.
    """
    count = subject.classes
    if not 2 <= count <= subject.dimension:
        return None
    c = frame(subject, count)
    theta = torch.as_tensor(angle, dtype=torch.float64)
    others = (c.sum(dim=0) - c) / math.sqrt(count - 1)
    return (theta.cos() * c - theta.sin() * others)[subject.labels]


def frame(subject: Subject, count: int) -> Tensor:
    """(count, d) orthonormal rows in random directions."""
    drawn = torch.randn(subject.dimension, count, generator=_generator(1), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q.mT


def rotations(subject: Subject, z: Tensor) -> int:
    """Dimension of the space of turns that move z at all: r (2d - r - 1)/2 for rows that span r dimensions."""
    rank = int(torch.linalg.matrix_rank(z, rtol=1e-9))
    return rank * (2 * subject.dimension - rank - 1) // 2


def _direction(subject: Subject) -> Tensor:
    return unit(torch.randn(1, subject.dimension, generator=_generator(1), dtype=torch.float64))


def _generator(stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * stream + SEED)
