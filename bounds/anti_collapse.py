"""T32: the coding rate of Anti-Collapse: collapse only repels, tight frames hold, prototypes lower the rank."""

from typing import TYPE_CHECKING, Any, NamedTuple

from clopsim.bounds.setting import number_from_zero, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


class CodingCollapse(NamedTuple):
    """At complete collapse, and wherever all rows are at +z or -z."""

    curvature: float  # of every direction in which the rows, signs turned, add up to 0; negative
    pull: float  # radial part z.g of the gradient; negative, outward


class CodingOptimum(NamedTuple):
    """Where the coding rate is largest: a tight frame (n >= d), orthonormal rows (n <= d)."""

    highest: float  # largest curvature a frame can have; has it unless the z_i z_i' span all symmetric matrices
    least: float  # the highest curvature of no frame is below this one
    pull: float


class CodingClasses(NamedTuple):
    """Where classes of m rows sit on K orthonormal points."""

    outside: float  # curvature within a class, out of the span of the points; d > K
    inside: float  # within a class, in the span
    symmetric: float  # two classes towards each other
    pull: float


def coding_collapse(
    samples: int, *, dimension: int, eps: float = 0.5, scale: float = 1.0, gamma: float = 1.0, weight: float = 1.0
) -> CodingCollapse:
    """Curvature and pull of weight exp(-gamma R) at complete collapse; R = 1/2 log det(I + scale d/(n eps) Z'Z).

        curvature: -E a^2/(n (1 + a)),  (n-1)(d-1) directions,     pull: -E (a/n)/(1 + a)
        a = scale d/eps,  E = gamma weight (1 + a)^(-gamma/2)                                               (tight)

    It never attracts: c < 0 and c + 2a_pull < 0. In a step the ambient gradient multiplies the spread by less than
    1 + a at every rate, the tangent one by 1 + mu |c|. The rate is the same for z_i and -z_i, so lines repel alike.

    Valid for: unit rows. Source: T32 (ours). samples: n rows, all views.
    """
    n, d = _counts(samples, dimension)
    a, E = _scale(d, eps, scale), _checked(gamma, weight)
    E *= (1 + a) ** (-gamma / 2)
    return CodingCollapse(-E * a**2 / (n * (1 + a)), -E * (a / n) / (1 + a))


def coding_optimum(
    samples: int, *, dimension: int, eps: float = 0.5, scale: float = 1.0, gamma: float = 1.0, weight: float = 1.0
) -> CodingOptimum:
    """Curvatures and pull of weight exp(-gamma R) at its minimum, r = min(n, d) even directions.

        highest: 2 k/(1 + b)^2,     pull: -k/(1 + b),     b = (eps/scale) min(1, n/d)
        k = gamma weight (1 + 1/b)^(-gamma r/2) r/n                                                        (tight)
        least: d/(d + 2) of the highest for n >= d (d+1)/2, else the highest itself                        (lower)

    So 2/highest is a safe tangent rate; above it, up to (d + 2)/d times that, a run with many rows drifts along the
    tight frames until its own allows the rate. c + 2a_pull = -2 k b/(1 + b)^2 < 0: ambient steps are stable at every
    rate.

    Valid for: unit rows; d >= 2 (with d = 1 there is nothing to spread). Source: T32 (ours).
    """
    n, d = _counts(samples, dimension)
    b, r = d / _scale(d, eps, scale) * min(1.0, n / d), min(n, d)
    k = _checked(gamma, weight) * (1 + 1 / b) ** (-gamma * r / 2) * r / n
    highest = 2 * k / (1 + b) ** 2
    return CodingOptimum(highest, highest * d / (d + 2) if 2 * n >= d * (d + 1) else highest, -k / (1 + b))


def coding_classes(
    classes: int,
    *,
    rows: int,
    dimension: int,
    prototype_weight: float = 0.0,
    eps: float = 0.5,
    scale: float = 1.0,
    gamma: float = 1.0,
    weight: float = 1.0,
) -> CodingClasses:
    """Curvatures and pull where m rows of each class are at one of K orthonormal points, with prototypes there.

        outside: -E (a/n) s,  inside: 0,  symmetric: 2 E/m s^2;   each + lambda/n,     s = (a/K)/(1 + a/K)
        pull: -E (a/n)/(1 + a/K) - lambda/n,     E = gamma weight (1 + a/K)^(-gamma K/2),  n = K m         (tight)

    (n - K)(d - K), K (K-1)(m-1) and K (K-1)/2 directions; those left are turns of the points, 0 + lambda/n.

    Valid for: K <= d; for K = d there is no outside. The prototype term: lambda times the mean over the rows.
    Source: T32 (ours). rows: m of each class, all views.
    """
    K, m = whole_number("classes", classes, low=1), whole_number("rows", rows, low=1)
    n, d = _counts(K * m, dimension)
    if d < K:
        raise ValueError(f"classes must be <= dimension, got {K} and {d}; orthonormal points do not fit otherwise")
    number_from_zero("prototype_weight", prototype_weight, remedy="0 leaves the prototypes out")
    a, E = _scale(d, eps, scale), _checked(gamma, weight)
    E *= (1 + a / K) ** (-gamma * K / 2)
    s, pressed = (a / K) / (1 + a / K), prototype_weight / n
    return CodingClasses(
        pressed - E * (a / n) * s, pressed, pressed + 2 * E / m * s**2, -pressed - E * (a / n) / (1 + a / K)
    )


