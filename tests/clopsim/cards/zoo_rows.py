"""Losses with theorems of their own, T31 to T40."""

import math
from collections.abc import Iterable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from clopsim.bounds import (
    PaucSetting,
    adversarial_curvature,
    adversarial_rate,
    balance_factor,
    class_loss,
    class_mean_collapse,
    class_mean_loss,
    class_state,
    coding_classes,
    coding_collapse,
    coding_optimum,
    frozen_trimming_rate,
    guessed_collapse,
    guessed_view_rate,
    learned_class_rate,
    learned_direction_curvatures,
    line_slopes,
    line_state,
    lorac_collapse,
    lorac_line,
    pauc_class_curvature,
    pauc_classes,
    pauc_collapse,
    pauc_simplex,
    relaxed_collapse,
    relaxed_collapse_rate,
    relaxed_line,
    relaxed_line_rate,
    simo_collapse,
    simo_optimum,
    simo_split_curvature,
    spread_rate,
    trimmed_collapse,
    unhinged_pull,
    unhinged_rate,
)
from clopsim.cards import calculus, states
from clopsim.cards.subject import Subject, subject_of
from clopsim.losses.blcl import blcl_of_rows
from tests.clopsim.cards.contrast_rows import SHAPES, at_collapse
from tests.clopsim.cards.rows import Row, held, of_modes, over, shape


