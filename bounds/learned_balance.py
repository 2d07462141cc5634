"""T36: a learned balance is a logarithm; what it makes of the rates of the BLCL-style loss, and of sigma's own.

    L_C = mean_i [log sum_k e^(z_i.P_k/tau) - z_i.P_y/tau],   P_k the normalised mean of class k
    L   = sum over the losses of 1/2 e^(-2 l) L_t + l,   l = log sigma, held at a floor from below

K classes of m embeddings, n = K m. sigma^2 = L_t is where sigma rests.
"""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from clopsim.bounds.class_losses import class_loss
from clopsim.bounds.class_state import class_state
from clopsim.bounds.effective_rate import attracting_rates
from clopsim.bounds.setting import Gradient, one_of, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

Parametrisation = Literal["log", "sigma"]
"""What descent moves: log sigma, or sigma itself."""


class ClassMeanCollapse(NamedTuple):
    """The Hessian of L_C's sum at complete collapse, where the pull is 0; d - 1 directions each."""

    classes: float  # classes move against each other, K - 1 times
    within: float  # a class spreads about its mean, K (m - 1) times: exactly 0


def class_mean_collapse(*, temperature: float) -> ClassMeanCollapse:
    """Complete collapse under the contrast with class means, whatever n and K >= 2:

        classes  c = -2/tau,   within  c = 0                                                              (tight)

    Means repel each other, and nothing acts inside a class. So complete collapse attracts at no rate, and at none is a
    direction lost. With means from a memory, without gradient, a step multiplies classes by 1 + mu/tau.

    Valid for: the sum over the embeddings, both gradients. Source: T36 (ours).
    """
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    return ClassMeanCollapse(-2 / temperature, 0.0)


def class_mean_loss(*, classes: int, temperature: float) -> float:
    """L_C where the classes are points on a simplex: log(1 + (K - 1) e^(-K/((K - 1) tau)))                 (tight)

    Its share of the softmax is Q = 1 - e^(-L).

    Valid for: K >= 2, the mean over the embeddings. Source: T36 (ours).
    """
    K = whole_number("classes", classes, low=2)
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    return math.log1p((K - 1) * math.exp(-K / ((K - 1) * temperature)))


def balance_factor(loss: float, *, floor: float = -math.inf) -> float:
    """What the learned balance multiplies every critical rate of a loss by, where sigma rests:

        2 L,   with a floor on log sigma  2 max(L, e^(2 floor))                                           (tight)

    At sigma^2 = L the balanced term is 1/2 + 1/2 log L, whose gradient is that of L over 2L: as L falls to 0 rates that
    would grow without end stay finite, and without a floor the weight 1/(2L) has no bound.

    Valid for: L > 0 the value of the loss at the state (BLCL's is a mean), sigma at rest; cross terms of sigma and
    embeddings vanish there. Source: T36 (ours).
    """
    positive_number("loss", loss, remedy="at 0 the balance has no rest without a floor")
    if math.isnan(floor) or floor == math.inf:
        raise ValueError(f"floor must be a number or -inf, got {floor!r}; -inf is none")
    return 2 * max(loss, math.exp(2 * floor))


def sigma_rate(loss: float, *, parametrisation: Parametrisation = "log") -> float:
    """Learning rate below which sigma's own descent is stable at its rest sigma^2 = L:

        1 in log sigma,   L in sigma                                                                      (tight)

    The second vanishes with the loss.

    Valid for: L > 0, plain descent, above the floor. Source: T36 (ours).
    """
    positive_number("loss", loss, remedy="at 0 sigma has no rest")
    one_of("parametrisation", parametrisation, get_args(Parametrisation))
    return 1.0 if parametrisation == "log" else loss


def spread_rate(*, classes: int, temperature: float, learned: bool = False) -> float:
    """Learning rate of the tangent step above which a class breaks up across the span of the simplex, for L_C's sum:

        mu = 2 tau (K - 1)/(Q K),   learned  2 L times that                                               (tight)

    As tau -> 0 the first grows like 1/Q, the second tends to 4 tau (K - 1)/K. The ambient step never breaks it up
    (c + 2a < 0). Other directions of the simplex break first: class_state.

    Valid for: K >= 2, d >= K. Source: T36 (ours).
    """
    loss = class_mean_loss(classes=classes, temperature=temperature)
    rate = 2 * temperature * (classes - 1) / (classes * -math.expm1(-loss))
    return rate * balance_factor(loss) if learned else rate


