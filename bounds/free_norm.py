"""T10: what training code really does. The norm is free, and with weight decay the two views circulate, for ever."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import Floats, Setting, momentum_below_one, positive_number, shown, without_momentum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Derivation


def view_growth(
    cosine: Floats, squared_norm: Floats, *, rate: float, weight_decay: float, setting: Setting
) -> NDArray[np.float64]:
    """Factors by which one step multiplies a pair of views along and across their midpoint; the second one flips.

        X+/X = 1 - mu w + (M/N) (1 - cos),   Y+/Y = 1 - mu w - (M/N) (1 + cos)      (tight as n -> infinity)

    with N = |u|^2, M = pull mu/tau; X and Y are the components of the free embedding along and across the midpoint of
    the two views, which have the same norm. On every orbit that stays bounded away from 0 and infinity the mean
    logarithm of each |factor| over the steps is 0: the two averages that T10 predicts.

    Valid for: the full loss, the tangent gradient, 0 < mu w < 1, no momentum, the other samples spread evenly, so that
    they pull radially.
    Source: T10 (ours).

    cosine: of the two views, any shape (...), in [-1, 1]; squared_norm: |u|^2 > 0 of either, same shape.
    Returns (2, ...): along, across.
    """
    shrink = 1 - _product(rate, weight_decay)
    cosines, norms = np.broadcast_arrays(np.asarray(cosine, dtype=np.float64), np.asarray(squared_norm))
    if np.any(np.abs(cosines) > 1):
        raise ValueError(f"cosine must be in [-1, 1], got {shown(cosine)}; it is that of the two views")
    if not np.all(norms > 0):
        raise ValueError(f"squared_norm must be > 0, got {shown(squared_norm)}; it is the square of a length")
    without_momentum(setting)
    pull = steady_squared_norm(rate, setting) / norms
    return np.stack([shrink + pull * (1 - cosines), shrink - pull * (1 + cosines)])


def two_view_step(
    pair: NDArray[np.float64], *, rate: float, weight_decay: float, setting: Setting
) -> NDArray[np.float64]:
    """One step of free-norm descent with weight decay for a pair of views; see view_growth.

        X+ = X (1 - mu w + 2 M Y^2/N^2),   Y+ = Y (1 - mu w - 2 M X^2/N^2)           (tight as n -> infinity)

    It preserves area in (log X, log |Y|). The swap X^2 + Y^2 = M, cos = 1 - mu w is a fixed point up to the sign of Y,
    and a centre: no pair comes to rest there, each circulates at the distance of its start.

    Valid for: as view_growth.
    Source: T10 (ours).

    pair: (2, ...), the components (X, Y) of one of the two views, not both 0; the other one is (X, -Y).
    """
    if len(pair) != 2:
        raise ValueError(f"pair must have shape (2, ...), got {pair.shape}; give the two components of a view")
    along, across = np.asarray(pair, dtype=np.float64)
    norm = along**2 + across**2
    if not np.all(norm > 0):
        raise ValueError("pair must not be 0, got a view of length 0; the loss sees directions only")
    cosine = (along**2 - across**2) / norm
    return pair * view_growth(cosine, norm, rate=rate, weight_decay=weight_decay, setting=setting)


def decayed_view_cosine(rate: float, *, weight_decay: float, momentum: float = 0.0) -> float:
    """Cosine of the two views on the swap, the fixed point of free-norm descent with weight decay.

        cos = 1 - mu w/(1 + beta)                                      (tight)

    whatever temperature, dimension, number of samples, keys and reduction. No run settles there. Without momentum the
    swap is a centre (swap_eigenvalue): each pair circulates about it at the distance of its start, and what is
    predicted are the averages of view_growth. The mean of 1 - cos is mu w on small orbits and up to 1.06 mu w on large
    ones (measured), which the fluctuations of a finite batch lead to. With momentum the swap repels.

    Valid for: the full loss, the tangent gradient, 0 < mu w < 1, while the alignment of the views is the first
    instability (T5).
    Source: T10 (ours).

    rate: mu > 0; weight_decay: w > 0, added to the gradient, so that one step without momentum multiplies the free norm
    by 1 - mu w; momentum: beta in [0, 1), of the heavy ball v <- beta v + g, u <- u - mu v.
    """
    return 1 - _product(rate, weight_decay) / (1 + _checked_momentum(momentum))


def steady_squared_norm(rate: float, setting: Setting) -> Floats:
    """Squared norm |u|^2 of the free embeddings on the swap, the fixed point with weight decay.

        |u|^2 = pull mu/(tau (1 + beta))              (tight as n -> infinity; 2 mu/tau: sum, symmetric keys, beta = 0)

    Independent of the weight decay; runs circulate about it as about decayed_view_cosine. Without decay it is a lower
    bound of the norm at which a run freezes, for rates that start above the edge: norms grow until
    mu/|u|^2 <= (1 + beta) tau/pull and never shrink.

    Valid for: the full loss, the tangent gradient, as decayed_view_cosine; beta is the setting's momentum.
    Source: T10 (ours).
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    if setting.loss != "full" or setting.gradient != "tangent":
        raise ValueError(
            f"loss and gradient must be full and tangent, got {setting.loss!r} and {setting.gradient!r}; "
            "a free norm means the gradient of autograd, and the steady state is a swap of views"
        )
    return setting.pull * rate / (setting.tau * (1 + setting.momentum))


