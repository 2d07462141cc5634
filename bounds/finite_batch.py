"""T13: an anchor is not its own key; for a batch that integrates the harmonics exactly this is all of finite n."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.bessel import bessel_ratios, defined_mean, defined_ratio, harmonics, kernel_harmonics
from clopsim.bounds.setting import Floats, Keys, Loss, Setting, whole_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

Array = NDArray[np.float64]

POINTS_PER_HARMONIC = 2
"""Fewest points for every harmonic that the softmax sees. With fewer an anchor's own term is more than half of the sum
that it is taken out of, S > 2, and no batch that small is uniform on the scale of the kernel."""

RESOLVED = 0.02
"""Largest unresolved share u at which T13 is held against a simulation. The searched rate lies lower by about u: in 40
settings (d = 2 to 128, n = 8 to 400, tau = 0.1 to 2) within 0.7 % for u < 0.005, 1.7 % up to 0.02, 4 to 6.5 % at 0.04,
3 to 30 % above."""


def self_exclusion(setting: Setting) -> Floats:
    """S, by which leaving the anchor out of its own sum multiplies every A_l: 1 as n -> infinity.

        S = 1 / (1 - e^kappa / (n M_0)),   M_0 = Gamma(d/2) (2/kappa)^nu I_nu(kappa),   nu = d/2 - 1        (tight)

    The full loss counts both views, n = 2N: aligned views are one point of weight two, and only the anchor is left out.

    Valid for: a spherical design of the degrees in play; nan for n < POINTS_PER_HARMONIC e^kappa/M_0.
    Source: T13 (ours).
    """
    seen = kernel_harmonics(1 / np.asarray(setting.tau, dtype=np.float64), setting.dimension)
    enough = setting.samples >= POINTS_PER_HARMONIC * seen
    exclusion = np.where(enough, 1 / (1 - np.where(enough, seen, 0) / setting.samples), np.nan)
    return exclusion if exclusion.ndim else float(exclusion)


def finite_mean_length(exclusion: Floats, mean_length: Floats) -> Array:
    """A_1^(n) = 1 - S (1 - A_1), the mean cosine of an anchor with its keys under the softmax.    (tight)

    Source: T13 (ours).
    """
    return np.asarray(1 - np.asarray(exclusion) * (1 - np.asarray(mean_length)))


def design_strength(points: int, dimension: int, *, up_to: int) -> int:
    """The largest t <= up_to such that points free on the sphere can integrate all harmonics of degree 1 .. t:

        sum_(l <= t) N_l <= points (d - 1) - d (d - 1)/2,   as many conditions as the points have freedom up to rotation

    A count, not a theorem: symmetric designs, such as regular polygons and the icosahedron, are stronger.
    """
    freedom = points * (dimension - 1) - dimension * (dimension - 1) // 2
    conditions = strength = 0
    while strength < up_to:
        conditions += harmonics(strength + 1, dimension)
        if conditions > freedom:
            break
        strength += 1
    return strength


def unresolved_share(setting: Setting, *, degree: int) -> float:
    """Weight of the softmax's kernel on the degrees that the batch does not integrate next to a ripple of one degree.

        (1/points) sum_(l > t - degree) N_l A_l,   t = design_strength,   points = n, or n/2 (full loss, aligned views)

    T13 is exact where it is 0; else the searched rate lies lower by about this share (measured, RESOLVED).

    Valid for: one temperature. Source: ours.
    """
    whole_number("degree", degree, low=0)
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    kappa, d = 1 / setting.temperature, setting.dimension
    points = setting.samples // (2 if setting.loss == "full" else 1)
    top = 32 + 8 * math.ceil(math.sqrt(kappa))  # past it the kernel has no weight
    resolved = design_strength(points, d, up_to=top) - degree
    if resolved < 0:
        return float(kernel_harmonics(kappa, d)) / points
    weight = bessel_ratios(kappa, d, degrees=max(resolved, 1))
    seen = 1.0 + math.fsum(harmonics(k, d) * weight[k] for k in range(1, resolved + 1))
    return max(0.0, float(kernel_harmonics(kappa, d)) - seen) / points


def _closed_forms(n: "sp.Symbol", M: "sp.Symbol", E: "sp.Expr", A: "sp.Symbol") -> "dict[str, sp.Expr]":
    """What is claimed, by name; M = M_0, E = e^kappa, A = A_l; the last for A_1."""
    S = 1 / (1 - E / (n * M))
    return {
        "S": S,
        "symmetric": S * A * (2 - S * A),
        "detached": S * A,
        "mean length": 1 - S * (1 - A),
    }


Symbols = tuple["sp.Symbol", "sp.Symbol", "sp.Symbol", "sp.Symbol", "sp.Symbol"]
"""n, M_0, E = e^kappa, A_1, kappa."""


def derived_background(symbols: Symbols, angle: "sp.Expr | int") -> "tuple[sp.Matrix, sp.Matrix]":
    """For proofs: the gradient, as an anchor and as a key, of all but the attraction of one of two views at +-angle.

    By differentiation in x, the view alone, in the plane of the two. The whole sum over a uniform batch with both views
    in their middle is n M(|x|), M_0 in value and kappa M_0 A_1 in slope at |x| = 1; in their stead x sees the other
    view only. As a key it adds the same to the others' sums, each n M_0 - e^kappa up to the square of the angle. The
    merged loss is the angle 0: of two points in one place x sees one less.
    """
    import sympy as sp

    n, M, E, A, kappa = symbols
    x = sp.Matrix(sp.symbols("x1 x2", real=True))
    view, other = (sp.Matrix([sp.cos(angle), sign * sp.sin(angle)]) for sign in (1, -1))
    mean = M * (1 + kappa * A * (sp.sqrt(x.dot(x)) - 1))
    rest = n * mean - 2 * sp.exp(kappa * x[0]) + sp.exp(kappa * x.dot(other))
    here = dict(zip(x, view, strict=True))

    def gradient(energy: sp.Expr) -> sp.Matrix:
        return sp.Matrix([energy.diff(entry) for entry in x]).subs(here)

    return gradient(sp.log(rest)), gradient(rest / (n * M - E))


def derived_stretch(symbols: Symbols, *, loss: Loss, keys: Keys) -> "sp.Expr":
    """For proofs: rho of T5 and T13, sum reduction: minus the gradient along the embedding, with its view's pull."""
    import sympy as sp

    *_, E, _, kappa = symbols
    roles = derived_background(symbols, 0)[: 2 if keys == "symmetric" else 1]
    attraction = kappa if loss == "full" else 0
    return sum((attraction - gradient[0] for gradient in roles), sp.Integer(0)).subs(sp.exp(kappa), E)


