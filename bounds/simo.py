"""T31: SimO at complete collapse and at orthonormal class points; simo_lines has classes split over a line."""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from clopsim.bounds.setting import number_from_zero, one_of, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

    Groups = list[tuple[sp.Expr, tuple[sp.Expr, ...]]]  # equal rows: their number and the vector

Form = Literal["pair", "ratio"]
"""pair: the authors' code, a sum over pairs; ratio: in the style of the paper, sums over sums."""


class SimoCollapse(NamedTuple):
    """At complete collapse: curvatures of the three kinds of directions, and the radial part z.g of the gradient."""

    contrast: float  # classes apart, the rows of each alike
    common: float  # rows apart, in every class the same
    within: float  # rows apart, classes against each other
    pull: float  # of the loss as it is written, with |e_i - e_j|^2


class SimoOptimum(NamedTuple):
    """Where classes are at orthonormal points: curvatures, 0 for all other directions, and the pull."""

    outside: float  # rows of a class apart, out of the span of the points, and in it without a partner
    inside: float  # rows of two classes towards each other, in opposite ways within each
    symmetric: float  # two classes towards each other
    pull: float


class _Constants(NamedTuple):
    w: float  # pull together within a class
    b: float  # push apart of the rows and means of two classes, by distance and product
    c: float  # by product alone
    x: float  # of two orthogonal rows, by product
    radial: float  # per row at the optimum


def simo_collapse(
    classes: int, *, rows: int, eps: float | None = None, olean: float | None = None, form: Form = "pair"
) -> SimoCollapse:
    """Curvatures and pull of SimO at complete collapse, K classes of m rows; p_m = m(m-1)/2, p_K = K(K-1)/2.

        contrast: -b K (1 + 1/m),   common: w m - c (K-1)/m,   within: w m - b K - c (K-1)/m
        pair:  w = 2/(1 + eps),    b = phi (2/eps + 2/eps^2),   c = 2 phi/eps
               phi = (1 - 2 olean)((1 + eps)/eps)^(-2 olean)
               pull = phi 2 (K-1)(1 + 1/m)/eps - 2 eps (m-1)/(1 + eps)^2
        ratio: w = 2/(eps + p_m),  c = 2 (1 - olean)/eps,  b = (1 - olean)(2/eps + 2 p_K/eps^2) - 2 olean/(eps + p_K)
               pull = (1 - olean) 2 (K-1)(1 + 1/m)/eps                                                      (tight)

    (K-1)(d-1), (m-1)(d-1) and (K-1)(m-1)(d-1) directions; d-1 turns of the whole. Tangent steps are never attracted;
    ambient ones of the loss as written above attracting_rates' rate if all are negative and 2 pull + contrast > 0, for
    which eps must be above 1: with the eps of the code, 1/137, never. At m = 1 common and within have no direction.

    Valid for: classes of equal size, the sum as defined. Source: T31 (ours). eps, olean: None for 1/137 (pair), 0.1 and
    0 (ratio).
    """
    K, m, eps, olean = _checked(classes, rows, eps, olean, form)
    w, b, c, _, radial = _constants(K, m, eps, olean, form)
    common = w * m - c * (K - 1) / m
    return SimoCollapse(-b * K * (1 + 1 / m), common, common - b * K, c * (K - 1) * (1 + 1 / m) + radial)


def simo_optimum(
    classes: int,
    *,
    rows: int,
    eps: float | None = None,
    olean: float | None = None,
    form: Form = "pair",
    prototype_weight: float = 0.0,
) -> SimoOptimum:
    """Curvatures and pull of SimO at orthonormal class points, with prototypes there.

        outside: w m,  inside: w m + x,  symmetric: x (1 + 1/m);   each + lambda/n
        x = 4 (1 - 2 olean)/(2 + eps) pair,   4/(eps + K (K-1)) ratio
        pull: -2 eps (m-1)/(1 + eps)^2 pair,   0 ratio;            each - lambda/n                        (tight)

    The safe tangent rate is 2 over the largest. It does not see eps as eps -> 0, while at collapse |c| grows as
    1/eps^2.

    Valid for: K <= d, classes of equal size; ratio: olean = 0, otherwise the optimum is elsewhere (simo_leaning). The
    prototype term: lambda times the mean over the n = K m rows. Source: T31 (ours). At m = 1 outside and inside have no
    direction.
    """
    K, m, eps, olean = _checked(classes, rows, eps, olean, form)
    if form == "ratio" and olean:
        raise ValueError(f"olean must be 0 for the ratio form, got {olean}; its optimum is elsewhere, see simo_leaning")
    number_from_zero("prototype_weight", prototype_weight, remedy="0 leaves the prototypes out")
    w, _, _, x, radial = _constants(K, m, eps, olean, form)
    pressed = prototype_weight / (K * m)
    return SimoOptimum(pressed + w * m, pressed + w * m + x, pressed + x * (1 + 1 / m), radial - pressed)


