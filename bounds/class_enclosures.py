"""T8 and T9 in ball arithmetic: enclosures of the cosine between classes and of the critical prototype weight."""

import math
from typing import TYPE_CHECKING

from clopsim.bounds.critical_weight import critical_angle
from clopsim.bounds.enclosures import PRECISION, Enclosure, enclose_root, outward
from clopsim.bounds.equilibrium import class_equilibrium

if TYPE_CHECKING:
    from flint import arb


def enclose_class_cosine(
    weight: float, *, classes: int, per_class: int, temperature: float, dimension: int
) -> Enclosure:
    """Enclosure of the cosine of two classes at T8's state, in ball arithmetic.

    The balance of forces, class_weight - lambda times sin theta, is > 0 at theta = 0 and < 0 past the other end. Its
    root is bracketed with certified signs, and class_weight falls in theta (derive), so it is the only one. The
    arguments count as the exact numbers that the floats are, and no floating-point root is used.

    Valid for: as class_equilibrium. Source: T8 (ours).
    Errors: ValueError as class_equilibrium.
    """
    from flint import arb, ctx

    class_equilibrium(weight, classes=classes, per_class=per_class, temperature=temperature, dimension=dimension)
    K, m, tau = classes, per_class, temperature

    def cosine(theta: "arb") -> "arb":
        p, q = theta.cos(), -theta.sin() / arb(K - 1).sqrt()
        return 2 * p * q + (K - 2) * q**2

    def balance(theta: "arb") -> "arb":
        root = arb(K - 1).sqrt()
        P = m / ((m - 1) * ((1 - cosine(theta)) / arb(tau)).exp() + (K - 1) * m)
        W, U = theta.cos() - root * theta.sin(), theta.sin() + root * theta.cos()
        return 2 * P / arb(tau) * W * U - arb(weight) * theta.sin()

    top = math.nextafter(math.atan(1 / math.sqrt(K - 1)), 2.0)
    angle = enclose_root(balance, 0.0, top)
    with ctx.workprec(PRECISION):
        return outward(cosine(arb(angle.low)).union(cosine(arb(angle.high))))


def enclose_critical_weight(*, classes: int, per_class: int, temperature: float, dimension: int) -> Enclosure:
    """Enclosure of lambda*, in ball arithmetic: of critical_angle first, then of the weight that holds this angle.

    Left less right of the angle's equation, times x sin theta, has certified opposite signs at both ends of the angle's
    enclosure and falls in theta (derive); T8's weight falls in theta too, so the two ends give its enclosure. The
    temperature counts as the exact number that the float is.

    Valid for: as critical_weight, m >= 2. Source: T9 (ours). Errors: ValueError as critical_angle.
    """
    from flint import arb, ctx

    critical_angle(classes=classes, per_class=per_class, temperature=temperature, dimension=dimension)  # checks them
    K, m, tau = classes, per_class, arb(temperature)

    def parts(theta: "arb") -> "tuple[arb, arb, arb]":
        root = arb(K - 1).sqrt()
        W = theta.cos() - root * theta.sin()
        x = (-(1 - (W**2 - 1) / (K - 1)) / tau).exp()
        return W, x, m * x / (m - 1 + (K - 1) * m * x)

    def margin(theta: "arb") -> "arb":
        W, x, P = parts(theta)
        root = arb(K - 1).sqrt()
        w = W * (theta.sin() + root * theta.cos())
        V = w**2 * (2 / arb(K - 1) - P) / (2 * tau) if dimension == K else arb(0)
        return theta.sin() * (x * (1 + V) - 1) + x * root * W

    def weight(theta: "arb") -> "arb":
        W, _, P = parts(theta)
        return 2 * P / tau * W * (1 + arb(K - 1).sqrt() * theta.cos() / theta.sin())

    angle = enclose_root(margin, 0.0, math.nextafter(math.atan(1 / math.sqrt(K - 1)), 2.0))
    with ctx.workprec(PRECISION):
        return outward(weight(arb(angle.low)).union(weight(arb(angle.high))))
