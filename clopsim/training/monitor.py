"""A monitor for anyone's training loop: now and then a few scalars, and one warning in words when a collapse begins."""

import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from clopsim.bounds import Setting
from clopsim.bounds.alignment import alignment_uniform_rate
from clopsim.bounds.free_norm import effective_rate
from clopsim.bounds.setting import one_of, positive_number, shown, whole_number
from clopsim.losses import CLOP, LOSSES, LossName, by_name, dcl, info_nce
from clopsim.losses.gather import gather_rows
from clopsim.losses.views import check_call_form, unit_rows
from clopsim.metrics import geometry
from clopsim.metrics.verdict import Judgement, Seen, judge
from clopsim.training.advice import Rates, about_decay, about_rate
from clopsim.training.stability import decoupled, stability

ROWS, WIDE = 1024, 256
"""Embeddings looked at for spectrum and verdict, or WIDE where the dimension is larger: a spectrum costs the cube of
the smaller of the two."""

SAMPLED = 512
"""Embeddings whose cosines the verdict compares, all with all."""

FEWEST = 16
"""Embeddings below which there is no verdict."""

PATIENCE, STEPS = 5, 100
"""Looks in a row that make a collapse or a recovery, and the steps that they cover at least: one noisy batch makes
none, and networks that train well pass through a narrow cone in their first steps (a small convolutional one on digits,
momentum 0.9, rates 0.05 to 0.2: in seven of fifteen runs, for 7 to 52 steps)."""


class CollapseWarning(UserWarning):
    """A run that collapses, in words."""


class Collapsed(RuntimeError):
    """The same, of a monitor that was told to stop the run."""


class Kept(TypedDict):
    """What a checkpoint keeps of a monitor."""

    steps: int
    row: int  # looks in a row, up to now: that many were collapsed, or, below 0, spread
    spread: bool
    warned: bool  # of the collapse that it is in


class State(Kept):
    """The same with the last judgement, in plain types."""

    judgement: list[Any] | None


