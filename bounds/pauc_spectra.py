"""T34: the curvatures of a PAUC-style loss (a reconstruction) at complete collapse and on the classes' simplex."""

from typing import TYPE_CHECKING, NamedTuple

from clopsim.bounds.pauc import PaucSetting, pauc_shares
from clopsim.bounds.setting import whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


class PaucLevel(NamedTuple):
    """A curvature and the number of directions that have it."""

    curvature: float
    directions: int


class PaucLevels(NamedTuple):
    """The whole spectrum of the Hessian at a state, by the name of the directions, and the pull on each row."""

    levels: dict[str, PaucLevel]
    pull: float


def pauc_collapse(setting: PaucSetting, *, dimension: int) -> PaucLevels:
    """Where all rows are equal. Of classes or of samples within them, the views alike (together) or oppositely (apart):

        within, together  -2/(tau(n-1))               class, together  -2/(tau(n-1)) - v
        within, apart     c = 2(n-2)/(tau n(n-1))     class, apart     c + 8 l_a/n - v       common, apart  c + 8 l_a/n
        v = 2 l_p/(tau n) + 2 (l_u t + l_c)/((K-1) m)                                                     (tight)

    The pull is 0: both gradients do the same. A saddle, which attracts at no rate; the views come apart above
    2/(c + 8 l_a/n). Turns of the whole state have curvature 0.

    Valid for: any K >= 2, m >= 1, d >= 2. Source: T34 (ours).
    """
    K, m, n, tau, d = *_numbers(setting), whole_number("dimension", dimension, low=2)
    value = 2 * setting.prototypes / (tau * n) + 2 * (setting.uniformity * setting.t + setting.correlation) / (
        (K - 1) * m
    )
    low, high = -2 / (tau * (n - 1)), 2 * (n - 2) / (tau * n * (n - 1))
    aligned = high + 8 * setting.alignment / n
    levels = {
        "class, together": PaucLevel(low - value, (K - 1) * (d - 1)),
        "class, apart": PaucLevel(aligned - value, (K - 1) * (d - 1)),
        "common, apart": PaucLevel(aligned, d - 1),
        "within, together": PaucLevel(low, K * (m - 1) * (d - 1)),
        "within, apart": PaucLevel(high, K * (m - 1) * (d - 1)),
        "turns": PaucLevel(0.0, d - 1),
    }
    return PaucLevels(_present(levels), 0.0)


