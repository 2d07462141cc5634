"""T35: LORAC's own norm has a kink where views agree, or are opposite: a residual angle, and a basin of the line."""

import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clopsim.bounds.lorac import allowed_temperature, even_samples
from clopsim.bounds.setting import positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

NODES = 200
"""Of the quadrature over a cap: enough for rounding up to dimensions in the thousands."""


class LoracSwap(NamedTuple):
    """The push that brings two views of a sample together, as they come close: force + curvature * displacement."""

    force: float  # on each view, at angle 0: it does not vanish there
    curvature: float  # its slope, in the span of the samples
    rate: float  # 2/curvature: the residual angle is of order 1 there; inf where no negative is near enough to pull


def lorac_swap(*, samples: int, temperature: float = 1.0, beta: float = 15.0) -> LoracSwap:
    """What acts on two nearly aligned views of a sample, the samples on a simplex.

        force f = (2/(n tau)) (1 - p) / (sqrt(2) beta)
        curvature h = (2/(n tau)) (1 - p) (2 - 1/(sqrt(2) beta) + 1/(N-1)) + 4 p_- N/((N-1) n tau^2)
                      + 2 p (1 - p)/(n beta^2 tau^2)                                                      (tight)
        p, p_- = e^(psi/tau), e^(-1/((N-1) tau)) over their sum e^(psi/tau) + (n-2) e^(-1/((N-1) tau)), N = n/2,
        psi = 1 - sqrt(2)/beta

    Valid for: the norm itself (smoothing 0), mean over the n anchors, N >= 3 samples. Source: T35 (ours).

    samples: n embeddings, both views counted, even, >= 6.
    """
    n = even_samples(samples)
    if n < 6:
        raise ValueError(f"samples must be >= 6, got {n}; two samples span one direction, with no room for a swap")
    allowed_temperature(temperature)
    positive_number("beta", beta, remedy="the authors take 15")
    N, tau = n // 2, temperature
    psi, s = 1 - math.sqrt(2) / beta, -1 / (N - 1)
    top = max(psi, s)
    positive, negative = math.exp((psi - top) / tau), math.exp((s - top) / tau)
    p, p_minus = (value / (positive + (n - 2) * negative) for value in (positive, negative))
    rest = (n - 2) * p_minus  # 1 - p, without cancellation
    force = 2 / (n * tau) * rest / (math.sqrt(2) * beta)
    curvature = (
        2 / (n * tau) * rest * (2 - 1 / (math.sqrt(2) * beta) + 1 / (N - 1))
        + 4 * p_minus * N / ((N - 1) * n * tau**2)
        + 2 * p * rest / (n * beta**2 * tau**2)
    )
    return LoracSwap(force, curvature, 2 / curvature if curvature else math.inf)