class Monitor:
    """Effective rank, mean resultant length, view cosine, norm, effective rate, loss over its value at collapse, ...

    Call it once a step with the embeddings of the two views; every so many steps it gives back a flat dictionary of
    scalars for any logger, and an empty one between. It warns (CollapseWarning) when the embeddings have been collapsed
    by the rule of clopsim.inspect in five looks in a row, over 100 steps at least (nan and zero: at once), and says
    what the theory suggests: once, and again only after as many looks in a row that were spread. It never stops a run
    unless told, and keeps no graph.

    loss: the loss of the run, by its name in clopsim.losses.LOSSES ("infonce", with temperature) or as a function
    loss(first, second, labels), CLOP included. every: steps from one look to the next. temperature: of a named loss, or
    of an InfoNCE of your own, for the effective rate. gather: in a process group, look at the rows of all processes
    (every process must call then; give the loss itself, not gathered(loss)). sharpness_every: steps between two
    sharpnesses, a multiple of every; 0: none. It costs as much as some forty steps. stop: raise Collapsed instead of
    warning. Pickles with a checkpoint; state_dict() and load_state_dict(), in plain types, where the loss does not.

    monitor(first, second, labels=None, *, optimizer=None, model=None, inputs=None): embeddings (N, d) of any precision,
    before any normalisation; labels (N,), below 0: unlabelled. optimizer: of torch, for effective_rate (SGD) and
    gradient_norm; call after its step and before zero_grad. model, inputs: for the sharpness, the network and the two
    views (first, second) that went in.

    Returns (of a look) effective_rank (energies, uncentred), mean_resultant_length, view_cosine, norm (root mean
    square), loss, loss_over_collapse, collapsed (0 or 1), and where it can effective_rate (learning rate of the fastest
    group / norm^2 in units of T5's threshold, which it is where embeddings are weights and a scale elsewhere),
    gradient_norm, sharpness and stable_rate. `verdict` has the last one.
    Errors: ValueError for wrong options or shapes. Source: ours (T5, T10, T14 in bounds/THEORY.md).

    >>> import torch, clopsim
    >>> monitor = clopsim.Monitor("infonce", temperature=0.5, every=2)
    >>> first = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    >>> seen = [monitor(first, first + 0.1) for step in range(3)]
    >>> [bool(each) for each in seen], round(seen[0]["view_cosine"], 2), monitor.verdict
    ([True, False, True], 0.99, 'none')
    """

    def __init__(
        self,
        loss: str | Callable[..., Tensor],
        *,
        every: int = 100,
        temperature: float | None = None,
        gather: bool = False,
        sharpness_every: int = 0,
        stop: bool = False,
    ) -> None:
        """See the class."""
        whole_number("every", every, low=1)
        whole_number("sharpness_every", sharpness_every, low=0)
        if sharpness_every % every:
            raise ValueError(f"sharpness_every must be a multiple of every = {every}, got {sharpness_every}; 0: never")
        if temperature is not None:
            positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
        if isinstance(loss, str):
            loss = _named(loss, temperature)
        elif not callable(loss):
            raise ValueError(f"loss must be a name or a function of two views, got {loss!r}; see clopsim.losses")
        self.loss, self.every, self.gather = loss, every, gather
        self._temperature = temperature
        self.sharpness_every, self.stop = sharpness_every, stop
        self.judgement: Judgement | None = None  # of the last look
        self._kept: Kept = {"steps": 0, "row": 0, "spread": False, "warned": False}

    @property
    def temperature(self) -> float | None:
        """The one that was given, or that of the loss, which may be learned; None of a loss that has none."""
        return self._temperature if self._temperature is not None else _temperature(self.loss)

    @property
    def verdict(self) -> str | None:
        """Of the last look: complete, line, cluster, dimensional, views or none; None before the first."""
        return self.judgement.verdict if self.judgement else None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep."""
        return dict(State(**self._kept, judgement=list(self.judgement) if self.judgement else None))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from state_dict()."""
        if missing := set(self._kept) - set(state):
            raise ValueError(
                f"state must be that of state_dict(), got one without {', '.join(sorted(missing))}; save it"
            )
        self._kept = Kept(**{name: state[name] for name in self._kept})  # type: ignore[typeddict-item]
        judgement = state.get("judgement")  # older ones have none
        self.judgement = Judgement(*judgement) if judgement else None

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self,
        first: Tensor,
        second: Tensor,
        labels: Tensor | None = None,
        *,
        optimizer: torch.optim.Optimizer | None = None,
        model: nn.Module | None = None,
        inputs: Sequence[Tensor] | None = None,
    ) -> dict[str, float]:
        """Count a step; every so many of them look. See the class."""
        given = {"first": first, "second": second, **({} if labels is None else {"labels": labels})}
        for name, value in given.items():
            if not isinstance(value, Tensor):
                raise ValueError(f"{name} must be a tensor, got {type(value).__name__}; torch.as_tensor makes one")
        if not (optimizer is None or isinstance(optimizer, torch.optim.Optimizer)):
            raise ValueError(f"optimizer must be one of torch, got {shown(optimizer)}; leave it out for another one")
        step = self._kept["steps"]
        self._kept["steps"] += 1
        if step % self.every:
            return {}
        with torch.no_grad():
            found = self._look(first.detach(), second.detach(), labels, optimizer, step)
        if self.sharpness_every and step % self.sharpness_every == 0:
            found |= self._sharpness(model, inputs, labels, optimizer)
        return found

    def lightning_callback(self, *, prefix: str = "clopsim/") -> Any:
        """This monitor as a callback of Lightning, which logs through the module.

        training_step must return {"loss": ..., "views": (first, second)}, the embeddings, with "labels" if there are
        any; for the sharpness also "inputs": (first, second). With stop=True the trainer stops after the step.
        Errors: ImportError without the package (pip install "clopsim[lightning]").
        """
        from clopsim.training.lightning import callback

        return callback(self, prefix=prefix)

    def _look(
        self,
        first: Tensor,
        second: Tensor,
        labels: Tensor | None,
        optimizer: torch.optim.Optimizer | None,
        step: int,
    ) -> dict[str, float]:
        if not (first.is_floating_point() and second.is_floating_point()):
            raise ValueError(
                f"first and second must be floats, got {first.dtype} and {second.dtype}; give embeddings, not inputs"
            )
        if first.ndim != 2 or first.shape != second.shape:
            raise ValueError(
                f"first and second must have one shape (N, d), got {tuple(first.shape)} and {tuple(second.shape)}; "
                "give the embeddings of two views of the same samples"
            )
        eps = torch.finfo(first.dtype).eps
        if self.gather and torch.distributed.is_initialized():
            first, second = gather_rows(first), gather_rows(second)
            labels = None if labels is None else gather_rows(labels)
        raw = torch.stack([first, second])  # (2, N, d)
        groups = rates_of(optimizer)
        fastest = max(groups, key=lambda group: group.rate, default=None)
        squared = geometry.doubled(raw).square().sum(dim=-1)
        good = (squared.isfinite() & (squared > 0)).all(dim=0)
        if not bool(good.all()):
            raw, squared = raw[:, good], squared[:, good]
        found = {"norm": float(squared.mean().sqrt()), **self._losses(first, second, labels)}
        if (norm := _gradient_norm(optimizer)) is not None:
            found["gradient_norm"] = norm
        setting = self._setting(2 * raw.shape[1], first.shape[1], fastest)
        if setting is not None and fastest and fastest.rate > 0:
            found["effective_rate"] = float(effective_rate(fastest.rate, found["norm"] ** 2, setting))
        numbers, self.judgement = observed(raw, None if labels is None else labels[good], eps=eps)
        found |= numbers
        broken = int((~good).sum())
        collapsed = broken > 0 or (self.judgement is not None and self.judgement.verdict != "none")
        found["collapsed"] = float(collapsed)
        if self._alarming(collapsed, broken):
            advised = suggestion(setting, groups, found["norm"] ** 2)
            self._say(step, f"{broken} of {len(good)} samples" if broken else "", advised)
        return found

    def _alarming(self, collapsed: bool, broken: int) -> bool:
        """Count this look; True where it must be said."""
        kept = self._kept
        if not (collapsed or self.judgement):
            return False  # too few rows to tell
        way = 1 if collapsed else -1
        kept["row"] = kept["row"] + way if kept["row"] * way > 0 else way
        kept["spread"] |= not collapsed
        lasting = abs(kept["row"]) >= max(PATIENCE, math.ceil(STEPS / self.every))
        if lasting and not collapsed:
            kept["warned"] = False
        told = kept["warned"]
        kept["warned"] |= collapsed and (lasting or broken > 0)
        return kept["warned"] and not told

    def _losses(self, first: Tensor, second: Tensor, labels: Tensor | None) -> dict[str, float]:
        more = () if labels is None else (labels,)
        check_call_form(self.loss, "loss", labelled=bool(more))
        mean = unit_rows(torch.cat([first, second])).mean(dim=0)
        point = mean.expand_as(first)
        pair = [self.loss(*views, *more) for views in ((first, second), (point, point))]
        if any(isinstance(each, Tensor) and each.numel() != 1 for each in pair):
            raise ValueError(f"loss must give one number, got shape {tuple(pair[0].shape)}; reduce it to a mean")
        value, at_collapse = map(float, pair)
        return {"loss": value, "loss_over_collapse": value / at_collapse if at_collapse else math.nan}

    def _setting(self, count: int, dimension: int, rates: Rates | None) -> Setting | None:
        if self.temperature is None or rates is None or rates.kind != "sgd" or count < 4 or dimension < 2:
            return None
        return Setting(self.temperature, dimension, count, "full", "tangent", "symmetric", "mean", rates.momentum)

    def _say(self, step: int, broken: str, advised: str) -> None:
        state = "have collapsed" if self._kept["spread"] else "have not been spread so far"
        words = f"the embeddings {state}, in {self._kept['row']} looks in a row"
        if self.judgement:
            words += f": {self.judgement.rule}"
        if broken:
            words = f"{broken} have embeddings that are zero or not finite"
        words = f"step {step}: {words}. {advised}"
        if self.stop:
            raise Collapsed(words)
        if not (self.gather and torch.distributed.is_initialized() and torch.distributed.get_rank()):
            warnings.warn(words, CollapseWarning, stacklevel=5)

    def _sharpness(
        self,
        model: nn.Module | None,
        inputs: Sequence[Tensor] | None,
        labels: Tensor | None,
        optimizer: torch.optim.Optimizer | None,
    ) -> dict[str, float]:
        if model is None or inputs is None:
            raise ValueError("model and inputs must be given where a sharpness is due, got none; or sharpness_every=0")
        batch = (*inputs, labels) if labels is not None else tuple(inputs)
        found = stability(_bare(model), self.loss, [batch], optimizer=optimizer)
        rate = {} if found.rate is None else {"stable_rate": found.rate}
        return {"sharpness": found.sharpness, **rate}


