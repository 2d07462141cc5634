"""T21: MoCo. A momentum encoder makes the keys follow the queries, a queue makes them old."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clopsim.bounds.setting import Setting, number_from_zero, whole_number, without_momentum
from clopsim.bounds.uniform import harmonic_spectrum

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation

ANGLES = 64
"""Angles on the unit circle for each age in the queue, between which roots of the equation are sought."""

REAL = 1e-6
"""Imaginary part, relative, up to which a rate counts as real: what a pole leaves between two angles is far above."""

LONGEST_QUEUE = 10_000
"""Steps: a queue of 65536 keys in batches of 256 has 256."""

HALVINGS = 60
"""Of the interval between two angles: to the last bit."""


def moco_rate(setting: Setting, *, ema: float, queue: int = 1) -> float:
    """Learning rate above which the uniform state of MoCo, every query on its key, breaks.

        mu = 2 (1 + m) / (2 m p/tau + (1 - m) max_l E_l),   E_l = l(l+d-2) A_l     (tight as n -> infinity, queue = 1)

    Queries take the tangent step of InfoNCE against all keys, keys k <- normalise(m k + (1 - m) q). m = 0 is T5 with
    detached keys, m -> 1 gives 2 tau: keys that stand still. A longer queue holds the keys of the last L steps in
    equal parts; then mu is the least rate at which
        (lambda - 1)(lambda - m) + mu [(p/tau)(lambda - m) - (1 - m) lambda (p/tau - E g)] = 0,  g = sum_s lambda^-s/L
    has a root of modulus 1. Old keys break the state earlier where m = 0 (mu = 2 L sin^2(pi/2L)/max E), and hardly act
    for a slow encoder: its edge is that of the differences of query and key alone, (tau/p)(1 + 1/m), for even L, and
    just below for odd L, where the flip of the keys does not quite cancel.

    Valid for: the full loss, tangent gradient, detached keys, one temperature, n -> infinity (a query's own key is one
    of the keys, so nothing is excluded). Complete collapse attracts at no rate, whatever m. Source: T21 (ours).

    setting: p is its pull, 1 for the sum over the queries. ema: m in [0, 1), 0.999 in MoCo. queue: L >= 1 in steps.
    Errors: ValueError for another setting, m or L outside.
    """
    if (setting.loss, setting.gradient, setting.keys) != ("full", "tangent", "detached"):
        found = ", ".join((setting.loss, setting.gradient, setting.keys))
        raise ValueError(f"loss, gradient and keys must be full, tangent and detached for MoCo, got {found}; set them")
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    without_momentum(setting)
    number_from_zero("ema", ema, remedy="0.999 is MoCo's")
    if not ema < 1:
        raise ValueError(f"ema must be in [0, 1), got {ema!r}; at 1 the keys never move")
    length = whole_number("queue", queue, low=1, high=LONGEST_QUEUE)
    pull = setting.pull / setting.temperature  # p/tau
    E = harmonic_spectrum(setting, limit=True).e
    if length == 1:
        return float(2 * (1 + ema) / (2 * ema * pull + (1 - ema) * E.max()))
    return min(_least_rate(one, pull, ema, length) for one in E)


def _rate_at(angle: NDArray[np.float64], E: float, pull: float, m: float, length: int) -> NDArray[np.complex128]:
    """The mu that makes e^(i angle) a root, complex where no rate does."""
    root = np.exp(1j * angle)
    g = (1 - root**-length) / (length * (1 - 1 / root))
    with np.errstate(divide="ignore", invalid="ignore"):  # no rate at all: no root either
        rate: NDArray[np.complex128] = -(root - 1) * (root - m) / (pull * (root - m) - (1 - m) * root * (pull - E * g))
    return rate


def _least_rate(E: float, pull: float, m: float, length: int) -> float:
    angles = np.linspace(0, np.pi, ANGLES * length)[1:]
    below = np.signbit(_rate_at(angles, E, pull, m, length).imag)  # an angle may itself be a root: 0 has a sign bit too
    crossings = np.flatnonzero(np.diff(below))
    low, high, side = angles[crossings], angles[crossings + 1], below[crossings]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        left = np.signbit(_rate_at(middle, E, pull, m, length).imag) == side
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    rates = _rate_at(np.append(low, np.pi), E, pull, m, length)
    real = rates.real[(np.abs(rates.imag) < REAL * np.abs(rates)) & (rates.real > 0)]  # others cross at a pole
    return float(real.min(initial=np.inf))


def _closed_forms(m: "sp.Symbol", kappa: "sp.Symbol", E: "sp.Symbol", L: int) -> "dict[str, sp.Expr]":
    """Claimed rates; kappa = p/tau, L a length of the queue for m = 0."""
    import sympy as sp

    return {
        "rate": 2 * (1 + m) / (2 * m * kappa + (1 - m) * E),
        "apart": (1 + m) / (m * kappa),
        "old keys": 2 * L * sp.sin(sp.pi / (2 * L)) ** 2 / E,
    }


def derive() -> "Derivation":
    """Amplitudes of one ripple in the queries and in the keys: a 2x2 map; with a queue, a characteristic equation."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    m, kappa, E, mu, x = sp.symbols("m kappa E mu x", positive=True)
    a, b, z = sp.symbols("a b lambda")
    new_a = (1 - mu * kappa) * a + (mu * kappa - mu * E) * b
    new_b = m * b + (1 - m) * new_a
    pair = sp.Matrix([new_a, new_b]).jacobian([a, b])
    polynomial = sp.expand(z**2 - pair.trace() * z + pair.det())

    def equation(g: sp.Expr) -> sp.Expr:
        return (z - 1) * (z - m) + mu * (kappa * (z - m) - (1 - m) * z * (kappa - E * g))

    point = sp.Matrix([[1, x], [1 - m, m + (1 - m) * x]])
    lengths = (1, 2, 3, 4)
    claims = {length: _closed_forms(m, kappa, E, length) for length in lengths}
    zeros = {
        "determinant": pair.det() - m * (1 - mu * kappa),
        "at -1": polynomial.subs({z: -1, mu: claims[1]["rate"]}),
        "at 1": polynomial.subs(z, 1) - mu * (1 - m) * E,
        "a queue of one step": equation(sp.Integer(1)) - polynomial,
        "query from key alone": (equation(sp.Integer(0)).subs(E, 0) / (z - 1)).subs({z: -1, mu: claims[1]["apart"]}),
        "m = 0 is T5 with detached keys": claims[1]["rate"].subs(m, 0) - 2 / E,
        "m = 1": claims[1]["rate"].subs(m, 1) - 2 / kappa,
        "a point repels": 1 - point.trace() + point.det() + (1 - m) * x,
    }
    for length in lengths:
        root = sp.exp(sp.I * sp.pi / length)
        g = sum(root**-s for s in range(length)) / length
        left = equation(g).subs({z: root, m: 0, mu: claims[length]["old keys"]})
        zeros[f"old keys, L = {length}"] = sp.expand(sp.expand_complex(left))
    return Derivation(
        theorem="T21",
        statement="MoCo's uniform state breaks at 2(1+m)/(2m/tau + (1-m) max E_l): from T5's rate with detached keys"
        " (m = 0) to 2 tau (m -> 1).",
        steps=(
            Step("A ripple of degree l displaces queries by a and keys by b along its gradient. A query is pulled to"
                 " its key with kappa = p/tau and away from the keys' density, whose ripple acts with E_l (T5):",
                 new_a, "a'"),
            Step("Keys follow, k = N(m k + (1-m) q):", new_b, "b'"),
            Step("The map has the determinant", m * (1 - mu * kappa), "det M"),
            Step("and its characteristic polynomial is at 1 positive", mu * (1 - m) * E, "chi(1)"),
            Step("and at -1 zero at the rate", claims[1]["rate"], "mu"),
            Step("which falls in E, so the largest E_l breaks first; E = 0, queries against their own keys, has",
                 claims[1]["apart"], "mu"),
            Step("A queue shows keys of ages s = 0 .. L-1: E becomes E g, g the mean of lambda^-s",
                 equation(sp.Symbol("g")), "chi(lambda)"),
            Step("With m = 0, (lambda - 1)(1 - 1/lambda) = -(mu E/L)(1 - lambda^-L): its left side is real on the unit"
                 " circle, so lambda^L = -1, first at the angle pi/L. The rate is, for L = 4,",
                 claims[4]["old keys"], "mu"),
            Step("At complete collapse a query's gradient is its key's displacement alone, a <- a + x b: the polynomial"
                 " is at 1 negative, so a point repels", -(1 - m) * x, "chi(1)"),
        ),
        zeros=zeros,
        formulas={"moco_rate": claims[1]["rate"], "old keys, L = 4": claims[4]["old keys"]},
        agreements=_agreements(),
    )  # fmt: skip


