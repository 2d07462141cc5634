"""T11: above 1/rho an ambient step with renormalisation is gradient ascent; collapse at a large rate maximises."""

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.collapse import loss_at_collapse
from clopsim.bounds.setting import Floats, Setting, positive_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

Array = NDArray[np.float64]


def ascent_rates(embeddings: Array, gradients: Array, rate: float) -> Array:
    """Rates at which one ambient step with renormalisation ascends its gradient, one for each embedding.

        z_i+ = -N(z_i + eta_i t_i),   eta_i = mu / (mu rho_i - 1),   rho_i = z_i . g_i            (tight: an identity)

    t_i = g_i - rho_i z_i is the tangent gradient, N(u) = u/|u|. The minus is common to all embeddings and no cosine
    sees it. A negative eta_i is descent, at the rate |eta_i|, and has no minus; infinite at mu rho_i = 1.

    Valid for: every loss, every configuration; the step is mirrored as a whole where all eta_i > 0. Source: T11 (ours).

    embeddings: (..., n, d) unit rows; gradients: (..., n, d) Euclidean gradients g of any loss there. Returns (..., n).
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    if np.shape(embeddings) != np.shape(gradients):
        raise ValueError(
            f"gradients must have the shape of the embeddings, {np.shape(embeddings)}, got {np.shape(gradients)}; "
            "give one row for each embedding"
        )
    rho = np.einsum("...i,...i", embeddings, gradients)  # i: the d coordinates
    with np.errstate(divide="ignore"):
        rates: Array = rate / (rate * rho - 1)
    return rates


def largest_loss(setting: Setting) -> Floats:
    """The largest value that the loss can take, which is what a run at a large ambient rate climbs to.

        merged: n (1/tau + log(n - 1)), at complete collapse only
        full:   n log(1 + (N - 1)(1 + e^(2/tau))), N = n/2, on the antipodal line only (N >= 2)       (tight)

    over n for the mean reduction. Antipodal line: all first views at z*, all second views at -z*.

    Valid for: every setting. Source: T11 (ours).
    """
    if setting.loss == "merged":
        return loss_at_collapse(setting)
    n, tau = setting.samples, np.asarray(setting.tau)
    with np.errstate(divide="ignore"):  # N = 1: the loss is 0 everywhere
        per_anchor = 2 / tau + np.logaddexp(np.log(n / 2 - 1), np.log(n / 2) - 2 / tau)
    value = per_anchor * (n if setting.reduction == "sum" else 1)
    return float(value) if value.ndim == 0 else value


EDGES = ((0, 2), (0, 3), (1, 2), (1, 3))
"""Pairs of one view of sample k (0, 1) and one of sample l (2, 3)."""


def _uncertified() -> "sp.Integer":
    """Sets of the eight c - s of two samples whose sum is not shown to be at most 8 on unit vectors.

    The sum is a quadratic form A in the four views. diag(y) - A >= 0 with y_1 + .. + y_4 = 8 shows it; y is what
    optimality at x = (1, -1, s, -s) demands, the slack spread evenly. Exact: all numbers are rational.
    """
    import sympy as sp

    missing = 0
    for chosen in product((0, 1), repeat=8):
        A = sp.zeros(4, 4)
        for term, taken in enumerate(chosen):
            for (i, j), sign in ((EDGES[term % 4], 1), (((0, 1), (2, 3))[term // 4], -1)):
                A[i, j] += sp.Rational(sign * taken, 2)
                A[j, i] = A[i, j]
        for s in (1, -1):
            x = sp.Matrix([1, -1, s, -s])
            value = (x.T * A * x)[0]
            shares = [x[i] * (A * x)[i] + (8 - value) / sp.Integer(4) for i in range(4)]
            coefficients = (sp.diag(*shares) - A).charpoly().all_coeffs()
            if all((-1) ** k * c >= 0 for k, c in enumerate(coefficients)):  # all roots real: none is negative
                break
        else:
            missing += 1
    return sp.Integer(missing)


def _closed_forms(
    mu: "sp.Symbol", rho: "sp.Expr", n: "sp.Expr", tau: "sp.Symbol", v: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name; v = 2/tau, the largest (c - s)/tau."""
    import sympy as sp

    return {
        "ascent_rates": mu / (mu * rho - 1),
        "merged": n * (1 / tau + sp.log(n - 1)),
        "full": n * sp.log(1 + (n / 2 - 1) * (1 + sp.exp(v))),
    }


