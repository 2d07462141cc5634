"""T12: when the antipodal line attracts: all first views of the full loss at one point, all second views opposite."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clopsim.bounds.setting import Floats, Setting, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def antipodal_line_rate(setting: Setting) -> Floats | None:
    """Learning rate above which the antipodal line attracts; None where it never does.

        mu_line = (2 tau / pull) [(N - 1) + N q] / [(N - 2) - N q],   q = e^(-2/tau), N = n/2                 (tight)

    which tends to tau coth(1/tau) for the sum with symmetric keys as N -> infinity. With momentum beta

        mu_line = (2 tau / pull) (1 - beta^2) [(N - 1) + N q] / [2 (1 - beta)(N - 1) - (1 + beta) N (1 + q)]  (tight)

    and never from beta = 1/3 on, whatever the batch and the temperature. Up to the uniform state's alignment
    rate (T5a) above it both states attract: the start decides.

    Valid for: the full loss with the ambient gradient; of several temperatures those at which it never attracts, where
    the last bracket is <= 0, are inf. Source: T12 (ours).
    """
    if why_line_never_attracts(setting):
        return None
    margin, beta = _margin(setting), setting.momentum
    N, q = _half(setting), np.exp(-2 / np.asarray(setting.tau))
    with np.errstate(divide="ignore"):
        x = 2 * (1 - beta**2) * np.where(margin > 0, ((N - 1) + N * q) / margin, np.inf)
    rate = x / setting.pull * setting.tau
    return float(rate) if np.ndim(rate) == 0 else rate


def why_line_never_attracts(setting: Setting) -> str:
    """The reason in one clause, empty where the line attracts above some rate (at some of the temperatures)."""
    if setting.loss == "merged":
        return "the merged loss has no views"
    if setting.gradient == "tangent":
        return "the line never attracts: tangent steps descend, and the loss is largest there (T11)"
    if np.all(_margin(setting) <= 0):
        if setting.momentum:
            return "the line never attracts with this momentum: it needs beta below 1/3, less with few samples (T12)"
        return "the line never attracts with so few samples at this temperature: N - 2 <= N e^(-2/tau), N = n/2"
    return ""


class LineMultipliers(NamedTuple):
    """Factors by which one step multiplies the perturbations of the antipodal line, relative to the line itself."""

    together: Floats  # samples spread, the two views of each shifted alike; binds first
    apart: Floats  # samples spread, the two views of each shifted oppositely, so that they stay antipodal
    common: Floats  # all embeddings shifted alike: the two ends bend towards each other


def line_multipliers(rate: Floats, setting: Setting) -> LineMultipliers:
    """The three multipliers at the antipodal line; a rotation of the line, the fourth, has 1.

        together: [1 + x (1 + P_in)] / r,   apart: [1 - x (1 - P_in)] / r,   common: 1 / r,   r = 1 - x (1 + a)

    with x = pull mu/tau, q = e^(-2/tau), P_in = 1/((N - 1) + N q), P_out = q P_in, a = (N - 1) P_in - N P_out  (tight,
    first order in the perturbation). r < 0 mirrors the line, and every cosine stays.

    Valid for: the full loss, the ambient gradient. Source: T12 (ours). rate and the setting's temperatures broadcast.
    """
    if setting.loss != "full" or setting.gradient != "ambient":
        raise ValueError(
            f"loss and gradient must be full and ambient, got {setting.loss!r} and {setting.gradient!r}; "
            "elsewhere the line never attracts"
        )
    without_momentum(setting)
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    N, q = _half(setting), np.exp(-2 / np.asarray(setting.tau))
    P_in = 1 / ((N - 1) + N * q)
    a = ((N - 1) - N * q) * P_in
    with np.errstate(divide="ignore"):
        r = 1 - x * (1 + a)
        values = ((1 + x * (1 + P_in)) / r, (1 - x * (1 - P_in)) / r, 1 / r)
    return LineMultipliers(*(float(value) if np.ndim(value) == 0 else value for value in values))


def _half(setting: Setting) -> int:
    return setting.samples // 2


def _margin(setting: Setting) -> Floats:
    """(N - 2) - N q without momentum: the line attracts above some rate iff it is positive."""
    N, beta, q = _half(setting), setting.momentum, np.exp(-2 / np.asarray(setting.tau))
    margin: Floats = 2 * (1 - beta) * (N - 1) - (1 + beta) * N * (1 + q)
    return margin


def _closed_forms(x: "sp.Expr", N: "sp.Expr", q: "sp.Expr", beta: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name; x = pull mu/tau. The multipliers are those without momentum."""
    P = 1 / ((N - 1) + N * q)
    r = 1 - x * (1 + (N - 1) * P - N * q * P)
    return {
        "together": (1 + x * (1 + P)) / r,
        "apart": (1 - x * (1 - P)) / r,
        "common": 1 / r,
        "critical x": 2 * (1 - beta**2) * ((N - 1) + N * q) / (2 * (1 - beta) * (N - 1) - (1 + beta) * N * (1 + q)),
    }


