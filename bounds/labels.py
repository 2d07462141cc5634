"""T19: labels that are missing, classes of different size: whom the prototypes gather, and from which weight on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.critical_weight import sign_change
from clopsim.bounds.setting import check_temperature, positive_number, whole_number

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation


def lone_unlabelled_cosine(*, classes: int, prototype_cosine: float = 0.0) -> float:
    """Cosine of one unlabelled embedding to EVERY prototype, its own class's included, beside collapsed classes.

        z = -sum_k c_k / |sum_k c_k|,   z.c_k = -sqrt((1 + (K - 1) rho)/K)              (tight; -1/sqrt(K) orthonormal)

    The unique minimum of its energy, in any dimension, at any temperature, class size and weight: the loss keeps it
    away from all classes alike, and on free embeddings nothing says which class is its own.

    Valid for: the merged loss, K balanced classes, each on one point of a cone about the prototypes' sum (T8, T18);
    one unlabelled embedding (several repel each other too); prototypes with a common cosine rho, no simplex.
    Source: T19 (ours). classes: K >= 2; prototype_cosine: rho, -1/(K-1) < rho < 1. Errors: ValueError outside.
    """
    K = whole_number("classes", classes, low=2)
    _check_no_simplex(prototype_cosine, K)
    return -math.sqrt((1 + (K - 1) * prototype_cosine) / K)


def _check_no_simplex(prototype_cosine: float, K: int) -> None:
    lowest = -1 / (K - 1)
    if math.isclose(prototype_cosine, lowest) or not lowest < prototype_cosine < 1:
        raise ValueError(
            f"prototype_cosine must be in (-1/(classes - 1), 1) = ({lowest:.6g}, 1), got {prototype_cosine!r}; "
            "a simplex has no direction away from all its corners"
        )


@dataclass(frozen=True)
class PairEquilibrium:
    """The class-collapsed state of two labelled classes of different size."""

    angles: tuple[float, float]  # theta_1, theta_2, radians, between each class and its prototype
    cosine: float  # s, between the classes
    curvatures: tuple[float, float]  # against a spread of class 1, of class 2; > 0: the class stays a point
    critical_weights: tuple[float, float]  # above it class 1, class 2 is a point


def pair_equilibrium(weight: float, *, sizes: tuple[int, int], temperature: float, dimension: int) -> PairEquilibrium:
    """Where two labelled classes of sizes m_1, m_2 stand under orthonormal prototypes.

        sin theta_1/sin theta_2 = m_2/m_1,   s = -sin(theta_1 + theta_2),   pair_weight(theta_1) = lambda      (tight)

    The larger class stays nearer to its prototype. The unique minimum among the class-collapsed states; class k is a
    strict local minimum against spreading iff its curvature is > 0, that is above its own critical weight.

    Valid for: the merged loss, sum reduction, symmetric keys, all samples labelled, K = 2, d > 2; either gradient,
    small steps. The weight is per labelled sample, next to the sum loss. Source: T19 (ours).
    Errors: ValueError outside these ranges.
    """
    positive_number("weight", weight, remedy="without prototypes the orientation of the classes is free")
    m = _check_pair(sizes, temperature, dimension)

    def excess(total: float) -> float:
        return weight - _weight(total, m, temperature)

    angles = _split(sign_change(excess, 0.0, math.pi / 2), m)
    s = -math.sin(sum(angles))
    gram, own = np.array([[1.0, s], [s, 1.0]]), np.cos(angles)
    curvatures = class_curvatures(weight, sizes=m, cosines=gram, alignments=own, temperature=temperature)
    critical = pair_critical_weights(sizes=sizes, temperature=temperature, dimension=dimension)
    return PairEquilibrium(angles, s, (float(curvatures[0]), float(curvatures[1])), critical)


def pair_weight(angle: float, *, sizes: tuple[int, int], temperature: float) -> float:
    """The weight that holds class 1 at the angle theta_1 from its prototype.

        lambda = (m_2/tau) x (1/D_1 + 1/D_2) cos(theta_1 + theta_2)/sin theta_1                                (tight)
        x = e^(-(1 - s)/tau),   D_1 = m_1 - 1 + m_2 x,   D_2 = m_2 - 1 + m_1 x

    Falls from infinity to 0. Valid for: as pair_equilibrium. Source: T19 (ours).
    angle: theta_1 in radians, 0 < theta_1 <= arctan(m_2/m_1). Errors: ValueError outside this range.
    """
    m = _check_pair(sizes, temperature, 3)
    positive_number("angle", angle, remedy="it is the angle between class 1 and its prototype, in radians")
    top = math.atan(m[1] / m[0])
    if angle > math.nextafter(top, 2.0):
        raise ValueError(f"angle must be <= arctan(m_2/m_1) = {top:.6g}, got {angle!r}; no weight gives more")
    other = math.asin(min(1.0, math.sin(angle) * m[0] / m[1]))
    return _weight(min(angle + other, math.pi / 2), m, temperature)


def pair_critical_weights(*, sizes: tuple[int, int], temperature: float, dimension: int) -> tuple[float, float]:
    """Prototype weights above which class 1, and class 2, falls onto one point.

        class 1 is a point iff x (1 + D_1/D_2) cot theta_2 > 2,   class 2 iff x (1 + D_2/D_1) cot theta_1 > 2  (tight)

    Each left side falls in the angles, and they fall in the weight, so each class has one critical weight; 0 for a
    class of one sample, and at high temperatures for a much smaller one. Low temperature: (2/tau) m_k/(m_k - 1), so the
    smaller class needs more.

    Valid for: as pair_equilibrium. Source: T19 (ours). Errors: ValueError outside the ranges.
    """
    m = _check_pair(sizes, temperature, dimension)

    def critical(k: int) -> float:
        if m[k] == 1:
            return 0.0

        def margin(total: float) -> float:  # times sin theta_l: rises in theta_1 + theta_2
            other = _split(total, m)[1 - k]
            D, pull = _softmax(total, m, temperature)
            return 2 * math.sin(other) - D[k] * pull * math.cos(other)

        if margin(math.pi / 2) < 0:  # high temperature: the larger class alone holds the smaller one together
            return 0.0
        total = sign_change(margin, 0.0, math.pi / 2)
        D, pull = _softmax(total, m, temperature)
        # class_curvatures = 0 solved for the weight: pair_weight would divide by an angle that may be too small
        pulls = 2 * m[k] / D[k] - math.sin(total) * m[1 - k] * pull
        return pulls / (temperature * math.cos(_split(total, m)[k]))

    return critical(0), critical(1)


def class_curvatures(
    weight: float,
    *,
    sizes: Sequence[int],
    cosines: NDArray[np.float64],
    alignments: NDArray[np.float64],
    temperature: float,
) -> NDArray[np.float64]:
    """Curvature of every class against a spread along a direction that is perpendicular to all classes, (K,).

        kappa_k = lambda a_k - (1/tau) [2 m_k/D_k + sum_(l != k) s_kl m_l x_kl (1/D_k + 1/D_l)]                (tight)
        x_kl = e^(-(1 - s_kl)/tau),   D_k = m_k - 1 + sum_(l != k) m_l x_kl

    Valid for: any class-collapsed stationary state of the merged loss with prototypes, symmetric keys, sum reduction,
    all samples labelled, a dimension to spare. Balanced, it is T9's and T18's; inf for a class of one.
    Source: T19 (ours).
    weight: lambda > 0; sizes: m_k, (K,); cosines: s_kl, (K, K); alignments: a_k = v_k.c_k, (K,); temperature: tau.
    Errors: ValueError for wrong shapes.
    """
    positive_number("weight", weight, remedy="it is the prototype weight lambda per labelled sample")
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    m = np.array([whole_number("sizes", size, low=1) for size in sizes])
    if cosines.shape != (len(m), len(m)) or alignments.shape != (len(m),):
        raise ValueError(
            f"cosines must have shape (K, K) and alignments (K,) for K = {len(m)} sizes, got {cosines.shape} and "
            f"{alignments.shape}; one row for each class"
        )
    one = np.eye(len(m))
    log_x = (cosines - 1) / temperature
    with np.errstate(divide="ignore"):
        log_D = np.logaddexp.reduce(np.log(m - one) + log_x, axis=1)  # (K,), finite where x underflows
    log_x = np.where(one, -np.inf, log_x)
    shares = np.exp(log_x - log_D[:, None]) + np.exp(log_x - log_D)
    inside = np.where(m > 1, 2 * m * np.exp(-np.where(m > 1, log_D, 0)), -np.inf)  # one point has no inside to spread
    return np.asarray(weight * alignments - (inside + (cosines * shares) @ m) / temperature)


def _check_pair(sizes: tuple[int, int], temperature: float, dimension: int) -> tuple[int, int]:
    if len(sizes) != 2:
        raise ValueError(f"sizes must be two numbers, got {len(sizes)}; for more classes see class_curvatures")
    check_temperature(temperature)
    whole_number("dimension", dimension, low=3)  # d = 2: a class can spread in the plane of the prototypes alone
    return whole_number("sizes", sizes[0], low=1), whole_number("sizes", sizes[1], low=1)


def _split(total: float, m: tuple[int, int]) -> tuple[float, float]:
    """(theta_1, theta_2) with this sum and sin theta_1/sin theta_2 = m_2/m_1."""
    first = math.atan2(m[1] * math.sin(total), m[0] + m[1] * math.cos(total))
    second = math.atan2(m[0] * math.sin(total), m[1] + m[0] * math.cos(total))
    return first, second


def _softmax(total: float, m: tuple[int, int], tau: float) -> tuple[tuple[float, float], float]:
    """(D_1, D_2) and x (1/D_1 + 1/D_2) where the classes are pi/2 + total apart; no 0/0 for a class of one sample."""
    x = math.exp(-(1 + math.sin(total)) / tau)
    D = m[0] - 1 + m[1] * x, m[1] - 1 + m[0] * x
    return D, sum(x / D[k] if m[k] > 1 else 1 / m[1 - k] for k in (0, 1))


def _weight(total: float, m: tuple[int, int], tau: float) -> float:
    """pair_weight at theta_1 + theta_2 = total."""
    _, pull = _softmax(total, m, tau)
    return (m[1] / tau) * pull * max(0.0, math.cos(total)) / math.sin(_split(total, m)[0])


def derive() -> "Derivation":
    """Convexity for the unlabelled one; for the sizes the loss in two angles and the second variation of a spread."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    tau, lam, D, m, K, p = sp.symbols("tau lambda D m K p", positive=True)
    t, r = sp.symbols("t r", real=True)
    anchor = sp.log(D + sp.exp(t / tau))  # a labelled anchor's row, in the cosine t of the unlabelled one to its class
    bend = D * sp.exp(t / tau) / (tau**2 * (D + sp.exp(t / tau)) ** 2)
    energy = sp.log(K * m * sp.exp(r * p / tau)) + K * m * sp.log(D + sp.exp(r * p / tau))
    slope = p / tau * (1 + K * m * sp.exp(r * p / tau) / (D + sp.exp(r * p / tau)))

    # two classes in the angles to their prototypes
    first, second, total = sp.symbols("theta_1 theta_2 phi", positive=True)
    m1, m2 = sp.symbols("m_1 m_2", positive=True)
    A, S = sp.exp(1 / tau), sp.Function("s")(first, second)
    x = sp.Symbol("x", positive=True)
    D1, D2 = m1 - 1 + m2 * x, m2 - 1 + m1 * x
    loss = (
        m1 * sp.log((m1 - 1) * A + m2 * sp.exp(S / tau)) + m2 * sp.log((m2 - 1) * A + m1 * sp.exp(S / tau))
        - lam * (m1 * sp.cos(first) + m2 * sp.cos(second))
    )  # fmt: skip
    cosine = -sp.sin(first + second)
    pull = x * (1 / D1 + 1 / D2)
    weight = m2 / tau * pull * sp.cos(first + second) / sp.sin(first)
    along = sp.Symbol("E", positive=True)  # exp(s/tau) = x exp(1/tau)
    to_x = {sp.exp(S / tau): along}
    back = {along: x * sp.exp(1 / tau)}

    def slope_in(angle: sp.Symbol) -> sp.Expr:
        value = sp.diff(loss, angle).subs(sp.diff(S, angle), sp.diff(cosine, angle)).subs(to_x).subs(back)
        return sp.simplify(value)

    split = {
        sp.sin(first): m2 * sp.sin(total) / sp.sqrt(m1**2 + m2**2 + 2 * m1 * m2 * sp.cos(total)),
        sp.cos(first): (m1 + m2 * sp.cos(total)) / sp.sqrt(m1**2 + m2**2 + 2 * m1 * m2 * sp.cos(total)),
    }
    other_sine = sp.sin(total) * split[sp.cos(first)] - sp.cos(total) * split[sp.sin(first)]  # of phi - theta_1
    curvature = lam * sp.cos(first) - (2 * m1 / D1 + cosine * m2 * pull) / tau
    short = m2 * pull * sp.cos(second) / sp.sin(first) - 2 * m1 / D1

    # a spread of class 1 of three, along a direction perpendicular to all
    eps = sp.symbols("epsilon", real=True)
    n = sp.symbols("n_1:4", positive=True)
    s = {(0, 1): sp.Symbol("s_12"), (0, 2): sp.Symbol("s_13"), (1, 2): sp.Symbol("s_23")}
    s |= {(b, a): value for (a, b), value in s.items()}

    def e(value: sp.Expr) -> sp.Expr:
        return sp.exp(value / tau)

    denominators = [(n[k] - 1) * A + sum(n[j] * e(s[k, j]) for j in range(3) if j != k) for k in range(3)]
    turned = sp.cos(eps)
    spread = (
        2 * sp.log(e(sp.cos(2 * eps)) + (n[0] - 2) * e(turned) + sum(n[j] * e(s[0, j] * turned) for j in (1, 2)))
        + (n[0] - 2) * sp.log(2 * e(turned) - 2 * A + denominators[0])
        + sum(n[j] * sp.log(2 * e(s[0, j] * turned) - 2 * e(s[0, j]) + denominators[j]) for j in (1, 2))
        - 2 * lam * p * turned
    )
    general = (
        lam * p
        - (
            2 * n[0] * A / denominators[0]
            + sum(s[0, j] * n[j] * e(s[0, j]) * (1 / denominators[0] + 1 / denominators[j]) for j in (1, 2))
        )
        / tau
    )

    agreements: dict[str, Agreement] = {
        f"lone_unlabelled_cosine, K = {k}, rho = {rho}": Agreement(
            partial(lone_unlabelled_cosine, classes=k, prototype_cosine=rho),
            -sp.sqrt((1 + (k - 1) * sp.Rational(str(rho))) / k),
        )
        for k, rho in ((4, 0.0), (3, -0.3), (2, 0.5))
    }
    for sizes, temperature, angle in (
        ((8, 2), 0.5, 0.1),
        ((5, 4), 1.0, 0.67),
        ((2, 20), 0.5, 1.0),
        ((1, 6), 0.3, 0.7),
        ((6, 1), 0.3, 0.1),
        ((2, 8), 1.82, 1.0),  # class 1 turns next to a right angle between the classes, where the root's bracket ends
    ):
        theta = sp.Rational(str(angle))
        other = sp.asin(sp.sin(theta) * sizes[0] / sizes[1])
        at = {m1: sizes[0], m2: sizes[1], tau: sp.Rational(str(temperature)), first: theta, second: other}
        apart = sp.exp(-(1 - cosine.subs(at)) / at[tau])
        held = weight.subs(at).subs(x, apart)
        where = f"{sizes}, tau = {temperature}, theta_1 = {angle}"
        agreements[f"pair_weight, {where}"] = Agreement(
            partial(pair_weight, angle, sizes=sizes, temperature=temperature), held
        )

        def settled(
            name: str, k: int, held: float = float(sp.N(held, 30)), sizes: Any = sizes, tau: float = temperature
        ) -> float:
            return float(getattr(pair_equilibrium(held, sizes=sizes, temperature=tau, dimension=3), name)[k])

        mirrored = {m1: sizes[1], m2: sizes[0], first: other, second: theta, tau: at[tau]}
        for k, place in ((0, at), (1, mirrored)):
            agreements[f"angle {k + 1}, {where}"] = Agreement(partial(settled, "angles", k), place[first], 1e-11)
            if sizes[k] > 1:
                exact = curvature.subs(place).subs({x: apart, lam: held})
                agreements[f"curvature {k + 1}, {where}"] = Agreement(partial(settled, "curvatures", k), exact, 1e-10)
                # the weight at which this class's curvature vanishes, by a root of its own
                fixed = {m1: place[m1], m2: place[m2], tau: at[tau]}
                in_one = {x: sp.exp(-(1 - cosine) / tau)}, {second: sp.asin(sp.sin(first) * m1 / m2)}, fixed
                ends = float(sp.atan(fixed[m2] / sp.Integer(fixed[m1]))) * np.array([1e-9, 1 - 1e-9])
                slack, critical = (one.subs(in_one[0]).subs(in_one[1]).subs(fixed) for one in (short, weight))
                root = sp.nsolve(slack, first, tuple(ends), solver="bisect", prec=25, verify=False)
                agreements[f"critical weight {k + 1}, {where}"] = Agreement(
                    partial(settled, "critical_weights", k), critical.subs(first, root), 1e-10
                )
    lone: dict[str, Any] = {"sizes": (1, 4), "cosines": np.array([[1.0, -0.2], [-0.2, 1.0]]), "alignments": np.ones(2)}
    agreements["class_curvatures, infinite for a class of one"] = Agreement(
        lambda: float(np.isposinf(class_curvatures(1.0, temperature=0.5, **lone)[0])), 1.0
    )
    return Derivation(
        theorem="T19",
        statement="An unlabelled embedding is held away from every class; of two classes the larger is the nearer to"
        " its prototype, and each falls onto one point above a weight of its own.",
        steps=(
            Step("An unlabelled z beside K classes of m sees them through its cosines t_k to the class points. A"
                 " labelled anchor's row is log(D + exp(t/tau)), convex with the second derivative",
                 bend, "second derivative"),
            Step("and its own row is a log-sum-exp, convex too. So the energy is convex in z and symmetric in the t_k:"
                 " averaged over the permutations of the classes and the reflection of the spare axes z does not grow"
                 " worse, and lies on r sigma, |r| <= 1, sigma the classes' common axis. With p = v_k.sigma > 0 the"
                 " energy grows along it by", slope, "slope"),
            Step("so r = -1 is the only minimum, at the cosine -sigma.c_k to every prototype. Two labelled classes of"
                 " sizes m_1, m_2, turned by theta_1, theta_2 away from each other, have the cosine", sp.Eq(S, cosine)),
            Step("The loss is", loss, "L"),
            Step("Its slopes vanish where m_1 sin(theta_1) = m_2 sin(theta_2) and the weight is", weight, "lambda"),
            Step("With theta_1 + theta_2 = phi the angles are", sp.Eq(sp.tan(first), sp.simplify(
                split[sp.sin(first)] / split[sp.cos(first)]))),
            Step("The loss without prototypes grows and is convex in v_1.v_2 = (|v_1 + v_2|^2 - 2)/2, so with"
                 " |v_k| <= 1 it is a convex problem, and the state solves it: its multipliers are m_1 m_2 pull/tau"
                 " times the following, >= 0 as theta_1 + theta_2 <= pi/2", sp.cos(second) / sp.sin(first) - 1),
            Step("Two points of a class that move oppositely along a direction perpendicular to all classes: curvature"
                 " (three classes, n_k points)", general, "curvature"),
            Step("For two classes at the state's weight it is 1/tau times", short, "tau curvature"),
            Step("> 0 iff x (1 + D_1/D_2) cot(theta_2) > 2. x, x/D_2 and D_1 fall with the angles, and so does cot"),
        ),
        zeros={
            "an anchor's row is convex": sp.diff(anchor, t, 2) - bend,
            "slope along the axis": sp.diff(energy, r) - slope,
            "slope in theta_1": slope_in(first) - m1 * sp.sin(first) * (lam - weight),
            "slope in theta_2": slope_in(second) - (m2 * lam * sp.sin(second) - m1 * sp.sin(first) * weight),
            "the angles": m1 * split[sp.sin(first)] - m2 * other_sine,
            "a unit vector": split[sp.sin(first)] ** 2 + split[sp.cos(first)] ** 2 - 1,
            "multiplier": sp.expand_trig(lam * sp.cos(first) - m2 * pull / tau * (1 + cosine)).subs(
                lam, sp.expand_trig(weight)) - m2 * pull / tau * (sp.cos(second) / sp.sin(first) - 1),
            "second variation": (sp.diff(spread, eps, 2).subs(eps, 0) / 2 - general).subs(
                {A: sp.Symbol("A", positive=True)}
                | {e(s[a, b]): sp.Symbol(f"E_{a}{b}", positive=True) for a, b in ((0, 1), (0, 2), (1, 2))}),
            "at the pair's weight": sp.expand_trig(curvature.subs(lam, weight) - short / tau),
            "as a ratio": short * sp.sin(first) * D1 / m1 - (x * (1 + D1 / D2) * sp.cos(second) * m2 / m1
                                                             - 2 * sp.sin(first)),
        },
        formulas={"pair_weight": weight, "class_curvatures, K = 3": general},
        agreements=agreements,
    )  # fmt: skip
