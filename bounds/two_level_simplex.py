"""T37: where FedRCL's classes settle, in the dense form of relaxed_penalty: points, or two-level simplices."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clopsim.bounds.critical_weight import sign_change
from clopsim.bounds.relaxed_penalty import Group, group_curvature
from clopsim.bounds.setting import number_from_zero, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


class TwoLevelSimplex(NamedTuple):
    """Where the classes settle when they are no points: the cosines inside a class and between classes."""

    within: float  # r
    between: float  # s


def class_point_penalty(*, classes: int, per_class: int, temperature: float) -> float:
    """beta_E = Q [m/(m - 1) + 1/(K - 1)]: above it the classes are no longer points on a simplex.

        Q = (n - m) x/(1 + (n - m) x),   x = e^(-K/((K - 1) tau))                                         (tight)

    Small at low temperature: there any sizeable penalty keeps spread inside the classes.

    Valid for: K >= 2, m >= 2, d >= K; the sum or the mean. Source: T37 (ours), by T29.
    """
    K, m = whole_number("classes", classes, low=2), whole_number("per_class", per_class, low=2)
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    x = math.exp(-K / ((K - 1) * temperature))
    Q = (K - 1) * m * x / (1 + (K - 1) * m * x)
    return Q * (m / (m - 1) + 1 / (K - 1))


def two_level_simplex(*, classes: int, per_class: int, temperature: float, penalty: float) -> TwoLevelSimplex:
    """The symmetric state in which the classes settle, with room for it: d >= n - 1, no threshold on the penalty.

        beta m rho = Q [m/(m - 1) + 1/(K - 1)],   r = (m y - 1)/(m - 1),   s = -y/(K - 1),   0 <= y <= 1
        Q = (n - m) e^((s - r)/tau)/(1 + (n - m) e^((s - r)/tau)),   rho = e^((r - 1)/tau)/(1 + (m - 1) e^((r - 1)/tau))

    y is the squared length of a class mean. Up to class_point_penalty y = 1, class points; for a penalty so large that
    the equation has no root y = 0, where a class is a simplex of its own and the classes are at right angles.

    Valid for: K >= 2, m >= 2. tight: the state is stationary; that it is where descent ends is measured.
    Source: T37 (ours).
    """
    beta_E = class_point_penalty(classes=classes, per_class=per_class, temperature=temperature)
    number_from_zero("penalty", penalty, remedy="0 leaves the penalty out")
    K, m = classes, per_class
    if penalty <= beta_E:
        return TwoLevelSimplex(1.0, -1 / (K - 1))
    excess = partial(_log_penalty, classes=K, per_class=m, temperature=temperature)
    opening = (
        1.0 if excess(1.0) <= math.log(penalty) else sign_change(lambda u: excess(u) - math.log(penalty), 0.0, 1.0)
    )
    return TwoLevelSimplex(1 - m * opening / (m - 1), -(1 - opening) / (K - 1))


def _log_penalty(opening: float, *, classes: int, per_class: int, temperature: float) -> float:
    """log of the penalty that holds the two-level simplex at 1 - y; rises with it."""
    K, m = classes, per_class
    near = -m * opening / ((m - 1) * temperature)  # (r - 1)/tau
    far = math.log((K - 1) * m) + (-(1 - opening) / (K - 1) - 1) / temperature - near  # log (n - m) e^((s - r)/tau)
    log_Q = -float(np.logaddexp(0.0, -far))
    log_rho = near - math.log1p((m - 1) * math.exp(near))
    return log_Q + math.log((m / (m - 1) + 1 / (K - 1)) / m) - log_rho


def _closed_forms(
    K: "sp.Symbol", m: "sp.Symbol", tau: "sp.Symbol", y: "sp.Symbol", r: "sp.Symbol", s: "sp.Symbol"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name; the penalty that holds two levels is the equation, solved for it."""
    import sympy as sp

    x, E, F = sp.exp(-K / ((K - 1) * tau)), sp.exp(s / tau) / sp.exp(r / tau), sp.exp((r - 1) / tau)
    share = m / (m - 1) + 1 / (K - 1)
    Q, rho = (K - 1) * m * E / (1 + (K - 1) * m * E), F / (1 + (m - 1) * F)
    return {
        "class_point_penalty": (K - 1) * m * x / (1 + (K - 1) * m * x) * share,
        "within": (m * y - 1) / (m - 1),
        "between": -y / (K - 1),
        "penalty": Q * share / (m * rho),
    }


