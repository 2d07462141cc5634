"""T40: noise on embeddings is temperature, and an adversary who pays entropy shifts the inverse of every curvature."""

import math
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from clopsim.bounds.setting import Loss, number_from_zero, one_of, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

MOST_STEPS = 10**6
"""Of ascent: each is a term of a sum."""

SMALL = 0.1
"""|theta| below which the moments are summed as a series: there the closed forms cancel, and four terms suffice."""


class NoisyCollapse(NamedTuple):
    """Curvatures at complete collapse under noise, to order sigma^2, and the pull there."""

    together: float  # embeddings spread, views alike
    apart: float  # views apart; merged: as together
    pull: float


def noise_temperature(temperature: float, *, dimension: int, sigma: float) -> float:
    """The temperature that noise acts as, in high dimension.

        tau (1 + nu),  nu = (d-1) sigma^2                               (d -> inf at fixed nu; fluctuations d^(-1/2))

    Perturbed points z + sigma r, renormalised, have cosines s/(1 + nu). So T2 to T4 hold with it, and the loss itself.

    Valid for: isotropic noise of deviation sigma per coordinate, independent for every embedding, any loss of cosines
    over tau. Source: T40 (ours).
    """
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    return temperature * (1 + (whole_number("dimension", dimension, low=2) - 1) * _deviation(sigma) ** 2)


def noisy_collapse(
    *, samples: int, dimension: int, temperature: float, sigma: float, loss: Loss = "merged"
) -> NoisyCollapse:
    """Curvatures and pull at complete collapse of the expected loss under noise.

        together: -(2n/(tau (n-1))) [1 - nu - (3/2) (n-2) sigma^2/(tau (n-1))],  nu = (d-1) sigma^2
        apart, full: that + (4/tau) (1 - nu);   pull: merged (2/tau) (1 - nu), full 0        (to order sigma^2)

    Valid for: sum over anchors (mean: divide by n), symmetric keys; noise as for noise_temperature, relative to the
    length of a row in the ambient gradient. Source: T40 (ours). samples: n >= 3.
    """
    n, d = whole_number("samples", samples, low=3), whole_number("dimension", dimension, low=2)
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    one_of("loss", loss, ("merged", "full"))
    if loss == "full" and n % 2:
        raise ValueError(f"samples must be even for the full loss, got {n}; it counts both views")
    variance = _deviation(sigma) ** 2
    kept = 1 - (d - 1) * variance
    together = -2 * n / (temperature * (n - 1)) * (kept - 1.5 * (n - 2) * variance / (temperature * (n - 1)))
    if loss == "merged":
        return NoisyCollapse(together, together, 2 / temperature * kept)
    return NoisyCollapse(together, together + 4 / temperature * kept, 0.0)


def noisy_collapse_rate(*, samples: int, dimension: int, temperature: float, sigma: float) -> float:
    """Learning rate above which collapse attracts the merged loss in the mean over the noise.

        tau (n-1)/(n-2) / (1 - nu + (3/2) n sigma^2/((n-1) tau)),  nu = (d-1) sigma^2      (to order sigma^2)

    Noise raises it while (d-1) tau > (3/2) n/(n-1), else lowers it. A single draw is not stationary at collapse: a run
    with fresh noise is drawn near it, not to it.

    Valid for: sum over anchors (mean: times n), ambient step, nu well below 1. Source: T40 (ours).
    """
    found = noisy_collapse(samples=samples, dimension=dimension, temperature=temperature, sigma=sigma)
    total = found.together + 2 * found.pull
    if not total > 0:
        raise ValueError(f"sigma must leave (d-1) sigma^2 well below 1, got {sigma}; use noise_temperature")
    return 2 / total


def adversarial_curvature(curvature: float, *, reach: float, steps: int | None = None) -> float | None:
    """Curvature of a loss at a stationary state when an adversary moves the embeddings; None where he runs away.

        1/c' = 1/c - sigma^2/lambda;   after k steps of ascent c (1 - a^(2k+1))/(1 - a),  a = c sigma^2/lambda  (tight)

    For c > 0 it grows without end as a nears 1, where the adversary runs away; for c < 0 it stays above
    -lambda/sigma^2, so he slows an escape and stops none.

    Valid for: largest expected loss plus lambda times entropy relative to N(0, sigma^2), near a state where the loss is
    quadratic; clopsim.losses.adversarial, which has k = 1 by default. Source: T40 (ours).

    curvature: of the sum over anchors; reach: sigma^2/lambda >= 0; steps: k, None for the best move.
    """
    _finite(curvature)
    number_from_zero("reach", reach, remedy="0 leaves the loss as it is")
    a = curvature * reach
    if steps is None:
        return curvature / (1 - a) if a < 1 else None
    whole_number("steps", steps, low=1, high=MOST_STEPS)
    return curvature * math.fsum(a**power for power in range(2 * steps + 1))


