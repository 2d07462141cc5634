"""T37: what FedRCL's relaxed penalty does at complete collapse, in its smooth form over all pairs.

    L = sum_i mean_(p in P(i)) log(1 + sum_(a negative) e^((s_ia - s_ip)/tau)) + beta log(1 + sum_p e^((s_ip - 1)/tau))

K classes of m embeddings, n = K m, views counted; sum over the anchors (rates of the mean are n times these).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from clopsim.bounds.effective_rate import attracting_rates
from clopsim.bounds.setting import Gradient, number_from_zero, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


class RelaxedClass(NamedTuple):
    """One class at complete collapse; effective_rate.critical_rate of both is the rate at which it comes apart."""

    pull: float  # a, the radial part of the gradient of its embeddings
    within: float  # curvature as the class spreads about its mean


class RelaxedCollapse(NamedTuple):
    """Complete collapse with K balanced classes: the radial pull and the Hessian's levels, d - 1 directions each."""

    pull: float  # a
    between: float | None  # classes move against each other, K - 1 times; None for one class
    within: float  # a class spreads about its mean, K (m - 1) times


def relaxed_classes(sizes: Sequence[int], *, temperature: float, penalty: float) -> tuple[RelaxedClass, ...]:
    """Every class at complete collapse, of any sizes m_k:

        a_k = (1/tau) [2 beta (m_k - 1)/m_k - (n - m_k)/(n - m_k + 1) + sum_(l != k) m_l/(n - m_l + 1)]
        c_k = (2/tau) [(n - m_k)/((m_k - 1)(n - m_k + 1)) - beta/m_k] - a_k                               (tight)

    A client with one class alone has c = -2 beta/tau: the contrast is flat, the penalty expels.

    Valid for: m_k >= 2, beta >= 0, the sum. Source: T37 (ours).
    """
    sizes = [whole_number("sizes", m, low=2) for m in sizes]
    if not sizes:
        raise ValueError("sizes must hold a class, got none; give the number of embeddings of each")
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    number_from_zero("penalty", penalty, remedy="0 leaves the penalty out")
    n, tau, beta = sum(sizes), temperature, penalty
    shares = [m / (n - m + 1) for m in sizes]
    every = sum(shares)
    found = []
    for m, share in zip(sizes, shares, strict=True):
        negatives = (n - m) / (n - m + 1)
        pull = (2 * beta * (m - 1) / m - negatives + every - share) / tau
        found.append(RelaxedClass(pull, 2 / tau * (negatives / (m - 1) - beta / m) - pull))
    return tuple(found)


def relaxed_collapse(*, classes: int, per_class: int, temperature: float, penalty: float) -> RelaxedCollapse:
    """Complete collapse of K balanced classes:

        a = (2/tau) beta (m - 1)/m,   between  c = -(2/tau) n/(n - m + 1)
        within  c = (2/tau) [(n - m)/((m - 1)(n - m + 1)) - beta]                                         (tight)

    Without penalty a saddle, as SupCon's, whose classes hold together; above critical_penalty all directions fall.

    Valid for: K >= 1, m >= 2, the sum. Source: T37 (ours).
    """
    K, m = whole_number("classes", classes, low=1, high=10**6), per_class
    pull, within = relaxed_classes((m,) * K, temperature=temperature, penalty=penalty)[0]
    return RelaxedCollapse(pull, -2 * K * m / (temperature * (K * m - m + 1)) if K > 1 else None, within)


def relaxed_collapse_rate(
    *, classes: int, per_class: int, temperature: float, penalty: float, gradient: Gradient = "ambient"
) -> float | None:
    """Learning rate above which complete collapse attracts; None where it never does.

        mu = 2/(c + 2a), the largest over both levels                                                     (tight)

    With the ambient step it is there once beta > attracting_penalty; never with the tangent step. The penalty takes
    collapse from the places where gradient flow lingers, and makes it one into which a large step falls.

    Valid for: as relaxed_collapse. Source: T37 (ours), by T27.
    """
    state = relaxed_collapse(classes=classes, per_class=per_class, temperature=temperature, penalty=penalty)
    levels = [level for level in (state.between, state.within) if level]
    found = attracting_rates(levels, pull=state.pull, gradient=gradient) if levels else None
    return found.above if found else None


def critical_penalty(*, classes: int, per_class: int) -> float:
    """beta* = (n - m)/((m - 1)(n - m + 1)): above it the penalty parts the embeddings of a class at complete collapse.

    Valid for: K >= 1 (0 for one class), m >= 2, at every temperature. Source: T37 (ours).
    """
    K, m = whole_number("classes", classes, low=1), whole_number("per_class", per_class, low=2)
    n = K * m
    return (n - m) / ((m - 1) * (n - m + 1))


def attracting_penalty(*, classes: int, per_class: int) -> float:
    """beta = m n/(2 (m - 1)(n - m + 1)): above it complete collapse attracts ambient steps above some rate.

    More than critical_penalty; between the two collapse repels at every rate.

    Valid for: K >= 2, m >= 2, at every temperature. Source: T37 (ours).
    """
    K, m = whole_number("classes", classes, low=2), whole_number("per_class", per_class, low=2)
    n = K * m
    return m * n / (2 * (m - 1) * (n - m + 1))


