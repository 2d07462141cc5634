"""T33: the unhinged loss on the sphere: every row on its own circle, stable below 2n/|q|, a swap of two steps above."""

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from clopsim.bounds.setting import Floats, Gradient, number_from_zero, one_of, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

Directions = Literal["simplex", "orthonormal"]
"""The fixed class directions w_k: unit vectors with common cosine -1/(K - 1) or 0."""


class UnhingedPull(NamedTuple):
    """The vectors q_k that the rows of class k are pulled to with force |q|/n."""

    length: float  # |q|, the same for every class
    class_cosine: float  # between two of them: where the classes end


class LearnedCurvatures(NamedTuple):
    """Curvatures at complete collapse, rows and learned directions at one point."""

    low: float  # class contrasts, rows and directions alike
    high: float  # class contrasts, against each other
    within: float  # rows of a class, the directions at rest


def unhinged_pull(
    classes: int, *, gamma: float | None = None, directions: Directions = "simplex", weight: float = 0.0
) -> UnhingedPull:
    """Length and common cosine of q_k = (1 + gamma) w_k - gamma sum_l w_l + lambda c_k.

        orthonormal, w = c: |q|^2 = (1 + lambda)^2 + (K-1) gamma^2,
                            cosine = (-2 (1 + lambda) gamma + (K-2) gamma^2) / |q|^2
        simplex:            |q|^2 = (1 + gamma)^2 + lambda^2 + 2 lambda (1 + gamma) sqrt((K-1)/K),
                            cosine = -[(1 + gamma)^2/(K-1) + 2 lambda (1 + gamma)/sqrt(K (K-1))] / |q|^2    (tight)

    lambda: the weight of CLOP's term with orthonormal prototypes c_k in the same frame, w_k = c_k or along c_k less
    their mean. gamma = 0 with w = c is that term alone, gamma = 1/(K-1) turns it into the simplex: gamma is to the
    unhinged loss what lambda is in T8.

    Valid for: any K >= 2 that fits the dimension. Source: T33 (ours). gamma >= 0, None: 1/(K-1); weight: lambda >= 0.
    """
    K, gamma = _checked(classes, gamma, directions)
    number_from_zero("weight", weight, remedy="0 leaves the prototypes out")
    if directions == "orthonormal":
        square = (1 + weight) ** 2 + (K - 1) * gamma**2
        product = -2 * (1 + weight) * gamma + (K - 2) * gamma**2
    else:
        square = (1 + gamma) ** 2 + weight**2 + 2 * weight * (1 + gamma) * math.sqrt((K - 1) / K)
        product = -((1 + gamma) ** 2 / (K - 1) + 2 * weight * (1 + gamma) / math.sqrt(K * (K - 1)))
    return UnhingedPull(math.sqrt(square), product / square)


def unhinged_rate(pull: float, *, samples: int) -> float:
    """Learning rate above which tangent steps overshoot the class points z = q_k/|q| for good.

        2 n/|q|                                                                                             (tight)

    Below it a small angle shrinks by 1 - x in each step, x = mu |q|/n, without overshoot up to n/|q|. The ambient step
    multiplies it by 1/(1 + x): stable at every rate.

    Valid for: mean over the n rows. Source: T33 (ours). pull: |q|, such as unhinged_pull(K).length.
    """
    positive_number("pull", pull, remedy="it is the length of q_k")
    return 2 * whole_number("samples", samples, low=1) / pull


def unhinged_step(angle: Floats, x: Floats, *, gradient: Gradient) -> Floats:
    """Angle to q after one step from an angle theta, on the circle through both.

        tangent: theta - arctan(x sin theta),     ambient: arctan2(sin theta, cos theta + x)                (tight)

    Valid for: x = mu |q|/n >= 0. Source: T33 (ours). Radians; broadcast. Opposite to q nothing moves; with the tangent
    step any other angle leaves it.
    """
    one_of("gradient", gradient, get_args(Gradient))
    if gradient == "tangent":
        return angle - np.arctan(x * np.sin(angle))
    return np.arctan2(np.sin(angle), np.cos(angle) + x)


