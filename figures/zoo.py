"""The rates at which twelve losses give way fall on their closed forms.

Each point is one loss at one stationary state: complete collapse (T28, T37), the balanced line (T30, T35) or its own
optimum (T29, T31 to T34). The bisection knows no formula: over five decades it asks whether 1e-6 grows. In the CSV
too: the rank of random starts after 600 ambient steps at a rate of 30 tau, with and without prototypes.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, get_args

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from clopsim.audit.experiments.cosine_losses import cosine_loss, with_prototypes
from clopsim.audit.experiments.modes import Loss, step
from clopsim.bounds import (
    Gradient,
    PaucSetting,
    attracting_rates,
    class_loss,
    class_state,
    coding_optimum,
    collapse_spectrum,
    contrastive_slopes,
    line_rate,
    lorac_line,
    pauc_simplex,
    positive_weights,
    relaxed_collapse_rate,
    simo_optimum,
    unhinged_pull,
    unhinged_rate,
)
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import BLUE, GREEN, GREY, ORANGE, PAGE, STYLE, VERMILION, headline
from clopsim.losses.anti_collapse import anti_collapse_of_rows
from clopsim.losses.lorac import lorac_of_rows
from clopsim.losses.pauc import pauc_of_rows
from clopsim.losses.simo import simo_of_rows
from clopsim.losses.unhinged import unhinged_of_rows
from clopsim.metrics import geometry

SETTINGS = ((3, 4, 6, 0.5), (4, 4, 6, 0.2))
"""K classes of m embeddings, dimension d, temperature."""

GRAPHS: dict[str, tuple[str, dict[str, float]]] = {
    "NT-Xent": ("nt_xent", {}),
    "DCL": ("dcl", {}),
    "SupCon": ("supcon", {}),
    "BLCL style": ("blcl", {}),
    "FedRCL dense": ("fedrcl", {"penalty": 1.0}),
    "SsCL style 0.95": ("sscl", {"confidence": 0.95}),
    "merged": ("merged", {}),
}
"""Losses of cosines with classes, as T29 names them."""

STATES = {
    "a direction is lost at collapse": GREY,
    "collapse attracts": VERMILION,
    "the line attracts": ORANGE,
    "own optimum breaks (tangent)": GREEN,
    "own optimum breaks (ambient)": BLUE,
}
TOLERANCE = 0.01
"""Of a rate: a bisection to 0.2 % of steps that decide nothing closer than half a percent."""

SIZE, FAR, GONE = 1e-6, 1e-2, 1e-3
"""Of a perturbation; of one that has left for good; share of the first one below which it is gone."""

ROUNDING = 1e-12
"""A gradient that is none."""

LARGE, BEYOND = 30.0, 10.0
"""Ambient rate of the runs to the end, in units of the temperature; of losses without one, of their own optimum's."""


PAUC_WEIGHTS = {"prototypes": 6.0, "alignment": 0.1, "uniformity": 0.1, "correlation": 0.0}
PAUC = PaucSetting(classes=3, per_class=2, temperature=1.0, **PAUC_WEIGHTS)
"""Enough cross-entropy to the class means for the simplex to hold (T34)."""

