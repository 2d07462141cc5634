"""T37: the balanced line of FedRCL's loss: half of every class at each end, where large ambient steps end."""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bounds.effective_rate import attracting_rates
from bounds.setting import Gradient, number_from_zero, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from bounds.derivation import Derivation


class RelaxedLine(NamedTuple):
    """The balanced line: half of every class at each end. Curvatures d - 1 times their number each."""

    pull: float  # a
    ends: float  # the two ends bend towards each other, once
    classes: float  # classes tilt against each other, K - 1 times
    class_ends: float  # ends of classes bend against each other, K - 1 times
    within: float | None  # embeddings of one class at one end spread, 2 K (m/2 - 1) times; None for m = 2


def relaxed_line(*, classes: int, per_class: int, temperature: float, penalty: float) -> RelaxedLine:
    """The line on which half of every class sits at +z*, half at -z*, the views of a sample at opposite ends.

        q = e^(-2/tau),  H = m/2,  g = (n - m)(1 + q)/2
        w_s = (2/tau) [2 beta/(m (1 + q)) - g/((1 + g)(m - 1))]
        w_o = (2/tau) [2 beta q/(m (1 + q)) - g/((q + g)(m - 1))]
        b_s = (2/tau) [(H - 1)/(1 + g) + H/(q + g)]/(m - 1),       b_o = q b_s
        a = (H - 1) w_s - H w_o + (n - m)(b_s - b_o)/2
        ends  c = (H - 1) w_s + H w_o + (n - m)(b_s + b_o)/2 - a,     within  c = -w_s - a
        classes  c = -n (b_s - b_o)/2,    class_ends  c = (H - 1) w_s + H w_o - H (b_s + b_o) - a         (tight)

    Valid for: K >= 2, m even, the sum, no threshold on the penalty (-1). Source: T37 (ours).
    """
    K, m = whole_number("classes", classes, low=2), whole_number("per_class", per_class, low=2)
    if m % 2:
        raise ValueError(f"per_class must be even, got {m}; half of every class is at each end")
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    number_from_zero("penalty", penalty, remedy="0 leaves the penalty out")
    n, H, scale, q = K * m, m // 2, 2 / temperature, math.exp(-2 / temperature)
    g, near = (n - m) * (1 + q) / 2, 2 * penalty / (m * (1 + q))
    w_s = scale * (near - g / ((1 + g) * (m - 1)))
    w_o = scale * (near * q - g / ((q + g) * (m - 1)))
    b_s = scale * ((H - 1) / (1 + g) + H / (q + g)) / (m - 1)
    b_o = q * b_s
    a = (H - 1) * w_s - H * w_o + (n - m) * (b_s - b_o) / 2
    return RelaxedLine(
        a,
        (H - 1) * w_s + H * w_o + (n - m) * (b_s + b_o) / 2 - a,
        -n * (b_s - b_o) / 2,
        (H - 1) * w_s + H * w_o - H * (b_s + b_o) - a,
        -w_s - a if m > 2 else None,
    )


def relaxed_line_rate(
    *, classes: int, per_class: int, temperature: float, penalty: float, gradient: Gradient = "ambient"
) -> float | None:
    """Learning rate above which the balanced line attracts, 2/(c + 2a) of its lowest level; None where it never does.

    Valid for: as relaxed_line. Source: T37 (ours), by T27.
    """
    line = relaxed_line(classes=classes, per_class=per_class, temperature=temperature, penalty=penalty)
    found = attracting_rates([c for c in line[1:] if c is not None], pull=line.pull, gradient=gradient)
    return found.above if found else None


