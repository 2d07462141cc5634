"""The largest learning rate at which descent is stable now: of any module, loss and optimiser of torch."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from clopsim.bounds.adam import adam_rate
from clopsim.bounds.heavy_ball import heavy_ball_rate, nesterov_rate
from clopsim.bounds.setting import momentum_below_one, number_from_zero, positive_number, shown, whole_number
from clopsim.losses.views import check_call_form, full_precision
from clopsim.training.optimizers import Params, preconditioner
from clopsim.training.sharpness import in_units, sharpest

TOLERANCE = 1e-3
"""Relative, of Lanczos: well inside the spread over batches."""

BUILD, PRODUCT = 2, 4
"""Passes of a batch: forward and backward once; each product runs back through both, at about twice the cost."""

Forward = Callable[..., Sequence[Any]]
"""(model, *batch) -> what the loss takes."""


class Steps(NamedTuple):
    """What an optimiser does with a gradient, as far as its stability goes; by parameter, relative to the first group.

    scale: it divides the gradient of that parameter by scale; decay: weight decay in the coordinates
    sqrt(scale) x parameter.
    """

    kind: str  # sgd, nesterov, adam
    momentum: float
    scale: Params
    decay: dict[str, Tensor | float]
    words: str


@dataclass(frozen=True)
class Stability:
    """How fast descent may go here, and what that number rests on."""

    rate: float | None  # None: no curvature upwards, no rate is too large
    per_batch: tuple[float | None, ...]  # of each batch alone
    sharpness: float  # largest eigenvalue that decides, preconditioned where the optimiser is
    products: int  # Hessian-vector products
    passes: int  # forward and backward passes of one batch, about
    assumption: str


def two_views(model: nn.Module, *batch: Any) -> Sequence[Any]:
    """The embeddings of two views, one after the other, and the labels if there are any."""
    if len(batch) not in (2, 3):
        raise ValueError(
            f"batches must hold (first, second) or (first, second, labels), got {len(batch)} in one; {WAY}"
        )
    first, second, *labels = batch
    if _other(first, second):
        raise ValueError(
            "batches must hold two views of the same samples, (first, second) or (first, second, labels), got "
            f"{_shown(first)} and {_shown(second)}; let the loader make views, or give forward=, such as "
            "lambda model, x, y: (model(augment(x)), model(augment(x)), y)"
        )
    return (model(first), model(second), *(each for each in labels if each is not None))


def _other(first: object, second: object) -> bool:
    """Whether the second is no view where the first is one: labels have another kind or fewer axes."""
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return False
    return first.is_floating_point() != second.is_floating_point() or first.ndim != second.ndim


WAY = "give forward=, such as lambda model, x, y: (model(x), y), for others"


def asked(model: object, loss: object, batches: object, forward: object) -> None:
    """Raise ValueError unless these are a module, a function, an iterable of batches and a function."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}; wrap the function in one")
    if not callable(loss):
        raise ValueError(
            f"loss must be a function, got {shown(loss)}; clopsim.losses.by_name gives those of this package"
        )
    if isinstance(batches, Tensor | str | Mapping) or not isinstance(batches, Iterable):
        raise ValueError(f"batches must be a list or a loader of batches, got {type(batches).__name__}; {LIST}")
    if not callable(forward):
        raise ValueError(f"forward must be a function, got {shown(forward)}; {WAY}")


LIST = "give a list such as [(first, second)]"


def as_batch(given: object) -> tuple[Any, ...]:
    """One batch. Errors: ValueError unless it is a tuple or a list."""
    if not isinstance(given, tuple | list):
        raise ValueError(f"batches must hold tuples or lists, got {type(given).__name__}; {LIST}")
    return tuple(given)