def unhinged_swap(x: float) -> tuple[float, float]:
    """Where tangent steps settle: the cosine to q, and the factor by which two steps multiply a deviation from there.

        x <= 2: 1, (1 - x)^2
        x > 2:  cos theta = (1 + sqrt(1 + 2 x^2))/(2 x),     (1 - 2 cos^2 theta cos 2 theta)^2             (tight)

    Above the rate every row swaps sides of q in each step, at an angle that never passes 45 degrees; all swaps are
    stable, ever less so as x grows. Valid for: x > 0. Source: T33 (ours).
    """
    positive_number("x", x, remedy="it is the rate times |q|/n")
    if x <= 2:
        return 1.0, (1 - x) ** 2
    cosine = (1 + math.sqrt(1 + 2 * x**2)) / (2 * x)
    return cosine, (1 - 2 * cosine**2 * (2 * cosine**2 - 1)) ** 2


def unhinged_floor(
    classes: int, *, samples: int, gamma: float | None = None, directions: Directions = "simplex"
) -> float:
    """Least squared norm of the tangent gradient over all states with every row at +z or -z.

        (|q|^2 - g/K)/n,   g = |q|^2 max(1 - s, 1 + (K-1) s)                                                (tight)

    g is the largest eigenvalue of the Gram matrix of the q_k, s their cosine. Simplex: (1 + gamma)^2 (K-2)/((K-1) n);
    orthonormal, gamma = 0: T6's (1 - 1/K)/n. So T1 fails for K >= 3, by design; 0 for a simplex of two, whose axis is
    the one line that is stationary.

    Valid for: classes of equal size, n rows, mean over them. Source: T33 (ours).
    """
    n = whole_number("samples", samples, low=1)
    length, s = unhinged_pull(classes, gamma=gamma, directions=directions)
    top = length**2 * max(1 - s, 1 + (classes - 1) * s)
    return (length**2 - top / classes) / n


def learned_direction_curvatures(classes: int, *, samples: int, gamma: float | None = None) -> LearnedCurvatures:
    """Curvatures where all rows and all K learned unit directions w_k are at one point.

        low, high: of [[g/n, -(1 + gamma)/n], [-(1 + gamma)/K, g/K]],  within: g/n,  g = 1 - gamma (K-1)    (tight)

    Stationary, as T1 holds where directions are learned. The determinant (g^2 - (1 + gamma)^2)/(n K) is negative, and
    so it is a saddle that lets the classes apart, iff gamma < 2/(K-2): the paper's own condition for convergence.

    Valid for: classes of equal size, mean over the n rows. Source: T33 (ours).
    """
    K, gamma = _checked(classes, gamma, "simplex")
    n = whole_number("samples", samples, low=K)
    g = 1 - gamma * (K - 1)
    middle, apart = (g / n + g / K) / 2, (g / n - g / K) / 2
    root = math.sqrt(apart**2 + (1 + gamma) ** 2 / (n * K))
    return LearnedCurvatures(middle - root, middle + root, g / n)


def _checked(classes: int, gamma: float | None, directions: str) -> tuple[int, float]:
    """K and gamma. Errors: ValueError for numbers out of range."""
    K = whole_number("classes", classes, low=2)
    one_of("directions", directions, get_args(Directions))
    gamma = 1 / (K - 1) if gamma is None else gamma
    number_from_zero("gamma", gamma, remedy="1/(K - 1) is the paper's fastest")
    return K, gamma


