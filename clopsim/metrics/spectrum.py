"""The spectrum as others use it: RankMe, alpha-ReQ, condition number, stable rank, LiDAR. Each with its convention."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.metrics.geometry import rank_of_energies

FIRST, LAST = 11, 100
"""Eigenvalues, counted from 1, to which alpha-ReQ fits its power law: the range of its authors' code."""

FEWEST = 5
"""Fewest eigenvalues that make a fit."""

RIDGE = 1e-4
"""delta of LiDAR, added to the within-sample covariance: the value of its authors, who do not normalise rows."""


class PowerLaw(NamedTuple):
    """A fit lambda_k ~ k^-exponent to the eigenvalues first .. last."""

    exponent: float
    first: int
    last: int
    r_squared: float  # weighted as the fit


def alpha_req(energy: Tensor) -> PowerLaw | None:
    """alpha-ReQ: the exponent of the falling eigenvalues (k,) of the covariance; None where too few are resolved.

    Least squares of log lambda_k on log k for k = 11 .. 100, weights 1/k, as in the authors' code; where fewer than 100
    are resolved, to the last of them. 1 is what they look for.

    Source: Agrawal et al., alpha-ReQ (NeurIPS 2022), after Stringer et al. (Nature 2019); ours of unit rows.
    """
    last = min(LAST, int((energy > 0).sum()))
    if last - FIRST + 1 < FEWEST:
        return None
    k = torch.arange(FIRST, last + 1, dtype=torch.float64)
    x, y, w = k.log(), energy[FIRST - 1 : last].double().log(), 1 / k
    x, y = x - (w * x).sum() / w.sum(), y - (w * y).sum() / w.sum()
    slope = (w * x * y).sum() / (w * x * x).sum()
    total = (w * y * y).sum()
    r_squared = float(slope**2 * (w * x * x).sum() / total) if total > 0 else math.nan
    return PowerLaw(-float(slope), FIRST, last, r_squared)


def condition_number(energy: Tensor, directions: int) -> float | None:
    """sigma_1/sigma_m of the rows about their mean, m = min(n - 1, d) directions; None where one of them is lost."""
    smallest = float(energy[directions - 1]) if 0 < directions <= len(energy) else 0.0
    return math.sqrt(float(energy[0]) / smallest) if smallest > 0 else None


def stable_rank(energy: Tensor) -> float:
    """sum sigma^2 / max sigma^2, in [1, k]; 0 where all are 0.

    Source: Rudelson & Vershynin, J. ACM 54 (2007), section 1.
    """
    return float(energy.sum() / energy[0]) if float(energy[0]) > 0 else 0.0


def lidar(between: Tensor, within: Tensor) -> float | None:
    """LiDAR: effective rank of W^(-1/2) B W^(-1/2), from the eigenvalues lambda; None where the means do not differ.

    between: (d, d) covariance of the samples' (or classes') means; within: (d, d) of the views (or members) about
    them, to which delta = 1e-4 is added. exp of the entropy of lambda/sum lambda.

    Source: Thilak et al., arXiv:2312.04000, with many views a sample; ours of unit rows, with the views there are.
    """
    root = torch.linalg.cholesky(within + RIDGE * torch.eye(len(within), dtype=within.dtype, device=within.device))
    left = torch.linalg.solve_triangular(root, between, upper=False)
    whitened = torch.linalg.solve_triangular(root, left.mT, upper=False)
    energy = torch.linalg.eigvalsh((whitened + whitened.mT) / 2).clamp_min(0)
    least = len(energy) * torch.finfo(torch.float64).eps * float(energy[-1])
    rank = float(rank_of_energies(torch.where(energy > least, energy, 0.0)))
    return rank or None
