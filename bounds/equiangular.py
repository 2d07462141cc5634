"""T18: T8 and T9 for prototypes with any common cosine, as a simplex or the authors' "etf" have; detached keys."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from clopsim.bounds.critical_weight import sign_change
from clopsim.bounds.equilibrium import ClassEquilibrium, class_effective_rank
from clopsim.bounds.setting import Keys, check_temperature, one_of, positive_number, whole_number

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation

SIMPLEX = 1e-12
"""Prototypes whose squared sum, 1 + (K-1) rho per prototype, is below it count as a simplex, whose sum is 0."""


def authors_etf_cosine(dimension: int) -> float:
    """Cosine between two prototypes of the authors' option "etf": K rows of I - 11^T/d, normalised.

        rho = -1/(d - 1)                                                                          (tight)

    The simplex ETF of K classes has -1/(K - 1): the two agree for K = d only, else theirs has rank K, not K - 1.
    Source: the code beside arXiv:2403.18699v2 (CLOPLoss.py, etf=True).
    """
    return -1 / (whole_number("dimension", dimension, low=2) - 1)


def equiangular_equilibrium(
    weight: float,
    *,
    prototype_cosine: float,
    classes: int,
    per_class: int,
    temperature: float,
    dimension: int,
    keys: Keys = "symmetric",
    allow_unstable: bool = False,
) -> ClassEquilibrium:
    """Where K balanced classes settle, each on one point, under prototypes with the common cosine rho.

        v_k = cos psi sigma + sin psi eta_k,   psi = psi_0 + theta,   s = (K cos^2 psi - 1)/(K - 1)             (tight)
        equiangular_weight(theta) = lambda;   a simplex (rho = -1/(K-1)): v_k = c_k at every weight

    sigma is the normalised sum of the prototypes, eta_k the unit directions of c_k less its part along sigma, psi_0 the
    angle of a prototype to sigma. It is the unique minimum among the class-collapsed states. With detached keys it is
    read at twice the weight. rho = 0 is T8.

    Valid for: the merged loss, sum reduction, all samples labelled, K balanced classes; either gradient, small steps.
    The weight is per labelled sample, next to the sum loss. Source: T18 (ours).

    weight: lambda > 0; prototype_cosine: rho, -1/(K-1) <= rho < 1; classes: K, 2 <= K <= d, d + 1 for a simplex;
    per_class: m >= 1; temperature: tau; dimension: d.
    Errors: ValueError outside these ranges, and for weight <= the critical one unless allow_unstable.
    """
    positive_number("weight", weight, remedy="without prototypes the orientation of the classes is free")
    shape: dict[str, Any] = {
        "prototype_cosine": prototype_cosine, "classes": classes, "per_class": per_class, "temperature": temperature,
    }  # fmt: skip
    critical = equiangular_critical_weight(dimension=dimension, keys=keys, **shape)  # checks the rest
    stable = weight > critical
    if not (stable or allow_unstable):
        raise ValueError(
            f"weight must be > the critical weight {critical:.6g}, got {weight!r}; below it the classes keep internal "
            "spread, pass allow_unstable=True for the stationary state all the same"
        )
    if _is_simplex(prototype_cosine, classes):
        return ClassEquilibrium(0.0, -1 / (classes - 1), float(classes - 1), critical, stable)
    wanted = weight * (2 if keys == "detached" else 1)
    top = _largest_angle(prototype_cosine, classes)
    theta = sign_change(lambda angle: wanted - equiangular_weight(angle, **shape), 0.0, top)
    s = (classes * math.sin(max(0.0, top - theta)) ** 2 - 1) / (classes - 1)
    return ClassEquilibrium(theta, s, class_effective_rank(s, classes=classes), critical, stable)


def equiangular_weight(
    angle: float, *, prototype_cosine: float, classes: int, per_class: int, temperature: float
) -> float:
    """The weight that holds each class at this angle from its prototype: the inverse of equiangular_equilibrium.

        lambda = (K P/tau) sin 2 psi / sin theta,   psi = psi_0 + theta                                   (tight)
        P = m x / (m - 1 + (K - 1) m x),   x = e^(-(1 - s)/tau),   cos psi_0 = sqrt((1 + (K-1) rho)/K)

    Falls from infinity to 0. With detached keys half of it holds. Valid for: as equiangular_equilibrium, no simplex.
    Source: T18 (ours). angle: theta in radians, 0 < theta <= pi/2 - psi_0. Errors: ValueError outside this range.
    """
    K, m, tau = classes, per_class, temperature
    _check(rho=prototype_cosine, K=K, m=m, tau=tau, dimension=K)
    if _is_simplex(prototype_cosine, K):
        raise ValueError(
            "prototype_cosine must be > -1/(classes - 1), got a simplex; it holds at angle 0 at any weight"
        )
    positive_number("angle", angle, remedy="it is the angle between a class and its prototype, in radians")
    top = _largest_angle(prototype_cosine, K)
    if angle > math.nextafter(top, 2.0):
        raise ValueError(f"angle must be <= {top:.6g} here, got {angle!r}; no weight gives more")
    c, x = _place(max(0.0, top - angle), K, tau)
    return K * _share(x, K, m) / tau * 2 * c * math.sqrt(1 - c**2) / math.sin(angle)


def equiangular_curvature(
    angle: float,
    *,
    prototype_cosine: float,
    classes: int,
    per_class: int,
    temperature: float,
    dimension: int,
    keys: Keys = "symmetric",
) -> float:
    """Lowest curvature against spreading inside a class, at the state of this angle and its weight.

        (2 P/tau) (1 + K cos psi sin psi_0 / sin theta + V - e^((1 - s)/tau))                             (tight)
        V = 0 for d > K;   V = w^2 (2/(K-1) - f P)/(2 tau), w = K sin psi cos psi, f = 1 for d = K,
        but K sin^2 psi / ((K-1) tau) where that is less (K >= 3; it takes prototypes with rho > 0)

    Detached keys: f = 2, and the number is twice the rate at which a spread decays. rho = 0 is T9.
    Valid for: as equiangular_equilibrium, no simplex, m >= 2. Source: T18 (ours).
    Errors: ValueError outside the ranges.
    """
    K, m, tau, rho = classes, per_class, temperature, prototype_cosine
    one_of("keys", keys, get_args(Keys))
    _check(rho=rho, K=K, m=m, tau=tau, dimension=dimension)
    equiangular_weight(angle, prototype_cosine=rho, classes=K, per_class=m, temperature=tau)  # checks the angle
    if m == 1:
        raise ValueError("per_class must be >= 2 here, got 1; a class of one point has no inside that could spread")
    top = _largest_angle(rho, K)
    c, x = _place(max(0.0, top - angle), K, tau)
    V = _resistance(c, x, K, m, tau, spare=dimension > K, keys=keys)
    P_over_x = m / (m - 1 + (K - 1) * m * x)  # no overflow at low temperature
    return (2 * P_over_x / tau) * (x * (1 + K * c * math.cos(top) / math.sin(angle) + V) - 1)


def equiangular_critical_weight(
    *,
    prototype_cosine: float,
    classes: int,
    per_class: int,
    temperature: float,
    dimension: int,
    keys: Keys = "symmetric",
) -> float:
    """Prototype weight lambda* above which each class falls onto one point.

        lambda* = (2/tau) (P/x) (1 - x (1 + V - K cos^2 psi)) / cos theta   where equiangular_curvature = 0      (tight)
        simplex: (2 P/tau) (e^(K/((K-1) tau)) - 1 - V), V = 0 for d > K - 1, K/((K-1) tau) for d = K - 1

    Detached keys: half of it, with f = 2 in V: exactly half of the symmetric one where V = 0. 0 for m = 1.

    Valid for: as equiangular_equilibrium. The crossing is unique (derive; for K = d = 2 and rho > 0 by a scan alone).
    Source: T18 (ours); rho = 0 is T9. Errors: ValueError outside the ranges.
    """
    K, m, tau, rho = classes, per_class, temperature, prototype_cosine
    one_of("keys", keys, get_args(Keys))
    _check(rho=rho, K=K, m=m, tau=tau, dimension=dimension)
    if m == 1:
        return 0.0
    half = 0.5 if keys == "detached" else 1.0
    if _is_simplex(rho, K):
        room = _room(0.0, K, tau)
        x = math.exp(-room)
        V = room if dimension == K - 1 else 0.0
        return half * (2 / tau) * m / (m - 1 + (K - 1) * m * x) * (-math.expm1(-room) - x * V)
    top = _largest_angle(rho, K)

    def margin(alpha: float) -> float:  # of the root's equation, times x sin theta: rises in alpha = pi/2 - psi
        c, x = _place(alpha, K, tau)
        V = _resistance(c, x, K, m, tau, spare=dimension > K, keys=keys)
        return math.sin(top - alpha) * (math.expm1(-_room(c, K, tau)) + x * V) + x * K * c * math.cos(top)

    alpha = sign_change(margin, 0.0, top)
    c, x = _place(alpha, K, tau)
    V = _resistance(c, x, K, m, tau, spare=dimension > K, keys=keys)
    gain = -math.expm1(-_room(c, K, tau)) - x * (V - K * c**2)
    return half * (2 / tau) * m / (m - 1 + (K - 1) * m * x) * gain / math.cos(top - alpha)


def _check(*, rho: float, K: int, m: int, tau: float, dimension: int) -> None:
    whole_number("classes", K, low=2)
    whole_number("per_class", m, low=1)
    whole_number("dimension", dimension, low=2)
    check_temperature(tau)
    if not -1 / (K - 1) - SIMPLEX <= rho < 1:
        raise ValueError(
            f"prototype_cosine must be in [-1/(classes - 1), 1) = [{-1 / (K - 1):.6g}, 1), got {rho!r}; "
            f"no {K} different vectors have it pairwise"
        )
    most = dimension + 1 if _is_simplex(rho, K) else dimension
    if most < K:
        raise ValueError(f"classes must be <= {most} in {dimension} dimensions, got {K}; raise the dimension")


def _is_simplex(rho: float, K: int) -> bool:
    return 1 + (K - 1) * rho <= SIMPLEX


def _largest_angle(rho: float, K: int) -> float:
    """pi/2 - psi_0: how far a class can turn away from its prototype, where psi = pi/2, the simplex."""
    return math.asin(math.sqrt((1 + (K - 1) * rho) / K))


def _place(alpha: float, K: int, tau: float) -> tuple[float, float]:
    """(cos psi, x) at alpha = pi/2 - psi, which keeps cos psi exact near the simplex."""
    c = math.sin(alpha)
    return c, math.exp(-_room(c, K, tau))


def _room(c: float, K: int, tau: float) -> float:
    """(1 - s)/tau = K sin^2 psi/((K-1) tau), c = cos psi."""
    return K * (1 - c**2) / ((K - 1) * tau)


def _share(x: float, K: int, m: int) -> float:
    return 1 / (K - 1) if m == 1 else m * x / (m - 1 + (K - 1) * m * x)


def _resistance(c: float, x: float, K: int, m: int, tau: float, *, spare: bool, keys: Keys) -> float:
    """V: what the softmax's variance adds against the spread that it resists least; c = cos psi."""
    if spare:
        return 0.0
    f = 2 if keys == "detached" else 1
    along = K**2 * c**2 * (1 - c**2) * (2 / (K - 1) - f * _share(x, K, m)) / (2 * tau)
    return along if K == 2 else min(along, _room(c, K, tau))


