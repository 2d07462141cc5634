"""Observables of a configuration. Every function takes z of shape (..., n, d) with unit rows and returns (...) float64.

Views are stacked: embeddings i and i + n/2 are the two views of one sample.
"""

from typing import Literal

import torch
from torch import Tensor

from clopsim.bounds.setting import one_of

Spectrum = Literal["energy", "amplitude"]

POINT = 1e-2
"""How far from a point or a line still counts: 1 - R and 1 - share; between mu_A and mu_c runs stop short of it."""


def unit(x: Tensor) -> Tensor:
    """Rows of length one; no square overflows or vanishes; nan for a row of zeros.

    A power of two near their largest entry divides them first, which rounds nothing: the bits are those of x/|x|.
    """
    scaled = x / x.abs().amax(dim=-1, keepdim=True).log2().floor().exp2()
    return scaled / scaled.norm(dim=-1, keepdim=True)


def mean_resultant_length(z: Tensor) -> Tensor:
    """R = |mean z| in [0, 1]: 1 at complete collapse, 0 when balanced."""
    return doubled(z).mean(dim=-2).norm(dim=-1)


def effective_rank(z: Tensor, *, centered: bool = False, spectrum: Spectrum = "energy") -> Tensor:
    """Effective rank of Roy & Vetterli (EUSIPCO 2007): exp of the entropy of the spectrum.

    spectrum="energy", ours: the eigenvalues sigma_k^2 of the second-moment matrix z'z/n, as in T8 (and as the exp of a
    von Neumann entropy). spectrum="amplitude": the singular values sigma_k, as in RankMe. Uncentred by default:
    centring cannot tell K orthonormal directions (rank K) from their simplex (rank K - 1).

    Directions that are rounding noise count as zero (resolved), and so does what float64 does not resolve beside |z|^2:
    the centred rank of a collapsed batch is 0 (no variance, no directions) and not that of its last bits.
    """
    exact = doubled(z)
    n, d = exact.shape[-2:]
    eps = torch.finfo(z.dtype if z.is_floating_point() else exact.dtype).eps
    rounding = rounding_of(exact.square().mean(dim=-2), eps=eps, rows=n)  # (..., d)
    moved = exact - exact.mean(dim=-2, keepdim=True) if centered else exact
    if d <= n:
        found = resolved(moved.mT @ moved / n, torch.diag_embed(rounding))
    else:
        moment, noise = moved @ moved.mT / n, (moved * rounding[..., None, :]) @ moved.mT / n
        found = resolved(moment, noise, gram=True)
    energy = _energy(moved)  # ascending
    least = max(n, d) * torch.finfo(torch.float64).eps * exact.square().sum(dim=(-2, -1))[..., None]
    return rank_of_energies(torch.where((found.flip(-1) == 0) | (energy <= least), 0.0, energy), spectrum=spectrum)


COMPUTED = 8.0
"""Rounding, in units of eps, in rows that a network computed in float32 or float64: the error of many sums."""

STORED = 1.0
"""And in rows stored in a shorter type: each number is off by at most eps/2, twice that is still noise."""


def rounding_length(eps: float) -> float:
    """How far rounding to precision eps can move a unit row."""
    single = torch.finfo(torch.float32).eps
    return max(STORED * eps, COMPUTED * single) if eps > single else COMPUTED * eps


def rounding_of(square: Tensor, *, eps: float, rows: int) -> Tensor:
    """Energy (..., d) that rounding to precision eps can put on each coordinate of rows with these mean squares.

    Rounding a number moves it in proportion to its size, so a coordinate has its own noise, 1/d of all where they are
    alike. The largest eigenvalue of such noise in n rows is (1 + sqrt(d/n))^2 times its mean (Marchenko-Pastur).
    """
    return square * (rounding_length(eps) * (1 + (square.shape[-1] / rows) ** 0.5)) ** 2


def resolved(moment: Tensor, noise: Tensor, *, gram: bool = False) -> Tensor:
    """Eigenvalues (..., k), falling, of a second-moment matrix; zero where the noise on that direction is as large.

    noise: its covariance, in the basis of the moment. gram: both are Gram matrices of n < d rows, x x'/n and
    x noise x'/n. Below k eps of the largest, the solver resolves nothing either. nan where the moment is not finite.
    """
    finite = moment.isfinite().all(dim=-1).all(dim=-1)[..., None]
    energy, v = torch.linalg.eigh(torch.where(finite[..., None], moment, 0.0))
    rounding = ((noise @ v) * v).sum(dim=-2)
    if gram:
        rounding = rounding / energy.clamp_min(1e-300)
    solver = energy.shape[-1] * torch.finfo(torch.float64).eps * energy[..., -1:]
    energy = torch.where((energy <= rounding) | (energy <= solver), 0.0, energy)
    return torch.where(finite, energy, torch.nan).flip(-1)


