"""InfoNCE and its kin: any loss at collapse (T28), on classes (T29), on the line (T30); T2, T4, T12."""

from collections.abc import Iterable
from functools import partial
from itertools import product
from typing import Any

import torch

from clopsim.bounds import (
    Gradient,
    LineSlopes,
    Setting,
    alignment_collapse_rate,
    antipodal_line_rate,
    class_loss,
    class_state,
    collapse_rate,
    collapse_spectrum,
    contrastive_slopes,
    line_rate,
    line_slopes,
    line_state,
    positive_weights,
)
from tests.clopsim.cards.rows import Levels, Row, held, of_modes, over, shape

SHAPES = ((3, 4, 4, 0.5), (2, 6, 3, 0.3), (6, 2, 5, 1.0))  # K, m, d, tau; n = 12


def merged() -> Iterable[Row]:
    for n, d, tau in ((8, 4, 0.5), (7, 3, 0.2)):
        setting = Setting(tau, d, n)
        found = collapse_spectrum(contrastive_slopes(0 * torch.eye(n).numpy(), temperature=tau), dimension=d)
        levels = [(float(c), d - 1) for c in found.curvatures]
        rates: Any = (("ambient", float(collapse_rate(setting))), ("tangent", None))
        yield Row("merged", "point", levels, float(found.pulls[0]), shape(n, d, tau=tau), rates=rates)
    yield from of_classes("merged", "merged", views=False)


def at_collapse(name: str, K: int, m: int, d: int, tau: float, **told: Any) -> tuple[Levels, float]:
    """T28, mean over the anchors: curvatures of positives and softmax, by the graph."""
    n = K * m
    sample, y = torch.arange(n) % (n // 2), torch.arange(n // 2).repeat(2) % K
    labels = None if name in ("infonce", "dcl", "clip") else y.numpy()
    confidence = None if name != "sscl" else torch.full((n,), told["confidence"], dtype=torch.float64).numpy()
    other = (sample[:, None] == sample) & ~torch.eye(n, dtype=torch.bool)
    across = (torch.arange(n) < n // 2)[:, None] != (torch.arange(n) < n // 2)
    seen = {"dcl": ~other, "clip": across}.get(name)
    W = positive_weights(sample.numpy(), labels=labels, confidence=confidence)
    slopes = contrastive_slopes(W, temperature=tau, seen=None if seen is None else seen.double().numpy())
    found = collapse_spectrum(slopes / n, dimension=d)
    assert found.pull == 0
    return [(float(c), d - 1) for c in found.curvatures], 0.0


def contrasts() -> Iterable[Row]:
    """Complete collapse and the line of the registered contrasts."""
    names = ("infonce", "supcon", "supcon_in", "dcl", "clip", "sscl")
    for name, (K, m, d, tau) in product(names, SHAPES):
        about, n = shape(K * m // 2, d, classes=K, tau=tau), K * m
        told: dict[str, Any] = {"confidence": 0.95, "threshold": 0.0} if name == "sscl" else {}
        levels, pull = at_collapse("supcon" if name == "supcon_in" else name, K, m, d, tau, **told)
        rates: list[tuple[Gradient, float | None]] = []
        if name == "infonce":
            rate = float(alignment_collapse_rate(Setting(tau, d, n, loss="full", reduction="mean")))
            rates = [("ambient", rate), ("tangent", rate)]
        yield Row(name, "point", levels, pull, about, told, rates=tuple(rates))
        if name == "clip":
            P = 1 / (n // 2)  # of the other view's embeddings
            slopes, parts = LineSlopes(0.0, 2 / tau * P, 2 / tau * (P - 1), 0.0, 2 / tau * P), (n // 2, 2)
            rates = []
        else:
            registered, given = BOUND[name]
            parts = (n // 2, 2) if name in ("infonce", "dcl") else (K, m)
            given = given | ({"confidence": 0.95} if name == "sscl" else {})
            slopes = line_slopes(registered, classes=parts[0], per_class=parts[1], temperature=tau, **given)
            lost = line_rate(registered, classes=parts[0], per_class=parts[1], temperature=tau, **given)
            rates = [("ambient", None if lost is None else n * lost), ("tangent", None)]
            if name == "infonce":
                known = float(antipodal_line_rate(Setting(tau, d, n, loss="full", reduction="mean")))
                rates += [("ambient", known)]
        line = line_state(slopes, classes=parts[0], per_class=parts[1])
        yield Row(
            name, "line", over(n, of_modes(line.modes, d - 1)), line.pull / n, about, told, rates=tuple(rates)
        )  # fmt: skip


BOUND: dict[str, tuple[Any, dict[str, Any]]] = {
    "infonce": ("nt_xent", {}),
    "supcon": ("supcon", {}),
    "supcon_in": ("supcon", {"form": "in"}),
    "dcl": ("dcl", {}),
    "sscl": ("sscl", {}),
}
"""Names of bounds, and what the line takes beside them."""


def of_classes(name: str, registered: Any, *, views: bool = True, given: Any = None, **options: Any) -> Iterable[Row]:
    """T29: class points on a simplex, and held by prototypes; the merged loss is a sum."""
    for (K, m, d, tau), weight in product(((3, 4, 4, 0.5), (4, 2, 4, 0.3), (2, 6, 4, 1.0)), (0.0, 0.6, 5.0)):
        n = K * m
        loss = class_loss(registered, classes=K, per_class=m, temperature=tau, **(given or {}))
        state = class_state(loss, dimension=d, weight=weight)
        sum_of = 1 if name == "merged" else n
        about = shape(n // 2 if views else n, d, classes=K, tau=tau)
        yield Row(
            name, partial(held, angle=state.angle) if weight else "simplex",
            over(sum_of, of_modes(state.modes)), state.pull / sum_of, about, options,
            weight=weight * (n if name == "merged" else 1), turns=not weight,
        )  # fmt: skip


def classes() -> Iterable[Row]:
    for name in ("infonce", "supcon", "supcon_in", "dcl"):
        yield from of_classes(name, BOUND[name][0])
    for q in (0.6, 1.0):
        yield from of_classes("sscl", "sscl", given={"confidence": q}, confidence=q, threshold=0.0)
    for beta in (0.5, 1.0):
        yield from of_classes("fedrcl_dense", "fedrcl", given={"penalty": beta}, beta=beta)
    yield from of_classes("blcl", "blcl")


def samples_apart() -> Iterable[Row]:
    """T29 with every sample a class of its own: what InfoNCE and DCL descend to."""
    for name, state in product(("infonce", "dcl"), ("simplex", "optimum")):
        N, d, tau = 4, 4, 0.5
        found = class_state(class_loss(BOUND[name][0], classes=N, per_class=2, temperature=tau), dimension=d)
        yield Row(
            name, state, over(2 * N, of_modes(found.modes)), found.pull / (2 * N), shape(N, d, classes=N, tau=tau)
        )  # fmt: skip
