"""T28: complete collapse of any loss of cosines: every curvature from the matrix of its slopes, or of its positives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clopsim.bounds.setting import Gradient, check_temperature, one_of, shown, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

Array = NDArray[np.float64]

ROUNDING = 1e-12
"""Share of the largest curvature below which one is 0: rounding of eigenvalues of a few hundred embeddings."""


@dataclass(frozen=True)
class CollapseSpectrum:
    """Every curvature of a loss where all embeddings are equal, turns of the whole state left out."""

    curvatures: Array  # (n - 1,), rising; each of them dimension - 1 times
    pulls: Array  # (n,), a_i, the radial part of the gradient
    flips: Array  # (n,), rising eigenvalues e of H + 2 diag(a): an ambient multiplier is -1 at mu = 2/e
    dimension: int  # d

    @property
    def ways_out(self) -> int:
        """Number of independent directions in which the loss falls."""
        return int((self.curvatures < 0).sum()) * (self.dimension - 1)

    @property
    def pull(self) -> float | None:
        """The pull, where it is the same for every embedding: then effective_rate has every rate. None where not."""
        low, high = float(self.pulls.min()), float(self.pulls.max())
        return low if high - low <= ROUNDING * float(np.abs(self.flips).max()) else None

    def lost_rate(self, gradient: Gradient) -> float | None:
        """Learning rate above which a direction in which the loss rises is lost; None where none ever is.

        tangent: 2/max c,     ambient: 2/max e, where it lies below the pole 1/max a                      (tight)
        """
        one_of("gradient", gradient, get_args(Gradient))
        largest = float(self.curvatures[-1] if gradient == "tangent" else self.flips[-1])
        pole = 2 * float(self.pulls.max()) if gradient == "ambient" else 0.0
        return 2 / largest if largest > max(pole, 0.0) and self.curvatures[-1] > 0 else None


def collapse_spectrum(slopes: ArrayLike, *, dimension: int) -> CollapseSpectrum:
    """Complete collapse of a loss with the slopes Gamma_ij = dL/d(z_i . z_j) there, over ordered pairs.

        M = Gamma + Gamma^T,   a_i = sum_j M_ij,   H = M - diag(a),   ambient multipliers: those of
        (I - mu diag(a))^-1 (I - mu M), which are -1 where mu = 2/e, e an eigenvalue of H + 2 diag(a)         (tight)

    The cosines change at second order only, so the slopes decide alone, whatever the loss. H has every eigenvalue d - 1
    times; that of the constant vector is 0, a turn. With one pull these are the rates of T27.

    The diagonal, 0 for most, is for a loss whose formula has |z_i|^2, as one of class means: it changes the pulls, and
    so the ambient rates, and nothing else.

    Valid for: any loss that is differentiable in the cosines. Source: T28 (ours).

    slopes: (n, n) float64, n >= 2; contrastive_slopes has those of InfoNCE and its kin. dimension: d.
    Errors: ValueError for another shape or a number that is not finite.
    """
    d = whole_number("dimension", dimension, low=2)
    gamma = _square("slopes", slopes)
    M = gamma + gamma.T
    pulls = M.sum(axis=1)
    hessian = M - np.diag(pulls)
    basis = np.linalg.svd(np.ones((1, len(M))))[2][1:]  # of zero sum
    curvatures = _eigenvalues(basis @ hessian @ basis.T)
    for values in (curvatures, pulls):
        values[np.abs(values) <= ROUNDING * np.abs(M).sum(axis=1).max()] = 0.0
    return CollapseSpectrum(curvatures, pulls, _eigenvalues(M + np.diag(pulls)), d)


def contrastive_slopes(positives: ArrayLike, *, temperature: float, seen: ArrayLike | None = None) -> Array:
    """Slopes at complete collapse of  L = sum_i [ -sum_p W_ip s_ip/tau + log sum_(a in D(i)) e^(s_ia/tau) ].

        Gamma_ij = (1/tau) [1_(j in D(i))/|D(i)| - W_ij]                                                     (tight)

    With D(i) all others, W symmetric and rows that sum to 1 the pull is 0 and every eigenvalue w of W but that of the
    constant vector gives c = -(2/tau)(w + 1/(n-1)): lost above tau/(-w - 1/(n-1)) where w < -1/(n-1), a way out where
    it is larger. Rows that sum to 0: the merged loss.

    Source: T28 (ours). positives: (n, n), W, >= 0; seen: (n, n) of 0 and 1, D(i), by default all others.
    Errors: ValueError for another shape, a negative weight, an anchor that sees nobody.
    """
    check_temperature(temperature)
    W = _square("positives", positives)
    np.fill_diagonal(W, 0.0)
    if W.min() < 0:
        raise ValueError(f"positives must be >= 0, got {W.min():g}; it is a weight of attraction")
    D = np.ones_like(W) if seen is None else (_square("seen", seen) != 0).astype(np.float64)
    if D.shape != W.shape:
        raise ValueError(f"seen must have the shape of positives, got {D.shape} and {W.shape}; both are (n, n)")
    np.fill_diagonal(D, 0.0)
    counts = D.sum(axis=1, keepdims=True)
    if not counts.all():
        raise ValueError("seen must have a pair in every row, got an anchor that sees nobody; give each some key")
    slopes: Array = (D / counts - W) / temperature
    return slopes


def positive_weights(
    samples: ArrayLike, *, labels: ArrayLike | None = None, confidence: ArrayLike | None = None
) -> Array:
    """The matrix of positives W of InfoNCE, SupCon, and SupCon with confidences, rows scaled to sum 1.

        W_ij before scaling: 1 for another view of a sample, confidence_i confidence_j for others of the class, else 0

    Unequal confidences make W asymmetric, and the pulls unequal.

    samples: (n,) whole numbers, which sample each embedding is a view of; labels: (n,) whole numbers, its class, below
    0 for none, or left out: InfoNCE; confidence: (n,) in [0, 1], by default 1: SupCon.
    Errors: ValueError for other shapes, and for an embedding without a positive. Source: T28 (ours).
    """
    ids = np.asarray(samples)
    if ids.ndim != 1 or len(ids) < 2:
        raise ValueError(f"samples must be a row of two or more numbers, got shape {ids.shape}; one for each embedding")
    classes = np.full(len(ids), -1) if labels is None else np.asarray(labels)
    q = np.ones(len(ids)) if confidence is None else np.asarray(confidence, dtype=np.float64)
    for name, row in (("labels", classes), ("confidence", q)):
        if row.shape != ids.shape:
            raise ValueError(f"{name} must have one entry for each embedding, got shape {row.shape}; give {len(ids)}")
    if not (np.all(q >= 0) and np.all(q <= 1)):
        raise ValueError(f"confidence must be in [0, 1], got {shown(confidence)}; it is a probability")
    mates = (classes[:, None] == classes) & (classes >= 0)
    W = np.where(ids[:, None] == ids, 1.0, np.where(mates, q[:, None] * q, 0.0))
    np.fill_diagonal(W, 0.0)
    rows = W.sum(axis=1, keepdims=True)
    if not rows.all():
        lonely = int(np.argmin(rows))
        raise ValueError(f"samples must give every embedding a positive, got none for number {lonely}; give two views")
    return W / rows


def _eigenvalues(matrix: Array) -> Array:
    return np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64)


def _square(name: str, value: ArrayLike) -> Array:
    matrix = np.array(value, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"{name} must be (n, n) with n >= 2, got shape {matrix.shape}; one row for each embedding")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite, got nan or inf; every entry is a weight or a slope")
    return matrix


def _closed_forms(
    n: "sp.Expr", m: "sp.Expr", tau: "sp.Expr", q: "sp.Expr", beta: "sp.Expr"
) -> "dict[str, dict[str, sp.Expr]]":
    """What is claimed of the zoo at complete collapse: classes against each other, and moves inside them."""
    T, R, contrast = 2 / tau, 1 + (m - 2) * q**2, -2 / tau * n / (n - 1)
    return {
        "merged": {"classes": contrast, "spread": contrast},
        "nt_xent": {"classes": contrast, "together": contrast, "apart": T * (n - 2) / (n - 1)},
        "supcon": {"classes": contrast, "spread": T * (n - m) / ((n - 1) * (m - 1))},
        "dcl": {"classes": -T * n / (n - 2), "together": -T * n / (n - 2), "apart": T},
        "sscl": {
            "classes": contrast,
            "together": -T * ((1 - 2 * q**2) / R + 1 / (n - 1)),
            "apart": T * (1 / R - 1 / (n - 1)),
        },
        "fedrcl": {
            "classes": -T * n / (n - m + 1),
            "spread": T * ((n - m) / ((m - 1) * (n - m + 1)) - beta),
        },
        "blcl": {"classes": -T, "spread": 0 * T},
    }


def derive() -> "Derivation":
    """A generic loss of cosines to second order, then the moves of every loss of the zoo with n and m as symbols."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    n, m, tau, beta, mu, w = sp.symbols("n m tau beta mu omega", positive=True)
    q, t = sp.symbols("q t", real=True)
    claims = _closed_forms(n, m, tau, q, beta)
    R, Q, K = 1 + (m - 2) * q**2, (n - m) / (n - m + 1), n / m
    # any loss, four embeddings: the slopes alone decide
    gamma = sp.Matrix(4, 4, lambda i, j: sp.Symbol(f"Gamma_{i}{j}"))
    M = gamma + gamma.T
    pulls = [sum(M.row(i)) for i in range(4)]
    H = M - sp.diag(*pulls)
    a, stretch = sp.Matrix(sp.symbols("a1:5", real=True)), sp.symbols("e1:5", real=True)
    bent = sum(gamma[i, j] * sp.cos(t * (a[i] - a[j])) for i in range(4) for j in range(4))
    stretched = sum(gamma[i, j] * (1 + stretch[i]) * (1 + stretch[j]) for i in range(4) for j in range(4))
    two, D = M[:2, :2], sp.diag(*(1 - mu * pull for pull in pulls[:2]))
    zeros = {
        "any loss: the Hessian": sp.expand(bent.diff(t, 2).subs(t, 0) - (a.T * H * a)[0]),
        "any loss: the pull": sp.expand(stretched.diff(stretch[0]).subs(dict.fromkeys(stretch, 0)) - pulls[0]),
        "any loss: minus the sum of M (a_i - a_j)^2": sp.expand(
            (a.T * H * a)[0] + sum(M[i, j] * (a[i] - a[j]) ** 2 for i in range(4) for j in range(i))
        ),
        "ambient: -1 where mu = 2/e": sp.expand(
            (sp.eye(2) - mu * two + D).det() - (2 * sp.eye(2) - mu * (two + sp.diag(*pulls[:2]))).det()
        ),
        "positives: an eigenvalue": (2 / tau) * (1 - w) - (2 / tau) * n / (n - 1) + (2 / tau) * (w + 1 / (n - 1)),
    }
    one, sees_all = sp.Integer(1), 1 / (n - 1)
    slopes = {  # tau Gamma of the other view, of another of the class, of one of another class
        "merged": (sees_all, sees_all, sees_all),
        "nt_xent": (sees_all - 1, sees_all, sees_all),
        "supcon": (sees_all - 1 / (m - 1), sees_all - 1 / (m - 1), sees_all),
        "dcl": (-one, 1 / (n - 2), 1 / (n - 2)),
        "sscl": (sees_all - 1 / R, sees_all - q**2 / R, sees_all),
        "fedrcl": (beta / m - Q / (m - 1), beta / m - Q / (m - 1), Q / (n - m)),
        "blcl": ((1 / K - 1) / m, (1 / K - 1) / m, 1 / (K * m)),
    }
    moves = {  # (pairs with the other view, in the class, between classes) times (a_i - a_j)^2, and the squared length
        "classes": (0, 0, 4 * m**2 + 2 * m * (n - 2 * m), 2 * m),
        "spread": (0, 4 + 2 * (m - 2), 2 * (n - m), 2),
        "together": (0, 16 + 4 * (m - 4), 4 * (n - m), 4),
        "apart": (4, 2 * (m - 2), 2 * (n - m), 2),
    }
    for name, claimed in claims.items():
        for move, claim in claimed.items():
            *pairs, square = moves[move]
            found = -sum(2 * slope / tau * pair for slope, pair in zip(slopes[name], pairs, strict=True)) / square
            zeros[f"{name}, {move}"] = sp.cancel(found - claim)
    bound = sp.sqrt(n / (2 * n - m))
    zeros["sscl: the confidence that binds"] = sp.simplify(claims["sscl"]["together"].subs(q, bound))
    zeros["fedrcl: the penalty that expels"] = sp.cancel(
        claims["fedrcl"]["spread"].subs(beta, (n - m) / ((m - 1) * (n - m + 1)))
    )
    return Derivation(
        theorem="T28",
        statement="At complete collapse the Hessian of any loss of cosines is M - diag(M 1), M = Gamma + Gamma^T its"
        " slopes; with positives W it is -(2/tau)(omega + 1/(n-1)) on every eigenvector of W.",
        steps=(
            Step("All cosines are 1 and change at second order only, so the slopes Gamma = dL/ds decide. With"
                 " tangent moves a_i the second derivative is a^T H a,", H, "H"),
            Step("The pull on an embedding is the sum of its row of M. An ambient step is (I - mu diag(a))^-1 (I - mu"
                 " M), which has the eigenvalue -1 where 2/mu is an eigenvalue of M + diag(a) = H + 2 diag(a)"),
            Step("For positives W, symmetric with rows that sum to 1, and a softmax over all others, the pull is 0 and"
                 " an eigenvalue omega of W gives", -(2 / tau) * (w + 1 / (n - 1)), "curvature"),
            Step("Every connected component of W gives omega = 1: there are at least so many ways out, less one, times"
                 " d - 1. Classes against each other:", claims["supcon"]["classes"], "curvature"),
            Step("inside a class of SupCon:", claims["supcon"]["spread"], "curvature"),
            Step("with class-mates of confidence q, samples of a class:", claims["sscl"]["together"], "curvature"),
            Step("which binds above the confidence", bound, "q >"),
            Step("DCL, views apart:", claims["dcl"]["apart"], "curvature"),
            Step("FedRCL inside a class:", claims["fedrcl"]["spread"], "curvature"),
            Step("BLCL: the norm of a class mean has no slope where all are equal; inside a class nothing acts"),
        ),
        zeros=zeros,
        formulas={f"{name}, {move}": claim for name, claimed in claims.items() for move, claim in claimed.items()},
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """The code on n = 12 embeddings in three classes of four, against the claims; then three with own pulls."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, entry

    def of(slopes: "Callable[[], Array]", field: str) -> "Callable[[], Any]":
        return lambda: getattr(collapse_spectrum(slopes(), dimension=5), field)

    def lost(slopes: "Callable[[], Array]", gradient: Gradient) -> "Callable[[], float | None]":
        return lambda: collapse_spectrum(slopes(), dimension=5).lost_rate(gradient)

    def contrastive(positives: "Callable[[], Array]", seen: "Array | None" = None) -> "Callable[[], Array]":
        return lambda: contrastive_slopes(positives(), temperature=0.3, seen=seen)

    tau, q = sp.Rational(3, 10), sp.Rational(3, 5)
    claims = _closed_forms(sp.Integer(12), sp.Integer(4), tau, q, sp.Integer(1))
    samples, labels = np.arange(12) // 2, np.arange(12) // 4
    views, mates = samples[:, None] == samples, labels[:, None] == labels
    slopes = {
        "merged": contrastive(lambda: np.zeros((12, 12))),
        "nt_xent": contrastive(lambda: positive_weights(samples)),
        "supcon": contrastive(lambda: positive_weights(samples, labels=labels)),
        "sscl": contrastive(lambda: positive_weights(samples, labels=labels, confidence=np.full(12, 0.6))),
        "dcl": contrastive(lambda: positive_weights(samples), ~views),
        "fedrcl": lambda: np.where(mates, 1 / 4 - 8 / 27, 1 / 9) * (1 - np.eye(12)) / 0.3,
        "blcl": lambda: np.where(mates, -2 / 3, 1 / 3) / (4 * 0.3),
    }
    counts = {"classes": 2, "together": 3, "apart": 6, "spread": 9}
    pulls = {"merged": 2 / tau, "fedrcl": sp.Rational(3, 2) / tau}
    found = {}
    for name, make in slopes.items():
        values = sorted(value for move, value in claims[name].items() for _ in range(counts[move]))
        pull = pulls.get(name, sp.Integer(0))
        ways = 4 * len([value for value in values if value < 0])
        rate = 2 / values[-1] if values[-1] > 0 else None
        for place, value in enumerate(values):
            found[f"curvatures, {name}, {place + 1}"] = Agreement(entry(of(make, "curvatures"), place), value)
        found[f"ways_out, {name}"] = Agreement(of(make, "ways_out"), sp.Integer(ways))
        found[f"pull, {name}"] = Agreement(of(make, "pull"), pull)
        for form in get_args(Gradient):
            found[f"lost_rate, {name}, {form}"] = Agreement(lost(make, form), rate)
    # unequal pulls: a rising direction, lost below the pole, and one that is not; and one just below its pole
    small, half = sp.Rational(-1, 100), sp.Rational(1, 2)
    for name, rows in (
        ("unequal", ((0, -3, 1), (0, 0, -2), (0, 0, 0))),
        ("pole", ((0, 4, 5), (0, 0, -1), (0, 0, 0))),
        ("near the pole", ((half, small, 0), (0, half, 2 * small), (0, 0, half))),
    ):
        M = sp.Matrix(rows) + sp.Matrix(rows).T
        own = M * sp.ones(3, 1)
        z = sp.Symbol("z")
        e, c = (sp.Poly((M + sign * sp.diag(*own)).charpoly(z).as_expr(), z).nroots(n=30) for sign in (1, -1))
        make = partial(np.array, rows, dtype=np.float64)
        found[f"lost_rate, {name}, tangent"] = Agreement(lost(make, "tangent"), 2 / max(c) if max(c) > 1e-9 else None)
        below = max(e) > max(0, 2 * max(own)) and max(c) > 1e-9
        found[f"lost_rate, {name}, ambient"] = Agreement(lost(make, "ambient"), 2 / max(e) if below else None)
        found[f"pull, {name}"] = Agreement(of(make, "pull"), own[0] if len(set(own)) == 1 else None)
        for place in range(3):
            found[f"flips, {name}, {place + 1}"] = Agreement(entry(of(make, "flips"), place), sorted(e)[place])
    return found
