"""The loss that a card is about: a formula in the unit rows, whatever form it was given in."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.bounds.setting import positive_number, whole_number
from clopsim.cards.call import Broken, arguments, instance, scalar
from clopsim.losses.info import LossInfo
from clopsim.losses.registry import LOSSES
from clopsim.losses.views import shown
from clopsim.sphere.gradient import contrastive_loss

MERGED = "merged"
"""InfoNCE with one copy of every sample: the simulator's loss, not one of LOSSES."""

Form = Literal["cosine", "written", "matrix", "rows", "normalised"]

FORMS: Mapping[Form, str] = {
    "cosine": "The ambient gradient is that of the formula in the cosines, each written as z_i.z_j.",
    "written": "The ambient gradient is that of the formula as written, with squared lengths that are 1 on the sphere:"
    " putting the 1 there would change every ambient rate, and no tangent one.",
    "matrix": "The ambient gradient is that of the formula through the matrix of rows; through the cosines it would"
    " have other ambient rates, and the same tangent ones.",
    "rows": "It does not normalise its rows: the ambient gradient is that of the formula in rows put in with length 1.",
    "normalised": "It normalises inside, so its gradient has no radial part: the tangent step is the only one, at rate"
    " mu/|u|^2 for embeddings of length |u| (T10). An ambient step needs the formula without its normalisation; give a"
    " function of the cosines.",
}
"""How the ambient gradient is defined, in words: the loss on the sphere does not fix it."""

DEFAULT_TEMPERATURE = 0.5

USUAL_CLASSES = (4, 3, 2)
"""Tried in this order where nobody says how many classes there are."""

LARGEST = 2048
"""Of n times d: the matrix of second derivatives has its square entries."""

SEED = 0
"""Of everything that is drawn."""

SAME = 1e-9
"""Two values of a loss this close, relative to their size, are one: 64-bit rounding through sums of exponentials."""


@dataclass(frozen=True)
class Subject:
    """A loss as a function of unit rows, float64."""

    name: str
    formula: str  # one line, empty where nobody told
    reduction: str  # as the formula
    value: Callable[[Tensor], Tensor]  # of rows z (n, d), not normalised inside unless form says so -> scalar
    rows: int  # n
    dimension: int  # d
    classes: int  # K balanced classes; 0: none
    labels: Tensor  # (n,) class of every row, the same in both views; zeros without classes
    views: bool  # rows i and i + n/2 are the two views of a sample
    form: Form
    temperature: float | None = None  # None: none that the card set
    of_cosines: Callable[[Tensor], Any] | None = None  # somebody's function of the cosine matrix (n, n)
    noise: bool = False  # the loss has noise of its own, which is frozen here
    sees_lengths: bool = False  # of a function of the cosines: it reads z_i.z_i, which is 1 on the sphere

    @property
    def has_ambient(self) -> bool:
        """Whether there is an ambient gradient beside the tangent one."""
        return self.form != "normalised"


def subject_of(
    function: str | Callable[..., Any],
    *,
    temperature: float | None,
    dimension: int,
    samples: int,
    classes: int | None,
) -> Subject:
    """The loss in its setting, tried on random rows. Arguments and errors as clopsim.card, but for paths."""
    dimension = whole_number("dimension", dimension, low=2)
    samples = whole_number("samples", samples, low=2)
    if temperature is not None:
        positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    name = function if isinstance(function, str) else shown(function)
    if isinstance(function, str) and function == MERGED:
        subject = _merged(temperature, dimension, samples, classes)
    elif isinstance(function, str):
        if function not in LOSSES:
            known = ", ".join((MERGED, *LOSSES))
            raise ValueError(f"function must be {known} or FILE.py:NAME, got {function!r}; choose one of them")
        info = LOSSES[function]
        options: dict[str, Any] = {}
        if info.takes_temperature:
            options["temperature"] = DEFAULT_TEMPERATURE if temperature is None else temperature
        elif temperature is not None:
            raise ValueError(f"temperature must be left out for {function}, got {temperature:g}; that loss has none")
        subject = _registered(name, info, options, dimension, samples, classes)
    else:
        if not callable(function):
            raise ValueError(f"function must be callable, got {type(function).__name__}; give a loss, or its name")
        if temperature is not None:
            raise ValueError(
                f"temperature must be left out for a loss of yours, got {temperature:g}; set it inside the loss"
            )
        known_as = _registration(function)
        if known_as is None:
            subject = _anybodys(name, instance(function), dimension, samples, classes)
        else:
            subject = _registered(name, *known_as, dimension, samples, classes)
    return _tried(subject)


