"""T8: where the classes settle under orthonormal prototypes: between simplex ETF and orthonormal frame."""

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from clopsim.bounds.critical_weight import check_angle, check_classes, critical_weight, sign_change
from clopsim.bounds.setting import positive_number, whole_number

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation


@dataclass(frozen=True)
class ClassEquilibrium:
    """The class-collapsed state of one prototype weight."""

    angle: float  # theta, radians, between each class and its prototype
    cosine: float  # s, between two classes: -1/(K-1) for the simplex ETF, 0 for the orthonormal frame
    effective_rank: float  # exp of the entropy of the energy's shares: K-1 for the simplex ETF, K for the frame
    critical_weight: float  # T9: the state is stable above it
    is_equilibrium: bool  # False: stationary, but the classes spread inside (only with allow_unstable)


def class_equilibrium(
    weight: float,
    *,
    classes: int,
    per_class: int,
    temperature: float,
    dimension: int,
    allow_unstable: bool = False,
) -> ClassEquilibrium:
    """Where K balanced classes settle, each on one point, under the prototype weight lambda.

        v_k = cos theta c_k - sin theta b_k,   b_k = sum_(l != k) c_l / sqrt(K-1)                         (tight)
        class_weight(theta) = lambda,   s = class_cosine(theta),   rank = class_effective_rank(s)

    class_weight falls from infinity to 0 on (0, arctan(1/sqrt(K-1))], so the root is unique. The state is the unique
    minimum of the loss among all class-collapsed states (derive), and above critical_weight a strict local minimum
    among all states. lambda -> 0: simplex ETF, s = -1/(K-1), rank K-1; infinity: orthonormal frame, s = 0, rank K.

    Below critical_weight the classes keep internal spread and the formula does not describe the equilibrium, so the
    call refuses: a number would be taken for a prediction. allow_unstable=True returns the stationary state all the
    same, marked is_equilibrium=False.

    Valid for: the merged loss, sum reduction, symmetric keys, all samples labelled, K balanced classes; either gradient
    (same stationary states), small steps. The weight is per labelled sample, next to the sum loss: for the mean over
    the labelled samples S give weight/|S|. Detached keys: give twice the weight, or ask
    equiangular_equilibrium, which knows their critical weight too (T18).
    Source: T8 (ours); the prototype term is that of arXiv:2403.18699v2.

    weight: lambda > 0; classes: K, 2 <= K <= d; per_class: m >= 1; temperature: tau; dimension: d.
    Errors: ValueError for arguments outside these ranges and for weight <= critical_weight.
    """
    positive_number("weight", weight, remedy="without prototypes the orientation of the classes is free")
    critical = critical_weight(
        classes=classes, per_class=per_class, temperature=temperature, dimension=dimension
    )  # checks the rest
    stable = weight > critical
    if not (stable or allow_unstable):
        raise ValueError(
            f"weight must be > critical_weight = {critical:.6g}, got {weight!r}; below it the classes keep internal "
            "spread, pass allow_unstable=True for the stationary state all the same"
        )

    def excess(theta: float) -> float:
        return weight - class_weight(theta, classes=classes, per_class=per_class, temperature=temperature)

    top = math.atan(1 / math.sqrt(classes - 1))
    theta = sign_change(excess, 0.0, top)
    s = class_cosine(theta, classes=classes)
    return ClassEquilibrium(theta, s, class_effective_rank(s, classes=classes), critical, stable)


def class_weight(angle: float, *, classes: int, per_class: int, temperature: float) -> float:
    """The prototype weight that holds each class at this angle from its prototype: the inverse of class_equilibrium.

        lambda = (2 P/tau) (cos theta - sqrt(K-1) sin theta) (1 + sqrt(K-1) cot theta)                    (tight)
        P = m x / (m - 1 + (K - 1) m x),   x = e^(-(1 - s)/tau),   s = class_cosine(theta)

    Strictly falling in theta: each factor does. Source: T8 (ours). Valid for: as class_equilibrium.
    angle: theta in radians, 0 < theta <= arctan(1/sqrt(K-1)). Errors: ValueError outside this range.
    """
    K, m, tau = classes, per_class, temperature
    check_classes(classes=K, per_class=m, temperature=tau, dimension=K)
    check_angle(angle, K)
    s = class_cosine(angle, classes=K)
    P = 1 / (K - 1)  # m = 1: no class-mates, whatever x
    if m > 1:
        x = math.exp(-(1 - s) / tau)
        P = m * x / (m - 1 + (K - 1) * m * x)
    return weight_that_balances(P, angle, classes=K, temperature=tau)


