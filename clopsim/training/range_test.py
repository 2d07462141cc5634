"""A learning-rate range test for contrastive losses: it sees a collapse, which a loss alone does not show."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from clopsim.bounds.setting import momentum_below_one, number_from_zero, positive_number, shown, whole_number
from clopsim.losses.views import check_call_form, unit_rows
from clopsim.training.monitor import observed
from clopsim.training.stability import Forward, alone, as_batch, asked

Stepper = Literal["sgd", "adam", "adamw"]

MOMENTUM = 0.9
"""Of an optimiser that is given by its name."""

SMOOTH = 0.9
"""Weight of the past in the mean of the loss, corrected for its start, as in other range tests."""

EXPLODED = 4.0
"""Distance from its start, in units of the best fall so far (at least FALL of the start), at which a loss counts as
diverging."""

FALL = 0.1

STEADY = 3
"""Looks in a row that make a collapse: one look of a noisy batch does not."""

NOTHING = 1e-6
"""Share of the loss that a step must take off to be a fall."""

WARM = 10
"""First steps that the steepest fall leaves out: a mean of few losses jumps."""


@dataclass(frozen=True)
class RangeTest:
    """What happened while the rate rose; lists over the steps, nan: not defined."""

    rates: tuple[float, ...]
    loss: tuple[float, ...]
    loss_at_collapse: tuple[float, ...]
    effective_rank: tuple[float, ...]
    mean_resultant_length: tuple[float, ...]
    view_cosine: tuple[float, ...]
    verdicts: tuple[str, ...]
    collapse_rate: float | None  # from which the embeddings were collapsed, by the rule of inspect; None: never
    collapse: str  # its rule in words, or nothing
    divergence_rate: float | None  # at which the loss left, or was not finite
    steepest_rate: float | None  # where the smoothed loss fell fastest, below both


def range_test(
    model: nn.Module,
    loss: Callable[..., Tensor],
    batches: Iterable[Sequence[Any]],
    *,
    optimizer: Stepper | torch.optim.Optimizer,
    low: float,
    high: float,
    steps: int,
    momentum: float,
    weight_decay: float,
    forward: Forward,
    on_progress: Callable[[float], None] = lambda share: None,
) -> RangeTest:
    """As clopsim.rate_test, which documents the arguments."""
    asked(model, loss, batches, forward)
    _check(optimizer, low, high, steps, momentum, weight_decay)
    if isinstance(optimizer, torch.optim.Optimizer):
        twin, stepper = copy.deepcopy((model, optimizer))  # together: the copy moves the copy
    else:
        twin = copy.deepcopy(model)
        stepper = _stepper(optimizer, twin, low, momentum, weight_decay)
    moved, shares = _moved(twin, stepper), _shares(stepper)
    rows: dict[str, list[float]] = {name: [] for name in ("rate", "loss", "at", "rank", "length", "cosine")}
    verdicts: list[str] = []
    rules: list[str] = []
    divergence, best, mean = None, math.inf, 0.0
    start = None
    for step, batch in enumerate(islice(_again(batches), steps)):
        rate = low * (high / low) ** (step / max(1, steps - 1))
        for group, share in zip(stepper.param_groups, shares, strict=True):
            group["lr"] = share * rate
        stepper.zero_grad(set_to_none=True)
        first, second, *more = forward(twin, *as_batch(batch))
        _two(first, second)
        if step == 0:
            check_call_form(loss, "loss", labelled=bool(more) and more[0] is not None)
        value = loss(first, second, *more)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise ValueError("loss must give one number that depends on the weights; reduce it to a mean")
        value.backward(inputs=moved)  # type: ignore[no-untyped-call]  # the loss's own parameters are the caller's
        stepper.step()
        number = float(value.detach())
        _note(rows, verdicts, rules, loss, (first.detach(), second.detach(), *more), rate, number)
        mean = SMOOTH * mean + (1 - SMOOTH) * number
        smooth = mean / (1 - SMOOTH ** (step + 1))
        start = smooth if start is None else start
        best = min(best, smooth)
        scale = max(start - best, FALL * max(1.0, abs(start)))
        on_progress((step + 1) / steps)
        if not math.isfinite(number) or smooth > start + EXPLODED * scale:
            divergence = rate
            break
    collapse = _first_run(verdicts)
    end = len(verdicts) if collapse is None else collapse
    end -= divergence is not None and collapse is None
    return RangeTest(
        tuple(rows["rate"]), tuple(rows["loss"]), tuple(rows["at"]), tuple(rows["rank"]), tuple(rows["length"]),
        tuple(rows["cosine"]), tuple(verdicts),
        None if collapse is None else rows["rate"][collapse],
        "" if collapse is None else rules[collapse],
        divergence,
        _steepest(rows["rate"][:end], rows["loss"][:end]),
    )  # fmt: skip


def _again(batches: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """The batches for ever; a loader is asked anew at its end, so that it can shuffle."""
    while True:
        found = False
        for batch in batches:
            found = True
            yield batch
        if not found:
            raise ValueError("batches must hold at least one batch, got none; give a list or a loader")


def _two(first: object, second: object) -> None:
    if not (
        isinstance(first, Tensor) and isinstance(second, Tensor) and first.ndim == 2 and first.shape == second.shape
    ):
        shapes = " and ".join(str(tuple(each.shape) if isinstance(each, Tensor) else each) for each in (first, second))
        raise ValueError(
            f"forward must give the embeddings (N, d) of two views, then the labels, got {shapes}; "
            "the test looks at both, whatever the loss"
        )


def _note(
    rows: dict[str, list[float]],
    verdicts: list[str],
    rules: list[str],
    loss: Callable[..., Tensor],
    given: Sequence[Any],
    rate: float,
    value: float,
) -> None:
    """Add what is seen of this step's embeddings."""
    first, second, *more = given
    with torch.no_grad():
        raw = torch.stack([first, second])
        good = (raw.isfinite().all(dim=-1) & (raw != 0).any(dim=-1)).all(dim=0)
        numbers, judgement, at = dict[str, float](), None, math.nan
        if bool(good.all()):
            point = unit_rows(raw.flatten(0, 1)).mean(dim=0).expand_as(first)
            at = float(loss(point, point, *more))
            labels = next((each for each in more if isinstance(each, Tensor)), None)
            numbers, judgement = observed(raw, labels, eps=torch.finfo(first.dtype).eps)
    rows["rate"].append(rate)
    rows["loss"].append(value)
    rows["at"].append(at)
    for short, name in (("rank", "effective_rank"), ("length", "mean_resultant_length"), ("cosine", "view_cosine")):
        rows[short].append(numbers.get(name, math.nan))
    verdicts.append("broken" if not bool(good.all()) else judgement.verdict if judgement else "none")
    rules.append(judgement.rule if judgement else "")