def _closed_forms(K: "sp.Expr", m: "sp.Expr", tau: "sp.Expr", beta: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    import sympy as sp

    n, H, q = K * m, m / 2, sp.exp(-2 / tau)
    g, near = (n - m) * (1 + q) / 2, 2 * beta / (m * (1 + q))
    w_s = 2 / tau * (near - g / ((1 + g) * (m - 1)))
    w_o = 2 / tau * (near * q - g / ((q + g) * (m - 1)))
    b_s = 2 / tau * ((H - 1) / (1 + g) + H / (q + g)) / (m - 1)
    b_o = q * b_s
    a = (H - 1) * w_s - H * w_o + (n - m) * (b_s - b_o) / 2
    return {
        "w_s": w_s,
        "w_o": w_o,
        "b_s": b_s,
        "b_o": b_o,
        "pull": a,
        "ends": (H - 1) * w_s + H * w_o + (n - m) * (b_s + b_o) / 2 - a,
        "classes": -n * (b_s - b_o) / 2,
        "class_ends": (H - 1) * w_s + H * w_o - H * (b_s + b_o) - a,
        "within": -w_s - a,
    }


def derive() -> "Derivation":
    """What one anchor's loss owes to each of its cosines, and sums over the embeddings that a move displaces."""
    import sympy as sp

    from bounds.derivation import Agreement, Derivation, Step, entry

    K, m, tau, beta = sp.symbols("K m tau beta", positive=True)
    claims, H, far = _closed_forms(K, m, tau, beta), m / 2, (K - 1) * m / 2
    cosines = dict(zip(("w_s", "w_o", "b_s", "b_o"), sp.symbols("s_1:5", real=True), strict=True))
    ends = dict(zip(cosines.values(), (1, -1, 1, -1), strict=True))
    same, opposite, same_other, opposite_other = cosines.values()

    def e(cosine: sp.Expr) -> sp.Expr:
        return sp.exp(cosine / tau)

    # one of each kind by its own cosine, the rest at the ends: H - 2, H - 1, far - 1, far - 1
    one = sp.Integer(1)
    negatives = e(same_other) + (far - 1) * e(one) + e(opposite_other) + (far - 1) * e(-one)
    positives = ((same, one), (one, H - 2), (opposite, one), (-one, H - 1))
    anchor = sum(count * sp.log(1 + negatives / e(at)) for at, count in positives) / (m - 1)
    anchor += beta * sp.log(1 + sum(count * e(at - 1) for at, count in positives))
    zeros = {name: 2 * anchor.diff(cosine).subs(ends) - claims[name] for name, cosine in cosines.items()}
    # an embedding feels sum_j M_ij sigma_i sigma_j f_j of a move f, and a f_i of its own
    w_s, w_o, b_s, b_o = (sp.Symbol(name) for name in cosines)
    entries = {symbol: claims[str(symbol)] for symbol in (w_s, w_o, b_s, b_o)}

    def level(own_end: int, other_end: int, same_others: sp.Expr, opposite_others: sp.Expr) -> sp.Expr:
        """Of a move that is 1 at the embedding, and at the ends of its class; both sums over the other classes."""
        return (H - 1) * own_end * w_s - H * other_end * w_o + same_others * b_s - opposite_others * b_o

    pull = level(1, 1, far, far)
    moves = {
        "pull": pull,
        "ends": level(1, -1, far, -far) - pull,
        "classes": level(1, 1, -H, -H) - pull,
        "class_ends": level(1, -1, -H, H) - pull,
        "within": -w_s - pull,  # the others at its end add up to -1, all else is still
    }
    zeros |= {name: found.subs(entries) - claims[name] for name, found in moves.items()}
    agreements = {}
    for K_, m_, tau_, beta_, lowest in ((3, 4, 0.5, 1.0, "class_ends"), (2, 2, 2.0, 0.0, None), (3, 6, 0.5, 0.0, None)):
        here = {K: K_, m: m_, tau: sp.Rational(str(tau_)), beta: sp.Rational(str(beta_))}
        setting: dict[str, Any] = {"classes": K_, "per_class": m_, "temperature": tau_, "penalty": beta_}
        code = partial(relaxed_line, **setting)
        for place, name in enumerate(RelaxedLine._fields if m_ > 2 else RelaxedLine._fields[:-1]):
            agreements[f"relaxed_line, {name}, K = {K_}, m = {m_}"] = Agreement(
                entry(code, place), claims[name].subs(here)
            )
        for gradient in ("ambient", "tangent"):
            rate = 2 / (claims[lowest] + 2 * claims["pull"]).subs(here) if lowest and gradient == "ambient" else None
            agreements[f"relaxed_line_rate, K = {K_}, m = {m_}, {gradient}"] = Agreement(
                partial(relaxed_line_rate, **setting, gradient=gradient), rate
            )
    pairs: dict[str, Any] = {"classes": 2, "per_class": 2, "temperature": 2.0, "penalty": 0.0}
    agreements["relaxed_line, within, m = 2"] = Agreement(lambda: relaxed_line(**pairs).within, None)
    return Derivation(
        theorem="T37",
        statement="The balanced line of FedRCL's dense loss, half of every class at each end, attracts ambient steps"
        " above 2/(c + 2a) of its lowest level.",
        steps=(
            Step("Twice the derivative of an anchor's loss in a cosine: to an embedding of its class at its end",
                 claims["w_s"]),
            Step("at the other end", claims["w_o"]),
            Step("to one of another class at its end; e^(-2/tau) times that at the other end", claims["b_s"]),
            Step("With M_ij these numbers, the force on z_i = sigma_i z* is a z_i with a = sum_j M_ij sigma_i sigma_j,",
                 claims["pull"]),
            Step("and a move z_i = sigma_i (z* + f_i e) across the line has the curvature sum_j M_ij sigma_i sigma_j"
                 " f_j/f_i - a, as the cosines change at second order only. The ends bend towards each other with",
                 claims["ends"]),
            Step("classes tilt against each other with", claims["classes"]),
            Step("the ends of one class bend against those of the others with", claims["class_ends"]),
            Step("embeddings of one class at one end spread with", claims["within"]),
            Step("and a turn of the whole line costs nothing. Permutations of classes, of the members of an end and the"
                 " swap of the ends act on these spaces irreducibly: one move gives all of them"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
