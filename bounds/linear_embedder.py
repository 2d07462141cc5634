"""T23: a linear embedder u = W x: curvatures and critical rates in its weights, at collapse and at an even spread."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.heavy_ball import heavy_ball_rate
from clopsim.bounds.setting import Setting, positive_number
from clopsim.bounds.uniform import harmonic_spectrum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

Array = NDArray[np.float64]


def linear_collapse_curvatures(first: Array, second: Array, *, setting: Setting) -> Array:
    """Eigenvalues of the Hessian of the loss in the weights at complete collapse W = u a^T, ascending.

        (pull/tau) [ sum_samples (x - x')(x - x')^T - n/(n-1) sum_i (x_i - mean)(x_i - mean)^T ]            (tight)

    with x the inputs divided by the lengths of their embeddings; the sums run over the N = n/2 samples and over all n
    inputs; the merged loss has the second sum only. Each eigenvalue counts d - 1 times, once for every direction across
    u; along u the Hessian is 0. Negative ones lead away from the collapse. In terms of the midpoints m of the views the
    bracket is (n-2)/(2(n-1)) [ sum_samples (x - x')(x - x')^T - 4n/(n-2) sum_samples (m - mean)(m - mean)^T ]: where
    the views of a sample differ more than the samples do, as a view and its negation beside a bias, nothing leads away.

    Valid for: the tangent gradient, a . x_i > 0 for all inputs, so that no embedding points to -u. With detached keys,
    whose gradient is not that of a function, the eigenvalues are those of the linearised gradient.
    Source: T23 (ours), from T2.

    first, second: (N, p), x_i/|u_i| of the first and second views; for the merged loss the first and second half of the
    n inputs. Returns (p,).
    """
    stacked = _checked(first, second, setting)
    n = setting.samples
    centred = stacked - stacked.mean(axis=0)
    matrix = -n / (n - 1) * centred.T @ centred
    if setting.loss == "full":
        apart = stacked[: n // 2] - stacked[n // 2 :]
        matrix = apart.T @ apart + matrix
    eigenvalues: Array = np.linalg.eigvalsh(setting.pull / _temperature(setting) * matrix)
    return eigenvalues


def linear_collapse_rate(first: Array, second: Array, *, setting: Setting) -> float | None:
    """Learning rate above which views come apart in the weights of a collapsed linear embedder; None where they cannot.

        mu = 2 (1 + beta) / lambda_max,   lambda_max of linear_collapse_curvatures                         (tight)

    Where no curvature is negative, collapse attracts below this rate and repels above. None for lambda_max <= 0: then
    every direction leads away at every rate.

    Valid for: as linear_collapse_curvatures; gradient descent on W over all inputs at once, without weight decay.
    Source: T23 (ours).
    """
    largest = float(linear_collapse_curvatures(first, second, setting=setting)[-1])
    return heavy_ball_rate(largest, momentum=setting.momentum) if largest > 0 else None


def linear_uniform_curvature(setting: Setting, *, scale: float) -> float:
    """The one non-zero eigenvalue of the Hessian in the weights at W = s I over uniform inputs on the sphere.

        n e_2 / (s^2 (d + 2)),   d (d+1)/2 - 1 times                                 (tight for a spherical design)

    e_2 of T5 at the setting's n (T13): of all the ripples of the uniform state a linear embedder reaches degree 2
    alone, by symmetric traceless changes of W. Antisymmetric ones rotate, the trace rescales.

    Valid for: the tangent gradient, one temperature; inputs of dimension p = d and length 1, both views equal; n large
    enough for T13.
    Source: T23 (ours).

    scale: s > 0.
    """
    positive_number("scale", scale, remedy="it is the factor s of W = s I")
    _tangent(setting)
    _temperature(setting)
    e = float(harmonic_spectrum(setting, degrees=2).e[1])
    if not np.isfinite(e):
        raise ValueError(f"samples must fill the sphere at this temperature, got {setting.samples}; see T13, take more")
    return setting.samples * e / (scale**2 * (setting.dimension + 2))


def linear_uniform_rate(setting: Setting, *, scale: float) -> float:
    """Learning rate above which the uniform state of a linear embedder breaks, towards a line (degree 2).

        mu = 2 (1 + beta) s^2 (d + 2) / (n e_2)                                      (tight for a spherical design)

    Valid for: as linear_uniform_curvature; gradient descent on W over all inputs at once.
    Source: T23 (ours).
    """
    return heavy_ball_rate(linear_uniform_curvature(setting, scale=scale), momentum=setting.momentum)


def _tangent(setting: Setting) -> None:
    if setting.gradient != "tangent":
        raise ValueError("gradient must be tangent, got 'ambient'; weights get autograd's gradient, which is projected")


def _temperature(setting: Setting) -> float:
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    return setting.temperature


def _checked(first: Array, second: Array, setting: Setting) -> Array:
    """Both halves of the inputs, (n, p)."""
    _tangent(setting)
    _temperature(setting)
    for name, inputs in (("first", first), ("second", second)):
        if np.ndim(inputs) != 2 or 2 * len(inputs) != setting.samples or np.shape(inputs) != np.shape(first):
            raise ValueError(
                f"{name} must have shape (samples / 2, p) = ({setting.samples / 2:g}, p), got {np.shape(inputs)}; "
                "give the two halves of the n inputs"
            )
        if not np.all(np.isfinite(inputs)):
            raise ValueError(f"{name} must be finite, got nan or inf; an embedding of length 0 has no direction")
    return np.concatenate([first, second]).astype(np.float64)


def _collapse_form(apart: "sp.Expr", spread: "sp.Expr", n: "sp.Expr", tau: "sp.Symbol") -> "dict[str, sp.Expr]":
    """Claimed second derivative: apart = sum over samples of (b - b')^2, spread = sum over all of (b - mean)^2."""
    return {
        "full": 2 / tau * (apart - n / (n - 1) * spread),
        "merged": -2 / tau * n / (n - 1) * spread,
    }


def _uniform_form(n: "sp.Symbol", e: "sp.Expr", s: "sp.Symbol", d: "sp.Symbol") -> "sp.Expr":
    """Claimed curvature at the uniform state."""
    return n * e / (s**2 * (d + 2))


def derive() -> "Derivation":
    """Second derivative of the loss along W + epsilon v w^T at collapse; moments of degree 2 on the sphere."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, entry, every_setting, written_out
    from clopsim.bounds.uniform import _closed_forms

    tau, eps, n, s, d, A, size, beta = sp.symbols("tau epsilon n s d A_2 T beta", positive=True)
    zeros = {}
    for samples in (2, 3):
        b = sp.symbols(f"b1:{2 * samples + 1}", real=True)  # w . x_i of the first views, then of the second ones
        count = len(b)

        def cosine(i: int, a: int, b: "tuple[sp.Symbol, ...]" = b) -> "sp.Expr":  # of (1, eps b_i) and (1, eps b_a)
            return (1 + eps**2 * b[i] * b[a]) / sp.sqrt((1 + eps**2 * b[i] ** 2) * (1 + eps**2 * b[a] ** 2))

        # to second order in eps, each cosine is 1 + eps^2 c_ia and the log-sum-exp the mean of its terms
        second = {
            (i, a): sp.series(cosine(i, a), eps, 0, 3).removeO().coeff(eps, 2)
            for i in range(count) for a in range(count) if a != i
        }  # fmt: skip
        repel = sum(second.values()) / (tau * (count - 1))
        attract = -sum(second[i, (i + samples) % count] for i in range(count)) / tau
        apart = sum((b[k] - b[k + samples]) ** 2 for k in range(samples))
        mean = sum(b) / count
        spread = sum((x - mean) ** 2 for x in b)
        claims = _collapse_form(apart, spread, sp.Integer(count), tau)
        zeros[f"full loss, {count} inputs"] = 2 * (repel + attract) - claims["full"]
        zeros[f"merged loss, {count} inputs"] = 2 * repel - claims["merged"]
        middle = sum(((b[k] + b[k + samples]) / 2 - mean) ** 2 for k in range(samples))
        zeros[f"midpoints, {count} inputs"] = (apart - sp.Rational(count, count - 1) * spread) - sp.Rational(
            count - 2, 2 * (count - 1)
        ) * (apart - sp.Rational(4 * count, count - 2) * middle)

    # S symmetric, traceless, |S|^2 = T: E|S x|^2 and E(x.S x)^2 from a Gaussian g = r x: E g^2 = 1, E g^4 = 3
    q = sp.symbols("q1:4", real=True)
    square = sum(x**2 for x in q)
    gauss = 3 * square + 2 * sum(q[i] * q[j] for i in range(3) for j in range(i + 1, 3))  # E (sum q g^2)^2
    zeros["fourth moments"] = sp.expand((gauss - 2 * square).subs(q[2], -q[0] - q[1]))
    linear, quadratic = size / d, 2 * size / (d * (d + 2))  # E|S x|^2, E (x . S x)^2, as E r^2 = d, E r^4 = d (d + 2)
    field = linear - quadratic  # mean squared length of the tangent field S x - (x . S x) x
    degree = sp.Integer(2)
    zeros["the field is the gradient of a harmonic of degree 2"] = field - degree * (degree + d - 2) * quadratic / 4
    e = _closed_forms(degree, d, A)["symmetric"]
    zeros["curvature at the uniform state"] = n * e * field / s**2 / size - _uniform_form(n, e, s, d)
    agreements: dict[str, Agreement] = {}
    views, others = (np.array(rows) for rows in ([[0.5], [-1.0], [0.25]], [[-0.75], [0.5], [0.25]]))
    places = [sp.Rational(value) for value in (*views[:, 0], *others[:, 0])]
    turned = sum((places[k] - places[k + 3]) ** 2 for k in range(3))
    scattered = sum((x - sum(places) / 6) ** 2 for x in places)
    for setting in every_setting(0.5, 3, 6):
        if setting.gradient == "ambient":
            continue
        wide = replace(setting, samples=1000, momentum=0.5)
        role = defined_pull(setting) / 2  # of the sum over symmetric keys
        curved = role * _collapse_form(turned, scattered, sp.Integer(6), sp.Rational(1, 2))[setting.loss]
        agreements[f"linear_collapse_curvatures, {written_out(setting)}"] = Agreement(
            entry(partial(linear_collapse_curvatures, views, others, setting=setting), 0), curved
        )
        for heavy in (sp.Integer(0), sp.Rational(1, 2)):
            given = replace(setting, momentum=float(heavy))
            agreements[f"linear_collapse_rate, {written_out(setting)}, beta = {heavy}"] = Agreement(
                partial(linear_collapse_rate, views, others, setting=given),
                2 * (1 + heavy) / curved if curved > 0 else None,
            )
        answered = float(harmonic_spectrum(wide, degrees=2).e[1])  # T5's
        curved = _uniform_form(n, e, s, d).subs(e, answered).subs({n: 1000, s: sp.Rational(3, 2), d: 3})
        agreements[f"linear_uniform_curvature, {written_out(setting)}"] = Agreement(
            partial(linear_uniform_curvature, wide, scale=1.5), curved
        )
        agreements[f"linear_uniform_rate, {written_out(setting)}"] = Agreement(
            partial(linear_uniform_rate, wide, scale=1.5), 3 / curved
        )
    full = _collapse_form(sp.Symbol("Q"), sp.Symbol("V"), n, tau)
    uniform = _uniform_form(n, e, s, d)
    return Derivation(
        theorem="T23",
        statement="Collapse and the uniform state of a linear embedder have closed curvatures in the weights: the"
        " first critical rates that hold for weights and not for embeddings.",
        steps=(
            Step("At W = u a^T, |u| = 1, a change epsilon v w^T across u turns embedding i to the direction of"
                 " (1, epsilon b_i), b_i = w . x_i/(a . x_i), so a cosine is 1 minus",
                 eps**2 / 2 * (sp.Symbol("b_i") - sp.Symbol("b_a")) ** 2, "1 - s"),
            Step("All cosines are equal, so to this order the log-sum-exp is their mean (T2). With"
                 " Q = sum over samples (b - b')^2 and V = sum over all (b - mean)^2 the second derivative is",
                 full["full"], "L''"),
            Step("and for the merged loss, which has no attraction,", full["merged"], "L''"),
            Step("It is the same for every direction v across u: d - 1 copies of one matrix in w. Along u no embedding"
                 " turns"),
            Step("At W = s I, |x| = 1, a change S turns an embedding by (S x - (x . S x) x)/s. For symmetric traceless"
                 " S it is the gradient of a harmonic of degree 2; its mean square over uniform x is |S|^2 times",
                 field / size / s**2, "mean/|S|^2"),
            Step("T5: the loss answers a ripple of degree 2 by e_2 times its displacement: the curvature is",
                 uniform, "curvature"),
            Step("Antisymmetric S rotates all embeddings and the trace of S scales them: 0. So there are"
                 " d (d + 1)/2 - 1 copies", d * (d + 1) / 2 - 1, "copies"),
            Step("Descent with momentum beta on a curvature lambda is stable below 2 (1 + beta)/lambda; here",
                 2 * (1 + beta) / uniform, "mu"),
        ),
        zeros=zeros,
        formulas={
            "linear_collapse_curvatures, full": full["full"],
            "linear_collapse_curvatures, merged": full["merged"],
            "linear_uniform_curvature": uniform,
            "linear_uniform_rate": 2 * (1 + beta) / uniform,
        },
        agreements=agreements,
    )  # fmt: skip