def coding_weight(
    classes: int, *, dimension: int, eps: float = 0.5, scale: float = 1.0, gamma: float = 1.0, weight: float = 1.0
) -> float:
    """Prototype weight lambda* above which classes collapse onto their prototypes, and the rank falls from d to K.

        E a (a/K)/(1 + a/K),     0 for K = d                                                               (tight)

    where coding_classes' outside curvature crosses 0; whatever the number of rows. CLOP's lambda = 1 is above it for
    the defaults, so that it lowers the rank that the coding rate raised.

    Valid for: as coding_classes. Source: T32 (ours).
    """
    if classes == dimension:
        return 0.0
    rest = {"eps": eps, "scale": scale, "gamma": gamma, "weight": weight}
    return -classes * coding_classes(classes, rows=1, dimension=dimension, **rest).outside


def _counts(samples: int, dimension: int) -> tuple[int, int]:
    return whole_number("samples", samples, low=1), whole_number("dimension", dimension, low=2)


def _scale(d: int, eps: float, scale: float) -> float:
    """a = scale d/eps."""
    positive_number("eps", eps, remedy="the authors' code has 0.5")
    positive_number("scale", scale, remedy="the authors' code has 1")
    return scale * d / eps


def _checked(gamma: float, weight: float) -> float:
    positive_number("gamma", gamma, remedy="the authors' code has 1")
    positive_number("weight", weight, remedy="the authors' code has 1")
    return gamma * weight


def _closed_forms(symbols: "dict[str, sp.Symbol]") -> "dict[str, sp.Expr]":
    """What is claimed, by name, in n, d, K, a, e = eps/scale, gamma, w and lambda."""
    n, d, K, a, e, gamma, w, lam = (symbols[name] for name in ("n", "d", "K", "a", "e", "gamma", "w", "lambda"))
    point, frame = gamma * w * (1 + a) ** (-gamma / 2), gamma * w * (1 + 1 / e) ** (-gamma * d / 2) * d / n
    classes, s = gamma * w * (1 + a / K) ** (-gamma * K / 2), (a / K) / (1 + a / K)
    few = gamma * w * (1 + d / (n * e)) ** (-gamma * n / 2)
    return {
        "collapse, curvature": -point * a**2 / (n * (1 + a)),
        "collapse, pull": -point * (a / n) / (1 + a),
        "frame, highest": 2 * frame / (1 + e) ** 2,
        "frame, least": 2 * frame / (1 + e) ** 2 * d / (d + 2),
        "frame, pull": -frame / (1 + e),
        "rows, highest": 2 * few / (1 + n * e / d) ** 2,
        "rows, pull": -few / (1 + n * e / d),
        "classes, outside": -classes * (a / n) * s + lam / n,
        "classes, inside": lam / n,
        "classes, symmetric": 2 * classes * (K / n) * s**2 + lam / n,
        "classes, pull": -classes * (a / n) / (1 + a / K) - lam / n,
        "lambda*": classes * a * s,
    }


