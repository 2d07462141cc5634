"""T7: one step with prototypes leaves every collapsed state, at any learning rate."""

import math
from functools import partial
from typing import TYPE_CHECKING

from clopsim.bounds.setting import Setting, positive_number, whole_number, without_momentum

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation


def gradient_bound(column_sum: float, setting: Setting) -> float:
    """Bound H on the length of one embedding's contrastive gradient.

        |g_i| <= H = (1 + c_i)/tau                         (upper, attained with all others at -z_i)

    with detached keys 1/tau; the full loss adds 2/tau (detached: 1/tau), and there the bound is not attained, since the
    view's pull and push oppose each other; the mean reduction divides by n.

    Valid for: every configuration, the ambient (Euclidean) gradient, one temperature. Source: T7 (ours).
    column_sum: c_i = sum_a P_ai, 0 <= c_i <= n - 1.
    """
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    if not 0 <= column_sum <= setting.samples - 1:
        raise ValueError(
            f"column_sum must be in [0, samples - 1] = [0, {setting.samples - 1}], got {column_sum!r}; "
            "it sums n - 1 probabilities"
        )
    symmetric = setting.keys == "symmetric"
    pulls = 1 + column_sum if symmetric else 1.0
    if setting.loss == "full":
        pulls += 2 if symmetric else 1
    return pulls / (setting.temperature * (setting.samples if setting.reduction == "mean" else 1))


def rescue_angle(weight: float, rate: float, column_sum: float, setting: Setting) -> float:
    """Largest angle between an embedding and its prototype after ONE step, at any learning rate, from any state.

        theta = arcsin((H + 1/mu)/lambda)   if mu lambda > 1 + mu H      (upper; merged: attained, all others at -z_i)

    with H = gradient_bound(c_i); (1 + c_i)/tau for the merged loss, sum reduction, symmetric keys. It falls in mu, to
    arcsin(H/lambda): a large rate helps.

    Valid for: the ambient gradient, a labelled sample, mu lambda > 1 + mu H. The weight is per labelled sample.
    Source: T7 (ours).
    weight: lambda > 0; rate: mu > 0; column_sum: c_i, 0 <= c_i <= n - 1. Returns radians, in (0, pi/2).
    Errors: ValueError outside these ranges and for a step in which the prototype does not win.
    """
    positive_number("weight", weight, remedy="it is the prototype weight lambda per labelled sample")
    positive_number("rate", rate, remedy="it is the learning rate mu")
    if setting.gradient != "ambient":
        raise ValueError(f"gradient must be ambient, got {setting.gradient!r}; a projected pull vanishes at -c_y")
    without_momentum(setting)
    H = gradient_bound(column_sum, setting)
    if not rate * weight > 1 + rate * H:
        raise ValueError(
            f"weight must be > gradient_bound + 1/rate = {H + 1 / rate:.6g}, got {weight!r}; "
            "else the contrastive step can outweigh the prototype, raise the weight"
        )
    return math.asin(min(1.0, (H + 1 / rate) / weight))


def leading_share_bound(angle: float, classes: int) -> float:
    """Largest share of the energy on one direction when every sample is within this angle of its prototype.

        sigma_1^2/n <= cos^2(max(0, arccos(1/sqrt(K)) - theta))                    (upper, attained)

    Below 1, so no collapse to rank 1, exactly for theta < arccos(1/sqrt(K)) (K = 4: 60 degrees). It is below
    (1/sqrt(K) + 2 sin(theta/2))^2, the triangle inequality's bound, which stops at 29 degrees for K = 4.
    Attained by turning every c_k by theta towards the sum of all.

    Valid for: all samples labelled, K balanced classes, orthonormal prototypes. Source: T7 (ours).
    angle: theta, radians, 0 <= theta <= pi; classes: K >= 1.
    """
    whole_number("classes", classes, low=1)
    if not 0 <= angle <= math.pi:
        raise ValueError(f"angle must be in [0, pi], got {angle!r}; it is an angle in radians")
    return math.cos(max(0.0, math.acos(1 / math.sqrt(classes)) - angle)) ** 2