def guessed() -> Iterable[Row]:
    """T38 at collapse."""
    for (K, m, d, tau), q in product(SHAPES, (0.0, 0.6, 1.0)):
        n, told = K * m, {"classes": K, "per_class": m, "temperature": tau, "confidence": q}
        found = guessed_collapse(**told)
        levels = [(found.classes, (K - 1) * (d - 1)), (found.apart, n // 2 * (d - 1))]
        if found.together is not None:
            levels.append((found.together, K * (m // 2 - 1) * (d - 1)))
        lost = guessed_view_rate(**told)
        rates: Any = () if lost is None else (("ambient", n * lost), ("tangent", n * lost))
        options = {"confidence": q, "threshold": 0.0}
        yield Row("sscl", "point", over(n, levels), 0.0, shape(n // 2, d, classes=K, tau=tau), options, rates=rates)


def penalised() -> Iterable[Row]:
    """T37: collapse, the line, and two-level simplices, of which no level is known."""
    for (K, m, d, tau), beta in product(((3, 4, 4, 0.5), (2, 6, 3, 0.3)), (0.0, 0.3, 2.0)):
        n, told = K * m, {"classes": K, "per_class": m, "temperature": tau, "penalty": beta}
        point, line = relaxed_collapse(**told), relaxed_line(**told)
        about = shape(n // 2, d, classes=K, tau=tau)

        def mean(rate: float | None, n: int = n) -> float | None:
            return None if rate is None else n * rate

        levels = [(point.between or 0.0, (K - 1) * (d - 1)), (point.within, K * (m - 1) * (d - 1))]
        rates: Any = (("ambient", mean(relaxed_collapse_rate(**told))), ("tangent", None))
        yield Row("fedrcl_dense", "point", over(n, levels), point.pull / n, about, {"beta": beta}, rates=rates)
        numbers = (1, K - 1, K - 1, 2 * K * (m // 2 - 1))
        levels = [(c or 0.0, count * (d - 1)) for c, count in zip(line[1:], numbers, strict=True)]
        rates = (("ambient", mean(relaxed_line_rate(**told))), ("tangent", None))
        yield Row("fedrcl_dense", "line", over(n, levels), line.pull / n, about, {"beta": beta}, rates=rates)


def means() -> Iterable[Row]:
    """T36 at collapse, and the rate at which a class breaks up across the span of the simplex."""
    for K, m, d, tau in SHAPES:
        n, found = K * m, class_mean_collapse(temperature=tau)
        levels = [(found.classes, (K - 1) * (d - 1)), (found.within, K * (m - 1) * (d - 1))]
        about = shape(n // 2, d, classes=K, tau=tau)
        yield Row("blcl", "point", over(n, levels), 0.0, about, rates=(("ambient", None), ("tangent", None)))
    for K, m, d, tau in ((3, 4, 4, 0.5), (4, 2, 5, 1.0)):
        n, state = K * m, class_state(class_loss("blcl", classes=K, per_class=m, temperature=tau), dimension=d)
        rate = n * spread_rate(classes=K, temperature=tau)
        yield Row(
            "blcl", "simplex", over(n, of_modes(state.modes)), state.pull / n, shape(n // 2, d, classes=K, tau=tau),
            rates=(("tangent", rate),),
        )  # fmt: skip
        told: dict[str, Any] = {"classes": K, "per_class": m, "temperature": tau, "dimension": d}

        def rested(first: Tensor, second: Tensor, labels: Tensor, tau: float = tau) -> Tensor:
            """The balance at rest, sigma^2 = L."""
            return blcl_of_rows(torch.cat([first, second]), labels.repeat(2), temperature=tau).log() / 2

        levels = over(n * balance_factor(class_mean_loss(classes=K, temperature=tau)), of_modes(state.modes))
        learned = [learned_class_rate(**told, gradient=gradient) for gradient in ("ambient", "tangent")]
        yield Row(
            "blcl", "simplex", levels, state.pull / n / balance_factor(class_mean_loss(classes=K, temperature=tau)),
            shape(n // 2, d, classes=K), function=rested,
            rates=tuple((gradient, n * rate) for gradient, rate in zip(("ambient", "tangent"), learned, strict=True)),
        )  # fmt: skip


def coagulating() -> Iterable[Row]:
    """T34."""
    weights = ("prototypes", "alignment", "uniformity", "correlation", "t")
    for (K, m, d, tau), told in product(
        ((3, 2, 4, 0.5), (2, 3, 3, 1.0), (4, 1, 3, 0.3)), ((1.0, 1.0, 1.0, 1.0, 2.0), (3.0, 0.2, 0.5, 0.1, 1.5))
    ):
        options = dict(zip(weights, told, strict=True))
        setting = PaucSetting(K, m, tau, **options)
        for state, found in (
            ("point", pauc_collapse(setting, dimension=d)),
            ("simplex", pauc_simplex(setting, dimension=d)),
        ):
            yield Row(
                "pauc", state, list(found.levels.values()), found.pull, shape(K * m, d, classes=K, tau=tau), options
            )  # fmt: skip


def coagulating_with_prototypes() -> Iterable[Row]:
    """T34: the spread inside a class, across the span, where prototypes of a weight hold the classes."""
    for (K, m, d, tau), weight in product(((3, 2, 4, 0.5), (2, 3, 3, 1.0)), (0.5, 5.0)):
        setting = PaucSetting(K, m, tau)
        found = pauc_classes(setting, weight)
        c = pauc_class_curvature(setting, found.cosine) + weight * math.cos(found.angle) / setting.rows
        yield Row(
            "pauc", partial(held, angle=found.angle), [(c, K * (m - 1) * (d - K))], None,
            shape(K * m, d, classes=K, tau=tau), weight=weight, whole=False, turns=False,
        )  # fmt: skip


def low_rank() -> Iterable[Row]:
    """T35, with a smoothed norm in both forms."""
    for (N, d, tau, beta, delta), written in product(
        ((4, 4, 1.0, 15.0, 0.01), (6, 3, 0.5, 2.0, 0.1)), ("matrix", "cosine")
    ):
        options: dict[str, Any] = {"beta": beta, "smoothing": delta, "written": written}
        point = lorac_collapse(samples=2 * N, temperature=tau, **options)
        line = lorac_line(samples=2 * N, temperature=tau, **options)
        about = shape(N, d, tau=tau)
        numbers = (N - 1, N)
        levels = [(c, count * (d - 1)) for c, count in zip(point[:2], numbers, strict=True)]
        yield Row("lorac", "point", levels, point.pull, about, options)
        levels = [(c, count * (d - 1)) for c, count in zip(line[:3], (N - 1, N - 1, 1), strict=True)]
        yield Row("lorac", "line", levels, line.pull, about, options)


def turned_over(subject: Subject, opposite: int) -> Tensor:
    """Orthogonal classes, so many rows of each at the other end of its line."""
    z = states.orthonormal(subject)
    assert z is not None
    place = torch.stack([(subject.labels[:row] == subject.labels[row]).sum() for row in range(subject.rows)])
    return torch.where(place < opposite, -1.0, 1.0)[:, None].double() * z


def orthogonal() -> Iterable[Row]:
    """T31."""
    for form, (K, m, d), eps, olean in (
        ("pair", (3, 4, 5), None, None),
        ("pair", (2, 4, 3), 2.5, 0.05),
        ("pair", (6, 2, 7), 2.5, 0.0),
        ("ratio", (3, 4, 5), None, None),
        ("ratio", (4, 2, 4), 2.0, 0.0),
    ):
        name = "simo" if form == "pair" else "simo_ratio"
        told: dict[str, Any] = {"eps": eps, "olean": olean}
        n, about = K * m, shape(K * m // 2, d, classes=K)
        point = simo_collapse(K, rows=m, form=form, **told)
        numbers = (K - 1, m - 1, (K - 1) * (m - 1))
        levels = [(c, count * (d - 1)) for c, count in zip(point[:3], numbers, strict=True)]
        yield Row(name, "point", levels, point.pull, about, told)
        for weight in (0.0, 3.0):
            best = simo_optimum(K, rows=m, form=form, prototype_weight=weight, **told)
            pairs, inner = K * (K - 1) // 2, m - 1
            numbers = (K * inner * (d - K) + pairs * inner, pairs * inner, pairs)
            levels = list(zip(best[:3], numbers, strict=True))
            levels.append((weight / n, n * (d - 1) - sum(numbers)))
            yield Row(name, "orthonormal", levels, best.pull, about, told, weight=weight, turns=not weight)
        if olean == 0 or (form == "ratio" and olean is None):
            curvature = simo_split_curvature(m, opposite=1, eps=eps, form=form)
            yield Row(
                name, partial(turned_over, opposite=1), [(curvature, 1)], None, about, told, whole=False
            )  # fmt: skip


def tight_frame(subject: Subject) -> Tensor:
    """n rows over a simplex of d + 1 corners, alike many at each."""
    corners = torch.eye(subject.dimension + 1, dtype=torch.float64) - 1 / (subject.dimension + 1)
    z = corners @ torch.linalg.svd(corners).Vh[: subject.dimension].mT
    return calculus.unit(z)[torch.arange(subject.rows) % len(corners)]


def right_angles(subject: Subject) -> Tensor:
    return torch.eye(subject.rows, subject.dimension, dtype=torch.float64)


def coding() -> Iterable[Row]:
    """T32."""
    never: Any = (("ambient", None), ("tangent", None))
    for (N, d), eps, gamma in product(((4, 3), (3, 8)), (0.5, 1.0), (1.0, 0.3)):
        n, told = 2 * N, {"eps": eps, "gamma": gamma}
        point = coding_collapse(n, dimension=d, **told)
        for state in ("point", "line"):
            levels = [(point.curvature, (n - 1) * (d - 1))]
            yield Row("anti_collapse", state, levels, point.pull, shape(N, d), told, rates=never)
        best = coding_optimum(n, dimension=d, **told)
        place = right_angles if n <= d else tight_frame
        top: Any = (("tangent", 2 / best.highest),)
        yield Row("anti_collapse", place, [(best.highest, 1)], best.pull, shape(N, d), told, rates=top, whole=False)
    for (K, m, d), weight in product(((3, 4, 5), (4, 2, 4), (2, 4, 3)), (0.0, 2.0)):
        n, found = K * m, coding_classes(K, rows=m, dimension=d, prototype_weight=weight)
        numbers = ((n - K) * (d - K), K * (K - 1) * (m - 1), K * (K - 1) // 2)
        levels = [*zip(found[:3], numbers, strict=True), (weight / n, n * (d - 1) - sum(numbers))]
        about = shape(n // 2, d, classes=K)
        yield Row("anti_collapse", "orthonormal", levels, found.pull, about, weight=weight, turns=not weight)


def pulled(subject: Subject, q: Tensor) -> Tensor:
    """Every row where its class is pulled to."""
    return calculus.unit(q)[subject.labels]


def linear() -> Iterable[Row]:
    """T33: fixed directions, and learned ones at collapse."""
    for K, m, d, gamma, kind, weight in (
        (3, 4, 3, None, "simplex", 0.0),
        (3, 4, 5, 0.7, "simplex", 1.5),
        (4, 2, 4, 0.2, "orthonormal", 0.0),
        (2, 4, 3, 0.4, "orthonormal", 2.0),
    ):
        n, about = K * m, shape(K * m // 2, d, classes=K)
        c = states.frame(subject_of("infonce", **about | {"temperature": 1.0}), K)  # as the card takes its prototypes
        w = c if kind == "orthonormal" else calculus.unit(c - c.mean(dim=0))
        g = 1 / (K - 1) if gamma is None else gamma
        q = (1 + g) * w - g * w.sum(dim=0) + weight * c
        pull = unhinged_pull(K, gamma=gamma, directions=kind, weight=weight).length
        yield Row(
            "unhinged", partial(pulled, q=q), [(pull / n, n * (d - 1))], -pull / n, about,
            {"directions": w, "gamma": gamma}, rates=(("tangent", unhinged_rate(pull, samples=n)),), weight=weight,
            turns=False,
        )  # fmt: skip
    w = calculus.unit(torch.eye(3, dtype=torch.float64) - 1 / 3)  # its own directions
    pull = unhinged_pull(3).length
    yield Row(
        "unhinged", partial(pulled, q=w), [(pull / 12, 24)], -pull / 12, shape(6, 3, classes=3),
        rates=(("tangent", unhinged_rate(pull, samples=12)),), turns=False,
    )  # fmt: skip
    K, m, d = 3, 3, 3
    y = torch.arange(K * m) % K
    for gamma in (0.2, 0.5):

        def learned(cosines: Tensor, gamma: float = gamma) -> Tensor:
            of_rows = cosines[K:, :K]
            own = of_rows[torch.arange(K * m), y]
            return (gamma * of_rows.sum(dim=1) - (1 + gamma) * own).mean()

        found = learned_direction_curvatures(K, samples=K * m, gamma=gamma)
        levels = [
            (found.low, (K - 1) * (d - 1)),
            (found.high, (K - 1) * (d - 1)),
            (found.within, K * (m - 1) * (d - 1)),
        ]
        yield Row(
            "unhinged", "point", levels, None, shape(K + K * m, d), function=learned, whole=False
        )  # fmt: skip


def chosen(cosines: Tensor, *, kept: int, tau: float, full: bool) -> Tensor:
    """An L-statistic whose choice never changes: the first anchors, of either view in the full loss; sum reduction."""
    n = len(cosines)
    losses = torch.logsumexp((cosines / tau).masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf), dim=-1)
    if not full:
        return n / kept * losses[:kept].sum()
    losses = losses - cosines.roll(n // 2, dims=1).diagonal() / tau
    return n / kept * losses.reshape(2, -1)[:, : kept // 2].sum()


def trimmed() -> Iterable[Row]:
    """T39: the choice fixed, as where all losses are equal any choice is; pulls differ, so T27a has the rate."""
    for (n, k, d), tau, full in product(((12, 8, 3), (8, 6, 4), (10, 4, 3)), (0.4, 1.0), (False, True)):
        told: dict[str, Any] = {"samples": n, "kept": k, "temperature": tau, "loss": "full" if full else "merged"}
        found = trimmed_collapse(**told)
        together, apart = (k // 2 - 1, k // 2) if full else (k - 1, 0)
        numbers = (together, apart, n - k - 1, 1)
        levels = [(c, count * (d - 1)) for c, count in zip(found[:4], numbers, strict=True)]
        pulls = sorted((found.pull, found.trimmed_pull))
        function = partial(chosen, kept=k, tau=tau, full=full)
        yield Row(
            "lstat", "point", levels, (pulls[0], pulls[1]), shape(n, d), function=function,
            rates=(("ambient", frozen_trimming_rate(**told)), ("tangent", None)),
        )  # fmt: skip


def opposed() -> Iterable[Row]:
    """T40: an adversary over InfoNCE moves every curvature, and no pull."""
    for (K, m, d, tau), (sigma, entropy, steps) in product(SHAPES[:2], ((0.1, 1.0, 1), (0.3, 2.0, 3))):
        n, about = K * m, shape(K * m // 2, d, classes=K, tau=tau)
        told = {"sigma": sigma, "entropy": entropy, "steps": steps}
        N = n // 2
        line = line_state(line_slopes("nt_xent", classes=N, per_class=2, temperature=tau), classes=N, per_class=2)
        simplex = class_state(class_loss("nt_xent", classes=K, per_class=m, temperature=tau), dimension=d)
        point, _ = at_collapse("infonce", K, m, d, tau)
        for state, levels, pull in (
            ("point", over(1, [(n * c, count) for c, count in point]), 0.0),
            ("line", of_modes(line.modes, d - 1), line.pull),
            ("simplex", of_modes(simplex.modes), simplex.pull),
        ):
            moved = [(adversarial_curvature(c, reach=sigma**2 / entropy, steps=steps) or 0.0, by) for c, by in levels]
            yield Row("adt", state, over(n, moved), pull / n, about, told)
    K, m, d, tau = 3, 4, 4, 0.5  # where the best move is found to rounding
    n, reach = K * m, 0.1**2
    levels, _ = at_collapse("infonce", K, m, d, tau)
    best = [(adversarial_curvature(n * c, reach=reach) or math.nan, count) for c, count in levels]
    rate = adversarial_rate(n * levels[-1][0], reach=reach)
    rates: Any = (("ambient", n * (rate or math.nan)), ("tangent", n * (rate or math.nan)))
    yield Row("adt", "point", over(n, best), 0.0, shape(n // 2, d, classes=K, tau=tau), {"steps": 5}, rates=rates)
