"""T27: ambient descent is tangent descent at another rate, so one curvature and one pull give every critical rate.

The rate that a free norm leaves, which is called effective too, is bounds.free_norm's.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, get_args

import numpy as np

from clopsim.bounds.setting import Floats, Gradient, one_of

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


Number = TypeVar("Number", float, Fraction)


def tangent_rate(mu: Floats, *, pull: Floats) -> Floats:
    """The rate of the tangent step that an ambient step at rate mu is, for small deviations from a stationary state.

        mu / (1 - mu a)                                                                                     (tight)

    with a = z_i . g_i, the radial part of the Euclidean gradient, the same for every embedding. Outward (a < 0) it
    never passes 1/|a|; inward it has a pole at mu = 1/a, beyond which it is negative: the step climbs (T11).

    Valid for: any loss that is differentiable in the cosines, any stationary state with one pull.
    Source: T27 (ours). mu, pull: broadcast; inf at the pole.
    """
    with np.errstate(divide="ignore"):
        return _plain(np.asarray(mu) / (1 - np.asarray(mu) * pull))


def multiplier(mu: Floats, *, curvature: Floats, pull: Floats, gradient: Gradient) -> Floats:
    """Factor by which one step multiplies a small deviation of curvature c from a stationary state with pull a.

        tangent: 1 - mu c,     ambient: (1 - mu (a + c)) / (1 - mu a)                    (tight, first order)

    Beyond mu = 1/a the ambient step turns the whole state over, z to -z; the factor is that of the deviation relative
    to the turned state, which has the same cosines, but not the same prototypes: with those it holds for mu a < 1 only.
    At mu = 1/a it is infinite.

    Valid for: as tangent_rate; curvature: an eigenvalue of the Riemannian Hessian, not 0 at mu = 1/a.
    Source: T27 (ours). mu, curvature, pull: broadcast.
    """
    one_of("gradient", gradient, get_args(Gradient))
    a = np.zeros(()) if gradient == "tangent" else np.asarray(pull)
    with np.errstate(divide="ignore"):
        return _plain((1 - np.asarray(mu) * (a + curvature)) / (1 - np.asarray(mu) * a))


def ambient_rates(curvature: Floats, *, pull: Floats) -> Floats:
    """critical_rate of many directions under the ambient step, with inf for never: 2/(c + 2a) where positive    (tight)

    With pull 0 they are those of the tangent step, but for falling directions (c < 0), which have none either way.

    Source: T27 (ours). curvature, pull: broadcast.
    """
    margin = np.asarray(curvature + 2 * np.asarray(pull))
    return _plain(np.where(margin > 0, 2 / np.where(margin > 0, margin, 1.0), np.inf))


def critical_rate(curvature: Number, *, pull: Number, gradient: Gradient) -> Number | None:
    """The learning rate at which a deviation of curvature c from a stationary state with pull a turns; None if none.

        ambient: 2/(c + 2a) if positive,     tangent: 2/c if c > 0                                          (tight)

    A direction with c > 0 is stable below it, one with c < 0 attracts above it (stable_side). why_never says in words
    what it means that there is none. For c < 0 the rate lies beyond mu = 1/a, where the ambient step turns the state
    over: with prototypes, which see that, such a direction does not attract.

    Valid for: as tangent_rate; one step, no momentum. Curvature and pull scale with the loss, so a loss that is a mean
    over n anchors has n times the rates of the sum. Source: T27 (ours).

    curvature: an eigenvalue of the Riemannian Hessian; pull: z_i . g_i, of the Euclidean gradient. Fractions give one.
    """
    if why_never(curvature, pull=pull, gradient=gradient):
        return None
    return 2 / (curvature + 2 * pull) if gradient == "ambient" else 2 / curvature


def stable_side(curvature: float) -> Literal["below", "above"]:
    """The side of its critical rate on which a direction is stable: below for c > 0, above for c < 0."""
    return "below" if curvature > 0 else "above"


def why_never(curvature: Number, *, pull: Number, gradient: Gradient) -> str:
    """Why a direction has no critical rate, in one clause; empty where it has one. Arguments as critical_rate."""
    one_of("gradient", gradient, get_args(Gradient))
    for name, value in (("curvature", curvature), ("pull", pull)):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}; it is a number of the loss at one state")
    if curvature == 0:
        return "the direction is flat: to first order nothing moves it, at any rate"
    if gradient == "tangent":
        return "" if curvature > 0 else "the loss falls along it: it grows at every rate, as tangent steps descend"
    if curvature + 2 * pull > 0:
        return ""
    if curvature > 0:
        return "it is stable at every rate: the outward pull outgrows the step, c + 2a <= 0"
    return "the loss falls along it, and no ambient step turns it round: it grows at every rate, c + 2a <= 0"


class AttractingRates(NamedTuple):
    """The learning rates at which a state attracts all small deviations: above < mu < below."""

    above: float  # 0 for a minimum
    below: float  # inf for a maximum, and for a minimum that outward pull holds at every rate


def attracting_rates(curvatures: Iterable[float], *, pull: float, gradient: Gradient) -> AttractingRates | None:
    """The learning rates at which a stationary state attracts; None where it does at no rate.

        minimum (all c > 0): below min 2/(c + 2a);   maximum (all c < 0): ambient, above max 2/(c + 2a)     (tight)

    A saddle, with both signs, attracts at no rate, under either gradient: its falling directions need a rate above
    2/(c + 2a) and its rising ones a rate below, and the first is the larger of the two. Zeros are directions in which
    nothing changes, such as turns of the whole state; they are left out.

    Valid for: as critical_rate; a maximum only without prototypes, which see that the step turns it over.
    Source: T27 (ours). curvatures: of every direction of the state, some of them not 0.
    """
    values = [float(c) for c in curvatures if c != 0]
    if not values:
        raise ValueError("curvatures must hold a number other than 0, got none; without one no rate is critical")
    rates = [critical_rate(c, pull=pull, gradient=gradient) for c in values]
    if min(values) > 0:
        return AttractingRates(0.0, min((rate for rate in rates if rate is not None), default=math.inf))
    if max(values) > 0 or None in rates:
        return None
    return AttractingRates(max(rate for rate in rates if rate is not None), math.inf)


def _plain(value: Floats) -> Floats:
    return float(value) if np.ndim(value) == 0 else value


def _closed_forms(c: "sp.Expr", a: "sp.Expr", mu: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    return {
        "tangent_rate": mu / (1 - mu * a),
        "multiplier, tangent": 1 - mu * c,
        "multiplier, ambient": (1 - mu * (a + c)) / (1 - mu * a),
        "critical_rate, tangent": 2 / c,
        "critical_rate, ambient": 2 / (c + 2 * a),
    }


def derive() -> "Derivation":
    """A point on its great circle; of the gradient only its radial part and the slope of its tangent part are known."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    c, a, mu, b, n, tau, kappa, A = sp.symbols("c a mu b n tau kappa A_1", positive=True)
    eps, phi, p, lam, low, gap = sp.symbols("epsilon phi p lambda c_- g", real=True)
    claims = _closed_forms(c, a, mu)
    ambient, tangent, critical = (
        claims[f"{name}"] for name in ("multiplier, ambient", "multiplier, tangent", "critical_rate, ambient")
    )
    radial, push = sp.Function("a")(eps), sp.Function("t")(eps)

    def stepped(pull: sp.Expr) -> sp.Expr:
        """Slope of a deviation eps after a step; push(0) = 0 as the state is stationary, push'(0) = c."""
        after = eps + sp.atan(-mu * push / (1 - mu * pull))
        return after.diff(eps).subs(push.diff(eps), c).subs(push, 0)

    square = mu * c * (mu * (c + 2 * a) - 2) / (1 - mu * a) ** 2
    prototype = lam * (1 - p * sp.cos(phi) - sp.sqrt(1 - p**2) * sp.sin(phi))
    zeros = {
        "an ambient step": stepped(radial).subs(radial, a) - ambient,
        "a tangent step": stepped(sp.Integer(0)) - tangent,
        "the same at another rate": tangent.subs(mu, claims["tangent_rate"]) - ambient,
        "|m|^2 - 1, ambient": ambient**2 - 1 - square,
        "|m|^2 - 1, tangent": tangent**2 - 1 - square.subs(a, 0),
        "m = -1, ambient": ambient.subs(mu, critical) + 1,
        "m = -1, tangent": tangent.subs(mu, claims["critical_rate, tangent"]) + 1,
        "a saddle's rates": (critical.subs(c, low) - critical.subs(c, low + gap)) * (low + 2 * a) * (low + gap + 2 * a)
        - 2 * gap,
        "outward pull: the rate saturates": sp.limit(claims["tangent_rate"].subs(a, -b), mu, sp.oo) - 1 / b,
        "outward pull: |m|^2 - 1": (square.subs(a, -b).subs(c, 2 * b - gap) * (1 + mu * b) ** 2)
        + mu * (2 * b - gap) * (mu * gap + 2),
        "prototypes: curvature": prototype.diff(phi, 2).subs(phi, 0) - lam * p,
        "prototypes: pull": sp.Matrix([1, 0]).dot(-lam * sp.Matrix([p, sp.sqrt(1 - p**2)])) + lam * p,
        "prototypes: c + 2a": ((c + lam * p) + 2 * (a - lam * p)) - (c + 2 * a - lam * p),
        "T4": critical.subs({c: -2 * n / (tau * (n - 1)), a: 2 / tau}) - tau * (n - 1) / (n - 2),
        "T5, merged": critical.subs(a, 2 * kappa * A) - 2 / (c + 4 * kappa * A),
        "T5a": critical.subs({c: 4 * kappa, a: -2 * kappa * (1 - A)}) - 1 / (2 * kappa * A),
    }  # fmt: skip
    here = {mu: sp.Rational(3, 10), c: sp.Rational(7, 5), a: sp.Rational(3, 5)}
    up, down = sp.Rational(7, 5), sp.Rational(-7, 5)
    several = np.array([0.1, 0.3])
    agreements = {
        "tangent_rate": Agreement(lambda: tangent_rate(0.3, pull=0.6), claims["tangent_rate"].subs(here)),
        "tangent_rate, the second of several": Agreement(
            entry(lambda: tangent_rate(several, pull=0.6), 1), claims["tangent_rate"].subs(here)
        ),
        **{
            f"multiplier, {form}": Agreement(
                partial(multiplier, 0.3, curvature=1.4, pull=0.6, gradient=form),
                claims[f"multiplier, {form}"].subs(here),
            )
            for form in get_args(Gradient)
        },
    }
    for form, curvature, pull in product(get_args(Gradient), (up, down, 0), (sp.Rational(-3, 4), sp.Rational(3, 4))):
        turns = curvature + 2 * pull > 0 if form == "ambient" else curvature > 0
        agreements[f"critical_rate, {form}, c = {float(curvature)}, a = {float(pull)}"] = Agreement(
            partial(critical_rate, float(curvature), pull=float(pull), gradient=form),
            claims[f"critical_rate, {form}"].subs({c: curvature, a: pull}) if turns and curvature else None,
        )

    def ends(curvatures: tuple[float, ...], pull: float, gradient: Gradient, below: bool) -> float | None:
        """The lower end of the range, or 1 over the upper one, which may be infinite."""
        found = attracting_rates(curvatures, pull=pull, gradient=gradient)
        return None if found is None else 1 / found.below if below else found.above

    bowl, dome, half = (1.4, 3.0, 0.0), (-1.4, -3.0), sp.Rational(1, 2)
    ranges: list[tuple[tuple[float, ...], float, Gradient, sp.Expr | None, sp.Expr | None]] = [
        (bowl, 0.5, "ambient", sp.Integer(0), critical.subs({c: 3, a: half})),
        (bowl, 0.5, "tangent", sp.Integer(0), sp.Rational(2, 3)),
        (bowl, -1.0, "ambient", sp.Integer(0), critical.subs({c: 3, a: -1})),
        (bowl, -1.5, "ambient", sp.Integer(0), sp.oo),
        (dome, 2.0, "ambient", critical.subs({c: -3, a: 2}), sp.oo),
        (dome, 1.0, "ambient", None, None),
        (dome, 2.0, "tangent", None, None),
        ((1.4, -3.0), 2.0, "ambient", None, None),
    ]
    for curvatures, pull, form, above, below in ranges:
        name = f"attracting_rates, c = {curvatures}, a = {pull}, {form}"
        agreements[f"{name}, above"] = Agreement(partial(ends, curvatures, pull, form, False), above)
        agreements[f"{name}, 1/below"] = Agreement(
            partial(ends, curvatures, pull, form, True), None if below is None else 1 / below
        )
    return Derivation(
        theorem="T27",
        statement="An ambient step at rate mu is a tangent step at mu/(1 - mu a), a = z.g; so a direction of curvature"
        " c turns at 2/(c + 2a), with the tangent step at 2/c.",
        steps=(
            Step("At a stationary state g_i = a z_i. Beside it z_i - mu g_i = (1 - mu a_i) z_i - mu t_i with a tangent"
                 " part t_i of first order: what a_i changes by counts at second order only. A deviation along an"
                 " eigenvector of the Hessian is multiplied by", ambient, "m"),
            Step("which is the tangent step's factor", tangent, "factor"),
            Step("at the rate", claims["tangent_rate"], "rate"),
            Step("The squared factor less 1 is", square, "m^2 - 1"),
            Step("So c > 0 is stable below and c < 0 above the rate below, if it is positive; else c > 0 is stable and"
                 " c < 0 grows at every rate", critical, "mu"),
            Step("A strict saddle attracts at no rate: its falling directions turn above 2/(c_- + 2a), its rising ones"
                 " below 2/(c_+ + 2a), and the first is larger by a positive multiple of c_+ - c_-"),
            Step("For an outward pull a = -b the rate of the tangent step saturates at 1/b, so that a minimum with"
                 " c <= 2b everywhere is stable at every rate: with c = 2b - g, |m|^2 - 1 has the sign of",
                 -(2 * b - gap) * (mu * gap + 2)),
            Step("A prototype term lambda (1 - z.c_y), p = z.c_y, has the curvature lambda p and the pull -lambda p: it"
                 " adds lambda p to c and takes it from c + 2a. Prototypes widen the ambient step's range, without"
                 " end from c + 2a = 0 on, and narrow the tangent step's, to less than 2/(lambda p)"),
            Step("T4, T5 and T5a are cases: a = 2/tau, c = -2n/(tau(n-1)); a = 2 kappa A_1, c = e; a = -2 kappa"
                 " (1 - A_1), c = 4 kappa"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
