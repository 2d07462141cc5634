"""T14: momentum. What the heavy ball does to every critical rate, and where its own velocity breaks a state."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.effective_rate import ambient_rates
from clopsim.bounds.setting import Floats, Setting, momentum_below_one, positive_number

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


NEVER = 1e-9
"""Margin of n - 1 over (1 + beta)/(1 - beta), times 1 - beta, that counts as none: 0.9 and 20 leave rounding only."""


def heavy_ball_rate(curvature: float, *, momentum: float = 0.0) -> float:
    """Learning rate below which x_{t+1} = x_t - mu h x_t + beta (x_t - x_{t-1}) goes to 0, and above which it leaves.

        mu = 2 (1 + beta) / h                             (tight)

    The form of torch.optim.SGD without dampening: v <- beta v + g, x <- x - mu v. Without momentum 2/h.

    Valid for: h > 0, 0 <= beta < 1; the largest curvature of several decides. Minibatches are not a quadratic.
    Source: Polyak's heavy ball, textbook; derived below.

    curvature: h, the sharpness; momentum: beta.
    """
    positive_number("curvature", curvature, remedy="along a flat or falling direction no rate is too large or small")
    momentum_below_one(momentum)
    return 2 * (1 + momentum) / curvature


def nesterov_rate(curvature: float, *, momentum: float = 0.0) -> float:
    """The same for Nesterov's form, v <- beta v + g, x <- x - mu (g + beta v), torch.optim.SGD with nesterov=True.

        mu = 2 (1 + beta) / ((1 + 2 beta) h)              (tight)

    so every critical rate of the tangent step is (1 + beta)/(1 + 2 beta) times the plain one.

    Valid for: h > 0, 0 <= beta < 1. Source: T14 (ours, textbook).
    """
    return heavy_ball_rate(curvature, momentum=momentum) / (1 + 2 * momentum)


def flip_rate(curvature: Floats, radial: Floats, *, momentum: float) -> Floats:
    """Rate above which a mode of a state on the sphere flips at every step and grows; inf where none does.

        mu = 2 (1 + beta) / (h - 2 rho/(1 - beta))   if that is positive, else never                (tight)

    for the heavy ball with renormalisation, v <- beta v + g, z <- normalise(z - mu v). h is the curvature of the mode,
    rho the radial rate (bounds.uniform.radial_rate: 0 for the tangent step), which the velocity adds up to
    rho/(1 - beta): a resting embedding is stretched by r = 1 + mu rho/(1 - beta) at every step. So it is 1 + beta times
    the rate of T27 at the pull -rho/(1 - beta).

    Valid for: r > 0. Source: T14 (ours). curvature, radial: broadcast.
    """
    momentum_below_one(momentum)
    return (1 + momentum) * ambient_rates(curvature, pull=-np.asarray(radial) / (1 - momentum))


def spin_rate(radial: Floats, *, momentum: float) -> Floats:
    """Rate above which resting points start to spin, every mode at once; inf where they never do.

        mu = (1 - beta)^2 / |rho|,   rho < 0 < beta                                  (tight)

    that is r = beta: each step divides the tangent velocity by r and multiplies it by beta.

    Valid for: a state that rests. Source: T14 (ours).
    radial: rho, -(pull/tau) A_1 for the merged ambient uniform state, so mu = (1 - beta)^2 tau/(pull A_1).
    """
    momentum_below_one(momentum)
    rho = np.asarray(radial, dtype=np.float64)
    spins = (rho < 0) & (momentum > 0)
    return _plain(np.where(spins, (1 - momentum) ** 2 / np.where(spins, -rho, 1.0), np.inf))


def heavy_ball_collapse_rate(setting: Setting) -> Floats:
    """Learning rate above which complete collapse of the merged loss attracts under the ambient step with momentum.

        mu_c = (2 tau/pull) (1 + beta)(1 - beta)(n - 1) / ((1 - beta)(n - 1) - (1 + beta))             (tight)

    never if n - 1 <= (1 + beta)/(1 - beta): at beta = 0.9 not for n <= 20. Without momentum T4.

    Valid for: the merged loss, the ambient gradient, n - 1 > (1 + beta)/(1 - beta). Source: T14 (ours).
    Errors: ValueError where collapse never attracts.
    """
    n, beta = setting.samples, setting.momentum
    if setting.loss != "merged" or setting.gradient != "ambient":
        raise ValueError(
            f"loss and gradient must be merged and ambient, got {setting.loss!r} and {setting.gradient!r}; "
            "no other collapse attracts"
        )
    if not (margin := (1 - beta) * (n - 1) - (1 + beta)) > NEVER:
        raise ValueError(
            f"momentum must be below (n - 2)/n = {(n - 2) / n:.4g} for collapse to attract {n} embeddings, "
            f"got {beta:g}; lower it, or raise the samples"
        )
    return 2 * setting.tau / setting.pull * ((1 + beta) * (1 - beta) * (n - 1)) / margin


def _plain(value: NDArray[np.float64]) -> Floats:
    plain: Floats = value[()]  # a number of no dimension
    return plain


def _closed_forms(
    h: "sp.Symbol", rho: "sp.Symbol", beta: "sp.Symbol", n: "sp.Symbol", A: "sp.Symbol"
) -> "dict[str, sp.Expr]":
    """What is claimed, by name: rates, and for the collapse and the views x = pull mu/tau."""
    return {
        "flip": 2 * (1 + beta) / (h - 2 * rho / (1 - beta)),
        "spin": -((1 - beta) ** 2) / rho,
        "nesterov": 2 * (1 + beta) / ((1 + 2 * beta) * h),
        "collapse x": 2 * (1 + beta) * (1 - beta) * (n - 1) / ((1 - beta) * (n - 1) - (1 + beta)),
        "views x": (1 + beta) * (1 - beta) / (A - beta),
    }


def derive() -> "Derivation":
    """Position and velocity of a small displacement make a 2x2 map; its eigenvalues leave the unit circle at -1, or as
    a pair of product 1.
    """
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    mu, beta, h, n, x, A, tau, pull = sp.symbols("mu beta h n x A tau pull", positive=True)
    rho, delta, w = sp.symbols("rho delta w", real=True)
    z = sp.symbols("z")
    claims = _closed_forms(h, rho, beta, n, A)

    def stepped(radial: sp.Expr, pulled: sp.Expr, push: sp.Expr) -> sp.Matrix:
        """A point at (1, delta) with mu v = (radial, w) and mu g = (pulled, push delta): its angle and mu times the
        tangent velocity after the step.
        """
        velocity = sp.Matrix([beta * radial + pulled, beta * w + push * delta])
        return sp.Matrix([(delta - velocity[1]) / (1 - velocity[0]), velocity[1]])

    # a resting state: g = -rho z at rest, and h - rho times a tangent displacement
    radial = -rho / (1 - beta)
    rest = stepped(mu * radial, -mu * rho, mu * (h - rho)).jacobian([delta, w])
    r = 1 + mu * rho / (1 - beta)
    at_minus_1, at_1 = (1 + sign * rest.trace() + rest.det() for sign in (1, -1))
    polynomial = z**2 - (1 + beta - mu * h) * z + beta
    plain = rest.subs(rho, 0)
    # Nesterov: the step takes g + beta v
    velocity = beta * w + mu * h * delta
    nesterov = sp.Matrix([delta - mu * h * delta - beta * velocity, velocity]).jacobian([delta, w])
    # collapse, by T4's gradient mu g = x (z - delta/(n - 1)): the point turns round at every step, and its velocity too
    y, k = x / (1 + beta), x / (n - 1)
    turned = stepped(-y, x, -k)
    turned[1] = -turned[1]  # seen from the opposite pole
    collapse = turned.jacobian([delta, w])
    margin = (1 - beta) * (y - 2) - k
    rate = claims["collapse x"] * tau / pull
    return Derivation(
        theorem="T14",
        statement="Momentum moves every flip of a tangent step to 1 + beta times the rate; the merged ambient collapse"
        " attracts later, or never, and its uniform state spins earlier than it flips.",
        steps=(
            Step("Heavy ball: v <- beta v + g, z <- normalise(z - mu v). Where z rests, g = -rho z adds up to a radial"
                 " velocity", radial, "v"),
            Step("and each step stretches z by", r, "r"),
            Step("A small displacement delta of curvature h adds (h - rho) delta to the gradient. With w = mu times its"
                 " velocity, (delta, w) is multiplied by", rest, "M"),
            Step("of determinant", beta / r, "det M"),
            Step("The characteristic polynomial is at 1", mu * h / r, "chi(1)"),
            Step("which is positive, so while r > beta the eigenvalues leave the unit circle at -1 only: at",
                 claims["flip"], "mu"),
            Step("With rho = 0 (tangent step; full loss at collapse) that is 1 + beta times the plain rate: the heavy"
                 " ball on a quadratic", polynomial, "chi(z)"),
            Step("Nesterov's step g + beta v has its flip at", claims["nesterov"], "mu"),
            Step("For rho < 0 the determinant is 1 earlier or later, at r = beta: every mode turns, whatever h, above",
                 claims["spin"], "mu >"),
            Step("Two views in the ambient uniform state (T5a) have rho = 1 - A and h = 2 in units of pull/tau, A ="
                 " A_1, and come apart above", claims["views x"], "x = pull mu/tau"),
            Step("or never, where A <= beta. At complete collapse the merged ambient step turns the point round, and"
                 " v = -a z with it;", y, "mu a = y"),
            Step("With k = x/(n-1), (delta, w) seen from the pole that the point has reached is multiplied by",
                 collapse, "M"),
            Step("of determinant", beta / (y - 1), "det M"),
            Step("Times y - 1 the polynomial is at 1 positive, and at -1", margin, "(y - 1) chi(-1)"),
            Step("where this is positive y > 2, so the determinant is below 1: collapse attracts iff it is, which is,"
                 " if (1-beta)(n-1) > 1+beta, above the rate", rate, "mu >"),
        ),
        zeros={
            "the radial velocity is steady": beta * radial - rho - radial,
            "determinant": rest.det() - beta / r,
            "polynomial at 1": at_1 - mu * h / r,
            "flip": at_minus_1.subs(mu, claims["flip"]),
            "spin": rest.det().subs(mu, claims["spin"]) - 1,
            "without momentum T5's multiplier": rest[0, 0].subs(beta, 0) - (1 - mu * h / (1 + mu * rho)),
            "tangent: the heavy ball on a quadratic": z**2 - plain.trace() * z + plain.det() - polynomial,
            "its other root is -beta": polynomial.subs(mu, claims["flip"].subs(rho, 0)) - (z + 1) * (z + beta),
            "nesterov": (1 + nesterov.trace() + nesterov.det()).subs(mu, claims["nesterov"]),
            "nesterov, determinant": nesterov.det() - beta * (1 - mu * h),
            "views, ambient": at_minus_1.subs({h: 2, rho: 1 - A}).subs(mu, claims["views x"]),
            "the velocity turns round": -beta * y + x - y,
            "collapse, determinant": collapse.det() - beta / (y - 1),
            "collapse, polynomial at -1": 1 + collapse.trace() + collapse.det() - margin / (y - 1),
            "collapse, polynomial at 1": 1 - collapse.trace() + collapse.det()
            - (1 + beta + (1 + k + beta) / (y - 1)),
            "collapse": margin.subs(x, claims["collapse x"]),
            "without momentum T4's multiplier": collapse[0, 0].subs(beta, 0) - (1 + k) / (1 - x),
        },
        formulas={
            "heavy_ball_rate": claims["flip"].subs(rho, 0),
            "nesterov_rate": claims["nesterov"],
            "flip_rate": claims["flip"],
            "spin_rate": claims["spin"],
            "alignment_uniform_rate, ambient": claims["views x"] * tau / pull,
            "heavy_ball_collapse_rate": rate,
        },
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """What users get with momentum, beside the closed forms at the same point."""
    from dataclasses import replace
    from functools import partial

    import sympy as sp

    from clopsim.bounds.alignment import alignment_uniform_rate
    from clopsim.bounds.collapse import alignment_collapse_rate, collapse_rate, exact_rate
    from clopsim.bounds.derivation import Agreement, defined_pull, every_setting, written_out
    from clopsim.bounds.uniform import harmonic_spectrum, radial_rate, uniform_rate

    symbols = sp.symbols("h rho beta n A")
    claims = _closed_forms(*symbols)

    def at(name: str, **numbers: "float | sp.Expr") -> sp.Expr:
        exact = {key: sp.Float(str(one), 30) if isinstance(one, float) else one for key, one in numbers.items()}
        return claims[name].subs({symbol: exact[str(symbol)] for symbol in symbols if str(symbol) in exact})

    def inverse(rate: "partial[Floats]") -> Floats:
        return 1 / np.asarray(rate())  # 0 for never

    found: dict[str, Agreement] = {}
    for b in (0.0, 0.3, 0.9):
        found[f"heavy_ball_rate, {b}"] = Agreement(
            partial(heavy_ball_rate, 3.0, momentum=b), at("flip", h=3.0, rho=0.0, beta=b)
        )
        found[f"nesterov_rate, {b}"] = Agreement(partial(nesterov_rate, 3.0, momentum=b), at("nesterov", h=3.0, beta=b))
        for radial in (0.0, 0.7, -0.2):
            name = f"flip_rate, {b}, rho = {radial}"
            found[name] = Agreement(
                partial(flip_rate, 20.0, radial, momentum=b), at("flip", h=20.0, rho=radial, beta=b)
            )
            spins = at("spin", rho=radial, beta=b) ** -1 if b and radial < 0 else sp.Integer(0)
            code = partial(inverse, partial(spin_rate, radial, momentum=b))
            found[f"1/spin_rate, {b}, rho = {radial}"] = Agreement(code, spins)
    never = partial(inverse, partial(flip_rate, 1.0, 2.0, momentum=0.5))
    found["1/flip_rate where nothing flips"] = Agreement(never, sp.Integer(0))
    b = 0.6
    for plain in every_setting(0.3, 3, 64):
        setting, pull = replace(plain, momentum=b), defined_pull(plain)
        step, n = sp.Float("0.3", 30) / pull, sp.Integer(64)  # tau/pull
        ambient, full = setting.gradient == "ambient", setting.loss == "full"
        flips = sp.Float("1.6", 30) * 2 * step * (n - 1) / (n - 2)
        attracts = ambient and not full
        exact = at("collapse x", beta=b, n=n) * step if attracts else flips
        e = sp.Float(float(harmonic_spectrum(plain, limit=True).e.max()), 30)
        rho = sp.Float(float(radial_rate(plain, limit=True)), 30)
        least = at("flip", h=e, rho=rho, beta=b)
        breaks = least if least > 0 else sp.oo
        if rho < 0:
            breaks = min(breaks, at("spin", rho=rho, beta=b))
        mean = sp.coth(sp.Rational(10, 3)) - sp.Float("0.3", 30)  # A_1 at d = 3
        apart = (at("views x", beta=b, A=mean) if ambient else sp.Float("1.6", 30)) * step
        where = f"{written_out(setting)}, momentum {b}"
        found[f"exact_rate, {where}"] = Agreement(partial(exact_rate, setting), exact)
        found[f"collapse_rate, {where}"] = Agreement(partial(collapse_rate, setting), exact if attracts else None)
        found[f"alignment_collapse_rate, {where}"] = Agreement(
            partial(alignment_collapse_rate, setting), exact if full else None
        )
        found[f"alignment_uniform_rate, {where}"] = Agreement(
            partial(alignment_uniform_rate, setting, limit=True), apart if full else None
        )
        rate = partial(inverse, lambda setting=setting: uniform_rate(setting, limit=True).rate)  # type: ignore[arg-type]
        found[f"1/uniform_rate, {where}"] = Agreement(rate, 1 / breaks)
    few = Setting(0.5, 8, 20, momentum=0.9)
    found["collapse_rate, n = 20, momentum 0.9"] = Agreement(partial(collapse_rate, few), None)
    return found