def rank_of_energies(energy: Tensor, *, spectrum: Spectrum = "energy") -> Tensor:
    """Effective rank of a spectrum sigma_k^2 >= 0 (..., k), as in effective_rank; 0 where all are 0."""
    one_of("spectrum", spectrum, ("energy", "amplitude"))
    weight = energy if spectrum == "energy" else energy.sqrt()
    total = weight.sum(dim=-1, keepdim=True)
    share = weight / torch.where(total == 0, 1.0, total)
    entropy = -torch.xlogy(share, share).sum(dim=-1)
    return torch.where(total[..., 0] == 0, 0.0, entropy.exp())


def leading_share(z: Tensor) -> Tensor:
    """Share sigma_1^2 / sum sigma^2 of the leading singular direction, in [1/min(n, d), 1]; 1 on a line."""
    energy = _energy(doubled(z))
    return energy.amax(dim=-1) / energy.sum(dim=-1)


def mean_cosine(z: Tensor) -> Tensor:
    """Mean of s_ij over i != j, in [-1/(n-1), 1]."""
    exact = doubled(z)
    n = z.shape[-2]
    return (exact.sum(dim=-2).square().sum(dim=-1) - exact.square().sum(dim=(-2, -1))) / (n * (n - 1))


def alignment(z: Tensor) -> Tensor:
    """Mean squared distance of the two views, in [0, 4] (Wang & Isola, arXiv:2005.10242, alpha = 2).

    The mean cosine of the views is 1 - alignment/2.
    """
    exact = doubled(z)
    n = z.shape[-2]
    if n % 2:
        raise ValueError(f"z must hold two views of every sample, got n = {n} embeddings; stack them to an even number")
    return (exact[..., : n // 2, :] - exact[..., n // 2 :, :]).square().sum(dim=-1).mean(dim=-1)


def uniformity(z: Tensor) -> Tensor:
    """log mean over i != j of exp(-2 |z_i - z_j|^2), in [-8, 0] (Wang & Isola, arXiv:2005.10242, t = 2)."""
    kernel = torch.exp(4 * (_cosines(z) - 1))
    n = z.shape[-2]
    kernel = kernel - torch.diag_embed(kernel.diagonal(dim1=-2, dim2=-1))
    return (kernel.sum(dim=(-2, -1)) / (n * (n - 1))).log()


def harmonic_energy(z: Tensor, *, degrees: int = 4) -> Tensor:
    """Energy in the spherical harmonics of degree 1 .. degrees, each in [0, 1]: (1/n^2) sum_ij P_l(s_ij).

    P_l is the Gegenbauer polynomial with P_l(1) = 1, so no harmonic is ever built (addition theorem). Degree 1 is R^2.
    Independent uniform points have 1/n on average, a point has 1.

    Returns (..., degrees).
    """
    cosines = _cosines(z)
    d = z.shape[-1]
    before, current = torch.ones_like(cosines), cosines
    energies = [current.mean(dim=(-2, -1))]
    for degree in range(1, degrees):  # (l + d - 2) P_(l+1) = (2 l + d - 2) s P_l - l P_(l-1); Chebyshev for d = 2
        following = ((2 * degree + d - 2) * cosines * current - degree * before) / (degree + d - 2)
        before, current = current, following
        energies.append(current.mean(dim=(-2, -1)))
    return torch.stack(energies, dim=-1)


def _cosines(z: Tensor) -> Tensor:
    exact = doubled(z)
    return exact @ exact.mT


def _energy(exact: Tensor) -> Tensor:
    """sigma_k^2, ascending, from the smaller of the two Gram matrices; nan where z is not finite."""
    gram = exact.mT @ exact if exact.shape[-1] <= exact.shape[-2] else exact @ exact.mT
    finite = gram.isfinite().all(dim=-1).all(dim=-1)[..., None]
    energy = torch.linalg.eigvalsh(torch.where(finite[..., None], gram, 0.0)).clamp_min(0)
    return torch.where(finite, energy, torch.nan)


def doubled(z: Tensor) -> Tensor:
    """z in float64, on its device; on the CPU where the device has no float64 (MPS). Errors: ValueError."""
    if not isinstance(z, Tensor):
        raise ValueError(f"z must be a tensor, got {type(z).__name__}; torch.as_tensor makes one")
    if z.ndim < 2:
        raise ValueError(f"z must have shape (..., n, d), got {tuple(z.shape)}; one row for each embedding")
    return (z.cpu() if z.device.type == "mps" else z).double()
