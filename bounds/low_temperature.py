"""T17: as tau -> 0 the uniform state breaks at a rate proportional to tau, the same in every dimension."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clopsim.bounds.setting import Floats, Keys, Setting

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


def universal_decay(t: Floats, *, keys: Keys = "symmetric", exclusion: float = 1.0) -> Floats:
    """f(t), the limit of tau e_l at t = l (l + d - 2) tau, whatever the dimension.

        f(t) = t e^(-t/2) (2 - e^(-t/2))    symmetric keys;    t e^(-t/2)    detached keys    (tight as tau -> 0)

    exclusion: S of T13, which multiplies e^(-t/2) at finite n. Source: T17 (ours). t: any shape, >= 0.
    """
    a = exclusion * np.exp(-np.asarray(t, dtype=np.float64) / 2)
    value = t * a * ((2 - a) if keys == "symmetric" else 1.0)
    return float(value) if np.ndim(value) == 0 else value


def steepest(keys: Keys) -> float:
    """t*, where f is largest: 2 for detached keys, the only root of (2 - t) e^(t/2) = 1 - t > 0 for symmetric ones.

    t* = 2.4237643, f(t*) = 1.2280864; detached f(2) = 2/e.
    """
    t = 2.0
    if keys == "symmetric":
        for _ in range(20):  # Newton; 6 are enough
            a = math.exp(-t / 2)
            t -= (2 - t - (1 - t) * a) / (-1 + a * (3 - t) / 2)
    return t


class UniversalRate(NamedTuple):
    """Rate at which the uniform state breaks, and the degree (a real number) that breaks first."""

    rate: Floats
    degree: Floats


def low_temperature_rate(setting: Setting) -> UniversalRate:
    """T5's rate and degree in the limit of low temperature and many points.

        tangent; full loss:  mu = 2 tau / f*                  = 1.6285498 tau   (detached keys: e tau = 2.7182818 tau)
        merged, ambient:     mu = 2 tau / (f* + 4)            = 0.3825491 tau   (detached: 2 tau/(2/e + 2))
        l* (l* + d - 2) = t* / tau                                                              (tight as tau -> 0)

    times n for the mean. The relative error is of order d tau: at tau = 0.002 0.1 % at d = 2, 5 % at d = 64 (ambient).

    Valid for: tau (d - 1) <= t*, else degree 1 lies past the maximum; n -> infinity. Source: T17 (ours).
    """
    tau, d = setting.tau, setting.dimension
    t = steepest(setting.keys)
    if np.any(np.asarray(tau) * (d - 1) > t):
        raise ValueError(
            f"temperature must be <= {t / (d - 1):.4g} in {d} dimensions, got {setting.temperature}; "
            "above, no degree is near the maximum: uniform_rate has every temperature"
        )
    pull = 2 if setting.keys == "symmetric" else 1
    radial = pull if (setting.loss, setting.gradient) == ("merged", "ambient") else 0
    weight = setting.samples if setting.reduction == "mean" else 1
    nu = d / 2 - 1
    rate = weight * 2 * tau / (universal_decay(t, keys=setting.keys) + 2 * radial)
    return UniversalRate(rate, np.sqrt(nu**2 + t / tau) - nu)


def _closed_forms(t: "sp.Symbol") -> "dict[str, sp.Expr]":
    """What is claimed of A_l and of f, by name."""
    import sympy as sp

    a = sp.exp(-t / 2)
    return {"A_l": a, "symmetric": t * a * (2 - a), "detached": t * a}


def derive() -> "Derivation":
    """The first order of each ratio of Bessel functions, their product, the maximum of the limit."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step
    from clopsim.bounds.uniform import _closed_forms as ripples
    from clopsim.bounds.uniform import _closed_stretch as stretches

    t, tau, nu, kappa = sp.symbols("t tau nu kappa", positive=True)
    m, c, j = sp.symbols("m c j")
    degree = sp.symbols("l", integer=True, positive=True)
    claims = _closed_forms(t)
    half = sp.Rational(1, 2)
    ratio = 1 - (m + half) / kappa + c / kappa**2
    riccati = ratio.diff(kappa) - (1 - ratio**2 - (2 * m + 1) * ratio / kappa)
    orders = sp.Poly(sp.expand(riccati.subs(kappa, 1 / tau)), tau)
    exponent = sp.summation(nu + j + half, (j, 0, degree - 1)) * tau  # -log A_l
    A, f = sp.symbols("A f*", positive=True)
    T = degree * (degree + 2 * nu) * tau
    e = ripples(degree, 2 * nu + 2, sp.exp(-T / 2))  # of T5, d = 2 nu + 2
    slope = claims["symmetric"].diff(t) * sp.exp(t / 2)
    balance = 2 - t - (1 - t) * sp.exp(-t / 2)
    best = sp.nsolve(balance, t, 2.4, prec=30)
    top = sp.sqrt(nu**2 + t / tau) - nu  # of l(l + 2 nu) = t/tau
    rates = {loss: sp.simplify(2 / (f / tau - 2 * rho.subs(A, 1)) / tau)  # T5's, A_1 -> 1
             for loss, rho in stretches(2 / tau, A).items()}  # fmt: skip
    return Derivation(
        theorem="T17",
        statement="As tau -> 0, tau e_l -> f(t) with t = l(l+d-2) tau: mu_T -> 1.6285 tau, mu_A -> 0.38255 tau.",
        steps=(
            Step("I_(m+1)/I_m obeys r' = 1 - r^2 - (2m+1) r/kappa; for large kappa it is",
                 1 - (m + half) / kappa, "I_(m+1)/I_m ->"),
            Step("A_l is the product from m = nu to nu + l - 1, nu = d/2 - 1, so", sp.factor(exponent), "-log A_l ->"),
            Step("which is t/2: near its point exp(kappa z.w) is the heat kernel after the time tau/2.",
                 claims["A_l"], "A_l ->"),
            Step("So tau e_l, symmetric keys, tends to", claims["symmetric"], "tau e_l ->"),
            Step("Its slope vanishes where this does, which rises and then falls for good:", balance),
            Step("at", best, "t*"),
            Step("Detached keys: the slope of t e^(-t/2) is 0 at t = 2, where it is",
                 claims["detached"].subs(t, 2), "f*"),
            Step("A_1 -> 1, so rho of T5 is -2/tau for the merged ambient step and 0 else; with f* = tau max e_l the"
                 " rate over tau is", rates["merged"], "mu/tau"),
            Step("the full loss, and any tangent step", rates["full"], "mu/tau"),
            Step("and the breaking degree", top, "l"),
        ),
        zeros={
            "Riccati, order 0": orders.coeff_monomial(1),
            "Riccati, order 1": orders.coeff_monomial(tau),
            "sum of the orders": sp.expand(exponent - degree * (degree + 2 * nu) * tau / 2),
            "A_l": sp.expand_log(sp.log(claims["A_l"]), force=True) + t / 2,
            "f, symmetric keys": tau * e["symmetric"] - claims["symmetric"].subs(t, T),
            "f, detached keys": tau * e["detached"] - claims["detached"].subs(t, T),
            "degree": T.subs(degree, top) - t,
            "rate, merged ambient": rates["merged"] - 2 / (f + 4),
            "rate, full ambient": rates["full"] - 2 / f,
            "slope": sp.expand(slope - balance),
            "maximum, detached keys": claims["detached"].diff(t).subs(t, 2),
            "maximum, detached keys, value": claims["detached"].subs(t, 2) - 2 * sp.exp(-1),
        },
        formulas={"symmetric": claims["symmetric"], "detached": claims["detached"], "t*": best},
        agreements=_agreements(best),
    )  # fmt: skip


