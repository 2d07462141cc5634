"""What a loss contributes at a state in which every class has collapsed onto one point: a few numbers (T29)."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from clopsim.bounds.arguments import fit_fields
from clopsim.bounds.setting import check_temperature, number_from_zero, one_of, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

ClassLossName = Literal["merged", "nt_xent", "supcon", "dcl", "sscl", "fedrcl", "blcl"]


class Pattern(NamedTuple):
    """One way in which the embeddings of a class can move against each other: an eigenvector whose entries sum to 0."""

    name: str  # "spread"; with views "together" (those of a sample move alike) and "apart" (oppositely)
    neighbours: float  # alpha, its eigenvalue of the class's part of the softmax, rows scaled to sum 1
    positives: float  # omega, its eigenvalue of the weights W of the positives
    number: int  # such patterns in each class, times one direction in space


@dataclass(frozen=True)
class ClassLoss:
    """A contrastive loss of K balanced classes of m embeddings, as a class-collapsed state sees it.

    An anchor's loss is -sum_p w_p s_p/tau + log(r e^(1/tau) + sum_l e^(s_l/tau)) + const, with s_p the cosines to its
    class, s_l those to the K - 1 other classes. Sum over the anchors, symmetric keys. `class_loss` makes those of the
    zoo; a loss of your own is another record.
    """

    classes: int  # K >= 2
    per_class: int  # m >= 1, views counted
    temperature: float  # tau
    own: float  # r, the softmax's weight of an anchor's own class over that of another one at the same cosine
    attraction: float  # rho, the total weight of an anchor's positives: 1, less with a penalty, 0 for the merged loss
    patterns: tuple[Pattern, ...]  # moves inside a class: number sums to m - 1
    roles: int = 2  # nu: 2, an embedding is anchor and key; 1, the keys are the class means, which no pattern moves

    def __post_init__(self) -> None:
        fit_fields(self)
        whole_number("classes", self.classes, low=2)
        whole_number("per_class", self.per_class, low=1)
        check_temperature(self.temperature)
        number_from_zero("own", self.own, remedy="it is a weight in a softmax")
        if self.roles not in (1, 2):
            raise ValueError(f"roles must be 1 or 2, got {self.roles!r}; keys are class means or the embeddings")
        if (found := sum(pattern.number for pattern in self.patterns)) != self.per_class - 1:
            raise ValueError(
                f"patterns must have numbers that sum to per_class - 1 = {self.per_class - 1}, got {found}; "
                "that many independent moves keep the mean of a class"
            )


def class_loss(
    name: ClassLossName,
    *,
    classes: int,
    per_class: int,
    temperature: float,
    confidence: float | None = None,
    penalty: float | None = None,
) -> ClassLoss:
    """The losses of the zoo at a class-collapsed state, sum over the K m anchors.

        merged   log-sum-exp over all others (arXiv:2512.07880)                                         m >= 1
        nt_xent  InfoNCE, whose samples have been given classes                                         m even
        supcon   SupCon, mean outside or inside the logarithm: the same here (arXiv:2004.11362)         m >= 2
        dcl      InfoNCE without the positive in the denominator (arXiv:2110.06848)                     m even
        sscl     SupCon whose class-mates count confidence^2, the other view 1; rows normalised         m even
        fedrcl   mean_p log(1 + sum_neg e^((s_a - s_p)/tau)) + penalty log(1 + sum_p e^((s_p - 1)/tau)) m >= 2
        blcl     anchors against the normalised class means of the batch                                m >= 2

    sscl at confidence 0 is nt_xent, at 1 supcon; m even: both views of every sample are inside the class.

    Valid for: full gradients (symmetric keys); sscl, fedrcl (the smooth form of the authors' code) and blcl are in the
    style of the papers (reconstructions). Source: T29 (ours).

    classes: K >= 2; per_class: m embeddings each, views counted; temperature: tau; confidence: q in [0, 1], for sscl;
    penalty: beta >= 0, for fedrcl. Errors: ValueError for arguments outside these ranges, or of another loss.
    """
    one_of("name", name, get_args(ClassLossName))
    for argument, value, owner in (("confidence", confidence, "sscl"), ("penalty", penalty, "fedrcl")):
        if (value is None) is (name == owner):
            raise ValueError(
                f"{argument} must be given for {owner} and only for it, got {value!r} for {name}; "
                + (f"give {argument}" if name == owner else "leave it out")
            )
    m = whole_number("per_class", per_class, low=1 if name == "merged" else 2)
    if m % 2 and name in ("nt_xent", "dcl", "sscl"):
        raise ValueError(f"per_class must be even for {name}, got {m}; it counts both views of every sample")
    own, attraction, roles = (m - 1) / m, 1.0, 2
    mates = -1 / (m - 1) if m > 1 else 0.0
    if name == "merged":
        attraction, patterns = 0.0, [Pattern("spread", mates, 0.0, m - 1)]
    elif name == "supcon":
        patterns = [Pattern("spread", mates, mates, m - 1)]
    elif name == "fedrcl":
        beta = _number("penalty", penalty)
        own, attraction = 1 / m, 1 - beta * (m - 1) / m
        patterns = [Pattern("spread", mates, mates + beta / m, m - 1)]
    elif name == "blcl":
        own, roles, patterns = 1.0, 1, [Pattern("spread", 0.0, 0.0, m - 1)]
    elif name == "dcl":
        own = (m - 2) / m
        patterns = [
            Pattern("together", -2 / (m - 2) if m > 2 else 0.0, 1.0, m // 2 - 1),
            Pattern("apart", 0.0, -1.0, m // 2),
        ]
    else:
        q = _number("confidence", confidence) if name == "sscl" else 0.0
        if q > 1:
            raise ValueError(f"confidence must be in [0, 1], got {q!r}; it is a probability")
        row = 1 + (m - 2) * q**2
        patterns = [
            Pattern("together", mates, (1 - 2 * q**2) / row, m // 2 - 1),
            Pattern("apart", mates, -1 / row, m // 2),
        ]
    present = tuple(pattern for pattern in patterns if pattern.number)
    return ClassLoss(classes, m, temperature, own, attraction, present, roles)


def softmax_share(loss: ClassLoss, cosine: float) -> float:
    """Softmax share of one other class, P = x/(r + (K-1) x), x = e^(-(1 - s)/tau): it does not overflow.  (tight)

    cosine: s between two classes, in [-1, 1]. Source: T29 (ours).
    """
    x = math.exp(-(1 - cosine) / loss.temperature)
    return x / (loss.own + (loss.classes - 1) * x)


def unheld_pull(loss: ClassLoss, cosine: float) -> float:
    """Radial part of the gradient without prototypes, a = (nu/tau) [1 - rho - Q (1 - s)], Q = (K-1) P.     (tight)

    Source: T29 (ours). cosine: s between two classes.
    """
    Q = (loss.classes - 1) * softmax_share(loss, cosine)
    return loss.roles / loss.temperature * (1 - loss.attraction - Q * (1 - cosine))


def inside_curvatures(loss: ClassLoss, cosine: float) -> list[float]:
    """Curvature of each pattern inside a class, across the span of the classes, without prototypes.

        c = (nu/tau) [(1 - Q) alpha - omega] - a                                                          (tight)

    Source: T29 (ours). cosine: s between two classes.
    """
    Q, a = (loss.classes - 1) * softmax_share(loss, cosine), unheld_pull(loss, cosine)
    scale = loss.roles / loss.temperature
    return [scale * ((1 - Q) * pattern.neighbours - pattern.positives) - a for pattern in loss.patterns]


def _number(name: str, value: float | None) -> float:
    number_from_zero(name, value, remedy="it is a weight")
    return float(value or 0.0)


def _closed_forms(
    m: "sp.Expr", Q: "sp.Expr", s: "sp.Expr", tau: "sp.Expr", q: "sp.Expr", beta: "sp.Expr"
) -> "dict[str, dict[str, sp.Expr]]":
    """What is claimed of every loss: the pull, and each pattern's curvature across the span."""
    T, R, left = 2 / tau, 1 + (m - 2) * q**2, (1 - Q) / (m - 1)
    outward, supcon = -T * Q * (1 - s), T * (Q * m / (m - 1) - Q * s)
    return {
        "merged": {"pull": T * (1 - Q + Q * s), "spread": T * (-m * left - Q * s)},
        "nt_xent": {"pull": outward, "together": T * (Q - left - 1 - Q * s), "apart": T * (Q - left + 1 - Q * s)},
        "supcon": {"pull": outward, "spread": supcon},
        "supcon, in": {"pull": outward, "spread": supcon},
        "dcl": {
            "pull": outward,
            "together": T * (Q - 2 * (1 - Q) / (m - 2) - 1 - Q * s),
            "apart": T * (1 + Q - Q * s),
        },
        "sscl": {
            "pull": outward,
            "together": T * (Q - left - (1 - 2 * q**2) / R - Q * s),
            "apart": T * (Q - left + 1 / R - Q * s),
        },
        "fedrcl": {"pull": outward + T * beta * (m - 1) / m, "spread": supcon - T * beta},
        "blcl": {"pull": outward / 2, "spread": -outward / 2},
    }


def derive() -> "Derivation":
    """Every loss to second order in a move inside one class, from its definition; groups of points keep m, K symbols.

    Of a log-sum-exp with the shares w, cosines s_0 + a e + b e^2, the first derivative is sum w a/tau, the second
    sum w (2b/tau + a^2/tau^2) less the first's square. So a key is a triple (share, a, b).
    """
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    Keys = list[tuple[sp.Expr, sp.Expr, sp.Expr]]
    K, m, Q, tau, beta, x, r = sp.symbols("K m Q tau beta x r", positive=True)
    s, q, eps = sp.symbols("s q epsilon", real=True)
    e = sp.symbols("e_1:4", real=True)  # cosines of the move's direction with the other classes: 1, 1 and K - 3 of them
    zero, one = sp.Integer(0), sp.Integer(1)
    claims = _closed_forms(m, Q, s, tau, q, beta)
    P, R = Q / (K - 1), 1 + (m - 2) * q**2
    others = [(one, e[0]), (one, e[1]), (K - 3, e[2])]
    # number, move and move of the other view of each group of a class; and the one that is stretched for the pull
    pairs = [(one, 1, -1), (one, -1, 1), (m - 2, 0, 0)]
    groups = {"spread": pairs, "apart": pairs, "together": [(2 * one, 1, 1), (2 * one, -1, -1), (m - 4, 0, 0)]}
    stretched = [(one, 1, 0), (one, 0, 1), (m - 2, 0, 0)]
    weights = {"supcon": (1 / (m - 1), zero), "merged": (zero, zero), "sscl": (q**2 / R, (1 - q**2) / R)}

    def lse(keys: Keys) -> sp.Matrix:
        """First and second derivative."""
        first = sum(w * a for w, a, b in keys) / tau
        return sp.Matrix([first, sum(w * (2 * b / tau + a**2 / tau**2) for w, a, b in keys) - first**2])

    def mean(keys: Keys) -> sp.Matrix:
        return sp.Matrix([sum(w * a for w, a, b in keys), sum(2 * w * b for w, a, b in keys)]) / tau

    def derivatives(name: str, members: "list[tuple[sp.Expr, int, int]]", *, radial: bool) -> sp.Matrix:
        """Of the whole loss: as the groups of one class move along a direction, or as one embedding is stretched."""

        def own(i: int, j: int) -> tuple[sp.Expr, sp.Expr]:
            return (sp.Integer(i + j), zero) if radial else (zero, -sp.Rational((i - j) ** 2, 2))

        def beyond(i: int, share: sp.Expr) -> Keys:
            return [(n * share, i * s if radial else i * lean, zero if radial else -s * i**2 / 2) for n, lean in others]

        total = sp.zeros(2, 1)
        for place, (count, move, view) in enumerate(members):
            mates = [(n - (1 if at == place else 0), *own(move, u)) for at, (n, u, _) in enumerate(members)]
            partner, far = own(move, view), beyond(move, P)
            if name == "blcl":  # to first order the mean of the class stays
                centre = (sp.Integer(move), zero) if radial else (zero, -sp.Rational(move**2, 2))
                total += count * (lse([(1 - Q, *centre), *far]) - mean([(one, *centre)]))
            elif name == "fedrcl":
                for n, a, b in mates:
                    margins: Keys = [(w, a_l - a, b_l - b) for w, a_l, b_l in far]
                    total += count * n / (m - 1) * lse([(1 - Q, zero, zero), *margins])
                total += count * beta * lse([(n / m, a, b) for n, a, b in mates])
            else:
                hidden = 1 if name == "dcl" else 0  # the other view is not in the sum
                share = (1 - Q) / (m - 1 - hidden)
                total += count * lse([*((n * share, a, b) for n, a, b in mates), (-hidden * share, *partner), *far])
                w_mate, w_view = weights.get(name, (zero, one))
                attraction: Keys = [*((n * w_mate, a, b) for n, a, b in mates), (w_view, *partner)]
                if name == "supcon, in":
                    total -= count * lse([(n / (m - 1), a, b) for n, a, b in mates])
                else:
                    total -= count * mean(attraction)
        if name != "blcl":  # as keys of the m anchors of every other class; their own mates are still to them
            for place, (number, _) in enumerate(others):
                keys: Keys = [(n, *beyond(u, one)[place][1:]) for n, u, _ in members]
                total += number * m * lse([(n * P / m, a, b) for n, a, b in keys])
        return total

    lean, lean_2 = sum(n * lean for n, lean in others), sum(n * lean**2 for n, lean in others)
    moved = sp.log(r + (K - 1) * x * sp.exp((s + q * eps + beta * eps**2 - s) / tau))
    here = {Q: (K - 1) * x / (r + (K - 1) * x)}
    zeros = {
        "log-sum-exp, first derivative": moved.diff(eps).subs(eps, 0) - (Q * q / tau).subs(here),
        "log-sum-exp, second derivative": moved.diff(eps, 2).subs(eps, 0)
        - (Q * (2 * beta / tau + q**2 / tau**2) - (Q * q / tau) ** 2).subs(here),
    }
    for name, claimed in claims.items():
        roles = 1 if name == "blcl" else 2
        inside = (roles * P * lean_2 - P**2 * lean**2) / tau**2
        for pattern, claim in claimed.items():
            if pattern == "pull":
                zeros[f"{name}, pull"] = sp.cancel(derivatives(name, stretched, radial=True)[0] - claim)
            else:
                length = sum(count * move**2 for count, move, _ in groups[pattern])
                found = derivatives(name, groups[pattern], radial=False)[1] / length
                zeros[f"{name}, {pattern}"] = sp.cancel(found - claim - inside)

    def share_of(name: ClassLossName, count: int, extra: dict[str, Any]) -> float:
        return softmax_share(class_loss(name, classes=3, per_class=count, temperature=0.3, **extra), -0.4)

    agreements = {}
    for name, count in (*product(get_args(ClassLossName), (2, 6)), ("merged", 1)):
        extra: dict[str, Any] = {"sscl": {"confidence": 0.6}, "fedrcl": {"penalty": 0.7}}.get(name, {})
        loss = class_loss(name, classes=3, per_class=count, temperature=0.3, **extra)
        weight = {"dcl": count - 2, "fedrcl": 1, "blcl": count}.get(name, count - 1)
        X = sp.exp(sp.Rational(-14, 3))  # s = -0.4
        share = count * X / (weight + 2 * count * X)
        numbers = {m: count, Q: 2 * share, s: sp.Rational(-2, 5), tau: sp.Rational(3, 10)}
        numbers |= {q: sp.Rational(3, 5), beta: sp.Rational(7, 10)}
        where = f"{name}, m = {count}"
        agreements[f"softmax_share, {where}"] = Agreement(partial(share_of, name, count, extra), share)
        agreements[f"unheld_pull, {where}"] = Agreement(
            partial(unheld_pull, loss, -0.4), claims[name]["pull"].subs(numbers)
        )
        for place, one_pattern in enumerate(loss.patterns):
            agreements[f"inside_curvatures, {where}, {one_pattern.name}"] = Agreement(
                entry(partial(inside_curvatures, loss, -0.4), place), claims[name][one_pattern.name].subs(numbers)
            )
    return Derivation(
        theorem="T29",
        statement="What a loss contributes at a class-collapsed state is its softmax share, its pull and the curvature"
        " of each pattern of moves inside a class.",
        steps=(
            Step("Two embeddings of a class, or both views of two samples, move oppositely along a direction whose"
                 " cosines with the other classes are e_l. The softmax of an anchor holds 1 - Q for its class and P for"
                 " each other one, and adds the variance of the cosines' first change:", inside, "variance"),
            Step("SupCon, the mean outside or inside the logarithm, where e = 0:",
                 claims["supcon"]["spread"], "curvature"),
            Step("InfoNCE, views of a sample apart:", claims["nt_xent"]["apart"], "curvature"),
            Step("samples apart, their views together:", claims["nt_xent"]["together"], "curvature"),
            Step("the merged loss, whose attraction is radial:", claims["merged"]["spread"], "curvature"),
            Step("DCL, views apart:", claims["dcl"]["apart"], "curvature"),
            Step("SupCon with class-mates of confidence q, views apart:", claims["sscl"]["apart"], "curvature"),
            Step("FedRCL, with the penalty beta:", claims["fedrcl"]["spread"], "curvature"),
            Step("BLCL: no key moves, so the variance counts once", claims["blcl"]["spread"], "curvature"),
            Step("The pull is the derivative as one embedding is stretched; for all but the merged loss, FedRCL (beta"
                 " (m - 1)/m more) and BLCL (half) it is", claims["supcon"]["pull"], "a"),
            Step("Permutations inside a class act irreducibly on these patterns: one move gives all of them"),
        ),
        zeros=zeros,
        formulas={f"{name}, {key}": value for name, claimed in claims.items() for key, value in claimed.items()},
        agreements=agreements,
    )  # fmt: skip