def stability(
    model: nn.Module,
    loss: Callable[..., Tensor],
    batches: Iterable[Sequence[Any]],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    forward: Forward = two_views,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    on_product: Callable[[int], None] = lambda number: None,
) -> Stability:
    """As clopsim.stable_rate, which documents the arguments."""
    asked(model, loss, batches, forward)
    positive_number("tolerance", tolerance, remedy="1e-3 is well inside the spread over batches")
    whole_number("seed", seed, low=0)
    given = [as_batch(batch) for batch in batches]
    if not given:
        raise ValueError(f"batches must hold at least one batch, got none; {LIST}")
    if forward is two_views:
        check_call_form(loss, "loss", labelled=any(len(each) == 3 and each[2] is not None for each in given))
    moved = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if optimizer is not None:
        alone(momentum=momentum, weight_decay=weight_decay, usual=0.0)
    steps = _plain(moved, momentum, weight_decay) if optimizer is None else of_optimizer(optimizer, moved)
    weights = {name: moved[name].detach() for name in steps.scale}
    _check(weights)
    whole = _Whole(model, loss, forward)
    products = passes = 0

    def sharpest_of(part: Sequence[Sequence[Any]]) -> float:
        nonlocal passes
        passes += BUILD * len(part)

        def count(number: int) -> None:
            nonlocal products, passes
            products, passes = products + 1, passes + PRODUCT * len(part)
            on_product(products)

        value, start = in_units(lambda w: _mean(whole, w, part), weights, steps.scale)

        def decayed(w: dict[str, Tensor]) -> Tensor:
            pulls = [steps.decay[name] * w[name].square() for name in w if _any(steps.decay[name])]
            return value(w) + sum(pull.sum() for pull in pulls) / 2

        with _double_backward(next(iter(start.values()))):
            return sharpest(decayed, start, seed=seed, tolerance=tolerance, on_product=count)[0]

    eigenvalues = [sharpest_of([batch]) for batch in given]
    together = sharpest_of(given) if len(given) > 1 else eigenvalues[0]
    return Stability(
        _edge(steps, together),
        tuple(_edge(steps, each) for each in eigenvalues),
        together,
        products,
        passes,
        f"{steps.words}, near these weights: the loss is taken as the quadratic that it is here, of "
        + (
            "this batch at every step."
            if len(given) == 1
            else f"all {len(given)} batches at every step, without noise."
        ),
    )


def _edge(steps: Steps, curvature: float) -> float | None:
    if not curvature > 0:
        return None
    edge = {"sgd": heavy_ball_rate, "nesterov": nesterov_rate, "adam": adam_rate}[steps.kind]
    return edge(curvature, momentum=steps.momentum)


def alone(*, momentum: float, weight_decay: float, usual: float) -> None:
    """Raise ValueError where one of them was given beside an optimiser of torch, which has its own."""
    for name, value, left in (("momentum", momentum, usual), ("weight_decay", weight_decay, 0.0)):
        if value != left:
            raise ValueError(
                f"{name} must be left out beside an optimizer of torch, got {shown(value)}; its groups have it"
            )


def _plain(moved: Mapping[str, Tensor], momentum: float, weight_decay: float) -> Steps:
    momentum_below_one(momentum)
    number_from_zero("weight_decay", weight_decay, remedy="0 leaves it out")
    words = f"SGD with momentum {momentum:g}" if momentum else "Plain SGD"
    ones = {name: torch.ones((), dtype=value.dtype, device=value.device) for name, value in moved.items()}
    return Steps("sgd", momentum, ones, dict.fromkeys(moved, weight_decay), words)


