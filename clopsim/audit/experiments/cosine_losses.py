"""The losses of T28 to T30 as they stand in formulas, in dot products: what the ambient step descends on. Sum."""

import math

import torch
from torch import Tensor

from clopsim.audit.experiments.modes import Loss
from clopsim.bounds.class_losses import ClassLossName


def graph_loss(positives: Tensor, temperature: float, *, hidden: Tensor | None = None) -> Loss:
    """sum_i [ -sum_p W_ip s_ip/tau + log sum_(a != i) e^(s_ia/tau) ], W (n, n); hidden: (n, n) pairs not in the log."""
    unseen = torch.eye(len(positives), dtype=torch.bool)
    if hidden is not None:
        unseen = unseen | hidden

    def loss(z: Tensor) -> Tensor:
        logits = z @ z.mT / temperature
        return logits.masked_fill(unseen, -torch.inf).logsumexp(dim=-1).sum() - (positives * logits).sum()

    return loss


def class_graphs(classes: int, per_class: int) -> tuple[Tensor, Tensor]:
    """(n, n) of 0 and 1 each: other rows of a class, the other view; rows class after class, views adjacent."""
    row = torch.arange(classes * per_class)
    other = row[:, None] != row
    mates = (row[:, None] // per_class == row // per_class) & other
    views = (row[:, None] // 2 == row // 2) & other
    return mates.double(), views.double()


def cosine_loss(
    name: ClassLossName,
    *,
    classes: int,
    per_class: int,
    temperature: float,
    confidence: float = 0.0,
    penalty: float = 0.0,
    inside: bool = False,
) -> Loss:
    """The loss that bounds.class_losses.class_loss describes, on n = K m rows, class after class, views adjacent.

    inside: SupCon with the mean inside the logarithm.
    """
    mates, views = class_graphs(classes, per_class)
    eye = torch.eye(len(mates), dtype=torch.bool)
    if name == "merged":
        return graph_loss(torch.zeros_like(mates), temperature)
    if name == "dcl":
        return graph_loss(views, temperature, hidden=views > 0)
    if name in ("nt_xent", "sscl") or (name == "supcon" and not inside):
        q = {"nt_xent": 0.0, "supcon": 1.0}.get(name, confidence)
        weights = views + q**2 * (mates - views)
        return graph_loss(weights / weights.sum(dim=-1, keepdim=True), temperature)

    def supcon_in(z: Tensor) -> Tensor:
        logits = z @ z.mT / temperature
        pull = logits.masked_fill(mates == 0, -torch.inf).logsumexp(dim=-1) - math.log(per_class - 1)
        return (logits.masked_fill(eye, -torch.inf).logsumexp(dim=-1) - pull).sum()

    def fedrcl(z: Tensor) -> Tensor:
        logits = z @ z.mT / temperature
        negatives = logits.masked_fill((mates > 0) | eye, -torch.inf).logsumexp(dim=-1, keepdim=True)
        contrast = (torch.nn.functional.softplus(negatives - logits) * mates).sum() / (per_class - 1)
        near = (logits - 1 / temperature).masked_fill(mates == 0, -torch.inf).logsumexp(dim=-1)
        return contrast + penalty * torch.nn.functional.softplus(near).sum()

    def blcl(z: Tensor) -> Tensor:
        means = z.reshape(classes, per_class, -1).mean(dim=1)
        logits = z @ (means / means.norm(dim=-1, keepdim=True)).mT / temperature
        own = logits.reshape(classes, per_class, classes).diagonal(dim1=0, dim2=2)  # (m, K)
        return logits.logsumexp(dim=-1).sum() - own.sum()

    return {"supcon": supcon_in, "fedrcl": fedrcl, "blcl": blcl}[name]


def with_prototypes(loss: Loss, prototypes: Tensor, weight: float) -> Loss:
    """The loss + weight sum_i (1 - z_i . c_i); prototypes: (n, d), that of every row."""
    return lambda z: loss(z) + weight * (len(z) - (z * prototypes).sum())