def adversarial_rate(curvature: float, *, reach: float) -> float | None:
    """Learning rate below which a direction of curvature c is stable under an adversary; None where it never is.

        2/c - 2 sigma^2/lambda,  c > 0, while positive                                                     (tight)

    Valid for: adversarial_curvature with the best move, no pull (bounds.critical_rate takes one). Source: T40 (ours).
    """
    shifted = adversarial_curvature(curvature, reach=reach)
    if curvature <= 0 or shifted is None:
        return None
    return 2 / shifted


def entropic_mean(theta: float) -> float:
    """Mean of u on [-1, 1] under the adversary's best law for a linear loss.

        coth theta - 1/theta,  theta = g epsilon D/lambda                                                  (tight)

    The best law has the density e^(theta u) on each coordinate of the box, u = delta/epsilon.

    Valid for: a loss of slope g, D coordinates whose mean entropy weighs lambda. Source: T40 (ours). theta: any number.
    """
    _finite(theta, "theta")
    if abs(theta) < SMALL:
        square = theta**2
        return theta * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
    return 1 / math.tanh(theta) - 1 / theta


def entropic_deviation(theta: float) -> float:
    """Standard deviation of u on [-1, 1] under the adversary's best law for a linear loss.

        sqrt(1/theta^2 - 1/sinh^2 theta);   1/sqrt(3) as theta -> 0, 1/|theta| for large ones              (tight)

    Never 0: entropy keeps the law from a point. Valid for, source, theta: as entropic_mean.
    """
    _finite(theta, "theta")
    size = abs(theta)
    if size < SMALL:
        square = theta**2
        return math.sqrt(1 / 3 - square * (1 / 15 - square * (2 / 189 - square / 675)))
    ratio = 2 * size * math.exp(-size) / math.expm1(-2 * size)  # -theta/sinh theta; sinh may overflow
    return math.sqrt(1 - ratio**2) / size


def _deviation(sigma: float) -> float:
    number_from_zero("sigma", sigma, remedy="it is the standard deviation of a coordinate")
    return float(sigma)


def _finite(value: float, name: str = "curvature") -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}; it is a number of the loss at one state")


