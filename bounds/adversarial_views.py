"""T40, second half: the swap of two views under an adversary who moves both, in an even spread."""

import math
from functools import partial
from typing import TYPE_CHECKING

from clopsim.bounds.setting import is_number, number_from_zero, positive_number, shown

if TYPE_CHECKING:
    import sympy as sp

    from clopsim.bounds.derivation import Agreement, Derivation


def adversarial_attraction(cosine: float, *, temperature: float, reach: float) -> float:
    """How many times as much two views attract each other when an adversary moves them, in an even spread.

        1/sqrt(1 - 2 k c + k^2),   k = 4 r/tau,  r = sigma^2/lambda                    (tight as n -> infinity)

    His best move turns each view away from the other by alpha, tan 2 alpha = k sin phi/(1 - k cos phi), c = cos phi. At
    c = 1 it is what adversarial_curvature makes of 4/tau.

    Valid for: full InfoNCE, sum over anchors, symmetric keys; other samples uniform; k < 1, beyond which he runs away
    where views agree. Source: T40 (ours). cosine: of the two views, in [-1, 1]; reach: r >= 0.
    """
    if not (is_number(cosine) and -1 <= cosine <= 1):
        raise ValueError(f"cosine must lie in [-1, 1], got {shown(cosine)}; it is that of the two views")
    k = _strength(temperature, reach)
    return 1 / math.sqrt((1 - k) ** 2 + 2 * k * (1 - cosine))


def adversarial_swap(rate: float, *, temperature: float, reach: float) -> float:
    """Cosine of two views after many steps under an adversary: 1 while they agree, then the swap of period two.

        (1 + k^2)/(k + sqrt(k^2 + x^2 (1 + k^2))),   x = 2 mu/tau,  k = 4 r/tau          (tight as n -> infinity)

    above mu = tau/2 - 2 r, x = 1 - k; tau/(2 mu) without him. The swap is stable while its cosine is above k. From tan
    phi = (2 mu/tau) sin phi times adversarial_attraction: each step rotates each view onto the other.

    Valid for: as adversarial_attraction, the tangent gradient; far above the rate swapped views disturb the others, as
    without him (bounds.swap_cosine). Source: T40 (ours). rate: mu; reach: r >= 0.
    """
    positive_number("rate", rate, remedy="it is the learning rate mu")
    k, x = _strength(temperature, reach), 2 * rate / temperature
    return min(1.0, (1 + k**2) / (k + math.hypot(k, x * math.hypot(1, k))))


def _strength(temperature: float, reach: float) -> float:
    """k = 4 r/tau."""
    positive_number("temperature", temperature, remedy="typical values lie between 0.05 and 1")
    number_from_zero("reach", reach, remedy="0 leaves the loss as it is")
    if not 4 * reach < temperature:
        raise ValueError(
            f"reach must be < temperature/4 = {temperature / 4:g}, got {reach:g}; "
            "beyond, the adversary runs away where views agree"
        )
    return 4 * reach / temperature


def _closed_forms(c: "sp.Expr", x: "sp.Expr", k: "sp.Expr") -> "dict[str, sp.Expr]":
    """What is claimed, by name; c = cos phi, x = 2 mu/tau, k = 4 r/tau."""
    import sympy as sp

    return {
        "attraction": 1 / sp.sqrt(1 - 2 * k * c + k**2),
        "swap": (1 + k**2) / (k + sp.sqrt(k**2 + x**2 * (1 + k**2))),
        "two steps": 1 - 2 * c * (c - k) * (1 - k * c) / (1 - 2 * k * c + k**2),
    }


