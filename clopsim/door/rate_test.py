"""clopsim.rate_test: a learning-rate range test that sees a collapse."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clopsim.door.answer import Answer
from clopsim.door.progress import progress

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from clopsim.training.range_test import RangeTest


class RateTest(Answer):
    """Where, on the way up, the loss fell fastest, the embeddings collapsed, the loss left."""

    def __init__(self, found: "RangeTest") -> None:
        """found: of training.range_test."""
        self._found = found
        self.rates, self.loss, self.loss_at_collapse = found.rates, found.loss, found.loss_at_collapse
        self.effective_rank, self.view_cosine = found.effective_rank, found.view_cosine
        self.mean_resultant_length, self.verdicts = found.mean_resultant_length, found.verdicts
        self.collapse_rate, self.divergence_rate = found.collapse_rate, found.divergence_rate
        self.steepest_rate = found.steepest_rate

    def report(self) -> str:
        """Four lines."""
        last = len(self.rates) - 1
        ends = f"loss {self.loss[last]:.4g}, at complete collapse {self.loss_at_collapse[last]:.4g}"
        lines = [f"{len(self.rates)} steps, rate {self.rates[0]:.3g} to {self.rates[last]:.3g}"]
        lines.append(
            "the loss did not fall"
            if self.steepest_rate is None
            else f"the loss fell fastest near rate {self.steepest_rate:.3g}"
        )
        lines.append(
            "no collapse on the way"
            if self.collapse_rate is None
            else f"collapsed from rate {self.collapse_rate:.3g} on: {self._found.collapse}; {ends}"
        )
        if self.divergence_rate is not None:
            lines.append(f"the loss left at rate {self.divergence_rate:.3g}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every number along the way; None: not defined."""

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return [plain(each) for each in value]
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return {name: plain(value) for name, value in asdict(self._found).items()}

    def plot(self) -> "Figure":
        """Loss, rank, mean resultant length and view cosine over the rate, as a matplotlib figure."""
        from clopsim.show.range_test import draw_range_test

        return draw_range_test(self.to_dict())


def rate_test(
    model: "nn.Module",
    loss: "Callable[..., Tensor]",
    batches: "Iterable[Sequence[Any]]",
    *,
    optimizer: "str | torch.optim.Optimizer" = "sgd",
    low: float = 1e-4,
    high: float = 100.0,
    steps: int = 200,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    forward: Callable[..., Sequence[Any]] | None = None,
) -> RateTest:
    """A learning-rate range test for contrastive losses: train a copy while the rate rises, and watch for collapse.

    A collapsing run does not diverge. Its loss settles at its value at collapse, log(2N - 1) for InfoNCE, and a finder
    that waits for the loss to explode sees nothing. This one watches effective rank, mean resultant length, view cosine
    and the loss beside that value, and names the rate from which the embeddings have collapsed by the rule of inspect.
    A ramp remembers: what it shows at a rate was prepared at the rates below, so a run that stays at one rate may
    collapse a little below (it has more steps), and the test is blind to what needs thousands of steps.

    model: any module; a copy is trained, in its mode. loss, batches, forward: as of stable_rate; batches are cycled,
    a loader will do; forward must give two views first, (N, d) both. optimizer: "sgd", "adam" or "adamw", with momentum
    (beta_1) and weight_decay; or, instead of these, any of torch that holds the model: a copy goes on from its state,
    with its groups (their rates in proportion; low and high are of the first) and their decay. low, high: learning
    rates from which to which it rises, by equal factors in so many steps >= 10.

    Returns an object with rates, loss, loss_at_collapse, effective_rank, mean_resultant_length, view_cosine, verdicts
    (one a step), steepest_rate (where the smoothed loss fell fastest), collapse_rate and divergence_rate (None: not
    reached), to_dict() and plot() (a matplotlib figure of all of them over the rate).
    Errors: ValueError for wrong options; what the model or the loss raises.
    Source: the range test of arXiv:1506.01186; for collapse ours.

    >>> import torch, clopsim
    >>> x = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    >>> found = clopsim.rate_test(torch.nn.Linear(8, 4), clopsim.losses.info_nce, [(x, x + 0.1)], steps=20, high=1.0)
    >>> found.collapse_rate is None, len(found.rates)
    (True, 20)
    """
    from clopsim.training import range_test, stability

    with progress("rate_test") as advance:
        found = range_test.range_test(
            model,
            loss,
            batches,
            optimizer=optimizer,  # type: ignore[arg-type]
            low=low,
            high=high,
            steps=steps,
            momentum=momentum,
            weight_decay=weight_decay,
            forward=stability.two_views if forward is None else forward,
            on_progress=advance,
        )
    return RateTest(found)
