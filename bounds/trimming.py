"""T39: collapse when only the anchors of smallest loss count, which changes who they are from step to step."""

import math
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clopsim.bounds.setting import Gradient, Loss, one_of, positive_number, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

HALVINGS = 200
"""Of the interval of a root: to the last digit from any start."""


class TrimmedCollapse(NamedTuple):
    """Curvatures at complete collapse with a fixed choice of kept anchors, and the pull on either kind."""

    together: float  # kept anchors spread, the two views of a sample alike
    apart: float  # their views apart; merged: as together
    trimmed: float  # trimmed anchors spread
    contrast: float  # the kept ones against the trimmed ones
    pull: float  # z . g of a kept anchor
    trimmed_pull: float


class TrimmedMultipliers(NamedTuple):
    """What one step makes of each direction, in the order of TrimmedCollapse."""

    together: float
    apart: float
    trimmed: float
    contrast: float


def trimmed_collapse(*, samples: int, kept: int, temperature: float, loss: Loss = "merged") -> TrimmedCollapse:
    """Curvatures and pulls of an L-statistic with k of n anchors kept, weight n/k each, at complete collapse.

        kept, merged:  -n (1 + zeta)/(zeta (n-1) tau),   pull ((1 + zeta) n - 2)/(zeta (n-1) tau)
        kept, full:    together the same, apart [2 (n-2) + n (1 - zeta)]/(zeta (n-1) tau),
                       pull -n (1 - zeta)/(zeta (n-1) tau)
        trimmed:       -n/((n-1) tau),                   pull n/((n-1) tau)
        contrast:      -n/(zeta (n-1) tau),              zeta = k/n                                       (tight)

    Valid for: sum over anchors (mean: divide by n), symmetric keys, a fixed choice (ties broken by index), 1 <= k < n;
    full: both views of a sample kept or trimmed. Source: T39 (ours).

    samples: n; kept: k.
    """
    n, k, tau = _allowed(samples, kept, temperature, loss)
    if k == n:
        raise ValueError(f"kept must be below samples = {n}, got {k}; that trims nothing")
    zeta = k / n
    unit = 1 / (zeta * (n - 1) * tau)
    together, trimmed = -n * (1 + zeta) * unit, -n / ((n - 1) * tau)
    if loss == "merged":
        apart, pull = together, ((1 + zeta) * n - 2) * unit
    else:
        apart, pull = (2 * (n - 2) + n * (1 - zeta)) * unit, -n * (1 - zeta) * unit
    return TrimmedCollapse(together, apart, trimmed, -n * unit, pull, -trimmed)


def trimmed_multipliers(
    mu: float, *, samples: int, kept: int, temperature: float, loss: Loss = "merged", gradient: Gradient = "ambient"
) -> TrimmedMultipliers:
    """Factor by which one step multiplies a small deviation from collapse, with a fixed choice of kept anchors.

        tangent: 1 - mu c;     ambient, a the pull:
        kept (1 - mu (c + a))/(1 - mu a),  trimmed 1/(1 - mu a_t),
        contrast 1 + mu m/(1 - mu a) + mu a_t/(1 - mu a_t),  m = n (1 - zeta)/(zeta (n-1) tau)             (tight)

    The two pulls differ, so T27 holds for the first two kinds each with its own, and not for the contrast.
    Valid for: as trimmed_collapse; away from the poles mu a = 1. Source: T39 (ours). mu: learning rate.
    """
    one_of("gradient", gradient, ("ambient", "tangent"))
    found = trimmed_collapse(samples=samples, kept=kept, temperature=temperature, loss=loss)
    if gradient == "tangent":
        return TrimmedMultipliers(*(1 - mu * c for c in found[:4]))
    keep, drop = 1 - mu * found.pull, 1 - mu * found.trimmed_pull
    across = -found.contrast - found.trimmed_pull  # m
    return TrimmedMultipliers(
        1 - mu * found.together / keep,
        1 - mu * found.apart / keep,
        1 / drop,
        1 + mu * across / keep + mu * found.trimmed_pull / drop,
    )


