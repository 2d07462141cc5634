"""T35: LORAC with a smoothed norm, where all embeddings coincide and on the antipodal line: curvatures and pulls."""

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from clopsim.bounds.setting import SMALLEST_TEMPERATURE, one_of, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

Form = Literal["matrix", "cosine"]
"""How the norm is written, which ambient steps see: by the rows of a sample's views, or by their cosine."""


class LoracCollapse(NamedTuple):
    """At complete collapse: curvatures of the two kinds of directions, and the radial part z.g of the gradient."""

    together: float  # samples spread, the two views of each alike
    apart: float  # the two views of a sample oppositely
    pull: float


class LoracLine(NamedTuple):
    """Where all first views are at one point and all second views opposite: curvatures and radial part."""

    together: float  # samples spread, the two views of each shifted alike, so that they bend
    apart: float  # samples spread, the views of each shifted oppositely: they stay opposite
    common: float  # all embeddings shifted alike
    pull: float


def lorac_collapse(
    *, samples: int, temperature: float = 1.0, beta: float = 15.0, smoothing: float, written: Form = "matrix"
) -> LoracCollapse:
    """Curvatures and pull of the smoothed LORAC loss at complete collapse.

        together: -2 p/tau,   apart: k (2 psi' - 1),   pull: k (1 - psi') cosine form, k/(beta sqrt(2 + delta)) matrix
        p = 1/(e^((psi - 1)/tau) + n - 2),   k = 2 (n - 2) p/(n tau)                                      (tight)
        psi = 1 - (sqrt(2 + delta) + sqrt(delta))/beta,   psi' = 1 + (1/sqrt(delta) - 1/sqrt(2 + delta))/(2 beta)

    (n/2 - 1)(d - 1) and n/2 (d - 1) directions: a saddle, which attracts at no rate. The views come apart above
    critical_rate(apart, pull=pull): 2/apart for the tangent step, which vanishes with the smoothing, and
    n tau/((n-2) p) for the ambient one in the cosine form, where the prior cancels. beta -> infinity: T2.

    Valid for: mean over the n anchors, symmetric keys, n >= 4. Source: T35 (ours).

    samples: n embeddings, both views counted, even; smoothing: delta > 0, as the norm itself has a kink here.
    """
    n = _checked(samples, temperature, beta, smoothing, written)
    psi = 1 - (math.sqrt(2 + smoothing) + math.sqrt(smoothing)) / beta
    slope = 1 + (1 / math.sqrt(smoothing) - 1 / math.sqrt(2 + smoothing)) / (2 * beta)
    p = 1 / (math.exp((psi - 1) / temperature) + n - 2)
    k = 2 * (n - 2) * p / (n * temperature)
    pull = k * (1 - slope) if written == "cosine" else k / (beta * math.sqrt(2 + smoothing))
    return LoracCollapse(-2 * p / temperature, k * (2 * slope - 1), pull)


def lorac_line(
    *, samples: int, temperature: float = 1.0, beta: float = 15.0, smoothing: float, written: Form = "matrix"
) -> LoracLine:
    """Curvatures and pull of the smoothed LORAC loss on the antipodal line; N = n/2.

        together: -u [(N-1)(p_s - p_o) + p_s + p_o + 2 q psi'],   apart: -u N (p_s - p_o),
        common: -2u [q psi' - (N-1) p_o],   pull: u [(N-1)(p_s - p_o) + q r],   u = 2/(n tau)              (tight)
        p_s, p_o, 1 - q = e^(1/tau), e^(-1/tau), e^(psi/tau) over D = (N-1)(e^(1/tau) + e^(-1/tau)) + e^(psi/tau)
        psi = -1 - (sqrt(2 + delta) + sqrt(delta))/beta,   psi' = 1 - (1/sqrt(delta) - 1/sqrt(2 + delta))/(2 beta)
        r = psi' in the cosine form, 1 + 1/(beta sqrt(2 + delta)) in the matrix form

    attracting_rates of the three curvatures says when the line attracts: ambient steps alone, and only if
    q psi' > (N-1) p_o, so that all are negative. The first binds. In the cosine form its c + 2a is
    u [(N-2) p_s - N p_o]: the prior is in it through D alone, and the rate has T12's form. beta -> infinity: T12.

    Valid for: as lorac_collapse; (N-1)(d-1), (N-1)(d-1) and d-1 directions, the last d-1 are turns. Source: T35 (ours).
    """
    n = _checked(samples, temperature, beta, smoothing, written)
    N, root = n // 2, math.sqrt(2 + smoothing)
    psi = -1 - (root + math.sqrt(smoothing)) / beta
    slope = 1 - (1 / math.sqrt(smoothing) - 1 / root) / (2 * beta)
    # over e^(1/tau), so that nothing overflows
    opposite, pair = math.exp(-2 / temperature), math.exp((psi - 1) / temperature)
    D = (N - 1) * (1 + opposite) + pair
    p_s, p_o, q = 1 / D, opposite / D, (N - 1) * (1 + opposite) / D
    u = 2 / (n * temperature)
    radial = slope if written == "cosine" else 1 + 1 / (beta * root)
    return LoracLine(
        -u * ((N - 1) * (p_s - p_o) + p_s + p_o + 2 * q * slope),
        -u * N * (p_s - p_o),
        -2 * u * (q * slope - (N - 1) * p_o),
        u * ((N - 1) * (p_s - p_o) + q * radial),
    )


