"""T34: a PAUC-style loss (a reconstruction) where each class is at a point: which points, and when they hold."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from clopsim.bounds.arguments import fit_fields
from clopsim.bounds.setting import SMALLEST_TEMPERATURE, number_from_zero, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


ROUNDING = 1e-9
"""Of a cosine."""


@dataclass(frozen=True)
class PaucSetting:
    """A batch of K balanced classes of m samples, two views each, n = 2 K m; and the weights of the loss."""

    classes: int  # K >= 2
    per_class: int  # m >= 1 samples, two views each
    temperature: float = 0.5  # tau > 0
    prototypes: float = 1.0  # l_p of the cross-entropy to the class means
    alignment: float = 1.0  # l_a of |a_k - b_k|^2 between the class means of the views
    uniformity: float = 1.0  # l_u of the energy of the class means
    correlation: float = 1.0  # l_c of their squared cosines
    t: float = 2.0  # of the energy exp(-t |a_k - a_l|^2)

    def __post_init__(self) -> None:
        fit_fields(self)
        whole_number("classes", self.classes, low=2)
        whole_number("per_class", self.per_class, low=1)
        positive_number("temperature", self.temperature, remedy="typical values lie between 0.05 and 1")
        if self.temperature < SMALLEST_TEMPERATURE:
            raise ValueError(f"temperature must be >= {SMALLEST_TEMPERATURE}, got {self.temperature}; raise it")
        for name in ("prototypes", "alignment", "uniformity", "correlation"):
            number_from_zero(name, getattr(self, name), remedy="0 leaves the term out")
        positive_number("t", self.t, remedy="Wang and Isola take 2")

    @property
    def rows(self) -> int:
        """n = 2 K m."""
        return 2 * self.classes * self.per_class


class Shares(NamedTuple):
    """Of the softmaxes, where each class is at a point."""

    mate: float  # p, of one embedding of the anchor's class
    others: float  # Q, of all embeddings of other classes
    prototypes: float  # Q2, of the prototypes of other classes


def pauc_shares(setting: PaucSetting, cosine: float) -> Shares:
    """The shares of the softmaxes at class points of one cosine s between classes.

    p = 1/D,  Q = 2 m (K-1) x/D,  D = 2m - 1 + 2m (K-1) x;   Q2 = (K-1) x/(1 + (K-1) x);   x = e^((s-1)/tau)  (tight)
    """
    if not abs(cosine) <= 1 + ROUNDING:
        raise ValueError(f"cosine must be in [-1, 1], got {cosine!r}; it is that of two class means")
    K, m = setting.classes, setting.per_class
    x = math.exp((cosine - 1) / setting.temperature)
    D = 2 * m - 1 + 2 * m * (K - 1) * x
    return Shares(1 / D, 2 * m * (K - 1) * x / D, (K - 1) * x / (1 + (K - 1) * x))


def pauc_class_slope(setting: PaucSetting, cosine: float) -> float:
    """Slope of the loss in the cosine s between classes, all classes at points.

        F'(s) = Q/tau + l_p Q2/tau + 2 t l_u + 2 l_c s                                                    (tight)

    Valid for: K classes at points with equal cosines, the views alike. Source: T34 (ours).
    """
    share = pauc_shares(setting, cosine)
    contrast = (share.others + setting.prototypes * share.prototypes) / setting.temperature
    return contrast + 2 * setting.t * setting.uniformity + 2 * setting.correlation * cosine


def pauc_class_curvature(setting: PaucSetting, cosine: float) -> float:
    """Curvature as samples spread inside their class, both views of each alike, across the span of the classes.

        h = [ l_p Q2 (1 - s) - 2 (s Q + 2 m p) ] / (n tau)                                                (tight)

    Positive: the class holds together. Alignment, uniformity and correlation are not in it: they are terms on class
    means, which this spread does not move. A prototype of weight lambda (mean over the rows) at the angle theta adds
    lambda cos(theta)/n.

    Valid for: as pauc_class_slope, m >= 2, d > K - 1. Source: T34 (ours).
    """
    share, m = pauc_shares(setting, cosine), setting.per_class
    pull = setting.prototypes * share.prototypes * (1 - cosine)
    return (pull - 2 * (cosine * share.others + 2 * m * share.mate)) / (setting.rows * setting.temperature)


def pauc_critical_prototypes(setting: PaucSetting) -> float:
    """Weight l_p above which every class falls onto a point ("coagulates"), the classes on a simplex.

        l_p* = 2 (s Q + 2 m p)/(Q2 (1 - s)),   s = -1/(K-1)                                               (tight)

    No other weight matters, while l_c is below pauc_critical_correlation.

    Valid for: m >= 2, d > K - 1; small steps of either gradient. Source: T34 (ours). inf where Q2 rounds to 0.
    """
    _check_inside(setting)
    s, m = _simplex_cosine(setting), setting.per_class
    share = pauc_shares(setting, s)
    spread = 2 * (s * share.others + 2 * m * share.mate)
    return spread / (share.prototypes * (1 - s)) if share.prototypes else math.inf


def pauc_critical_correlation(setting: PaucSetting) -> float:
    """Weight l_c up to which classes at points go to the simplex; above it they open towards right angles, rank K.

        l_c* = (K-1)/2 [ Q/tau + l_p Q2/tau + 2 t l_u ],   the shares at s = -1/(K-1)                     (tight)

    Valid for: class points (l_p above its critical value), d >= K. Source: T34 (ours).
    """
    return (setting.classes - 1) / 2 * pauc_class_slope(replace(setting, correlation=0.0), _simplex_cosine(setting))


class PaucClasses(NamedTuple):
    """Where prototypes and the loss hold the classes."""

    angle: float  # theta between a class and its prototype
    cosine: float  # s between two classes


def pauc_classes(setting: PaucSetting, weight: float) -> PaucClasses:
    """Class points with orthonormal prototypes, theta the root of

        lambda sin(theta) = 2 F'(s) W U/(K-1),   s = (W^2 - 1)/(K-1)                                      (tight)
        W = cos(theta) - sqrt(K-1) sin(theta),   U = sin(theta) + sqrt(K-1) cos(theta)

    between 0 (all weight on the prototypes) and the simplex, tan(theta) = 1/sqrt(K-1), at weight 0.

    Valid for: l_c below pauc_critical_correlation, d >= K. Source: T34 (ours), T8's state with this loss's slope.
    weight: lambda >= 0 of the prototype term, a mean over the labelled rows.
    """
    number_from_zero("weight", weight, remedy="0 leaves the simplex")
    _check_simplex(setting)
    theta = _root(lambda theta: _weight_at(setting, theta) - weight, setting)
    return PaucClasses(theta, _cosine_at(setting, theta))


def pauc_critical_weight(setting: PaucSetting) -> float:
    """Prototype weight above which every class is a point: the root in lambda, with theta and s of pauc_classes, of

        l_p Q2 (1 - s) - 2 (s Q + 2 m p) + lambda tau cos(theta) = 0                                      (tight)

    0 where the classes are points without prototypes, l_p >= l_p*.

    Valid for: as pauc_classes, m >= 2, d > K; small steps. Source: T34 (ours).
    """
    _check_inside(setting)
    _check_simplex(setting)
    if pauc_class_curvature(setting, _simplex_cosine(setting)) >= 0:
        return 0.0

    def holds(theta: float) -> float:
        inside = pauc_class_curvature(setting, _cosine_at(setting, theta)) * setting.rows
        return inside + _weight_at(setting, theta) * math.cos(theta)

    return _weight_at(setting, _root(holds, setting))


def _simplex_cosine(setting: PaucSetting) -> float:
    return -1 / (setting.classes - 1)


def _cosine_at(setting: PaucSetting, theta: float) -> float:
    """s between classes that each stand theta from their prototype."""
    W = math.cos(theta) - math.sqrt(setting.classes - 1) * math.sin(theta)
    return (W**2 - 1) / (setting.classes - 1)


def _weight_at(setting: PaucSetting, theta: float) -> float:
    """lambda that holds the classes at theta."""
    root = math.sqrt(setting.classes - 1)
    W, U = math.cos(theta) - root * math.sin(theta), math.sin(theta) + root * math.cos(theta)
    slope = pauc_class_slope(setting, _cosine_at(setting, theta))
    return 2 * slope * W * U / ((setting.classes - 1) * math.sin(theta))


def _root(f: Callable[[float], float], setting: PaucSetting) -> float:
    """theta between 0, where f is positive, and the simplex, where it is not."""
    low, high = 0.0, math.atan(1 / math.sqrt(setting.classes - 1))
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return high


def _check_inside(setting: PaucSetting) -> None:
    if setting.per_class < 2:
        raise ValueError(f"per_class must be >= 2 here, got {setting.per_class}; one sample has no inside to spread")


def _check_simplex(setting: PaucSetting) -> None:
    most = pauc_critical_correlation(setting)
    if setting.correlation >= most:
        raise ValueError(
            f"correlation must be below {most:.4g}, got {setting.correlation:g}; above, classes leave the simplex on "
            "their own"
        )


def _closed_forms(symbols: "dict[str, sp.Symbol]") -> "dict[str, sp.Expr]":
    """What is claimed of class points, by name; p, Q and Q2 are the shares."""
    K, m, tau, s, p, Q, Q2, l_p, _, l_u, l_c, t = symbols.values()
    spread = s * Q + 2 * m * p
    return {
        "slope": Q / tau + l_p * Q2 / tau + 2 * t * l_u + 2 * l_c * s,
        "curvature": (l_p * Q2 * (1 - s) - 2 * spread) / (2 * K * m * tau),
        "l_p*": 2 * spread / (Q2 * (1 - s)),
        "l_c*": (K - 1) / 2 * (Q / tau + l_p * Q2 / tau + 2 * t * l_u),
    }


def derive() -> "Derivation":
    """The loss of class points in closed form; the spread inside a class by the first two orders of all cosines."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry
    from clopsim.bounds.second_order import names, second_order, shares_in, within

    symbols = names()
    K, m, tau, s, _, _, _, l_p, l_a, l_u, l_c, t = symbols.values()
    theta = sp.symbols("theta", positive=True)
    claims = _closed_forms(symbols)
    together = sp.exp(1 / tau)
    F = (
        sp.log((2 * m - 1) * together + 2 * m * (K - 1) * sp.exp(s / tau))
        + l_p * sp.log(together + (K - 1) * sp.exp(s / tau))
        - (1 + l_p) / tau
        - 2 * l_u * t * (1 - s)
        + l_c * s**2
    )
    shares = shares_in(symbols)
    spread = second_order(within(symbols, together=True), symbols)
    root = sp.sqrt(K - 1)
    W, U = sp.cos(theta) - root * sp.sin(theta), sp.sin(theta) + root * sp.cos(theta)
    p_, q_ = sp.cos(theta), -sp.sin(theta) / root  # coordinates of a class on its own and another prototype
    cosine, simplex = (W**2 - 1) / (K - 1), -1 / (K - 1)
    held = 2 * W * U / ((K - 1) * sp.sin(theta))  # lambda over F'(s)
    agreements: dict[str, Agreement] = {}
    for classes, per_class, temperature, weight in ((8, 2, "1", "1/4"), (4, 3, "1/2", "2")):
        numbers = {
            K: classes, m: per_class, tau: sp.Rational(temperature), l_p: sp.Rational(weight), l_a: sp.Rational(3, 2),
            l_u: sp.Rational(7, 10), l_c: sp.Rational(2, 5), t: sp.Rational(9, 5),
        }  # fmt: skip
        setting = PaucSetting(classes, per_class, float(numbers[tau]), float(numbers[l_p]), 1.5, 0.7, 0.4, 1.8)
        where = f"K = {classes}, m = {per_class}"

        def at(claim: str, value: sp.Expr, numbers=numbers) -> sp.Expr:  # type: ignore[no-untyped-def]
            return claims[claim].subs(shares).subs(s, value).subs(numbers)

        for value in (sp.Rational(-1, 10), sp.Rational(3, 10)):
            agreements[f"slope, {where}, s = {value}"] = Agreement(
                partial(pauc_class_slope, setting, float(value)), at("slope", value)
            )
            agreements[f"curvature, {where}, s = {value}"] = Agreement(
                partial(pauc_class_curvature, setting, float(value)), at("curvature", value)
            )
        agreements[f"l_p*, {where}"] = Agreement(partial(pauc_critical_prototypes, setting), at("l_p*", simplex))
        agreements[f"l_c*, {where}"] = Agreement(partial(pauc_critical_correlation, setting), at("l_c*", simplex))
        by_angle = (held * claims["slope"]).subs(shares).subs(s, cosine).subs(numbers)
        angle = sp.Rational(1, 5)
        hold = partial(pauc_classes, setting, float(sp.N(by_angle.subs(theta, angle), 20)))
        for place, value in enumerate((angle, cosine.subs(numbers).subs(theta, angle))):
            name = f"pauc_classes, {PaucClasses._fields[place]}, {where}"
            agreements[name] = Agreement(entry(hold, place), value, tolerance=1e-11)  # a root
        inside = (2 * K * m * claims["curvature"]).subs(shares).subs(s, cosine).subs(numbers)
        if pauc_class_curvature(setting, -1 / (classes - 1)) < 0:
            crossing = sp.nsolve(inside + by_angle * sp.cos(theta), theta, 0.2, prec=30)
            agreements[f"lambda*, {where}"] = Agreement(
                partial(pauc_critical_weight, setting), by_angle.subs(theta, crossing), tolerance=1e-11
            )
        stuck = replace(setting, prototypes=1e3)
        agreements[f"lambda*, {where}, l_p above l_p*"] = Agreement(partial(pauc_critical_weight, stuck), 0)
    return Derivation(
        theorem="T34",
        statement="A PAUC-style loss holds each class at a point iff l_p > l_p*, which neither alignment nor uniformity"
        " nor correlation of the class means can change.",
        steps=(
            Step("Each class at a point, cosine s between classes. The loss is", F, "L"),
            Step("Its slope in s:", claims["slope"], "L'"),
            Step("It rises with s from -1/(K-1) on if it is positive there, and the simplex is its minimum: l_c below",
                 claims["l_c*"], "l_c <"),
            Step("One sample of a class moves across the span by epsilon, its mates balance it, the views alike. By the"
                 " second order of all cosines the curvature is", claims["curvature"], "curvature"),
            Step("without l_a, l_u and l_c: the class means do not move at second order. It is 0 at",
                 claims["l_p*"], "l_p"),
            Step("Prototypes hold class k at cos(theta) c_k - sin(theta) sum_(l != k) c_l/sqrt(K-1); the cosine of two"
                 " classes is", cosine, "s"),
            Step("and F(s) + lambda (1 - cos theta) is stationary at", held * sp.Symbol("F'"), "lambda"),
            Step("Along it the prototypes add lambda cos(theta)/n to the curvature (T27)"),
        ),
        zeros={
            "slope": F.diff(s) - claims["slope"].subs(shares),
            "curvature": sp.cancel(spread - claims["curvature"]),
            "no term on class means": spread.diff(l_a) + spread.diff(l_u) + spread.diff(l_c),
            "l_p*": claims["curvature"].subs(l_p, claims["l_p*"]),
            "l_c*": claims["slope"].subs(l_c, claims["l_c*"]).subs(s, simplex),
            "cosine with prototypes": sp.expand_trig(2 * p_ * q_ + (K - 2) * q_**2 - cosine),
            "stationary with prototypes": cosine.diff(theta) + held * sp.sin(theta),
        },
        formulas=claims | {"cosine with prototypes": cosine, "lambda over F'": held},
        agreements=agreements,
    )  # fmt: skip