def trimmed_volume(mu: float, *, samples: int, kept: int, temperature: float) -> float:
    """Logarithm of the factor by which one step multiplies the volume of small deviations, for one coordinate.

        (k-1) log |f_kept| + (n-k-1) log |f_trimmed| + log |g|                                            (tight)

    The same for every choice of k anchors, so it holds whatever the ranks do from step to step. Where it is positive,
    collapse cannot attract.

    Valid for: merged loss, ambient step, as trimmed_multipliers. Source: T39 (ours).
    """
    found = trimmed_multipliers(mu, samples=samples, kept=kept, temperature=temperature)
    n, k = samples, kept
    factors = ((k - 1, found.together), (n - k - 1, found.trimmed), (1, found.contrast))
    with np.errstate(divide="ignore"):  # where a factor is 0
        return float(sum(count * np.log(abs(factor)) for count, factor in factors if count))


def trimmed_volume_rate(*, samples: int, kept: int, temperature: float) -> float:
    """Learning rate below which collapse cannot attract, however anchors are ranked, but for a narrow window.

        trimmed_volume = 0;   n -> inf: zeta log |x (1 + zeta)/zeta - 1| + (1 - zeta) log |x - 1| = 0, x = mu/tau > 1
        (zeta = 1/2: mu = 4 tau/3);   k = n: tau (n-1)/(n-2), T4                                            (lower)

    The window lies about trimmed_volume_window, where a step wipes out the contrast, so that the volume says nothing;
    its width falls exponentially in n.

    Valid for: merged loss, sum over anchors (mean: times n), ambient step, n >= 3. Source: T39 (ours).
    """
    n, k, tau = _allowed(samples, kept, temperature, "merged", low=3)
    if k == n:
        return tau * (n - 1) / (n - 2)
    low, high = (n - 1) / n, 4.0 * n  # in units of tau: at the last pole, and far beyond the root, as it falls between

    def volume(x: float) -> float:
        return trimmed_volume(x * tau, samples=n, kept=k, temperature=tau)

    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if low < middle and volume(middle) > 0 else (low, middle)
    return tau * high


def trimmed_volume_window(*, samples: int, kept: int, temperature: float) -> float:
    """The learning rate at which one step makes kept and trimmed anchors coincide, to first order.

        tau [sqrt(M^2 + 4 m b) - M]/(2 m b),  M = 2 (k-1)/(zeta (n-1)),  m = n (1 - zeta)/(zeta (n-1)),
        b = n/(n-1)                                                                                         (tight)

    Valid for: as trimmed_volume_rate, k < n. Source: T39 (ours).
    """
    n, k, tau = _allowed(samples, kept, temperature, "merged", low=3)
    if k == n:
        raise ValueError(f"kept must be below samples = {n}, got {k}; that trims nothing")
    zeta = k / n
    within, out, across = 2 * (k - 1) / (zeta * (n - 1)), n * (1 - zeta) / (zeta * (n - 1)), n / (n - 1)
    return tau * (math.sqrt(within**2 + 4 * out * across) - within) / (2 * out * across)