class Group(NamedTuple):
    """Embeddings at one place in a derivation: of one class, or the same share of several classes alike."""

    label: str  # groups of the same classes have the same
    classes: "sp.Expr"  # how many
    count: "sp.Expr"  # embeddings, over all of them


def group_loss(
    groups: Sequence[Group], cosine: "Callable[[int, int, bool], sp.Expr]", tau: "sp.Expr", beta: "sp.Expr"
) -> "sp.Expr":
    """The loss as it is defined, for groups of embeddings in one place, so that m and K stay symbols.

    cosine(i, j, same): of embeddings of groups i and j, of the same class or not.
    """
    import sympy as sp

    total: sp.Expr = sp.Integer(0)
    for i, anchor in enumerate(groups):
        positive, negative = [], []
        for j, other in enumerate(groups):
            same = anchor.label == other.label
            positive.append((other.count / other.classes if same else 0) - (1 if i == j else 0))
            negative.append(other.count * ((other.classes - 1) / other.classes if same else 1))
        inside, outside = ([cosine(i, j, same) for j in range(len(groups))] for same in (True, False))
        contrast = sum(
            count * sp.log(1 + sum(c * sp.exp((a - at) / tau) for c, a in zip(negative, outside, strict=True)))
            for count, at in zip(positive, inside, strict=True)
        )
        penalty = sp.log(1 + sum(count * sp.exp((at - 1) / tau) for count, at in zip(positive, inside, strict=True)))
        size = sum(other.count / other.classes for other in groups if other.label == anchor.label)
        total += anchor.count * (contrast / (size - 1) + beta * penalty)
    return total


def group_curvature(
    groups: Sequence[Group],
    angles: "Sequence[sp.Expr]",
    eps: "sp.Symbol",
    *,
    tau: "sp.Expr",
    beta: "sp.Expr",
    between: "sp.Expr | int" = 1,
) -> "sp.Expr":
    """Second derivative of group_loss over the squared length of a move, at its start eps = 0.

    angles: of each group, linear in eps; between: the cosine of two classes before the move, which is across them.
    """
    import sympy as sp

    def cosine(i: int, j: int, same: bool) -> sp.Expr:
        along = (1 if same else between) * sp.cos(angles[i]) * sp.cos(angles[j])
        return along + sp.sin(angles[i]) * sp.sin(angles[j])

    length = sum(group.count * sp.diff(a, eps) ** 2 for group, a in zip(groups, angles, strict=True))
    return group_loss(groups, cosine, tau, beta).diff(eps, 2).subs(eps, 0) / length


def _closed_forms(K: "sp.Symbol", m: "sp.Symbol", tau: "sp.Symbol", beta: "sp.Symbol") -> "dict[str, sp.Expr]":
    """What is claimed for balanced classes, by name."""
    n = K * m
    pull, between = 2 * beta * (m - 1) / (tau * m), -2 * n / (tau * (n - m + 1))
    within = 2 / tau * ((n - m) / ((m - 1) * (n - m + 1)) - beta)
    return {
        "pull": pull,
        "between": between,
        "within": within,
        "relaxed_collapse_rate, between": 2 / (between + 2 * pull),
        "relaxed_collapse_rate, within": 2 / (within + 2 * pull),
        "critical_penalty": (n - m) / ((m - 1) * (n - m + 1)),
        "attracting_penalty": m * n / (2 * (m - 1) * (n - m + 1)),
    }


def _of_class(sizes: "Sequence[sp.Expr]", tau: "sp.Expr", beta: "sp.Expr") -> "tuple[sp.Expr, sp.Expr]":
    """The claimed pull and curvature of the first of classes of these sizes."""
    n, m = sum(sizes), sizes[0]
    pull = (2 * beta * (m - 1) / m - (n - m) / (n - m + 1) + sum(size / (n - size + 1) for size in sizes[1:])) / tau
    return pull, 2 / tau * ((n - m) / ((m - 1) * (n - m + 1)) - beta / m) - pull