def _agreements(best: "sp.Expr") -> "dict[str, Agreement]":
    """f, where it is largest, and the rate and degree in every setting."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, defined_pull, entry, every_setting, written_out

    t = sp.symbols("t")
    claims = {keys: _closed_forms(t)[keys] for keys in ("symmetric", "detached")}
    largest = {"symmetric": best, "detached": sp.Integer(2)}
    found: dict[str, Agreement] = {}
    for keys, f in claims.items():
        found[f"steepest, {keys} keys"] = Agreement(partial(steepest, keys), largest[keys])  # type: ignore[arg-type]
        for one in (sp.Rational(1, 4), sp.Integer(5)):
            decay = partial(universal_decay, keys=keys)  # type: ignore[arg-type]
            found[f"universal_decay, t = {one}, {keys} keys"] = Agreement(partial(decay, float(one)), f.subs(t, one))
            several = partial(decay, np.array([1.0, float(one)]))
            found[f"universal_decay, t = 1 and {one}, {keys} keys"] = Agreement(entry(several, 1), f.subs(t, one))
        excluded = _closed_forms(t)["A_l"] * sp.Rational(3, 2)  # S = 1.5
        finite = t * excluded * (2 - excluded if keys == "symmetric" else 1)
        code = partial(universal_decay, 2.0, keys=keys, exclusion=1.5)  # type: ignore[arg-type]
        found[f"universal_decay, S = 1.5, {keys} keys"] = Agreement(code, finite.subs(t, 2))
    for d, tau in ((2, "0.2"), (8, "0.01")):
        for setting in every_setting(float(tau), d, 12):
            keys, kappa, nu = setting.keys, 1 / sp.Rational(tau), sp.Rational(d, 2) - 1
            pull = defined_pull(setting)
            share = pull / 2 if keys == "symmetric" else pull  # 1/n for the mean
            rho = -pull * kappa if setting.loss == "merged" and setting.gradient == "ambient" else 0
            rate = 2 / (share * kappa * claims[keys].subs(t, largest[keys]) - 2 * rho)
            where = f"{written_out(setting)}, d = {d}, tau = {tau}"
            both = partial(low_temperature_rate, setting)
            found[f"low_temperature_rate, {where}"] = Agreement(entry(both, 0), rate)
            found[f"degree, {where}"] = Agreement(entry(both, 1), sp.sqrt(nu**2 + largest[keys] * kappa) - nu)
    return found
