"""T4: one step near complete collapse, exactly, for a finite batch: when collapse attracts, when views come apart."""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.effective_rate import critical_rate
from clopsim.bounds.heavy_ball import NEVER, heavy_ball_collapse_rate
from clopsim.bounds.setting import Floats, Setting, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def exact_rate(setting: Setting) -> Floats:
    """The rate mu_c at which the linearised step near complete collapse changes character.

        mu_c = (2 tau / pull) (n - 1) / (n - 2)            (tight; tau (n-1)/(n-2) for the sum with symmetric keys)

    What changes there depends on the loss and the gradient: see collapse_rate and alignment_collapse_rate. Momentum
    beta makes it (1 + beta) times that; for the merged loss with the ambient gradient see heavy_ball_collapse_rate.

    Valid for: n >= 3.
    Source: T4 (ours: the bound of arXiv:2512.07880 made exact for a finite batch).
    """
    n = setting.samples
    if n < 3:
        raise ValueError(f"samples must be >= 3, got {n}; with two embeddings collapse never attracts at any rate")
    if setting.momentum and setting.loss == "merged" and setting.gradient == "ambient":
        return heavy_ball_collapse_rate(setting)
    # T27 in units of pull/tau, exactly: together the points have curvature -n/(n-1) and pull 1, views (n-2)/(n-1) and 0
    rate = cast(Fraction, critical_rate(Fraction(-n, n - 1), pull=Fraction(1), gradient="ambient"))
    ratio = rate / 2
    return (1 + setting.momentum) * 2 * setting.tau / setting.pull * ratio.numerator / ratio.denominator


def collapse_rate(setting: Setting) -> Floats | None:
    """Learning rate above which complete collapse attracts; None where it never does.

    exact_rate for the merged loss with the ambient gradient (tight); never with the tangent gradient, never for the
    full loss, never for n = 2.

    Source: T4 (ours).
    """
    if why_collapse_never_attracts(setting):
        return None
    return exact_rate(setting)


def why_collapse_never_attracts(setting: Setting) -> str:
    """The reason in one clause, empty where collapse attracts above some rate."""
    if setting.loss == "full":
        return "collapse never attracts: views that move together multiply by 1 + (pull mu/tau) n/(n-1) > 1"
    if setting.gradient == "tangent":
        return "collapse never attracts: tangent perturbations multiply by 1 + (pull mu/tau) n/(n-1) > 1"
    if setting.samples < 3:
        return "collapse never attracts with two embeddings"
    if not (1 - setting.momentum) * (setting.samples - 1) - (1 + setting.momentum) > NEVER:
        return "collapse never attracts: with momentum beta it needs n - 1 > (1 + beta)/(1 - beta)"
    return ""


def alignment_collapse_rate(setting: Setting) -> Floats | None:
    """Learning rate above which two views of a sample come apart at complete collapse; None for the merged loss.

    exact_rate for the full loss, either gradient (tight); none for n = 2, where there is one sample and no negative.

    Source: T4 (ours).
    """
    if why_collapse_keeps_alignment(setting):
        return None
    return exact_rate(setting)


def why_collapse_keeps_alignment(setting: Setting) -> str:
    """The reason in one clause why alignment at collapse has no critical rate, empty where it has one."""
    if setting.loss == "merged":
        return "the merged loss has no views"
    if setting.samples < 3:
        return "a single sample has no negatives"
    return ""


def spread_multiplier(rate: Floats, setting: Setting) -> Floats:
    """Factor by which one step multiplies a zero-mean perturbation of complete collapse (views moving together).

        merged, ambient:   (1 + x/(n-1)) / (1 - x)         (tight, first order in the perturbation)
        otherwise:         1 + x n/(n-1)                   with x = pull mu / tau

    Infinite at x = 1 (merged, ambient), where the collapsed point itself is sent to the origin.

    Valid for: n >= 2. Source: T4 (ours).
    rate and the setting's temperatures broadcast.
    """
    without_momentum(setting)
    n = setting.samples
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    if setting.loss == "merged" and setting.gradient == "ambient":
        with np.errstate(divide="ignore"):
            return _plain((1 + x / (n - 1)) / (1 - x))
    return _plain(1 + x * n / (n - 1))


def view_multiplier(rate: Floats, setting: Setting) -> Floats:
    """Factor by which one step multiplies the difference of two views at complete collapse.

        1 - x (n-2)/(n-1),  x = pull mu / tau              (tight, first order in the perturbation)

    Valid for: the full loss, either gradient. Source: T4 (ours).
    """
    if setting.loss != "full":
        raise ValueError(f"loss must be full, got {setting.loss!r}; the merged loss has no views")
    without_momentum(setting)
    n = setting.samples
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    return _plain(1 - x * (n - 2) / (n - 1))


