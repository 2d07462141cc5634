"""T38: how confident pseudo-labels must be to bind a class, at complete collapse and at the simplex, in SsCL's manner.

    L = sum_i [-sum_p W_ip s_ip/tau + log sum_(a != i) e^(s_ia/tau)]

W_ip is proportional to 1 for the other view of i's sample and to q^2 for its classmates, and its rows sum to 1: K
classes of m embeddings, two views counted, n = K m, whose guesses agree and all have the confidence q. At q = 1 this is
SupCon, at 0 InfoNCE.
"""

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from clopsim.bounds.effective_rate import critical_rate
from clopsim.bounds.setting import number_from_zero, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


class GuessedCollapse(NamedTuple):
    """The Hessian at complete collapse, where the pull is 0; d - 1 directions each."""

    classes: float  # classes move against each other, K - 1 times
    together: float | None  # the samples of a class part, views alike, K (m/2 - 1) times; None for one sample a class
    apart: float  # the views of a sample part, n/2 times


def guessed_collapse(*, classes: int, per_class: int, temperature: float, confidence: float) -> GuessedCollapse:
    """Complete collapse with guesses of confidence q, R = 1 + (m - 2) q^2:

        classes   c = -(2/tau) n/(n - 1)
        together  c = -(2/tau) [(1 - 2 q^2)/R + 1/(n - 1)]
        apart     c = (2/tau) [1/R - 1/(n - 1)]                                                           (tight)

    Valid for: K >= 2, m even, the sum over the anchors; unequal confidences make W asymmetric. Source: T38 (ours).
    """
    K, m = _classes(classes, per_class)
    _temperature(temperature)
    q, n = _confidence(confidence), K * m
    R, T = 1 + (m - 2) * q**2, 2 / temperature
    together = -T * ((1 - 2 * q**2) / R + 1 / (n - 1)) if m > 2 else None
    return GuessedCollapse(-T * n / (n - 1), together, T * (1 / R - 1 / (n - 1)))


def guessed_view_rate(*, classes: int, per_class: int, temperature: float, confidence: float) -> float | None:
    """Learning rate above which the views of a sample part at complete collapse, with either gradient:

        mu = tau/(1/R - 1/(n - 1)),   R = 1 + (m - 2) q^2                                                 (tight)

    Valid for: as guessed_collapse. Source: T38 (ours), by T27.
    """
    state = guessed_collapse(classes=classes, per_class=per_class, temperature=temperature, confidence=confidence)
    return critical_rate(state.apart, pull=0.0, gradient="ambient")


def binding_confidence(*, classes: int, per_class: int) -> float:
    """q* = sqrt(n/(2n - m)): at complete collapse the samples of a class part below it, and hold together above.

    It falls to 1/sqrt(2) for many classes; the temperature does not matter.

    Valid for: K >= 2, m >= 4 even. Source: T38 (ours).
    """
    K, m = _classes(classes, per_class, low=4)
    n = K * m
    return math.sqrt(n / (2 * n - m))


def holding_confidence(*, classes: int, per_class: int, temperature: float) -> float:
    """The confidence above which classes stay points on a simplex:

        q_E^2 = (1 - A)/(2 + (m - 2) A),   A = Q K/(K - 1) - (1 - Q)/(m - 1)
        Q = n' x/(m - 1 + n' x),   n' = n - m,   x = e^(-K/((K - 1) tau))                                 (tight)

    It rises from 0 at high temperature (A = 1) to 1 at low: there every doubt keeps spread inside the classes, which
    certain labels (SupCon) do not.

    Valid for: K >= 2, m >= 4 even, d >= K; the sum or the mean. Source: T38 (ours), by T29.
    """
    K, m = _classes(classes, per_class, low=4)
    _temperature(temperature)
    x = math.exp(-K / ((K - 1) * temperature))
    Q = (K - 1) * m * x / (m - 1 + (K - 1) * m * x)
    A = Q * K / (K - 1) - (1 - Q) / (m - 1)
    return math.sqrt((1 - A) / (2 + (m - 2) * A))


def calibration_gain(cosine: float, *, temperature: float) -> float:
    """What the cosines to the class means add to the log-odds of a confidence: (1 - s)/tau_s               (tight)

    s: between an embedding's own class mean, which it is at, and each of the others; the remaining probability even.
    At complete collapse, s = 1, nothing: calibration cannot start the binding of a class; at the simplex K/((K - 1)
    tau_s): it can keep it.

    Valid for: -1 <= s <= 1. Source: T38 (ours). temperature: tau_s of the cosines.
    """
    _temperature(temperature)
    if not -1 <= cosine <= 1:
        raise ValueError(
            f"cosine must be in [-1, 1], got {cosine!r}; it is that of an embedding and another class mean"
        )
    return (1 - cosine) / temperature


