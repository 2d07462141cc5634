"""A class-incremental loss in the style of BLCL: class means as prototypes, cross-entropy, a learned balance."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from clopsim.bounds.setting import is_number, positive_number, shown, whole_number
from clopsim.losses.balance import FLOOR, learned_balance
from clopsim.losses.info import LossInfo
from clopsim.losses.pairs import Reduction, reduced, scalar_temperature
from clopsim.losses.views import (
    Views,
    at_least_float32,
    check_tensor,
    full_precision,
    parts,
    stacked,
    unit_rows,
    with_labels,
)

UNSEEN = -1e9
"""Logit of a class that the learner has not met: no share of the softmax, and finite."""


def blcl(
    first: Views,
    second: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
    memory: Tensor | None = None,
) -> Tensor:
    """BLCL-style contrastive part, at a fixed balance: every embedding finds its class's mean among those of all.

        L_i = -z_i.P_y(i)/tau + log sum_k exp(z_i.P_k/tau),   P_k = the normalised mean of z over class k

    k runs over the classes that have a prototype: those of the batch, whose means carry gradient, and those of the
    memory, which do not; a class in the memory takes its prototype from there. One class alone: 0. A class mean that
    vanishes (to rounding) has no direction: its cosine to everything counts as 0, without gradient. An unlabelled
    sample (label < 0) is left out; where none is labelled the loss is 0.

    Reduction: mean over the labelled embeddings, sum, or none: (V N,), view after view, 0 where unlabelled.
    At complete collapse: log K for K classes in the batch.
    Critical rates: no direction is ever lost at complete collapse, which never attracts; for the rates at the simplex,
    alone and with learned balance, see clopsim.bounds.learned_balance. Proportional to tau, times n for the mean.

    Source: Raichur et al., arXiv:2405.11067 (style of: a reconstruction from the abstract, not the paper's loss).
    BLCL adds cross-entropy and the learned balance.
    first, second: (N, d) raw embeddings, normalised inside; or first alone as (N, d), (V, N, d) or a list of views;
    labels: (N,) integers; memory: (K, d) prototypes of old classes by number, normalised inside, 0 where a class has
    none. Returns float32 or better. Raises ValueError for missing labels, wrong shapes, a temperature <= 0, an unknown
    reduction.
    """
    labels = with_labels("blcl", labels)
    z, count = stacked(first, second, labels)
    return blcl_of_rows(z, torch.cat([labels] * count), temperature=temperature, reduction=reduction, memory=memory)


def blcl_of_rows(
    z: Tensor,
    labels: Tensor,
    *,
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
    memory: Tensor | None = None,
) -> Tensor:
    """The formula of blcl on unit rows z (n, d), which it does not normalise; labels: (n,), one a row.

    Errors: as blcl, except for the shapes of views.
    """
    tau = scalar_temperature(temperature, z)
    labels = labels.long()
    own, keys, has = _prototypes(z, labels)
    if memory is not None:
        own, keys, has = _with_memory(_checked(memory, z), labels, own, keys, has)
    with full_precision(z):
        s = z @ keys.mT / tau  # (n, prototypes)
    lse = torch.logsumexp(s.masked_fill(~has & has.any(), -torch.inf), dim=-1)
    known = labels >= 0
    return reduced(torch.where(known, lse - (z * own).sum(dim=-1) / tau, 0.0), known, reduction)


class BLCL(nn.Module):
    """BLCL-style loss: cross-entropy of a linear head and the contrastive part, with their balance learned.

        L = 1/2 exp(-2 l1) L_E + 1/2 exp(-2 l2) L_C + l1 + l2,   l = log sigma, a parameter >= floor

    L_E: cross-entropy of head(embedding), mean over the labelled embeddings, with the logits of unseen classes masked;
    L_C: blcl. sigma = 1 at the start. Give parameters() to the optimizer with the network's own, and let weight decay
    pass by log_sigma.

    Source: Raichur et al., arXiv:2405.11067 (style of: that the balance is learned is the paper's, the form of both
    terms, the weighting and the floor are a reconstruction).
    classes, dimension: of the head. Raises ValueError for a number that does not fit.

    >>> import torch, clopsim
    >>> loss = clopsim.losses.BLCL(2, 3)
    >>> bool(loss(torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 1, 0])).isfinite())
    True
    """

    def __init__(self, classes: int, dimension: int, *, temperature: float = 0.5, floor: float = FLOOR) -> None:
        """A fresh head, and sigma = 1."""
        super().__init__()
        whole_number("classes", classes, low=1)
        whole_number("dimension", dimension, low=1)
        positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
        if not (is_number(floor) and -math.inf < floor <= 0):
            raise ValueError(f"floor must be a finite number <= 0, got {shown(floor)}; log sigma starts at 0")
        self.head = nn.Linear(dimension, classes)
        self.log_sigma = nn.Parameter(torch.zeros(2))
        self.temperature = temperature
        self.floor = floor

    def extra_repr(self) -> str:
        """The options, for print(module)."""
        return f"temperature={self.temperature}, floor={self.floor}"

    def forward(
        self,
        first: Views,
        second: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        memory: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """The balanced sum, a scalar; arguments as blcl. seen: (classes,) booleans, the classes met so far, the batch's
        among them; None: all."""
        return learned_balance(
            self.terms(first, second, labels, memory=memory, seen=seen), self.log_sigma, floor=self.floor
        )

    def terms(
        self,
        first: Views,
        second: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        memory: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """(2,): L_E and L_C, before they are balanced."""
        labels = with_labels("BLCL", labels)
        contrast = blcl(first, second, labels, temperature=self.temperature, memory=memory)
        rows = at_least_float32(torch.cat(parts(first, second)))  # (V N, d)
        if rows.shape[1] != self.head.in_features:
            raise ValueError(
                f"first must have dimension {self.head.in_features}, the head's, got {rows.shape[1]}; match them"
            )
        with full_precision(rows):
            logits = self.head(rows)
        if seen is not None:
            logits = torch.where(seen, logits, UNSEEN)
        each = labels.long().repeat(len(rows) // len(labels))
        try:
            entropy = functional.cross_entropy(logits, each.clamp(min=-1), ignore_index=-1, reduction="sum")
        except IndexError:
            raise ValueError(
                f"labels must be < {self.head.out_features}, the classes of the head, got a larger one; number the "
                "classes from 0, or make a larger head"
            ) from None
        return torch.stack([entropy / (each >= 0).sum().clamp(min=1), contrast])


def _prototypes(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised mean of each row's class, (n, d), twice, and which rows are the first of theirs, (n,)."""
    alike = (labels[:, None] == labels[None]) & (labels >= 0)  # (n, n)
    with full_precision(z):
        mean = alike.to(z.dtype) @ z / alike.sum(dim=-1, keepdim=True).clamp(min=1)
    vanishes = mean.detach().abs().amax(dim=-1, keepdim=True) <= len(z) * torch.finfo(z.dtype).eps
    length = torch.linalg.vector_norm(torch.where(vanishes, 1.0, mean), dim=-1, keepdim=True)
    own = torch.where(vanishes, 0.0, mean / length)
    first_of_class = (labels >= 0) & ~torch.tril(alike, diagonal=-1).any(dim=-1)
    return own, own, first_of_class


