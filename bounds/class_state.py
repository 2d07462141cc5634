"""T29: every curvature of a class-collapsed state, with or without prototypes, for any loss that T29's record holds."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clopsim.bounds.class_losses import ClassLoss, Pattern, class_loss, inside_curvatures, softmax_share, unheld_pull
from clopsim.bounds.class_means import ClassMode, free_means, held_means, present
from clopsim.bounds.critical_weight import critical_weight, sign_change
from clopsim.bounds.equilibrium import class_cosine, weight_that_balances
from clopsim.bounds.setting import number_from_zero, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

SMALLEST = 1e-16
"""Share of the largest curvature below which a prototype weight is none."""

STEP = 1.25
"""Factor between the weights that are looked at: a margin that is negative over less is not seen."""


@dataclass(frozen=True)
class ClassState:
    """The class-collapsed state of one weight: where the classes are, and every curvature there."""

    weight: float  # lambda, per labelled sample, next to the sum loss
    angle: float  # theta between a class and its prototype, radians; arctan(1/sqrt(K-1)) without prototypes
    cosine: float  # s between two classes
    share: float  # P, the softmax share of one other class
    pull: float  # a, the radial part of the gradient, with the prototypes'
    modes: tuple[ClassMode, ...]

    @property
    def curvatures(self) -> tuple[float, ...]:
        """One for each level; exactly 0 for turns of the whole state."""
        return tuple(mode.curvature for mode in self.modes)

    @property
    def lowest(self) -> ClassMode:
        """The level with the smallest curvature that is not a turn of the whole state: stable iff it is > 0."""
        return min((mode for mode in self.modes if mode.name != "rotations"), key=lambda mode: mode.curvature)

    @property
    def highest(self) -> ClassMode:
        """The level with the largest curvature: the first that breaks."""
        return max(self.modes, key=lambda mode: mode.curvature)


def class_state(loss: ClassLoss, *, dimension: int, weight: float = 0.0) -> ClassState:
    """Where K balanced classes are, each on one point, and every curvature of the loss there.

        v_k = p c_k + q sum_(l != k) c_l,   p = cos theta,   q = -sin theta/sqrt(K-1),   h = p - q,
        W = cos theta - sqrt(K-1) sin theta,   s = (W^2 - 1)/(K-1),   x = e^(-(1 - s)/tau),
        P = x/(r + (K-1) x),   Q = (K-1) P,   lambda = (2P/tau) W (1 + sqrt(K-1) cot theta)
        a = (nu/tau) [1 - rho - Q (1 - s)] - lambda p
        whole classes:   class_means.held_means, and free_means without prototypes
        a pattern:       c = lambda p + (nu/tau) [(1 - Q) alpha - omega] - its unheld pull   perpendicular
                         c + (nu Q - Q^2) h^2 W^2/((K-1) tau^2) theta,   c + nu P h^2/tau^2 across        (tight)

    c is an eigenvalue of the Riemannian Hessian, all K m (d - 1) of them together. With effective_rate.critical_rate
    each gives a rate, with attracting_rates(state.curvatures, pull=state.pull, gradient=...) the whole state does.

    Without prototypes (weight 0) the classes are on a simplex, theta = arctan(1/sqrt(K-1)), and each pattern has two
    levels, perpendicular and parallel to the span.

    Valid for: sum over the anchors, all labelled, K balanced classes; prototypes orthonormal, cosine distance.
    Source: T29 (ours); T8, T9 are the merged loss.

    dimension: d >= K, or K - 1 without prototypes; weight: lambda >= 0, per labelled sample, next to the sum.
    Errors: ValueError for arguments outside these ranges.
    """
    number_from_zero("weight", weight, remedy="it is the weight of the prototype term")
    d, K = whole_number("dimension", dimension, low=2), loss.classes
    if d < (K if weight else K - 1):
        raise ValueError(
            f"dimension must be >= {K if weight else K - 1} for {K} classes, got {d}; "
            f"{'orthonormal prototypes' if weight else 'a simplex'} of that many needs the room"
        )
    angle = math.atan(1 / math.sqrt(K - 1))
    if weight == 0:
        return _on_simplex(loss, angle, d)

    def excess(theta: float) -> float:
        share = softmax_share(loss, class_cosine(theta, classes=K))
        return weight - weight_that_balances(share, theta, classes=K, temperature=loss.temperature)

    return _held(loss, sign_change(excess, 0.0, angle), d, weight)


def class_critical_weight(loss: ClassLoss, *, dimension: int) -> float:
    """Prototype weight lambda* above which the class-collapsed state is stable: where its lowest curvature passes 0.

    0 where it is stable at every weight. T9 has the merged loss's in closed form.

    Valid for: as class_state with prototypes. Source: T29 (ours).
    """
    return _last_crossing(lambda state: state.lowest.curvature, loss, dimension)


def immune_weight(loss: ClassLoss, *, dimension: int) -> float:
    """Prototype weight lambda_inf above which no rate is too large for the ambient step: all c + 2a <= 0.

    Above it, and above class_critical_weight, the class-collapsed state is stable at every rate. 0 where that is so at
    every weight. The tangent step gains nothing: its rates fall with the weight.

    It is the last weight at which c + 2a passes 0: with few samples at low temperature a weak weight can take from a
    state that is stable at every rate what a stronger one gives back (nt_xent, K = m = 2,
    tau = 0.2: between 0.0024 and 0.268).

    Valid for: as class_state with prototypes. Source: T29 (ours), by T27.
    """
    return _last_crossing(lambda state: -(state.highest.curvature + 2 * state.pull), loss, dimension)


def _last_crossing(margin: Callable[[ClassState], float], loss: ClassLoss, dimension: int) -> float:
    """The weight above which a margin, which ends positive, stays positive; 0 if it is so at every weight looked at."""

    def at(weight: float) -> float:
        return margin(class_state(loss, dimension=dimension, weight=weight))

    weight = _far(loss)
    smallest = SMALLEST * weight
    while at(lower := weight / STEP) > 0:
        if (weight := lower) < smallest:
            return 0.0
    return sign_change(at, lower, weight)


def _far(loss: ClassLoss) -> float:
    """A weight at which lambda p >= lambda/sqrt(2) exceeds all other parts of curvatures and pulls."""
    scale = 2 / loss.temperature
    return 2 * (scale * (8 + 2 * abs(1 - loss.attraction)) + 4 * scale**2)


def _on_simplex(loss: ClassLoss, angle: float, d: int) -> ClassState:
    K, tau, s = loss.classes, loss.temperature, -1 / (loss.classes - 1)
    P = softmax_share(loss, s)
    modes = free_means(P, classes=K, dimension=d, temperature=tau)
    for one, c in zip(loss.patterns, inside_curvatures(loss, s), strict=True):
        modes += present(
            (f"{one.name}, perpendicular", c, K * one.number * (d - K + 1)),
            (f"{one.name}, parallel", c + loss.roles * P * K / ((K - 1) * tau**2), K * one.number * (K - 2)),
        )
    return ClassState(0.0, angle, s, P, unheld_pull(loss, s), modes)


def _held(loss: ClassLoss, angle: float, d: int, weight: float) -> ClassState:
    K, tau, s = loss.classes, loss.temperature, class_cosine(angle, classes=loss.classes)
    p, q = math.cos(angle), -math.sin(angle) / math.sqrt(K - 1)
    h, W, P = p - q, p + (K - 1) * q, softmax_share(loss, s)
    Q, square = (K - 1) * P, h**2 * W**2 / ((K - 1) * tau**2)
    modes = held_means(P, angle, classes=K, dimension=d, temperature=tau, weight=weight)
    for one, unheld in zip(loss.patterns, inside_curvatures(loss, s), strict=True):
        c = unheld + weight * p
        modes += present(
            (f"{one.name}, perpendicular", c, K * one.number * (d - K)),
            (f"{one.name}, theta", c + (loss.roles * Q - Q**2) * square, K * one.number),
            (f"{one.name}, across", c + loss.roles * P * h**2 / tau**2, K * one.number * (K - 2)),
        )
    return ClassState(weight, angle, s, P, unheld_pull(loss, s) - weight * p, modes)


def _closed_forms(
    K: "sp.Expr", P: "sp.Expr", nu: "sp.Expr", tau: "sp.Expr", h: "sp.Expr", W: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """What is claimed of a pattern beyond its level across the span, by the direction in the span."""
    Q = (K - 1) * P
    return {
        "theta": (nu * Q - Q**2) * h**2 * W**2 / ((K - 1) * tau**2),
        "across": nu * P * h**2 / tau**2,
        "parallel": nu * P * K / ((K - 1) * tau**2),
    }


def derive() -> "Derivation":
    """A pattern's directions in the span of the prototypes; T8 and T9 as the merged loss's case."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    P, nu, tau, p, x, k = sp.symbols("P nu tau p x K", positive=True)
    q = sp.symbols("q", real=True)
    K = 1 + (1 - p**2) / q**2  # p^2 + (K - 1) q^2 = 1
    h, W, s, Q = p - q, p + (K - 1) * q, 2 * p * q + (K - 2) * q**2, (K - 1) * P
    claims = _closed_forms(K, P, nu, tau, h, W)
    weight = -(2 * P / tau) * W * h / q
    # cosines with class points: of dv/dtheta, times sqrt(K-1), with every other one; of (c_2 - c_3)/sqrt(2) with v_2
    along, beside = (K - 1) * q**2 - p * (p + (K - 2) * q), (p - q) / sp.sqrt(2)
    free = _closed_forms(k, P, nu, tau, sp.sqrt(k / (k - 1)), sp.Integer(0))  # p = -(K-1) q
    zeros = {
        "theta": sp.cancel(P * (nu - P * (K - 1)) * along**2 / tau**2 - claims["theta"]),
        "across": sp.cancel(nu * P * 2 * beside**2 / tau**2 - claims["across"]),
        "simplex: theta is perpendicular": free["theta"],
        "simplex: across": free["across"] - free["parallel"],
        "T8: the weight": sp.cancel(weight - (2 * P / tau) * W * (1 - p / q)),
        "T9: the merged loss's spread": sp.cancel(
            (2 / tau) * (-P / x - Q * s) + weight * p - (2 * P / tau) * (1 - W / q - 1 / x)
        ),
        "T9: in the span": sp.cancel(
            claims["theta"].subs(nu, 2) - (2 * P / tau) * (K - 1) * h**2 * W**2 * (2 / (K - 1) - P) / (2 * tau)
        ),
    }
    return Derivation(
        theorem="T29",
        statement="A pattern inside a class has three levels: across the span, along theta, along differences of other"
        " prototypes; T8 and T9 are the merged loss.",
        steps=(
            Step("The softmax adds nu P sum e_l^2 - P^2 (sum e_l)^2 over tau^2, e_l the cosines of the move's direction"
                 " with the other class points. Along dv/dtheta they are all equal, and this is",
                 claims["theta"], "variance"),
            Step("Along c_2 - c_3 two are opposite and the others 0:", claims["across"], "variance"),
            Step("These and the directions across the span are all that leave a class point. Patterns do not mix with"
                 " moves of whole classes, as their sums are 0; prototypes add lambda p to each (T27)"),
            Step("T8's weight, with sqrt(K-1) cot theta = -p/q, is that of the merged loss, and T9's lowest curvature"
                 " its spread across the span, for d = K along theta or across", weight, "lambda"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """Every level of a pattern in the code, for a loss like no other, and the two weights."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement

    def answer(loss: ClassLoss, d: int, weight: float, name: str) -> float | None:
        state = class_state(loss, dimension=d, weight=weight)
        if name in ("pull", "angle"):
            return float(getattr(state, name))
        places = [place for place, mode in enumerate(state.modes) if mode.name == name.removesuffix(", multiplicity")]
        if not places:
            return None
        return state.modes[places[0]].multiplicity if "multiplicity" in name else state.curvatures[places[0]]

    tau, own, rho, alpha, omega, theta = (sp.Rational(n, 100) for n in (40, 60, 70, -30, 20, 17))

    def unheld(K: int, nu: int, s: "sp.Expr") -> "tuple[sp.Expr, sp.Expr, sp.Expr]":
        """P, the pull and the first pattern's curvature."""
        x = sp.exp(-(1 - s) / tau)
        P = x / (own + (K - 1) * x)
        pull = nu / tau * (1 - rho - (K - 1) * P * (1 - s))
        return P, pull, nu / tau * ((1 - (K - 1) * P) * alpha - omega) - pull

    found = {}
    for K, nu, d in ((2, 2, 4), (3, 1, 5), (5, 2, 5)):
        loss = ClassLoss(K, 4, 0.4, 0.6, 0.7, (Pattern("one", -0.3, 0.2, 2), Pattern("two", 0.1, -0.4, 1)), nu)
        p, q = sp.cos(theta), -sp.sin(theta) / sp.sqrt(K - 1)
        P, pull, c = unheld(K, nu, 2 * p * q + (K - 2) * q**2)
        levels = _closed_forms(sp.Integer(K), P, sp.Integer(nu), tau, p - q, p + (K - 1) * q)
        weight = -(2 * P / tau) * (p + (K - 1) * q) * (p - q) / q
        c = c + weight * p
        P, free_pull, free = unheld(K, nu, -sp.Rational(1, K - 1))
        parallel = _closed_forms(sp.Integer(K), P, sp.Integer(nu), tau, sp.Integer(1), sp.Integer(0))["parallel"]
        both = (
            (float(weight), pull - weight * p, theta, {
                "perpendicular": (c, 2 * K * (d - K)), "theta": (c + levels["theta"], 2 * K),
                "across": (c + levels["across"], 2 * K * (K - 2)),
            }),
            (0.0, free_pull, sp.atan(1 / sp.sqrt(K - 1)), {
                "perpendicular": (free, 2 * K * (d - K + 1)), "parallel": (free + parallel, 2 * K * (K - 2)),
            }),
        )  # fmt: skip
        for number, radial, angle, claimed in both:
            values: dict[str, sp.Expr | None] = {"pull": radial, "angle": angle}
            for name, (curvature, multiplicity) in claimed.items():
                values[f"one, {name}"] = curvature if multiplicity else None
                values[f"one, {name}, multiplicity"] = sp.Integer(multiplicity) if multiplicity else None
            for name, value in values.items():
                where = f"class_state, K = {K}, d = {d}, weight {number:.3g}: {name}"
                found[where] = Agreement(partial(answer, loss, d, number, name), value, 1e-11)
    merged = class_loss("merged", classes=3, per_class=5, temperature=0.3)
    for d in (3, 4):
        closed = critical_weight(classes=3, per_class=5, temperature=0.3, dimension=d)
        found[f"class_critical_weight, merged, d = {d}: T9"] = Agreement(
            partial(class_critical_weight, merged, dimension=d), closed
        )
    return found
