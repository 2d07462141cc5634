"""T26: LARS, the optimiser of the papers' code. Every layer turns by the same angle, whatever the gradient."""

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import Floats, Setting, positive_number, shown, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def lars_turn(rate: float) -> float:
    """Angle by which one step of LARS turns the weights of a layer whose scale the loss does not see, in radians.

        arctan(mu)                                        (tight)

    for u <- u - mu |u| g/|g|, whatever loss, gradient and temperature: the gradient is perpendicular to u.

    Valid for: a layer of any shape under a loss that does not change with its scale, such as a table of embeddings
    that are normalised, or weights before a batch norm; no weight decay, no momentum.
    Source: LARS of arXiv:1708.03888; T26 (ours).

    rate: mu > 0, learning rate times trust coefficient (0.3 B/256 times 0.001 in the code of arXiv:2403.18699).
    """
    _checked(rate)
    return math.atan(rate)


def lars_norm_growth(rate: float) -> float:
    """Factor by which one step of LARS lengthens such a layer.

        sqrt(1 + mu^2)                                    (tight)

    Valid for: as lars_turn. Source: T26 (ours).
    """
    _checked(rate)
    return math.sqrt(1 + rate**2)


def lars_view_cosine(rate: float) -> float:
    """Cosine of the two views on the swap, the fixed point of a table of embeddings under LARS.

        cos = 1/sqrt(1 + mu^2)                            (tight)

    whatever temperature and dimension: no rate is below an edge, as the step does not shrink with the gradient. Like
    T10's swap, with 1/sqrt(1 + mu^2) for 1 - mu w, it is a centre: one pair beside it circulates, turning by
    2 arctan(mu) per step, and what holds on every bounded orbit are the averages of lars_view_growth.

    Valid for: the full loss, the tangent gradient, the table as one layer, samples spread evenly; as lars_turn.
    Source: T26 (ours).
    """
    return 1 / lars_norm_growth(rate)


def lars_view_growth(
    cosine: Floats, squared_norm: Floats, *, rate: float, step: float, setting: Setting
) -> NDArray[np.float64]:
    """Factors by which one step of LARS multiplies a pair of views along and across their midpoint, beside the table's.

        along: (1 + (m/N) (1 - cos)) / sqrt(1 + mu^2),   across: (1 - (m/N) (1 + cos)) / sqrt(1 + mu^2)

    with N = |u|^2, m = pull c/tau, c = mu |table|/|gradient| the step that LARS takes; relative to the table's growth.
    T10's view_growth with 1 - mu w = 1/sqrt(1 + mu^2) and M = m/sqrt(1 + mu^2) (tight as n -> infinity): the mean
    logarithm of each |factor| over the steps is 0 on every orbit that stays bounded relative to the table.

    Valid for: as lars_view_cosine. Source: T26 (ours).

    cosine, squared_norm: any shape (...), of a pair of views and of either of them. Returns (2, ...).
    """
    shrink = lars_view_cosine(rate)
    positive_number("step", step, remedy="it is rate * |table| / |gradient|")
    without_momentum(setting)
    if setting.loss != "full" or setting.gradient != "tangent":
        raise ValueError(
            f"loss and gradient must be full and tangent, got {setting.loss!r} and {setting.gradient!r}; "
            "there is no pair of views, or no gradient through the norm, otherwise"
        )
    cosines, norms = np.broadcast_arrays(np.asarray(cosine, dtype=np.float64), np.asarray(squared_norm))
    if not np.all(norms > 0):
        raise ValueError(f"squared_norm must be > 0, got {shown(squared_norm)}; it is the square of a length")
    pull = setting.pull * step / setting.tau / norms
    return np.stack([shrink * (1 + pull * (1 - cosines)), shrink * (1 - pull * (1 + cosines))])


def _checked(rate: float) -> None:
    positive_number("rate", rate, remedy="it is the learning rate times the trust coefficient")


def _closed_forms(mu: "sp.Symbol") -> "dict[str, sp.Expr]":
    """Claimed turn (its tangent), growth and cosine of the swap."""
    import sympy as sp

    growth = sp.sqrt(1 + mu**2)
    return {"tangent": mu, "growth": growth, "cosine": 1 / growth}