def derive() -> "Derivation":
    """The step split along z; the maxima: term by term for the merged loss, two samples at a time for the full."""
    import sympy as sp

    from clopsim.bounds.collapse import _closed_forms as collapse
    from clopsim.bounds.curvature import _closed_forms as curvature
    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry, every_setting, written_out
    from clopsim.bounds.gradients import _closed_form as gradient

    mu, rho, tau, n, N, x = sp.symbols("mu rho tau n N x", positive=True)
    z, g = (sp.Matrix(sp.symbols(f"{name}1:4", real=True)) for name in "zg")
    claims = _closed_forms(mu, rho, n, tau, 2 / tau)
    eta = claims["ascent_rates"]
    tangent = g - rho * z
    zeros = {f"step, axis {k + 1}": z[k] - mu * g[k] + (mu * rho - 1) * (z + eta * tangent)[k] for k in range(3)}

    # rho of the two losses, from the gradient of T0
    E = sp.Matrix(4, 4, lambda i, a: sp.Symbol(f"E{min(i, a)}{max(i, a)}", positive=True))
    points = sp.Matrix(4, 2, sp.symbols("x1:5_1:3", real=True))
    P = sp.Matrix(4, 4, lambda i, a: 0 if i == a else E[i, a] / sum(E[i, b] for b in range(4) if b != i))
    cosines = points * points.T
    radial = sum((P[0, a] + P[a, 0]) * cosines[0, a] for a in range(4)) / tau
    for full in (False, True):
        found = points.row(0).dot(gradient(points, E, tau, full=full, detached=False).row(0))
        zeros[f"rho, {'full' if full else 'merged'}"] = found - radial + (2 / tau * cosines[0, 2] if full else 0)

    # the maxima
    line = sp.exp(1 / tau) * ((N - 1) * sp.exp(1 / tau) + N * sp.exp(-1 / tau))  # softmax sum over e^(s/tau), s = -1
    zeros["merged, every cosine 1"] = n * sp.log((n - 1) * sp.exp(1 / tau)).expand(force=True) - claims["merged"]
    zeros["full, on the line"] = sp.simplify(2 * N * sp.log(sp.expand(line))) - sp.expand_log(
        claims["full"].subs(n, 2 * N)
    ).replace(sp.log, lambda value: sp.log(sp.expand(value)))
    zeros["sets of the eight terms without a certificate"] = _uncertified()

    # what it explains: ascent at the rate eta on T2's curvature is T4
    at_collapse = eta.subs(rho, 2 / tau).subs(mu, x * tau / 2)
    multiplier = 1 + at_collapse * curvature(n, tau)["together"]
    zeros["T4 is ascent on T2's curvature"] = multiplier - collapse(x, n)["merged ambient"]
    zeros["rate of collapse at mu = infinity"] = sp.limit(multiplier, x, sp.oo) + 1 / (n - 1)
    agreements: dict[str, Agreement] = {}
    for setting in every_setting(0.3, 8, 12):
        share = sp.Rational(1, 12) if setting.reduction == "mean" else sp.Integer(1)
        value = claims[setting.loss].subs({n: 12, tau: sp.Float("0.3", 30)}) * share
        agreements[f"largest_loss, {written_out(setting)}"] = Agreement(partial(largest_loss, setting), value)
    several = Setting((0.2, 0.3), 8, 12, loss="full")
    agreements["largest_loss, full, the second of several temperatures"] = Agreement(
        entry(partial(largest_loss, several), 1), claims["full"].subs({n: 12, tau: sp.Float("0.3", 30)})
    )
    alone = Setting(0.3, 8, 2, loss="full")
    agreements["largest_loss, one sample"] = Agreement(partial(largest_loss, alone), 0)
    for force in (2, 5):  # descends, climbs
        z = np.array([0.6, 0.8])
        at = eta.subs({mu: sp.Rational(1, 4), rho: force})
        agreements[f"ascent_rates at rho = {force}"] = Agreement(partial(ascent_rates, z, force * z, 0.25), at)
    return Derivation(
        theorem="T11",
        statement="Where mu rho_i > 1, an ambient step with renormalisation is Riemannian gradient ascent at the rates"
        " mu/(mu rho_i - 1), up to a common sign. The merged loss is largest at the point, the full loss on the"
        " antipodal line.",
        steps=(
            Step("Split g = rho z + t, rho = z.g. The step z - mu g is (1 - mu rho) z - mu t, that is -(mu rho - 1)"
                 " times z + eta t, with", eta, "eta"),
            Step("rho of an embedding of the merged loss, n = 4 (the full loss: -2 s/tau more, s the cosine to the"
                 " other view)", radial, "rho"),
            Step("At the point rho = 2/tau and T2's curvature is -2n/(tau(n-1)): ascent multiplies a spread by (x = 2"
                 " mu/tau)", sp.factor(multiplier), "m"),
            Step("which is T4's multiplier; as mu -> infinity it tends to", -1 / (n - 1), "m ->"),
            Step("Merged loss: every cosine is at most 1, so it is at most, with equality iff all are 1,",
                 claims["merged"], "L <="),
            Step("Full loss: an anchor of sample k has log(1 + sum exp((c - s_k)/tau)), c its cosines to the others,"
                 " s_k that to its other view. As log is concave, L <= n log(1 + the mean of the sums). It remains to"
                 " bound, for two samples, the sum of the eight exp((c - s)/tau), c one of their four cross cosines, s"
                 " one of their two view cosines"),
            Step("Every c - s is at most 2, and any set of the eight adds up to at most 8: a quadratic form in the four"
                 " views, bounded by diag(y) with y_1 + .. + y_4 = 8 (all 256 sets, exactly). So the eight are weakly"
                 " majorised by (2, 2, 2, 2, 0, 0, 0, 0), and as exp is convex and grows, the sum is at most 4 + 4"
                 " exp(2/tau). Hence L is at most", claims["full"], "L <="),
            Step("with equality iff four of the eight are 2 and four are 0 for every two samples: the antipodal line"),
        ),
        zeros=zeros,
        formulas={
            "ascent_rates": eta,
            "largest_loss, merged": claims["merged"],
            "largest_loss, full": claims["full"],
        },
        agreements=agreements,
    )  # fmt: skip