def of_optimizer(optimizer: torch.optim.Optimizer, moved: Mapping[str, Tensor]) -> Steps:
    """What an optimiser of torch does with those parameters of a model that it holds.

    Errors: ValueError for one other than SGD, Adam and AdamW, and for options that are not those of a plain step.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(f"optimizer must be one of torch, got {shown(optimizer)}; or give momentum and weight_decay")
    groups = optimizer.param_groups
    adam = isinstance(optimizer, torch.optim.Adam)  # AdamW is one
    if not adam and not isinstance(optimizer, torch.optim.SGD):
        kind = type(optimizer).__name__
        remedy = "under LARS no rate is below an edge (T26)" if "lars" in kind.lower() else "clopsim.rate_test takes it"
        raise ValueError(f"optimizer must be torch's SGD, Adam or AdamW, got {kind}; {remedy}")
    first, names = groups[0], {id(value): key for key, value in moved.items()}
    same = ("betas", "eps", "amsgrad") if adam else ("momentum", "nesterov", "dampening")
    for group in groups:
        if any(group[name] != first[name] for name in same):
            raise ValueError(
                f"optimizer must have one value of {', '.join(same)} for all groups, got several; set them"
            )
        if group.get("dampening") or group.get("maximize"):
            raise ValueError("optimizer must be without dampening and maximize, got one with; leave them out")
    rate = float(first["lr"])
    if not rate > 0:
        raise ValueError(f"optimizer must have a learning rate > 0 in its first group, got {rate}; set it")
    momentum = float(first["betas"][0] if adam else first["momentum"])
    scale: Params = {}
    held = False
    decay: dict[str, Tensor | float] = {}
    for group in groups:
        share = float(group["lr"]) / rate
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if (name := names.get(id(parameter), "")) == "" or not share:
                continue  # of another module, or held still
            held = True
            if adam and "exp_avg_sq" not in state:
                continue  # not stepped as yet
            w = float(group["weight_decay"])
            if not adam:
                scale[name] = torch.full((), 1 / share, dtype=parameter.dtype, device=parameter.device)
                decay[name] = share * w
                continue
            squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
            scale[name] = (
                preconditioner({name: squares}, int(state["step"]), beta=group["betas"][1], epsilon=group["eps"])[name]
                / share
            )
            apart = decoupled(optimizer, group)
            decay[name] = share * w * (1 + momentum) / (1 - momentum) if apart else w / scale[name]
    if not held:
        raise ValueError(
            "optimizer must hold parameters of the model that it moves, got none; give the optimiser that trains it"
        )
    if not scale:
        raise ValueError(
            f"optimizer must have made a step, got a new {type(optimizer).__name__}, whose second moments say nothing "
            "yet; train some steps first, or take clopsim.rate_test, which needs none"
        )
    if adam:
        words = f"{type(optimizer).__name__} with beta_1 {momentum:g} and its second moments as they are"
        return Steps("adam", momentum, scale, decay, words)
    words = f"SGD with {'Nesterov ' if first['nesterov'] else ''}momentum {momentum:g}" if momentum else "Plain SGD"
    return Steps("nesterov" if first["nesterov"] else "sgd", momentum, scale, decay, words)


def decoupled(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> bool:
    """Whether this group of an Adam decays weights beside its step instead of within the gradient."""
    return bool(group.get("decoupled_weight_decay", isinstance(optimizer, torch.optim.AdamW)))


class _Whole(nn.Module):
    """Model and loss as one module, so that functional_call reaches into any forward."""

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], forward: Forward) -> None:
        super().__init__()
        self.model = model
        self.function, self.way = loss, forward

    def forward(self, batch: Sequence[Any]) -> Tensor:
        value = self.function(*self.way(self.model, *batch))
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError(f"loss must give one number, got {_shown(value)}; reduce it to a mean")
        if not value.requires_grad:
            raise ValueError("loss must depend on the weights, got a constant; leave no_grad and detach out of it")
        return value.reshape(())


def _mean(whole: _Whole, weights: Mapping[str, Tensor], batches: Sequence[Sequence[Any]]) -> Tensor:
    """The mean loss; buffers that a forward pass changes, such as running statistics, are copies."""
    values = []
    for batch in batches:
        buffers = {f"model.{name}": value.clone() for name, value in whole.model.named_buffers()}
        given = {f"model.{name}": value for name, value in weights.items()}
        values.append(functional_call(whole, {**buffers, **given}, (batch,)))
    return torch.stack(values).mean()


def _check(weights: Mapping[str, Tensor]) -> None:
    if not weights:
        raise ValueError("model must have parameters that require a gradient, got none; unfreeze some")
    for name, value in weights.items():
        if value.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"model must hold float32 or float64 parameters, got {value.dtype} in {name}; call .float() on a copy"
            )


@contextmanager
def _double_backward(weight: Tensor) -> Iterator[None]:
    """Attention in the one form that can be differentiated twice; no mixed precision."""
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad(), full_precision(weight):
        yield


def _any(decay: Tensor | float) -> bool:
    return isinstance(decay, Tensor) or decay != 0


def _shown(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