def derive() -> "Derivation":
    """The loss along the angle to the prototypes' sum, and the second variation of a spread, for both kinds of keys."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    K, m, tau, lam, psi, turn, s, g, a, b = sp.symbols("K m tau lambda psi psi_0 s g a b", positive=True)
    P, Q, V, y, f, p = sp.symbols("P Q V y f p", positive=True)
    eps, moved = sp.symbols("epsilon epsilon_k", real=True)
    theta = psi - turn
    A, B = sp.exp(1 / tau), sp.exp(s / tau)
    D = (m - 1) * A + (K - 1) * m * B
    # in the basis of sigma and the simplex directions: eta_k.eta_l = -1/(K-1)
    eta = -1 / (K - 1)
    cosine = (K * sp.cos(psi) ** 2 - 1) / (K - 1)
    S = sp.Function("s")(psi)
    loss = K * m * (sp.log(D.subs(s, S)) + lam * (1 - sp.cos(theta)))
    share = m * sp.exp(S / tau) / D.subs(s, S)
    balance = K * P / tau * sp.sin(2 * psi) - lam * sp.sin(theta)
    weight = K * P / tau * sp.sin(2 * psi) / sp.sin(theta)
    fall = sp.cot(psi) - sp.cot(theta) - sp.tan(psi)

    # Two points of a class at cos(eps) v +- sin(eps) t; t.v_l = g for a classes, -g for b, 0 for the others.
    # Anchor at eps, its keys where they are when the spread is `moved`; symmetric keys: T9's second variation.
    others = K - 1 - a - b
    rows = sp.cos(eps) * s, sp.sin(eps) * g

    def e(value: sp.Expr) -> sp.Expr:
        return sp.exp(value / tau)

    row = sp.log(
        e(sp.cos(eps + moved)) + (m - 2) * e(sp.cos(eps))
        + m * (a * e(rows[0] + rows[1]) + b * e(rows[0] - rows[1]) + others * e(rows[0]))
    ) - lam / 2 * p * sp.cos(eps)  # fmt: skip
    decay = (sp.diff(row, eps, 2) + sp.diff(row, eps, moved)).subs({eps: 0, moved: 0})
    near = e(sp.cos(2 * eps)) + (m - 2) * e(sp.cos(eps))
    seen = m * (a * e(rows[0] + rows[1]) + b * e(rows[0] - rows[1]) + others * e(rows[0]))
    rest = (m - 1) * A + ((K - 1) * m - 2) * B
    spread_loss = (
        sp.log(near + seen) + sp.log((near + seen).subs(sp.sin(eps), -sp.sin(eps)))
        + (m - 2) * sp.log(2 * e(sp.cos(eps)) + (m - 3) * A + (K - 1) * m * B)
        + (a + b) * m * sp.log(rest + e(rows[0] + rows[1]) + e(rows[0] - rows[1]))
        + others * m * sp.log(rest + 2 * e(rows[0])) - 2 * lam * p * sp.cos(eps)
    )  # fmt: skip
    variance = g**2 / tau**2 * P * (2 * (a + b) - f * P * (a - b) ** 2)
    spread = lam * p - 2 * P / tau * (y + (K - 1) * s) + variance
    softmax = {P: m * B / D, y: A / B}
    plain = {A: sp.Symbol("A", positive=True), B: sp.Symbol("B", positive=True)}
    w = K * sp.sin(psi) * sp.cos(psi)
    along = w**2 * (2 / (K - 1) - f * P) / (2 * tau)
    across = K * sp.sin(psi) ** 2 / ((K - 1) * tau)
    margin = 1 + K * sp.cos(psi) * sp.sin(turn) / sp.sin(theta) - y
    critical = 2 * P / tau * (y - 1 - V + K * sp.cos(psi) ** 2) / sp.cos(theta)
    simplex = 2 * P / tau * (sp.exp(K / ((K - 1) * tau)) - 1 - V)
    # slopes in psi: s falls by K sin(2 psi)/(K-1), P = Q/(K-1) moves with it, y = exp((1 - s)/tau) against it
    Y, share_ = sp.Function("y")(psi), sp.Function("P")(psi)
    slopes = {Y.diff(psi): Y * K * sp.sin(2 * psi) / ((K - 1) * tau),
              share_.diff(psi): -share_ * (1 - (K - 1) * share_) * K * sp.sin(2 * psi) / ((K - 1) * tau)}  # fmt: skip
    along_slope = (
        w / (tau * (K - 1))
        * (K * sp.cos(2 * psi) * (2 - f * Q) + w**2 * f * Q * (1 - Q) / ((K - 1) * tau) - 2 * y)
    )  # fmt: skip
    across_slope = K * sp.sin(2 * psi) / ((K - 1) * tau) * (1 - y)
    found = sp.diff(along.subs(P, share_) - Y, psi).subs(slopes).subs({Y: y, share_: Q / (K - 1)})
    agreements: dict[str, Agreement] = {}
    P_s = m / ((m - 1) * sp.exp((1 - cosine) / tau) + (K - 1) * m)
    for k, size, temperature, rho, angle in (
        (4, 8, 0.5, 0.3, 0.2), (3, 2, 0.3, -0.2, 0.1), (2, 5, 1.0, 0.5, 0.4), (3, 3, 0.5, 0.6, 0.2),
    ):  # fmt: skip
        start = sp.acos(sp.sqrt((1 + (k - 1) * sp.Rational(str(rho))) / k))
        here = {K: k, m: size, tau: sp.Rational(str(temperature)), turn: start, psi: start + sp.Rational(str(angle))}
        shape: dict[str, Any] = {"prototype_cosine": rho, "classes": k, "per_class": size, "temperature": temperature}
        where = f"K = {k}, m = {size}, tau = {temperature}, rho = {rho}, theta = {angle}"
        held = weight.subs(P, P_s).subs(here)
        agreements[f"equiangular_weight, {where}"] = Agreement(partial(equiangular_weight, angle, **shape), held)
        for keys, reading in (("symmetric", 1), ("detached", 2)):
            for dimension in (k, k + 1):

                def settled(
                    name: str, held: float = float(sp.N(held, 30)) / reading, dimension: int = dimension,
                    keys: Any = keys, shape: dict[str, Any] = shape,
                ) -> float:  # fmt: skip
                    return float(getattr(equiangular_equilibrium(
                        held, dimension=dimension, keys=keys, allow_unstable=True, **shape), name))  # fmt: skip

                resists = [sp.Integer(0)] if dimension > k else [along] + [across] * (k > 2)
                lowest = min(
                    sp.N((2 * P / tau * (margin + resisting)).subs({P: P_s, y: sp.exp((1 - cosine) / tau), f: reading})
                         .subs(here), 30) for resisting in resists
                )  # fmt: skip
                case = f"{where}, d = {dimension}, {keys}"
                agreements |= {
                    f"equiangular_curvature, {case}": Agreement(
                        partial(equiangular_curvature, angle, dimension=dimension, keys=keys, **shape), lowest  # type: ignore[arg-type]
                    ),
                    f"equiangular_equilibrium, angle, {case}": Agreement(
                        partial(settled, "angle"), sp.Rational(str(angle))
                    ),
                    f"equiangular_equilibrium, cosine, {case}": Agreement(
                        partial(settled, "cosine"), cosine.subs(here)
                    ),
                }  # fmt: skip
    alone = {K: 4, m: 1, tau: sp.Rational(1, 2), turn: sp.acos(sp.sqrt(sp.Rational(13, 40)))}
    agreements["equiangular_weight, one sample a class"] = Agreement(
        partial(equiangular_weight, 0.2, prototype_cosine=0.1, classes=4, per_class=1, temperature=0.5),
        weight.subs(P, P_s).subs(psi, turn + sp.Rational(1, 5)).subs(alone),
    )

    def simplex_state(name: str) -> float:
        return float(getattr(equiangular_equilibrium(
            9.0, prototype_cosine=-1 / 3, classes=4, per_class=3, temperature=0.5, dimension=8), name))  # fmt: skip

    agreements["equiangular_equilibrium, simplex, cosine"] = Agreement(
        partial(simplex_state, "cosine"), cosine.subs({K: 4, psi: sp.pi / 2})
    )
    agreements["equiangular_equilibrium, simplex, rank"] = Agreement(
        partial(simplex_state, "effective_rank"), sp.Integer(3)
    )
    row = sp.Matrix([1 - sp.Rational(1, 6), *[-sp.Rational(1, 6)] * 5])  # of I - 11^T/d, d = 6
    agreements["authors_etf_cosine"] = Agreement(
        partial(authors_etf_cosine, 6), row.dot(sp.Matrix([row[1], row[0], *row[2:]])) / row.dot(row)
    )
    for k, size, temperature, dimension in ((4, 8, 0.5, 8), (4, 3, 0.5, 3), (2, 2, 0.3, 2)):
        room = sp.Rational(k, k - 1) / sp.Rational(str(temperature))
        resisting = room if dimension == k - 1 else sp.Integer(0)
        apart_ = P_s.subs(psi, sp.pi / 2)
        for keys, reading in (("symmetric", 1), ("detached", 2)):
            agreements[f"simplex, K = {k}, m = {size}, tau = {temperature}, d = {dimension}, {keys}"] = Agreement(
                partial(equiangular_critical_weight, prototype_cosine=-1 / (k - 1), classes=k, per_class=size,
                        temperature=temperature, dimension=dimension, keys=keys),  # type: ignore[arg-type]
                simplex.subs(P, apart_).subs({K: k, m: size, tau: sp.Rational(str(temperature)), V: resisting})
                / reading,
            )  # fmt: skip
    return Derivation(
        theorem="T18",
        statement="Prototypes with a common cosine hold the classes on a cone about their sum; above one weight the"
        " classes are points, with either kind of keys.",
        steps=(
            Step("c_k = cos psi_0 sigma + sin psi_0 eta_k, with eta_k.eta_l = -1/(K-1) and sigma perpendicular to all."
                 " By the symmetry of T8 the classes stand at v_k = cos psi sigma + sin psi eta_k. Two of them have the"
                 " cosine", sp.Eq(s, cosine)),
            Step("and a class has the angle theta = psi - psi_0 to its prototype. T8's convexity needs |sum_k c_k| > 0"
                 " alone, so the minimum is unique and of this form. The loss is", loss, "L"),
            Step("Its slope is zero where the following is; P is the softmax's share as in T8", balance),
            Step("so the weight is", weight, "lambda"),
            Step("P falls in psi, and the logarithm of the rest changes by the following, negative since cot falls",
                 fall, "change"),
            Step("A spread in a class, as in T9, has per squared length the curvature", spread, "curvature"),
            Step("with y = exp((1 - s)/tau) and f = 1. With detached keys other anchors do not feel it, the force is"
                 " the own row's alone, and read at twice the weight f = 2. At the state's weight it is 2 P/tau times",
                 margin + V, "curvature tau/(2P)"),
            Step("V = 0 outside the span (d > K). Inside it, along dv/dpsi, all overlaps are equal and V is",
                 along, "V"),
            Step("and across it, along eta_i - eta_j (K >= 3), it is", across, "V"),
            Step("The first is the smaller iff K cos^2 psi (1 - f Q/2) <= 1, Q = (K-1) P, which holds for s <= 0 and so"
                 " for rho <= 0. The lowest curvature changes sign once: across - y changes by",
                 across_slope, "d(V - y)/dpsi"),
            Step("< 0, and along - y by", along_slope, "d(V - y)/dpsi"),
            Step("where along is the smaller the bracket's first term is at most 2 (cos 2 psi <= cos^2 psi), its second"
                 " at most 2 (1 - s)/tau (1 - s = K sin^2 psi/(K-1)), and y > 1 + (1 - s)/tau. The weight there is",
                 critical, "lambda*"),
            Step("A simplex has sigma = 0: v_k = c_k is stationary at every weight, p = 1, and the critical weight is",
                 simplex, "lambda*"),
        ),
        zeros={
            "cosine": sp.simplify(sp.cos(psi) ** 2 + sp.sin(psi) ** 2 * eta - cosine),
            "angle to the prototype": sp.cos(psi) * sp.cos(turn) + sp.sin(psi) * sp.sin(turn) - sp.cos(theta),
            "slope of the loss": (sp.diff(loss, psi) + K * m * balance.subs(P, share)).subs(
                S.diff(psi), sp.diff(cosine, psi)),
            "the weight": balance.subs(lam, weight),
            "the weight falls": sp.diff(sp.log(sp.sin(2 * psi) / sp.sin(theta)), psi) - fall,
            "second variation, symmetric": (sp.diff(spread_loss, eps, 2).subs(eps, 0) / 2
                                            - spread.subs(f, 1).subs(softmax)).subs(plain),
            "decay, detached": (2 * decay - spread.subs(f, 2).subs(softmax)).subs(plain),
            "at the state's weight": sp.expand_trig(
                (spread.subs(g, 0) - 2 * P / tau * margin).subs({lam: weight, p: sp.cos(theta), s: cosine})),
            "overlap along": -sp.sin(psi) * sp.cos(psi) + sp.cos(psi) * sp.sin(psi) * eta + w / (K - 1),
            "variance along": variance.subs({a: K - 1, b: 0, g: w / (K - 1)}) - 2 * P / tau * along,
            "variance across": variance.subs({a: 1, b: 1, g: sp.sin(psi) * (1 - eta) / sp.sqrt(2 - 2 * eta)})
                               - 2 * P / tau * across,
            "which is less": sp.simplify(along - across - across * (K * sp.cos(psi) ** 2
                                                                    * (1 - f * (K - 1) * P / 2) - 1)),
            "slope across": sp.diff(across - Y, psi).subs(slopes).subs(Y, y) - across_slope,
            "slope along": found - along_slope,
            "1 - s": 1 - cosine - K * sp.sin(psi) ** 2 / (K - 1),
            "the critical weight": sp.expand_trig(
                (critical * sp.cos(theta) - weight * sp.cos(theta)).subs(V, -margin)),
            "the simplex, d = K - 1": spread.subs({p: 1, s: eta, y: sp.exp(K / ((K - 1) * tau)), lam: simplex}).subs(
                {V: across.subs(psi, sp.pi / 2), a: 1, b: 1, g: (1 - eta) / sp.sqrt(2 - 2 * eta)}),
            "the simplex, d > K - 1": spread.subs({p: 1, s: eta, y: sp.exp(K / ((K - 1) * tau)), lam: simplex}).subs(
                {V: 0, g: 0}),
        },
        formulas={"equiangular_weight": weight, "equiangular_critical_weight": critical, "simplex": simplex},
        agreements=agreements,
    )  # fmt: skip
