"""T3: how one gradient step moves the mean of the embeddings: an identity, and a bound for every configuration."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import Setting, positive_number, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def paper_range(setting: Setting) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learning rates for which the paper's argument keeps the embeddings from collapsing.

        0 < mu < 2 tau / pull           (pull = 2 for the sum with symmetric keys: 0 < mu < tau, centred at tau/2)

    The range in which |1 - pull mu / tau| < 1, i.e. the mean contracts if P is doubly stochastic.

    Valid for: every setting; derived for the merged loss with the ambient gradient, and heuristic even there: the exact
    rates are in bounds.collapse and bounds.uniform.
    Source: arXiv:2512.07880, learning-rate bound; the factor `pull` (detached keys, mean reduction) is ours.
    """
    without_momentum(setting)
    upper = 2 * np.asarray(setting.tau) / setting.pull
    return np.zeros_like(upper), upper


def mean_after_step(embeddings: NDArray[np.float64], rate: float, setting: Setting) -> NDArray[np.float64]:
    """Mean of the embeddings after one ambient step, before they are renormalised.

        zbar+ = (1 - a) zbar - (mu w / (n tau)) sum_a (c_a - 1) z_a          (tight: an identity)

    with c_a = sum_i P_ia the column sums of the softmax P, w = 1 (sum) or 1/n (mean), and a = pull mu / tau for the
    merged loss, 0 for the full loss (the attraction of the views cancels it).

    Valid for: the ambient gradient, one temperature.
    Source: T3 (ours, from the paper's mean argument in arXiv:2512.07880).

    embeddings: (n, d) unit rows, float64. Returns (d,).
    Errors: ValueError for the tangent gradient, several temperatures, a rate <= 0 or a wrong shape.
    """
    tau = _checked(setting, rate)
    n = setting.samples
    if embeddings.shape != (n, setting.dimension):
        raise ValueError(
            f"embeddings must have shape (samples, dimension) = {(n, setting.dimension)}, got {embeddings.shape}; "
            "make the setting fit them"
        )
    weight = 1 / n if setting.reduction == "mean" else 1.0
    contraction = setting.pull * rate / tau if setting.loss == "merged" else 0.0
    excess = _softmax(embeddings, tau).sum(axis=0) - 1  # c_a - 1, (n,)
    mean: NDArray[np.float64] = embeddings.mean(axis=0)
    return (1 - contraction) * mean - rate * weight / (n * tau) * (excess @ embeddings)


def mean_length_bound(mean_length: float, spread: float, rate: float, *, setting: Setting) -> float:
    """Largest length that the mean can have after one ambient step, before the embeddings are renormalised.

        |zbar+| <= |1 - a| R + (2 mu w / tau) tanh(Delta / (4 tau))            (upper)

    with a and w as in mean_after_step: whatever the logits, sum_a |c_a - 1| <= 2 n tanh(Delta / (4 tau)), and no
    smaller constant does (n -> infinity). With embeddings on a sphere the second term was found attained to 2/3: three
    of them, two at one pole and one at the other, at a high temperature.

    Valid for: the ambient gradient, one temperature, any configuration.
    Source: T3 (ours: the paper's bound made rigorous).

    mean_length: R in [0, 1]; spread: Delta = max - min of the cosines s_ij over i != j, in [0, 2].
    """
    tau = _checked(setting, rate)
    if not 0 <= mean_length <= 1:
        raise ValueError(f"mean_length must be in [0, 1], got {mean_length!r}; it is the mean resultant length")
    if not 0 <= spread <= 2:
        raise ValueError(f"spread must be in [0, 2], got {spread!r}; it is a difference of two cosines")
    weight = 1 / setting.samples if setting.reduction == "mean" else 1.0
    contraction = setting.pull * rate / tau if setting.loss == "merged" else 0.0
    return float(abs(1 - contraction) * mean_length + 2 * rate * weight / tau * np.tanh(spread / (4 * tau)))


def _softmax(embeddings: NDArray[np.float64], tau: float) -> NDArray[np.float64]:
    """P_ia of every anchor over the others, (n, n)."""
    logits = embeddings @ embeddings.T / tau
    np.fill_diagonal(logits, -np.inf)
    softmax: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    return softmax / softmax.sum(axis=1, keepdims=True)