def derive() -> "Derivation":
    """Z'Z of a few groups of rows is a small matrix beside a multiple of the identity: its determinant is the loss."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    symbols = {name: sp.Symbol(name, positive=True) for name in ("n", "d", "K", "a", "e", "gamma", "w", "lambda")}
    n, d, K, a, e, gamma, w, lam = symbols.values()
    eps, t = sp.symbols("epsilon t", real=True)
    claims = _closed_forms(symbols)
    cos, sin, m = sp.cos, sp.sin, n / K

    def block(groups: "list[tuple[sp.Expr, sp.Expr]]") -> sp.Expr:
        """det(I + (a/n) Z'Z) in a plane, of (count, angle)."""
        c = 1 + a / n * sum(count * cos(angle) ** 2 for count, angle in groups)
        s = 1 + a / n * sum(count * sin(angle) ** 2 for count, angle in groups)
        x = a / n * sum(count * cos(angle) * sin(angle) for count, angle in groups)
        return c * s - x**2

    def slopes(parts: "list[tuple[sp.Expr, sp.Expr]]", by: sp.Symbol) -> "tuple[sp.Expr, sp.Expr]":
        """First and second derivative at 0 of w exp(-gamma R), from (power, value) of the parts of the determinant."""
        twice = sum(power * sp.log(value) for power, value in parts)  # 2 R
        first, second = (twice.diff(by, order).subs(by, 0) for order in (1, 2))
        value = w * sp.prod([part.subs(by, 0) ** (-gamma * power / 2) for power, part in parts])
        return -gamma / 2 * value * first, value * (gamma**2 / 4 * first**2 - gamma / 2 * second)

    def curvature(parts: "list[tuple[sp.Expr, sp.Expr]]", squared_length: sp.Expr) -> sp.Expr:
        return slopes(parts, eps)[1] / squared_length

    def pull(*parts: "tuple[sp.Expr, sp.Expr]") -> sp.Expr:
        """From the loss with all rows times 1 + t: its slope is n pulls."""
        return slopes(list(parts), t)[0] / n

    grown = (1 + t) ** 2
    one, rest = (sp.Integer(1), eps), (n - 1, -eps / (n - 1))
    spread = curvature([(sp.Integer(1), block([one, rest]))], n / (n - 1))
    others = (K - 1, 1 + a / K)
    swung = [(m - 2, sp.Integer(0)), (sp.Integer(1), eps), (sp.Integer(1), -eps)]
    outside = curvature([others, (sp.Integer(1), block(swung))], 2)
    across = [*swung, (m, sp.pi / 2)]
    inside = curvature([(K - 2, 1 + a / K), (sp.Integer(1), block(across))], 2)
    towards = [(m, eps), (m, sp.pi / 2 - eps)]
    symmetric = curvature([(K - 2, 1 + a / K), (sp.Integer(1), block(towards))], 2 * m)
    prototype = (lam / n * (1 - cos(eps))).diff(eps, 2).subs(eps, 0)
    # D = Z A, A = diag(1, -1, 0, ..): eigenvalues n/d (1 +- 2 eps), second-order parts alike as the trace is n
    stretched = [(sp.Integer(1), 1 + (1 + 2 * sign * eps) / e) for sign in (1, -1)]
    frame = [(d - 2, 1 + 1 / e), *stretched]
    both = 2 * n / d  # |Z A|^2
    fitted = {K: n, a: d / e}  # orthonormal rows are classes of one row
    # the curvature along B is the highest times 1 - (d/n) sum (z'Bz)^2; over a basis the sum has the mean 2n/(d(d+2))
    mean = 1 - (d / n) * 2 * n / (d * (d + 2))
    zeros = {
        "collapse, curvature": spread - claims["collapse, curvature"],
        "collapse, pull": pull((sp.Integer(1), 1 + a * grown)) - claims["collapse, pull"],
        "frame, highest": curvature(frame, both) - claims["frame, highest"],
        "frame, least": mean * curvature(frame, both) - claims["frame, least"],
        "frame, pull": pull((d, 1 + grown / e)) - claims["frame, pull"],
        "rows, highest": symmetric.subs(fitted) - claims["rows, highest"],
        "rows, pull": pull((n, 1 + grown * d / (n * e))) - claims["rows, pull"],
        "frame and rows meet at n = d": (claims["frame, highest"] - claims["rows, highest"]).subs(n, d),
        "classes, outside": outside + prototype - claims["classes, outside"],
        "classes, inside": inside + prototype - claims["classes, inside"],
        "classes, symmetric": symmetric + prototype - claims["classes, symmetric"],
        "classes, pull": pull((K, 1 + a / K * grown)) - lam / n - claims["classes, pull"],
        "lambda*": claims["classes, outside"].subs(lam, claims["lambda*"]),
        "frame, c + 2a < 0": (claims["frame, highest"] + 2 * claims["frame, pull"]) / claims["frame, highest"] + e,
        "collapse, c + 2a < 0": (claims["collapse, curvature"] + 2 * claims["collapse, pull"])
        / claims["collapse, pull"] - (a + 2),
        "collapse: the ambient factor tends to 1 + a": claims["collapse, curvature"] / claims["collapse, pull"] - a,
    }  # fmt: skip
    agreements = {}
    for count, size, hinge, power in (
        (9, 4, "1/2", "1"),
        (24, 8, "1/2", "1"),
        (5, 6, "1/5", "3/10"),
        (10, 4, "1", "2"),
        (20, 6, "1/5", "3/10"),  # just too few rows for the bound below
    ):
        options: dict[str, Any] = {
            "dimension": size,
            "eps": float(sp.Rational(hinge)),
            "gamma": float(sp.Rational(power)),
        }
        numbers = {n: count, d: size, e: sp.Rational(hinge), gamma: sp.Rational(power), w: 1}
        at = {**numbers, a: size / sp.Rational(hinge)}
        for place, name in enumerate(CodingCollapse._fields):

            def at_point(count=count, options=options) -> CodingCollapse:  # type: ignore[no-untyped-def]
                return coding_collapse(count, **options)

            agreements[f"coding_collapse, {name}, n = {count}, d = {size}"] = Agreement(
                entry(at_point, place), claims[f"collapse, {name}"].subs(at)
            )
        kind = "frame" if count >= size else "rows"
        many = 2 * count >= size * (size + 1)
        names = {"highest": f"{kind}, highest", "least": "frame, least" if many else f"{kind}, highest",
                 "pull": f"{kind}, pull"}  # fmt: skip
        for place, (name, claim) in enumerate(names.items()):

            def at_best(count=count, options=options) -> CodingOptimum:  # type: ignore[no-untyped-def]
                return coding_optimum(count, **options)

            agreements[f"coding_optimum, {name}, n = {count}, d = {size}"] = Agreement(
                entry(at_best, place), claims[claim].subs(at)
            )
    there: dict[str, Any] = {"dimension": 8, "eps": 0.25, "scale": 0.5, "gamma": 1.5, "weight": 2.0}
    numbers = {n: 12, d: 8, K: 4, a: 16, e: sp.Rational(1, 2), gamma: sp.Rational(3, 2), w: 2}
    for load in (sp.Integer(0), sp.Rational(3, 4)):

        def on_points(load=load) -> CodingClasses:  # type: ignore[no-untyped-def]
            return coding_classes(4, rows=3, prototype_weight=float(load), **there)

        for place, name in enumerate(CodingClasses._fields):
            agreements[f"coding_classes, {name}, lambda = {float(load)}"] = Agreement(
                entry(on_points, place), claims[f"classes, {name}"].subs(numbers).subs(lam, load)
            )
    agreements["coding_weight"] = Agreement(lambda: coding_weight(4, **there), claims["lambda*"].subs(numbers))
    agreements["coding_weight, K = d"] = Agreement(lambda: coding_weight(8, **there), sp.Integer(0))
    for place, name in enumerate(CodingCollapse._fields):
        agreements[f"coding_collapse, {name}, weight 2"] = Agreement(
            entry(lambda: coding_collapse(12, **there), place), claims[f"collapse, {name}"].subs(numbers)
        )
    for place, name in ((0, "highest"), (2, "pull")):
        agreements[f"coding_optimum, {name}, weight 2"] = Agreement(
            entry(lambda: coding_optimum(12, **there), place), claims[f"frame, {name}"].subs(numbers)
        )
    return Derivation(
        theorem="T32",
        statement="Under Anti-Collapse every line repels at every rate, tight frames are stable below a tangent rate"
        " and at every ambient one, and prototypes above lambda* bring the rank down to the number of classes.",
        steps=(
            Step("M = -gamma L (a/n)(I + (a/n) S)^-1 with S the cosines, for every state: an ambient step multiplies Z"
                 " by I + mu |M|. Complete collapse, one row at epsilon and the others balancing it:",
                 claims["collapse, curvature"], "c"),
            Step("All rows times 1 + t:", claims["collapse, pull"], "pull"),
            Step("Both are negative, and so is c + 2a. The factor of an ambient step tends to 1 + a"),
            Step("A tight frame stretched to eigenvalues n/d (1 +- 2 epsilon). The rows can follow, z'Az = 0 for all of"
                 " them, unless the z z' span all symmetric matrices:", claims["frame, highest"], "c"),
            Step("If they do, the curvature is less by the mean of sum (z'Bz)^2 over a basis of traceless B, which is"
                 " 2n/(d(d+2)) for every frame, at most:", claims["frame, least"], "c <="),
            Step("The pull is outward and outweighs it", claims["frame, pull"], "pull"),
            Step("Classes on orthonormal points, two rows of a class parted out of the span:",
                 claims["classes, outside"], "c"),
            Step("two classes turned towards each other:", claims["classes, symmetric"], "c"),
            Step("The first is positive for a prototype weight above", claims["lambda*"], "lambda*"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
