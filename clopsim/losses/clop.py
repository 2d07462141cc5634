"""CLOP: any contrastive loss plus the pull of labelled samples to fixed prototypes."""

from torch import Tensor, nn

from clopsim.bounds.setting import number_from_zero, one_of
from clopsim.losses.prototype_term import Distance, prototype_term
from clopsim.losses.prototypes import OrthonormalPrototypes
from clopsim.losses.views import PairLoss, Views, check_call_form, shown


class CLOP(nn.Module):
    """base(first, second, labels) + weight * mean over labelled samples of the distance to their prototype.

    A batch without a labelled sample (or labels=None) gives the base loss alone, with its graph.

    Reduction: the base's own; the term is a mean (prototype_term). With a base summed over 2N anchors the same weight
    counts 2N times less.
    At complete collapse: not stationary, so no run is stuck there; the base's value plus weight (1 - mean cosine).
    Critical rates: those of the base while the weight is small; the cosine term alone has sharpness weight/(2 |S|) at
    the prototypes, so descent through the normalisation needs rates below 4 |S|/weight (ours).

    Source: arXiv:2403.18699v2, arXiv:2512.07880 (authors' code, as it is meant: at its head the term is never added,
    and with several processes it divides the weight by their number).
    base: any loss of this call form; prototypes: OrthonormalPrototypes; weight: lambda >= 0, a number or a scalar
    tensor. Raises ValueError for a negative weight or an unknown distance.

    >>> import torch, clopsim
    >>> loss = clopsim.CLOP(clopsim.losses.info_nce, clopsim.OrthonormalPrototypes(2, 3, seed=0))
    >>> bool(loss(torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, -1, -1])).isfinite())
    True
    """

    def __init__(
        self,
        base: PairLoss,
        prototypes: OrthonormalPrototypes,
        weight: float | Tensor = 1.0,
        *,
        distance: Distance = "cosine",
    ) -> None:
        """Check the options; nothing is copied, so the base keeps its own parameters."""
        super().__init__()
        check_call_form(base, "base")
        if not isinstance(getattr(prototypes, "vectors", None), Tensor):
            kind = type(prototypes).__name__
            raise ValueError(f"prototypes must be OrthonormalPrototypes, got {kind}; give it classes and dimension")
        if not isinstance(weight, Tensor):
            number_from_zero("weight", weight, remedy="0 leaves the base loss")
        one_of("distance", distance, ("cosine", "euclidean", "manhattan"))
        self.base = base
        self.prototypes = prototypes
        self.weight = weight
        self.distance: Distance = distance

    def extra_repr(self) -> str:
        """The base and what is added to it, for print(module)."""
        base = "" if isinstance(self.base, nn.Module) else f"base={shown(self.base)}, "  # a module prints itself
        return f"{base}weight={self.weight}, distance={self.distance!r}"

    def forward(self, first: Views, second: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """first, second: (N, d) raw embeddings, or first alone as the base takes it; labels: (N,) integers, -1 =
        unlabelled, or None. Returns a scalar."""
        return self.with_prototypes(self.base(first, second, labels), first, second, labels)

    def with_prototypes(self, loss: Tensor, first: Views, second: Tensor | None, labels: Tensor | None) -> Tensor:
        """The base's value plus the term of the prototypes."""
        if labels is None:
            return loss
        return loss + self.weight * prototype_term(
            first, second, labels, prototypes=self.prototypes.vectors, distance=self.distance
        )