def _constants(K: int, m: int, eps: float, olean: float, form: Form) -> _Constants:
    """The table of T31."""
    p_m, p_K = m * (m - 1) / 2, K * (K - 1) / 2
    if form == "pair":
        phi = (1 - 2 * olean) * ((1 + eps) / eps) ** (-2 * olean)
        return _Constants(
            2 / (1 + eps),
            phi * (2 / eps + 2 / eps**2),
            2 * phi / eps,
            4 * (1 - 2 * olean) / (2 + eps),
            -2 * eps * (m - 1) / (1 + eps) ** 2,
        )
    c = 2 * (1 - olean) / eps
    b = c * (1 + p_K / eps) - 2 * olean / (eps + p_K)
    return _Constants(2 / (eps + p_m), b, c, 4 / (eps + 2 * p_K), 0.0)


def checked_eps(eps: float | None, form: Form) -> float:
    """eps, or the default of the form. Errors: ValueError unless > 0."""
    value = (1 / 137 if form == "pair" else 0.1) if eps is None else eps
    positive_number("eps", value, remedy="the authors' code has 1/137")
    return value


def _checked(
    classes: int, rows: int, eps: float | None, olean: float | None, form: Form
) -> tuple[int, int, float, float]:
    """K, m and the options. Errors: ValueError for numbers out of range."""
    one_of("form", form, get_args(Form))
    K, m = whole_number("classes", classes, low=2), whole_number("rows", rows, low=1)
    olean = (1 / 137 if form == "pair" else 0.0) if olean is None else olean
    number_from_zero("olean", olean, remedy="the authors' code has 1/137")
    if olean >= 0.5:
        raise ValueError(f"olean must be < 0.5, got {olean}; from there on classes are rather alike than orthogonal")
    return K, m, checked_eps(eps, form), olean


def _closed_forms(symbols: "dict[str, sp.Symbol]", form: Form) -> "dict[str, sp.Expr]":
    """What is claimed of a form, by name, in K, m, eps, olean and lambda."""
    import sympy as sp

    K, m, e, olean, lam = (symbols[name] for name in ("K", "m", "eps", "olean", "lambda"))
    p_m, p_K = m * (m - 1) / 2, K * (K - 1) / 2
    if form == "pair":
        phi = (1 - 2 * olean) * (1 + 1 / e) ** (-2 * olean)
        w, b, c, x = 2 / (1 + e), phi * (2 / e + 2 / e**2), 2 * phi / e, 4 * (1 - 2 * olean) / (2 + e)
        radial = -2 * e * (m - 1) / (1 + e) ** 2
    else:
        c = 2 * (1 - olean) / e
        w, b, x = 2 / (e + p_m), c * (1 + p_K / e) - 2 * olean / (e + p_K), 4 / (e + K * (K - 1))
        radial = sp.Integer(0)
    return {
        "collapse, contrast": -b * K * (1 + 1 / m),
        "collapse, common": w * m - c * (K - 1) / m,
        "collapse, within": w * m - b * K - c * (K - 1) / m,
        "collapse, pull": c * (K - 1) * (1 + 1 / m) + radial,
        "optimum, outside": w * m + lam / (K * m),
        "optimum, inside": w * m + x + lam / (K * m),
        "optimum, symmetric": x * (1 + 1 / m) + lam / (K * m),
        "optimum, pull": radial - lam / (K * m),
    }