def learned_class_rate(
    *, classes: int, per_class: int, temperature: float, dimension: int, gradient: Gradient = "tangent"
) -> float:
    """Learning rate below which the simplex of class points is stable with the balance at rest, for L_C's sum:

        2 L times the rate at a fixed weight of 1, the least 2/(c + 2a), or 2/c, of all levels            (tight)

    Descent on the mean, as BLCL has it, bears n times the rate.

    Valid for: K >= 2, m >= 2, d >= K - 1; sigma at rest above its floor. Source: T36, T29 (ours).
    """
    loss = class_loss("blcl", classes=classes, per_class=per_class, temperature=temperature)
    state = class_state(loss, dimension=dimension)
    found = attracting_rates(state.curvatures, pull=state.pull, gradient=gradient)
    fixed = math.inf if found is None else found.below
    return fixed * balance_factor(class_mean_loss(classes=classes, temperature=temperature))


def _closed_forms(K: "sp.Symbol", tau: "sp.Symbol", L: "sp.Symbol", f: "sp.Symbol") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    import sympy as sp

    loss = sp.log(1 + (K - 1) * sp.exp(-K / ((K - 1) * tau)))
    return {
        "classes": -2 / tau,
        "within": sp.Integer(0),
        "class_mean_loss": loss,
        "balance_factor": 2 * L,
        "balance_factor, at the floor": 2 * sp.exp(2 * f),
        "sigma_rate, log": sp.Integer(1),
        "sigma_rate, sigma": L,
        "spread_rate": 2 * tau * (K - 1) / (K * (1 - sp.exp(-L))),
    }