def frozen_trimming_rate(*, samples: int, kept: int, temperature: float, loss: Loss = "merged") -> float | None:
    """Learning rate above which collapse attracts if the choice of anchors never changes; None where it does at none.

        merged: the larger of tau [S + sqrt(S^2 - 8 M b)]/(2 M b) (contrast) and 2 tau zeta (n-1)/(n + k - 4) (kept),
                S = M + A + b,  M = 2 (k-1)/(zeta (n-1)),  b = n/(n-1),  A = ((1 + zeta) n - 2)/(zeta (n-1));
                trimmed ones come in before the contrast, at 2 tau/b;  k = 1: never
        n -> inf: tau [(3 + alpha) + sqrt((3 + alpha)^2 - 16)]/4, alpha = (1 + zeta)/zeta;  k = n: T4        (tight)
        full, k >= 4: never: the kept samples spread at every rate, as their pull is outward

    Valid for: sum over anchors (mean: times n), ambient step (tangent: never), n >= 3. Source: T39 (ours).
    """
    n, k, tau = _allowed(samples, kept, temperature, loss, low=3)
    if loss == "full" and k < 4:
        raise ValueError(f"kept must be >= 4 for the full loss, got {k}; one sample has nobody to spread from")
    if loss == "full" or k == 1:
        return None
    if k == n:
        return tau * (n - 1) / (n - 2)
    zeta = k / n
    pull, within, across = ((1 + zeta) * n - 2) / (zeta * (n - 1)), 2 * (k - 1) / (zeta * (n - 1)), n / (n - 1)
    total = within + pull + across
    contrast = (total + math.sqrt(total**2 - 8 * within * across)) / (2 * within * across)
    return tau * max(contrast, 2 * zeta * (n - 1) / (n + k - 4))


def _allowed(samples: int, kept: int, temperature: float, loss: Loss, *, low: int = 2) -> tuple[int, int, float]:
    n, k = whole_number("samples", samples, low=low), whole_number("kept", kept, low=1)
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    one_of("loss", loss, ("merged", "full"))
    if k > n:
        raise ValueError(f"kept must be <= samples = {n}, got {k}; it is the number of anchors that count")
    for name, value in (("samples", n), ("kept", k)):
        if loss == "full" and value % 2:
            raise ValueError(f"{name} must be even for the full loss, got {value}; it counts both views")
    return n, k, float(temperature)


