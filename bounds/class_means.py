"""T29, whole classes: the curvatures of moves of the class points, held by prototypes or on the simplex."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clopsim.bounds.equilibrium import weight_that_balances

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


class ClassMode(NamedTuple):
    """A level of the Hessian."""

    name: str
    curvature: float
    multiplicity: int  # > 0: modes that a state does not have are left out


def held_means(
    share: float, angle: float, *, classes: int, dimension: int, temperature: float, weight: float
) -> tuple[ClassMode, ...]:
    """The levels of K (d - 1) moves of whole classes that sit at this angle from their prototypes.

        p = cos theta,   q = -sin theta/sqrt(K-1),   h = p - q,   W = p + (K-1) q,   Q = (K-1) P,
        A = lambda p - (2P/tau) W^2

        perpendicular, common perpendicular   A,  A + 2KP/tau          classes leave the span of the prototypes
        antisymmetric, pairs                  A,  A + 4h^2 P/tau^2
        theta      A + (2P/tau)(K-1) h^2 + (Q - Q^2) 4 h^2 W^2/((K-1) tau^2)
        standard   A + the eigenvalues of G against N, in a u_k + b u_l (sum u = 0); t = q/p,
                   N = (K-1)(a^2 + b^2) - 2ab + t^2 ((K-1) a - b)^2,   f = h (a + b) + h t ((K-1) a - b),
                   G = (2P/tau)((K-1) b - a - t ((K-1) a - b))^2 + (K-2)(2P - P^2 (K-2)) f^2/tau^2      (tight)

    Valid for: arguments that class_state has checked; the weight that balances. Source: T29 (ours).
    share: P of one other class. Only the levels that exist.
    """
    K, P, tau, d = classes, share, temperature, dimension
    p, q = math.cos(angle), -math.sin(angle) / math.sqrt(K - 1)
    h, W, Q = p - q, max(0.0, p + (K - 1) * q), (K - 1) * P
    A = weight * p - (2 * P / tau) * W**2
    return present(
        ("perpendicular", A, (K - 1) * (d - K)),
        ("common perpendicular", A + 2 * K * P / tau, d - K),
        ("antisymmetric", A, (K - 1) * (K - 2) // 2),
        ("pairs", A + 4 * h**2 * P / tau**2, K * (K - 3) // 2),
        ("theta", A + (2 * P / tau) * (K - 1) * h**2 + (Q - Q**2) * 4 * h**2 * W**2 / ((K - 1) * tau**2), 1),
        *((name, A + c, K - 1) for name, c in _standard(K, P, tau, p, q).items()),
    )


def free_means(share: float, *, classes: int, dimension: int, temperature: float) -> tuple[ClassMode, ...]:
    """The levels of moves of whole classes on a simplex, without prototypes; T = 2/tau.

        rotations 0,   common perpendicular T Q K/(K-1),   pairs 4 Q K/(tau^2 (K-1)^2)
        standard T Q K (K-2)/(K-1)^2 + Q K^2/(tau^2 (K-1)^3) (2 - Q (K-2)/(K-1))                        (tight)

    Valid for: as held_means, d >= K - 1. Source: T29 (ours).
    """
    K, P, tau, d = classes, share, temperature, dimension
    Q, square = (K - 1) * P, K / (K - 1)  # h^2
    standard = 2 * P * (K - 2) * square / tau + P * square**2 * (2 - Q * (K - 2) / (K - 1)) / tau**2
    return present(
        ("rotations", 0.0, (K - 1) * (d - K + 1) + (K - 1) * (K - 2) // 2),
        ("common perpendicular", 2 * K * P / tau, d - K + 1),
        ("standard", standard, K - 1 if K > 2 else 0),
        ("pairs", 4 * P * square / tau**2, K * (K - 3) // 2),
    )


def present(*levels: tuple[str, float, int]) -> tuple[ClassMode, ...]:
    """The levels that a state has."""
    return tuple(ClassMode(*level) for level in levels if level[2] > 0)


def _standard(K: int, P: float, tau: float, p: float, q: float) -> dict[str, float]:
    """The eigenvalues of G against N; of two classes only the move (1, 0) is left."""
    h, t = p - q, q / p
    rho, gamma = np.array([K - 1.0, -1.0]), np.array([-1.0, K - 1.0])  # of (alpha, beta)
    N = K * np.eye(2) - np.ones((2, 2)) + t**2 * np.outer(rho, rho)
    f, g = h * np.ones(2) + h * t * rho, gamma - t * rho
    G = (2 * P / tau) * np.outer(g, g) + (K - 2) * (2 * P - P**2 * (K - 2)) / tau**2 * np.outer(f, f)
    if K == 2:
        return {"standard": float(G[0, 0] / N[0, 0])}
    root = np.linalg.inv(np.linalg.cholesky(N))
    low, high = np.linalg.eigvalsh(root @ G @ root.T)
    return {"standard, lower": float(low), "standard, upper": float(high)}


def _closed_forms(K: "sp.Expr", P: "sp.Expr", tau: "sp.Expr", p: "sp.Expr", q: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name; G and N of the standard ones as forms in a, b, the others beyond A."""
    import sympy as sp

    a, b = sp.symbols("a b", real=True)
    h, W, t, Q = p - q, p + (K - 1) * q, q / p, (K - 1) * P
    rho, f = (K - 1) * a - b, h * (a + b) + h * t * ((K - 1) * a - b)
    gamma = (K - 1) * b - a - t * rho
    return {
        "weight": -(2 * P / tau) * W * h / q,
        "A": -(2 * P / tau) * W * (h * p / q + W),
        "common perpendicular": 2 * K * P / tau,
        "pairs": 4 * h**2 * P / tau**2,
        "theta": (2 * P / tau) * (K - 1) * h**2 + (Q - Q**2) * 4 * h**2 * W**2 / ((K - 1) * tau**2),
        "G": (2 * P / tau) * gamma**2 + (K - 2) * (2 * P - P**2 * (K - 2)) * f**2 / tau**2,
        "N": (K - 1) * (a**2 + b**2) - 2 * a * b + t**2 * rho**2,
    }