def _agreements() -> "dict[str, Agreement]":
    """What users get, beside the closed forms at the same point; with a queue, roots of the equation to 30 digits."""
    from functools import partial

    import sympy as sp

    from clopsim.bounds.derivation import Agreement, defined_pull

    m, kappa, E = sp.symbols("m kappa E", positive=True)

    def energies(d: int, concentration: int) -> list[sp.Float]:
        order = sp.Rational(d, 2) - 1
        base = sp.besseli(order, concentration)
        A = [sp.N(sp.besseli(order + degree, concentration) / base, 30) for degree in range(1, 9)]
        return [degree * (degree + d - 2) * ratio for degree, ratio in enumerate(A, start=1)]

    found: dict[str, Agreement] = {}
    for d, concentration in ((2, 2), (3, 5), (8, 2)):
        E_l = energies(d, concentration)
        for reduction in ("sum", "mean"):
            setting = Setting(1 / concentration, d, 256, "full", "tangent", "detached", reduction)
            pull = defined_pull(setting)
            point = {kappa: pull * concentration, E: max(E_l) * pull}
            for ema in (0.0, 0.5, 0.9):
                derived = _closed_forms(m, kappa, E, 1)["rate"].subs({**point, m: sp.Rational(str(ema))})
                where = f"d = {d}, kappa = {concentration}, {reduction}"
                found[f"moco_rate, {where}, m = {ema}"] = Agreement(partial(moco_rate, setting, ema=ema), derived)
            for length in (2, 8):
                derived = _closed_forms(m, kappa, E, length)["old keys"].subs(point)
                code = partial(moco_rate, setting, ema=0.0, queue=length)
                found[f"moco_rate, {where}, m = 0, L = {length}"] = Agreement(code, derived, tolerance=1e-10)
            derived = _closed_forms(m, kappa, E, 1)["apart"].subs({**point, m: sp.Rational(3, 5)})
            code = partial(moco_rate, setting, ema=0.6, queue=8)
            found[f"moco_rate, {where}, m = 0.6, L = 8"] = Agreement(code, derived)
    angle, mu = sp.symbols("theta mu", real=True)
    z, (_, second, *_) = sp.exp(sp.I * angle), energies(3, 2)
    setting = Setting(0.5, 3, 256, "full", "tangent", "detached")
    for ema, length, near in ((0.05, 8, (0.393, 0.555)), (0.1, 4, (0.851, 1.5)), (0.3, 16, (0.194, 0.33))):
        share = sp.Rational(str(ema))
        g = sum(z**-s for s in range(length)) / length
        left = (z - 1) * (z - share) + mu * (2 * (z - share) - (1 - share) * z * (2 - second * g))
        parts = [sp.re(sp.expand_complex(left)), sp.im(sp.expand_complex(left))]
        root = sp.nsolve(parts, (angle, mu), near, prec=30)
        code = partial(moco_rate, setting, ema=ema, queue=length)
        found[f"moco_rate, d = 3, kappa = 2, m = {ema}, L = {length}"] = Agreement(code, root[1], tolerance=1e-10)
    return found
