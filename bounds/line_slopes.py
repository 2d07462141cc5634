"""T30, first half: the slopes of every loss of the zoo on the balanced line, by how two embeddings are related."""

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from clopsim.bounds.class_losses import ClassLossName, class_loss
from clopsim.bounds.setting import one_of

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

SupConForm = Literal["out", "in"]


class LineSlopes(NamedTuple):
    """M_ij = dL/ds_ij + dL/ds_ji of a pair on the line, by how the two are related."""

    same: float  # of one class, at the same end
    other: float  # of one class, at opposite ends, of different samples
    view: float  # the two views of a sample
    near: float  # of two classes, at the same end
    far: float  # of two classes, at opposite ends


def line_slopes(
    name: ClassLossName,
    *,
    classes: int,
    per_class: int,
    temperature: float,
    confidence: float | None = None,
    penalty: float | None = None,
    form: SupConForm = "out",
) -> LineSlopes:
    """The slopes of a loss of the zoo at the balanced line, sum over anchors; y = e^(-2/tau), n = K m.

        P_s = 1/((n/2 - 1) + (n/2) y),  P_o = y P_s     without the other view (dcl):  P_s = 1/((n/2 - 1)(1 + y))
        w_s = (2/tau)(P_s - W_s),  w_o = (2/tau)(P_o - W_o),  w_v = (2/tau)(P_o - W_v),  b_s, b_o = (2/tau)(P_s, P_o)
        W: merged 0; nt_xent, dcl W_v = 1; supcon 1/(m-1), "in": 1 and y over (H-1) + H y; sscl as at T29
        fedrcl, N = (n-m)(1+y)/2:   b_s = (2/tau)[(H-1)/(1+N) + H/(y+N)]/(m-1),  b_o = y b_s,
            w_s = (2/tau)[-N/((1+N)(m-1)) + beta/(H (1+y))],
            w_o = w_v = (2/tau)[-N/((y+N)(m-1)) + beta y/(H (1+y))]                                          (tight)

    fedrcl is the smooth form, without a threshold: with one its penalty leaves the other end alone, which changes
    neither c + 2a of "classes, ends" nor so the rate. blcl has no such line: its class means vanish there.

    Source: T30 (ours). Arguments as class_loss; per_class: m, even; form: of supcon, as in SupCon.
    Errors: ValueError as class_loss, for odd m, and for blcl.
    """
    one_of("form", form, ("out", "in"))
    given: dict[str, Any] = {"classes": classes, "per_class": per_class, "temperature": temperature}
    class_loss(name, **given, confidence=confidence, penalty=penalty)  # checks them
    if per_class % 2:
        raise ValueError(f"per_class must be even on the line, got {per_class}; half of a class is at each end")
    if name == "blcl":
        raise ValueError("name must be a loss that the line is a state of, got 'blcl'; its class means vanish there")
    K, m, T, y = classes, per_class, 2 / temperature, float(np.exp(-2 / temperature))
    H, n = m // 2, K * m
    if name == "fedrcl":
        N, beta = (n - m) * (1 + y) / 2, float(penalty or 0.0)
        near = T * ((H - 1) / (1 + N) + H / (y + N)) / (m - 1)
        opposite = T * (-N / ((y + N) * (m - 1)) + beta * y / (H * (1 + y)))
        same = T * (-N / ((1 + N) * (m - 1)) + beta / (H * (1 + y)))
        return LineSlopes(same, opposite, opposite, near, y * near)
    W_s, W_o, W_v = _line_weights(name, m, y, confidence, form)
    P = 1 / ((n / 2 - 1) * (1 + y)) if name == "dcl" else 1 / ((n / 2 - 1) + (n / 2) * y)
    seen = 0.0 if name == "dcl" else y * P
    return LineSlopes(T * (P - W_s), T * (y * P - W_o), T * (seen - W_v), T * P, T * y * P)


def _line_weights(
    name: ClassLossName, m: int, y: float, confidence: float | None, form: SupConForm
) -> tuple[float, float, float]:
    """W of a class-mate at the same end, one at the other, and the other view."""
    H = m // 2
    if name == "merged":
        return 0.0, 0.0, 0.0
    if name == "supcon" and form == "in":
        total = (H - 1) + H * y
        return 1 / total, y / total, y / total
    q = {"supcon": 1.0, "sscl": float(confidence or 0.0)}.get(name, 0.0)
    row = 1 + (m - 2) * q**2
    return q**2 / row, q**2 / row, 1 / row


