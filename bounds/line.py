"""T30: the balanced line, where full losses end in rank one: half of a class at each end, views at opposite ends."""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from clopsim.bounds.class_losses import ClassLossName
from clopsim.bounds.class_means import ClassMode, present
from clopsim.bounds.effective_rate import attracting_rates
from clopsim.bounds.line_slopes import LineSlopes, SupConForm, cases, line_slopes

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


@dataclass(frozen=True)
class LineState:
    """The balanced line of one loss: the pull and every curvature, each of them d - 1 times; turns left out."""

    pull: float  # a
    modes: tuple[ClassMode, ...]

    @property
    def curvatures(self) -> tuple[float, ...]:
        """One for each level."""
        return tuple(mode.curvature for mode in self.modes)


def line_state(slopes: LineSlopes, *, classes: int, per_class: int) -> LineState:
    """Every curvature of the line of any loss of cosines: classes K of m, H = m/2 of them at each end, n = K m.

        a = (H-1) w_s - (H-1) w_o - w_v + (n-m)/2 (b_s - b_o)
        contrast      (H-1) w_s + (H-1) w_o + w_v + (n-m)/2 (b_s + b_o) - a     the two ends bend
        classes       (H-1) w_s - (H-1) w_o - w_v - H (b_s - b_o) - a           classes spread, pairs stay antipodal
        classes, ends (H-1) w_s + (H-1) w_o + w_v - H (b_s + b_o) - a           classes spread, their two ends alike
        samples       -w_s + w_o - w_v - a                                      the same for the samples of a class
        samples, ends -w_s - w_o + w_v - a                                                                  (tight)

    with w_s, w_o, w_v, b_s, b_o the slopes in their order. Cosines change at second order only, so slopes decide.

    Valid for: a loss that is the same for all embeddings of the line. Source: T30 (ours).
    slopes: line_slopes has those of the zoo; classes: K >= 1; per_class: m, even.
    """
    w_s, w_o, w_v, b_s, b_o = slopes
    K, H = classes, per_class // 2
    beyond = (K - 1) * H
    a = (H - 1) * w_s - (H - 1) * w_o - w_v + beyond * (b_s - b_o)
    alike, opposite = (H - 1) * w_s - (H - 1) * w_o - w_v, (H - 1) * w_s + (H - 1) * w_o + w_v
    modes = present(
        ("contrast", opposite + beyond * (b_s + b_o) - a, 1),
        ("classes", alike - H * (b_s - b_o) - a, K - 1),
        ("classes, ends", opposite - H * (b_s + b_o) - a, K - 1),
        ("samples", -w_s + w_o - w_v - a, K * (H - 1)),
        ("samples, ends", -w_s - w_o + w_v - a, K * (H - 1)),
    )
    return LineState(a, modes)


def line_rate(
    name: ClassLossName,
    *,
    classes: int,
    per_class: int,
    temperature: float,
    confidence: float | None = None,
    penalty: float | None = None,
    form: SupConForm = "out",
) -> float | None:
    """Learning rate of the ambient step above which the balanced line attracts; None where it never does.

        mu_line = 2/(c_min + 2a)     if all c < 0 and this is positive                                        (tight)

    nt_xent with N samples (classes N, per_class 2): tau/(2A - 1 - A/(N-1)), A = (N-1)/(N-1 + N y); dcl:
    tau/(tanh(1/tau) - 1/(N-1)); supcon: tau/(2A - 2 + 1/(m-1) - A/(N-1)). The tangent step is never drawn there.

    Valid for: sum over the anchors; keys with gradient. Arguments and errors as line_slopes. Source: T30, T27 (ours);
    T12 is nt_xent, with momentum and detached keys too.
    """
    shape: dict[str, Any] = {"classes": classes, "per_class": per_class}
    slopes = line_slopes(name, **shape, temperature=temperature, confidence=confidence, penalty=penalty, form=form)
    state = line_state(slopes, **shape)
    rates = attracting_rates(state.curvatures, pull=state.pull, gradient="ambient")
    return None if rates is None or rates.above == 0 else rates.above