def derive() -> "Derivation":
    """Two views in their plane: what a turn costs, the best one, the slope that is left, the step that it makes."""
    import sympy as sp

    from clopsim.bounds.derivation import Derivation, Step

    tau, k, x, phi, alpha, t, mu, r = sp.symbols("tau k x phi alpha t mu r", positive=True)
    c = sp.Symbol("c", real=True)
    claims = _closed_forms(c, x, k)
    price = 2 * k * tau / 4  # 2 r
    strain = claims["attraction"].subs(c, sp.cos(phi))  # S
    best = {sp.sin(2 * alpha): k * sp.sin(phi) * strain, sp.cos(2 * alpha): (1 - k * sp.cos(phi)) * strain}

    def moved(function: "type[sp.Function]") -> sp.Expr:
        """cos or sin of phi + 2 alpha at the best move."""
        whole = sp.expand_trig(function(phi + t))
        return whole.subs({sp.sin(t): best[sp.sin(2 * alpha)], sp.cos(t): best[sp.cos(2 * alpha)]})

    far = (t - sp.cos(alpha)) ** 2 + sp.sin(alpha) ** 2  # |delta|^2 of z + delta = t (cos alpha, sin alpha)
    gain = -2 * sp.cos(phi + 2 * alpha) / tau - 2 * sp.sin(alpha) ** 2 / price
    slope = 2 * sp.sin(phi + 2 * alpha) / tau
    turn = x * sp.sin(phi) * strain
    angle = phi - 2 * sp.atan(turn)
    on_swap = {x: 1 / (c * claims["attraction"]), sp.sin(phi): sp.sqrt(1 - c**2), sp.cos(phi): c}
    swap = claims["swap"]
    return Derivation(
        theorem="T40",
        statement="An adversary makes two views of an even spread attract each other 1/sqrt(1 - 2kc + k^2) times as"
        " much, k = 4 sigma^2/(lambda tau); they swap at the cosine where that is tau/(2 mu c).",
        steps=(
            Step("As n -> infinity the rest of an even spread turns no embedding (T5a), moved or not. To turn a view by"
                 " alpha costs least at right angles to where it goes", sp.sin(alpha) ** 2, "|delta|^2"),
            Step("Both anchors see their pair, so the adversary seeks the largest", gain, "gain"),
            Step("It is at", sp.Eq(sp.tan(2 * alpha), k * sp.sin(phi) / (1 - k * sp.cos(phi)))),
            Step("where the slope in the angle of the views, (2/tau) sin phi without him, is multiplied by",
                 claims["attraction"], "S"),
            Step("A tangent step turns each view by an angle whose tangent is", turn, "tan(turn)"),
            Step("so they swap, turned by phi itself, at cosine", swap, "cos phi"),
            Step("which is 1 at", sp.Eq(mu, tau / 2 - 2 * r)),
            Step("A deviation from the swap is multiplied, up to its sign, by", claims["two steps"], "m"),
        ),
        zeros={
            "price": far.subs(t, sp.cos(alpha)) - sp.sin(alpha) ** 2,
            "price, least": far.diff(t).subs(t, sp.cos(alpha)),
            "best move, an angle": best[sp.sin(2 * alpha)] ** 2 + best[sp.cos(2 * alpha)] ** 2 - 1,
            "slope in alpha": gain.diff(alpha) - 4 * sp.sin(phi + 2 * alpha) / tau + 2 * sp.sin(2 * alpha) / price,
            "best move": 4 * moved(sp.sin) / tau - 2 * best[sp.sin(2 * alpha)] / price,
            "a maximum": (8 * moved(sp.cos) / tau - 4 * best[sp.cos(2 * alpha)] / price) * k * strain * tau / 8 + 1,
            "attraction": moved(sp.sin) - sp.sin(phi) * strain,
            "slope in phi": gain.diff(phi) - slope,
            "where views agree": claims["attraction"].subs(c, 1) ** 2 - 1 / (1 - k) ** 2,
            "swap": 1 - 2 * k * swap + k**2 - (x * swap) ** 2,
            "where it starts": (1 - 2 * k * c + k**2 - (x * c) ** 2).subs({c: 1, x: 1 - k}),
            "rate": 2 * (tau / 2 - 2 * r) / tau - (1 - 4 * r / tau),
            "without him": swap.subs(k, 0) - 1 / x,
            "stability": angle.diff(phi).subs(on_swap) - claims["two steps"],
        },
        formulas=claims,
        agreements=_agreements(claims, (c, x, k)),
    )  # fmt: skip


def _agreements(claims: "dict[str, sp.Expr]", symbols: "tuple[sp.Symbol, ...]") -> "dict[str, Agreement]":
    """The code beside the derivation, below and above the rate, with and without an adversary."""
    import sympy as sp

    from clopsim.bounds.derivation import Agreement

    c, x, k = symbols
    found = {}
    for reach in (sp.Integer(0), sp.Rational(1, 32), sp.Rational(1, 10)):
        options = {"temperature": 0.5, "reach": float(reach)}
        for cosine in (sp.Integer(-1), sp.Rational(3, 10), sp.Integer(1)):
            found[f"adversarial_attraction, c = {cosine}, r = {reach}"] = Agreement(
                partial(adversarial_attraction, float(cosine), **options),
                claims["attraction"].subs({c: cosine, k: 8 * reach}),
            )
        for rate in (sp.Rational(1, 50), sp.Rational(3, 10), sp.Integer(2)):
            derived = claims["swap"].subs({x: 4 * rate, k: 8 * reach})
            found[f"adversarial_swap, mu = {rate}, r = {reach}"] = Agreement(
                partial(adversarial_swap, float(rate), **options), min(sp.Integer(1), derived)
            )
    return found
