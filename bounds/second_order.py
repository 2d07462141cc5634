"""The proof of T34's curvatures: all cosines to second order, with the numbers of classes and samples as symbols."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sympy as sp


class Kind(NamedTuple):
    """Classes that move alike: their number, and their samples as (count, move of the first view, of the second).

    A move is a combination of w, a unit vector across the span, of own, the class's own point, and of the points of
    single classes, by their names.
    """

    name: str
    classes: Any
    samples: list[tuple[Any, dict[str, Any], dict[str, Any]]]


def names() -> "dict[str, sp.Symbol]":
    """The symbols of the proof; p, Q and Q2 are the shares of pauc_shares."""
    import sympy as sp

    words = ("K", "m", "tau", "s", "p", "Q", "Q2", "l_p", "l_a", "l_u", "l_c", "t")
    return {word: sp.Symbol(word, real=True) if word == "s" else sp.Symbol(word, positive=True) for word in words}


def shares_in(symbols: "dict[str, sp.Symbol]") -> "dict[sp.Symbol, sp.Expr]":
    """p, Q and Q2 at class points of cosine s, by their definition."""
    import sympy as sp

    K, m, tau, s = (symbols[name] for name in ("K", "m", "tau", "s"))
    mate, other = sp.exp(1 / tau), sp.exp(s / tau)
    D, D2 = (2 * m - 1) * mate + 2 * m * (K - 1) * other, mate + (K - 1) * other
    return {
        symbols["p"]: mate / D,
        symbols["Q"]: 2 * m * (K - 1) * other / D,
        symbols["Q2"]: (K - 1) * other / D2,
    }


def class_moves(symbols: "dict[str, sp.Symbol]", pattern: str, *, together: bool) -> list[Kind]:
    """All samples of a class move alike, the views alike or oppositely."""
    K, m, s = (symbols[name] for name in ("K", "m", "s"))
    turned: dict[str, list[tuple[str, Any, dict[str, Any]]]] = {
        "contrast, outside": [("1", 1, {"w": 1}), ("rest", K - 1, {"w": -1 / (K - 1)})],
        "common, outside": [("rest", K, {"w": 1})],
        "antisymmetric": [
            ("1", 1, {"2": 1, "3": -1}), ("2", 1, {"3": 1, "1": -1}), ("3", 1, {"1": 1, "2": -1}), ("rest", K - 3, {}),
        ],
        "standard": [("1", 1, {}), ("rest", K - 1, {"1": 1, "own": -s})],
        "symmetric": [
            ("1", 1, {"3": 1, "4": -1}), ("2", 1, {"3": -1, "4": 1}), ("3", 1, {"1": 1, "2": -1}),
            ("4", 1, {"1": -1, "2": 1}), ("rest", K - 4, {}),
        ],
    }  # fmt: skip
    sign = 1 if together else -1
    return [
        Kind(name, count, [(m, move, {key: sign * value for key, value in move.items()})])
        for name, count, move in turned[pattern]
    ]


def within(symbols: "dict[str, sp.Symbol]", *, together: bool, inside: bool = False) -> list[Kind]:
    """One sample of a class moves, its mates balance it; across the span, or inside it along v_2 - v_3."""
    K, m = symbols["K"], symbols["m"]
    move: dict[str, Any] = {"2": 1, "3": -1} if inside else {"w": 1}
    sign = 1 if together else -1

    def times(factor: Any) -> dict[str, Any]:
        return {key: factor * value for key, value in move.items()}

    moving = Kind("1", 1, [(1, move, times(sign)), (m - 1, times(-1 / (m - 1)), times(-sign / (m - 1)))])
    others = [Kind("2", 1, [(m, {}, {})]), Kind("3", 1, [(m, {}, {})])] if inside else []
    return [moving, *others, Kind("rest", K - 1 - len(others), [(m, {}, {})])]


def second_order(kinds: list[Kind], symbols: "dict[str, sp.Symbol]") -> "sp.Expr":
    """Second derivative of the loss as classes at points with cosine s move, over the squared length of the move.

    A row is own + eps move, normalised. Cosines to second order: c = o.o', c' = o.x' + x.o', c'' = 2 x.x' - c (|x|^2 +
    |x'|^2). A class mean is, to that order, own + eps (mean move), normalised.
    """
    import sympy as sp

    K, m, tau, s, p, Q, Q2, l_p, l_a, l_u, l_c, t = symbols.values()

    def point(key: str, kind: str) -> str:
        return kind if key == "own" else key

    def dot(a: dict[str, Any], kind: str, b: dict[str, Any], other: str, same: bool) -> Any:
        """Of two moves or points; same: whether the classes are one, which matters in a kind of several."""
        total: Any = sp.Integer(0)
        for (one, u), (two, v) in ((i, j) for i in a.items() for j in b.items()):
            if "w" in (one, two):
                total += u * v if one == two else 0
            else:
                left, right = point(one, kind), point(two, other)
                both_own = one == two == "own"
                alike = left == right and (same or not (both_own and left == "rest"))
                total += u * v * (1 if alike else s)
        return total

    own = {"own": sp.Integer(1)}

    def cosine(a: dict[str, Any], kind: str, b: dict[str, Any], other: str, same: bool) -> tuple[Any, Any, Any]:
        base = sp.Integer(1) if same else s
        first = dot(own, kind, b, other, same) + dot(a, kind, own, other, same)
        lengths = dot(a, kind, a, kind, True) + dot(b, other, b, other, True)
        return base, first, 2 * dot(a, kind, b, other, same) - base * lengths

    def softmax(terms: list[tuple[Any, tuple[Any, Any, Any]]], mate: Any, other: Any) -> Any:
        """Second derivative of log sum count exp(c/tau), by the shares of a cosine 1 and of a cosine s.

        The row itself may be among the terms: its cosine does not change.
        """
        weighted = [(count * (mate if c[0] == 1 else other), c) for count, c in terms]
        mean = sum(w * c[1] for w, c in weighted)
        return sum(w * (c[2] / tau + c[1] ** 2 / tau**2) for w, c in weighted) - mean**2 / tau**2

    def across(kind: Kind, what: Callable[[Kind], list[tuple[Any, dict[str, Any]]]], move: dict[str, Any]) -> list[Any]:
        """(count, cosine) of a row of a class with what other classes have, and its own class."""
        found = []
        for other in kinds:
            for count, its in what(other):
                if other.name == kind.name:
                    found.append((count, cosine(move, kind.name, its, other.name, True)))
                elsewhere = other.classes - (1 if other.name == kind.name else 0)
                found.append((elsewhere * count, cosine(move, kind.name, its, other.name, False)))
        return [entry for entry in found if entry[0] != 0]

    def rows(kind: Kind) -> list[tuple[Any, dict[str, Any]]]:
        return [(count, move) for count, *moves in kind.samples for move in moves]

    def mean(kind: Kind, view: int) -> dict[str, Any]:
        total: dict[str, Any] = {}
        for count, *moves in kind.samples:
            for key, value in moves[view].items():
                total[key] = sp.simplify(total.get(key, 0) + count * value / m)
        return {key: value for key, value in total.items() if value != 0}

    def center_of(view: int) -> Callable[[Kind], list[tuple[Any, dict[str, Any]]]]:
        return lambda kind: [(1, mean(kind, view))]

    centers = center_of(0), center_of(1)
    change, length = sp.Integer(0), sp.Integer(0)
    for kind in kinds:
        for count, *moves in kind.samples:
            number = kind.classes * count
            pair = cosine(moves[0], kind.name, moves[1], kind.name, True)
            for view, move in enumerate(moves):
                length += number * dot(move, kind.name, move, kind.name, True)
                anchor = softmax(across(kind, rows, move), p, Q / (2 * m * (K - 1))) - pair[2] / tau
                center = mean(kind, view)
                to_mean = cosine(move, kind.name, center, kind.name, True)
                prototypes = across(kind, centers[view], move)
                to_means = softmax(prototypes, 1 - Q2, Q2 / (K - 1)) - to_mean[2] / tau
                change += number / (2 * K * m) * (anchor + l_p * to_means)
        apart = cosine(mean(kind, 0), kind.name, mean(kind, 1), kind.name, True)
        change += l_a * kind.classes / K * -2 * apart[2]
    for view in (0, 1):
        pairs = []
        for kind in kinds:
            for other in kinds:
                several = kind.classes * (other.classes - (1 if kind.name == other.name else 0))
                pairs.append((several, cosine(mean(kind, view), kind.name, mean(other, view), other.name, False)))
        pairs = [entry for entry in pairs if entry[0] != 0]
        total = K * (K - 1)  # ordered pairs, all at cosine s
        first = sum(count * c[1] for count, c in pairs) / total
        energy = sum(count * (2 * t * c[2] + 4 * t**2 * c[1] ** 2) for count, c in pairs) / total - 4 * t**2 * first**2
        squares = sum(count * (2 * c[1] ** 2 + 2 * s * c[2]) for count, c in pairs) / total
        change += (l_u * energy + l_c * squares) / 2
    return change / length