def derive() -> "Derivation":
    """Groups of coinciding points in a plane, and second derivatives."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    K, m, tau, beta, t = sp.symbols("K m tau beta t", positive=True)
    sizes = sp.symbols("m_1:4", positive=True)
    eps = sp.symbols("epsilon", real=True)
    one, T = sp.Integer(1), 2 / tau
    claims = _closed_forms(K, m, tau, beta)

    def curvature(groups: list[Group], angles: list[sp.Expr]) -> sp.Expr:
        return group_curvature(groups, angles, eps, tau=tau, beta=beta)

    others, first, mates = Group("others", K - 1, (K - 1) * m), Group("one", one, one), Group("one", one, m - 1)
    spread, spreading = [first, mates, others], [eps, -eps / (m - 1), sp.Integer(0)]
    unequal = [first, Group("one", one, sizes[0] - 1), Group("two", one, sizes[1]), Group("three", one, sizes[2])]
    pull, within = _of_class(sizes, tau, beta)
    lengthened = group_loss(unequal, lambda i, j, _: t if (i == 0) != (j == 0) else one, tau, beta)
    zeros = {
        "within": curvature(spread, spreading) - claims["within"],
        "between": curvature([Group("one", one, m), others], [eps, -eps / (K - 1)]) - claims["between"],
        "a class of any size: pull": lengthened.diff(t).subs(t, 1) - pull,
        "a class of any size: within": curvature(unequal, [eps, -eps / (sizes[0] - 1), 0, 0]) - within,
        "balanced: pull": pull.subs(dict.fromkeys(sizes, m)) - claims["pull"].subs(K, 3),
        "balanced: within": within.subs(dict.fromkeys(sizes, m)) - claims["within"].subs(K, 3),
        "one class alone": (within - (-2 * beta / tau)).subs({sizes[1]: 0, sizes[2]: 0}),
        "critical penalty": claims["within"].subs(beta, claims["critical_penalty"]),
        "attracting penalty": (claims["between"] + 2 * claims["pull"]).subs(beta, claims["attracting_penalty"]),
        "which is the larger": claims["attracting_penalty"] - claims["critical_penalty"]
        - ((m - 2) * K * m + 2 * m) / (2 * (m - 1) * (K * m - m + 1)),
        "within turns too": claims["within"] + 2 * claims["pull"]
        - T * (beta * (m - 2) / m + claims["critical_penalty"]),
    }  # fmt: skip
    agreements = {}
    here = {K: 3, m: 4, tau: sp.Rational(1, 2)}
    setting: dict[str, Any] = {"classes": 3, "per_class": 4, "temperature": 0.5}
    for penalty in (sp.Rational(1, 2), sp.Integer(1), sp.Integer(5)):
        there = {**here, beta: penalty}
        levels = partial(relaxed_collapse, **setting, penalty=float(penalty))
        for place, name in enumerate(RelaxedCollapse._fields):
            agreements[f"relaxed_collapse, {name}, beta = {penalty}"] = Agreement(
                entry(levels, place), claims[name].subs(there)
            )
        binding = {1: "between", 5: "within"}.get(int(penalty))
        for gradient in ("ambient", "tangent"):
            code = partial(relaxed_collapse_rate, **setting, penalty=float(penalty), gradient=gradient)
            rate = (
                claims[f"relaxed_collapse_rate, {binding}"].subs(there) if binding and gradient == "ambient" else None
            )
            agreements[f"relaxed_collapse_rate, beta = {penalty}, {gradient}"] = Agreement(code, rate)
    for place in range(2):
        agreements[f"relaxed_classes, {RelaxedClass._fields[place]}"] = Agreement(
            entry(partial(relaxed_classes, (2, 4, 6), temperature=0.5, penalty=0.3), 2 + place),
            _of_class((sp.Integer(4), sp.Integer(2), sp.Integer(6)), tau, beta)[place].subs(
                {tau: sp.Rational(1, 2), beta: sp.Rational(3, 10)}
            ),
        )
    lone: dict[str, Any] = {"classes": 1, "per_class": 4, "temperature": 0.5, "penalty": 0.5}
    agreements |= {
        "relaxed_collapse, one class, between": Agreement(lambda: relaxed_collapse(**lone).between, None),
        "relaxed_collapse, one class, within": Agreement(lambda: relaxed_collapse(**lone).within, sp.Integer(-2)),
        "relaxed_collapse_rate, one class": Agreement(
            partial(relaxed_collapse_rate, **lone),
            claims["relaxed_collapse_rate, within"].subs({**here, K: 1, beta: sp.Rational(1, 2)}),
        ),
        "relaxed_collapse_rate, one class, no penalty": Agreement(
            partial(relaxed_collapse_rate, **{**lone, "penalty": 0.0}), None
        ),
        "critical_penalty": Agreement(
            partial(critical_penalty, classes=3, per_class=4), claims["critical_penalty"].subs(here)
        ),
        "critical_penalty, one class": Agreement(partial(critical_penalty, classes=1, per_class=4), sp.Integer(0)),
        "attracting_penalty": Agreement(
            partial(attracting_penalty, classes=3, per_class=4), claims["attracting_penalty"].subs(here)
        ),
    }
    return Derivation(
        theorem="T37",
        statement="FedRCL, dense: complete collapse is a maximum above beta*, and attracts ambient steps above a rate"
        " from a larger beta on.",
        steps=(
            Step("At complete collapse an embedding that is made longer changes the loss by its pull, for a class of"
                 " size m_1 among others", pull, "pull"),
            Step("The class spreads about its mean with the curvature", within, "c"),
            Step("Balanced classes have the pull", claims["pull"], "pull"),
            Step("and the curvatures, inside a class", claims["within"], "c"),
            Step("and of classes against each other", claims["between"], "c"),
            Step("The first changes sign at beta*", claims["critical_penalty"], "beta*"),
            Step("Above it all directions fall, and T27 gives a rate above which the ambient step is drawn there, if"
                 " c + 2a > 0 for both. Inside a class it always is; between classes above",
                 claims["attracting_penalty"], "beta >"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