def _closed_levels(w: LineSlopes, K: "sp.Expr", H: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed of the moves, before the pull is taken off, and of the pull."""
    n, m = 2 * H * K, 2 * H
    same, cross = (H - 1) * w.same, (H - 1) * w.other + w.view
    return {
        "pull": same - cross + (n - m) / 2 * (w.near - w.far),
        "contrast": same + cross + (n - m) / 2 * (w.near + w.far),
        "classes": same - cross - H * (w.near - w.far),
        "classes, ends": same + cross - H * (w.near + w.far),
        "samples": -w.same + w.other - w.view,
        "samples, ends": -w.same - w.other + w.view,
    }


def _closed_forms(n: "sp.Expr", m: "sp.Expr", tau: "sp.Expr", y: "sp.Expr") -> "dict[str, sp.Expr]":
    """The rates that are claimed in short, y = e^(-2/tau)."""
    N = n / 2
    A = (N - 1) / (N - 1 + N * y)
    return {
        "nt_xent": tau / (2 * A - 1 - A / (N - 1)),
        "dcl": tau / ((1 - y) / (1 + y) - 1 / (N - 1)),
        "supcon": tau / (2 * A - 2 + 1 / (m - 1) - A / (N - 1)),
    }


def derive() -> "Derivation":
    """Every move put into the matrix of slopes, then the slopes of the losses; K and H = m/2 are symbols."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step
    from clopsim.bounds.line_slopes import _closed_slopes

    H, K, tau, y, q, beta = sp.symbols("H K tau y q beta", positive=True)
    w = LineSlopes(*sp.symbols("w_s w_o w_v b_s b_o"))
    m, n, away = 2 * H, 2 * H * K, (K - 1) * H
    levels, slopes = _closed_levels(w, K, H), _closed_slopes(K, H, tau, y, q, beta)
    zeros = {}
    # z_i = sigma_i (z* + e_i): e at the own and at the other end, of a sample, of its class's others, of other classes
    for name, (mine, mates, others) in {
        "pull": ((1, 1), (1, 1), (1, 1)),
        "contrast": ((1, -1), (1, -1), (1, -1)),
        "classes": ((1, 1), (1, 1), (-1 / (K - 1), -1 / (K - 1))),
        "classes, ends": ((1, -1), (1, -1), (-1 / (K - 1), 1 / (K - 1))),
        "samples": ((1, 1), (-1 / (H - 1), -1 / (H - 1)), (0, 0)),
        "samples, ends": ((1, -1), (-1 / (H - 1), 1 / (H - 1)), (0, 0)),
    }.items():
        row = (H - 1) * (w.same * mates[0] - w.other * mates[1]) - w.view * mine[1]
        zeros[name] = sp.cancel(row + away * (w.near * others[0] - w.far * others[1]) - levels[name])

    rates = _closed_forms(n, m, tau, y)
    for name, rate in rates.items():
        here = _closed_levels(LineSlopes(**slopes[name]), K, H)
        zeros[f"{name}: the rate"] = sp.cancel(2 / (here["classes, ends"] + here["pull"]) - rate)
    N = n / 2
    pair = _closed_levels(LineSlopes(**slopes["nt_xent"]), K, H)
    merged = _closed_levels(LineSlopes(**slopes["merged"]), K, H)
    A = (N - 1) / (N - 1 + N * y)
    zeros |= {
        "T12: the rate": sp.cancel(rates["nt_xent"] - tau * ((N - 1) + N * y) / ((N - 2) - N * y)),
        "merged: the contrast": sp.cancel(merged["contrast"] - merged["pull"] - 4 / tau * (1 - A)),
        "samples are lost with the classes": sp.cancel(pair["classes, ends"] - pair["samples, ends"]),
    }
    return Derivation(
        theorem="T30",
        statement="The balanced line has five levels, sums of a loss's slopes; it attracts ambient steps above"
        " 2/(c_min + 2a) if all are negative, which has a closed form for InfoNCE, DCL and SupCon.",
        steps=(
            Step("On the line all cosines are +-1 and change at second order, so M = Gamma + Gamma^T decides. With"
                 " z_i = sigma_i (z* + e_i) the pull is the row sum of sigma_i sigma_j M_ij,", levels["pull"], "a"),
            Step("and each move below is an eigenvector; its curvature is the eigenvalue less the pull. The two ends"
                 " bend:", levels["contrast"], "c"),
            Step("classes spread, every pair still antipodal:", levels["classes"], "c"),
            Step("classes spread, their ends alike:", levels["classes, ends"], "c"),
            Step("the samples of a class likewise:", levels["samples"], "c"),
            Step("and", levels["samples, ends"], "c"),
            Step("The slopes follow by differentiating each loss by each kind of pair. InfoNCE (T12):",
                 rates["nt_xent"], "mu"),
            Step("DCL:", rates["dcl"], "mu"),
            Step("SupCon, mean outside the logarithm, if positive:", rates["supcon"], "mu"),
            Step("The merged loss rises as the ends bend, so the line is a saddle:", 4 / tau * (1 - A), "c"),
            Step("All below 0 and 2a above -c_min is what T27 asks for"),
        ),
        zeros=zeros,
        formulas={f"{name}: the rate": rate for name, rate in rates.items()},
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """The code for every loss against the claims: levels with their numbers, pulls and rates."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement
    from clopsim.bounds.line_slopes import _closed_slopes

    def answer(given: "dict[str, Any]", shape: "dict[str, Any]", name: str) -> float | None:
        state = line_state(line_slopes(**given, **shape, temperature=0.3), **shape)
        found = {mode.name: mode for mode in state.modes}.get(name.removesuffix(", number"))
        if name == "pull":
            return state.pull
        return None if found is None else found.multiplicity if name.endswith(", number") else found.curvature

    tau, q, beta = sp.Rational(3, 10), sp.Rational(3, 5), sp.Rational(7, 10)
    found = {}
    for (name, given), K, H in product(cases().items(), (2, 3), (1, 3)):
        if name == "supcon, in" and H == 1:
            continue  # of one view the mean is the same outside
        shape, where = {"classes": K, "per_class": 2 * H}, f"{name}, K = {K}, m = {2 * H}"
        slopes = _closed_slopes(sp.Integer(K), sp.Integer(H), tau, sp.exp(-2 / tau), q, beta)[name]
        levels = _closed_levels(LineSlopes(**slopes), sp.Integer(K), sp.Integer(H))
        counts = {"contrast": 1, "classes": K - 1, "classes, ends": K - 1}
        counts |= {"samples": K * (H - 1), "samples, ends": K * (H - 1)}
        curvatures = {kind: levels[kind] - levels["pull"] for kind, number in counts.items() if number}
        for kind, number in counts.items():
            found[f"{where}, {kind}"] = Agreement(partial(answer, given, shape, kind), curvatures.get(kind))
            found[f"{where}, {kind}, number"] = Agreement(
                partial(answer, given, shape, f"{kind}, number"), sp.Integer(number) if number else None
            )
        found[f"{where}, pull"] = Agreement(partial(answer, given, shape, "pull"), levels["pull"])
        margin = min(curvatures.values()) + 2 * levels["pull"]
        attracts = max(curvatures.values()) < 0 and margin > 0
        found[f"line_rate, {where}"] = Agreement(
            partial(line_rate, **given, classes=K, per_class=2 * H, temperature=0.3), 2 / margin if attracts else None
        )
    return found