def derive() -> "Derivation":
    """The norm argument for the step, and a concave envelope for the share."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, every_setting, written_out

    mu, lam, tau, c, H, K = sp.symbols("mu lambda tau c H K", positive=True)
    n, rho = sp.symbols("n rho", positive=True)
    t, theta, beta = sp.symbols("t theta beta", positive=True)
    # z_i at rho z, the others at -z: row i of the softmax is uniform, and every other row has the same entry for i
    opposite = sp.log((n - 1) * sp.exp(-rho / tau)) + (n - 1) * sp.log(sp.exp(-rho / tau) + (n - 2) * sp.exp(1 / tau))
    column = (n - 1) * sp.exp(-1 / tau) / (sp.exp(-1 / tau) + (n - 2) * sp.exp(1 / tau))
    a = 1 + mu * H
    bound = sp.asin((H + 1 / mu) / lam)
    y = sp.Matrix([mu * lam - a * sp.cos(beta), a * sp.sin(beta)])  # step, first axis along c_yi
    sine_squared = y[1] ** 2 / (y[0] ** 2 + y[1] ** 2)
    worst = (a / (mu * lam)) ** 2
    square = a**2 * (a - mu * lam * sp.cos(beta)) ** 2 / (mu**2 * lam**2 * (y[0] ** 2 + y[1] ** 2))
    share = (sp.sqrt(t) * sp.cos(theta) + sp.sqrt(1 - t) * sp.sin(theta)) ** 2
    bend = -sp.sin(2 * theta) / (4 * (t * (1 - t)) ** sp.Rational(3, 2))
    leading = sp.cos(sp.acos(1 / sp.sqrt(K)) - theta) ** 2
    # |g_i| by the triangle inequality: its own row sums to 1, its column to c; the full loss pulls to the view too
    agreements: dict[str, Agreement] = {}
    for setting in every_setting(0.3, 8, 12):
        anchor, key = (1, 0) if setting.keys == "detached" else (1, c)
        pulls = anchor + key + ((1 if setting.keys == "detached" else 2) if setting.loss == "full" else 0)
        longest = (pulls / tau / (12 if setting.reduction == "mean" else 1)).subs(
            {c: sp.Rational(5, 2), tau: sp.Rational(3, 10)}
        )
        agreements[f"gradient_bound, {written_out(setting)}"] = Agreement(
            partial(gradient_bound, 2.5, setting), longest
        )
        if setting.gradient == "ambient":
            widest = bound.subs({H: longest, mu: sp.Rational(7, 10), lam: 40})
            agreements[f"rescue_angle, {written_out(setting)}"] = Agreement(
                partial(rescue_angle, 40.0, 0.7, 2.5, setting), widest
            )
    for angle, k in ((0.2, 4), (1.0, 3), (2.5, 4)):
        within = angle < math.acos(1 / math.sqrt(k))
        largest = leading.subs({K: k, theta: sp.Rational(str(angle))}) if within else sp.Integer(1)
        agreements[f"leading_share_bound, {angle}, K = {k}"] = Agreement(
            partial(leading_share_bound, angle, k), largest
        )
    return Derivation(
        theorem="T7",
        statement="One ambient step puts a labelled sample within arcsin((H + 1/mu)/lambda) of its prototype.",
        steps=(
            Step("g_i = (1/tau) sum_a (P_ia + P_ai) z_a has non-negative coefficients and unit vectors, and row i"
                 " sums to 1, column i to c, so |g_i| <= H", (1 + c) / tau, "H"),
            Step("It is attained with z_i = rho z, rho = 1, and all others at -z, where z.g_i = -H is the derivative"
                 " in rho of", opposite, "L"),
            Step("The step is A + mu lambda c_yi with A = z_i - mu g_i, so |A| <= a", a, "a"),
            Step("In the plane of A and c_yi, A = a(-cos beta, sin beta) at its longest, the step is", y, "step"),
            Step("The squared sine of its angle to c_yi is (a/(mu lambda))^2 less a square, zero where A is"
                 " perpendicular to the step; a shorter A gives a smaller angle, and a < mu lambda keeps it acute",
                 square, "square"),
            Step("so the angle is at most", bound, "angle <="),
            Step("For a unit u with t = (u.c_k)^2, every z within theta of c_k has (u.z)^2 at most (1 beyond t ="
                 " cos^2 theta, where u is within theta of c_k)", share, "(u.z)^2 <="),
            Step("This is concave in t, and rises to 1 with slope 0 at t = cos^2 theta: second derivative",
                 bend, "second derivative"),
            Step("By Jensen the mean over the K balanced classes, sum_k t_k <= 1, is at most its value at t = 1/K",
                 leading, "mean <="),
        ),
        zeros={
            "H is attained": sp.diff(opposite, rho).subs(rho, 1) + ((1 + c) / tau).subs(c, column),
            "the angle's sine": sp.sin(bound) ** 2 - worst,
            "sine = worst - square": worst - sine_squared - square,
            "the share is concave": sp.diff(share, t, 2) - bend,
            "slope 0 at the end": sp.diff(share, t).subs(t, sp.cos(theta) ** 2).subs(theta, sp.atan(beta)),
            "value 1 at the end": share.subs(t, sp.cos(theta) ** 2).subs(theta, sp.atan(beta)) - 1,
            "value at 1/K": sp.expand(sp.expand_trig(leading) - share.subs(t, 1 / K)),
        },
        formulas={
            "gradient_bound": (1 + c) / tau,
            "rescue_angle": bound.subs(H, (1 + c) / tau),
            "leading_share_bound": leading,
        },
        agreements=agreements,
    )  # fmt: skip