def lorac_residual_angle(rate: float, *, samples: int, temperature: float = 1.0, beta: float = 15.0) -> float:
    """Angle at which the two views of a sample swap for ever, under tangent steps at this rate.

        theta = mu f / (1 - mu h/2)                                     (to second order in mu; small angles only)

    No finite rate aligns the views: half the rate halves the angle. Measured against runs: exact at 0.02 rad, 2 % off
    at 0.07, up to 20 % at 0.3.

    Valid for: 0 < mu < 2/h, the simplex of N >= 3 samples stable. Source: T35 (ours). f, h: lorac_swap, whose
    arguments these are.
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    swap = lorac_swap(samples=samples, temperature=temperature, beta=beta)
    if rate >= swap.rate:
        raise ValueError(f"rate must be below 2/h = {swap.rate:.4g}, got {rate:g}; the angle is not small there")
    return rate * swap.force / (1 - rate * swap.curvature / 2)


def lorac_antipodal_basin(beta: float = 15.0) -> float:
    """Angle from opposite up to which two views, on their own, are drawn to be opposite instead of alike.

        sin phi = (sqrt(1 + 8 beta^2) - 1)/(4 beta^2)                                                     (tight)

    The norm is as small for opposite views as for equal ones: a local minimum with a kink, for every beta.

    Valid for: one pair, no negatives, small steps. Source: T35 (ours).
    """
    positive_number("beta", beta, remedy="the authors take 15")
    # (sqrt(1 + 8 b^2) - 1)/(4 b^2) without cancellation
    return math.asin(min(1.0, 2 / (1 + math.sqrt(1 + 8 * beta**2))))


def lorac_antipodal_share(beta: float = 15.0, *, dimension: int) -> float:
    """Share of pairs of random directions that start inside the basin: the part of the sphere within that angle.

        integral of sin^(d-2) from 0 to phi, over that to pi;   d = 3: (1 - cos phi)/2                     (tight)

    Valid for: as lorac_antipodal_basin. Source: T35 (ours). dimension: d >= 2.
    """
    d = whole_number("dimension", dimension, low=2)
    phi = lorac_antipodal_basin(beta)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    # sin^(d-2) is close to 1 or 0: its logarithm keeps large d from underflow
    log_total = math.lgamma((d - 1) / 2) - math.lgamma(d / 2) + math.log(math.pi) / 2
    angles = phi / 2 * (1 + nodes)
    return float(phi / 2 * (weights * np.exp((d - 2) * np.log(np.sin(angles)) - log_total)).sum())


def _closed_forms(
    N: "sp.Expr", tau: "sp.Expr", beta: "sp.Expr", p: "sp.Expr", p_minus: "sp.Expr", mu: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    import sympy as sp

    n = 2 * N
    force = 2 / (n * tau) * (1 - p) / (sp.sqrt(2) * beta)
    curvature = (
        2 / (n * tau) * (1 - p) * (2 - 1 / (sp.sqrt(2) * beta) + 1 / (N - 1))
        + 4 * p_minus * N / ((N - 1) * n * tau**2)
        + 2 * p * (1 - p) / (n * beta**2 * tau**2)
    )
    return {
        "force": force,
        "curvature": curvature,
        "residual angle": mu * force / (1 - mu * curvature / 2),
        "sine of the basin": (sp.sqrt(1 + 8 * beta**2) - 1) / (4 * beta**2),
    }


def derive() -> "Derivation":
    """One sample of a simplex opens its views: first and second order of the loss; a swap; two views on their own."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    N, tau, beta, mu, f, h = sp.symbols("N tau beta mu f h", positive=True)
    alpha, phi, s1 = sp.symbols("alpha phi s", real=True)
    s, kappa = -1 / (N - 1), sp.sqrt(N / (2 * (N - 1)))  # cosine of two samples; of a sample and e, e along v_2 - v_3
    n, cos, sin = 2 * N, sp.cos(alpha), sp.sin(alpha)
    together = 1 - sp.sqrt(2) / beta
    opened = sp.cos(2 * alpha) - sp.sqrt(2) * (cos + sin) / beta  # views at +-alpha, alpha > 0

    def anchor(positive: sp.Expr, *negatives: "tuple[sp.Expr, sp.Expr]") -> sp.Expr:
        return sp.log(sp.exp(positive / tau) + sum(count * sp.exp(c / tau) for count, c in negatives)) - positive / tau

    one = sp.Integer(1)
    up, down = s * cos + kappa * sin, s * cos - kappa * sin
    loss = (
        2 * anchor(opened, (2 * (N - 3), s * cos), (2 * one, up), (2 * one, down))
        + 4 * anchor(together, (one, up), (one, down), (2 * (N - 2), s))  # the anchors at v_2 and v_3
        + 2 * (N - 3) * anchor(together, (2 * one, s * cos), (2 * (N - 2), s))
    ) / n
    total = sp.exp(together / tau) + (n - 2) * sp.exp(s / tau)
    p, p_minus = sp.exp(together / tau) / total, sp.exp(s / tau) / total
    claims = _closed_forms(N, tau, beta, p, p_minus, mu)
    share, other = sp.symbols("p p_-", positive=True)
    free = _closed_forms(N, tau, beta, share, other, mu)
    slope, second = (loss.diff(alpha, order).subs(alpha, 0) for order in (1, 2))
    angle = mu * f / (1 - mu * h / 2)
    psi = -sp.cos(phi) - sp.sqrt(2) * (sp.cos(phi / 2) + sp.sin(phi / 2)) / beta  # phi from opposite
    sine = claims["sine of the basin"]
    half = sp.cos(phi / 2) - sp.sin(phi / 2)
    edge = 2 * beta**2 * s1**2 + s1 - 1
    caps = {d: sp.integrate(sp.sin(phi) ** (d - 2), phi) for d in (2, 3, 6)}
    shares = {d: (cap - cap.subs(phi, 0)) / (cap.subs(phi, sp.pi) - cap.subs(phi, 0)) for d, cap in caps.items()}
    agreements = {}
    for count, temperature, b in ((8, "1", "15"), (12, "1", "3"), (16, "0.2", "0.5")):
        numbers = {N: count // 2, tau: sp.Rational(temperature), beta: sp.Rational(b), mu: sp.Rational(3, 10)}
        options = {"samples": count, "temperature": float(temperature), "beta": float(b)}
        where = f"n = {count}, tau = {temperature}, beta = {b}"
        for place, value in enumerate((claims["force"], claims["curvature"], 2 / claims["curvature"])):

            def number(options=options, place=place) -> float:  # type: ignore[no-untyped-def]
                return float(lorac_swap(**options)[place])

            agreements[f"lorac_swap, {LoracSwap._fields[place]}, {where}"] = Agreement(number, value.subs(numbers))
        agreements[f"lorac_residual_angle, {where}"] = Agreement(
            partial(lorac_residual_angle, 0.3, **options),  # type: ignore[arg-type]
            claims["residual angle"].subs(numbers),
        )
        basin = sp.asin(sine.subs(numbers))
        agreements[f"lorac_antipodal_basin, {where}"] = Agreement(partial(lorac_antipodal_basin, float(b)), basin)
        for d, share in shares.items():
            agreements[f"lorac_antipodal_share, d = {d}, {where}"] = Agreement(
                partial(lorac_antipodal_share, float(b), dimension=d), share.subs(phi, basin)
            )
    return Derivation(
        theorem="T35",
        statement="With LORAC's own norm views never align at a finite rate: they swap at theta = mu f/(1 - mu h/2)."
        " Opposite views are a local minimum for every beta.",
        steps=(
            Step("On a simplex of N samples with aligned views, one sample opens its views to +-alpha, along v_2 - v_3."
                 " Its positive logit is", opened, "psi"),
            Step("which has a kink at alpha = 0. The slope of the loss there is two forces, one on each view:",
                 free["force"], "f"),
            Step("and its second derivative two curvatures", free["curvature"], "h"),
            Step("Other samples move independently of it at this order: the terms of two samples in the softmax's"
                 " variance, (x_s.v_t + x_t.v_s)^2 and (x_s.v_t - x_t.v_s)^2, cancel in their mixed part"),
            Step("A tangent step takes alpha to alpha - mu (f + h alpha). It is -alpha, a swap, at the angle"
                 " theta = 2 alpha", angle, "theta"),
            Step("The direction of the largest curvature holds: beside it a move is multiplied by -1 + mu (h - h')"),
            Step("Two views on their own at the angle phi from opposite have", psi, "psi"),
            Step("It falls from the kink at phi = 0 up to where, s = sin phi, this vanishes", edge, "0"),
            Step("that is at", sine, "s"),
        ),
        zeros={
            "force": slope / 2 - claims["force"],
            "curvature": second / 2 - claims["curvature"],
            "a swap": (angle / 2 - mu * (f + h * angle / 2)) + angle / 2,
            "residual angle": free["residual angle"] - angle.subs({f: free["force"], h: free["curvature"]}),
            "edge of the basin: slope": psi.diff(phi) - (sp.sin(phi) - half / (sp.sqrt(2) * beta)),
            "edge of the basin: half an angle": sp.expand(half**2) - (1 - sp.sin(phi)),
            "edge of the basin: squared": 2 * beta**2 * s1**2 - (1 - s1) - edge,
            "edge of the basin": edge.subs(s1, sine),
        },
        formulas=free,
        agreements=agreements,
    )  # fmt: skip