def calibrated_holding_confidence(
    *, classes: int, per_class: int, temperature: float, calibration_temperature: float
) -> float:
    """Confidence of the head that holds classes at the simplex, once the cosines there calibrate it:

        logit p = logit q_E - K/((K - 1) tau_s)                                                           (tight)

    Valid for: as holding_confidence; the rest of the head's probability even. Source: T38 (ours).
    """
    q = holding_confidence(classes=classes, per_class=per_class, temperature=temperature)
    _temperature(calibration_temperature, "calibration_temperature")
    gain = calibration_gain(-1 / (classes - 1), temperature=calibration_temperature)
    return q / (q + (1 - q) * math.exp(gain))


def guessed_ways_out(*, confident_classes: int, others: int, dimension: int) -> int:
    """Falling directions of complete collapse, at least (C + U - 1)(d - 1): C bound classes, U samples without a guess.

    Every connected component of the graph of positives moves as one. More below binding_confidence.

    Valid for: C + U >= 1, d >= 2. Source: T38 (ours).
    """
    C, U = (whole_number(n, v, low=0) for n, v in (("confident_classes", confident_classes), ("others", others)))
    d = whole_number("dimension", dimension, low=2)
    if C + U < 1:
        raise ValueError("confident_classes and others must be 1 together, got none; a batch has a sample")
    return (C + U - 1) * (d - 1)


def _classes(classes: int, per_class: int, *, low: int = 2) -> tuple[int, int]:
    K, m = whole_number("classes", classes, low=2), whole_number("per_class", per_class, low=low)
    if m % 2:
        raise ValueError(f"per_class must be even, got {m}; it counts both views of every sample")
    return K, m


def _temperature(value: float, name: str = "temperature") -> None:
    positive_number(name, value, remedy="typical values lie between 0.05 and 1")


def _confidence(value: float) -> float:
    number_from_zero("confidence", value, remedy="it is a probability")
    if value > 1:
        raise ValueError(f"confidence must be <= 1, got {value!r}; it is a probability")
    return value