def _closed_simplex(K: "sp.Expr", Q: "sp.Expr", tau: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed without prototypes, by name."""
    T = 2 / tau
    return {
        "common perpendicular": T * Q * K / (K - 1),
        "standard": T * Q * K * (K - 2) / (K - 1) ** 2
        + Q * K**2 / (tau**2 * (K - 1) ** 3) * (2 - Q * (K - 2) / (K - 1)),
        "pairs": 4 * Q * K / (tau**2 * (K - 1) ** 2),
    }


def _trace_and_determinant(G: "sp.Expr", N: "sp.Expr") -> "tuple[sp.Expr, sp.Expr]":
    """Of N^(-1) G: the sum and the product of the standard levels beyond A, from the forms in a, b."""
    import sympy as sp

    G, N = (sp.hessian(form, sp.symbols("a b", real=True)) for form in (G, N))
    product = N.adjugate() * G
    return product.trace() / N.det(), G.det() / N.det()


def derive() -> "Derivation":
    """Moves of whole classes, of which a few have entries of their own and the rest share theirs: K stays a symbol."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    P, tau, p, k, Q = sp.symbols("P tau p K Q", positive=True)
    q, a, b = sp.symbols("q a b", real=True)
    K = 1 + (1 - p**2) / q**2  # p^2 + (K - 1) q^2 = 1
    h, t, s = p - q, q / p, 2 * p * q + (K - 2) * q**2
    claims = _closed_forms(K, P, tau, p, q)
    lam = claims["weight"]

    def derivatives(special: int, X: "dict[Any, Any]", y: "dict[Any, Any]") -> "tuple[sp.Expr, sp.Expr, sp.Expr]":
        """First and second derivative of the loss along a move, and its squared length.

        Special classes are 0, 1 .., "o" is any other; X[i, j] moves class i along prototype j, ("o", "o") are two
        different others; y[i] moves it across all prototypes. Along its own prototype each keeps its length.
        """
        names: list[Any] = [*range(special), "o"]

        def others(*places: Any) -> "list[tuple[Any, sp.Expr]]":
            return [(i, (K - special if i == "o" else 1) - places.count(i)) for i in names]

        row = {i: sum(n * X.get((i, j), 0) for j, n in others(i)) for i in names}
        own = {i: -t * row[i] for i in names}
        square = {
            i: own[i] ** 2 + sum(n * X.get((i, j), 0) ** 2 for j, n in others(i)) + y.get(i, 0) ** 2 for i in names
        }

        def first(i: Any, j: Any) -> sp.Expr:
            """v_i . delta_j + v_j . delta_i"""
            return h * (X.get((j, i), 0) + X.get((i, j), 0)) + q * (1 - t) * (row[j] + row[i])

        def second(i: Any, j: Any) -> sp.Expr:
            """delta_i . delta_j less what normalising takes"""
            along = sum(n * X.get((i, other), 0) * X.get((j, other), 0) for other, n in others(i, j))
            along += own[i] * X.get((j, i), 0) + own[j] * X.get((i, j), 0) + y.get(i, 0) * y.get(j, 0)
            return along - s * (square[i] + square[j]) / 2

        slope, bend, length = sp.Integer(0), sp.Integer(0), sp.Integer(0)
        for i, number in others():
            change = sum(n * P * first(i, j) for j, n in others(i)) / tau
            spread = sum(n * P * (2 * second(i, j) / tau + first(i, j) ** 2 / tau**2) for j, n in others(i))
            slope += number * (change - lam * own[i])
            bend += number * (spread - change**2 + lam * p * square[i])  # the log-sum-exp's, and the prototypes'
            length += number * square[i]
        return slope, bend, length

    turn = {(0, 1): 1, (1, 0): -1, (1, 2): 1, (2, 1): -1, (2, 0): 1, (0, 2): -1}
    ring = {(0, 1): 1, (1, 2): -1, (2, 3): 1, (3, 0): -1}
    ring |= {(j, i): sign for (i, j), sign in ring.items()}
    standard = {(0, 1): a - b, (1, 0): b - a, (0, "o"): a, (1, "o"): -a, ("o", 0): b, ("o", 1): -b}
    moves: dict[str, tuple[int, dict[Any, Any], dict[Any, Any], sp.Expr]] = {
        "perpendicular": (2, {}, {0: 1, 1: -1}, sp.Integer(0)),
        "common perpendicular": (0, {}, {"o": 1}, claims["common perpendicular"]),
        "antisymmetric": (3, turn, {}, sp.Integer(0)),
        "pairs": (4, ring, {}, claims["pairs"]),
        "theta": (0, {("o", "o"): 1}, {}, claims["theta"]),
    }
    zeros = {}
    for name, (special, X, y, more) in moves.items():
        slope, bend, square = derivatives(special, X, y)
        zeros[name] = sp.cancel(bend - (claims["A"] + more) * square)
        if name == "theta":
            zeros["stationary"] = sp.cancel(slope)
    _, bend, square = derivatives(2, standard, {})
    zeros["standard, N"] = sp.cancel(square - 2 * claims["N"])  # |u|^2 = 2
    zeros["standard, G"] = sp.cancel(bend - 2 * (claims["A"] * claims["N"] + claims["G"]))
    free = _closed_simplex(k, Q, tau)  # p = -(K-1) q
    there = _closed_forms(k, Q / (k - 1), tau, sp.sqrt((k - 1) / k), -1 / sp.sqrt(k * (k - 1)))
    total, product = _trace_and_determinant(sp.simplify(there["G"]), sp.simplify(there["N"]))
    zeros |= {
        "simplex: A": there["A"],
        "simplex: common perpendicular": there["common perpendicular"] - free["common perpendicular"],
        "simplex: theta": sp.simplify(there["theta"]) - free["common perpendicular"],
        "simplex: pairs": there["pairs"] - free["pairs"],
        "simplex: one standard level is a rotation's": sp.cancel(product),
        "simplex: the other standard level": sp.cancel(total - free["standard"]),
    }
    return Derivation(
        theorem="T29",
        statement="Moves of whole classes have at most seven levels, with or without prototypes.",
        steps=(
            Step("Class points v_k = p c_k + q sum c_l with p^2 + (K-1) q^2 = 1, h = p - q, W = p + (K-1) q move by"
                 " sum_l X_kl c_l, their length kept. The state is stationary iff the weight is", lam, "lambda"),
            Step("A move across all prototypes, or an antisymmetric X with row sums 0, has the curvature",
                 claims["A"], "A"),
            Step("all classes alike, across, A and", claims["common perpendicular"], "curvature - A"),
            Step("a symmetric X with row sums 0, A and", claims["pairs"], "curvature - A"),
            Step("every class towards its prototype, A and", claims["theta"], "curvature - A"),
            Step("For X_kl = a u_k + b u_l, sum u = 0, the squared length is", claims["N"], "squared length"),
            Step("and the curvature beyond A times it", claims["G"], "excess"),
            Step("X is the representation of the permutations of classes on ordered pairs: trivial, twice the standard"
                 " one, pairs, antisymmetric. By Schur's lemma one move of each kind gives all, the standard ones a"
                 " pencil of 2 x 2"),
            Step("Without prototypes A = 0, one standard level is that of rotations, and the other",
                 free["standard"], "curvature"),
        ),
        zeros=zeros,
        formulas={
            **{name: claims[name] for name in ("weight", "A", "common perpendicular", "pairs", "theta")},
            **{f"simplex, {name}": value for name, value in free.items()},
        },
        agreements={
            name: agreement
            for classes in (2, 3, 5)
            for more in (0, 2)
            for name, agreement in _agreements(classes, classes + more).items()
        },
    )  # fmt: skip


def _agreements(K: int, d: int) -> "dict[str, Agreement]":
    """Every level of the code, also one that the state does not have, against the claims."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement

    def level(levels: "Callable[[], tuple[ClassMode, ...]]", name: str, multiple: bool) -> float | None:
        found = {mode.name: mode for mode in levels()}.get(name)
        return None if found is None else found.multiplicity if multiple else found.curvature

    P, tau, theta = sp.Rational(1, 5 * K), sp.Rational(2, 5), sp.Rational(17, 100)
    p, q = sp.cos(theta), -sp.sin(theta) / sp.sqrt(K - 1)
    claims = _closed_forms(sp.Integer(K), P, tau, p, q)
    A, (total, product) = claims["A"], _trace_and_determinant(claims["G"], claims["N"])
    root = sp.sqrt(total**2 / 4 - product)
    simplex = _closed_simplex(sp.Integer(K), (K - 1) * P, tau)
    G, N = (claims[name].subs({sp.Symbol("a", real=True): 1, sp.Symbol("b", real=True): 0}) for name in ("G", "N"))
    weight = float(claims["weight"])
    numbers: dict[str, Any] = {"classes": K, "dimension": d, "temperature": 0.4}
    held = {
        "perpendicular": (A, (K - 1) * (d - K)),
        "common perpendicular": (A + claims["common perpendicular"], d - K),
        "antisymmetric": (A, sp.binomial(K - 1, 2)),
        "pairs": (A + claims["pairs"], sp.binomial(K, 2) - K),
        "theta": (A + claims["theta"], 1),
        "standard": (A + G / N, 1 if K == 2 else 0),
        "standard, lower": (A + total / 2 - root, K - 1 if K > 2 else 0),
        "standard, upper": (A + total / 2 + root, K - 1 if K > 2 else 0),
    }
    free = {
        "rotations": (sp.Integer(0), sp.binomial(d, 2) - sp.binomial(d - K + 1, 2)),
        "common perpendicular": (simplex["common perpendicular"], d - K + 1),
        "standard": (simplex["standard"], K - 1 if K > 2 else 0),
        "pairs": (simplex["pairs"], sp.binomial(K, 2) - K),
    }
    found = {}
    for state, levels, claimed in (
        ("held", partial(held_means, 1 / (5 * K), 0.17, weight=weight, **numbers), held),
        ("free", partial(free_means, 1 / (5 * K), **numbers), free),
    ):
        for name, (curvature, number) in claimed.items():
            where = f"{state}_means, K = {K}, d = {d}, {name}"
            exists = number > 0
            found[where] = Agreement(partial(level, levels, name, False), curvature if exists else None)
            found[f"{where}, multiplicity"] = Agreement(partial(level, levels, name, True), number if exists else None)
    balanced = partial(weight_that_balances, 1 / (5 * K), 0.17, classes=K, temperature=0.4)
    found[f"weight_that_balances, K = {K}"] = Agreement(balanced, claims["weight"])
    return found