def derive() -> "Derivation":
    """A class spreads across the simplex of class points; the force of one anchor at the two-level simplex."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    K, m, tau, beta, y, u, v = sp.symbols("K m tau beta y u v", positive=True)
    eps, r, s = sp.symbols("epsilon r s", real=True)
    claims = _closed_forms(K, m, tau, y, r, s)
    one, held = sp.Integer(1), claims["class_point_penalty"]
    groups = [Group("one", one, one), Group("one", one, m - 1), Group("others", K - 1, (K - 1) * m)]
    angles = [eps, -eps / (m - 1), sp.Integer(0)]
    across = group_curvature(groups, angles, eps, tau=tau, beta=beta, between=-1 / (K - 1))
    # one anchor: a positive at u, the others at r; a negative at v, the others at s
    negatives = sp.exp(v / tau) + ((K - 1) * m - 1) * sp.exp(s / tau)
    anchor = (sp.log(1 + negatives / sp.exp(u / tau)) + (m - 2) * sp.log(1 + negatives / sp.exp(r / tau))) / (m - 1)
    anchor += beta * sp.log(1 + sp.exp((u - 1) / tau) + (m - 2) * sp.exp((r - 1) / tau))
    levels = {r: claims["within"], s: claims["between"]}
    within, between = levels.values()
    penalty_at = claims["penalty"].subs(levels)
    zeros = {
        "on the simplex: within": across - 2 / tau * (held - beta),
        "the force": (anchor.diff(u) - anchor.diff(v)).subs({u: r, v: s}).subs(beta, claims["penalty"]),
        "the mean vanishes": 1 + (m - 1) * within + (K - 1) * m * between,
        "the length of a class mean": (1 + (m - 1) * within) / m - y,
        "room for it": 1 + (m - 1) * within - m * between - m * y * K / (K - 1),
        "at y = 1": penalty_at.subs(y, 1) - held,
    }
    here = {K: 3, m: 4, tau: sp.Rational(1, 2)}
    setting: dict[str, Any] = {"classes": 3, "per_class": 4, "temperature": 0.5}
    agreements = {"class_point_penalty": Agreement(partial(class_point_penalty, **setting), held.subs(here))}
    states: list[tuple[sp.Rational, sp.Expr, float]] = [
        (sp.Rational(1, 2), one, 1e-12),
        (sp.Integer(20), sp.Integer(0), 1e-12),
    ]
    for penalty, start in ((sp.Rational(3, 5), 0.9), (one, 0.8), (sp.Integer(5), 0.2)):
        states.append((penalty, sp.nsolve(penalty_at.subs(here) - penalty, y, start, prec=30), 1e-11))
    for penalty, length, tolerance in states:  # the first below beta_E, the second beyond the equation's range
        settled = partial(two_level_simplex, **setting, penalty=float(penalty))
        for place, name in enumerate(TwoLevelSimplex._fields):
            agreements[f"two_level_simplex, {name}, beta = {penalty}"] = Agreement(
                entry(settled, place), claims[name].subs({**here, y: length}), tolerance=tolerance
            )
    return Derivation(
        theorem="T37",
        statement="FedRCL's classes are points on a simplex only below beta_E, and else two-level simplices.",
        steps=(
            Step("On the simplex of class points a class spreads with the curvature", 2 / tau * (held - beta), "c"),
            Step("so that class points are stable for beta below", held, "beta <"),
            Step("The two-level simplex: cosines r inside and s between classes, their mean 0, the squared length of a"
                 " class mean y. An embedding's force is w times the sum of its class less w z, plus b times that of"
                 " the others, and the sum of all is 0: it is radial iff w = b, or y = 0, or the class is a point. w ="
                 " b is", sp.Eq(beta * m * sp.Symbol("rho"), sp.Symbol("Q") * (m / (m - 1) + 1 / (K - 1)))),
            Step("or, solved for beta,", claims["penalty"], "beta"),
            Step("which is beta_E at y = 1"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
