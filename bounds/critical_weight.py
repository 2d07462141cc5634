"""T9: the prototype weight above which every class falls onto one point, in closed form up to one angle."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from clopsim.bounds.setting import check_temperature, positive_number, whole_number

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation


def critical_weight(*, classes: int, per_class: int, temperature: float, dimension: int) -> float:
    """Prototype weight lambda* above which the class-collapsed state of T8 is stable.

        lambda* = (2 m/tau) (x W + (1 - x - x V) cos theta) / (m - 1 + (K - 1) m x),   x = e^(-(1 - s)/tau)   (tight)

    with theta the critical_angle, W = cos theta - sqrt(K-1) sin theta, s = (W^2 - 1)/(K - 1), and V = 0 for d > K; at
    d = K the points of a class can spread only inside the span of the prototypes, where the softmax resists with
    V = w^2 (2/(K-1) - P)/(2 tau), w and P as in spread_curvature. Below lambda* the classes keep internal spread, above
    it each falls onto one point. The crossing is unique (derive). Limits: (2/tau) m/(m-1) at low temperature;
    0 for m = 1, where a class has no inside and T8 holds at every weight.

    Valid for: the merged loss, sum reduction, symmetric keys, all samples labelled, K balanced classes; small steps of
    either gradient. The weight is per labelled sample, next to the sum loss. Detached keys: half of it for d > K, a
    little more at d = K, which equiangular_critical_weight(prototype_cosine=0, keys="detached") gives exactly (T18).
    Source: T9 (ours).

    classes: K, 2 <= K <= d; per_class: m >= 1 samples in each; temperature: tau; dimension: d.
    Errors: ValueError for arguments outside these ranges.
    """
    check_classes(classes=classes, per_class=per_class, temperature=temperature, dimension=dimension)
    if per_class == 1:
        return 0.0
    m, K, tau = per_class, classes, temperature
    theta, W, s = _critical_state(K, m, tau, dimension)
    x = math.exp(-(1 - s) / tau)
    V = _resistance(theta, W, x, K, m, tau) if dimension == K else 0.0
    one_minus_x = -math.expm1(-(1 - s) / tau)
    return (2 * m / tau) * (x * W + (one_minus_x - x * V) * math.cos(theta)) / (m - 1 + (K - 1) * m * x)


def critical_angle(*, classes: int, per_class: int, temperature: float, dimension: int) -> float:
    """Angle theta between a class and its prototype at the critical weight: the root of

        1 + sqrt(K-1) W / sin theta + V = e^((1 - s)/tau),   0 < theta < arctan(1/sqrt(K-1))        (tight)

    which reads sqrt(K-1) cot theta = K - 2 + e^((1 - s)/tau) for d > K: then neither m nor d matters. Left less right
    falls in theta, so the root is unique (derive). 0 where it lies under the smallest float (tau below about 0.0014).

    Valid for: as critical_weight, m >= 2. Source: T9 (ours).
    Errors: ValueError as critical_weight, and for m = 1.
    """
    check_classes(classes=classes, per_class=per_class, temperature=temperature, dimension=dimension)
    if per_class == 1:
        raise ValueError("per_class must be >= 2 here, got 1; a class of one point has no inside that could spread")
    K, m, tau = classes, per_class, temperature
    theta, W, s = _critical_state(K, m, tau, dimension)
    x = math.exp(-(1 - s) / tau)
    V = _resistance(theta, W, x, K, m, tau) if dimension == K else 0.0
    return math.atan(math.sqrt(K - 1) * x / (1 + (K - 2 - V) * x))  # the equation once more: exact for small angles too


def spread_curvature(angle: float, *, classes: int, per_class: int, temperature: float, dimension: int) -> float:
    """Lowest curvature of the loss against spreading inside a class, at T8's state of this angle and its weight.

        (2 P/tau) (1 + sqrt(K-1) W / sin theta + V - e^((1 - s)/tau))                             (tight)
        P = m x / (m - 1 + (K - 1) m x),   x = e^(-(1 - s)/tau)
        V = 0 for d > K;   V = w^2 (2/(K-1) - P)/(2 tau) for d = K,   w = W (sin theta + sqrt(K-1) cos theta)

    An eigenvalue of the Riemannian Hessian. The class means resist with at least (2 P/tau) sqrt(K-1) W / sin theta > 0,
    so T8's state is a strict local minimum, in all K m (d - 1) directions, if this number is > 0 and none if it is < 0.

    Valid for: as critical_weight, m >= 2, 0 < angle <= arctan(1/sqrt(K-1)). Source: T9 (ours).
    angle: theta in radians. Errors: ValueError outside this range.
    """
    check_classes(classes=classes, per_class=per_class, temperature=temperature, dimension=dimension)
    if per_class == 1:
        raise ValueError("per_class must be >= 2 here, got 1; a class of one point has no inside that could spread")
    K, m, tau = classes, per_class, temperature
    check_angle(angle, K)
    W = math.cos(angle) - math.sqrt(K - 1) * math.sin(angle)
    s = (W**2 - 1) / (K - 1)
    x = math.exp(-(1 - s) / tau)
    V = _resistance(angle, W, x, K, m, tau) if dimension == K else 0.0
    P_over_x = m / (m - 1 + (K - 1) * m * x)  # no overflow at low temperature
    return (2 * P_over_x / tau) * (x * (1 + math.sqrt(K - 1) * W / math.sin(angle) + V) - 1)


def check_classes(*, classes: int, per_class: int, temperature: float, dimension: int) -> None:
    """Raise ValueError unless 2 <= K <= d, m >= 1 and tau is a temperature."""
    whole_number("classes", classes, low=2)
    whole_number("per_class", per_class, low=1)
    whole_number("dimension", dimension, low=2)
    check_temperature(temperature)
    if classes > dimension:
        raise ValueError(
            f"classes must be <= dimension, got {classes} > {dimension}; "
            "no more than d orthonormal prototypes exist, raise the dimension"
        )


def check_angle(angle: float, classes: int) -> None:
    """Raise ValueError unless K >= 2 and 0 < angle <= arctan(1/sqrt(K-1)), up to the rounding of the upper end."""
    whole_number("classes", classes, low=2)
    positive_number("angle", angle, remedy="it is the angle between a class and its prototype, in radians")
    top = math.atan(1 / math.sqrt(classes - 1))
    if angle > math.nextafter(top, 2.0):
        raise ValueError(
            f"angle must be <= arctan(1/sqrt(classes - 1)) = {top:.6g}, got {angle!r}; no weight gives more"
        )


def sign_change(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that is <= 0 at low and >= 0 at high changes sign: bisected to neighbouring floats."""
    while low < (middle := (low + high) / 2) < high:
        if function(middle) <= 0:
            low = middle
        else:
            high = middle
    return high