def _closed_forms(
    n: "sp.Expr", d: "sp.Expr", tau: "sp.Expr", v: "sp.Expr", c: "sp.Expr", r: "sp.Expr", theta: "sp.Expr", k: "sp.Expr"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name; v = sigma^2, r = sigma^2/lambda."""
    import sympy as sp

    kept, a = 1 - (d - 1) * v, c * r
    together = -2 * n / (tau * (n - 1)) * (kept - sp.Rational(3, 2) * (n - 2) * v / (tau * (n - 1)))
    return {
        "temperature": tau * (1 + (d - 1) * v),
        "together": together,
        "apart": together + 4 / tau * kept,
        "pull": 2 / tau * kept,
        "rate": tau * (n - 1) / (n - 2) / (kept + sp.Rational(3, 2) * n * v / ((n - 1) * tau)),
        "curvature": 1 / (1 / c - r),
        "curvature, k steps": c * (1 - a ** (2 * k + 1)) / (1 - a),
        "stable rate": 2 / c - 2 * r,
        "mean": sp.coth(theta) - 1 / theta,
        "variance": 1 / theta**2 - 1 / sp.sinh(theta) ** 2,
    }


def _agreements(claims: "dict[str, sp.Expr]", symbols: "tuple[sp.Symbol, ...]") -> "dict[str, Agreement]":
    """The code beside the derivation, in every branch."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement

    n, d, tau, v, c, r, theta, k = symbols
    found = {}
    for count, dimension in ((8, 4), (12, 9)):
        here = {n: count, d: dimension, tau: sp.Rational(2, 5), v: sp.Rational(1, 100)}
        options = {"samples": count, "dimension": dimension, "temperature": 0.4, "sigma": 0.1}
        where = f"n = {count}, d = {dimension}"
        found[f"noise_temperature, {where}"] = Agreement(
            partial(noise_temperature, 0.4, dimension=dimension, sigma=0.1), claims["temperature"].subs(here)
        )
        names: dict[Loss, tuple[sp.Expr, ...]] = {
            "merged": (claims["together"], claims["together"], claims["pull"]),
            "full": (claims["together"], claims["apart"], sp.Integer(0)),
        }
        for loss, place in product(names, range(3)):
            found[f"noisy_collapse, {NoisyCollapse._fields[place]}, {loss}, {where}"] = Agreement(
                lambda options=options, loss=loss, place=place: noisy_collapse(**options, loss=loss)[place],  # type: ignore[misc]
                names[loss][place].subs(here),
            )
        found[f"noisy_collapse_rate, {where}"] = Agreement(
            partial(noisy_collapse_rate, **options),  # type: ignore[arg-type]
            claims["rate"].subs(here),
        )
    for value in (sp.Rational(3), sp.Rational(-3), sp.Rational(12)):
        here = {c: value, r: sp.Rational(1, 10)}
        away = value / 10 >= 1
        found[f"adversarial_curvature, c = {value}"] = Agreement(
            partial(adversarial_curvature, float(value), reach=0.1), None if away else claims["curvature"].subs(here)
        )
        for count in (1, 4):
            found[f"adversarial_curvature, c = {value}, k = {count}"] = Agreement(
                partial(adversarial_curvature, float(value), reach=0.1, steps=count),
                claims["curvature, k steps"].subs({**here, k: count}),
            )
        found[f"adversarial_rate, c = {value}"] = Agreement(
            partial(adversarial_rate, float(value), reach=0.1),
            claims["stable rate"].subs(here) if value > 0 and not away else None,
        )
    for value in (sp.Rational(1, 1000), sp.Rational(-99, 1000), sp.Rational(11, 100), sp.Rational(-3), sp.Rational(50)):
        moments = {name: sp.N(claims[name].subs(theta, value), 40) for name in ("mean", "variance")}
        found[f"entropic_mean, theta = {value}"] = Agreement(
            partial(entropic_mean, float(value)), moments["mean"], 1e-11
        )
        found[f"entropic_deviation, theta = {value}"] = Agreement(
            partial(entropic_deviation, float(value)), sp.sqrt(moments["variance"]), 1e-11
        )
    return found


def derive() -> "Derivation":
    """The mean over noise is half its variance times the second derivatives; a quadratic loss; a linear one."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    n, d, tau, v, r, theta, k, lam = sp.symbols("n d tau sigma^2 r theta k lambda", positive=True)
    c, x, delta, eps, s, u = sp.symbols("c x delta epsilon s u", real=True)
    levels = sp.symbols("l_1:4", real=True)
    claims = _closed_forms(n, d, tau, v, c, r, theta, k)
    one = sp.Integer(1)

    def lse(*groups: "tuple[sp.Expr, sp.Expr]") -> sp.Expr:
        return sp.log(sum(count * sp.exp(cosine / tau) for count, cosine in groups))

    def other_moves(near: sp.Expr, far: sp.Expr, own: sp.Expr) -> sp.Expr:
        """Two embeddings at +-eps; a third at 0 has moved: its cosines to the two, and to the n - 3 others."""
        cos, cos2 = sp.cos(eps), sp.cos(2 * eps)
        return (
            lse((one, cos2), (one, near), (n - 3, cos))
            + lse((one, cos2), (one, far), (n - 3, cos))
            + lse((one, near), (one, far), (n - 3, own))
            + (n - 3) * lse((2 * one, cos), (one, own), (n - 4, one))
        )

    def one_moves(partner: sp.Expr, rest: sp.Expr) -> sp.Expr:
        """The one at +eps has moved: its cosines to the one at -eps and to the n - 2 others."""
        cos = sp.cos(eps)
        return (
            lse((one, partner), (n - 2, rest))
            + lse((one, partner), (n - 2, cos))
            + (n - 2) * lse((one, rest), (one, cos), (n - 3, one))
        )

    def by_noise(loss: sp.Expr) -> sp.Expr:
        return v / 2 * loss.diff(s, 2).subs(s, 0)

    cos, cos2, out = sp.cos(eps), sp.cos(2 * eps), sp.cos(s)
    still = other_moves(cos, cos, one)
    noisy = (
        still
        + (n - 2) * by_noise(other_moves(sp.cos(eps - s), sp.cos(eps + s), out))
        + (n - 2) * (d - 2) * by_noise(other_moves(cos * out, cos * out, out))
        + 2 * by_noise(one_moves(sp.cos(2 * eps + s), sp.cos(eps + s)))
        + 2 * (d - 2) * by_noise(one_moves(cos2 * out, cos * out))
    )
    pair = -2 * (cos2 + 2 * by_noise(sp.cos(2 * eps + s)) + 2 * (d - 2) * by_noise(cos2 * out)) / tau
    at_collapse = n * (
        lse((n - 1, one)) + by_noise(lse((n - 1, out)) + (n - 1) * lse((one, out), (n - 2, one))) * (d - 1)
    )
    pull = -2 * tau * at_collapse.diff(tau) / n
    a = c * r
    best = a * x / (1 - a)
    gain = c / 2 * (x + delta) ** 2 - delta**2 / (2 * r)
    kth = x * (1 - a ** (k + 1)) / (1 - a) - x
    law = [sp.exp(level / lam) for level in levels]
    total = sum(law)
    value = sum(p / total * level for p, level in zip(law, levels, strict=True)) - lam * sum(
        p / total * (level / lam - sp.log(total)) for p, level in zip(law, levels, strict=True)
    )
    moment = sp.log(2 * sp.sinh(theta) / theta)
    return Derivation(
        theorem="T40",
        statement="Noise on embeddings acts as temperature tau (1 + (d-1) sigma^2); an adversary who pays entropy turns"
        " a curvature c into 1/(1/c - sigma^2/lambda), so a stable rate falls by 2 sigma^2/lambda.",
        steps=(
            Step("To order sigma^2 the mean over noise adds sigma^2/2 times the sum of the second derivatives in every"
                 " direction of every embedding. Merged, two embeddings at +-eps, the others at 0",
                 claims["together"], "c"),
            Step("The attraction of two views is multiplied by 1 - nu, nu = (d-1) sigma^2; views apart, full",
                 claims["apart"], "c"),
            Step("All rows longer by 1 + t are 1/tau larger by (1 + t)^2; the pull is a share of the slope",
                 claims["pull"], "a"),
            Step("T4's rate 2/(c + 2a) becomes", claims["rate"], "mu"),
            Step("In high dimension |z + sigma r|^2 is 1 + nu, noise orthogonal to all else: cosines are s/(1 + nu)",
                 claims["temperature"], "tau'"),
            Step("The largest E_p[l] + lambda H(p) is lambda log of the sum or integral of e^(l/lambda), at p"
                 " proportional to it: no point for lambda > 0"),
            Step("Against N(0, sigma^2), r = sigma^2/lambda, and for l = c x^2/2 the exponent is quadratic, its top at",
                 best, "delta"),
            Step("where it is c' x^2/2 with", claims["curvature"], "c'"),
            Step("k steps delta <- r c (x + delta) from 0 reach", claims["curvature, k steps"], "c'"),
            Step("The stable rate 2/c' is", claims["stable rate"], "2/c'"),
            Step("For a linear loss on a box the best law is e^(theta u) on every coordinate; its logarithmic total has"
                 " the slope", claims["mean"], "slope"),
            Step("and the second derivative", claims["variance"], "second derivative"),
        ),
        zeros={
            "together": noisy.diff(eps, 2).subs(eps, 0) / 2 - claims["together"],
            "apart": (noisy + pair).diff(eps, 2).subs(eps, 0) / 2 - claims["apart"],
            "attraction": pair + 2 * cos2 * (1 - (d - 1) * v) / tau,
            "pull": pull - claims["pull"],
            "rate": 2 / (claims["together"] + 2 * claims["pull"]) - claims["rate"],
            "temperature": sp.series(1 / claims["temperature"], v, 0, 2).removeO() - claims["pull"] / 2,
            "entropy: dual": value - lam * sp.log(total),
            "best move": gain.diff(delta).subs(delta, best),
            "its value": gain.subs(delta, best) - claims["curvature"] * x**2 / 2,
            "Gaussian law": gain - (claims["curvature"] * x**2 / 2 - (1 / r - c) / 2 * (delta - best) ** 2),
            "a step": r * c * (x + kth) - kth.subs(k, k + 1),
            "k steps, value": gain.subs(delta, kth) - claims["curvature, k steps"] * x**2 / 2,
            "stable rate": 2 / claims["curvature"] - claims["stable rate"],
            "bound for c < 0": sp.limit(claims["curvature"], c, -sp.oo) + 1 / r,
            "linear loss: total": sp.integrate(sp.exp(theta * u), (u, -1, 1)) - sp.exp(moment).rewrite(sp.exp),
            "mean": (moment.diff(theta) - claims["mean"]).rewrite(sp.exp),
            "variance": (moment.diff(theta, 2) - claims["variance"]).rewrite(sp.exp),
            "variance, theta -> 0": sp.series(claims["variance"], theta, 0, 2).removeO() - sp.Rational(1, 3),
        },
        formulas=claims,
        agreements=_agreements(claims, (n, d, tau, v, c, r, theta, k)),
    )  # fmt: skip