def _first_run(verdicts: Sequence[str]) -> int | None:
    """Where the collapsed looks begin that last to the end; None for fewer than STEADY. Views that say little are what
    a network starts with, and no collapse here.
    """
    ended = [each for each in verdicts if each != "broken"]
    first = len(ended)
    while first and ended[first - 1] not in ("none", "views"):
        first -= 1
    return first if len(ended) - first >= STEADY else None


def _steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate at which the smoothed loss fell fastest over the logarithm of the rate."""
    smooth, mean = [], 0.0
    for step, value in enumerate(losses):
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        smooth.append(mean / (1 - SMOOTH ** (step + 1)))
    falls = [after - before for before, after in pairwise(smooth)][WARM:]
    if not falls or min(falls) > -NOTHING * abs(smooth[0]):
        return None
    return rates[WARM + falls.index(min(falls))]


def _check(optimizer: object, low: float, high: float, steps: int, momentum: float, weight_decay: float) -> None:
    if isinstance(optimizer, torch.optim.Optimizer):
        alone(momentum=momentum, weight_decay=weight_decay, usual=MOMENTUM)
    elif not (isinstance(optimizer, str) and optimizer in get_args(Stepper)):
        kinds = ", ".join(get_args(Stepper))
        raise ValueError(
            f"optimizer must be one of {kinds} or an optimiser of torch, got {shown(optimizer)}; "
            "torch.optim.SGD(model.parameters(), lr=0.1), say"
        )
    positive_number("low", low, remedy="the range begins there")
    positive_number("high", high, remedy="the range ends there")
    if not high > low:
        raise ValueError(f"high must be > low = {low:g}, got {high:g}; the rate rises from one to the other")
    whole_number("steps", steps, low=10)
    momentum_below_one(momentum)
    number_from_zero("weight_decay", weight_decay, remedy="0 leaves it out")


def _moved(model: nn.Module, stepper: torch.optim.Optimizer) -> list[nn.Parameter]:
    """The parameters of the model that the optimiser moves."""
    held = {id(parameter) for group in stepper.param_groups for parameter in group["params"]}
    found = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) in held]
    if not found:
        raise ValueError(
            "optimizer must hold parameters of the model that it moves, got none; give the optimiser that trains it"
        )
    return found


def _shares(stepper: torch.optim.Optimizer) -> list[float]:
    """The rate of every group in that of the first."""
    rates = [float(group["lr"]) for group in stepper.param_groups]
    if not rates[0] > 0:
        raise ValueError(f"optimizer must have a learning rate > 0 in its first group, got {rates[0]:g}; set it")
    return [rate / rates[0] for rate in rates]


def _stepper(
    kind: Stepper, model: nn.Module, rate: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    free = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not free:
        raise ValueError("model must have parameters that require a gradient, got none; unfreeze some")
    if kind == "sgd":
        return torch.optim.SGD(free, lr=rate, momentum=momentum, weight_decay=weight_decay)
    adam = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    return adam(free, lr=rate, betas=(momentum, 0.999), weight_decay=weight_decay)