def _closed_forms(
    K: "sp.Symbol", m: "sp.Symbol", tau: "sp.Symbol", q: "sp.Symbol", Q: "sp.Symbol"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    import sympy as sp

    n, R, T = K * m, 1 + (m - 2) * q**2, 2 / tau
    A = Q * K / (K - 1) - (1 - Q) / (m - 1)
    return {
        "classes": -T * n / (n - 1),
        "together": -T * ((1 - 2 * q**2) / R + 1 / (n - 1)),
        "apart": T * (1 / R - 1 / (n - 1)),
        "guessed_view_rate": tau / (1 / R - 1 / (n - 1)),
        "binding_confidence": sp.sqrt(n / (2 * n - m)),
        "together on the simplex": T * (A - (1 - 2 * q**2) / R),
        "holding_confidence": sp.sqrt((1 - A) / (2 + (m - 2) * A)),
    }


def derive() -> "Derivation":
    """Groups of coinciding points in a plane; second derivatives; the odds of two softmaxes multiplied."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry

    K, m, tau, q, Q, p, x, scale = sp.symbols("K m tau q Q p x tau_s", positive=True)
    eps, s = sp.symbols("epsilon s", real=True)
    claims = _closed_forms(K, m, tau, q, Q)
    R, far = 1 + (m - 2) * q**2, (K - 1) * m

    def e(cosine: sp.Expr) -> sp.Expr:
        return sp.exp((cosine - 1) / tau)

    def curvature(loss: sp.Expr, squared_length: sp.Expr) -> sp.Expr:
        return loss.diff(eps, 2).subs(eps, 0) / squared_length

    def moved(a: sp.Expr, b: sp.Expr, between: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """Loss of a class with one sample's views at a and b, its mates balancing them, for (together, apart) moves."""
        rest = -(a + b) / (m - 2)
        pair, mate_a, mate_b = sp.cos(a - b), sp.cos(a - rest), sp.cos(b - rest)
        total: sp.Expr = sp.Integer(0)
        for own, mate in ((a, mate_a), (b, mate_b)):
            pull = (pair + (m - 2) * q**2 * mate) / (R * tau)
            total += sp.log(e(pair) + (m - 2) * e(mate) + far * e(between * sp.cos(own))) - pull
        pull = (1 + q**2 * (mate_a + mate_b + m - 4)) / (R * tau)
        seen = (m - 3) * e(sp.Integer(1)) + e(mate_a) + e(mate_b) + far * e(between * sp.cos(rest))
        total += (m - 2) * (sp.log(seen) - pull)
        # an anchor of another class sees its own m - 1, the others' (K - 2) m and these m
        back = e(between * sp.cos(a)) + e(between * sp.cos(b)) + (m - 2) * e(between * sp.cos(rest))
        total += far * sp.log((m - 1) * e(sp.Integer(1)) + (far - m) * e(between) + back)
        return total, a.diff(eps) ** 2 + b.diff(eps) ** 2 + (m - 2) * rest.diff(eps) ** 2

    gap = eps * K / (K - 1)
    tilt = m * sp.log((m - 1) * e(sp.Integer(1)) + far * e(sp.cos(gap))) + far * sp.log(
        (far - 1) * e(sp.Integer(1)) + m * e(sp.cos(gap))
    )
    share = far * x / (m - 1 + far * x)
    held = curvature(*moved(eps, eps, s)).subs(sp.exp((s - 1) / tau), x)
    odds = (p * sp.exp(1 / scale)) / ((1 - p) * sp.exp(s / scale))
    zeros = {
        "classes": curvature(tilt, m * K / (K - 1)) - claims["classes"],
        "together": curvature(*moved(eps, eps, sp.Integer(1))) - claims["together"],
        "apart": curvature(*moved(eps, -eps, sp.Integer(1))) - claims["apart"],
        "on the simplex": (held - claims["together on the simplex"].subs(Q, share)).subs(s, -1 / (K - 1)),
        "binding": claims["together"].subs(q, claims["binding_confidence"]),
        "holding": claims["together on the simplex"].subs(q, claims["holding_confidence"]),
        "many classes": sp.limit(claims["binding_confidence"], K, sp.oo) - 1 / sp.sqrt(2),
        "low temperature": claims["holding_confidence"].subs(Q, 0) - 1,
        "certain labels": claims["together on the simplex"].subs({q: 1, Q: 0}),
        "high temperature": claims["holding_confidence"].subs(Q, share).subs(x, 1),
        "the odds": odds - p / (1 - p) * sp.exp((1 - s) / scale),
    }
    agreements = {}
    here = {K: 3, m: 4, tau: sp.Rational(1, 2), q: sp.Rational(3, 5)}
    setting: dict[str, Any] = {"classes": 3, "per_class": 4, "temperature": 0.5}
    for place, name in enumerate(GuessedCollapse._fields):
        agreements[f"guessed_collapse, {name}"] = Agreement(
            entry(partial(guessed_collapse, **setting, confidence=0.6), place), claims[name].subs(here)
        )
    lone = {**setting, "per_class": 2}
    softmax = share.subs(x, sp.exp(-K / ((K - 1) * tau)))
    found = claims["holding_confidence"].subs(Q, softmax).subs(here)
    needed = 1 / (1 + (1 - found) / found * sp.exp(sp.Rational(3, 2) / sp.Rational(1, 5)))
    agreements |= {
        "guessed_collapse, together, one sample a class": Agreement(
            lambda: guessed_collapse(**lone, confidence=0.6).together, None
        ),
        "guessed_view_rate": Agreement(
            partial(guessed_view_rate, **setting, confidence=0.6), claims["guessed_view_rate"].subs(here)
        ),
        "binding_confidence": Agreement(
            partial(binding_confidence, classes=3, per_class=4), claims["binding_confidence"].subs(here)
        ),
        "holding_confidence": Agreement(partial(holding_confidence, **setting), found),
        "calibration_gain": Agreement(partial(calibration_gain, -0.5, temperature=0.2), sp.Rational(15, 2)),
        "calibrated_holding_confidence": Agreement(
            partial(calibrated_holding_confidence, **setting, calibration_temperature=0.2), needed
        ),
        "guessed_ways_out": Agreement(
            partial(guessed_ways_out, confident_classes=2, others=2, dimension=5), sp.Integer(12)
        ),
    }
    return Derivation(
        theorem="T38",
        statement="Pseudo-labels bind a class at complete collapse above the confidence sqrt(n/(2n - m)), and keep it a"
        " point on the simplex above q_E; calibration adds (1 - s)/tau_s to their log-odds.",
        steps=(
            Step("At complete collapse classes part with the curvature", claims["classes"], "c"),
            Step("the samples of a class, views together, with", claims["together"], "c"),
            Step("the views of a sample with", claims["apart"], "c"),
            Step("The second changes sign at q*", claims["binding_confidence"], "q*"),
            Step("On the simplex the samples of a class part, across the span of the classes, with",
                 claims["together on the simplex"], "c"),
            Step("which changes sign at q_E", claims["holding_confidence"], "q_E"),
            Step("A class's embeddings are at its mean, so their cosines multiply the odds p/(1 - p) by",
                 sp.exp((1 - s) / scale), "factor"),
            Step("The graph of positives: every component can move as one, which costs no attraction and lowers the"
                 " repulsion; C + U components leave C + U - 1 directions, times d - 1"),
        ),
        zeros=zeros,
        formulas=claims,
        agreements=agreements,
    )  # fmt: skip