def derive() -> "Derivation":
    """The potentials of anchors and keys with the anchor left out; the radial part; M_0 term by term."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    n, M, A, Y, E, kappa, d = sp.symbols("n M_0 A Y E kappa d", positive=True)
    eps = sp.symbols("epsilon")
    k, degree = sp.symbols("k l", integer=True, nonnegative=True)
    claims = _closed_forms(n, M, E, A)
    # T maps 1 to M_0 and Y to M_0 A Y; the anchor's own term is e^kappa whatever the density
    rest = n * M * (1 + eps * A * Y) - E
    anchor = sp.log(rest).diff(eps).subs(eps, 0) / Y
    share = ((1 + eps * Y) / rest).diff(eps).subs(eps, 0)  # what T takes to the keys' potential, a multiple of Y
    key = n * M * A * share / Y
    # softmax mean of the cosine: T(t) of exp(kappa t) is M_0 A_1; the own term has cosine 1
    radial = (n * M * A - E) / (n * M - E)
    # E t^(2k) on the sphere, from the density (1 - t^2)^((d-3)/2), against the series of Gamma(d/2)(2/kappa)^nu I_nu
    half = sp.Rational(1, 2)
    moment = sp.gamma(k + half) * sp.gamma(d / 2) / (sp.sqrt(sp.pi) * sp.gamma(k + d / 2))
    factorial = 4**k * sp.gamma(k + half) * sp.gamma(k + 1) / sp.sqrt(sp.pi)  # (2k)!
    series = sp.gamma(d / 2) / (4**k * sp.gamma(k + 1) * sp.gamma(k + d / 2))
    # M_0' = M_0 A_1 in kappa^(2k+1): the series above, one term on, against that of Gamma(d/2)(2/kappa)^nu I_(nu+1)
    slope = (2 * k + 2) * series.subs(k, k + 1)
    mean_series = sp.gamma(d / 2) / (2 * 4**k * sp.gamma(k + 1) * sp.gamma(k + d / 2 + 1))
    t = sp.symbols("t", real=True)
    mean_3 = sp.integrate(sp.exp(kappa * t), (t, -1, 1)) / 2
    # two views at +-theta from their place pull each other along the tangent with sin(2 theta); the density of the pair
    # around its place, and with it T rho, changes by 0 at first order
    theta, place = sp.symbols("theta phi", real=True)
    pair = sp.exp(kappa * sp.cos(place - theta)) + sp.exp(kappa * sp.cos(place + theta))

    def dimension(number: sp.Expr, least: sp.Expr) -> sp.Expr:  # number over least
        return sp.gamma(number + 1) / (sp.gamma(least + 1) * sp.gamma(number - least + 1))

    homogeneous = dimension(degree + d - 1, degree)
    number = dimension(degree + d - 3, degree) * (2 * degree + d - 2) / (d - 2)
    all_up_to = dimension(degree + d - 1, degree) + dimension(degree + d - 2, degree - 1)
    return Derivation(
        theorem="T13",
        statement="At finite n every A_l is multiplied by S = 1/(1 - e^kappa/(n M_0)), and A_1 becomes 1 - S(1 - A_1).",
        steps=(
            Step("A batch that integrates the harmonics in play is to them a density rho, the whole sum over the batch"
                 " is n T rho, and the anchor's own term in it is e^kappa, a constant: s_ii = 1. So the anchors'"
                 " potential is log(n T rho - e^kappa). A ripple 1 + epsilon Y changes it by epsilon Y times",
                 sp.factor(anchor), "change"),
            Step("which is A with the factor", claims["S"], "S"),
            Step("The keys' potential is n T(rho/(n T rho - e^kappa)); it changes by epsilon Y times",
                 sp.factor(key), "change"),
            Step("Their sum is e_l without l(l+d-2)", claims["symmetric"], "e_l/(l (l+d-2))"),
            Step("The own term is radial, without a tangent part, and so is the whole: M_0 depends on |x| alone, and"
                 " its slope is kappa M_0 A_1. As an anchor, and as a key of all others, an embedding is pulled along"
                 " itself by kappa times the softmax's mean cosine", radial, "mean cosine"),
            Step("that is", claims["mean length"], "mean cosine"),
            Step("M_0 term by term in kappa^(2k):", series, "E t^(2k)/(2k)!"),
            Step("Views that differ a little leave T rho as it is at first order: with n = 2N all of the above holds"
                 " for aligned views, and so does T5a with this A_1. The derivative of the pair's own part:",
                 pair.diff(theta).subs(theta, 0), "derivative"),
        ),
        zeros={
            "slope of M_0, term by term": slope - mean_series,
            "stretch, merged": derived_stretch((n, M, E, A, kappa), loss="merged", keys="symmetric")
            + 2 * kappa * claims["mean length"],
            "anchors": anchor - claims["S"] * A,
            "e_l, symmetric keys": anchor + key - claims["symmetric"],
            "e_l, detached keys": anchor - claims["detached"],
            "mean length": radial - claims["mean length"],
            "M_0, term by term": moment / factorial - series,
            "M_0 at d = 3": (mean_3 - sp.sinh(kappa) / kappa).rewrite(sp.exp),
            "views": pair.diff(theta).subs(theta, 0),
            "limit": sp.limit(claims["symmetric"], n, sp.oo) - A * (2 - A),
            "limit, mean length": sp.limit(claims["mean length"], n, sp.oo) - A,
            # homogeneous polynomials of a degree less those that |x|^2 divides; their telescoping sum
            "number of harmonics": homogeneous - homogeneous.subs(degree, degree - 2) - number,
            "sum of the numbers": all_up_to - all_up_to.subs(degree, degree - 1) - number,
            "sum of the numbers, degree 0": all_up_to.subs(degree, 0) - 1,
        },
        formulas={name: claim.subs(E, sp.exp(kappa)) for name, claim in claims.items()},
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """What the batch does to the softmax in numbers, from the definitions of its harmonics."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, entry

    n, M, E, A = sp.symbols("n M E A")
    claims = _closed_forms(n, M, E, A)
    found: dict[str, Agreement] = {}

    def number(degree: int, d: int) -> int:  # of harmonics, as a product
        return (2 * degree + d - 2) * math.factorial(degree + d - 3) // (math.factorial(degree) * math.factorial(d - 2))

    def all_up_to(degree: int, d: int) -> int:  # from degree 1
        return math.comb(degree + d - 1, degree) + math.comb(degree + d - 2, degree - 1) - 1 if degree else 0

    for d, tau in ((2, "0.3"), (3, "0.5"), (8, "0.5"), (8, "0.01"), (128, "0.2")):
        kappa = 1 / sp.Rational(tau)
        mean, where = defined_mean(kappa, d), f"d = {d}, tau = {tau}"
        seen = (sp.exp(kappa) / mean).evalf(30)
        enough = int(sp.ceiling(2 * seen))
        at = {n: enough, M: mean, E: sp.exp(kappa)}
        found[f"kernel_harmonics, {where}"] = Agreement(partial(kernel_harmonics, float(kappa), d), seen)
        several = Setting((float(tau), 1.0), d, enough)
        found[f"self_exclusion, {where}"] = Agreement(
            partial(self_exclusion, Setting(float(tau), d, enough)), claims["S"].subs(at)
        )
        found[f"self_exclusion, {where}, of two"] = Agreement(
            entry(partial(self_exclusion, several), 0), claims["S"].subs(at)
        )
        few = Setting(float(tau), d, max(2, enough - 1))
        found[f"self_exclusion, {where}, few points"] = Agreement(partial(_number, partial(self_exclusion, few)), None)
        for degree in (1, 4):
            found[f"harmonics, degree {degree}, {where}"] = Agreement(partial(harmonics, degree, d), number(degree, d))
            found[f"bessel_ratios, degree {degree}, {where}"] = Agreement(
                entry(partial(bessel_ratios, float(kappa), d, degrees=4), degree), defined_ratio(degree, kappa, d)
            )
    found["finite_mean_length"] = Agreement(
        partial(finite_mean_length, 1.25, 0.5), claims["mean length"].subs({n: 5, M: 1, E: 1, A: sp.Rational(1, 2)})
    )

    def strength(points: int, d: int, up_to: int) -> int:
        return max(t for t in range(up_to + 1) if all_up_to(t, d) <= points * (d - 1) - math.comb(d, 2))

    for points, d, up_to in ((64, 2, 100), (64, 2, 7), (12, 3, 100), (32, 8, 100), (500, 4, 100)):
        found[f"design_strength, {points} points, d = {d}, up to {up_to}"] = Agreement(
            partial(design_strength, points, d, up_to=up_to), strength(points, d, up_to)
        )
    for points, d, degree, kappa in ((64, 8, 1, 2), (64, 8, 3, 2), (64, 8, 4, 2), (12, 3, 0, 2), (40, 2, 1, 100)):
        left = range(max(strength(points, d, 50) - degree + 1, 0), 99)  # degrees; more carry no weight
        weight = sum(number(k, d) * defined_ratio(k, sp.Integer(kappa), d).evalf(30) if k else 1 for k in left)
        for loss, views in (("merged", 1), ("full", 2)):
            setting = Setting(1 / kappa, d, views * points, loss=loss)  # type: ignore[arg-type]
            found[f"unresolved_share, {points} points, d = {d}, kappa = {kappa}, degree {degree}, {loss}"] = Agreement(
                partial(unresolved_share, setting, degree=degree), weight / points, 1e-11
            )
    return found


def _number(code: Callable[[], Floats]) -> Floats | None:
    """What the code gives, None for nan."""
    value = code()
    return None if np.isnan(value) else value
