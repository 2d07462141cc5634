"""What passes over all rows add up, chunk by chunk, and the samples that are drawn where pairs are looked at."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.metrics import geometry
from clopsim.metrics.tables import Table

SAMPLE = 2048
"""Rows of the seeded sample on which the observables of pairs are measured, other than the mean cosine."""


class Sums(NamedTuple):
    """What one pass over the rows adds up, about an origin near their mean: to subtract it costs no digits."""

    origin: Tensor  # (d,)
    total: Tensor  # (d,)
    second: Tensor  # (d, d)
    class_total: Tensor  # (K, d)
    class_square: Tensor  # (K,)
    class_second: Tensor  # (d, d), of the rows whose class has others
    noise: Tensor  # (d, d): covariance of what rounding can do to a row
    raw: Tensor  # (k,): eigenvalues of the second moment of the rows as they are, in units of their largest norm
    apart: float | None  # mean squared distance of the views


def add_up(
    table: Table,
    y: NDArray[np.int64],
    members: NDArray[np.int64],
    views: Table | None,
    norms: NDArray[np.float64],
    on_progress: Callable[[float], None],
) -> Sums:
    """The sums over unit rows with classes y (n,), -1 for none, members (K,) of each; norms (n,): of the rows."""
    n, d = len(table.rows), table.x.shape[1]
    basis: Tensor | None = None
    pieces: Iterable[tuple[slice, Tensor]]
    if d > n:  # z = r'q', with r' the rows in the basis q of their span
        basis, r = torch.linalg.qr(table.unit(slice(None)).T)
        pieces = [(slice(0, n), r.T)]
    else:
        pieces = table.chunks()
    side, k, group = min(n, d), len(members), torch.from_numpy(y)
    total, second = torch.zeros(side, dtype=torch.float64), torch.zeros(side, side, dtype=torch.float64)
    class_total, class_square = torch.zeros(k, side, dtype=torch.float64), torch.zeros(k, dtype=torch.float64)
    class_second, squares = torch.zeros_like(second), torch.zeros(side, dtype=torch.float64)
    origin, raw, raw_squares = (
        torch.zeros(side, dtype=torch.float64),
        torch.zeros_like(second),
        torch.zeros_like(squares),
    )
    with np.errstate(invalid="ignore"):
        weight = torch.from_numpy(norms / norms.max())  # nan where a norm is beyond float64
    for part, z in pieces:
        long = z * weight[part][:, None]
        raw += long.T @ long
        raw_squares += long.square().sum(dim=0)
        origin = origin if part.start else z.mean(dim=0)
        squares += z.square().sum(dim=0)
        z = z - origin
        total += z.sum(dim=0)
        second += z.T @ z
        known = group[part] >= 0
        if bool(known.any()):
            mine, inside = group[part][known], z[known]
            class_total.index_add_(0, mine, inside)
            class_square.index_add_(0, mine, inside.square().sum(dim=1))
            inside = inside[torch.from_numpy(members > 1)[mine]]
            class_second += inside.T @ inside
        on_progress(min(1.0, part.stop / n))
    if basis is not None:
        z = table.unit(slice(None))
        squares, raw_squares = z.square().sum(dim=0), (z * weight[:, None]).square().sum(dim=0)

    def noise(squares: Tensor) -> Tensor:
        rounding = geometry.rounding_of(squares / n, eps=table.eps, rows=n)
        return torch.diag(rounding) if basis is None else basis.T @ (rounding[:, None] * basis)

    apart = None
    if views is not None:
        pairs = zip(table.chunks(), views.chunks(), strict=True)
        apart = sum(float((z - other).square().sum()) for (_, z), (_, other) in pairs) / n
    spread = geometry.resolved(raw / n, noise(raw_squares))
    return Sums(origin, total, second, class_total, class_square, class_second, noise(squares), spread, apart)


def view_scatter(table: Table, views: Table, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Covariance of the views' means and of the views about them, (k, k) both, for LiDAR."""
    n, d = len(table.rows), table.x.shape[1]
    pairs: Iterable[tuple[Tensor, Tensor]]
    if 2 * n < d:
        chosen = sample_of(np.arange(n), rng)
        z, other = table.unit(chosen), views.unit(chosen)
        basis, _ = torch.linalg.qr(torch.cat([z, other]).T)
        n, side, pairs = len(chosen), basis.shape[1], [(z @ basis, other @ basis)]
    else:
        side = d
        pairs = ((z, other) for (_, z), (_, other) in zip(table.chunks(), views.chunks(), strict=True))
    total, second = torch.zeros(side, dtype=torch.float64), torch.zeros(side, side, dtype=torch.float64)
    within = torch.zeros_like(second)
    for z, other in pairs:
        mean, half = (z + other) / 2, (z - other) / 2
        total += mean.sum(dim=0)
        second += mean.T @ mean
        within += half.T @ half
    return second / n - torch.outer(total / n, total / n), within / n


def sample_of(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """SAMPLE of the rows, in order; all of them where they are fewer."""
    return np.sort(rng.choice(rows, SAMPLE, replace=False)) if len(rows) > SAMPLE else rows