def swap_eigenvalue(rate: float, *, weight_decay: float, momentum: float = 0.0) -> complex:
    """Eigenvalue of the step's linearisation at the swap with the largest modulus (Y counted with alternating sign).

        lambda + beta/lambda = (1 + beta) exp(2 i phi),   cos phi = 1 - mu w/(1 + beta)               (tight)

    Without momentum lambda = exp(2 i phi): a rotation by 2 arccos(1 - mu w) per step, the swap is a centre and neither
    attracts nor repels. With momentum |lambda| > 1 always: an unstable spiral, runs leave it and burst.

    Valid for: as decayed_view_cosine; small deviations of one pair.
    Source: T10 (ours).
    """
    phi = np.arccos(decayed_view_cosine(rate, weight_decay=weight_decay, momentum=momentum))
    total = (1 + momentum) * np.exp(2j * phi)
    return complex(max(np.roots([1, -total, momentum]), key=abs))


def effective_rate(rate: float, squared_norm: Floats, setting: Setting) -> Floats:
    """Learning rate that an embedding of squared norm |u|^2 feels, in units of T5's alignment threshold.

        (mu / |u|^2) / mu_align = (pull mu / tau) / ((1 + beta) |u|^2),   mu_align = (1 + beta) tau / pull

    Below 1 the views stay together. Above 1 a free norm grows until it is 1 (T10, no decay); with weight decay it
    circulates about 1, where |u|^2 = pull mu/(tau (1 + beta)). Momentum beta makes the views more stable, not less:
    they come apart by a flip, which the velocity damps (T14). Only along slow directions is a rate felt mu/(1 - beta).

    Valid for: the full loss and the tangent gradient; free embeddings. In a network it is a label, not a threshold.
    Source: T5, T10, T14 (ours).

    rate: mu > 0; squared_norm: any shape (...), >= 0; 0 gives inf.
    """
    steady = steady_squared_norm(rate, setting)  # checks the setting
    norm = np.asarray(squared_norm, dtype=np.float64)
    if np.any(norm < 0):
        raise ValueError(f"squared_norm must be >= 0, got {shown(squared_norm)}; it is the square of a length")
    with np.errstate(divide="ignore"):
        units = steady / norm
    return float(units) if units.ndim == 0 else units


