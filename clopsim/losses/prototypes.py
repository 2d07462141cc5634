"""Fixed class prototypes: an orthonormal set (CLOP), or a regular simplex (neural collapse)."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from clopsim.bounds.setting import LARGEST_SEED, one_of, shown, whole_number

Kind = Literal["orthonormal", "simplex"]

GRAM_TOLERANCE = 1e-10
"""Largest error allowed in a cosine of the float64 prototypes; QR leaves 1e-15."""


class OrthonormalPrototypes(nn.Module):
    """K fixed unit vectors, one for each class, drawn at random: `vectors`, (K, d).

        orthonormal: c_k . c_l = 0 for k != l,             K <= d
        simplex:     c_k . c_l = -1/(K - 1),          2 <= K <= d + 1   (adds up to 0)

    No more fit: orthonormal ones span K dimensions, a simplex K - 1. prototype_term takes any unit vectors (K, d).

    A buffer: saved in the state dict, moved with the module, never trained. The same seed gives the same vectors on
    every device and in every process: QR of a Gaussian matrix in float64 on the CPU, signs fixed by R's diagonal, then
    cast. Uniformly distributed over all such sets.

    Source: arXiv:2403.18699v2 (the authors' code takes singular vectors, the same distribution; its "ETF" is neither
    unit-norm nor a K-simplex and is not reproduced).
    classes: K; dimension: d, of the embeddings; seed >= 0; dtype: a floating one, None for torch's default. Raises
    ValueError where that many vectors do not fit.

    >>> import clopsim
    >>> clopsim.OrthonormalPrototypes(10, 128, seed=0).vectors.shape
    torch.Size([10, 128])
    """

    vectors: Tensor

    def __init__(
        self,
        classes: int,
        dimension: int,
        *,
        kind: Kind = "orthonormal",
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        """Draw the vectors and check their cosines."""
        super().__init__()
        one_of("kind", kind, ("orthonormal", "simplex"))
        whole_number("dimension", dimension, low=1)
        whole_number("classes", classes, low=2 if kind == "simplex" else 1)
        most = dimension + 1 if kind == "simplex" else dimension
        if classes > most:
            raise ValueError(
                f"classes must be <= {most} for {kind} prototypes in {dimension} dimensions, got {classes}; "
                f"raise the embedding dimension to {classes - (kind == 'simplex')} or merge classes"
            )
        whole_number("seed", seed, low=0, high=LARGEST_SEED)
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ValueError(
                f"dtype must be a floating one, got {shown(dtype)}; whole numbers would round the vectors to 0"
            )
        generator = torch.Generator("cpu").manual_seed(seed)
        if kind == "orthonormal":
            vectors = _orthonormal_rows(classes, dimension, generator)
        else:
            vectors = _simplex(classes) @ _orthonormal_rows(classes - 1, dimension, generator)
        _check_frame(vectors, kind)
        device = torch.get_default_device() if device is None else device
        try:
            vectors = vectors.to(device=device, dtype=dtype)
        except (AssertionError, RuntimeError, TypeError, ValueError):  # no such device, or no such word
            raise ValueError(f"device must be one that is here, got {shown(device)}; 'cpu' always is") from None
        self.register_buffer("vectors", vectors)
        self.kind = kind

    def extra_repr(self) -> str:
        """K, d and the kind, for print(module)."""
        return f"classes={self.vectors.shape[0]}, dimension={self.vectors.shape[1]}, kind={self.kind!r}"


def _orthonormal_rows(rows: int, dimension: int, generator: torch.Generator) -> Tensor:
    """Uniformly distributed orthonormal rows, (rows, dimension), float64 on the CPU."""
    gaussian = torch.randn(dimension, rows, generator=generator, dtype=torch.float64, device="cpu")
    q, r = torch.linalg.qr(gaussian)
    return (q * r.diagonal().sign()).mT.contiguous()


def _simplex(classes: int) -> Tensor:
    """Vertices of a regular simplex on the unit sphere of R^(K-1), in Helmert's basis of the zero-sum vectors."""
    vertices = torch.zeros(classes, classes - 1, dtype=torch.float64, device="cpu")  # (K, K-1)
    for k in range(1, classes):
        vertices[:k, k - 1] = 1 / math.sqrt(k * (k + 1))
        vertices[k, k - 1] = -k / math.sqrt(k * (k + 1))
    return vertices * math.sqrt(classes / (classes - 1))


def _check_frame(vectors: Tensor, kind: Kind) -> None:
    classes = vectors.shape[0]
    cosine = 0.0 if kind == "orthonormal" else -1 / (classes - 1)
    wanted = torch.full((classes, classes), cosine, dtype=vectors.dtype, device=vectors.device).fill_diagonal_(1.0)
    error = float((vectors @ vectors.mT - wanted).abs().max())
    if not error <= GRAM_TOLERANCE:
        raise ValueError(f"vectors must have cosines {cosine:g}, got an error of {error:.1e}; try another seed")