def loss_at_collapse(setting: Setting) -> Floats:
    """Value of the loss when all embeddings are equal: the number that a stuck training run shows.

        full: log(n-1) = log(2N-1);   merged: 1/tau + log(n-1);   times n for the sum       (tight)

    The full value is also taken whenever all cosines are equal (a regular simplex, if n <= d + 1), and random
    embeddings come near it: read it beside the mean cosine, never alone.

    Valid for: every setting. Source: by substitution.
    """
    per_anchor: Floats = math.log(setting.samples - 1) + (
        1 / setting.tau if setting.loss == "merged" else 0 * setting.tau
    )
    return per_anchor * (setting.samples if setting.reduction == "sum" else 1)


def _plain(value: NDArray[np.float64]) -> Floats:
    return float(value) if np.ndim(value) == 0 else value


def _closed_forms(x: "sp.Symbol", n: "sp.Symbol") -> "dict[str, sp.Expr]":
    """What is claimed, by name; x = pull mu/tau."""
    return {
        "merged ambient": (1 + x / (n - 1)) / (1 - x),
        "merged tangent": 1 + x * n / (n - 1),
        "together": 1 + x * n / (n - 1),
        "apart": 1 - x * (n - 2) / (n - 1),
        "critical x": 2 * (n - 1) / (n - 2),
    }