def _product(rate: float, weight_decay: float) -> float:
    """mu w, checked: 0 < mu w < 1."""
    positive_number("rate", rate, remedy="it is the learning rate mu")
    positive_number("weight_decay", weight_decay, remedy="without decay the norm freezes where the step is safe")
    if not rate * weight_decay < 1:
        raise ValueError(
            f"weight_decay must keep rate * weight_decay < 1, got {rate:g} * {weight_decay:g}; lower one of them"
        )
    return rate * weight_decay


def _checked_momentum(momentum: float) -> float:
    """beta, checked: 0 <= beta < 1."""
    momentum_below_one(momentum)
    return momentum


def _closed_forms(
    mu: "sp.Symbol", w: "sp.Symbol", tau: "sp.Symbol", pull: "sp.Symbol", beta: "sp.Symbol"
) -> "dict[str, sp.Expr]":
    """Claimed fixed point: its cosine and squared norm."""
    return {"cosine": 1 - mu * w / (1 + beta), "squared_norm": pull * mu / (tau * (1 + beta))}


def _growth(cosine: "sp.Expr", M: "sp.Expr", N: "sp.Expr", shrink: "sp.Expr") -> "dict[str, sp.Expr]":
    """Claimed factors along and across."""
    return {"along": shrink + M / N * (1 - cosine), "across": shrink - M / N * (1 + cosine)}