def observed(raw: Tensor, labels: Tensor | None, *, eps: float) -> tuple[dict[str, float], Judgement | None]:
    """Scalars and verdict of the embeddings (2, N, d) of two views, all finite and none zero; None of too few.

    eps: the precision that they were computed in.
    """
    _, samples, d = raw.shape
    if samples < 1:
        return {}, None
    unit = geometry.unit(geometry.doubled(raw))
    cosine = float((unit[0] * unit[1]).sum(dim=-1).mean())
    length = float(unit.mean(dim=(0, 1)).norm())
    most = (ROWS if d <= WIDE else WIDE) // 2
    some = torch.linspace(0, samples - 1, min(samples, most), device=raw.device).round().long()
    z = unit[:, some].flatten(0, 1).cpu()  # (n, d): one transfer, the rest is small
    n = len(z)
    energy, centred = (_energies(z, eps=eps, centred=centring) for centring in (False, True))
    share = float(energy[0] / energy.sum())
    numbers = {
        "effective_rank": float(geometry.rank_of_energies(energy)),
        "mean_resultant_length": length,
        "view_cosine": cosine,
    }
    if n < FEWEST:
        return numbers, None
    places = np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).round().astype(np.int64))
    classes, count = None, 0
    if labels is not None and labels.ndim == 1:
        y = labels[some].cpu().numpy()
        known = np.unique(y[y >= 0])
        count = len(known) if len(known) > 1 else 0
        classes = np.tile(np.where(y >= 0, np.searchsorted(known, y), -1), 2)[places] if count else None
    total = 2 * samples
    mean_cosine = (total * length**2 - 1) / (total - 1)
    seen = Seen(
        min(1.0, length), share, centred, float(geometry.rank_of_energies(centred)), n, n, 1, d,
        sample=z[torch.from_numpy(places)], classes=classes, class_count=count,
        view_distance=2 * (1 - cosine), sample_distance=2 * (1 - mean_cosine),
    )  # fmt: skip
    return numbers, judge(seen)