def _closed_forms(n: "sp.Expr", k: "sp.Expr", tau: "sp.Expr", mu: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name."""
    import sympy as sp

    zeta = k / n
    unit = 1 / (zeta * (n - 1) * tau)
    kept, apart = -n * (1 + zeta) * unit, (2 * (n - 2) + n * (1 - zeta)) * unit
    pull, full_pull, trimmed_pull = ((1 + zeta) * n - 2) * unit, -n * (1 - zeta) * unit, n / ((n - 1) * tau)
    M, A, b, m = (tau * value for value in (2 * (k - 1) * unit, pull, trimmed_pull, n * (1 - zeta) * unit))
    total = M + A + b
    keep, full_keep, drop = 1 - mu * pull, 1 - mu * full_pull, 1 - mu * trimmed_pull
    return {
        "kept": kept,
        "apart": apart,
        "trimmed": -trimmed_pull,
        "contrast": -n * unit,
        "pull": pull,
        "pull, full": full_pull,
        "trimmed pull": trimmed_pull,
        "kept factor": (1 - mu * (kept + pull)) / keep,
        "kept factor, full": (1 - mu * (kept + full_pull)) / full_keep,
        "apart factor": (1 - mu * (apart + full_pull)) / full_keep,
        "trimmed factor": 1 / drop,
        "contrast factor": 1 + mu * m / tau / keep + mu * trimmed_pull / drop,
        "contrast factor, full": 1 + mu * m / tau / full_keep + mu * trimmed_pull / drop,
        "frozen: contrast": tau * (total + sp.sqrt(total**2 - 8 * M * b)) / (2 * M * b),
        "frozen: kept": 2 * tau * zeta * (n - 1) / (n + k - 4),
        "window": tau * (sp.sqrt(M**2 + 4 * m * b) - M) / (2 * m * b),
        "all kept": tau * (n - 1) / (n - 2),
    }


def _agreements(claims: "dict[str, sp.Expr]", symbols: "tuple[sp.Symbol, ...]") -> "dict[str, Agreement]":
    """The code beside the derivation: both losses, both gradients, few and many kept, and the ends."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement

    n, k, tau, mu = symbols
    named: dict[Loss, tuple[str, ...]] = {
        "merged": ("kept", "kept", "trimmed", "contrast", "pull", "trimmed pull"),
        "full": ("kept", "apart", "trimmed", "contrast", "pull, full", "trimmed pull"),
    }
    factors: dict[Loss, tuple[str, ...]] = {
        "merged": ("kept factor", "kept factor", "trimmed factor", "contrast factor"),
        "full": ("kept factor, full", "apart factor", "trimmed factor", "contrast factor, full"),
    }
    found = {}
    for (count, kept), loss in product(((12, 8), (16, 4)), named):
        here = {n: count, k: kept, tau: sp.Rational(2, 5), mu: sp.Rational(9, 10)}
        options = {"samples": count, "kept": kept, "temperature": 0.4}
        where = f"n = {count}, k = {kept}, {loss}"
        for place, name in enumerate(named[loss]):
            found[f"trimmed_collapse, {place}, {where}"] = Agreement(
                lambda options=options, loss=loss, place=place: trimmed_collapse(**options, loss=loss)[place],  # type: ignore[misc]
                claims[name].subs(here),
            )
        for (place, name), gradient in product(enumerate(factors[loss]), ("ambient", "tangent")):
            derived = claims[name] if gradient == "ambient" else 1 - mu * claims[named[loss][place]]
            found[f"trimmed_multipliers, {place}, {where}, {gradient}"] = Agreement(
                lambda options=options, loss=loss, gradient=gradient, place=place: trimmed_multipliers(  # type: ignore[misc]
                    0.9, **options, loss=loss, gradient=gradient
                )[place],
                derived.subs(here),
            )
    for count, kept in ((12, 8), (12, 11), (16, 4), (3, 2), (5, 5)):
        here = {n: count, k: kept, tau: sp.Rational(2, 5), mu: sp.Rational(9, 10)}
        options = {"samples": count, "kept": kept, "temperature": 0.4}
        where = f"n = {count}, k = {kept}"
        if kept == count:
            rate = all_kept = claims["all kept"].subs(here)
            found[f"trimmed_volume_rate, {where}"] = Agreement(partial(trimmed_volume_rate, **options), all_kept)  # type: ignore[arg-type]
        else:
            rate = sp.Max(claims["frozen: contrast"].subs(here), claims["frozen: kept"].subs(here))
            powers = {"kept factor": kept - 1, "trimmed factor": count - kept - 1, "contrast factor": 1}
            volume = sum(power * sp.log(sp.Abs(claims[name])) for name, power in powers.items())
            found[f"trimmed_volume, {where}"] = Agreement(partial(trimmed_volume, 0.9, **options), volume.subs(here))  # type: ignore[arg-type]
            found[f"trimmed_volume_window, {where}"] = Agreement(
                partial(trimmed_volume_window, **options),  # type: ignore[arg-type]
                claims["window"].subs(here),
            )
            # at the rate itself the derived volume vanishes: exp of it is 1
            found[f"trimmed_volume_rate, {where}"] = Agreement(
                lambda options=options, volume=volume, here=here: float(  # type: ignore[misc]
                    sp.exp(volume.subs({**here, mu: trimmed_volume_rate(**options)}))
                ),
                1.0,
                tolerance=1e-11,
            )
        found[f"frozen_trimming_rate, {where}"] = Agreement(partial(frozen_trimming_rate, **options), rate)  # type: ignore[arg-type]
    found["frozen_trimming_rate, k = 1"] = Agreement(
        partial(frozen_trimming_rate, samples=8, kept=1, temperature=0.4), None
    )
    found["frozen_trimming_rate, full"] = Agreement(
        partial(frozen_trimming_rate, samples=8, kept=4, temperature=0.4, loss="full"), None
    )
    return found


def derive() -> "Derivation":
    """Kept and trimmed anchors moved along a circle, a few at a time; the rest of them coincide."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    n, k, tau, mu, x, zeta = sp.symbols("n k tau mu x zeta", positive=True)
    eps, t = sp.symbols("epsilon t", real=True)
    q = sp.symbols("q_1:4", positive=True)
    claims = _closed_forms(n, k, tau, mu)
    cos, cos2 = sp.cos(eps), sp.cos(2 * eps)
    one = sp.Integer(1)

    def lse(*groups: "tuple[sp.Expr, sp.Expr]") -> sp.Expr:
        return sp.log(sum(count * sp.exp(cosine / tau) for count, cosine in groups))

    def bent(loss: sp.Expr) -> sp.Expr:
        """Second derivative of the L-statistic, whose weights are n/k."""
        return (n / k * loss).diff(eps, 2).subs(eps, 0)

    def scaled(loss: sp.Expr) -> sp.Expr:
        return (n / k * loss).diff(t).subs(t, 0)

    pair = lse((one, cos2), (n - 2, cos))  # one of two embeddings at +-eps
    beside = lse((2 * one, cos), (n - 3, one))  # one of the others
    two = lse((one, one), (2 * one, cos2), (n - 4, cos))  # one of four: two samples at +-eps, views alike
    beside_four = lse((4 * one, cos), (n - 5, one))
    turned = lse((k - 1, one), (n - k, sp.cos(n * eps)))  # kept ones by (n-k) eps, trimmed ones by -k eps
    long = lse((one, 1 + t), (n - 2, one))  # another anchor, one row longer
    own = lse((n - 1, 1 + t))
    keep, drop = 1 - mu * claims["pull"], 1 - mu * claims["trimmed pull"]
    m = -claims["contrast"] - claims["trimmed pull"]
    across = sp.Matrix([
        [(1 - mu * (claims["pull"] - m)) / keep, -mu * m / keep],
        [-mu * claims["trimmed pull"] / drop, 1 / drop],
    ])  # fmt: skip
    # of the roots of (contrast factor) = 0 and = -1, multiplied out
    multiplied = sp.together(claims["contrast factor"])
    numerator, denominator = sp.fraction(multiplied)
    flips = numerator + denominator
    alpha = (1 + zeta) / zeta
    limit = ((3 + alpha) + sp.sqrt((3 + alpha) ** 2 - 16)) / 4
    volume = zeta * sp.log(x * alpha - 1) + (1 - zeta) * sp.log(1 - x)
    highest = 2 * zeta / (1 + zeta)
    rank = t * q[0] / (2 * tau) + sp.log(sum(sp.exp(-t * each / (2 * tau)) for each in q) / 3)

    def large(expression: sp.Expr) -> sp.Expr:
        """n -> inf at fixed share and mu = x tau."""
        return sp.limit(sp.simplify(expression.subs({k: zeta * n, mu: x * tau})), n, sp.oo)

    return Derivation(
        theorem="T39",
        statement="Trimming the anchors of largest loss raises the rate above which collapse attracts the merged loss,"
        " since every choice of anchors multiplies volumes alike; the full loss is not attracted by a fixed choice.",
        steps=(
            Step("k of the n anchors count, each n/k; at collapse all gradients are equal but for that. Two kept ones"
                 " at +-eps, the rest at 0; merged and full together alike", claims["kept"], "c"),
            Step("The two views of a kept sample at +-eps, full", claims["apart"], "c"),
            Step("Two trimmed ones, which are keys alone", claims["trimmed"], "c"),
            Step("All kept ones against all trimmed ones", claims["contrast"], "c"),
            Step("One row made longer gives the pulls: kept, merged", claims["pull"], "a"),
            Step("kept, full: outward", claims["pull, full"], "a"),
            Step("trimmed", claims["trimmed pull"], "a_t"),
            Step("An ambient step is delta_i - mu (M delta)_i, over 1 - mu a_i. Inside either kind this is T27's"
                 " factor; across, one of two eigenvalues is 1, a turn of all, and the other",
                 claims["contrast factor"], "m"),
            Step("Which anchors are kept changes from step to step, to the ones with small losses: by"
                 " |delta_i - delta_j(i)|^2 less the mean of |delta_i - delta_a|^2, over 2 tau, so the outlying ones."
                 " But the determinant of a step is the same for every choice. Where it is above 1 in size, no sequence"
                 " of choices lets all deviations shrink. n -> inf, x = mu/tau: its logarithm over -n is",
                 volume, "-log|det|/n"),
            Step("which is below 0 for all x < 1, its largest value there at", highest, "x"),
            Step("and vanishes at one x > 1, as both terms rise there; zeta = 1/2: x = 4/3"),
            Step("At one rate the contrast is wiped out, and the determinant with it", claims["window"], "mu"),
            Step("A fixed choice attracts above the larger of: contrast factor -1", claims["frozen: contrast"], "mu"),
            Step("kept factor -1", claims["frozen: kept"], "mu"),
            Step("The trimmed factor passes -1 before, at 2/a_t: there the contrast is below -1 still, by"
                 " 2m/(2a - a_t)"),
            Step("Full loss: with the outward pull the kept samples' factor is above 1 at every rate"),
        ),
        zeros={
            "kept": bent(2 * pair + (k - 2) * beside) / 2 - claims["kept"],
            "full, together": bent(4 * two + (k - 4) * beside_four) / 4 - claims["kept"],
            "full, apart": bent(2 * (pair - cos2 / tau) + (k - 2) * beside) / 2 - claims["apart"],
            "trimmed": bent(k * beside) / 2 - claims["trimmed"],
            "contrast": bent(k * turned) / (k * (n - k) * n) - claims["contrast"],
            "pull": scaled(own + (k - 1) * long) - claims["pull"],
            "pull, full": scaled(own + (k - 1) * long - 2 * (1 + t) / tau) - claims["pull, full"],
            "trimmed pull": scaled(k * long) - claims["trimmed pull"],
            "kept factor": (1 + 2 * mu * n / (k * (n - 1) * tau)) / keep - claims["kept factor"],
            "trimmed factor": (1 - mu * (claims["trimmed"] + claims["trimmed pull"])) / drop - claims["trimmed factor"],
            "across: a turn of all": across[0, 0] + across[0, 1] - 1,
            "across: trace": across.trace() - 1 - claims["contrast factor"],
            "across, full: trace": (1 - mu * (claims["pull, full"] - m)) / (1 - mu * claims["pull, full"])
            + 1 / drop - 1 - claims["contrast factor, full"],
            "losses near collapse": rank.diff(t).subs(t, 0) - (q[0] - sum(q) / 3) / (2 * tau),
            "volume, n -> inf: kept": large(claims["kept factor"]) * (1 - x * alpha) - 1,
            "volume, n -> inf: trimmed": large(claims["trimmed factor"]) * (1 - x) - 1,
            "volume: largest below 1": volume.diff(x).subs(x, highest),
            "volume: there": sp.exp(volume.subs(x, highest) / (1 - zeta)) - (1 - zeta) / (1 + zeta),
            "volume, zeta = 1/2": sp.exp(2 * volume.subs({zeta: sp.Rational(1, 2), x: sp.Rational(4, 3)}))
            + 1,  # (1 - x) < 0: the size is 1
            "window": numerator.subs(mu, claims["window"]),
            "frozen: contrast": flips.subs(mu, claims["frozen: contrast"]),
            "frozen: kept": claims["kept factor"].subs(mu, claims["frozen: kept"]) + 1,
            "frozen: trimmed ones come in before": claims["contrast factor"].subs(mu, 2 / claims["trimmed pull"])
            + 1 + 2 * m / (2 * claims["pull"] - claims["trimmed pull"]),
            "frozen, n -> inf": 2 * limit**2 - (3 + alpha) * limit + 2,
            "frozen, n -> inf: the equation": large(flips / denominator) * (1 - alpha * x) * (1 - x)
            - (2 * x**2 - (3 + alpha) * x + 2),
            "all kept": claims["kept factor"].subs(k, n).subs(mu, claims["all kept"]) + 1,
            "full: kept factor less 1": (claims["kept factor, full"] - 1) * (1 - mu * claims["pull, full"])
            + mu * claims["kept"],
        },
        formulas=claims,
        agreements=_agreements(claims, (n, k, tau, mu)),
    )  # fmt: skip