def pauc_simplex(setting: PaucSetting, *, dimension: int) -> PaucLevels:
    """Each class at a corner of the simplex. With u = 2/(n tau), k = K/(K-1), pi = Q/(K-1), pi2 = Q2/(K-1),

        within, together  u (Qk - 1 - p) + e        apart, the views oppositely  A = u (Qk + 1 - p)
        inside the span further  V = pi k u/tau, of which within gets e' = l_p pi2 k u/(2 tau) too, e = l_p Q2 k u/2
        class, together   common, outside:  u Qk + com          standard, symmetric:  f(pi; y, U) + g(y, U)
        class, apart      contrast, outside:  A + 8 l_a/n       common, outside:  that + com
                          antisymmetric:  A + V + 8 l_a/n       standard, symmetric:  that + g(y, U)
        com = l_p Q2 k u + 4 l_u t k/n - 4 l_c k/(n (K-1))
        f(q; y, U) = u (q U + (q y - q^2 U k)/(2 tau)),   (y, U) = (2 k^2, k (K-2)) standard, (4 k, 0) symmetric
        g(y, U) = l_p f(pi2; y, U) + 4 l_u (t U + t^2 y)/(n (K-1)) + 2 l_c (y - 2U/(K-1))/(n (K-1))
        pull  -(2Q + l_p Q2) k/(n tau)                                                                    (tight)

    p, Q, Q2: pauc_shares at s = -1/(K-1). Names: of classes or of samples within them, the views together or apart;
    outside the span or (antisymmetric, standard, symmetric; inside) in it. Turns have curvature 0. attracting_rates of
    the curvatures and the pull says up to which rate the simplex holds; usually class, apart, in the span binds.

    Valid for: d >= K - 1; a minimum iff l_p > pauc_critical_prototypes and, at d >= K, l_c < pauc_critical_correlation.
    Source: T34 (ours). Outside needs d >= K, inside and antisymmetric K >= 3, symmetric K >= 4: others are left out.
    """
    K, m, n, tau, d = *_numbers(setting), whole_number("dimension", dimension, low=2)
    if d < K - 1:
        raise ValueError(f"dimension must be >= {K - 1}, got {d}; a simplex of {K} classes needs that many")
    p, Q, Q2 = pauc_shares(setting, -1 / (K - 1))
    l_p, l_u, l_c, t = setting.prototypes, setting.uniformity, setting.correlation, setting.t
    u, k, share, share2 = 2 / (n * tau), K / (K - 1), Q / (K - 1), Q2 / (K - 1)

    def f(q: float, y: float, U: float) -> float:
        return u * (q * U + (q * y - q**2 * U * k) / (2 * tau))

    def g(y: float, U: float) -> float:
        energy = 4 * l_u * (t * U + t**2 * y) / (n * (K - 1))
        return l_p * f(share2, y, U) + energy + 2 * l_c * (y - 2 * U / (K - 1)) / (n * (K - 1))

    within = u * (Q * k - 1 - p) + l_p * Q2 * k * u / 2
    apart = u * (Q * k + 1 - p)
    within_apart, aligned = apart + l_p * Q2 * k * u / 2, apart + 8 * setting.alignment / n
    V, own = share * k * u / tau, l_p * share2 * k * u / (2 * tau)
    common = l_p * Q2 * k * u + 4 * l_u * t * k / n - 4 * l_c * k / (n * (K - 1))
    standard, symmetric = (2 * k**2, k * (K - 2)), (4 * k, 0.0)
    outside, pairs = d - K + 1, K * (K - 3) // 2
    antisymmetric = (K - 1) * (K - 2) // 2
    levels = {
        "within, together, outside": PaucLevel(within, K * (m - 1) * outside),
        "within, together, inside": PaucLevel(within + V + own, K * (m - 1) * (K - 2)),
        "within, apart, outside": PaucLevel(within_apart, K * (m - 1) * outside),
        "within, apart, inside": PaucLevel(within_apart + V + own, K * (m - 1) * (K - 2)),
        "class, together, common, outside": PaucLevel(u * Q * k + common, outside),
        "class, together, standard": PaucLevel(f(share, *standard) + g(*standard), K - 1 if K > 2 else 0),
        "class, together, symmetric": PaucLevel(f(share, *symmetric) + g(*symmetric), pairs if K > 3 else 0),
        "class, apart, contrast, outside": PaucLevel(aligned, (K - 1) * outside),
        "class, apart, common, outside": PaucLevel(aligned + common, outside),
        "class, apart, antisymmetric": PaucLevel(aligned + V, antisymmetric),
        "class, apart, standard": PaucLevel(aligned + V + g(*standard), K - 1 if K > 2 else 0),
        "class, apart, symmetric": PaucLevel(aligned + V + g(*symmetric), pairs if K > 3 else 0),
        "turns": PaucLevel(0.0, (K - 1) * outside + antisymmetric),
    }
    return PaucLevels(_present(levels), -(2 * Q + l_p * Q2) * k / (n * tau))


def _numbers(setting: PaucSetting) -> tuple[int, int, int, float]:
    return setting.classes, setting.per_class, setting.rows, setting.temperature


def _present(levels: dict[str, PaucLevel]) -> dict[str, PaucLevel]:
    return {name: level for name, level in levels.items() if level.directions}


