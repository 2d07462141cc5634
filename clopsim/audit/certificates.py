"""Statements certified in rigorous arithmetic: each function maps a statement to whether the enclosures prove it."""

import math
from fractions import Fraction
from itertools import product
from typing import get_args

from clopsim.bounds import Gradient, Keys, Loss, Reduction, Setting
from clopsim.bounds.antipodal_line import antipodal_line_rate
from clopsim.bounds.bessel import bessel_ratios
from clopsim.bounds.class_enclosures import enclose_class_cosine, enclose_critical_weight
from clopsim.bounds.collapse import exact_rate
from clopsim.bounds.critical_weight import critical_weight
from clopsim.bounds.enclosures import (
    Enclosure,
    certify_collapse,
    enclose_antipodal_line_rate,
    enclose_bessel_ratio,
    enclose_exact_rate,
    enclose_growth,
    enclose_root,
    enclose_uniform_rate,
    outward,
)
from clopsim.bounds.equilibrium import class_equilibrium
from clopsim.bounds.uniform import harmonic_spectrum, uniform_rate


def collapse() -> dict[str, bool]:
    """T4: enclosures of mu_c, attraction just above and repulsion just below it."""
    answers = {}
    for n, tau in ((8, 0.1), (32, 0.5), (256, 2.0)):
        setting = Setting(tau, 8, n)
        box = enclose_exact_rate(setting)
        where = f"n = {n}, tau = {tau}"
        answers[f"{where}: the code's mu_c lies there"] = exact_rate(setting) in box
        answers[f"{where}: mu_c in [{box.low!r}, {box.high!r}], width below 1e-12"] = (
            box.high - box.low < 1e-12 * box.high
        )
        answers[f"{where}: collapse attracts at 1.0001 mu_c"] = (
            certify_collapse(1.0001 * box.high, setting) == "attracts"
        )
        answers[f"{where}: collapse repels at 0.9999 mu_c"] = certify_collapse(0.9999 * box.low, setting) == "repels"
    for setting in (Setting(0.5, 8, 9, gradient="tangent"), Setting(0.5, 8, 10, loss="full")):
        for rate in (1e-3, 0.5, 20.0):
            answers[f"{setting.loss}, {setting.gradient}: collapse repels at {rate}"] = (
                certify_collapse(rate, setting) == "repels"
            )
    return answers


def uniform() -> dict[str, bool]:
    """T5: enclosures of the uniform state's rate with the breaking degree; the code's floats lie in them, in all forms.

    The bound on the growth of e_l, without the 2/(2 - A_(l+1)) that it gives away, is the growth of the code's e_l.
    """
    answers = {}
    for d, tau, degree in ((8, 0.5, 1), (3, 1.0, 1), (3, 0.2, 3), (8, 0.2, 2), (2, 0.5, 2), (128, 0.1, 1)):
        box, found = enclose_uniform_rate(Setting(tau, d, 100))
        text = f"d = {d}, tau = {tau}: mu_A in [{box.low!r}, {box.high!r}], degree {degree} breaks first"
        answers[text] = found == degree and box.high - box.low < 1e-10 * box.high
    choices = product(get_args(Loss), get_args(Gradient), get_args(Keys), get_args(Reduction))
    for form, (d, tau) in product(choices, ((3, 0.2), (8, 0.5))):
        setting = Setting(tau, d, 100, *form)
        box, found = enclose_uniform_rate(setting)
        code = uniform_rate(setting, limit=True)
        answers[f"d = {d}, tau = {tau}, {', '.join(form)}: the code's rate and degree lie there to 1e-12"] = (
            found == code.degree and _near(float(code.rate), box)
        )
    for d, keys, degree in product((2, 8), get_args(Keys), (1, 4)):
        setting = Setting(0.2, d, 100, keys=keys)
        e, ratios = harmonic_spectrum(setting, degrees=5, limit=True).e, bessel_ratios(5.0, d, degrees=5)
        given = 2 / (2 - ratios[degree + 1]) if keys == "symmetric" else 1.0
        where = f"d = {d}, tau = 0.2, {keys} keys"
        answers[f"{where}: growth of e from degree {degree}, to 1e-12"] = _near(
            float(e[degree] / e[degree - 1] * given), enclose_growth(setting, degree=degree)
        )
        answers[f"{where}: A_{degree} of the code, to 1e-12"] = _near(
            float(ratios[degree]), enclose_bessel_ratio(5.0, dimension=d, degree=degree)
        )
    return answers