def weight_that_balances(share: float, angle: float, *, classes: int, temperature: float) -> float:
    """The prototype weight that holds each class at this angle, whatever the loss, for its softmax share P.

        lambda = (2 P/tau) (cos theta - sqrt(K-1) sin theta) (1 + sqrt(K-1) cot theta)                    (tight)

    share: P of one other class, at the cosine that belongs to the angle. Source: T8, T29 (ours).
    Valid for: arguments that the caller has checked.
    """
    K = classes
    W = max(0.0, math.cos(angle) - math.sqrt(K - 1) * math.sin(angle))  # rounding at the upper end
    return (2 * share / temperature) * W * (1 + math.sqrt(K - 1) / math.tan(angle))


def class_cosine(angle: float, *, classes: int) -> float:
    """Cosine between two classes that sit at this angle from their prototypes.

        s = 2 p q + (K - 2) q^2,   p = cos theta,   q = -sin theta / sqrt(K-1)                            (tight)

    Equal to ((cos theta - sqrt(K-1) sin theta)^2 - 1)/(K - 1), so it falls in theta. Source: T8 (ours).
    angle: theta in radians, 0 < theta <= arctan(1/sqrt(K-1)). Errors: ValueError outside this range.
    """
    check_angle(angle, classes)
    p, q = math.cos(angle), -math.sin(angle) / math.sqrt(classes - 1)
    return 2 * p * q + (classes - 2) * q**2


def class_effective_rank(cosine: float, *, classes: int) -> float:
    """Effective rank of K balanced classes on K points with equal cosines s.

        rank = exp(-sum_i f_i log f_i),   f = (1 + (K-1) s)/K once, (1 - s)/K   K-1 times                 (tight)

    Valid for: -1/(K-1) <= s <= 1. Source: T8 (ours); the rank is Roy & Vetterli's (EUSIPCO 2007), on energies.
    Errors: ValueError outside this range.
    """
    K, s = whole_number("classes", classes, low=2), cosine
    slack = 1e-15 * K  # rounding of s at the simplex ETF
    if not -1 / (K - 1) - slack <= s <= 1:
        raise ValueError(f"cosine must be in [-1/(classes - 1), 1], got {s!r}; no {K} unit vectors have it pairwise")
    shares = ((1, max(0.0, 1 + (K - 1) * s) / K), (K - 1, (1 - s) / K))
    return math.exp(-sum(count * f * math.log(f) for count, f in shares if f > 0))


