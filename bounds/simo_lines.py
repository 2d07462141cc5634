"""T31: SimO's classes split over both ends of a line, minima too, and what its leaning towards alikeness does."""

import math
from functools import partial
from typing import TYPE_CHECKING, get_args

from clopsim.bounds.setting import number_from_zero, one_of, whole_number
from clopsim.bounds.simo import Form, checked_eps

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def simo_split_curvature(rows: int, *, opposite: int, eps: float | None = None, form: Form = "pair") -> float:
    """Curvature along which the rows of a class that is split over +c and -c would turn onto one end; m' opposite rows.

        ratio: 2 m (rho - 1)/(eps + p_m),  rho = 4 m' (m - m')/(eps + p_m)
        pair:  m (6 + 2 eps)/(5 + eps)^2                                                                  (tight)

    Other directions within the class are steeper. So in the pair form every split is a strict minimum (up to turns), in
    the ratio form one with eps below simo_split_limit: from random starts classes become orthogonal lines, not points.

    Valid for: orthonormal classes, 0 < m' < m. Source: T31 (ours). eps: None for the default of the form.
    """
    m, opposite = _split(rows, opposite)
    one_of("form", form, get_args(Form))
    eps = checked_eps(eps, form)
    if form == "pair":
        return m * (6 + 2 * eps) / (5 + eps) ** 2
    total = eps + m * (m - 1) / 2
    return 2 * m * (4 * opposite * (m - opposite) / total - 1) / total


def simo_split_limit(rows: int, *, opposite: int) -> float:
    """eps below which a split of a class is a strict minimum of the ratio form: 4 m' (m - m') - m(m-1)/2   (tight)

    Positive for 0.147 < m'/m < 0.853 in large classes. Below 0 the split never holds. Source: T31 (ours).
    """
    m, opposite = _split(rows, opposite)
    return 4 * opposite * (m - opposite) - m * (m - 1) / 2


def simo_leaning(olean: float) -> tuple[float, float, float]:
    """What olean does to the ratio form as eps -> 0: O/D of a set of classes, the cosine if all alike, the value of l.

        O/D = u = sqrt(olean/(1 - olean)),   s = -u + sqrt(u^2 + 2u),   l = 2 sqrt(olean (1 - olean))       (tight)

    The minimum is a whole manifold: every set of classes with this O/D, merged ones among them, has the same loss.
    olean = 1/137: cosine 0.337, 70 degrees instead of 90. In the pair form olean only scales.

    Valid for: 0 <= olean < 1/2, unit vectors. Source: T31 (ours).
    """
    number_from_zero("olean", olean, remedy="the authors' code has 1/137")
    if olean >= 0.5:
        raise ValueError(f"olean must be < 0.5, got {olean}; from there on the set is rather alike than orthogonal")
    u = math.sqrt(olean / (1 - olean))
    return u, -u + math.sqrt(u**2 + 2 * u), 2 * math.sqrt(olean * (1 - olean))


def _split(rows: int, opposite: int) -> tuple[int, int]:
    m, opposite = whole_number("rows", rows, low=2), whole_number("opposite", opposite, low=1)
    if opposite >= m:
        raise ValueError(f"opposite must be < rows, got {opposite} and {m}; with all of them nothing is split")
    return m, opposite


def _closed_forms(m: "sp.Expr", other: "sp.Expr", e: "sp.Expr", olean: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name, in m, m', eps and olean."""
    import sympy as sp

    total = e + m * (m - 1) / 2
    u = sp.sqrt(olean / (1 - olean))
    return {
        "split, ratio": 2 * m * (4 * other * (m - other) / total - 1) / total,
        "split, pair": m * (6 + 2 * e) / (5 + e) ** 2,
        "limit": 4 * other * (m - other) - m * (m - 1) / 2,
        "leaning, O/D": u,
        "leaning, cosine": -u + sp.sqrt(u**2 + 2 * u),
        "leaning, value": 2 * sp.sqrt(olean * (1 - olean)),
    }


def derive() -> "Derivation":
    """The two ends of a split class turned against each other by one angle; the rows of an end stay alike."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    m, other, e, olean, u = sp.symbols("m m' epsilon olean u", positive=True)
    angle = sp.Symbol("theta", real=True)
    claims = _closed_forms(m, other, e, olean)
    crossed = other * (m - other)  # pairs of rows at opposite ends, theta away from it
    far, near = 2 + 2 * sp.cos(angle), sp.cos(angle) ** 2
    ratio = crossed * far / (e + m * (m - 1) / 2 - crossed + crossed * near)
    pair = crossed / (1 + near / (e + far))
    length = crossed / m  # of the direction, squared, per squared angle
    lowest, cosine, value = (claims[f"leaning, {name}"] for name in ("O/D", "cosine", "value"))
    balance = olean / u + (1 - olean) * u
    zeros = {
        "split, ratio": ratio.diff(angle, 2).subs(angle, 0) / length - claims["split, ratio"],
        "split, pair": pair.diff(angle, 2).subs(angle, 0) / length - claims["split, pair"],
        "limit": (ratio.diff(angle, 2).subs(angle, 0) / length).subs(e, claims["limit"]),
        "leaning, O/D": balance.diff(u).subs(u, lowest),
        "leaning, value": balance.subs(u, lowest) ** 2 - value**2,  # both positive
        "leaning, cosine": (cosine**2 / (2 - 2 * cosine)) - lowest,
    }
    agreements = {}
    cases: tuple[tuple[int, int, str], ...] = ((3, 1, "1/10"), (7, 3, "5"))
    for form in get_args(Form):
        for rows, opposite, hinge in cases:
            at = {m: rows, other: opposite, e: sp.Rational(hinge)}
            code = partial(simo_split_curvature, rows, opposite=opposite, eps=float(sp.Rational(hinge)), form=form)
            agreements[f"simo_split_curvature, {form}, m = {rows}"] = Agreement(code, claims[f"split, {form}"].subs(at))
        default = sp.Rational(1, 137) if form == "pair" else sp.Rational(1, 10)
        agreements[f"simo_split_curvature, {form}, default eps"] = Agreement(
            partial(simo_split_curvature, 2, opposite=1, form=form),
            claims[f"split, {form}"].subs({m: 2, other: 1, e: default}),
        )
    agreements["simo_split_limit"] = Agreement(
        partial(simo_split_limit, 7, opposite=1), claims["limit"].subs({m: 7, other: 1})
    )
    for place, expression in enumerate((lowest, cosine, value)):
        agreements[f"simo_leaning, {place}"] = Agreement(
            entry(partial(simo_leaning, 1 / 137), place), expression.subs(olean, sp.Rational(1, 137))
        )
    return Derivation(
        theorem="T31",
        statement="Classes of SimO that are split over both ends of a line are minima: in the pair form always, in the"
        " ratio form below an eps.",
        steps=(
            Step("m' rows of a class at -c, the others at c; the ends turned against each other by theta. Pairs of one"
                 " end keep d = 0 and o = 1, the others have d = 2 + 2 cos theta, o = cos^2 theta. Ratio form:",
                 claims["split, ratio"], "c"),
            Step("positive for eps below", claims["limit"], "eps <"),
            Step("pair form, positive always", claims["split, pair"], "c"),
            Step("Rows of one end parted: the weights of their pairs are larger, so it costs more. Other classes are"
                 " orthogonal, and their products only add to the curvature"),
            Step("Ratio form, eps -> 0: l of a set of classes is olean/u + (1 - olean) u, u = O/D, least at",
                 lowest, "u"),
            Step("with equal cosines s, s^2/(2 - 2s) = u at", cosine, "s"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