def _checked(samples: int, temperature: float, beta: float, smoothing: float, written: str) -> int:
    """n. Errors: ValueError for numbers out of range."""
    n = even_samples(samples)
    allowed_temperature(temperature)
    positive_number("beta", beta, remedy="the authors take 15")
    positive_number("smoothing", smoothing, remedy="the norm itself has no curvature here: lorac_swap has its kink")
    one_of("written", written, get_args(Form))
    return n


def even_samples(samples: int) -> int:
    """n as an int. Errors: ValueError unless it is even and >= 4."""
    n = whole_number("samples", samples, low=4)
    if n % 2:
        raise ValueError(f"samples must be even, got {n}; it counts both views of every sample, so give 2N")
    return n


def allowed_temperature(temperature: float) -> None:
    """Raise ValueError below the smallest temperature."""
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    if temperature < SMALLEST_TEMPERATURE:
        raise ValueError(f"temperature must be >= {SMALLEST_TEMPERATURE}, got {temperature}; raise it")


def _closed_forms(
    n: "sp.Expr", tau: "sp.Expr", psi: "sp.Expr", slope: "sp.Expr", radial: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name, with psi, psi' and the r of the pull there."""
    import sympy as sp

    p = 1 / (sp.exp((psi - 1) / tau) + n - 2)
    k = 2 * (n - 2) * p / (n * tau)
    N, u = n / 2, 2 / (n * tau)
    D = (N - 1) * (sp.exp(1 / tau) + sp.exp(-1 / tau)) + sp.exp(psi / tau)
    p_s, p_o, q = sp.exp(1 / tau) / D, sp.exp(-1 / tau) / D, 1 - sp.exp(psi / tau) / D
    return {
        "collapse, together": -2 * p / tau,
        "collapse, apart": k * (2 * slope - 1),
        "collapse, pull": k * (1 - radial),
        "line, together": -u * ((N - 1) * (p_s - p_o) + p_s + p_o + 2 * q * slope),
        "line, apart": -u * N * (p_s - p_o),
        "line, common": -2 * u * (q * slope - (N - 1) * p_o),
        "line, pull": u * ((N - 1) * (p_s - p_o) + q * radial),
    }


def _closed_slopes(beta: "sp.Expr", delta: "sp.Expr") -> "dict[str, sp.Expr]":
    """Claimed psi, psi' and r where the views agree, c = 1, and where they are opposite, c = -1."""
    import sympy as sp

    low, high = sp.sqrt(delta), sp.sqrt(2 + delta)
    bend = (1 / low - 1 / high) / (2 * beta)
    return {
        "psi, c = 1": 1 - (high + low) / beta,
        "psi, c = -1": -1 - (high + low) / beta,
        "slope, c = 1": 1 + bend,
        "slope, c = -1": 1 - bend,
        "matrix, c = 1": 1 - 1 / (beta * high),
        "matrix, c = -1": 1 + 1 / (beta * high),
    }


def derive() -> "Derivation":
    """Groups of coinciding points in a plane keep n a symbol; psi enters by its value and its slope alone."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step
    from clopsim.bounds.effective_rate import _closed_forms as rates

    n, tau, beta, delta, t, mu = sp.symbols("n tau beta delta t mu", positive=True)
    eps, c, P, S, R = sp.symbols("epsilon c psi psi' r", real=True)
    N, rest = n / 2, -eps / (n / 2 - 1)
    claims, slopes = _closed_forms(n, tau, P, S, R), _closed_slopes(beta, delta)

    def anchor(positive: sp.Expr, *negatives: "tuple[sp.Expr, sp.Expr]") -> sp.Expr:
        """Loss of an anchor with psi = positive, and negatives as (count, cosine)."""
        return sp.log(sp.exp(positive / tau) + sum(count * sp.exp(s / tau) for count, s in negatives)) - positive / tau

    def psi(change: sp.Expr) -> sp.Expr:
        """To second order in the angle, which is first order in the cosine."""
        return P + S * change

    def curvature(loss: sp.Expr, squared_length: sp.Expr) -> sp.Expr:
        return loss.diff(eps, 2).subs(eps, 0) / squared_length

    cos = sp.cos
    one, gap = sp.Integer(1), eps * n / (n - 2)  # one sample at eps, the other n - 2 embeddings at -2 eps/(n - 2)
    spread = (
        2 * anchor(psi(one * 0), (n - 2, cos(gap))) + (n - 2) * anchor(psi(one * 0), (2 * one, cos(gap)), (n - 4, one))
    ) / n
    parted = (
        2 * anchor(psi(cos(2 * eps) - 1), (n - 2, cos(eps)))
        + (n - 2) * anchor(psi(one * 0), (2 * one, cos(eps)), (n - 4, one))
    ) / n
    # the line: both views of a sample have the same loss; angles from the ends, opposite ones bend a pair
    bent = 2 * anchor(psi(1 - cos(2 * eps)), (N - 1, cos(eps - rest)), (N - 1, -cos(eps + rest))) / n + 2 * (
        N - 1
    ) / n * anchor(
        psi(1 - cos(2 * rest)), (one, cos(rest - eps)), (one, -cos(rest + eps)), (N - 2, one), (N - 2, -cos(2 * rest))
    )
    straight = 2 * anchor(psi(one * 0), (N - 1, cos(eps - rest)), (N - 1, -cos(eps - rest))) / n + 2 * (
        N - 1
    ) / n * anchor(psi(one * 0), (one, cos(rest - eps)), (one, -cos(rest - eps)), (N - 2, one), (N - 2, -one))
    alike = anchor(psi(1 - cos(2 * eps)), (N - 1, one), (N - 1, -cos(2 * eps)))
    both = 2 * N / (N - 1)
    # all rows times 1 + t: the slope is the sum of the pulls, n alike; psi grows by 2 r t, or falls
    grown, twice = (1 + t) ** 2, 2 * R * t
    at_point = anchor(P + twice, (n - 2, grown)).diff(t).subs(t, 0) / n
    on_line = anchor(P - twice, (N - 1, grown), (N - 1, -grown)).diff(t).subs(t, 0) / n
    nu = sp.sqrt(1 + c + delta) + sp.sqrt(1 - c + delta)
    value = c - nu / beta

    def by_rows(sign: int) -> sp.Expr:
        """Slope of psi in log |z|, over 2 and the sign: rows at cosine sign, |a +- b|^2 = 4 (1 + t)^2 or 0."""
        matrix = sign * grown - (sp.sqrt(2 * grown + delta) + sp.sqrt(delta)) / beta
        return matrix.diff(t).subs(t, 0) / (2 * sign)

    binding = rates(claims["line, together"], claims["line, pull"], mu)["critical_rate, ambient"].subs(R, S)
    p_s, p_o = (
        sp.exp(sign / tau) / ((N - 1) * (sp.exp(1 / tau) + sp.exp(-1 / tau)) + sp.exp(P / tau)) for sign in (1, -1)
    )
    line_rate = n * tau / ((N - 2) * p_s - N * p_o)
    apart_rate = rates(claims["collapse, apart"], claims["collapse, pull"], mu)["critical_rate, ambient"].subs(R, S)
    k = 2 * (n - 2) / (n * tau * (sp.exp((P - 1) / tau) + n - 2))
    free = {P: 1, S: 1, R: 1}  # beta -> infinity
    q = sp.exp(-2 / tau)
    t12 = (2 * tau / (sp.Integer(2) / n)) * ((N - 1) + N * q) / ((N - 2) - N * q)
    zeros = {
        "collapse, together": curvature(spread, 2 * n / (n - 2)) - claims["collapse, together"],
        "collapse, apart": curvature(parted, one * 2) - claims["collapse, apart"],
        "collapse, pull": at_point - claims["collapse, pull"],
        "line, together": curvature(bent, both) - claims["line, together"],
        "line, apart": curvature(straight, both) - claims["line, apart"],
        "line, common": curvature(alike, n) - claims["line, common"],
        "line, pull": on_line - claims["line, pull"],
        "views apart, cosine form: the prior cancels": apart_rate - 2 / k,
        "line, cosine form: the prior cancels": binding - line_rate,
        "beta -> infinity, apart: T2": claims["collapse, apart"].subs(free) - 2 * (n - 2) / (tau * n * (n - 1)),
        "beta -> infinity, together: T2": claims["collapse, together"].subs(free) + 2 / (tau * (n - 1)),
        "beta -> infinity, line: T12": line_rate.subs(P, -1) - t12,
    }
    for sign in (1, -1):
        zeros[f"psi, c = {sign}"] = value.subs(c, sign) - slopes[f"psi, c = {sign}"]
        zeros[f"slope, c = {sign}"] = value.diff(c).subs(c, sign) - slopes[f"slope, c = {sign}"]
        zeros[f"matrix, c = {sign}"] = by_rows(sign) - slopes[f"matrix, c = {sign}"]
    agreements = {}
    for form in get_args(Form):
        for count, temperature, b, d in ((8, "1", "15", "0.01"), (12, "0.5", "2", "0.001")):
            numbers = {n: count, tau: sp.Rational(temperature), beta: sp.Rational(b), delta: sp.Rational(d)}
            options = {
                "samples": count, "temperature": float(temperature), "beta": float(b), "smoothing": float(d),
                "written": form,
            }  # fmt: skip
            for state, where, code, names in (
                ("collapse", "c = 1", lorac_collapse, LoracCollapse._fields),
                ("line", "c = -1", lorac_line, LoracLine._fields),
            ):
                radial = slopes[f"{'slope' if form == 'cosine' else 'matrix'}, {where}"]
                there = {P: slopes[f"psi, {where}"], S: slopes[f"slope, {where}"], R: radial}
                for place, name in enumerate(names):

                    def number(code=code, options=options, place=place) -> float:  # type: ignore[no-untyped-def]
                        return float(code(**options)[place])

                    agreements[f"{state}, {name}, {form} form, n = {count}"] = Agreement(
                        number, claims[f"{state}, {name}"].subs(there).subs(numbers)
                    )
    return Derivation(
        theorem="T35",
        statement="Smoothed LORAC has closed curvatures at complete collapse, a saddle, and on the antipodal line,"
        " which attracts ambient steps above a rate.",
        steps=(
            Step("The positive logit is psi = c - nu/beta, nu the smoothed nuclear norm of two unit rows at cosine c:",
                 nu, "nu"),
            Step("its slope where the views agree", slopes["slope, c = 1"], "psi'"),
            Step("where they are opposite", slopes["slope, c = -1"], "psi'"),
            Step("By the rows nu is sqrt(|a+b|^2/2 + delta) + sqrt(|a-b|^2/2 + delta): the tangent slopes are the same,"
                 " the radial slope is bounded, r in the place of psi':", slopes["matrix, c = 1"], "r"),
            Step("Collapse, one sample at angle epsilon, the others balance it:", claims["collapse, together"], "c"),
            Step("Collapse, the views of one sample at +-epsilon:", claims["collapse, apart"], "c"),
            Step("All rows times 1 + t: the slope of the loss is n pulls", claims["collapse, pull"], "pull"),
            Step("With r = psi' the prior cancels in c + 2a: the views come apart, ambient, at", 2 / k, "mu"),
            Step("The line, views of a sample shifted alike (they bend):", claims["line, together"], "c"),
            Step("oppositely (they stay opposite):", claims["line, apart"], "c"),
            Step("all embeddings alike:", claims["line, common"], "c"),
            Step("the pull:", claims["line, pull"], "pull"),
            Step("With r = psi' the first turns at a rate in which psi' cancels:", line_rate, "mu"),
            Step("The loss is symmetric under permutations of the samples and rotations about the axis, whose action on"
                 " each of these spaces is irreducible: one direction gives all of them"),
        ),
        zeros=zeros,
        formulas=claims | slopes,
        agreements=agreements,
    )  # fmt: skip
