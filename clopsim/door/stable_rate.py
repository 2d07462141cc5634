"""clopsim.stable_rate: how large a learning rate may be now, for any network of torch."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from clopsim.door.answer import Answer
from clopsim.door.progress import progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from clopsim.training.stability import Stability


class StableRate(Answer):
    """The rate, its spread over batches, and what it rests on."""

    def __init__(self, found: "Stability") -> None:
        """found: of training.stability."""
        self._found = found
        self.rate, self.per_batch = found.rate, found.per_batch
        self.sharpness, self.products, self.passes = found.sharpness, found.products, found.passes
        self.assumption = found.assumption

    @property
    def spread(self) -> tuple[float, float] | None:
        """The smallest and the largest rate of a batch alone; None where none has one."""
        known = [each for each in self.per_batch if each is not None]
        return (min(known), max(known)) if known else None

    def report(self) -> str:
        """Three lines."""
        rate = "none is too large: no direction curves upwards" if self.rate is None else f"{self.rate:.4g}"
        alone = ""
        if self.spread and len(self.per_batch) > 1:
            alone = f" (each batch alone: {self.spread[0]:.4g} to {self.spread[1]:.4g})"
        return (
            f"stable up to learning rate {rate}{alone}\n{self.assumption}\n"
            f"sharpness {self.sharpness:.4g}; cost: {self.products} Hessian-vector products, about {self.passes} "
            "passes of a batch"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every number."""
        return {
            "rate": self.rate,
            "per_batch": list(self.per_batch),
            "spread": self.spread and list(self.spread),
            "sharpness": self.sharpness,
            "products": self.products,
            "passes": self.passes,
            "assumption": self.assumption,
        }


def stable_rate(
    model: "nn.Module",
    loss: "Callable[..., Tensor]",
    batches: "Iterable[Sequence[Any]]",
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    optimizer: "torch.optim.Optimizer | None" = None,
    forward: Callable[..., Sequence[Any]] | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> StableRate:
    """The largest learning rate at which descent on these batches is stable now, at the present weights.

    2 (1 + momentum)/h of SGD and 2 (1 + beta_1)/((1 - beta_1) h) of Adam (38/h at beta_1 = 0.9), h the largest
    eigenvalue of the Hessian of the mean loss, weight decay included; for Adam of P^-1/2 H P^-1/2, P = sqrt(second
    moments) + epsilon as the optimiser has them now. By Lanczos on Hessian-vector products; nothing of the model is
    changed. A network in training moves: take the number again after some hundred steps.

    model: any module, in the mode in which it trains: batch normalisation in train() couples the rows of a batch, in
    eval() it is fixed. Frozen parameters are held still, buffers are kept. Weights in float32 or float64 on one device.
    loss: of this package's call form, loss(first, second, labels), or any other with forward. batches: at least one,
    each (first, second) or (first, second, labels); all graphs are kept at once, so a few. forward: (model, *batch) ->
    arguments of the loss; lambda m, x, y: (m(x), y) with cross_entropy, or lambda m, a, b, y: (*m(torch.cat([a, b]))
    .chunk(2), y) for both views in one pass.
    momentum, weight_decay: of SGD. optimizer: instead of them, the torch SGD (Nesterov too), Adam or AdamW that trains
    the model: its momentum, decay, groups (their rates in proportion) and second moments, so that an Adam must have
    made a step; the rate is then that of its first group. tolerance: relative, of Lanczos; seed: of its first vector.

    Returns an object with rate (None: no direction curves upwards, no rate is too large), per_batch and spread (each
    batch alone), sharpness (h), products and passes (the cost), assumption (in words), to_dict().
    Errors: ValueError for wrong options, an optimiser that is none of these, or an Adam that has made no step yet;
    FloatingPointError where second derivatives are not finite; RuntimeError of torch where an operation has none.
    Source: T14 (bounds/THEORY.md); of Adam arXiv:2207.14484; the Hessian of descent arXiv:2103.00065.

    >>> import torch, clopsim
    >>> x = torch.eye(2).repeat(4, 1)
    >>> found = clopsim.stable_rate(torch.nn.Linear(2, 1), torch.nn.functional.mse_loss, [(x, torch.zeros(8, 1))],
    ...     forward=lambda model, x, y: (model(x), y), momentum=0.5)
    >>> round(found.rate, 3)  # the Hessian is [[1, 0, 1], [0, 1, 1], [1, 1, 2]]
    1.0
    """
    from clopsim.training import stability

    with progress("stable_rate") as advance:
        found = stability.stability(
            model,
            loss,
            batches,
            optimizer=optimizer,
            momentum=momentum,
            weight_decay=weight_decay,
            forward=stability.two_views if forward is None else forward,
            tolerance=tolerance,
            seed=seed,
            on_product=lambda number: advance(0.0, f"Hessian-vector product {number}"),
        )
    return StableRate(found)
