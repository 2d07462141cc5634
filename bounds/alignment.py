"""T5, second half: when the two views of a sample stop agreeing, in the uniform state."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from clopsim.bounds.bessel import defined_mean, defined_ratio
from clopsim.bounds.finite_batch import RESOLVED, derived_background, unresolved_share
from clopsim.bounds.heavy_ball import flip_rate
from clopsim.bounds.setting import Floats, Setting, positive_number, without_momentum
from clopsim.bounds.uniform import harmonic_spectrum, radial_rate

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


def alignment_uniform_rate(setting: Setting, *, limit: bool = False) -> Floats | None:
    """Learning rate above which the views of a sample come apart in the uniform state; None for the merged loss.

        tangent: mu_align = tau / pull          (tau/2 for the sum with symmetric keys: the centre of the paper's range)
        ambient: mu_align = tau / (pull A_1^(n)),   never (inf) for A_1^(n) <= 0                        (tight)
        with momentum:  (1 + beta) tau / pull,   (1 + beta)(1 - beta) tau / (pull (A_1^(n) - beta)), inf where <= beta

    that is T27's rate, with momentum T14's, at the curvature 2 pull/tau. A_1^(n) of T13, A_1 as n -> infinity; nan
    where n is too small for it. Above the rate the tangent dynamics settle on
    a swap of period two (swap_cosine), the ambient ones on antipodal views where that line attracts
    (bounds.antipodal_line).

    Valid for: the full loss, a batch that is uniform enough (alignment_is_resolved); limit: n -> infinity.
    Source: T5, T13, T14 (ours).
    """
    if setting.loss != "full":
        return None
    rho = radial_rate(setting, limit=limit)
    rate = flip_rate(2 * setting.pull / np.asarray(setting.tau), rho, momentum=setting.momentum)
    rate = np.where(np.isnan(rho), np.nan, rate)
    return rate if np.ndim(rate) else float(rate)


def alignment_is_resolved(setting: Setting) -> bool:
    """Whether n points resolve the softmax well enough that alignment_uniform_rate holds within 3 % (measured).

    What they leave over disturbs A_1^(n), by which the ambient rate divides. False: n is too small to tell.

    Valid for: the full loss, one temperature. Source: T13 (ours).
    """
    left = unresolved_share(setting, degree=0)
    if setting.gradient == "tangent":
        return left <= RESOLVED
    mean_length = float(harmonic_spectrum(setting, degrees=1).mean_length)
    return mean_length > 0 and left <= RESOLVED * mean_length  # False for nan


def view_difference_multiplier(rate: Floats, setting: Setting, *, limit: bool = False) -> Floats:
    """Factor by which one step multiplies a small difference of two views in the uniform state.

        tangent: 1 - 2 x;   ambient: (1 - x (1 + A_1)) / (1 + x (1 - A_1)),   x = pull mu / tau          (tight)

    with A_1 at the setting's n (T13); limit: n -> infinity.

    Valid for: the full loss. Source: T5, T13 (ours).
    """
    if setting.loss != "full":
        raise ValueError(f"loss must be full, got {setting.loss!r}; the merged loss has no views")
    without_momentum(setting)
    x = setting.pull * np.asarray(rate, dtype=np.float64) / setting.tau
    multiplier = 1 - 2 * x
    if setting.gradient == "ambient":
        mean_length = harmonic_spectrum(setting, degrees=1, limit=limit).mean_length
        multiplier = (1 - x * (1 + mean_length)) / (1 + rate * radial_rate(setting, limit=limit))
    return float(multiplier) if np.ndim(multiplier) == 0 else multiplier


def swap_cosine(rate: float, setting: Setting) -> Floats:
    """Cosine of the two views after many steps: 1 up to mu_align, then the swap of period two.

        cos = 1 for mu <= mu_align,   mu_align / mu above           (tight; tau/(2 mu) for the sum, symmetric keys)

    Valid while the other samples stay uniform: far above mu_align the swapped views disturb them (measured at d = 8,
    tau = 0.5, 2 mu_align: 0.435 instead of 0.5; at d = 3, tau = 1: 0.4998).
    From tan phi = (2 mu / tau) sin phi, phi the angle of the views: each step rotates each view onto the other.

    Valid for: the full loss, the tangent gradient (ambient views end antipodal instead, T12).
    Source: T5 (ours).
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    without_momentum(setting)
    if setting.loss != "full" or setting.gradient != "tangent":
        raise ValueError(
            f"loss and gradient must be full and tangent, got {setting.loss!r} and {setting.gradient!r}; "
            "only those dynamics settle on the swap"
        )
    cosine = np.minimum(1.0, np.asarray(setting.tau / setting.pull) / rate)
    return float(cosine) if cosine.ndim == 0 else cosine


def _closed_forms(x: "sp.Expr", A: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name; x = pull mu/tau, A = A_1."""
    return {
        "tangent multiplier": 1 - 2 * x,
        "ambient multiplier": (1 - x * (1 + A)) / (1 + x * (1 - A)),
        "swap cosine": 1 / x,
    }


def derive() -> "Derivation":
    """The background's pull by differentiation; then two views in their plane, with it and the other view's pull."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    x, A, tau, pull, mu = sp.symbols("x A tau pull mu", positive=True)
    n, M, E, kappa, phi = sp.symbols("n M_0 E kappa phi", positive=True)
    claims = _closed_forms(x, A)
    z, other = (sp.Matrix([sp.cos(phi / 2), sign * sp.sin(phi / 2)]) for sign in (1, -1))
    A_n = 1 - (1 - A) / (1 - E / (n * M))  # A_1^(n)
    zeros = {}
    for role, found in zip(("anchor", "key"), derived_background((n, M, E, A, kappa), phi / 2), strict=True):
        for axis, (pull_of_rest, coordinate) in enumerate(zip(found, z, strict=True), 1):
            zeros[f"background, {role}, axis {axis}"] = sp.limit(pull_of_rest, n, sp.oo) - kappa * A * coordinate
            for order in (0, 1):  # in phi
                gap = (pull_of_rest - kappa * A_n * coordinate).diff(phi, order).subs(phi, 0)
                zeros[f"background at n, {role}, axis {axis}, order {order}"] = gap.subs(sp.exp(kappa), E)
    g = A * z - other  # times pull/tau
    ambient = z - x * g
    tangent = z - x * (g - z.dot(g) * z)
    half = ambient[1] / ambient[0]  # tan of half the new angle
    turned = x * sp.sin(phi)  # tan of the rotation of a tangent step
    angle = phi - 2 * sp.atan(turned)
    two_steps = sp.diff(angle, phi).subs(sp.cos(phi), claims["swap cosine"])
    two_steps = two_steps.subs(sp.sin(phi), sp.sqrt(1 - claims["swap cosine"] ** 2))
    to_rate = {x: pull * mu / tau}
    return Derivation(
        theorem="T5a",
        statement="In the uniform state the views come apart at tau/pull (tangent) or tau/(pull A_1) (ambient).",
        steps=(
            Step("The rest of a uniform batch is to an embedding at x the mean M of exp(x.w/tau), which depends on |x|"
                 " alone, M' = M A_1/tau. So as n -> infinity it pulls the embedding along itself, as an anchor and as"
                 " a key, with 1/tau times", A),
            Step("At finite n the sum leaves out the embedding's own place, and the other view stands beside it: to"
                 " first order in their angle the pull is still along the embedding, with", A_n, "A_n"),
            Step("The other view adds -1/tau in either role. In the plane of two views at angle phi the step of one,"
                 " x = pull mu/tau, is", ambient, "z'"),
            Step("so the tangent of half the angle is multiplied, at every angle, by",
                 claims["ambient multiplier"], "m"),
            Step("It passes -1 at x = 1/A_1; above, the tangent grows without end and the views end antipodal",
                 sp.Eq(mu, tau / (pull * A))),
            Step("A tangent step turns each view by an angle whose tangent is", turned, "tan(turn)"),
            Step("to first order the angle is multiplied by", claims["tangent multiplier"], "m"),
            Step("which passes -1 at x = 1; above, the views swap where the turn is phi itself, at cosine",
                 claims["swap cosine"], "cos phi"),
            Step("The swap is stable: two steps multiply a deviation by the square of", 1 - 2 / x**2, "m"),
        ),
        zeros=zeros
        | {
            "ambient multiplier": half - claims["ambient multiplier"] * sp.tan(phi / 2),
            "turn": sp.simplify(z[0] * tangent[1] - z[1] * tangent[0]) + turned * sp.simplify(z.dot(tangent)),
            "tangent multiplier": sp.diff(angle, phi).subs(phi, 0) - claims["tangent multiplier"],
            "swap": (turned / sp.tan(phi)).rewrite(sp.sin).subs(phi, sp.acos(claims["swap cosine"])) - 1,
            "tangent rate": claims["tangent multiplier"].subs(x, 1) + 1,
            "ambient rate": claims["ambient multiplier"].subs(x, 1 / A) + 1,
            "stability of the swap": two_steps - (1 - 2 / x**2),
        },
        formulas={
            "tangent multiplier": claims["tangent multiplier"].subs(to_rate),
            "ambient multiplier": claims["ambient multiplier"].subs(to_rate),
            "swap_cosine": claims["swap cosine"].subs(to_rate),
            "tangent rate": tau / pull,
            "ambient rate": tau / (pull * A),
        },
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """Rates, multipliers and the swap in every setting, at n and as n -> infinity, from Bessel functions."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, defined_pull, entry, every_setting, written_out

    found: dict[str, Agreement] = {}

    def compare(setting: Setting, tau: str, *, limit: bool) -> None:
        """tau: the last temperature of the setting, as a decimal."""
        kappa, d = 1 / sp.Rational(tau), setting.dimension
        S = sp.Integer(1) if limit else 1 / (1 - sp.exp(kappa) / defined_mean(kappa, d) / setting.samples)
        A = (1 - S * (1 - defined_ratio(1, kappa, d))).evalf(30)
        step = 1 / kappa / defined_pull(setting)  # tau/pull
        mu = sp.Rational(7, 4) * step
        claims = _closed_forms(mu / step, A)
        n = "n -> oo" if limit else f"n = {setting.samples}"
        where = f"{written_out(setting)}, d = {d}, tau = {setting.temperature}, {n}"

        def compared(name: str, code: Callable[[], Floats | None], derived: sp.Expr) -> None:
            found[f"{name}, {where}"] = Agreement(entry(code, -1), derived)

        rate = step / A if setting.gradient == "ambient" else step
        compared("alignment_uniform_rate", partial(alignment_uniform_rate, setting, limit=limit), rate)
        compared(
            "view_difference_multiplier",
            partial(view_difference_multiplier, float(mu), setting, limit=limit),
            claims[f"{setting.gradient} multiplier"],
        )
        if setting.gradient == "tangent":
            compared("swap_cosine", partial(swap_cosine, float(mu), setting), claims["swap cosine"])
            compared("swap_cosine below the rate", partial(swap_cosine, float(step) / 2, setting), sp.Integer(1))

    views = [setting for setting in every_setting(0.3, 3, 64) if setting.loss == "full"]
    for limit in (True, False):
        for setting in views:
            compare(setting, "0.3", limit=limit)
        for gradient in ("ambient", "tangent"):
            compare(Setting((1.0, 0.2), 8, 400, "full", gradient), "0.2", limit=limit)
    for setting in every_setting(0.3, 3, 64):
        if setting.loss == "merged":
            none = partial(alignment_uniform_rate, setting)
            found[f"alignment_uniform_rate, {written_out(setting)}"] = Agreement(none, None)
    never = Setting(0.5, 8, 14, loss="full")  # A_1^(n) < 0

    def inverse() -> Floats:
        return 1 / np.asarray(alignment_uniform_rate(never))

    return found | {"1/alignment_uniform_rate, few points": Agreement(inverse, 0.0)}