def derive() -> "Derivation":
    """Groups of coinciding points in a plane keep n a symbol: differentiate the loss, step, linearise the angles."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, entry, every_setting, written_out

    n, mu, tau, pull, x = sp.symbols("n mu tau pull x", positive=True)
    eps = sp.symbols("epsilon", real=True)
    claims = _closed_forms(x, n)

    def loss(
        anchors: "list[sp.Matrix]", keys: "list[sp.Matrix]", counts: "list[sp.Expr]", pairs: "list[int]"
    ) -> sp.Expr:
        """counts[i] points share position i; pairs[i] is the position of their other views (none: merged)."""
        total = sp.Integer(0)
        for i, z in enumerate(anchors):
            others = [count - (1 if i == a else 0) for a, count in enumerate(counts)]
            softmax = sum(m * sp.exp(z.dot(k) / tau) for m, k in zip(others, keys, strict=True))
            attraction = z.dot(keys[pairs[i]]) / tau if pairs else 0
            total += counts[i] * (sp.log(softmax) - attraction)
        return total

    def multipliers(
        angles: "list[sp.Expr]", counts: "list[sp.Expr]", pairs: "list[int]", *, form: str, detached: bool
    ) -> "list[sp.Expr]":
        """Angle of each group after one step over its angle before, to first order."""
        groups = range(len(angles))
        A = [sp.Matrix(sp.symbols(f"p{i} q{i}", real=True)) for i in groups]
        C = [sp.Matrix(sp.symbols(f"u{i} v{i}", real=True)) for i in groups]
        value = loss(A, C, counts, pairs)
        place: dict[sp.Symbol, sp.Expr] = {}
        for i in groups:
            for symbols in (A[i], C[i]):
                place |= dict(zip(symbols, (sp.cos(angles[i]), sp.sin(angles[i])), strict=True))
        found = []
        for i in groups:
            if angles[i] == 0:
                continue
            variables = [A[i]] if detached else [A[i], C[i]]
            g = sum((sp.Matrix([value.diff(s) for s in v]) for v in variables), sp.zeros(2, 1)) / counts[i]
            g = g.subs(place)
            z = sp.Matrix([sp.cos(angles[i]), sp.sin(angles[i])])
            if form == "tangent":
                g = g - z.dot(g) * z
            y = z - x * tau / (1 if detached else 2) * g  # mu = x tau/pull
            slope = y[1].diff(eps).subs(eps, 0) / y[0].subs(eps, 0)
            found.append(slope / sp.diff(angles[i], eps))
        return found

    Case = tuple[list[sp.Expr], list[sp.Expr], list[int]]
    two: Case = ([eps, -eps / (n - 1)], [sp.Integer(1), n - 1], [])
    samples = ([eps, -2 * eps / (n - 2)], [sp.Integer(2), n - 2], [0, 1])
    apart = ([eps, -eps, sp.Integer(0)], [sp.Integer(1), sp.Integer(1), n - 2], [1, 0, 2])
    zeros = {}
    for detached in (False, True):
        keys = "detached" if detached else "symmetric"
        for form in ("ambient", "tangent"):
            for name, claim, case in (
                ("merged", f"merged {form}", two), ("together", "together", samples), ("apart", "apart", apart),
            ):  # fmt: skip
                for group, found in enumerate(multipliers(*case, form=form, detached=detached)):
                    zeros[f"{name}, {form}, {keys} keys, group {group + 1}"] = found - claims[claim]
    m = claims["merged ambient"]
    critical = claims["critical x"]
    margin = x * n / (n - 1) * (2 - x * (n - 2) / (n - 1)) / (1 - x) ** 2
    rate = 2 * tau / pull * (n - 1) / (n - 2)
    zeros |= {
        "|m|^2 - 1 changes sign once": m**2 - 1 - margin,
        "m = -1 at the critical rate": m.subs(x, critical) + 1,
        "the views' multiplier is -1 there too": claims["apart"].subs(x, critical) + 1,
        "rate": pull * rate / tau - critical,
    }
    to_rate = {x: pull * mu / tau}
    grouped = loss([sp.Matrix([1, 0])], [sp.Matrix([1, 0])], [n], [])
    zeros["loss at collapse"] = sp.expand_log(grouped, force=True) - n * (1 / tau + sp.log(n - 1))
    paired = loss([sp.Matrix([1, 0])], [sp.Matrix([1, 0])], [n], [0])
    zeros["loss at collapse, full"] = sp.expand_log(paired, force=True) - n * sp.log(n - 1)
    agreements = {}
    for setting in every_setting(0.3, 8, 12):
        share = sp.Rational(1, 12) if setting.reduction == "mean" else sp.Integer(1)
        here = {n: 12, tau: sp.Float("0.3", 30), pull: defined_pull(setting), mu: sp.Float("0.7", 30)}
        full = setting.loss == "full"
        attracts = not full and setting.gradient == "ambient"
        spread = claims["merged ambient" if attracts else "merged tangent"].subs(to_rate)
        numbers: dict[str, tuple[Callable[[], Floats | None], sp.Expr | None]] = {
            "exact_rate": (partial(exact_rate, setting), rate),
            "collapse_rate": (partial(collapse_rate, setting), rate if attracts else None),
            "alignment_collapse_rate": (partial(alignment_collapse_rate, setting), rate if full else None),
            "spread_multiplier": (partial(spread_multiplier, 0.7, setting), spread),
            "loss_at_collapse": (partial(loss_at_collapse, setting), (paired if full else grouped) * share),
        }
        if full:
            numbers["view_multiplier"] = partial(view_multiplier, 0.7, setting), claims["apart"].subs(to_rate)
        for name, (code, derived) in numbers.items():
            point = None if derived is None else derived.subs(here)
            agreements[f"{name}, {written_out(setting)}"] = Agreement(code, point)
    for alone in every_setting(0.3, 8, 2):
        for none in (collapse_rate, alignment_collapse_rate):
            agreements[f"{none.__name__}, {written_out(alone)}, n = 2"] = Agreement(partial(none, alone), None)
    second = {n: 12, tau: sp.Float("0.3", 30), pull: 2, mu: sp.Float("0.7", 30)}
    for multiplier, name, several in (
        (spread_multiplier, "merged ambient", Setting((0.2, 0.3), 8, 12)),
        (view_multiplier, "apart", Setting((0.2, 0.3), 8, 12, loss="full")),
    ):
        agreements[f"{multiplier.__name__}, the second of several temperatures"] = Agreement(
            entry(partial(multiplier, 0.7, several), 1), claims[name].subs(to_rate).subs(second)
        )
    return Derivation(
        theorem="T4",
        statement="Complete collapse of the merged loss under the ambient step attracts iff "
        "mu > (2 tau/pull)(n-1)/(n-2); in the full loss it never does, and the views come apart there.",
        steps=(
            Step("Put one point at angle epsilon and n - 1 at -epsilon/(n-1): every zero-mean perturbation has the"
                 " multiplier of this one, by symmetry. With (p, q) anchors and (u, v) keys the merged loss is",
                 loss([sp.Matrix(sp.symbols("p0 q0")), sp.Matrix(sp.symbols("p1 q1"))],
                      [sp.Matrix(sp.symbols("u0 v0")), sp.Matrix(sp.symbols("u1 v1"))], two[1], []), "L"),
            Step("Its gradient in the anchors, and for symmetric keys in the keys too, gives the step; to first order"
                 " in epsilon the angle of either group is multiplied by, with x = pull mu/tau,", m, "m"),
            Step("With the tangent gradient by", claims["merged tangent"], "m"),
            Step("Full loss, one sample at epsilon, the others at -2 epsilon/(n-2), either form:",
                 claims["together"], "m"),
            Step("Full loss, the views of one sample at +-epsilon, the others at 0, either gradient:",
                 claims["apart"], "m"),
            Step("The merged ambient multiplier has", margin, "|m|^2 - 1"),
            Step("which is negative iff x is above", critical, "x >"),
            Step("so collapse attracts above, and the views come apart above, the rate", rate, "mu_c"),
        ),
        zeros=zeros,
        formulas={
            "merged ambient": m.subs(to_rate),
            "merged tangent": claims["merged tangent"].subs(to_rate),
            "view_multiplier": claims["apart"].subs(to_rate),
            "exact_rate": rate,
        },
        agreements=agreements,
    )  # fmt: skip