def _near(value: float, box: Enclosure) -> bool:
    """Whether a float lies in an enclosure up to the rounding of a few operations; both may be infinite."""
    return box.low * (1 - 1e-12) <= value <= box.high * (1 + 1e-12)


def antipodal_line() -> dict[str, bool]:
    """T12: enclosures of mu_line with the code's floats in them, and one setting in which it is certified: never."""
    answers = {}
    for setting in (
        Setting(0.5, 8, 8, loss="full"),
        Setting(0.2, 8, 32, loss="full", keys="detached"),
        Setting(2.0, 8, 64, loss="full", reduction="mean"),
    ):
        box, rate = enclose_antipodal_line_rate(setting), float(antipodal_line_rate(setting) or math.nan)
        near = box.low * (1 - 1e-15) <= rate <= box.high * (1 + 1e-15)
        where = f"n = {setting.samples}, tau = {setting.tau}, {setting.keys} keys, {setting.reduction}"
        answers[f"{where}: mu_line in [{box.low!r}, {box.high!r}], width below 1e-14"] = (
            box.high - box.low < 1e-14 * box.high
        )
        answers[f"{where}: the code's mu_line lies there to 1e-15"] = near
    few = Setting(0.5, 8, 4, loss="full")
    answers["n = 4, tau = 0.5: the line never attracts"] = enclose_antipodal_line_rate(few).low == math.inf
    return answers


def equilibrium() -> dict[str, bool]:
    """T8: enclosures of the cosine between classes, and how far the floating-point root lies from them."""
    answers = {}
    for weight, tau in ((4.0, 0.5), (8.0, 0.5), (16.0, 0.5), (64.0, 0.5), (0.1, 3.0)):  # the last near the simplex
        low, high = enclose_class_cosine(weight, classes=4, per_class=8, temperature=tau, dimension=8)
        value = class_equilibrium(weight, classes=4, per_class=8, temperature=tau, dimension=8).cosine
        where = f"K = 4, m = 8, tau = {tau:g}, weight {weight:g}"
        answers[f"{where}: s in [{low!r}, {high!r}], width below 1e-15"] = 0 <= high - low < 1e-15
        answers[f"{where}: the code's root gives this s to 1e-14"] = low - 1e-14 < value < high + 1e-14
    return answers


def critical() -> dict[str, bool]:
    """T9: enclosures of the critical weight, and how far the code's lies from them."""
    answers = {}
    for k, m, tau, d in ((4, 8, 0.5, 8), (3, 5, 0.3, 3), (2, 2, 1.0, 2), (100, 4, 0.1, 128), (4, 8, 20.0, 8)):
        low, high = enclose_critical_weight(classes=k, per_class=m, temperature=tau, dimension=d)
        value = critical_weight(classes=k, per_class=m, temperature=tau, dimension=d)
        where = f"K = {k}, m = {m}, tau = {tau}, d = {d}"
        answers[f"{where}: lambda* in [{low!r}, {high!r}], width below 1e-12"] = high - low < 1e-12 * high
        answers[f"{where}: the code's lambda* lies there to 1e-13"] = low * (1 - 1e-13) < value < high * (1 + 1e-13)
    return answers


def arithmetic() -> dict[str, bool]:
    """What the enclosures rest on: balls that hold both readings of a number, outward rounding, signs that are sure."""
    from flint import arb

    def blurred(point: "arb") -> "arb":
        return point - arb(1) / 3 + arb(0, 0.01)

    third = outward(arb(1) / 3)
    root = enclose_root(blurred, 0.0, 1.0)
    setting = Setting(0.1, 8, 8)
    box = enclose_exact_rate(setting)
    readings = [Fraction(0.1) * 7 / 6, Fraction(1, 10) * 7 / 6]  # the float next to one tenth, and one tenth
    return {
        "1/3 lies strictly between the floats that enclose it": Fraction(third.low) < Fraction(1, 3)
        and Fraction(third.high) > Fraction(1, 3),
        "neighbouring floats enclose it": third.high - third.low < 1e-15,
        "mu_c at tau = 0.1 holds both readings of 0.1": all(
            Fraction(box.low) <= one <= Fraction(box.high) for one in readings
        ),
        "a root known to 0.01 is bracketed where both signs are sure": bool(blurred(arb(root.low)) < 0)
        and bool(blurred(arb(root.high)) > 0),
        "and no wider than the bisection leaves it": root.high - root.low < 0.1,
        "at mu_c itself, an exact float, nothing is certified": certify_collapse(0.5625, Setting(0.5, 8, 10))
        == "undecided",
    }