OTHERS = {
    "SimO ratio": torch.arange(6) // 2,
    "Anti-Collapse": torch.arange(4) // 2,
    "unhinged": torch.arange(6) // 2,
    "LORAC smoothed": torch.arange(8) % 4,
    "PAUC style": (torch.arange(6) // 2).repeat(2),
}
"""Class (LORAC: sample) of every embedding."""

TAU = {"LORAC smoothed": 0.5, "PAUC style": 1.0}
SUMS = ("SimO ratio", "Anti-Collapse")
"""Losses of others() that are no mean over the embeddings."""


class Place(NamedTuple):
    """A state of a loss, and how its rate is found and predicted."""

    loss: str
    state: str  # of STATES
    gradient: Gradient
    value: Loss
    z: Tensor  # (n, d)
    move: Tensor  # (n, d): the perturbation
    inside: int  # of a perturbation inside groups of so many rows only those are followed; 0: all cosines are
    predicted: Callable[[], float | None]


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """The searched rate of every place, and of every loss how random starts end: arrays by place."""
    found = places(quick=quick)
    ends: dict[str, tuple[float, float]] = {}
    rates = []
    for number, place in enumerate(found):
        rates.append(searched(place))
        if place.loss not in ends:
            ends[place.loss] = ends_of(place, quick=quick)
        on_progress((number + 1) / len(found))
    both = np.array([ends[place.loss] for place in found])
    return {
        "observed": np.array(rates),
        "gradient_on_a_line": np.array([gradient_on_a_line(place) for place in found]),
        "rank": both[:, 0],
        "rank_with_prototypes": both[:, 1],
    }


def draw(run: Run) -> Drawing:
    """Predicted against observed, a colour for each kind of state; the same as a row for each loss."""
    found = places(quick=run.quick)
    predicted = [place.predicted() for place in found]
    gaps = [apart(float(seen), told) for seen, told in zip(run["observed"], predicted, strict=True)]
    told = np.array([np.nan if each is None else each for each in predicted])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.3), layout="constrained")
        diagonal, rows = figure.subplots(1, 2, width_ratios=(1, 1))
        ends = np.array([run["observed"].min() / 2, run["observed"].max() * 2])
        diagonal.plot(ends, ends, color=GREY, linewidth=0.8, zorder=1)
        losses = list(dict.fromkeys(place.loss for place in found))
        row = np.array([losses.index(place.loss) for place in found])
        keys = []
        for name, colour in STATES.items():
            mine = np.array([place.state == name for place in found])
            diagonal.plot(told[mine], run["observed"][mine], "o", color=colour, markersize=5, alpha=0.8)
            rows.plot(told[mine], row[mine], "o", color=colour, markersize=8, fillstyle="none")
            keys += rows.plot(run["observed"][mine], row[mine], "o", color=colour, markersize=4, label=name)
        diagonal.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
        diagonal.set(xlabel=r"critical rate, predicted $\mu$", ylabel=r"critical rate, observed $\mu$")
        worst = f"{len(found)} rates, largest gap {100 * max(gaps):.2f} %"
        diagonal.text(0.04, 0.93, worst, transform=diagonal.transAxes, weight="bold")
        rows.set(xscale="log", xlim=ends, xlabel=r"$\mu$ (ring: predicted, dot: observed)")
        rows.set_yticks(range(len(losses)), losses)
        rows.invert_yaxis()
        rows.grid(axis="y", color="#dddddd", linewidth=0.6)
        rows.tick_params(axis="y", length=0)
        figure.legend(handles=keys, loc="outside lower center", ncols=3, columnspacing=1)
        headline(figure, __doc__)
    numbers = {
        "loss": np.array([place.loss for place in found]),
        "state": np.array([place.state for place in found]),
        "n": np.array([len(place.z) for place in found]),
        "d": np.array([place.z.shape[1] for place in found]),
        "predicted": told,
        "observed": run["observed"],
        "gradient_on_a_line": run["gradient_on_a_line"],
        "rank": run["rank"],
        "rank_with_prototypes": run["rank_with_prototypes"],
    }
    return Drawing(figure, numbers, (Gap("searched rates from their closed forms, relative", max(gaps), TOLERANCE),))