def _closed_forms(symbols: "dict[str, sp.Symbol]") -> "dict[str, sp.Expr]":
    """What is claimed, by state and name; p, Q, Q2 are the shares at the simplex."""
    K, m, tau, _, p, Q, Q2, l_p, l_a, l_u, l_c, t = symbols.values()
    n = 2 * K * m
    v = 2 * l_p / (tau * n) + 2 * (l_u * t + l_c) / ((K - 1) * m)
    low, high = -2 / (tau * (n - 1)), 2 * (n - 2) / (tau * n * (n - 1))
    u, k, pi, pi2 = 2 / (n * tau), K / (K - 1), Q / (K - 1), Q2 / (K - 1)

    def f(q: "sp.Expr", y: "sp.Expr", U: "sp.Expr") -> "sp.Expr":
        return u * (q * U + (q * y - q**2 * U * k) / (2 * tau))

    def g(y: "sp.Expr", U: "sp.Expr") -> "sp.Expr":
        energy = 4 * l_u * (t * U + t**2 * y) / (n * (K - 1))
        return l_p * f(pi2, y, U) + energy + 2 * l_c * (y - 2 * U / (K - 1)) / (n * (K - 1))

    e, V, own = l_p * Q2 * k * u / 2, pi * k * u / tau, l_p * pi2 * k * u / (2 * tau)
    within, A = u * (Q * k - 1 - p) + e, u * (Q * k + 1 - p)
    aligned = A + 8 * l_a / n
    common = l_p * Q2 * k * u + 4 * l_u * t * k / n - 4 * l_c * k / (n * (K - 1))
    standard, symmetric = (2 * k**2, k * (K - 2)), (4 * k, 0 * k)
    return {
        "collapse: class, together": low - v,
        "collapse: class, apart": high + 8 * l_a / n - v,
        "collapse: common, apart": high + 8 * l_a / n,
        "collapse: within, together": low,
        "collapse: within, apart": high,
        "collapse: turns": 0 * K,
        "simplex: within, together, outside": within,
        "simplex: within, together, inside": within + V + own,
        "simplex: within, apart, outside": A + e,
        "simplex: within, apart, inside": A + e + V + own,
        "simplex: class, together, common, outside": u * Q * k + common,
        "simplex: class, together, standard": f(pi, *standard) + g(*standard),
        "simplex: class, together, symmetric": f(pi, *symmetric) + g(*symmetric),
        "simplex: class, apart, contrast, outside": aligned,
        "simplex: class, apart, common, outside": aligned + common,
        "simplex: class, apart, antisymmetric": aligned + V,
        "simplex: class, apart, standard": aligned + V + g(*standard),
        "simplex: class, apart, symmetric": aligned + V + g(*symmetric),
        "simplex: turns": 0 * K,
        "pull": -(2 * Q + l_p * Q2) * k / (n * tau),
    }