def _with_memory(
    memory: Tensor, labels: Tensor, own: Tensor, keys: Tensor, has: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same where classes of the memory, (K, d) unit rows or 0, take their prototypes from it."""
    stored = memory.any(dim=-1)  # (K,)
    number = labels.clamp(0, len(memory) - 1)
    old = (labels == number) & stored[number]
    return torch.where(old[:, None], memory[number], own), torch.cat([keys, memory]), torch.cat([has & ~old, stored])


def _checked(memory: Tensor, z: Tensor) -> Tensor:
    """The memory as unit rows without gradient. Errors: ValueError for another shape, dtype or device."""
    check_tensor(memory, "memory")
    if memory.ndim != 2 or len(memory) == 0 or memory.shape[1] != z.shape[1] or not memory.is_floating_point():
        raise ValueError(
            f"memory must be floats of shape (K, {z.shape[1]}), got {memory.dtype} of shape {tuple(memory.shape)}; "
            "one prototype for each class number, 0 where a class has none"
        )
    if memory.device != z.device:
        raise ValueError(f"memory must be on {z.device} as the embeddings, got {memory.device}; move it there")
    return unit_rows(memory.detach()).to(z.dtype)


INFO = LossInfo(
    blcl,
    "-z_i.P_y/tau + log sum_k exp(z_i.P_k/tau), P_k the normalised mean of class k; the contrastive part alone",
    "mean over the labelled embeddings",
    "arXiv:2405.11067, reconstruction in the style of the paper",
    cosine_only=True,
    at_collapse=lambda _, __, classes: math.log(classes),
    status="style of",
    needs_labels=True,
    of_rows=blcl_of_rows,
)
"""Read-only."""