def _merged(temperature: float | None, dimension: int, samples: int, classes: int | None) -> Subject:
    tau = DEFAULT_TEMPERATURE if temperature is None else temperature
    setting = Setting(tau, dimension, samples, loss="merged")
    _not_too_large(samples, dimension)
    count, labels = _classes(classes, samples, dimension, views=False)
    return Subject(
        MERGED,
        "log sum_(a != i) exp(s_ia/tau), the two views of a sample at one place",
        "sum over the n rows",
        lambda z: contrastive_loss(z, tau, setting),
        samples,
        dimension,
        count,
        labels,
        views=False,
        form="cosine",
        temperature=tau,
    )


def _registered(
    name: str, info: LossInfo, options: Mapping[str, Any], dimension: int, samples: int, classes: int | None
) -> Subject:
    _not_too_large(2 * samples, dimension)
    count, labels = _classes(classes, samples, dimension, views=True)
    given = labels if count else None
    if info.needs_labels and given is None:
        raise ValueError(f"classes must be at least 2 for {name}, got none; that loss compares classes")
    form: Form
    if info.of_rows is not None:
        core, form = info.of_rows, options.get("written", info.written)

        def value(z: Tensor) -> Tensor:
            return scalar(core(z, given, **options))

    else:
        core, form = info.loss, "rows"

        def value(z: Tensor) -> Tensor:
            return scalar(core(z[:samples], z[samples:], None if given is None else given[:samples], **options))

    temperature = options.get("temperature")
    return Subject(
        name,
        info.formula,
        info.reduction,
        value,
        2 * samples,
        dimension,
        count,
        labels,
        views=True,
        form=form,
        temperature=float(temperature) if temperature is not None else None,
    )


def _registration(function: Callable[..., Any]) -> tuple[LossInfo, dict[str, Any]] | None:
    """The entry of LOSSES that a function is, with the options that partials set; None for anybody else's."""
    target, options = _peeled(function)
    for info in LOSSES.values():
        ours, own = _peeled(info.loss)
        if target is ours and all(options.get(key, value) == value for key, value in own.items()):
            return info, options
    return None