def derive() -> "Derivation":
    """The loss along the one angle that the symmetry leaves, its only zero, the ends, and why it is the minimum."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    K, m, tau, lam, theta, s, f, x, P, p = sp.symbols("K m tau lambda theta s f x P p", positive=True)
    q = sp.symbols("q", real=True)
    W, U, r = sp.symbols("W U r", positive=True)  # r: sqrt(K - 1), for sympy's sake
    explicit = {
        W: sp.cos(theta) - sp.sqrt(K - 1) * sp.sin(theta),
        U: sp.sin(theta) + sp.sqrt(K - 1) * sp.cos(theta),
        p: sp.cos(theta),
        q: -sp.sin(theta) / sp.sqrt(K - 1),
    }
    S = sp.Function("s")(theta)

    def written(expression: sp.Expr) -> sp.Expr:
        """The expression in theta and K alone."""
        return expression.subs(explicit)

    def vanishes(expression: sp.Expr) -> sp.Expr:
        return written(expression).subs(K, 1 + r**2)

    def D(at: sp.Expr) -> sp.Expr:
        return (m - 1) * sp.exp(1 / tau) + (K - 1) * m * sp.exp(at / tau)

    def share(at: sp.Expr) -> sp.Expr:
        return m * sp.exp(at / tau) / D(at)

    cosine = 2 * p * q + (K - 2) * q**2
    cosine_slope = -2 * W * U / (K - 1)
    loss = K * m * (sp.log(D(S)) + lam * (1 - sp.cos(theta)))
    slope = K * m * ((K - 1) * share(S) / tau * sp.diff(S, theta) + lam * sp.sin(theta))
    balance = 2 * P / tau * W * U - lam * sp.sin(theta)
    weight = 2 * P / tau * W * (1 + sp.sqrt(K - 1) * sp.cot(theta))
    P_x = m * x / (m - 1 + (K - 1) * m * x)
    P_slope = P * (1 - (K - 1) * P) * sp.Symbol("s'") / tau
    # v_k along dv_k/dtheta: what the other classes and the prototype do to it
    turned = sp.diff(written(p), theta), sp.diff(written(q), theta)
    overlap = turned[0] * q + p * turned[1] + (K - 2) * q * turned[1]
    force = 2 * P / tau * (K - 1) * overlap - lam * turned[0]
    shares = ((1 + (K - 1) * s) / K, (1 - s) / K)
    entropy = -shares[0] * sp.log(shares[0]) - (K - 1) * shares[1] * sp.log(shares[1])
    potential = sp.log(D(s))
    F, V = sp.Function("F"), sp.symbols("V", positive=True)
    lower = m * K * F((V**2 - K) / (K * (K - 1)))
    top = sp.atan(1 / sp.sqrt(K - 1))
    agreements: dict[str, Agreement] = {}
    holds, between = written(weight).subs(P, share(written(cosine))), written(cosine)
    for k, size, temperature, angle in (
        (4, 8, 0.5, 0.1),
        (3, 5, 0.3, 0.05),
        (2, 1, 1.0, 0.4),
        (6, 2, 2.0, 0.2),
        (4, 8, 0.5, 0.52),
    ):
        here = {K: k, m: size, tau: sp.Rational(str(temperature)), theta: sp.Rational(str(angle))}
        exact = float(sp.N(holds.subs(here), 30))
        at, rank = between.subs(here), sp.exp(entropy).subs({K: k, s: between.subs(here)})
        given: dict[str, Any] = {"classes": k, "per_class": size, "temperature": temperature}

        def settled(
            name: str, exact: float = exact, k: int = k, size: int = size, temperature: float = temperature
        ) -> float:
            state = class_equilibrium(
                exact, classes=k, per_class=size, temperature=temperature, dimension=k + 1, allow_unstable=True
            )
            return float(getattr(state, name))

        where = f"K = {k}, m = {size}, tau = {temperature}, theta = {angle}"
        agreements |= {
            f"class_weight, {where}": Agreement(partial(class_weight, angle, **given), holds.subs(here)),
            f"class_cosine, {where}": Agreement(partial(class_cosine, angle, classes=k), at),
            f"class_effective_rank, {where}": Agreement(partial(class_effective_rank, float(at), classes=k), rank),
            f"class_equilibrium, angle, {where}": Agreement(partial(settled, "angle"), here[theta]),
            f"class_equilibrium, cosine, {where}": Agreement(partial(settled, "cosine"), at),
            f"class_equilibrium, effective rank, {where}": Agreement(partial(settled, "effective_rank"), rank),
        }
    for end, directions in ((0.0, 5), (-0.25, 4)):  # the frame, the simplex
        agreements[f"class_effective_rank, s = {end}, K = 5"] = Agreement(
            partial(class_effective_rank, end, classes=5), sp.Integer(directions)
        )
    return Derivation(
        theorem="T8",
        statement="A prototype weight has one class-collapsed minimum, between the simplex ETF and the frame.",
        steps=(
            Step("The loss stays the same when classes and prototypes are permuted together and when the space"
                 " orthogonal to the prototypes is turned. States with that symmetry have v_k = p c_k + q sum_l c_l, l"
                 " != k, with p = cos(theta), and are stationary once they are so among themselves",
                 sp.Eq(q, written(q))),
            Step("Two classes have the cosine", sp.Eq(s, cosine)),
            Step("which is, with W = cos(theta) - sqrt(K-1) sin(theta),", sp.Eq(s, (W**2 - 1) / (K - 1))),
            Step("With U = sin(theta) + sqrt(K-1) cos(theta) it changes with theta by", cosine_slope, "ds/dtheta"),
            Step("The loss is", loss, "L"),
            Step("P = m exp(s/tau)/D, D the argument of the log, is the softmax's share of one other class. The slope"
                 " of the loss is -K m times the following; so is the gradient at v_k along dv_k/dtheta",
                 balance, "-L'/(K m)"),
            Step("so the weight that holds the angle theta is", sp.Eq(lam, weight)),
            Step("With x = exp(-(1 - s)/tau), P is", P_x, "P"),
            Step("It grows with s, by the following, so P, W and 1 + sqrt(K-1) cot(theta) all fall in theta while W >"
                 " 0: one angle for every weight", P_slope, "P'"),
            Step("At this angle W = 0: no weight, and s = -1/(K-1), the simplex ETF. As theta -> 0 the weight grows"
                 " without bound and s -> 0, the orthonormal frame", top, "theta"),
            Step("K points with equal cosines have a Gram matrix whose eigenvalues are K times the following, the"
                 " second K - 1 times. The effective rank is exp of the entropy of these shares: K - 1 at the ETF, K"
                 " at the frame", sp.Tuple(*shares), "shares"),
            Step("Among all class-collapsed states it is the minimum. Let F(s) be the following, V = |sum_k v_k|",
                 potential, "F(s)"),
            Step("F grows and is convex, with F'' = Q (1 - Q)/tau^2, Q = (K-1) P. So the loss without prototypes is"
                 " at least the following, with equality where all cosines are equal", lower, "L >="),
            Step("With the prototypes' term, linear in the v_k, this is convex on the product of unit balls, strictly"
                 " in sum_k v_k. Averaged over the symmetries it does not grow, so at a minimum sum_k v_k is a"
                 " multiple of sum_k c_k, and the slope in v_k, a multiple of it less lambda c_k, is not 0: |v_k| = 1."
                 " The middle of two minima is one too, and has |v_k| = 1 only if they are the same",
                 sp.Eq(p**2 + (K - 1) * q**2, 1)),
        ),
        zeros={
            "unit length": vanishes(p**2 + (K - 1) * q**2 - 1),
            "cosine in W": vanishes(cosine - (W**2 - 1) / (K - 1)),
            "slope of the cosine": vanishes(sp.diff(written(cosine), theta) - cosine_slope),
            "slope of the loss": sp.diff(loss, theta) - slope,
            "balance": vanishes((slope + K * m * balance.subs(P, share(S))).subs(sp.diff(S, theta), cosine_slope)),
            "gradient along dv/dtheta": vanishes(force + balance),
            "the weight": vanishes(balance.subs(lam, weight)),
            "P in x": share(s) - P_x.subs(x, sp.exp(-(1 - s) / tau)),
            "slope of P": sp.diff(share(s), s) - P_slope.subs({P: share(s), sp.Symbol("s'"): 1}),
            "slope of W": vanishes(sp.diff(written(W), theta) + U),
            "no weight at the ETF": vanishes(weight).subs(theta, top.subs(K, 1 + r**2)),
            "cosine of the ETF": vanishes(cosine + 1 / (K - 1)).subs(theta, top.subs(K, 1 + r**2)),
            "cosine of the frame": written(cosine).subs(theta, 0),
            "weight near the frame": sp.limit(vanishes(weight) * sp.sin(theta), theta, 0) - 2 * P / tau * r,
            "shares": shares[0] + (K - 1) * shares[1] - 1,
            "rank of the frame": sp.exp(entropy.subs(s, 0)) - K,
            "rank of the ETF": sp.exp(-sp.limit(f * sp.log(f), f, 0, "+")
                                      - ((K - 1) * shares[1] * sp.log(shares[1])).subs(s, -1 / (K - 1))) - (K - 1),
            "F is convex": sp.diff(potential, s, 2) - (K - 1) * share(s) * (1 - (K - 1) * share(s)) / tau**2,
        },
        formulas={
            "class_weight": written(weight).subs(P, share(written(cosine))),
            "class_cosine": written(cosine),
            "class_effective_rank": sp.exp(entropy),
        },
        agreements=agreements,
    )  # fmt: skip