def _critical_state(K: int, m: int, tau: float, dimension: int) -> tuple[float, float, float]:
    """(theta, W, s), solved in alpha = top - theta, which keeps W = sqrt(K) sin alpha exact at high temperature."""
    top = math.atan(1 / math.sqrt(K - 1))

    def state(alpha: float) -> tuple[float, float, float]:
        W = math.sqrt(K) * math.sin(alpha)
        return top - alpha, W, (W**2 - 1) / (K - 1)

    def margin(alpha: float) -> float:  # of the root's equation, times x sin theta: falls in theta, rises in alpha
        theta, W, s = state(alpha)
        x = math.exp(-(1 - s) / tau)
        V = _resistance(theta, W, x, K, m, tau) if dimension == K else 0.0
        return math.sin(theta) * (math.expm1(-(1 - s) / tau) + x * V) + x * math.sqrt(K - 1) * W

    return state(sign_change(margin, 0.0, top))


def _resistance(theta: float, W: float, x: float, K: int, m: int, tau: float) -> float:
    """V = w^2 (2/(K-1) - P)/(2 tau): the variance of the cosines that a spread inside the prototypes' span causes."""
    w = W * (math.sin(theta) + math.sqrt(K - 1) * math.cos(theta))
    P = m * x / (m - 1 + (K - 1) * m * x)
    return w**2 * (2 / (K - 1) - P) / (2 * tau)