def _closed_slopes(
    K: "sp.Expr", H: "sp.Expr", tau: "sp.Expr", y: "sp.Expr", q: "sp.Expr", beta: "sp.Expr"
) -> "dict[str, dict[str, sp.Expr]]":
    """What is claimed of the slopes of every loss; y = e^(-2/tau)."""
    T, m, n = 2 / tau, 2 * H, 2 * H * K
    P, D, R, Z = 1 / ((n / 2 - 1) + n / 2 * y), 1 / ((n / 2 - 1) * (1 + y)), 1 + (m - 2) * q**2, (H - 1) + H * y
    N = (n - m) * (1 + y) / 2
    near, push = T * ((H - 1) / (1 + N) + H / (y + N)) / (m - 1), T * beta / (H * (1 + y))
    opposite = -T * N / ((y + N) * (m - 1)) + y * push
    ends = (T * P, T * y * P)
    claims = {
        "merged": (T * P, T * y * P, T * y * P, *ends),
        "nt_xent": (T * P, T * y * P, T * (y * P - 1), *ends),
        "supcon": (T * (P - 1 / (m - 1)), T * (y * P - 1 / (m - 1)), T * (y * P - 1 / (m - 1)), *ends),
        "supcon, in": (T * (P - 1 / Z), T * (y * P - y / Z), T * (y * P - y / Z), *ends),
        "sscl": (T * (P - q**2 / R), T * (y * P - q**2 / R), T * (y * P - 1 / R), *ends),
        "dcl": (T * D, T * y * D, -T, T * D, T * y * D),
        "fedrcl": (push - T * N / ((1 + N) * (m - 1)), opposite, opposite, near, y * near),
    }
    return {name: dict(zip(LineSlopes._fields, values, strict=True)) for name, values in claims.items()}


def derive() -> "Derivation":
    """Every loss differentiated by the cosine of each kind of pair; K and H = m/2 are symbols."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    H, K, tau, y, q, beta = sp.symbols("H K tau y q beta", positive=True)
    s = LineSlopes(*sp.symbols("s_s s_o s_v s_n s_f"))
    m, away, R = 2 * H, (K - 1) * H, 1 + (2 * H - 2) * q**2
    claims = _closed_slopes(K, H, tau, y, q, beta)

    def E(cosine: sp.Expr) -> sp.Expr:
        return sp.exp((cosine - 1) / tau)

    own = (H - 1) * (E(s.same) + E(s.other))
    rest = away * (E(s.near) + E(s.far))
    everyone = sp.log(own + E(s.view) + rest)
    pairs = LineSlopes(H - 1, H - 1, sp.Integer(1), away, away)
    mates = ((H - 1, s.same), (H - 1, s.other), (sp.Integer(1), s.view))
    losses = {
        "merged": everyone,
        "nt_xent": everyone - s.view / tau,
        "supcon": everyone - sum(number * cosine for number, cosine in mates) / (m - 1) / tau,
        "supcon, in": everyone - sp.log(own + E(s.view)),
        "sscl": everyone - (q**2 * (H - 1) * (s.same + s.other) + s.view) / R / tau,
        "dcl": sp.log(own + rest) - s.view / tau,
        "fedrcl": sum(number * sp.log(1 + rest / E(cosine)) for number, cosine in mates) / (m - 1)
        + beta * sp.log(1 + own + E(s.view)),
    }
    at_line = dict(zip(s, (1, -1, -1, 1, -1), strict=True))
    zeros = {}
    for name, loss in losses.items():
        for (kind, claim), cosine, number in zip(claims[name].items(), s, pairs, strict=True):
            found = (
                (2 * loss.diff(cosine) / number).subs(at_line).subs(sp.exp(-2 / tau), y).subs(sp.exp(2 / tau), 1 / y)
            )
            zeros[f"{name}: {kind}"] = sp.cancel(found - claim)
    return Derivation(
        theorem="T30",
        statement="On the line a loss is known by its slopes for five kinds of pairs.",
        steps=(
            Step("The loss of an anchor as a function of its cosines to its class at the same and the other end, to its"
                 " other view, and to other classes at both ends; H of a class are at each end. InfoNCE:",
                 losses["nt_xent"], "L_i"),
            Step("SupCon, the mean outside the logarithm:", losses["supcon"], "L_i"),
            Step("inside:", losses["supcon, in"], "L_i"),
            Step("FedRCL in its smooth form:", losses["fedrcl"], "L_i"),
            Step("A slope is twice its derivative over the number of such pairs, anchor and key. For InfoNCE's views,"
                 " with y = exp(-2/tau),", claims["nt_xent"]["view"], "w_v"),
        ),
        zeros=zeros,
        formulas={f"{name}: {kind}": value for name, values in claims.items() for kind, value in values.items()},
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """The code for every loss against the claims."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, entry

    tau, q, beta = sp.Rational(3, 10), sp.Rational(3, 5), sp.Rational(7, 10)
    found = {}
    for (name, given), K, H in product(cases().items(), (2, 3), (1, 3)):
        code = partial(line_slopes, **given, classes=K, per_class=2 * H, temperature=0.3)
        claimed = _closed_slopes(sp.Integer(K), sp.Integer(H), tau, sp.exp(-2 / tau), q, beta)[name]
        for place, kind in enumerate(LineSlopes._fields):
            if H > 1 or kind not in ("same", "other"):
                found[f"{name}, K = {K}, m = {2 * H}, {kind}"] = Agreement(entry(code, place), claimed[kind])
    return found


def cases() -> dict[str, dict[str, Any]]:
    """The losses of the claims as arguments of line_slopes, with the numbers of the agreements."""
    return {
        **{name: {"name": name} for name in ("merged", "nt_xent", "supcon", "dcl")},
        "supcon, in": {"name": "supcon", "form": "in"},
        "sscl": {"name": "sscl", "confidence": 0.6},
        "fedrcl": {"name": "fedrcl", "penalty": 0.7},
    }
