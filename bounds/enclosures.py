"""Rigorous numerics: enclosures in ball arithmetic (Arb) of the rates of T4, T5, T12, and certified root brackets.

A ball is a midpoint with a radius that bounds every rounding error, so a comparison that succeeds is a proof. Inputs
are taken as the hull of the float and of the decimal that it prints as: 0.1 covers both one tenth and the float next to
it. Results are rounded outward to floats. python-flint is imported when a function runs, not with the package.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from clopsim.bounds.setting import Setting, positive_number, shown, whole_number, without_momentum

if TYPE_CHECKING:
    from flint import arb

PRECISION = 128
"""Bits of the balls' midpoints; a float has 53, so what the arithmetic adds is far below the width of an input."""


class Enclosure(NamedTuple):
    """Two floats between which the exact value is proved to lie."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        """Whether a float lies between the two."""
        return self.low <= value <= self.high  # type: ignore[operator]


def enclose_root(function: Callable[["arb"], "arb"], low: float, high: float) -> Enclosure:
    """Shrink a bracket of a root of a continuous function until ball arithmetic cannot tell the sign in the middle.

    The signs at both ends of the result are certified and opposite, so a root lies between them.

    Valid for: a function continuous on [low, high] whose values at low and high have certified opposite signs.
    function: takes and returns a flint.arb, evaluated at exact floats with 128 bits. low, high: floats, low < high.
    Errors: ValueError unless the signs at both ends are certified and opposite.
    """
    from flint import arb, ctx

    def sign(point: float) -> int:
        value = function(arb(point))
        if not isinstance(value, arb):
            raise ValueError(f"function must return a flint.arb, got {shown(value)}; compute with its argument")
        return 1 if value > 0 else -1 if value < 0 else 0

    low, high = float(low), float(high)
    with ctx.workprec(PRECISION):
        start = sign(low)
        if not low < high or start * sign(high) != -1:
            raise ValueError(f"low and high must have certified opposite signs, got {low!r} and {high!r}; widen them")
        while low < (middle := low + (high - low) / 2) < high:
            here = sign(middle)
            if here == 0:
                break
            low, high = (middle, high) if here == start else (low, middle)
        return Enclosure(low, high)


def enclose_exact_rate(setting: Setting) -> Enclosure:
    """Enclosure of T4's mu_c = (2 tau / pull) (n - 1)/(n - 2).

    Valid for: n >= 3, one temperature. Source: T4 (ours); bounds.collapse.exact_rate is the float.
    """
    from flint import ctx

    n = setting.samples
    if n < 3:
        raise ValueError(f"samples must be >= 3, got {n}; with two embeddings collapse never attracts at any rate")
    with ctx.workprec(PRECISION):
        return outward(2 / _pull_over_tau(setting) * (n - 1) / (n - 2))


def certify_collapse(rate: float, setting: Setting) -> Literal["attracts", "repels", "undecided"]:
    """Whether complete collapse attracts or repels under one linearised step, decided in ball arithmetic.

        attracts: |m| < 1 certified;   repels: |m| > 1 certified,   m = spread_multiplier(rate, setting)

    "undecided" within about 1e-16 of the critical rate. All zero-mean perturbations share m in the merged loss; in
    the full loss m > 1 is that of the views moving together, which is enough to repel.

    Valid for: one temperature, a rate > 0. Source: T4 (ours).
    """
    from flint import ctx

    positive_number("rate", rate, remedy="it is the learning rate mu")
    n = setting.samples
    if setting.loss == "full" or setting.gradient == "tangent":
        return "repels"  # 1 + x n/(n-1) > 1 at every rate
    with ctx.workprec(PRECISION):
        x = _ball(rate) * _pull_over_tau(setting)
        moved, mean = 1 + x / (n - 1), abs(1 - x)  # compared without dividing: x may be 1
        return "attracts" if moved < mean else "repels" if moved > mean else "undecided"


def enclose_antipodal_line_rate(setting: Setting) -> Enclosure:
    """Enclosure of T12's mu_line = (2 tau / pull) [(N - 1) + N q]/[(N - 2) - N q], q = e^(-2/tau).

    Enclosure(inf, inf) where N - 2 < N q is certified: the line never attracts.

    Valid for: the full loss, the ambient gradient, one temperature. Source: T12 (ours);
    bounds.antipodal_line.antipodal_line_rate is the float.
    Errors: ArithmeticError where 128 bits cannot tell N - 2 and N q apart.
    """
    from flint import ctx

    if setting.loss != "full" or setting.gradient != "ambient":
        raise ValueError(
            f"loss and gradient must be full and ambient, got {setting.loss!r} and {setting.gradient!r}; "
            "elsewhere the line never attracts"
        )
    without_momentum(setting)
    N = setting.samples // 2
    with ctx.workprec(PRECISION):
        q = (-2 / _ball(_one_temperature(setting))).exp()
        margin = (N - 2) - N * q
        if margin < 0:
            return Enclosure(math.inf, math.inf)
        if not margin > 0:
            raise ArithmeticError(f"attracting or never is within rounding at {setting}; change temperature")
        return outward(2 / _pull_over_tau(setting) * ((N - 1) + N * q) / margin)


def enclose_bessel_ratio(concentration: float, *, dimension: int, degree: int) -> Enclosure:
    """Enclosure of A_l = I_(d/2-1+l)(kappa) / I_(d/2-1)(kappa).

    Valid for: kappa > 0, d >= 2, l >= 1. Source: Arb's Bessel functions.
    """
    from flint import ctx

    positive_number("concentration", concentration, remedy="it is 1/temperature")
    whole_number("dimension", dimension, low=2)
    whole_number("degree", degree, low=1)
    with ctx.workprec(PRECISION):
        kappa = _ball(concentration)
        return outward(_bessel(kappa, dimension, degree) / _bessel(kappa, dimension, 0))


def enclose_uniform_rate(setting: Setting) -> tuple[Enclosure, int]:
    """Enclosure of T5's rate 2/(max_l e_l - 2 rho), with the breaking degree certified against all other degrees.

    Returns (Enclosure(inf, inf), 0) where the uniform state is proved never to break.

    The degrees end where the bound on their growth of enclose_growth is certified below 1: e falls for good from there.

    Valid for: one temperature. Source: T5 (ours); bounds.uniform.uniform_rate(setting, limit=True) is
    the float: n -> infinity.
    Errors: ArithmeticError where 128 bits cannot tell two degrees, or breaking from never, apart.
    """
    from flint import arb, ctx

    d = setting.dimension
    symmetric = setting.keys == "symmetric"
    with ctx.workprec(PRECISION):
        kappa = 1 / _ball(_one_temperature(setting))
        base = _bessel(kappa, d, 0)
        e: list[arb] = []
        falls = False
        while not falls:
            degree = len(e) + 1
            a = _bessel(kappa, d, degree) / base
            e.append(degree * (degree + d - 2) * a * (2 - a if symmetric else 1))
            falls = _growth(kappa, d, degree, symmetric=symmetric) < 1
        top = max(range(len(e)), key=lambda index: float(e[index].mid()))
        if not all(e[top] > other for index, other in enumerate(e) if index != top):
            raise ArithmeticError(f"two degrees break at the same rate up to rounding at {setting}; change temperature")
        mean_length = _bessel(kappa, d, 1) / base
        pull = _pull_over_tau(setting)
        radial = 0 * pull
        if setting.gradient == "ambient":
            radial = -pull * mean_length if setting.loss == "merged" else pull * (1 - mean_length)
        margin = e[top] / (setting.samples if setting.reduction == "mean" else 1) - 2 * radial
        if margin < 0:
            return Enclosure(math.inf, math.inf), 0
        if not margin > 0:
            raise ArithmeticError(f"breaking or never breaking is within rounding at {setting}; change temperature")
        return outward(2 / margin), top + 1


def enclose_growth(setting: Setting, *, degree: int) -> Enclosure:
    """Enclosure of q_l, a bound on e_(l+1)/e_l of T5 that falls in l.

        q_l = (1 + 1/l)(1 + 1/(l+d-2)) r_(nu+l) 2/(2 - A_l),   r_m = I_(m+1)/I_m < 1, nu = d/2 - 1           (upper)

    for symmetric keys, without the last factor and tight for detached ones. For e_(l+1)/e_l has (2 - A_(l+1))/(2 - A_l)
    there. Every factor of q_l falls in l: A_l because r < 1, and r_m because D = r_m - r_(m+1) starts positive at
    kappa = 0 and obeys D' + (r_m + r_(m+1) + (2m+1)/kappa) D = 2 r_(m+1)/kappa > 0, the difference of the Riccati
    equations r_m' = 1 - r_m^2 - (2m+1) r_m/kappa.

    Valid for: one temperature, l >= 1. Source: T5 (ours).
    """
    from flint import ctx

    whole_number("degree", degree, low=1)
    with ctx.workprec(PRECISION):
        kappa = 1 / _ball(_one_temperature(setting))
        return outward(_growth(kappa, setting.dimension, degree, symmetric=setting.keys == "symmetric"))


def _growth(kappa: "arb", dimension: int, degree: int, *, symmetric: bool) -> "arb":
    """q_l of enclose_growth."""
    from flint import arb

    here = _bessel(kappa, dimension, degree)
    growth = (
        (1 + 1 / arb(degree)) * (1 + 1 / arb(degree + dimension - 2)) * _bessel(kappa, dimension, degree + 1) / here
    )
    return growth * (2 / (2 - here / _bessel(kappa, dimension, 0)) if symmetric else 1)


def _one_temperature(setting: Setting) -> float:
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    return setting.temperature


def _ball(number: float) -> "arb":
    """The hull of the float and of the decimal that it prints as."""
    from flint import arb

    return arb(float(number)).union(arb(repr(float(number))))


def _pull_over_tau(setting: Setting) -> "arb":
    """pull/tau, with the exact pull: Setting.pull is rounded for the mean reduction."""
    without_momentum(setting)
    pull = 2 if setting.keys == "symmetric" else 1
    return pull / _ball(_one_temperature(setting)) / (setting.samples if setting.reduction == "mean" else 1)


def _bessel(kappa: "arb", dimension: int, degree: int) -> "arb":
    """exp(-kappa) I_(d/2-1+l)(kappa)."""
    from flint import arb

    return kappa.bessel_i(arb(dimension) / 2 - 1 + degree, scaled=True)


def outward(ball: "arb") -> Enclosure:
    """The ball as floats, rounded outward."""
    from flint import arb

    if not ball.is_finite():
        raise ArithmeticError("the enclosure is not finite; the precision does not carry this setting")
    low, high = float(ball.lower()), float(ball.upper())
    while not arb(low) <= ball:
        low = math.nextafter(low, -math.inf)
    while not arb(high) >= ball:
        high = math.nextafter(high, math.inf)
    return Enclosure(low, high)