def searched(place: Place) -> float:
    """The rate at which the state changes between holding and leaving, by bisection over five decades; nan: none."""
    low, high = 1e-2, 1e3
    leaves_low, leaves_high = leaves(place, low), leaves(place, high)
    if leaves_low == leaves_high:
        return math.nan
    while high / low > 1.002:
        middle = math.sqrt(low * high)
        if leaves(place, middle) == leaves_low:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def leaves(place: Place, rate: float) -> bool:
    """Whether a small perturbation grows, over the second half of the steps, and is not lost in rounding by then."""
    z = place.z + SIZE * place.move
    z = z / z.norm(dim=-1, keepdim=True)
    first, steps, sizes = size_of(place, z), 10 if place.inside else 240, []
    for count in range(1, steps + 1):
        z = step(place.value, z, rate, place.gradient)
        if count % (steps // 2) == 0:
            sizes.append(size_of(place, z))
        if (place.inside or count % 20 == 0) and not size_of(place, z) < FAR:
            return True
    return not sizes[1] < max(sizes[0], GONE * first)


def size_of(place: Place, z: Tensor) -> float:
    """How far the cosines are from those of the state, or the rows of a group from their mean."""
    if place.inside:
        groups = z.reshape(-1, place.inside, z.shape[1])
        return float((groups - groups.mean(dim=1, keepdim=True)).norm())
    return float((z @ z.mT - place.z @ place.z.mT).norm())


def places(*, quick: bool) -> list[Place]:
    """Every place of the picture."""
    found: list[Place] = []
    for K, m, d, tau in SETTINGS[: 1 if quick else None]:
        for loss, (name, numbers) in GRAPHS.items():
            found += of_graph(loss, name, {"classes": K, "per_class": m, "temperature": tau, **numbers}, d)
    return found + others()


def of_graph(loss: str, name: Any, given: dict[str, Any], d: int) -> list[Place]:
    """The places of a loss of T29's record at one setting."""
    K, m, tau = given["classes"], given["per_class"], given["temperature"]
    n, value = K * m, cosine_loss(name, **given)
    point = torch.eye(d, dtype=torch.float64)[[0] * n]
    line = point * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(n // 2)[:, None]
    found = []
    if name in ("nt_xent", "dcl", "sscl", "supcon"):
        group = m if name == "supcon" else 2
        apart_ = _normal(n, d).reshape(-1, group, d)
        apart_ = (apart_ - apart_.mean(dim=1, keepdim=True)).reshape(n, d)
        found.append(
            Place(
                loss, "a direction is lost at collapse", "tangent", value, point, apart_, group,
                partial(_lost, name, given, d),
            )
        )  # fmt: skip
    if name in ("merged", "fedrcl"):
        attracts = partial(_merged_attracts, given, d) if name == "merged" else partial(_collapse_attracts, given)
        found.append(Place(loss, "collapse attracts", "ambient", value, point, 1e2 * _normal(n, d), 0, attracts))
    if name in ("nt_xent", "dcl", "supcon", "fedrcl"):
        along = partial(_line_attracts, name, given)
        found.append(Place(loss, "the line attracts", "ambient", value, line, 1e2 * _normal(n, d), 0, along))
    own = {**given, "classes": n // 2, "per_class": 2} if name in ("nt_xent", "dcl") else given
    if name in ("nt_xent", "dcl", "supcon", "blcl") or (name == "sscl" and tau == SETTINGS[0][3]):
        z = simplex(own["classes"], d if own["classes"] <= d else own["classes"] - 1)
        z = z.repeat_interleave(own["per_class"], dim=0)
        for gradient in ("tangent", "ambient"):
            found.append(
                Place(
                    loss, f"own optimum breaks ({gradient})", gradient, cosine_loss(name, **own), z,
                    _normal(*z.shape), 0, partial(_optimum_breaks, name, own, z.shape[1], gradient),
                )
            )  # fmt: skip
    return found


def others() -> list[Place]:
    """SimO, Anti-Collapse, the unhinged loss, LORAC and the PAUC-style loss, each at one setting of its own."""
    K, m, d = 3, 2, 5
    frame = torch.eye(K, d, dtype=torch.float64).repeat_interleave(m, dim=0)
    labels = torch.arange(K * m) // m
    simo = partial(simo_of_rows, labels=labels, form="ratio", eps=0.1, olean=0.0)
    found = [
        Place("SimO ratio", "own optimum breaks (tangent)", "tangent", simo, frame, _normal(K * m, d), 0, _simo),
    ]
    rows = torch.eye(4, 6, dtype=torch.float64)
    coding = partial(anti_collapse_of_rows, eps=0.5, gamma=1.0)
    found.append(
        Place("Anti-Collapse", "own optimum breaks (tangent)", "tangent", coding, rows, _normal(4, 6), 0, _coding)
    )
    eye = torch.eye(K, d, dtype=torch.float64)
    unhinged = partial(unhinged_of_rows, labels=labels, directions=eye, gamma=0.0)
    found.append(
        Place("unhinged", "own optimum breaks (tangent)", "tangent", unhinged, frame, _normal(K * m, d), 0, _unhinged)
    )
    lorac = partial(lorac_of_rows, temperature=0.5, beta=15.0, smoothing=0.01, written="cosine")
    line = torch.eye(6, dtype=torch.float64)[[0] * 8]
    line = line * torch.tensor([1.0] * 4 + [-1.0] * 4, dtype=torch.float64)[:, None]
    found.append(Place("LORAC smoothed", "the line attracts", "ambient", lorac, line, 1e2 * _normal(8, 6), 0, _lorac))
    classes = torch.arange(6) // 2
    pauc = partial(pauc_of_rows, labels=classes.repeat(2), temperature=PAUC.temperature)
    pauc = partial(pauc, **PAUC_WEIGHTS)
    corners = simplex(3, 5)[classes].repeat(2, 1)
    for gradient in get_args(Gradient):
        name = f"own optimum breaks ({gradient})"
        found.append(Place("PAUC style", name, gradient, pauc, corners, _normal(12, 5), 0, partial(_pauc, gradient)))
    return found


def _lost(name: str, given: dict[str, Any], d: int) -> float | None:
    n, m = given["classes"] * given["per_class"], given["per_class"]
    samples, seen = np.arange(n) // 2, None
    if name == "dcl":
        seen = samples[:, None] != samples
    labels = np.arange(n) // m if name in ("supcon", "sscl") else None
    confidence = np.full(n, given["confidence"]) if "confidence" in given else None
    weights = positive_weights(samples, labels=labels, confidence=confidence)
    return collapse_spectrum(
        contrastive_slopes(weights, temperature=given["temperature"], seen=seen), dimension=d
    ).lost_rate("tangent")


def _merged_attracts(given: dict[str, Any], d: int) -> float | None:
    n = given["classes"] * given["per_class"]
    state = collapse_spectrum(contrastive_slopes(np.zeros((n, n)), temperature=given["temperature"]), dimension=d)
    return _above(state.curvatures.tolist(), float(state.pulls[0]))


def _collapse_attracts(given: dict[str, Any]) -> float | None:
    return relaxed_collapse_rate(**given)


def _line_attracts(name: Any, given: dict[str, Any]) -> float | None:
    own = {**given, "classes": given["classes"] * given["per_class"] // 2, "per_class": 2}
    return line_rate(name, **(own if name in ("nt_xent", "dcl") else given))


def _optimum_breaks(name: Any, given: dict[str, Any], d: int, gradient: Gradient) -> float | None:
    state = class_state(class_loss(name, **given), dimension=d)
    return _below(state.curvatures, state.pull, gradient)


def _simo() -> float | None:
    levels = simo_optimum(3, rows=2, eps=0.1, olean=0.0, form="ratio")
    return _below(levels[:3], levels.pull, "tangent")


def _coding() -> float | None:
    found = coding_optimum(4, dimension=6)
    return _below([found.highest], found.pull, "tangent")


def _unhinged() -> float:
    return unhinged_rate(unhinged_pull(3, gamma=0.0, directions="orthonormal").length, samples=6)


def _lorac() -> float | None:
    state = lorac_line(samples=8, temperature=0.5, beta=15.0, smoothing=0.01, written="cosine")
    return _above(state[:3], state.pull)


def _pauc(gradient: Gradient) -> float | None:
    found = pauc_simplex(PAUC, dimension=5)
    return _below([level.curvature for level in found.levels.values()], found.pull, gradient)


def _below(curvatures: Any, pull: float, gradient: Gradient) -> float | None:
    found = attracting_rates([c for c in curvatures if c], pull=pull, gradient=gradient)
    return None if found is None else found.below


def _above(curvatures: Any, pull: float) -> float | None:
    found = attracting_rates([c for c in curvatures if c], pull=pull, gradient="ambient")
    return None if found is None else found.above


def gradient_on_a_line(place: Place) -> float:
    """Norm of the tangent gradient where all rows are at one end of a random line, but the first at the other."""
    n, d = place.z.shape
    axis = _normal(1, d)
    ends = torch.where(torch.arange(n) == 0, -1.0, 1.0).double()[:, None]
    z = (ends * axis / axis.norm()).requires_grad_()
    (g,) = torch.autograd.grad(place.value(z), z)
    norm = float((g - (g * z).sum(dim=-1, keepdim=True) * z).detach().norm())
    return norm if norm > ROUNDING else 0.0


def ends_of(place: Place, *, quick: bool) -> tuple[float, float]:
    """Effective rank of runs from random starts at a large ambient rate, and of the same with prototypes of weight 1.

    K = 3 classes of 4 in d = 6, tau = 0.5, sum over the anchors: prototypes of weight 1 for each embedding. The losses
    of others() at their own setting, each embedding with the prototype of its class or sample; those that are a mean
    over the embeddings with the mean of the term.
    """
    if place.loss in GRAPHS:
        K, m, d, tau = SETTINGS[0]
        name, numbers = GRAPHS[place.loss]
        value = cosine_loss(name, classes=K, per_class=m, temperature=tau, **numbers)  # type: ignore[arg-type]
        labels, rate, weight = torch.arange(K * m) // m, LARGE * tau, 1.0
    else:
        value, (n, d) = place.value, place.z.shape
        labels = OTHERS[place.loss]
        rate = LARGE * TAU[place.loss] if place.loss in TAU else BEYOND * (place.predicted() or math.nan)
        weight = 1.0 if place.loss in SUMS else 1 / n
    held = with_prototypes(value, torch.eye(d, dtype=torch.float64)[labels], weight)
    ranks = []
    for one in (value, held):
        z = _normal(len(labels), d)
        z = z / z.norm(dim=-1, keepdim=True)
        for _ in range(60 if quick else 600):
            z = step(one, z, rate, "ambient")
        ranks.append(float(geometry.effective_rank(z)))
    return ranks[0], ranks[1]


def simplex(K: int, d: int) -> Tensor:
    """K unit vectors of equal cosine -1/(K-1), (K, d)."""
    corners = torch.linalg.svd(torch.eye(K, dtype=torch.float64) - 1 / K)[0][:, : K - 1]
    points = torch.zeros(K, d, dtype=torch.float64)
    points[:, : K - 1] = corners / corners.norm(dim=-1, keepdim=True)
    return points


def _normal(n: int, d: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