def derive() -> "Derivation":
    """Differentiate the pull of the other view; fixed point, area, linearisation; then the same with momentum."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation, Step, defined_pull, entry, every_setting, written_out

    mu, w, tau, pull, X, Y = sp.symbols("mu w tau pull X Y", positive=True)
    beta = sp.Symbol("beta", nonnegative=True)
    p, q = sp.symbols("p q", positive=True)  # the other view, held while one view moves
    N, M = X**2 + Y**2, pull * mu / tau
    shrink = 1 - mu * w

    energy = -pull / tau * (X * p - Y * q) / sp.sqrt((X**2 + Y**2) * (p**2 + q**2))  # of u = (X, Y), u' = (p, -q)
    slope = [sp.simplify(sp.diff(energy, x).subs({p: X, q: Y})) for x in (X, Y)]
    cosine = (X**2 - Y**2) / N
    factors = _growth(cosine, M, N, shrink)
    step = (X * factors["along"], Y * factors["across"])
    area = sp.Matrix(step).jacobian([X, Y]).det()

    # the swap: across alternates in sign, so the map has Y -> -Y put behind it; e = 1 - cos phi
    e = sp.Symbol("e", positive=True)
    swap = _closed_forms(mu, w, tau, pull, beta)
    plain = {name: value.subs(beta, 0) for name, value in swap.items()}
    here = {X: sp.sqrt(plain["squared_norm"] * (1 + plain["cosine"]) / 2),
            Y: sp.sqrt(plain["squared_norm"] * (1 - plain["cosine"]) / 2)}  # fmt: skip
    linear = sp.Matrix([step[0], -step[1]]).jacobian([X, Y]).subs(here)
    double = 2 * (1 - mu * w) ** 2 - 1  # cos 2 phi at cos phi = 1 - mu w

    # heavy ball: second differences of the pair's energy half, F = -(pull/2 tau) cos phi, at e and N of the swap
    F = -pull / (2 * tau) * cosine
    product = (1 + beta) * e  # mu w at the swap with cos phi = 1 - e
    size = swap["squared_norm"]
    there = {X: sp.sqrt(size * (2 - e) / 2), Y: sp.sqrt(size * e / 2)}
    gradient = [sp.simplify(sp.diff(F, x).subs(there)) for x in (X, Y)]
    xx, xy, yy = (sp.simplify(mu * sp.diff(F, *pair).subs(there)) for pair in ((X, X), (X, Y), (Y, Y)))
    sigma, theta, r = sp.symbols("sigma theta r", positive=True)  # sigma = lambda + beta/lambda
    characteristic = (sigma - (1 + beta - xx - product)) * (sigma + (1 + beta - yy - product)) + xy**2
    twice = 2 * (1 - e) ** 2 - 1  # cos 2 phi
    turned = r * sp.exp(sp.I * theta)
    ellipse = (r + beta / r) ** 2 * sp.cos(theta) ** 2 + (r - beta / r) ** 2 * sp.sin(theta) ** 2

    agreements: dict[str, Agreement] = {}
    rate, decay, at = (
        0.75,
        0.25,
        {mu: sp.Rational(3, 4), w: sp.Rational(1, 4), X: sp.Rational(5, 4), Y: sp.Rational(1, 2)},
    )
    pair = np.array([1.25, 0.5])
    size_there, cosine_there = float(N.subs(at)), float(cosine.subs(at))
    for setting in every_setting(0.5, 3, 8):
        if setting.loss == "merged" or setting.gradient == "ambient":
            continue
        here_too = at | {tau: sp.Rational(1, 2), pull: defined_pull(setting)}
        for heavy, inertia in ((0.0, sp.Integer(0)), (0.5, sp.Rational(1, 2))):
            name, given = f"{written_out(setting)}, beta = {heavy:g}", replace(setting, momentum=heavy)
            norm = size.subs(here_too).subs(beta, inertia)
            agreements[f"steady_squared_norm, {name}"] = Agreement(partial(steady_squared_norm, rate, given), norm)
            several = partial(effective_rate, rate, np.array([0.5, 1.5]), given)
            agreements[f"effective_rate, {name}"] = Agreement(partial(effective_rate, rate, 1.5, given), norm / 1.5)
            agreements[f"effective_rate, two norms, {name}"] = Agreement(entry(several, 1), norm / 1.5)
        growing = partial(view_growth, cosine_there, size_there, rate=rate, weight_decay=decay, setting=setting)
        stepping = partial(two_view_step, pair, rate=rate, weight_decay=decay, setting=setting)
        for k, way in enumerate(("along", "across")):
            agreements[f"view_growth, {way}, {written_out(setting)}"] = Agreement(
                entry(growing, k), factors[way].subs(here_too)
            )
            agreements[f"two_view_step, {way}, {written_out(setting)}"] = Agreement(
                entry(stepping, k), step[k].subs(here_too)
            )
    for heavy, inertia in ((0.0, sp.Integer(0)), (0.5, sp.Rational(1, 2)), (0.75, sp.Rational(3, 4))):
        angle = swap["cosine"].subs(at).subs(beta, inertia)
        agreements[f"decayed_view_cosine, beta = {heavy:g}"] = Agreement(
            partial(decayed_view_cosine, rate, weight_decay=decay, momentum=heavy), angle
        )
        total = (1 + inertia) * sp.exp(2 * sp.I * sp.acos(angle))
        roots = [(total + sign * sp.sqrt(total**2 - 4 * inertia)) / 2 for sign in (1, -1)]
        largest = max((sp.N(root, 30) for root in roots), key=lambda root: float(abs(root)))

        def both(heavy: float = heavy) -> NDArray[np.float64]:
            eigenvalue = swap_eigenvalue(rate, weight_decay=decay, momentum=heavy)
            return np.array([eigenvalue.real, eigenvalue.imag])

        agreements[f"swap_eigenvalue, real, beta = {heavy:g}"] = Agreement(entry(both, 0), sp.re(largest))
        agreements[f"swap_eigenvalue, imaginary, beta = {heavy:g}"] = Agreement(entry(both, 1), sp.im(largest))
    return Derivation(
        theorem="T10",
        statement="With weight decay the swap of the two views at cosine 1 - mu w and squared norm pull mu/tau is a"
        " neutral centre: every pair circulates about it, and two averages are predicted. With momentum it repels.",
        steps=(
            Step("The background pulls radially, which a free norm does not feel; the other view pulls along the"
                 " midpoint with the slope", slope[0], "slope"),
            Step("and across it with", slope[1], "slope"),
            Step("With N = X^2 + Y^2 and M = pull mu/tau a step multiplies X by", factors["along"], "X'/X"),
            Step("and Y by", factors["across"], "Y'/Y"),
            Step("Both factors are 1 and -1, a swap, at the cosine", plain["cosine"], "cos phi"),
            Step("and the squared norm", plain["squared_norm"], "|u|^2"),
            Step("The Jacobian determinant is X+Y+/(XY) everywhere: area is preserved in (log X, log |Y|)",
                 factors["along"] * factors["across"], "det J"),
            Step("so at the swap it is 1, and the trace there is 2 cos 2 phi: the eigenvalues are exp(+-2 i phi),"
                 " a rotation by 2 arccos(1 - mu w). Nothing attracts", 2 * double, "tr J"),
            Step("Logarithms of the factors add up along an orbit to the change of log X and log |Y|; while that stays"
                 " bounded, the mean of each over the steps tends to 0", sp.log(factors["along"]), "log(X'/X)"),
            Step("With momentum the heavy ball's fixed point (X constant, Y alternating) has",
                 swap["cosine"], "cos phi"),
            Step("and the squared norm", swap["squared_norm"], "|u|^2"),
            Step("Its eigenvalues obey, with sigma = lambda + beta/lambda, sigma = (1 + beta) exp(+-2 i phi)",
                 sp.Eq(sigma**2 - 2 * (1 + beta) * twice * sigma + (1 + beta) ** 2, 0)),
            Step("The two lambda of one sigma have the product beta. If neither is outside the unit circle, the larger"
                 " has modulus r in [sqrt(beta), 1] and |sigma|^2 is", ellipse, "|sigma|^2"),
            Step("which is at most (r + beta/r)^2 <= (1 + beta)^2, as (1 - r)(r - beta) >= 0, and equal to it for"
                 " r = 1 and real lambda only. Then phi = 0 or pi/2: so for beta > 0 and 0 < mu w < 1 one lambda lies"
                 " outside", (1 - r) * (r - beta), "0 <="),
        ),
        zeros={
            "the step along": X * shrink - mu * slope[0] - step[0],
            "the step across": Y * shrink - mu * slope[1] - step[1],
            "the swap keeps X": factors["along"].subs(here) - 1,
            "the swap turns Y": factors["across"].subs(here) + 1,
            "area in the logarithms": area * X * Y - step[0] * step[1],
            "determinant at the swap": linear.det() - 1,
            "trace at the swap": linear.trace() - 2 * double,
            "momentum: the cosine": (1 - swap["cosine"]) - (mu * w / product) * e,
            "momentum: X rests": mu * gradient[0] + product * there[X],
            "momentum: Y alternates": mu * gradient[1] + product * there[Y] - 2 * (1 + beta) * there[Y],
            "momentum: eigenvalues": characteristic - (sigma**2 - 2 * (1 + beta) * twice * sigma + (1 + beta) ** 2),
            "momentum: modulus of sigma": sp.expand(
                sp.re(sp.expand(turned + beta / turned, complex=True)) ** 2
                + sp.im(sp.expand(turned + beta / turned, complex=True)) ** 2
            ) - ellipse,
            "momentum: the ellipse lies in the disc": (1 + beta) - (r + beta / r) - (1 - r) * (r - beta) / r,
        },
        formulas={
            "decayed_view_cosine": swap["cosine"],
            "steady_squared_norm": swap["squared_norm"],
            "view_growth, along": factors["along"],
            "view_growth, across": factors["across"],
            "swap_eigenvalue": (sigma**2 - 2 * (1 + beta) * twice * sigma + (1 + beta) ** 2).subs(
                e, 1 - swap["cosine"]
            ),  # its roots are lambda + beta/lambda
        },
        agreements=agreements,
    )  # fmt: skip