def _energies(z: Tensor, *, eps: float, centred: bool) -> Tensor:
    """Energies of the directions of unit rows z (n, d), falling, rounding noise as zero; from the smaller matrix."""
    n, d = z.shape
    rounding = geometry.rounding_of(z.square().mean(dim=0), eps=eps, rows=n)
    moved = z - z.mean(dim=0) if centred else z
    if d <= n:
        return geometry.resolved(moved.T @ moved / n, torch.diag(rounding))
    return geometry.resolved(moved @ moved.T / n, (moved * rounding) @ moved.T / n, gram=True)


def rates_of(optimizer: torch.optim.Optimizer | None) -> list[Rates]:
    """What an optimiser does, group by group; nothing without one."""
    return [] if optimizer is None else [_rates(optimizer, group) for group in optimizer.param_groups]


def _rates(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> Rates:
    kind = type(optimizer).__name__
    if isinstance(optimizer, torch.optim.SGD):
        kind = "sgd"
    elif isinstance(optimizer, torch.optim.Adam) and decoupled(optimizer, group):
        kind = "adamw"
    momentum = group.get("momentum", group.get("betas", (0.0,))[0])
    return Rates(kind, float(group["lr"]), float(momentum), float(group.get("weight_decay", 0.0)))


def suggestion(setting: Setting | None, groups: Sequence[Rates], squared_norm: float) -> str:
    """What the theory suggests to a run that collapses, under an optimiser with these groups."""
    words = []
    if setting is not None and (threshold := alignment_uniform_rate(setting)) is not None:
        rate = max(group.rate for group in groups)
        words.append(about_rate(float(threshold), setting, rate=rate, squared_norm=squared_norm))
    words.append(about_decay(groups) or "Lower the rate, warm it up, or raise the batch.")
    words.append("Prototypes (clopsim.CLOP) leave no collapsed state stationary (T6).")
    return " ".join(filter(None, words))


def _named(name: str, temperature: float | None) -> Callable[..., Tensor]:
    """The registered loss of that name."""
    one_of("loss", name, get_args(LossName))
    if temperature is None and LOSSES[cast(LossName, name)].takes_temperature:
        raise ValueError(f"temperature must be given for {name}, got none; it is that of your loss")
    return by_name(cast(LossName, name), temperature=temperature or 1.0)


def _temperature(loss: Callable[..., Tensor]) -> float | None:
    """The temperature of an InfoNCE or DCL of this package, with prototypes or without; None of any other loss."""
    if isinstance(loss, CLOP):
        return _temperature(loss.base)
    if isinstance(loss, functools.partial) and loss.func in (info_nce, dcl):
        value = loss.keywords.get("temperature", 0.5 if loss.func is info_nce else 0.1)
        return float(value.detach() if isinstance(value, Tensor) else value)
    return None


def _gradient_norm(optimizer: torch.optim.Optimizer | None) -> float | None:
    groups = optimizer.param_groups if optimizer else []
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else None


def _bare(model: nn.Module) -> nn.Module:
    """The module inside DistributedDataParallel and torch.compile, whose graphs cannot be differentiated twice."""
    while isinstance(inner := getattr(model, "_orig_mod", getattr(model, "module", None)), nn.Module):
        if not (hasattr(model, "_orig_mod") or isinstance(model, nn.parallel.DistributedDataParallel)):
            break
        model = inner
    return model
