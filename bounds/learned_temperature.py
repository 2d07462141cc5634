"""T22: a learned temperature, as CLIP's: where it settles, and the views with it."""

from typing import TYPE_CHECKING, NamedTuple

from clopsim.bounds.bessel import bessel_ratios
from clopsim.bounds.setting import SMALLEST_TEMPERATURE, Keys, Setting, one_of, positive_number, whole_number
from clopsim.bounds.uniform import uniform_rate

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation

WIDEST = 1e-8
"""Smallest concentration that is looked at; there kappa A_1 = kappa^2/d is far below any 1/(p mu) of use."""


class LearnedTemperature(NamedTuple):
    """Where a learned temperature settles: tau and the cosine of the two views of a sample."""

    temperature: float
    view_cosine: float


def learned_temperature(rate: float, *, dimension: int, keys: Keys = "symmetric") -> LearnedTemperature:
    """Temperature and view cosine at which InfoNCE with a learned temperature settles, embeddings at a fixed rate.

        kappa A_1(kappa) = 1/(p mu),   tau = 1/kappa,   view cosine = A_1(kappa) = tau/(p mu)
                                                                         (n -> infinity; see below for finite batches)

    kappa grows while the views of a sample are closer than the softmax's mean cosine, so the temperature falls until
    they swap (T5a); it settles where both are alike: tau is beyond the edge tau/p = mu by the factor A_1. At complete
    collapse all cosines are 1 and the temperature is not moved at all.

    Valid for: the full loss, tangent step, sum over the anchors (for the mean divide the rate by n); while the uniform
    state holds at that temperature (T5), so for rates that are not too large; the temperature learns slowly. Measured
    at d = 3 and rates from 0.3 to 0.9: at n = 200 tau from 0.2 % below to 1 % above and the cosine 1 % below, at
    n = 1600 0.1 to 0.9 % above and 0.2 to 0.3 % below.
    Source: T22 (ours).

    rate: mu > 0; p = 2 with symmetric keys, 1 with detached ones.
    Errors: ValueError where the uniform state does not hold there.
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    whole_number("dimension", dimension, low=2)
    one_of("keys", keys, ("symmetric", "detached"))
    pull = 2.0 if keys == "symmetric" else 1.0

    def mean_length(kappa: float) -> float:
        return float(bessel_ratios(kappa, dimension, degrees=1)[1])

    target = 1 / (pull * rate)
    if target > 1 / SMALLEST_TEMPERATURE:  # which kappa is above
        raise _too_low(rate, 1 / target)
    low, high = WIDEST, target + dimension  # kappa A_1 grows, and is above kappa - (d-1)/2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if middle * mean_length(middle) < target else (low, middle)
    temperature = 1 / high
    if temperature < SMALLEST_TEMPERATURE:
        raise _too_low(rate, temperature)
    edge = float(uniform_rate(Setting(temperature, dimension, 2, gradient="tangent", keys=keys), limit=True).rate)
    if not rate < edge:
        raise ValueError(
            f"rate must be below {edge:.4g}, where the uniform state breaks at tau = {temperature:.4g} (T5), "
            f"got {rate:g}; lower it"
        )
    return LearnedTemperature(temperature, mean_length(high))


def _too_low(rate: float, temperature: float) -> ValueError:
    return ValueError(
        f"rate must leave a temperature >= {SMALLEST_TEMPERATURE}, got {rate:g}, which leads to {temperature:.3g}; "
        "raise it"
    )


def _closed_forms(kappa: "sp.Symbol", pull: "sp.Symbol", mu: "sp.Symbol", A: "sp.Expr") -> "dict[str, sp.Expr]":
    """Claimed balance, zero at the equilibrium, and the rate that has it at kappa."""
    return {"balance": kappa * A - 1 / (pull * mu), "rate": 1 / (pull * kappa * A)}


def derive() -> "Derivation":
    """The loss's slope in the concentration, the softmax's mean cosine on the uniform sphere, and T5a's swap."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step

    kappa, mu, pull, nu, A = sp.symbols("kappa mu pull nu A_1", positive=True)
    cosines = sp.symbols("s1:5", real=True)  # of one anchor; the first is the other view
    loss = -kappa * cosines[0] + sp.log(sum(sp.exp(kappa * s) for s in cosines))
    softmax = [sp.exp(kappa * s) / sum(sp.exp(kappa * other) for other in cosines) for s in cosines]
    slope = sum(p * s for p, s in zip(softmax, cosines, strict=True)) - cosines[0]
    lower, here, upper = (sp.besseli(nu + shift, kappa) for shift in (-1, 0, 1))
    mean = sp.diff(sp.log(kappa**-nu * here), kappa)  # of s under exp(kappa s) on the sphere
    three = sp.coth(kappa) - 1 / kappa  # A_1 at d = 3
    swap = 1 / (pull * mu * kappa)
    claims = _closed_forms(kappa, pull, mu, A)
    growth = sp.Symbol("A_1'", positive=True)
    drift = sp.diff(swap, kappa) - growth
    agreements = {}
    choices: tuple[tuple[Keys, int], ...] = (("symmetric", 2), ("detached", 1))
    for keys, weight in choices:
        for number, near in (("0.05", 8), ("0.5", 2), ("0.9", 1)):
            numbers = {pull: weight, mu: sp.Rational(number)}
            equation = _closed_forms(kappa, pull, mu, three)["balance"].subs(numbers)
            root = sp.nsolve(equation, kappa, near if weight == 2 else 2 * near, prec=30)

            def code(part: int, rate: float = float(number), keys: Keys = keys) -> float:
                return learned_temperature(rate, dimension=3, keys=keys)[part]

            where = f"learned_temperature, d = 3, rate {number}, {keys} keys"
            agreements[where] = Agreement(partial(code, 0), 1 / root)
            agreements[f"{where}, view cosine"] = Agreement(partial(code, 1), swap.subs({**numbers, kappa: root}))
    return Derivation(
        theorem="T22",
        statement="With a learned temperature the views swap at the cosine A_1(kappa), kappa A_1(kappa) = 1/(pull mu).",
        steps=(
            Step("Per anchor the loss is -kappa s_view + log sum exp(kappa s), kappa = 1/tau. Its slope in kappa is the"
                 " softmax's mean cosine less that of the views, here for four cosines", slope, "dL/dkappa"),
            Step("so kappa grows while the views are closer than that mean, and all cosines equal move it nowhere. In"
                 " the uniform state the mean is the logarithmic derivative of T5's M_0, of kappa^-nu I_nu(kappa):",
                 sp.besseli(nu + 1, kappa) / here, "A_1"),
            Step("which is A_1. Below the edge of T5a the views are together, s_view = 1 > A_1, and kappa grows; above,"
                 " they swap at the cosine", swap, "s_view"),
            Step("which falls in kappa while A_1 grows: their difference has the slope", drift, "slope"),
            Step("and one zero, which attracts. There kappa A_1 = 1/(pull mu):", claims["balance"], "0"),
            Step("the rate that settles at kappa is", claims["rate"], "mu"),
        ),
        zeros={
            "slope of the loss": sp.diff(loss, kappa) - slope,
            "all cosines equal": slope.subs(dict.fromkeys(cosines, cosines[0])),
            "the mean cosine is A_1": (mean - upper / here).subs(lower, upper + 2 * nu / kappa * here),
            "and at d = 3": sp.diff(sp.log(sp.sinh(kappa) / kappa), kappa) - three,
            "balance": claims["balance"] - kappa * (A - swap),
            "rate": claims["balance"].subs(mu, 1 / (pull * kappa * A)) + claims["rate"] - 1 / (pull * kappa * A),
        },
        formulas={
            "balance": claims["balance"],
            "learned_temperature, rate": claims["rate"],
            "view cosine": swap,
            "A_1 at d = 3": three,
        },
        agreements=agreements,
    )  # fmt: skip