def derive() -> "Derivation":
    """Groups of coinciding points in a plane, and their means; calculus in sigma."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    K, m, tau, L, sigma = sp.symbols("K m tau L sigma", positive=True)
    eps, log_sigma, t, f = sp.symbols("epsilon l t f", real=True)
    claims = _closed_forms(K, tau, L, f)

    def anchor(own: sp.Expr, others: "list[tuple[sp.Expr, sp.Expr]]") -> sp.Expr:
        """-s_own/tau + log of the sum; others: how many prototypes at which cosine."""
        return sp.log(sp.exp(own / tau) + sum(count * sp.exp(s / tau) for count, s in others)) - own / tau

    gap, one = eps * K / (K - 1), sp.Integer(1)
    tilt = m * anchor(one, [(K - 1, sp.cos(gap))])
    tilt += (K - 1) * m * anchor(one, [(K - 2, one), (one, sp.cos(gap))])
    # a class spreads: one embedding at eps, m - 1 at -eps/(m - 1), other classes at 0; the mean's angle is phi
    rest = -eps / (m - 1)
    phi = sp.atan((sp.sin(eps) + (m - 1) * sp.sin(rest)) / (sp.cos(eps) + (m - 1) * sp.cos(rest)))
    spread = anchor(sp.cos(eps - phi), [(K - 1, sp.cos(eps))])
    spread += (m - 1) * anchor(sp.cos(rest - phi), [(K - 1, sp.cos(rest))])
    spread += (K - 1) * m * anchor(one, [(K - 2, one), (one, sp.cos(phi))])
    # across the span of a simplex the cosines to other prototypes are -cos(angle)/(K - 1)
    across = anchor(sp.cos(eps), [(K - 1, -sp.cos(eps) / (K - 1))])
    radial = anchor(t, [(K - 1, -t / (K - 1))]).diff(t).subs(t, 1)
    # means from a memory: an embedding at a feels its class's at eps and the others' at -eps/(K - 1)
    a = sp.Symbol("a", real=True)
    push = anchor(sp.cos(a - eps), [(K - 1, sp.cos(a + eps / (K - 1)))]).diff(a).subs(a, eps)
    Q = 1 - sp.exp(-claims["class_mean_loss"])
    curvature = Q * K / (tau * (K - 1))
    balanced = sp.exp(-2 * log_sigma) * L / 2 + log_sigma
    at_rest = sp.log(L) / 2
    plain = L / (2 * sigma**2) + sp.log(sigma)
    slope = sp.Symbol("slope", real=True)
    zeros = {
        "classes": tilt.diff(eps, 2).subs(eps, 0) / (m * K / (K - 1)) - claims["classes"],
        "within": spread.diff(eps, 2).subs(eps, 0),
        "a mean does not turn": sp.series(phi, eps, 0, 3).removeO(),
        "a memory's means, classes": push.diff(eps).subs(eps, 0) + 1 / tau,
        "a memory's means, within": anchor(sp.cos(a), [(K - 1, sp.cos(a))]).diff(a),
        "across: c + 2a": curvature + 2 * radial + curvature,
        "the loss at the simplex": sp.exp(across.subs(eps, 0)) - sp.exp(claims["class_mean_loss"]),
        "across": across.diff(eps, 2).subs(eps, 0) - curvature,
        "the softmax share": Q - (K - 1) / (K - 1 + sp.exp(K / ((K - 1) * tau))),
        "spread_rate": 2 / curvature - claims["spread_rate"].subs(L, claims["class_mean_loss"]),
        "where sigma rests": balanced.diff(log_sigma).subs(log_sigma, at_rest),
        "the value there": balanced.subs(log_sigma, at_rest) - (1 + sp.log(L)) / 2,
        "the gradient there": slope * (balanced.diff(L)).subs(log_sigma, at_rest) * claims["balance_factor"] - slope,
        "the gradient at the floor": balanced.diff(L).subs(log_sigma, f) * claims["balance_factor, at the floor"] - 1,
        "cross terms": balanced.diff(L, log_sigma).subs(log_sigma, at_rest) * slope + slope / L,
        "sigma_rate, log": 2 / balanced.diff(log_sigma, 2).subs(log_sigma, at_rest) - claims["sigma_rate, log"],
        "sigma_rate, sigma": 2 / plain.diff(sigma, 2).subs(sigma, sp.sqrt(L)) - claims["sigma_rate, sigma"],
        "low temperature": sp.limit((2 * L * claims["spread_rate"]), L, 0) - 4 * tau * (K - 1) / K,
    }
    here = {K: 3, tau: sp.Rational(1, 2)}
    setting: dict[str, Any] = {"classes": 3, "temperature": 0.5}
    at_simplex = {**here, L: claims["class_mean_loss"].subs(here)}
    point = partial(class_mean_collapse, temperature=0.5)
    agreements = {
        f"class_mean_collapse, {name}": Agreement(entry(point, place), claims[name].subs(here))
        for place, name in enumerate(ClassMeanCollapse._fields)
    }
    low, high = sp.Rational(1, 20), sp.Rational(7, 10)
    agreements |= {
        "class_mean_loss": Agreement(partial(class_mean_loss, **setting), claims["class_mean_loss"].subs(here)),
        "spread_rate": Agreement(partial(spread_rate, **setting), claims["spread_rate"].subs(at_simplex)),
        "spread_rate, learned": Agreement(
            partial(spread_rate, **setting, learned=True), (claims["spread_rate"] * 2 * L).subs(at_simplex)
        ),
        "balance_factor": Agreement(partial(balance_factor, 0.05), 2 * low),
        "balance_factor, at its floor": Agreement(
            partial(balance_factor, 0.05, floor=-1.0), claims["balance_factor, at the floor"].subs(f, -1)
        ),
        "balance_factor, above its floor": Agreement(partial(balance_factor, 0.7, floor=-1.0), 2 * high),
        "sigma_rate, log": Agreement(partial(sigma_rate, 0.7), claims["sigma_rate, log"]),
        "sigma_rate, sigma": Agreement(
            partial(sigma_rate, 0.7, parametrisation="sigma"), claims["sigma_rate, sigma"].subs(L, high)
        ),
    }
    return Derivation(
        theorem="T36",
        statement="A learned balance is half a logarithm of the loss: it multiplies every critical rate by 2L; sigma's"
        " own rate is 1 in log sigma, L in sigma.",
        steps=(
            Step("Every class of embeddings meets the normalised class means. At complete collapse classes part with",
                 claims["classes"], "c"),
            Step("A class that spreads does not turn its mean, and all prototypes are at one place: curvature 0"),
            Step("On the simplex of class points the loss is", claims["class_mean_loss"], "L"),
            Step("and an embedding that leaves the span of the classes has the curvature",
                 sp.Symbol("Q") * K / (tau * (K - 1)), "c"),
            Step("and the pull is less than nothing by as much, so that c + 2a = -c < 0 and only the tangent step turns"
                 " it, at", claims["spread_rate"], "mu"),
            Step("The balance of a loss L, l = log sigma,", balanced, "balance"),
            Step("rests at l = log(L)/2, with the value", (1 + sp.log(L)) / 2, "balance"),
            Step("There the gradient is that of L over", claims["balance_factor"]),
            Step("and l and the embeddings do not mix: their cross derivative has the gradient of L in it, which is 0."
                 " The curvature in l is 2, in sigma 2/L"),
            Step("As tau -> 0, Q/L -> 1 and the learned rate tends to", 4 * tau * (K - 1) / K, "mu ->"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