def _checked(setting: Setting, rate: float) -> float:
    positive_number("rate", rate, remedy="it is the learning rate mu")
    without_momentum(setting)
    if setting.gradient != "ambient":
        raise ValueError("gradient must be ambient, got 'tangent'; the mean-shift identity needs the unprojected step")
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    return setting.temperature


def _largest_excess(root: "sp.Symbol") -> "sp.Expr":
    """Claimed largest share that a row gives to some columns beyond their number's share; root = exp(D/2)."""
    return (root - 1) / (root + 1)  # tanh(D/4)


def _closed_forms(
    a: "sp.Symbol", step: "sp.Symbol", n: int, mean: "sp.Expr", excess: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """Claimed mean after a step; a = pull mu/tau, step = mu w/tau, excess = sum_a (c_a - 1) z_a."""
    return {"merged": (1 - a) * mean - step / n * excess, "full": mean - step / n * excess}


def _softmax_by_definition(
    P: "sp.Matrix", points: "list[tuple[sp.Rational, sp.Rational]]", tau: "sp.Rational"
) -> "dict[sp.Expr, sp.Expr]":
    """Values of the symbols in P for points on the circle, 30 digits."""
    import sympy as sp

    n = len(points)
    values: dict[sp.Expr, sp.Expr] = {}
    for i in range(n):
        weights = [sp.exp(sum(x * y for x, y in zip(points[i], other, strict=True)) / tau) for other in points]
        total = sum(weights) - weights[i]
        values |= {P[i, a]: sp.N(weights[a] / total, 30) for a in range(n) if P[i, a].is_Symbol}
    return values


def derive() -> "Derivation":
    """Sum the gradients; the rows of P add up to 1, its columns to c_a."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry, written_out

    n = 4
    mu, tau, weight, pull, D, R = sp.symbols("mu tau w pull D R", positive=True)  # D = Delta/tau
    z = sp.symbols(f"z1:{n + 1}", real=True)  # one coordinate of the embeddings; the identity is linear in it
    P = sp.zeros(n, n)
    for i in range(n):
        others = [a for a in range(n) if a != i]
        for a in others[:-1]:
            P[i, a] = sp.Symbol(f"P{i + 1}{a + 1}", positive=True)
        P[i, others[-1]] = 1 - sum(P[i, a] for a in others[:-1])  # rows sum to 1
    columns = [sum(P[i, a] for i in range(n)) for a in range(n)]
    mean = sum(z) / n
    excess = sum((c - 1) * x for c, x in zip(columns, z, strict=True))
    zeros, agreements = {}, {}
    circle = [(1, 0), (sp.Rational(3, 5), sp.Rational(4, 5)), (sp.Rational(7, 25), sp.Rational(24, 25)), (0, -1)]
    points = np.array(circle, dtype=np.float64)
    for loss in ("merged", "full"):
        for keys, roles in (("symmetric", 2), ("detached", 1)):
            step = mu * weight / tau
            moved = sp.Integer(0)
            for i in range(n):
                g = sum((P[i, a] + (P[a, i] if roles == 2 else 0)) * z[a] for a in range(n))
                g -= roles * z[(i + n // 2) % n] if loss == "full" else 0
                moved += (z[i] - step * g) / n
            zeros[f"{loss}, {keys} keys"] = moved - _closed_forms(roles * step, step, n, mean, excess)[loss]
            for reduction, share in (("sum", sp.Integer(1)), ("mean", sp.Rational(1, n))):
                for cold in (sp.Rational(1, 2), sp.Rational(1, 1000)):
                    tempered = Setting(float(cold), 2, n, loss=loss, keys=keys, reduction=reduction)  # type: ignore[arg-type]
                    values = _softmax_by_definition(P, circle, cold) | {mu: cold / 2, tau: cold, weight: share}
                    for axis in range(2):
                        coordinate = dict(zip(z, (point[axis] for point in circle), strict=True))
                        agreements[f"mean_after_step, {axis}, tau = {cold}, {written_out(tempered)}"] = Agreement(
                            entry(partial(mean_after_step, points, float(cold) / 2, tempered), axis),
                            moved.subs(values | coordinate),
                        )
                setting = Setting(0.5, 2, n, loss=loss, keys=keys, reduction=reduction)  # type: ignore[arg-type]
                contraction = roles * step if loss == "merged" else 0
                at = {mu: sp.Rational(1, 4), tau: sp.Rational(1, 2), weight: share}
                agreements[f"mean_length_bound, {written_out(setting)}"] = Agreement(
                    partial(mean_length_bound, 0.75, 1.25, 0.25, setting=setting),
                    (sp.Abs(1 - contraction) * sp.Rational(3, 4) + 2 * step * sp.tanh(sp.Rational(5, 8))).subs(at),
                )
                agreements[f"paper_range, {written_out(setting)}"] = Agreement(
                    entry(partial(paper_range, setting), 1), 1 / (roles * share)
                )
    a = pull * mu / tau
    zeros["the range ends where |1 - a| = 1"] = (1 - a.subs(mu, 2 * tau / pull)) ** 2 - 1
    share, root, k, size = sp.symbols("h x k n", positive=True)  # h: of the columns in the set; x = exp(D/2)
    given = share * root**2 / (share * root**2 + 1 - share)  # largest sum of a row over the set
    excess_share = _largest_excess(root)
    square = (share * root - (1 - share)) ** 2
    zeros["a row's excess is at most tanh(D/4)"] = sp.together(
        excess_share - (given - share) - excess_share * square / (share * root**2 + 1 - share)
    )
    zeros["it is that at h = 1/(1 + x)"] = (given - share).subs(share, 1 / (1 + root)) - excess_share
    zeros["tanh(D/4) in exponentials"] = sp.expand(
        (excess_share.subs(root, sp.exp(D / 2)) - sp.tanh(D / 4).rewrite(sp.exp)) * (sp.exp(D / 2) + 1)
    )
    zeros["the rows' shares of k columns add up to k"] = k * (k - 1) / (size - 1) + (size - k) * k / (size - 1) - k
    bound = sp.Abs(1 - a) * R + 2 * mu * weight / tau * sp.tanh(D / 4)
    mean_symbol, excess_symbol = sp.symbols("zbar X", real=True)
    shown = _closed_forms(a, mu * weight / tau, sp.Symbol("n"), mean_symbol, excess_symbol)
    return Derivation(
        theorem="T3",
        statement="One ambient step moves the mean by an identity in the column sums c_a of the softmax.",
        steps=(
            Step("Sum the gradients of T0 over the embeddings: rows of P add up to 1, column a to c_a. With"
                 " X = sum_a (c_a - 1) z_a the merged loss moves the mean to (w = 1, or 1/n for the mean reduction)",
                 shown["merged"], "zbar'"),
            Step("and the full loss, whose attraction cancels the contraction, to", shown["full"], "zbar'"),
            Step("For doubly stochastic P, X = 0 and the mean contracts while |1 - a| < 1, mu below",
                 2 * tau / pull, "mu <"),
            Step("For any set of columns: the mean of exp(s_ia/tau) over it is at most exp(D) times the mean over the"
                 " others, D = Delta/tau. With h its share of the row's n - 1 columns and x = exp(D/2) the row gives it"
                 " at most", given, "share <="),
            Step("which exceeds h by tanh(D/4) less a multiple of a square, zero at h = 1/(1 + x)", square, "square"),
            Step("Take the k columns with c_a > 1. The shares h of the rows add up to k, so the sum of c_a - 1 over"
                 " them is at most n tanh(D/4); over the others it is the same with the opposite sign, so"
                 " sum_a |c_a - 1| is at most, and for free logits and large n attained,",
                 2 * size * sp.tanh(D / 4), "sum_a |c_a - 1| <="),
            Step("By the triangle inequality, R the length of the mean, the new length is at most", bound, "R' <="),
        ),
        zeros=zeros,
        formulas={
            "mean_after_step, merged": shown["merged"],
            "mean_after_step, full": shown["full"],
            "mean_length_bound": bound,
            "paper_range": 2 * tau / pull,
        },
        agreements=agreements,
    )  # fmt: skip