def derive() -> "Derivation":
    """The second variation at T8's state, of the loss itself, for every direction: spreads inside a class and means."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    K, m, tau, lam, theta, p, s, g, a, b = sp.symbols("K m tau lambda theta p s g a b", positive=True)
    P, Q, V, W, U, w, x, y, r = sp.symbols("P Q V W U w x y r", positive=True)  # r: sqrt(K - 1), for sympy's sake
    eps = sp.symbols("epsilon", real=True)
    A, B = sp.exp(1 / tau), sp.exp(s / tau)
    plain = {A: sp.Symbol("A", positive=True), B: sp.Symbol("B", positive=True)}  # rational in these once eps = 0
    cos, sin, root = sp.cos(eps), sp.sin(eps), sp.sqrt(K - 1)

    def e(cosine: sp.Expr) -> sp.Expr:
        return sp.exp(cosine / tau)

    # Two points of a class at cos(eps) v +- sin(eps) t; t.v_l = g for a classes, -g for b, 0 for the others.
    others = K - 1 - a - b
    up, down, flat = e(s * cos + g * sin), e(s * cos - g * sin), e(s * cos)
    near, rest = e(sp.cos(2 * eps)) + (m - 2) * e(cos), (m - 1) * A + ((K - 1) * m - 2) * B
    moved = near + m * (a * up + b * down + others * flat)
    mate = 2 * e(cos) + (m - 3) * A + (K - 1) * m * B
    seen, unseen = rest + up + down, rest + 2 * flat
    spread_loss = (
        sp.log(moved) + sp.log(moved.subs(sin, -sin)) + (m - 2) * sp.log(mate)
        + (a + b) * m * sp.log(seen) + others * m * sp.log(unseen) - 2 * lam * p * cos
    )  # fmt: skip
    D = (m - 1) * A + (K - 1) * m * B
    variance = g**2 / tau**2 * P * (2 * (a + b) - P * (a - b) ** 2)
    spread = lam * p - 2 * P / tau * (y + (K - 1) * s) + variance
    softmax = {P: m * B / D, y: A / B}
    # Two whole classes at cos(eps) v +- sin(eps) t, t orthogonal to all prototypes.
    mean_loss = (
        2 * m * sp.log((m - 1) * A + m * e(s * cos**2 - sin**2) + (K - 2) * m * flat)
        + (K - 2) * m * sp.log((m - 1) * A + (K - 3) * m * B + 2 * m * flat)
        - 2 * m * lam * p * cos
    )
    mean = lam * p - 2 * P / tau * (1 + (K - 1) * s)

    # T8's state in theta and K: its weight, cosine, and the overlaps of the directions.
    explicit = {
        w: W * U,
        W: sp.cos(theta) - root * sp.sin(theta),
        U: sp.sin(theta) + root * sp.cos(theta),
    }
    weight = 2 * P / tau * W * (1 + root * sp.cot(theta))
    cosine = (W**2 - 1) / (K - 1)
    state = {lam: weight, p: sp.cos(theta), s: cosine}
    h = sp.cos(theta) + sp.sin(theta) / root
    q = -sp.sin(theta) / root
    resistance = w**2 * (2 / (K - 1) - P) / (2 * tau)
    margin = 1 + root * W / sp.sin(theta) - y

    def written(expression: sp.Expr) -> sp.Expr:
        """The expression in theta and K alone."""
        return expression.subs({w: explicit[w]}).subs(explicit)

    def vanishes(expression: sp.Expr) -> sp.Expr:
        return written(expression).subs(K, 1 + r**2)

    # V - y along theta: x = 1/y and Q = (K - 1) P move with s, which changes by -2 w/(K - 1).
    S = sp.Function("s")(theta)
    x_of = sp.exp(-(1 - S) / tau)
    P_x = m * x / (m - 1 + (K - 1) * m * x)
    slope = -w / (tau * (K - 1)) * ((U**2 - W**2) * (2 - Q) + 2 * y - w**2 * Q * (1 - Q) / (tau * (K - 1)))
    change = sp.diff(written(resistance.subs(P, P_x.subs(x, x_of)) - 1 / x_of), theta)
    change_gap = (change - slope.subs({Q: (K - 1) * P_x, y: 1 / x}).subs(x, x_of)).subs(
        sp.diff(S, theta), -2 * w / (K - 1)
    )
    critical = 2 * m / tau * (x * W + (1 - x - x * V) * sp.cos(theta)) / (m - 1 + (K - 1) * m * x)
    curvature = (2 * P / tau * (margin + V)).subs({P: P_x, y: 1 / x})

    def at_state(formula: sp.Expr, resisting: sp.Expr) -> sp.Expr:
        return written(formula.subs(V, resisting).subs(x, sp.exp(-(1 - cosine) / tau)))

    agreements: dict[str, Agreement] = {}
    for k, size, temperature, dimension, form in (
        (4, 8, 0.5, 8, ""), (3, 5, 0.3, 3, ", d = K"), (2, 2, 1.0, 2, ", d = K"), (6, 2, 2.0, 7, ""),
    ):  # fmt: skip
        here = {K: k, m: size, tau: sp.Rational(str(temperature))}
        given: dict[str, Any] = {"classes": k, "per_class": size, "temperature": temperature, "dimension": dimension}
        resisting = resistance.subs(P, P_x) if form else sp.Integer(0)
        stiffness, weighs = at_state(curvature, resisting).subs(here), at_state(critical, resisting).subs(here)
        top = sp.atan(1 / sp.sqrt(sp.Integer(k) - 1)).evalf(40)
        angle = sp.nsolve(stiffness, theta, (top / 10**6, top), solver="anderson", prec=40, verify=False)
        where = f"K = {k}, m = {size}, tau = {temperature}, d = {dimension}"
        agreements |= {
            f"critical_angle, {where}": Agreement(partial(critical_angle, **given), angle),
            f"critical_weight, {where}": Agreement(partial(critical_weight, **given), weighs.subs(theta, angle)),
            f"spread_curvature, {where}": Agreement(
                partial(spread_curvature, float(top) / 3, **given), stiffness.subs(theta, sp.Float(float(top) / 3, 40))
            ),
        }  # fmt: skip
    single: dict[str, Any] = {"classes": 4, "per_class": 1, "temperature": 0.5, "dimension": 8}
    agreements["critical_weight, m = 1"] = Agreement(partial(critical_weight, **single), sp.Integer(0))
    return Derivation(
        theorem="T9",
        statement="T8's state is a strict local minimum of the loss above one critical weight and none below it.",
        steps=(
            Step("The loss stays the same when points of a class are exchanged, so its second variation splits into"
                 " spreads inside a class, whose sum is zero, and moves of whole classes. For a spread it is enough to"
                 " move two points, to cos(epsilon) v +- sin(epsilon) t; let t.v_l be g for a of the other classes, -g"
                 " for b and 0 for the rest. A point that moves then has the softmax denominator", moved, "D"),
            Step("a point of its class that stays has", mate, "D"),
            Step("and a point of one of those a + b classes has", seen, "D"),
            Step("The loss sums their logarithms and -2 lambda p cos(epsilon). With P = m exp(s/tau)/D as in T8 and y"
                 " = exp((1 - s)/tau) its curvature per squared length is", spread, "curvature"),
            Step("Outside the span of the prototypes, d > K, g = 0. At T8's weight the curvature is 2 P/tau times",
                 margin, "curvature tau/(2P)"),
            Step("Inside the span, along t = dv/dtheta, all K - 1 overlaps are w/(K-1) up to sign, w = W U, so a = K"
                 " - 1, b = 0: the softmax's variance adds 2 P/tau times V, where V is", resistance, "V"),
            Step("Along (c_i - c_j)/sqrt(2) a = b = 1 and it adds 2 P/tau times h^2/tau, h as follows. w = sqrt(K-1)"
                 " W h and W <= 1, so V <= h^2/tau: the lowest curvature has V for d = K and nothing for d > K",
                 h, "h"),
            Step("Whole classes that move by Delta_k: per squared length the curvature is at least lambda p + (2"
                 " P/tau) (|sum_k Delta_k|^2/sum_k |Delta_k|^2 - W^2), the variance being >= 0. Two classes that move"
                 " oppositely, orthogonal to all prototypes, have just", mean, "curvature"),
            Step("At T8's weight this is 2 P/tau times the following, > 0: class means never give way",
                 root * W / sp.sin(theta), "curvature tau/(2P)"),
            Step("The lowest curvature changes sign once: sqrt(K-1) W/sin(theta) = sqrt(K-1) cot(theta) - (K-1) falls"
                 " in theta from infinity to 0, and V - y changes by the following, Q = (K-1) P. It is negative: U >="
                 " W, w^2 <= K - 1, Q (1 - Q) <= 1/4 and y > 1/tau. T8's weight falls in theta too, so the state is"
                 " stable above one weight", slope, "d(V - y)/dtheta"),
            Step("There sqrt(K-1) W/sin(theta) = y - 1 - V, and with x = 1/y T8's weight is", critical, "lambda*"),
        ),
        zeros={
            "second variation of a spread": (sp.diff(spread_loss, eps, 2).subs(eps, 0) / 2
                                             - spread.subs(softmax)).subs(plain),
            "at T8's weight": vanishes(spread.subs(g, 0).subs(state) - 2 * P / tau * margin),
            "overlap along t": vanishes((K - 1) * (sp.diff(sp.cos(theta), theta) * q + sp.cos(theta) * sp.diff(q, theta)
                                                   + (K - 2) * q * sp.diff(q, theta)) + w),
            "variance along t": variance.subs({a: K - 1, b: 0, g: w / (K - 1)}) - 2 * P / tau * resistance,
            "variance across t": (variance.subs({a: 1, b: 1, g: (sp.cos(theta) - q) / sp.sqrt(2)})
                                  - 2 * P / tau * h**2 / tau),
            "w in h": vanishes(w - root * W * h),
            "second variation of two classes": (sp.diff(mean_loss, eps, 2).subs(eps, 0) / (2 * m)
                                                - mean.subs(softmax)).subs(plain),
            "class means at T8's weight": vanishes(mean.subs(state) - 2 * P / tau * root * W / sp.sin(theta)),
            "U^2 + W^2 = K": vanishes(U**2 + W**2 - K),
            "slope of V - y": vanishes(change_gap).subs(x_of, x),
            "the critical weight": 2 * P_x / tau * (W + sp.cos(theta) * (1 / x - 1 - V)) - critical,
            "the weight in sines": vanishes(weight - 2 * P / tau * W * (1 + root * sp.cos(theta) / sp.sin(theta))),
        },
        formulas={
            "critical_weight": at_state(critical, sp.Integer(0)),
            "critical_weight, d = K": at_state(critical, resistance.subs(P, P_x)),
            "spread_curvature": at_state(curvature, sp.Integer(0)),
            "spread_curvature, d = K": at_state(curvature, resistance.subs(P, P_x)),
        },
        agreements=agreements,
    )  # fmt: skip
