"""T15: the curvature of the loss at every rank-one state +-z*, and which of these states are minima."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import Loss, Reduction, Setting, shown

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

Array = NDArray[np.float64]


def rank_one_hessian(signs: Sequence[float] | Array, setting: Setting) -> Array:
    """Second derivatives of the loss at z_i = sigma_i z*, in the displacements along one direction across z*.

        H = kappa [S - diag_i(sum_a S_ia sigma_i sigma_a)],  S = W + W^T                                       (tight)

    W = P, the softmax, and for the full loss -1 more at the other view; over n for the mean. The d - 1 directions
    across z* have this matrix each and do not mix. A turn of the line, delta_i = sigma_i, has curvature 0.

    Valid for: one temperature. Source: T15 (ours). The keys do not matter: the loss's value does not depend on them.
    signs: n numbers +1 or -1, views as in the simulator: i and i + n/2 belong together. Returns (n, n).
    """
    sigma, tau = _checked(signs, setting)
    n = setting.samples
    E = np.where(np.outer(sigma, sigma) > 0, 1.0, np.exp(-2 / tau))  # over e^(1/tau)
    np.fill_diagonal(E, 0.0)
    W = E / E.sum(axis=1, keepdims=True)
    if setting.loss == "full":
        W -= np.roll(np.eye(n), n // 2, axis=1)
    S = W + W.T
    hessian: Array = (S - np.diag((S * np.outer(sigma, sigma)).sum(axis=1))) / tau
    return hessian / (n if setting.reduction == "mean" else 1)


def lowest_rank_one_curvature(signs: Sequence[float] | Array, setting: Setting) -> float:
    """Lowest second derivative of the loss at z_i = sigma_i z* per unit length, turns of the line aside.

    Negative: a way down, so the state is no minimum. By T15 it is positive at the minima of is_rank_one_minimum only,
    where it is of order e^(-2/tau)/tau: at low temperature rounding hides it.

    Valid for: one temperature. Source: T15 (ours). signs: as rank_one_hessian.
    """
    hessian = rank_one_hessian(signs, setting)
    turn = np.asarray(signs, dtype=np.float64) / np.sqrt(setting.samples)
    above = np.abs(hessian).sum()  # lifts the turn over every other eigenvalue
    return float(np.linalg.eigvalsh(hessian + above * np.outer(turn, turn))[0])


def is_rank_one_minimum(signs: Sequence[float] | Array, setting: Setting) -> bool:
    """Whether the state z_i = sigma_i z* is a local minimum of the loss; it is then the global one.

        full:   only N = 2 with aligned views and the two samples antipodal;   merged: only n = 2, antipodal

    Valid for: one temperature, any; full loss with N >= 2 (one sample alone has a constant loss). Source: T15 (ours).
    signs: as rank_one_hessian.
    """
    sigma, _ = _checked(signs, setting)
    if setting.loss == "merged":
        return setting.samples == 2 and bool(sigma[0] != sigma[1])
    if setting.samples < 4:
        raise ValueError(
            f"samples must be >= 4 for the full loss, got {setting.samples}; one sample's loss is constant"
        )
    return setting.samples == 4 and bool(sigma[0] == sigma[2] != sigma[1] == sigma[3])


def _checked(signs: Sequence[float] | Array, setting: Setting) -> tuple[Array, float]:
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    sigma = np.asarray(signs, dtype=np.float64)
    if sigma.shape != (setting.samples,) or not np.all(np.abs(sigma) == 1):
        raise ValueError(
            f"signs must be {setting.samples} numbers +1 or -1, got {shown(signs)}; give one for each embedding"
        )
    return sigma, setting.temperature


def _closed_forms(a: "sp.Symbol", b: "sp.Symbol", q: "sp.Symbol") -> "dict[str, sp.Expr]":
    """Curvature tau c of a spread on the side of a embeddings, b opposite; h > 0 where it is negative."""
    near, far = (a - 1) + b * q, (b - 1) + a * q  # softmax sums of the two sides over e^(1/tau)
    return {
        "side": -2 * a / near + b * (q / near + q / far),
        "h": 2 * a * (b - 1) + q * (2 * a**2 - b**2 + 2 * b - a * b) - q**2 * b * (a + b),
    }


def _hessian(sigma: "tuple[int, ...]", q: "sp.Symbol", *, full: bool) -> "sp.Matrix":
    """Claimed tau H of rank_one_hessian, symbolically."""
    import sympy as sp

    n = len(sigma)
    E = sp.Matrix(n, n, lambda i, j: 0 if i == j else 1 if sigma[i] == sigma[j] else q)
    W = sp.Matrix(n, n, lambda i, j: E[i, j] / sum(E[i, :]) - (1 if full and abs(i - j) == n // 2 else 0))
    S = W + W.T
    return S - sp.diag(*(sum(S[i, j] * sigma[i] * sigma[j] for j in range(n)) for i in range(n)))


def derive() -> "Derivation":
    """The second derivative for all patterns of four embeddings; sides of any size; two samples."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    a, b, q = sp.symbols("a b q", positive=True)
    t = sp.symbols("t", real=True)
    claims = _closed_forms(a, b, q)
    zeros = {}
    shift = sp.symbols("delta1:5", real=True)
    patterns = [(1, 1, 1, 1), (1, 1, 1, -1), (1, 1, -1, -1), (1, -1, 1, -1)]  # all, up to exchanges
    for full in (True, False):
        for sigma in patterns[: 4 if full else 3]:
            total = sp.Integer(0)
            for i in range(4):
                gaps = {j: sigma[i] * sigma[j] * sp.cos(t * (shift[i] * sigma[i] - shift[j] * sigma[j]))
                        for j in range(4) if j != i}  # fmt: skip
                total += sp.log(sum(q ** ((1 - s) / 2) for s in gaps.values()))  # q = exp(-2/tau)
                total -= gaps[(i + 2) % 4] * (-sp.log(q) / 2) if full else 0
            found = total.diff(t, 2).subs(t, 0) / (-sp.log(q) / 2)
            row = sp.Matrix(shift).T
            claim = (row * _hessian(sigma, q, full=full) * row.T)[0]
            signs = "".join("+" if s > 0 else "-" for s in sigma)
            zeros[f"{'full' if full else 'merged'}, {signs}"] = found - claim

    # spreads of zero sum on a side of a: pairs on the side, pairs across, both anchors
    near, far = (a - 1) + b * q, (b - 1) + a * q
    P_AA, P_AB, P_BA = 1 / near, q / near, q / far
    zeros["side"] = (-2 - 2 * (a - 1)) * P_AA + b * (P_AB + P_BA) - claims["side"]
    zeros["sign of the side's curvature"] = claims["side"] * near * far + claims["h"]
    h = claims["h"]
    zeros["h at 0"] = h.subs(q, 0) - 2 * a * (b - 1)
    zeros["h at 1"] = h.subs(q, 1) - 2 * (a - b) * (a + b - 1)
    zeros["h is concave"] = h.diff(q, 2) + 2 * b * (a + b)
    # an example with both kinds of partner: three at +, one at -
    three = _hessian((1, 1, 1, -1), q, full=True)
    way = sp.Matrix([1, -2, 1, 0])  # views 1 and 3 alike, view 2, whose partner is opposite
    zeros["attraction adds -2 for a partner opposite"] = (way.T * three * way)[0] - (
        6 * claims["side"].subs({a: 3, b: 1}) - 2 * way[1] ** 2
    )
    # two samples: the minimum
    best = _hessian((1, -1, 1, -1), q, full=True)
    lam = sp.symbols("lambda")
    x, y = sp.symbols("x y", positive=True)  # |z + z'|/2 of the two samples
    apart = 12 * q / (1 + 2 * q)
    spread = 8 * q / (1 + 2 * q)
    zeros["two samples: curvatures"] = best.charpoly(lam).as_expr() - lam * (lam - spread) * (lam - apart) ** 2
    zeros["two samples: mean of c - s"] = (-x * y - x**2 - y**2 + 1 + 2) - ((1 - x * y) + (1 - x**2) + (1 - y**2))
    agreements = {}
    at = {q: sp.exp(-2 / sp.Float("0.7", 30))}
    for loss, reduction in product(get_args(Loss), get_args(Reduction)):
        setting = Setting(0.7, 3, 4, loss=loss, reduction=reduction)
        share = sp.Rational(1, 4) if reduction == "mean" else sp.Integer(1)
        for sigma in patterns:
            matrix = _hessian(sigma, q, full=loss == "full").subs(at) / sp.Float("0.7", 30) * share
            where = f"{loss}, {reduction}, {sigma}"
            for i, j in ((0, 0), (0, 1), (0, 2), (3, 3)):
                code = partial(lambda i, j, *a: 1 + rank_one_hessian(*a)[i, j], i, j, sigma, setting)
                agreements[f"1 + rank_one_hessian {i}{j}, {where}"] = Agreement(code, 1 + matrix[i, j])
            values = np.linalg.eigvalsh(np.array(matrix, dtype=np.float64))
            lowest = np.delete(values, np.abs(values).argmin())[0]  # the turn aside
            code = partial(lowest_rank_one_curvature, sigma, setting)
            agreements[f"lowest_rank_one_curvature, {where}"] = Agreement(code, lowest, 1e-10)
            minimum = partial(lambda *a: float(is_rank_one_minimum(*a)), sigma, setting)
            agreements[f"is_rank_one_minimum, {where}"] = Agreement(minimum, float(lowest > 0))
    return Derivation(
        theorem="T15",
        statement="No rank-one state +-z* is a local minimum of InfoNCE for N >= 3 samples, whatever its signs; for"
        " N = 2 one is, the global minimum: aligned views, antipodal samples. Merged loss: n = 2, antipodal, only.",
        steps=(
            Step("On great circles s_ij'' = 2 delta_i delta_j - (delta_i^2 + delta_j^2) s_ij and s_ij' = 0 on a line,"
                 " so tau times the second derivative is delta^T H delta with W = P less the pairing, S = W + W^T, H ="
                 " S - diag(S sigma sigma^T). For all patterns of four, e.g. + + + - with q = exp(-2/tau),",
                 three, "H"),
            Step("a embeddings at z*, b at -z*, a >= b. A spread of zero sum on the side of a has per unit length,"
                 " times tau, the repulsion's curvature", claims["side"], "tau curvature"),
            Step("The attraction adds 0 where both views are on the side and move alike, -2 delta_i^2 where the partner"
                 " is opposite. The sign of the repulsion's is that of -h,", h, "h"),
            Step("h is concave in q and >= 0 at both ends of (0, 1) if b >= 1: h(0) = 2a(b-1),",
                 2 * (a - b) * (a + b - 1), "h(1)"),
            Step("so h > 0 between, and b = 0 is T2. The spread exists iff the side holds embeddings of two samples: a"
                 " >= N >= 3 sees to that, and for N = 2 only the state with aligned views and antipodal samples is"
                 " left. For the merged loss a >= 2 is enough, n >= 3"),
            Step("That state, N = 2: curvatures 0 (a turn), twice", apart, "tau curvature"),
            Step("(views apart), and", spread, "tau curvature"),
            Step("It is the global minimum: an anchor's loss is convex in its c - s, so L >= 4 log(1 + 2 exp(mean/tau))"
                 " with the mean of the eight c - s of T11, which is at least, x = |z + z'|/2 of one sample, y of the"
                 " other, and that >= -2, its value there", -x * y - x**2 - y**2 + 1, "mean >="),
        ),
        zeros=zeros,
        formulas={"side": claims["side"], "two samples, apart": apart, "two samples, spread": spread},
        agreements=agreements,
    )  # fmt: skip