def derive() -> "Derivation":
    """Groups of coinciding points in a plane keep N a symbol: T0's gradient, step, linearise the angles."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, entry, every_setting, written_out

    N, mu, tau, pull, x, q, beta = sp.symbols("N mu tau pull x q beta", positive=True)
    eps = sp.symbols("epsilon", real=True)
    claims = _closed_forms(x, N, q, beta)

    def E(sign: int, angle: sp.Expr) -> sp.Expr:
        """exp((s - 1)/tau) at s = sign cos(angle), with q = exp(-2/tau)."""
        return q ** ((1 - sign * sp.cos(angle)) / 2)

    def multipliers(angles: "list[sp.Expr]", ends: "list[int]", counts: "list[sp.Expr]", pairs: "list[int]",
                    *, form: str, detached: bool) -> "list[sp.Expr]":  # fmt: skip
        """counts[i] points at angle angles[i] from the end ends[i] = +-1 of the line; their factor in one step."""
        groups = range(len(angles))
        z = [end * sp.Matrix([sp.cos(angle), sp.sin(angle)]) for end, angle in zip(ends, angles, strict=True)]
        weights = [[(counts[a] - (1 if i == a else 0)) * E(ends[i] * ends[a], angles[i] - angles[a]) for a in groups]
                   for i in groups]  # fmt: skip
        sums = [sum(row) for row in weights]
        found = []
        for i in groups:  # T0's gradient, for groups of coinciding points; times tau
            g = sum((w * (1 / sums[i] + (0 if detached else 1 / sums[a])) * z[a] for a, w in enumerate(weights[i])),
                    -(1 if detached else 2) * z[pairs[i]])  # fmt: skip
            if form == "tangent":
                g = g - z[i].dot(g) * z[i]
            y = z[i] - x / (1 if detached else 2) * g  # mu = x tau/pull
            slope = y[1].diff(eps).subs(eps, 0) / y[0].subs(eps, 0)
            found.append(slope / sp.diff(angles[i], eps))
        return found

    # the first sample at +-eps, the others balance it; views shifted alike have opposite angles from opposite ends
    rest = -eps / (N - 1)
    sample: tuple[list[int], list[sp.Expr], list[int]] = (
        [1, -1, 1, -1], [sp.Integer(1), sp.Integer(1), N - 1, N - 1], [1, 0, 3, 2],
    )  # fmt: skip
    all_of_them: tuple[list[int], list[sp.Expr], list[int]] = ([1, -1], [N, N], [1, 0])
    cases = {
        "together": ([eps, -eps, rest, -rest], *sample),
        "apart": ([eps, eps, rest, rest], *sample),
        "common": ([eps, -eps], *all_of_them),
        "rotation": ([eps, eps], *all_of_them),
    }
    zeros = {}
    for detached in (False, True):
        keys = "detached" if detached else "symmetric"
        for name, case in cases.items():
            for group, found in enumerate(multipliers(*case, form="ambient", detached=detached)):
                expected = claims[name] if name != "rotation" else sp.Integer(1)
                zeros[f"{name}, {keys} keys, group {group + 1}"] = found - expected
    tangent = multipliers(*cases["together"], form="tangent", detached=False)[0]
    P, a = sp.symbols("P a", real=True)
    there = {P: 1 / ((N - 1) + N * q), a: ((N - 1) - N * q) / ((N - 1) + N * q)}
    zeros["tangent: views together"] = tangent - (1 + x * (2 + P + a)).subs(there)
    # |.| < 1 with r < 0: what is left of -r once each numerator is subtracted
    with_momentum = claims["critical x"]
    critical = with_momentum.subs(beta, 0)
    below = x * (1 + a) - 1
    zeros |= {
        "together binds": below - (1 + x * (1 + P)) - (x * (a - P) - 2),
        "apart, from above": below - (1 - x * (1 - P)) - (x * (a - P) - 2) - 2 * x,
        "apart, from below": below + (1 - x * (1 - P)) - x * (a + P),
        "common": below - 1 - (x * (a - P) - 2) - x * (1 + P),
        "a + P_in > 0": (a + P).subs(there) - N * (1 - q) / ((N - 1) + N * q),
        "the margin a - P_in": (a - P).subs(there) - ((N - 2) - N * q) / ((N - 1) + N * q),
        "rate": claims["together"].subs(x, critical) + 1,
        "N -> infinity": sp.limit(critical, N, sp.oo).subs(q, sp.exp(-2 / tau)) - 2 * sp.coth(1 / tau).rewrite(sp.exp),
    }
    # momentum: point (1, delta), velocity (-y, -u) from the mirrored step before; g mu times the push of a tangent move
    y, g, delta, u = sp.symbols("y g delta u", real=True)
    velocity = sp.Matrix([(1 + beta) * y - beta * y, g * delta - beta * u])
    orbit = sp.Matrix([(delta - velocity[1]) / (1 - velocity[0]), velocity[1]]).jacobian([delta, u])
    R = y - 1
    at_line = {y: x * (1 + a) / (1 + beta), g: -x * (1 + P)}
    zeros |= {
        "momentum: the velocity of the flip": velocity[0] - y,
        "momentum: 1 - det": R * (1 - orbit.det()) - (R - beta),
        "momentum: 1 + trace + det": R * (1 + orbit.trace() + orbit.det()) - ((1 - beta) * (R - 1) + g),
        "momentum: 1 - trace + det": R * (1 - orbit.trace() + orbit.det()) - ((1 + beta) * (R + 1) - g),
        "momentum: rate": ((1 - beta) * (R - 1) + g).subs(at_line).subs(there).subs(x, with_momentum),
        "momentum: N -> infinity, q -> 0, beta = 1/3": sp.limit(1 / with_momentum, N, sp.oo).subs(
            {q: 0, beta: sp.Rational(1, 3)}
        ),
    }
    to_rate = {x: pull * mu / tau, q: sp.exp(-2 / tau)}
    rate = (with_momentum * tau / pull).subs(to_rate)
    agreements = {}
    for setting in every_setting(0.3, 8, 12):
        here = {N: 6, tau: sp.Float("0.3", 30), pull: defined_pull(setting), mu: sp.Float("0.7", 30), beta: 0}
        attracts = setting.loss == "full" and setting.gradient == "ambient"
        code: Callable[[], Floats | None] = partial(antipodal_line_rate, setting)
        name = f"antipodal_line_rate, {written_out(setting)}"
        agreements[name] = Agreement(code, rate.subs(here) if attracts else None)
        code = partial(antipodal_line_rate, replace(setting, samples=40, momentum=0.2))
        heavy = rate.subs(here | {N: 20, beta: sp.Float("0.2", 30), pull: defined_pull(replace(setting, samples=40))})
        agreements[f"{name}, momentum"] = Agreement(code, heavy if attracts else None)
        for mode in LineMultipliers._fields if attracts else ():
            code = partial(lambda mode, setting: getattr(line_multipliers(0.7, setting), mode), mode, setting)
            value = claims[mode].subs(to_rate).subs(here)
            agreements[f"{mode}, {written_out(setting)}"] = Agreement(code, value)
    several = Setting((0.2, 0.3), 8, 12, loss="full")
    here = {N: 6, tau: sp.Float("0.3", 30), pull: 2, mu: sp.Float("0.7", 30), beta: 0}
    agreements["antipodal_line_rate, the second of several temperatures"] = Agreement(
        entry(partial(antipodal_line_rate, several), 1), rate.subs(here)
    )
    agreements["together, the second of several temperatures"] = Agreement(
        entry(lambda: line_multipliers(0.7, several).together, 1), claims["together"].subs(to_rate).subs(here)
    )
    for samples, temperature, momentum in ((2, 0.3, 0), (4, 0.3, 0), (6, 4.0, 0), (4096, 0.3, 0.34)):
        few = Setting(temperature, 8, samples, loss="full", momentum=momentum)
        agreements[f"antipodal_line_rate, n = {samples}, never"] = Agreement(partial(antipodal_line_rate, few), None)
    return Derivation(
        theorem="T12",
        statement="The antipodal line attracts iff mu > (2 tau/pull) [(N-1) + N q]/[(N-2) - N q], q = exp(-2/tau);"
        " never if N - 2 <= N q.",
        steps=(
            Step("First views at z*, second views at -z*. Shift the views of one sample, the others oppositely so that"
                 " the sum is zero; N stays a symbol. With r = 1 - x(1 + a), x = pull mu/tau, an ambient step"
                 " multiplies views that are shifted alike by", claims["together"], "m"),
            Step("views that are shifted oppositely by", claims["apart"], "m"),
            Step("all first and all second views shifted alike by", claims["common"], "m"),
            Step("and a rotation by 1. These span all perturbations. Both kinds of keys give the same: P is symmetric"
                 " at the line and does not change at first order"),
            Step("r > 0 repels, as the first is then above 1. For r < 0 the first is below 1 in size iff, P = P_in,",
                 sp.Gt(x * (a - P), 2)),
            Step("which implies the others: -r less the second numerator is 2x more, -r plus it is x (a + P) > 0, and"
                 " -r less 1 is x (1 + P) more"),
            Step("With P_in and a put in, the line attracts iff (N-2) > N q and x is above", critical, "x >"),
            Step("With momentum the velocity alternates too, y = x(1 + a)/(1 + beta) its radial part. A move and its"
                 " velocity obey a 2 x 2 map, which contracts iff y > 1 + beta, (1 - beta)(y - 2) > -g and (1 + beta) y"
                 " > g, g the push of the move: -x(1 + P), x(1 - P), 0. Views shifted alike bind again, at",
                 with_momentum, "x"),
            Step("which no rate reaches from beta = 1/3 on: 2(1 - beta)(N - 1) < (1 + beta) N then"),
            Step("The tangent step multiplies views that are shifted alike by a number above 1 at every rate",
                 1 + x * (2 + P + a), "m"),
        ),
        zeros=zeros,
        formulas={
            **{name: claims[name].subs(to_rate) for name in ("together", "apart", "common")},
            "antipodal_line_rate": rate,
        },
        agreements=agreements,
    )  # fmt: skip