def derive() -> "Derivation":
    """Of every kind of directions one move, its curvature from the first two orders of all cosines."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step
    from clopsim.bounds.second_order import class_moves, names, second_order, shares_in, within

    symbols = names()
    K, m, tau, s, p, Q, Q2, l_p, l_a, l_u, l_c, t = symbols.values()
    claims = _closed_forms(symbols)
    grow = sp.Symbol("g", positive=True)
    cosine = -1 / (K - 1)
    mates = {p: (1 - Q) / (2 * m - 1)}  # as all shares add up to 1
    point = {s: 1, p: 1 / (2 * K * m - 1), Q: 2 * m * (K - 1) / (2 * K * m - 1), Q2: (K - 1) / K}
    shares = {key: value.subs(s, cosine) for key, value in shares_in(symbols).items()}

    def reduced(expression: sp.Expr) -> sp.Expr:
        """A rational function over one denominator: 0 if it is; faster than simplify."""
        numerator, denominator = sp.fraction(sp.together(expression))
        return sp.expand(numerator) / denominator

    moves: dict[str, sp.Expr] = {}
    for together in (True, False):
        views = "together" if together else "apart"
        patterns = ("contrast, outside", "common, outside", "antisymmetric", "standard", "symmetric")
        for pattern in patterns:
            moves[f"class, {views}, {pattern}"] = second_order(
                class_moves(symbols, pattern, together=together), symbols
            )
        for inside in (False, True):
            moves[f"within, {views}, {'inside' if inside else 'outside'}"] = second_order(
                within(symbols, together=together, inside=inside), symbols
            )
    at_point = {
        "class, together": "class, together, contrast, outside",
        "class, apart": "class, apart, contrast, outside",
        "common, apart": "class, apart, common, outside",
        "within, together": "within, together, outside",
        "within, apart": "within, apart, outside",
        "turns": "class, together, common, outside",
    }
    zeros = {
        f"collapse: {name}": reduced(moves[move].subs(point) - claims[f"collapse: {name}"].subs(point))
        for name, move in at_point.items()
    }
    turns = ("class, together, contrast, outside", "class, together, antisymmetric")
    for move, value in moves.items():
        name = "turns" if move in turns else move
        zeros[f"simplex: {move}"] = reduced((value.subs(s, cosine) - claims[f"simplex: {name}"]).subs(mates))

    # all rows times 1 + g: cosines of rows by (1 + g)^2, of rows and means by 1 + g; the slope is n pulls
    def pull_at(cosine: sp.Expr) -> sp.Expr:
        same, base = (1 + grow) ** 2, sp.exp(1 / tau)
        contrast = sp.log((2 * m - 1) * base**same + 2 * m * (K - 1) * sp.exp(same * cosine / tau)) - same / tau
        to_means = sp.log(base ** (1 + grow) + (K - 1) * sp.exp((1 + grow) * cosine / tau)) - (1 + grow) / tau
        return (contrast + l_p * to_means).diff(grow).subs(grow, 0) / (2 * K * m)

    zeros["pull"] = pull_at(cosine) - claims["pull"].subs(shares)
    zeros["collapse: pull"] = pull_at(sp.Integer(1))
    zeros["shares add up to 1"] = (2 * m - 1) * shares[p] + shares[Q] - 1
    d = sp.Symbol("d")
    outside = d - K + 1
    pairs, twisted = K * (K - 3) / 2, (K - 1) * (K - 2) / 2
    number = (
        2 * K * (m - 1) * (outside + K - 2)
        + outside + (K - 1) + pairs
        + (K - 1) * outside + outside + twisted + (K - 1) + pairs
        + (K - 1) * outside + twisted
    )  # fmt: skip
    zeros["directions at the simplex"] = sp.expand(number - 2 * K * m * (d - 1))
    agreements: dict[str, Agreement] = {}
    for classes, per_class, dimension in ((5, 3, 7), (4, 2, 3), (2, 2, 3), (3, 1, 4)):
        setting = PaucSetting(classes, per_class, 0.6, 1.3, 0.7, 0.9, 0.4, 1.7)
        numbers = {
            K: classes, m: per_class, tau: sp.Rational(3, 5), l_p: sp.Rational(13, 10), l_a: sp.Rational(7, 10),
            l_u: sp.Rational(9, 10), l_c: sp.Rational(2, 5), t: sp.Rational(17, 10),
        }  # fmt: skip
        where = f"K = {classes}, m = {per_class}, d = {dimension}"
        for state, spectrum in (("collapse", pauc_collapse), ("simplex", pauc_simplex)):
            found = spectrum(setting, dimension=dimension)
            total = 2 * classes * per_class * (dimension - 1)

            def count(setting=setting, dimension=dimension, spectrum=spectrum) -> float:  # type: ignore[no-untyped-def]
                return float(sum(level.directions for level in spectrum(setting, dimension=dimension).levels.values()))

            def pull(setting=setting, dimension=dimension, spectrum=spectrum) -> float:  # type: ignore[no-untyped-def]
                return float(spectrum(setting, dimension=dimension).pull)

            agreements[f"{state}, all directions, {where}"] = Agreement(count, total)
            expected = claims["pull"].subs(shares).subs(numbers) if state == "simplex" else 0
            agreements[f"{state}, pull, {where}"] = Agreement(pull, expected)
            for name in found.levels:

                def level(name=name, setting=setting, dimension=dimension, spectrum=spectrum) -> float:  # type: ignore[no-untyped-def]
                    return float(spectrum(setting, dimension=dimension).levels[name].curvature)

                agreements[f"{state}: {name}, {where}"] = Agreement(
                    level, claims[f"{state}: {name}"].subs(shares).subs(numbers)
                )
    return Derivation(
        theorem="T34",
        statement="A PAUC-style loss has five curvatures at complete collapse, a saddle, and closed ones on the simplex"
        " of the classes.",
        steps=(
            Step("A row moves as (own + eps move)/|..|, so a cosine c = o.o' has the slope o.x' + x.o' and the second"
                 " derivative 2 x.x' - c (|x|^2 + |x'|^2); a class mean moves, to that order, as the mean of its rows"),
            Step("The logarithm of a softmax's sum has the second derivative sum P (c''/tau + c'^2/tau^2)"
                 " - (sum P c')^2/tau^2; the energy and the squares of the class means likewise"),
            Step("One move stands for each space on which permutations of classes, samples and views and rotations act"
                 " irreducibly: of classes a contrast, all alike, three in a ring (antisymmetric), one against the rest"
                 " (standard), two against two (symmetric); of samples one against its mates"),
            Step("Collapse, classes part, the views alike:", claims["collapse: class, together"], "c"),
            Step("oppositely:", claims["collapse: class, apart"], "c"),
            Step("all first views against all second views:", claims["collapse: common, apart"], "c"),
            Step("samples within a class, the views alike:", claims["collapse: within, together"], "c"),
            Step("oppositely:", claims["collapse: within, apart"], "c"),
            Step("Simplex, samples within a class across the span, the shares at s = -1/(K-1):",
                 claims["simplex: within, together, outside"], "c"),
            Step("views of a class apart, standard:", claims["simplex: class, apart, standard"], "c"),
            Step("the pull:", claims["pull"], "pull"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