def _closed_forms(
    K: "sp.Expr", gamma: "sp.Expr", lam: "sp.Expr", n: "sp.Expr", x: "sp.Expr", theta: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    import sympy as sp

    frame = (1 + lam) ** 2 + (K - 1) * gamma**2
    simplex = (1 + gamma) ** 2 + lam**2 + 2 * lam * (1 + gamma) * sp.sqrt((K - 1) / K)
    cosine = (1 + sp.sqrt(1 + 2 * x**2)) / (2 * x)
    g = 1 - gamma * (K - 1)
    root = sp.sqrt((g / n - g / K) ** 2 / 4 + (1 + gamma) ** 2 / (n * K))
    return {
        "|q|^2, orthonormal": frame,
        "q.q', orthonormal": -2 * (1 + lam) * gamma + (K - 2) * gamma**2,
        "|q|^2, simplex": simplex,
        "q.q', simplex": -((1 + gamma) ** 2 / (K - 1) + 2 * lam * (1 + gamma) / sp.sqrt(K * (K - 1))),
        "step, tangent": theta - sp.atan(x * sp.sin(theta)),
        "step, ambient": sp.atan2(sp.sin(theta), sp.cos(theta) + x),
        "multiplier, tangent": 1 - x,
        "multiplier, ambient": 1 / (1 + x),
        "swap, cosine": cosine,
        "swap, multiplier": (1 - 2 * cosine**2 * (2 * cosine**2 - 1)) ** 2,
        "floor, simplex": (1 + gamma) ** 2 * (K - 2) / ((K - 1) * n),
        "learned, low": (g / n + g / K) / 2 - root,
        "learned, high": (g / n + g / K) / 2 + root,
        "learned, determinant": (g**2 - (1 + gamma) ** 2) / (n * K),
    }


def derive() -> "Derivation":
    """The loss is linear in each row, so a row moves in the plane of itself and q: two coordinates are the proof."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry
    from clopsim.bounds.effective_rate import _closed_forms as rates
    from clopsim.bounds.effective_rate import critical_rate

    K, n, gamma, lam, x, p, mu = sp.symbols("K n gamma lambda x p mu", positive=True)
    theta, eta, zeta = sp.symbols("theta eta zeta", real=True)
    others = sp.Symbol("k", positive=True)  # K - 1, where a root needs its sign
    claims = _closed_forms(K, gamma, lam, n, x, theta)
    z, q = sp.Matrix([sp.cos(theta), sp.sin(theta)]), sp.Matrix([1, 0])  # q/|q|; the row's gradient is -(x/mu) q
    tangent = z + x * (q - q.dot(z) * z)
    turned = theta - sp.atan(sp.simplify(-tangent.dot(z.diff(theta)) / tangent.dot(z)))  # towards q, at 0
    ambient = z + x * q
    swap = claims["swap, cosine"]
    sine = sp.sqrt(1 - swap**2)
    own, other = 1 + lam, -gamma  # coordinates of q_k in the frame c_1 .. c_K, orthonormal w = c
    factor = sp.sqrt(K / (K - 1))  # w_k = factor (c_k - mean): q_k has these in the simplex
    mine, theirs = (1 + gamma) * factor * (1 - 1 / K) + lam, -(1 + gamma) * factor / K

    def square(mine: sp.Expr, theirs: sp.Expr) -> sp.Expr:
        return mine**2 + (K - 1) * theirs**2

    def product(mine: sp.Expr, theirs: sp.Expr) -> sp.Expr:
        return 2 * mine * theirs + (K - 2) * theirs**2

    # contrasts of two classes of n/K rows: rows at angles +-eta, their directions at +-zeta, the K - 2 others at rest
    energy = -(2 * sp.cos(eta - zeta) + (K - 2)) / K + gamma / K * (
        2 * sp.cos(eta + zeta) + 2 * (K - 2) * (sp.cos(eta) + sp.cos(zeta)) + (K - 2) * (K - 3)
    )
    rest = {eta: 0, zeta: 0}
    rows, turns = 2 * n / K, sp.Integer(2)  # squared lengths of eta = 1 and of zeta = 1
    matrix = sp.Matrix([
        [energy.diff(eta, 2).subs(rest) / rows, energy.diff(eta, zeta).subs(rest) / rows],
        [energy.diff(eta, zeta).subs(rest) / turns, energy.diff(zeta, 2).subs(rest) / turns],
    ])  # fmt: skip
    two = swap * 2 / (2 * swap**2 - 1)  # x at which sin 2 theta = x sin theta cos 2 theta
    at_swap = turned.diff(theta).subs(sp.sin(theta), sine).subs(sp.cos(theta), swap) ** 2
    zeros = {
        "a tangent step": turned - claims["step, tangent"],
        "an ambient step": sp.atan2(ambient[1], ambient[0]) - claims["step, ambient"],
        "multiplier, tangent": turned.diff(theta).subs(theta, 0) - claims["multiplier, tangent"],
        "multiplier, ambient": (ambient[1] / ambient[0]).diff(theta).subs(theta, 0) - claims["multiplier, ambient"],
        "T27, ambient": rates(p / n, -p / n, mu)["multiplier, ambient"]
        - claims["multiplier, ambient"].subs(x, mu * p / n),
        "T27, tangent: 2n/|q|": rates(p / n, -p / n, mu)["critical_rate, tangent"] - 2 * n / p,
        "swap: x sin theta = tan 2 theta": two - x,
        "swap at x = 2": swap.subs(x, 2) - 1,
        "swap, x -> infinity": sp.limit(swap, x, sp.oo) - sp.sqrt(2) / 2,
        "swap, multiplier": at_swap - claims["swap, multiplier"],
        "|q|^2, orthonormal": square(own, other) - claims["|q|^2, orthonormal"],
        "q.q', orthonormal": product(own, other) - claims["q.q', orthonormal"],
        "|q|^2, simplex": (square(mine, theirs) - claims["|q|^2, simplex"]).subs(K, 1 + others),
        "q.q', simplex": (product(mine, theirs) - claims["q.q', simplex"]).subs(K, 1 + others),
        "floor, simplex": ((1 + gamma) ** 2 * (1 - (1 + 1 / (K - 1)) / K)) / n - claims["floor, simplex"],
        "learned, trace": matrix.trace() - claims["learned, low"] - claims["learned, high"],
        "learned, product": matrix.det() - claims["learned, low"] * claims["learned, high"],
        "learned, determinant": matrix.det() - claims["learned, determinant"],
        "learned, a saddle until gamma = 2/(K-2)": claims["learned, determinant"].subs(gamma, 2 / (K - 2)),
        "gamma = 1/(K-1), orthonormal: the simplex": (claims["q.q', orthonormal"] / claims["|q|^2, orthonormal"]).subs(
            {lam: 0, gamma: 1 / (K - 1)}
        )
        + 1 / (K - 1),
    }  # fmt: skip
    agreements = {}
    for kind in get_args(Directions):
        for count, hinge, load in ((4, sp.Rational(1, 3), sp.Integer(0)), (5, sp.Rational(2), sp.Rational(3, 2))):
            at = {K: count, gamma: hinge, lam: load}
            length, inner = claims[f"|q|^2, {kind}"].subs(at), claims[f"q.q', {kind}"].subs(at)
            options = {"gamma": None if hinge == sp.Rational(1, count - 1) else float(hinge), "directions": kind,
                       "weight": float(load)}  # fmt: skip

            def pull(count=count, options=options) -> UnhingedPull:  # type: ignore[no-untyped-def]
                return unhinged_pull(count, **options)

            name = f"unhinged_pull, {kind}, K = {count}"
            agreements[f"{name}, length"] = Agreement(entry(pull, 0), sp.sqrt(length))
            agreements[f"{name}, cosine"] = Agreement(entry(pull, 1), inner / length)
    for form in get_args(Gradient):

        def after(form=form) -> Floats:  # type: ignore[no-untyped-def]
            return unhinged_step(2.5, 1.5, gradient=form)

        agreements[f"unhinged_step, {form}"] = Agreement(
            after, claims[f"step, {form}"].subs({theta: sp.Rational(5, 2), x: sp.Rational(3, 2)})
        )
    for place, name in enumerate(("cosine", "multiplier")):
        agreements[f"unhinged_swap, x = 5, {name}"] = Agreement(
            entry(lambda: unhinged_swap(5.0), place), claims[f"swap, {name}"].subs(x, 5)
        )
        agreements[f"unhinged_swap, x = 3/2, {name}"] = Agreement(
            entry(lambda: unhinged_swap(1.5), place), (sp.Integer(1), sp.Rational(1, 4))[place]
        )
    agreements |= {
        "unhinged_rate": Agreement(lambda: unhinged_rate(1.25, samples=16), sp.Rational(128, 5)),
        "unhinged_rate is T27's": Agreement(
            lambda: critical_rate(1.25 / 16, pull=-1.25 / 16, gradient="tangent"), sp.Rational(128, 5)
        ),
        "no ambient rate": Agreement(lambda: critical_rate(1.25 / 16, pull=-1.25 / 16, gradient="ambient"), None),
        "unhinged_floor, simplex": Agreement(
            lambda: unhinged_floor(5, samples=20, gamma=0.5),
            claims["floor, simplex"].subs({K: 5, n: 20, gamma: sp.Rational(1, 2)}),
        ),
        "unhinged_floor, orthonormal": Agreement(
            lambda: unhinged_floor(5, samples=20, gamma=0.0, directions="orthonormal"), sp.Rational(4, 100)
        ),
        "unhinged_floor, the mean of orthonormal ones": Agreement(  # gamma > 2/(K-2): all q_k near one direction
            lambda: unhinged_floor(5, samples=20, gamma=4.0, directions="orthonormal"),
            (65 - (65 + 4 * sp.Integer(40)) / 5) / 20,
        ),
    }  # fmt: skip
    for place, name in enumerate(("low", "high")):
        agreements[f"learned_direction_curvatures, {name}"] = Agreement(
            entry(lambda: learned_direction_curvatures(5, samples=20, gamma=0.75), place),
            claims[f"learned, {name}"].subs({K: 5, n: 20, gamma: sp.Rational(3, 4)}),
        )
    agreements["learned_direction_curvatures, within"] = Agreement(
        entry(lambda: learned_direction_curvatures(5, samples=20, gamma=0.75), 2), sp.Rational(-2, 20)
    )
    return Derivation(
        theorem="T33",
        statement="Every row of the unhinged loss turns on its circle through q: tangent steps reach it below 2n/|q|"
        " and swap at up to 45 degrees above, ambient steps reach it at every rate.",
        steps=(
            Step("The gradient in a row is -q_y/n. With x = mu |q|/n a tangent step leads from the angle theta to q to",
                 claims["step, tangent"], "theta'"),
            Step("an ambient one to", claims["step, ambient"], "theta'"),
            Step("so beside q an angle is multiplied by", claims["multiplier, tangent"], "m"),
            Step("or by", claims["multiplier, ambient"], "m"),
            Step("The tangent step changes sides and keeps the angle where x sin theta = tan 2 theta, for x > 2 at the"
                 " cosine", swap, "cos theta"),
            Step("and two steps multiply a deviation from there by", claims["swap, multiplier"], "m"),
            Step("Orthonormal w = c: q_k has the coordinates 1 + lambda and K - 1 times -gamma, so |q|^2 is",
                 claims["|q|^2, orthonormal"], "|q|^2"),
            Step("and two of them have the product", claims["q.q', orthonormal"], "q_k.q_l"),
            Step("The simplex in the frame of the prototypes:", claims["|q|^2, simplex"], "|q|^2"),
            Step("All rows at +-v: the squared tangent gradient is (|q|^2 - mean (q_k.v)^2)/n, least where v is the top"
                 " eigenvector of the q_k; for the simplex", claims["floor, simplex"], "|g|^2"),
            Step("Learned directions, all at one point: class contrasts have the determinant",
                 claims["learned, determinant"], "det"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