def derive() -> "Derivation":
    """Euler's identity makes the step a leg of a right triangle; relative to the table the pair obeys T10's map."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, entry, every_setting, written_out
    from clopsim.bounds.free_norm import _growth

    mu, N, m, pull, tau, a = sp.symbols("mu N m pull tau a", positive=True)
    c = sp.Symbol("c", real=True)  # cosine of the views
    claims = _closed_forms(mu)
    growth, cosine = claims["growth"], claims["cosine"]

    # a loss of the direction alone, with any slopes f_k in the components of the direction
    u, slopes = sp.symbols("u1:4", real=True), sp.symbols("f1:4", real=True)
    length = sp.sqrt(sum(x**2 for x in u))
    euler = sum(x * slope * sp.diff(y / length, x) for x in u for y, slope in zip(u, slopes, strict=True))

    # one layer in the plane of u and g: u = (a, 0), g/|g| = (0, 1)
    moved = sp.Matrix([a, -mu * a])
    along, across = (1 + m / N * (1 - c)) / growth, (1 - m / N * (1 + c)) / growth
    decayed = _growth(c, m / growth, N, 1 / growth)  # T10's factors
    # all pairs on the swap: |table|^2 = n N, |g|^2 = n (pull/tau)^2 sin^2/N, so m/N = mu/sin
    pressure = mu / sp.sqrt(1 - cosine**2)
    swap = {m: pressure * N, c: cosine}
    agreements: dict[str, Agreement] = {}
    for rate in (sp.Rational(1, 4), sp.Integer(3)):
        for function, derived in (
            (lars_turn, sp.atan(claims["tangent"])), (lars_norm_growth, growth), (lars_view_cosine, cosine),
        ):  # fmt: skip
            agreements[f"{function.__name__}, mu = {rate}"] = Agreement(
                partial(function, float(rate)), derived.subs(mu, rate)
            )
        for setting in every_setting(0.5, 3, 8):
            if setting.loss == "merged" or setting.gradient == "ambient":
                continue
            here = {
                mu: rate,
                N: sp.Rational(3, 2),
                c: sp.Rational(5, 8),
                m: defined_pull(setting) * 2 * sp.Rational(3, 4),
            }
            growing = partial(lars_view_growth, 0.625, 1.5, rate=float(rate), step=0.75, setting=setting)
            for k, (way, factor) in enumerate((("along", along), ("across", across))):
                agreements[f"lars_view_growth, {way}, mu = {rate}, {written_out(setting)}"] = Agreement(
                    entry(growing, k), factor.subs(here)
                )
    return Derivation(
        theorem="T26",
        statement="Under LARS a layer whose scale the loss does not see turns by arctan(mu) and grows by sqrt(1 + mu^2)"
        " in every step; two views swap at cosine 1/sqrt(1 + mu^2), which is a centre as in T10.",
        steps=(
            Step("A loss that does not change with the scale of a layer has a gradient perpendicular to the layer"),
            Step("LARS steps by mu |u| along it: a right triangle with legs |u| and mu |u|. The turn has the tangent",
                 claims["tangent"], "tan(turn)"),
            Step("and the layer grows by", growth, "factor"),
            Step("With c = mu |table|/|g|, m = pull c/tau and N = |u|^2 a pair grows along its midpoint, relative to"
                 " the table, by", along, "factor"),
            Step("and across by", across, "factor"),
            Step("These are T10's factors with 1/sqrt(1 + mu^2) in the place of 1 - mu w and M = m/sqrt(1 + mu^2), so"
                 " T10's centre, its rotation by 2 arccos of that and its two averages follow. The swap has the cosine",
                 cosine, "cos phi"),
            Step("With all pairs on it the step of LARS is the one that this swap needs:", pressure, "m/N"),
        ),
        zeros={
            "the gradient is perpendicular": euler,
            "the turn": (moved[1] / moved[0]) ** 2 - claims["tangent"] ** 2,
            "the growth": moved.dot(moved) / a**2 - growth**2,
            "T10's factor along": along - decayed["along"],
            "T10's factor across": across - decayed["across"],
            "the swap keeps the midpoint": along.subs(swap) - 1,
            "the swap turns the difference": across.subs(swap) + 1,
            "the swap's angle is the layer's turn": (1 / cosine**2 - 1) - claims["tangent"] ** 2,
        },
        formulas={
            "lars_turn": sp.atan(claims["tangent"]),
            "lars_norm_growth": growth,
            "lars_view_cosine": cosine,
            "lars_view_growth, along": along.subs(m, pull * sp.Symbol("step") / tau),
            "lars_view_growth, across": across.subs(m, pull * sp.Symbol("step") / tau),
        },
        agreements=agreements,
    )  # fmt: skip