def derive() -> "Derivation":
    """Sets of a few groups of equal rows: distances and products of pairs of groups, counted, keep K and m symbols."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    names = ("K", "m", "eps", "olean", "lambda")
    symbols = {name: sp.Symbol(name, positive=True) for name in names}
    K, m, e, olean, lam = symbols.values()
    eps, t = sp.symbols("epsilon t", real=True)
    one = sp.Integer(1)

    def choose(count: sp.Expr) -> sp.Expr:
        return count * (count - 1) / 2

    def pairs(groups: "Groups") -> "list[tuple[sp.Expr, sp.Expr, sp.Expr]]":
        """(count, d, o) of the pairs within and between groups of (count, vector)."""
        found = []
        for place, (count, vector) in enumerate(groups):
            square = sum(part**2 for part in vector)
            found.append((choose(count), sp.Integer(0), square**2))
            for others, second in groups[:place]:
                dot = sum(a * b for a, b in zip(vector, second, strict=True))
                found.append((count * others, square + sum(part**2 for part in second) - 2 * dot, dot**2))
        return [pair for pair in found if pair[0] != 0]

    def slopes(groups: "Groups", y: sp.Expr, form: Form, by: sp.Symbol) -> "tuple[sp.Expr, sp.Expr]":
        """First and second derivative at 0 of l(E, y), through those of d and o."""
        d, o = sp.symbols("d o", positive=True)
        value = (1 + o / (e + d)) ** (1 - 2 * y) if form == "pair" else y * d / (e + o) + (1 - y) * o / (e + d)
        found = pairs(groups)
        if form == "ratio":
            found = [(one, sum(c * a for c, a, _ in found), sum(c * a for c, _, a in found))]
        first, second = sp.Integer(0), sp.Integer(0)
        for count, far, near in found:
            at = {d: sp.simplify(far.subs(by, 0)), o: sp.simplify(near.subs(by, 0))}
            (d1, d2), (o1, o2) = [[q.diff(by, k).subs(by, 0) for k in (1, 2)] for q in (far, near)]
            by_d, by_o = value.diff(d).subs(at), value.diff(o).subs(at)
            first += count * (by_d * d1 + by_o * o1)
            second += count * (
                by_d * d2 + by_o * o2 + value.diff(d, 2).subs(at) * d1**2 + value.diff(o, 2).subs(at) * o1**2
                + 2 * value.diff(d, o).subs(at) * d1 * o1
            )  # fmt: skip
        return first, second

    def v(angle: sp.Expr) -> "tuple[sp.Expr, ...]":
        return sp.cos(angle), sp.sin(angle)

    def mean(*groups: "tuple[sp.Expr, tuple[sp.Expr, ...]]") -> "tuple[sp.Expr, ...]":
        return tuple(sum(count * vector[k] for count, vector in groups) / m for k in range(len(groups[0][1])))

    def total(sets: "list[tuple[sp.Expr, sp.Expr, Groups]]", form: Form, by: sp.Symbol, order: int) -> sp.Expr:
        """Derivative of the loss from (how many such sets, answer, groups)."""
        return sum(many * slopes(groups, answer, form, by)[order - 1] for many, answer, groups in sets)

    rest_row, rest_class = -eps / (m - 1), -eps / (K - 1)
    both = eps / ((K - 1) * (m - 1))
    z0 = v(sp.Integer(0))
    contrast = [(m + 1, olean, [(one, v(eps)), (K - 1, v(rest_class))])]
    turned = mean((one, v(eps)), (m - 1, v(rest_row)))
    common = [(K, one, [(one, v(eps)), (m - 1, v(rest_row))]), (one, olean, [(K, turned)])]
    counter = mean((one, v(rest_class)), (m - 1, v(both)))
    within = [
        (one, one, [(one, v(eps)), (m - 1, v(rest_row))]),
        (K - 1, one, [(one, v(rest_class)), (m - 1, v(both))]),
        (one, olean, [(one, v(eps)), (K - 1, v(rest_class))]),
        (m - 1, olean, [(one, v(rest_row)), (K - 1, v(both))]),
        (one, olean, [(one, turned), (K - 1, counter)]),
    ]
    grown = (1 + t, sp.Integer(0))
    scaled = [(K, one, [(m, grown)]), (m + 1, olean, [(K, grown)])]
    # orthonormal points: a plane of two classes, or of one and what is outside; other classes are orthogonal to it
    second = sp.pi / 2
    parted = [(one, v(eps)), (one, v(-eps)), (m - 2, z0)]
    across = [(one, v(second - eps)), (one, v(second + eps)), (m - 2, v(second))]

    def between(angle: sp.Expr, form: Form) -> sp.Expr:
        """Second derivative of l of a set of K orthonormal vectors, two of them turned; the K - 2 others add to D."""
        near = (sp.sin(2 * angle) ** 2).diff(eps, 2).subs(eps, 0)  # of o; l moves with o alone where o = 0
        return near * ((1 - 2 * olean) / (e + 2) if form == "pair" else 1 / (e + K * (K - 1)))

    held = lam / (K * m)
    zeros: dict[str, sp.Expr] = {}
    agreements: dict[str, Agreement] = {}
    formulas: dict[str, sp.Expr] = {}
    for form in get_args(Form):
        claims = _closed_forms(symbols, form)
        formulas |= {f"{name}, {form}": claim for name, claim in claims.items()}
        outside = total([(one, one, parted)], form, eps, 2) / 2
        both_classes = total([(one, one, parted), (one, one, across)], form, eps, 2)
        found = {
            "collapse, contrast": total(contrast, form, eps, 2) / (m * K / (K - 1)),
            "collapse, common": total(common, form, eps, 2) / (K * m / (m - 1)),
            "collapse, within": total(within, form, eps, 2) / (K * m / ((K - 1) * (m - 1))),
            "collapse, pull": total(scaled, form, t, 1) / (K * m),
            "optimum, outside": outside + held,
            "optimum, inside": (both_classes + 2 * between(eps, form)) / 4 + held,
            "optimum, symmetric": (m + 1) * between(eps, form) / (2 * m) + held,
            "optimum, pull": total([(K, one, [(m, grown)])], form, t, 1) / (K * m) - held,
        }
        zeros |= {f"{name}, {form}": found[name] - claims[name] for name in claims}
    cases: tuple[tuple[Form, str, str], ...] = (
        ("pair", "1/137", "1/137"), ("pair", "5/2", "0"), ("ratio", "1/10", "0"), ("ratio", "2", "1/8"),
    )  # fmt: skip
    for form, hinge, load in cases:
        at = {K: 4, m: 3, e: sp.Rational(hinge), olean: sp.Rational(load), lam: sp.Rational(3, 2)}
        options: dict[str, Any] = {
            "rows": 3,
            "eps": float(sp.Rational(hinge)),
            "olean": float(sp.Rational(load)),
            "form": form,
        }

        def at_point(options=options) -> SimoCollapse:  # type: ignore[no-untyped-def]
            return simo_collapse(4, **options)

        def at_best(options=options) -> SimoOptimum:  # type: ignore[no-untyped-def]
            return simo_optimum(4, prototype_weight=1.5, **options)

        claims = _closed_forms(symbols, form)
        where = f"{form}, eps = {hinge}, olean = {load}"
        for place, name in enumerate(SimoCollapse._fields):
            agreements[f"simo_collapse, {name}, {where}"] = Agreement(
                entry(at_point, place), claims[f"collapse, {name}"].subs(at)
            )
        if form == "pair" or load == "0":
            for place, name in enumerate(SimoOptimum._fields):
                agreements[f"simo_optimum, {name}, {where}"] = Agreement(
                    entry(at_best, place), claims[f"optimum, {name}"].subs(at)
                )
    for form in get_args(Form):
        defaults = {e: sp.Rational(1, 137) if form == "pair" else sp.Rational(1, 10),
                    olean: sp.Rational(1, 137) if form == "pair" else 0, K: 3, m: 2}  # fmt: skip
        claims = _closed_forms(symbols, form)
        agreements[f"simo_collapse, defaults, {form}"] = Agreement(
            entry(partial(simo_collapse, 3, rows=2, form=form), 0), claims["collapse, contrast"].subs(defaults)
        )
    return Derivation(
        theorem="T31",
        statement="SimO has closed curvatures at complete collapse, which repels as 1/eps^2, and at orthonormal class"
        " points.",
        steps=(
            Step("The loss adds up l over classes (answer 1), over sets of j-th rows and over the class means (answer"
                 " olean). Complete collapse, the classes parted; pair form:",
                 formulas["collapse, contrast, pair"], "c"),
            Step("ratio form", formulas["collapse, contrast, ratio"], "c"),
            Step("Rows parted, in every class alike: the means shrink together",
                 formulas["collapse, common, ratio"], "c"),
            Step("All rows times 1 + t: the slope of the loss is n pulls; ratio form",
                 formulas["collapse, pull, ratio"], "pull"),
            Step("Orthonormal points, rows of two classes towards each other", formulas["optimum, inside, ratio"], "c"),
            Step("two classes towards each other", formulas["optimum, symmetric, ratio"], "c"),
        ),
        zeros=zeros,
        formulas=formulas,
        agreements=agreements,
    )  # fmt: skip