def _peeled(function: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    options: dict[str, Any] = {}
    while isinstance(function, partial) and not function.args:
        options = {**function.keywords, **options}
        function = function.func
    return function, options


def _anybodys(name: str, function: Callable[..., Any], dimension: int, samples: int, classes: int | None) -> Subject:
    taken = arguments(function)
    views = taken > 1
    rows = 2 * samples if views else samples
    _not_too_large(rows, dimension)
    count, labels = _classes(classes, samples, dimension, views=views)
    told = (inspect.getdoc(function) or "").strip().splitlines()

    def value(z: Tensor) -> Tensor:
        try:
            if not views:
                found = function(z @ z.mT)
            elif taken == 2:
                found = function(z[:samples], z[samples:])
            else:
                found = function(z[:samples], z[samples:], labels[:samples] if count else None)
        except Exception as error:
            given = f"{rows} x {rows} cosines" if not views else f"two views of shape ({samples}, {dimension})"
            raise Broken(error, f"to work on {given} in float64") from None
        return scalar(found)

    documented = told[0] if told and not isinstance(function, partial) else ""
    return Subject(
        name,
        documented,
        "as the loss is written",
        value,
        rows,
        dimension,
        count,
        labels,
        views=views,
        form="rows" if views else "cosine",
        of_cosines=None if views else function,
    )


def _not_too_large(rows: int, dimension: int) -> None:
    if rows * dimension > LARGEST:
        raise ValueError(
            f"samples must keep rows x dimension <= {LARGEST}, got {rows} x {dimension}; the rates of a few samples "
            "show how they grow"
        )


def _classes(classes: int | None, samples: int, dimension: int, *, views: bool) -> tuple[int, Tensor]:
    """The number of classes, and the class of every row: row i is in class i mod K, alike in both views."""
    alike = samples if views or samples % 2 else samples // 2
    if classes is None:
        count = next((k for k in USUAL_CLASSES if alike % k == 0 and k <= dimension), 0)
    else:
        count = whole_number("classes", classes, low=0)
        if count == 1:
            raise ValueError("classes must be 0 or at least 2, got 1; one class has nothing to be told from")
        if count and samples % count:
            raise ValueError(
                f"classes must divide the number of samples, got {count} for {samples}; the classes are of one size"
            )
    rows = torch.arange(samples) % count if count else torch.zeros(samples, dtype=torch.long)
    return count, torch.cat([rows, rows]) if views else rows


def _tried(subject: Subject) -> Subject:
    """The subject after a look at random rows. Errors: ValueError where it has no finite value or gradient there."""
    z = random_rows(subject)
    first, again = subject.value(z), subject.value(z)
    if not torch.equal(first, again) and not (first.isnan() and again.isnan()):
        subject = _frozen(subject)
        first = subject.value(z)
    if not bool(first.isfinite()):
        raise ValueError(
            f"function must be finite on random embeddings, got {float(first)}; it is tried on {subject.rows} unit "
            "rows, the cosines of which lie in (-1, 1) off the diagonal"
        )
    leaf = z.clone().requires_grad_()
    value = subject.value(leaf)
    slope = torch.autograd.grad(value, leaf, allow_unused=True)[0] if value.requires_grad else None
    if slope is None:
        raise ValueError(
            "function must be differentiable, got a value without a graph; use torch operations, and no detach(), "
            "item() or numpy()"
        )
    if not bool(slope.isfinite().all()):
        raise ValueError(
            "function must have a finite gradient on random embeddings, got nan or infinity; mind roots and logarithms "
            "of zero, and the diagonal"
        )
    if not bool(slope.abs().max() > 0):
        raise ValueError("function must depend on the embeddings, got a gradient of zero on random ones; check it")
    return _with_its_form(subject, z)


def _frozen(subject: Subject) -> Subject:
    """The same with its noise drawn from one seed at every call."""
    noisy = subject.value

    def value(z: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(SEED)
            return noisy(z)

    z = random_rows(subject)
    if not torch.equal(value(z), value(z)):
        raise ValueError("function must give one value for one input, got two; it keeps a state from call to call")
    return replace(subject, value=value, noise=True)


def _with_its_form(subject: Subject, z: Tensor) -> Subject:
    """What only a look at values can tell: whether a loss of views normalises, whether one of cosines reads s_ii."""
    lengths = torch.linspace(0.5, 2.0, subject.rows, dtype=z.dtype)[:, None]
    if subject.form == "rows":
        return replace(subject, form="normalised") if same(subject.value(lengths * z), subject.value(z)) else subject
    if subject.of_cosines is None:
        return subject
    cosines = (z @ z.mT).requires_grad_()
    (slope,) = torch.autograd.grad(scalar(subject.of_cosines(cosines)), cosines)
    reads = slope.diagonal().abs().max() > SAME * slope.abs().max()
    return replace(subject, sees_lengths=bool(reads))


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two values of a loss are one up to rounding."""
    return bool((one - other).abs() <= SAME * (1 + one.abs()))


def random_rows(subject: Subject, *, seed: int = SEED) -> Tensor:
    """(n, d) independent random unit rows, float64."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(subject.rows, subject.dimension, generator=generator, dtype=torch.float64)
    return z / z.norm(dim=-1, keepdim=True)
