"""T5: the harmonic spectrum of one step at the uniform state and the rate that breaks it; at finite n by T13."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.bessel import bessel_ratios, defined_mean, defined_ratio
from clopsim.bounds.finite_batch import RESOLVED, derived_stretch, finite_mean_length, self_exclusion, unresolved_share
from clopsim.bounds.heavy_ball import flip_rate, spin_rate
from clopsim.bounds.setting import Floats, Setting, whole_number, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

Array = NDArray[np.float64]


class Spectrum(NamedTuple):
    """e_l of every degree l = 1 .. L and the mean length A_1^(n) (shapes (..., L) and (...))."""

    e: Array
    mean_length: Array


def harmonic_spectrum(setting: Setting, *, degrees: int | None = None, limit: bool = False) -> Spectrum:
    """The rates e_l at which a degree-l density ripple of the uniform state decays per unit of learning rate.

        e_l = l (l + d - 2) S A_l (2 - S A_l)      symmetric keys          (tight; S of T13, 1 as n -> infinity)
        e_l = l (l + d - 2) S A_l                  detached keys

    for the sum reduction; divided by n for the mean. By default as many degrees as hold the maximum: past it e_l falls
    for good, because e_(l+1)/e_l is bounded by a product of falling factors. nan where n is too small for S.

    Valid for: a batch that integrates the harmonics in play (bounds.finite_batch.unresolved_share).
    Source: T5, T13 (ours), by Funk-Hecke.
    limit: n -> infinity. Returns Spectrum with e of shape (..., degrees), (...) the shape of the temperatures.
    """
    d = setting.dimension
    kappa = 1 / np.asarray(setting.tau, dtype=np.float64)
    count = 32 + 8 * math.ceil(math.sqrt(kappa.max())) if degrees is None else whole_number("degrees", degrees, low=1)
    ratios = bessel_ratios(kappa, d, degrees=count)
    exclusion = np.ones_like(kappa) if limit else np.asarray(self_exclusion(setting))
    degree = np.arange(1, count + 1)
    a = exclusion[..., None] * ratios[..., 1:]
    keys = 2 - a if setting.keys == "symmetric" else 1.0
    weight = 1 / setting.samples if setting.reduction == "mean" else 1.0
    mean_length = finite_mean_length(exclusion, ratios[..., 1])
    return Spectrum(e=weight * degree * (degree + d - 2) * a * keys, mean_length=mean_length)


def radial_rate(setting: Setting, *, limit: bool = False) -> Array:
    """rho in r = 1 + mu rho, the factor by which an ambient step stretches each embedding at the uniform state.

        tangent: 0;   merged, ambient: -(pull/tau) A_1^(n);   full, ambient: (pull/tau) (1 - A_1^(n))       (tight)

    A_1^(n) of T13, A_1 as n -> infinity (limit). Source: T5, T13 (ours).
    """
    pull = np.asarray(setting.pull / setting.tau, dtype=np.float64)
    if setting.gradient == "tangent":
        return 0 * pull
    mean_length = harmonic_spectrum(setting, degrees=1, limit=limit).mean_length
    return -pull * mean_length if setting.loss == "merged" else pull * (1 - mean_length)


def ripple_multiplier(rate: float, setting: Setting, *, degrees: int, limit: bool = False) -> Array:
    """Factor by which one step multiplies a density ripple of degree 1 .. degrees on the uniform state.

        1 - mu e_l / (1 + mu rho)                                          (tight; limit: n -> infinity)

    Source: T5, T13 (ours). Returns (..., degrees), (...) the shape of the temperatures.
    """
    without_momentum(setting)
    stretch = 1 + rate * radial_rate(setting, limit=limit)
    return 1 - rate * harmonic_spectrum(setting, degrees=degrees, limit=limit).e / stretch[..., None]


class UniformRate(NamedTuple):
    """Critical rate and breaking degree of the uniform state; rate inf and degree 0 where it never breaks.

    Degree 0 at a finite rate: with momentum the points start to spin, before any ripple flips. rate nan and degree 0
    where n is too small for T13's S.
    """

    rate: Floats
    degree: int | NDArray[np.int64]


def uniform_rate(setting: Setting, *, limit: bool = False) -> UniformRate:
    """Learning rate above which the uniform state breaks, and the harmonic degree that breaks first.

        mu = 2 / (max_l e_l - 2 rho)   if that is positive, else never                               (tight)

    which reads 2 / max e_l (tangent: mu_T), 2 / (max e_l + 4 A_1/tau) (merged, ambient: mu_A) and
    2 / (max e_l - 4 (1 - A_1)/tau) (full, ambient) with symmetric keys. Degree 1 grows a mean (collapse towards a
    point), 2 an axis (a line), 3 and more clusters. With momentum it is the smaller of the rates of T14, flip_rate at
    max_l e_l and spin_rate.

    e_l and A_1 are those of the setting's n (T13).

    Valid for: a batch that resolves the degree (uniform_is_resolved); limit: n -> infinity.
    Source: T5, T13, T14 (ours).
    """
    e, rho = harmonic_spectrum(setting, limit=limit).e, radial_rate(setting, limit=limit)
    flip = np.asarray(flip_rate(e.max(axis=-1), rho, momentum=setting.momentum))
    spin = np.asarray(spin_rate(rho, momentum=setting.momentum))
    known = np.isfinite(e).all(axis=-1)
    rate = np.where(known, np.minimum(flip, spin), np.nan)
    degree = np.where(known & (flip <= spin) & np.isfinite(flip), e.argmax(axis=-1) + 1, 0)
    return UniformRate(float(rate), int(degree)) if rate.ndim == 0 else UniformRate(rate, degree)


def uniform_is_resolved(setting: Setting) -> bool:
    """Whether n points resolve the degree that breaks first, so that uniform_rate holds within 2 % (measured).

    False: n is too small to tell. Valid for: one temperature. Source: T13 (ours).
    """
    e = harmonic_spectrum(setting).e
    return bool(np.isfinite(e).all()) and unresolved_share(setting, degree=int(e.argmax()) + 1) <= RESOLVED


def _closed_forms(degree: "sp.Expr", d: "sp.Expr", A: "sp.Expr") -> "dict[str, sp.Expr]":
    """Claimed e_l, by keys."""
    return {"symmetric": degree * (degree + d - 2) * A * (2 - A), "detached": degree * (degree + d - 2) * A}


def _closed_stretch(pull: "sp.Expr", A: "sp.Expr") -> "dict[str, sp.Expr]":
    """Claimed rho of the ambient step, by loss; pull that over tau, A = A_1 or A_1^(n)."""
    return {"merged": -pull * A, "full": pull * (1 - A)}


def derive() -> "Derivation":
    """Funk-Hecke gives A_l, the potentials give e_l, the radial part gives the rates and their limit."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    d, kappa, mu, eps, Y, A, e, rho, k, nu = sp.symbols("d kappa mu epsilon Y A_l e rho k nu", positive=True)
    t = sp.symbols("t", real=True)
    alpha = d / 2 - 1
    order = sp.symbols("l", positive=True)
    claims, stretches = _closed_forms(order, d, A), _closed_stretch(kappa, A)
    zeros = {}

    def weight(power: sp.Expr) -> sp.Expr:
        return (1 - t**2) ** power

    for degree in range(1, 4):  # the normalised zonal harmonic
        C = sp.cancel(sp.gegenbauer(degree, alpha, t) / sp.gegenbauer(degree, alpha, 1).expand(func=True))
        front = (-1) ** degree / (2**degree * sp.rf(alpha + sp.Rational(1, 2), degree))
        rodrigues = sp.diff(weight(alpha + degree - sp.Rational(1, 2)), t, degree)
        zeros[f"Rodrigues, degree {degree}"] = C - sp.powsimp(
            sp.expand(front * rodrigues / weight(alpha - sp.Rational(1, 2))).rewrite(sp.exp).simplify()
        )
        laplacian = (1 - t**2) * sp.diff(C, t, 2) - (d - 1) * t * sp.diff(C, t)
        zeros[f"Laplacian, degree {degree}"] = laplacian + degree * (degree + d - 2) * C
    # Poisson's integral of exp(kappa t)(1 - t^2)^(nu - 1/2), term by term in kappa^(2k)
    half = sp.Rational(1, 2)
    beta = sp.gamma(k + half) * sp.gamma(nu + half) / sp.gamma(k + nu + 1)
    bessel = sp.sqrt(sp.pi) * sp.gamma(nu + half) / (4**k * sp.gamma(k + 1) * sp.gamma(k + nu + 1))
    # Gamma(2k+1) = 4^k Gamma(k + 1/2) Gamma(k+1)/sqrt(pi), the duplication formula
    factorial = 4**k * sp.gamma(k + half) * sp.gamma(k + 1) / sp.sqrt(sp.pi)
    zeros["Poisson's integral, term by term"] = beta / factorial - bessel
    # an independent check on the sphere: elementary integrals against elementary Bessel functions
    moment = [sp.integrate(sp.exp(kappa * t) * sp.legendre(degree, t), (t, -1, 1)) for degree in range(3)]
    known = [sp.Integer(1), sp.coth(kappa) - 1 / kappa]
    known.append(1 - 3 / kappa * known[1])  # I_(m+1) = I_(m-1) - (2m/kappa) I_m at m = 3/2
    for degree in (1, 2):
        zeros[f"A_{degree} at d = 3"] = (moment[degree] / moment[0] - known[degree]).rewrite(sp.exp)
    # potentials: T maps a + bY to M_0 (a + b A Y); the logarithm of T rho, and T of rho/(T rho)
    anchor = sp.log(1 + eps * A * Y).diff(eps).subs(eps, 0)
    key = A * ((1 + eps * Y) / (1 + eps * A * Y)).diff(eps).subs(eps, 0)
    eigenvalue = order * (order + d - 2)
    zeros["e_l, symmetric keys"] = eigenvalue * (anchor + key) / Y - claims["symmetric"]
    zeros["e_l, detached keys"] = eigenvalue * anchor / Y - claims["detached"]
    # the radial factor of every form, at n and as n -> infinity
    n, M, E = sp.symbols("n M_0 E", positive=True)
    finite = 1 - (1 - A) / (1 - E / (n * M))
    for loss in ("merged", "full"):
        for keys, roles in (("symmetric", 2), ("detached", 1)):
            stretch = derived_stretch((n, M, E, A, kappa), loss=loss, keys=keys)  # type: ignore[arg-type]
            zeros[f"rho, {loss}, {keys} keys"] = stretch - roles * stretches[loss].subs(A, finite)
            zeros[f"rho as n -> oo, {loss}, {keys} keys"] = sp.limit(stretch, n, sp.oo) - roles * stretches[loss]
    step = sp.Matrix([1 + mu * rho, -mu * eps])  # an embedding at (1, 0) with a tangent gradient eps
    zeros["a stretched step"] = (step[1] / sp.sqrt(step.dot(step))).diff(eps).subs(eps, 0) + mu / (1 + mu * rho)
    rate = 2 / (e - 2 * rho)
    zeros["multiplier -1 at the rate"] = 1 - rate * e / (1 + rate * rho) + 1
    # kappa -> 0: I_nu ~ (kappa/2)^nu (1/Gamma(nu+1) + (kappa/2)^2/Gamma(nu+2)), so A_1 = (kappa/d)(1 + O(kappa^2))
    small = kappa / d * (1 + kappa**2 / (2 * d + 4)) / (1 + kappa**2 / (2 * d))
    e_1 = claims["symmetric"].subs({order: 1, A: small})
    stretched = 2 * stretches["merged"].subs(A, small)
    zeros["limit, tangent"] = sp.limit(kappa * rate.subs({e: e_1, rho: 0}), kappa, 0) - d / (d - 1)
    zeros["limit, merged ambient"] = sp.limit(kappa * rate.subs({e: e_1, rho: stretched}), kappa, 0) - d / (d - 1)
    A_l = defined_ratio(order, kappa, d)
    radial = _closed_stretch(kappa, sp.Symbol("A_1"))
    return Derivation(
        theorem="T5",
        statement="The uniform state breaks at 2/(max_l e_l - 2 rho), by the harmonic degree with the largest e_l.",
        steps=(
            Step("Funk-Hecke: exp(kappa z.w) acts on a harmonic of degree l as the integral of exp(kappa t) times the"
                 " normalised Gegenbauer polynomial. By Rodrigues' formula (checked for l = 1 to 3, every d) and l"
                 " integrations by parts it is Poisson's integral, so relative to l = 0 the factor is", A_l, "A_l"),
            Step("A density 1 + epsilon Y changes the anchors' potential log T rho by epsilon times",
                 anchor, "d(log T rho)/depsilon"),
            Step("and the keys' potential T(rho/T rho) by", sp.factor(key), "d(T(rho/T rho))/depsilon"),
            Step("Points move by -mu grad, so the ripple changes by mu times the Laplacian, -l(l+d-2), of the sum: it"
                 " is multiplied by 1 - mu e_l,", claims["symmetric"], "e_l"),
            Step("With detached keys", claims["detached"], "e_l"),
            Step("The ambient step also stretches an embedding by 1 + mu rho, -rho the slope of the loss as it grows"
                 " alone: as an anchor, and as a key, log of the mean M of exp(kappa x.w), M' = kappa M A_1. Merged:",
                 radial["merged"], "rho"),
            Step("for each of its two roles; the full loss, where its view attracts it", radial["full"], "rho"),
            Step("Normalising divides the tangent part of the step by it, so the multiplier is",
                 1 - mu * e / (1 + mu * rho), "m"),
            Step("It is -1 first for the largest e_l, at", rate, "mu"),
            Step("As tau -> infinity, A_1 ~ kappa/d and e_l = O(kappa^2) for l >= 2; mu/tau tends, for mu_T and for"
                 " mu_A (4 kappa A_1 is of second order), to", d / (d - 1), "mu/tau ->"),
        ),
        zeros=zeros,
        formulas={
            "symmetric": claims["symmetric"].subs(A, A_l),
            "detached": claims["detached"].subs(A, A_l),
            "uniform_rate": rate,
        },
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """Spectrum, stretch, multiplier and rate in every setting, at n and as n -> infinity, from Bessel functions."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, defined_pull, entry, every_setting, written_out

    found: dict[str, Agreement] = {}

    def compare(setting: Setting, tau: str, *, limit: bool) -> None:
        """tau: the last temperature of the setting, as a decimal."""
        n, d, kappa = setting.samples, sp.Integer(setting.dimension), 1 / sp.Rational(tau)
        S = 1 if limit else 1 / (1 - (sp.exp(kappa) / defined_mean(kappa, d)).evalf(30) / n)
        if (tau, d) not in ratios:
            ratios[tau, d] = [defined_ratio(degree, kappa, d).evalf(30) for degree in range(1, 9 + 3 * int(kappa**0.5))]
        pull, share = defined_pull(setting) * kappa, sp.Rational(1, n if setting.reduction == "mean" else 1)
        e = [share * _closed_forms(sp.Integer(degree), d, S * ratio)[setting.keys]
             for degree, ratio in enumerate(ratios[tau, d], 1)]  # fmt: skip
        mean = 1 - S * (1 - ratios[tau, d][0])
        rho = _closed_stretch(pull, mean)[setting.loss] if setting.gradient == "ambient" else sp.Integer(0)
        mu = sp.Rational(1, 4) / pull
        margin = max(e) - 2 * rho

        def spectrum() -> Spectrum:
            return harmonic_spectrum(setting, degrees=4, limit=limit)

        def rate() -> UniformRate:
            return uniform_rate(setting, limit=limit)

        def ripple() -> Array:
            return ripple_multiplier(float(mu), setting, degrees=4, limit=limit)

        where = f"{written_out(setting)}, d = {d}, tau = {setting.temperature}, n {'-> oo' if limit else f'= {n}'}"
        numbers: tuple[tuple[str, Callable[[], Any], int, sp.Expr | int], ...] = (
            ("e_1", lambda: spectrum().e, -4, e[0]),
            ("e_4", lambda: spectrum().e, -1, e[3]),
            ("mean length", lambda: spectrum().mean_length, -1, mean),
            ("radial_rate", lambda: radial_rate(setting, limit=limit), -1, rho),
            ("ripple_multiplier, degree 2", ripple, -3, 1 - mu * e[1] / (1 + mu * rho)),
            ("1/uniform_rate", lambda: 1 / np.asarray(rate().rate), -1, max(margin / 2, 0)),
            ("breaking degree", lambda: rate().degree, -1, e.index(max(e)) + 1 if margin > 0 else 0),
        )
        for name, code, place, derived in numbers:
            found[f"{name}, {where}"] = Agreement(entry(code, place), derived)

    ratios: dict[tuple[str, sp.Integer], list[sp.Expr]] = {}
    for limit in (True, False):
        for setting in every_setting(0.3, 3, 64):
            compare(setting, "0.3", limit=limit)
        for loss in ("merged", "full"):
            compare(Setting((1.0, 0.2), 8, 400, loss=loss), "0.2", limit=limit)
        compare(Setting(0.01, 2, 400), "0.01", limit=limit)
    few = Setting(0.3, 3, 12)  # 6.7 harmonics

    def too_few() -> float | None:
        rate, degree = uniform_rate(few)
        return None if np.isnan(rate) and degree == 0 else float(rate)

    return found | {"uniform_rate, few points": Agreement(too_few, None)}
