"""Statements certified in rigorous arithmetic: each function maps a statement to whether the enclosures prove it."""

import math

from bounds import Setting, antipodal_line_rate
from bounds.enclosures import (
    certify_collapse,
    enclose_antipodal_line_rate,
    enclose_exact_rate,
    enclose_uniform_rate,
)
from bounds.equilibrium import class_equilibrium, enclose_class_cosine


def collapse() -> dict[str, bool]:
    """T4: enclosures of mu_c, attraction just above and repulsion just below it."""
    answers = {}
    for n, tau in ((8, 0.1), (32, 0.5), (256, 2.0)):
        setting = Setting(tau, 8, n)
        box = enclose_exact_rate(setting)
        where = f"n = {n}, tau = {tau}"
        answers[f"{where}: mu_c in [{box.low!r}, {box.high!r}], width below 1e-12"] = (
            box.high - box.low < 1e-12 * box.high
        )
        answers[f"{where}: collapse attracts at 1.0001 mu_c"] = (
            certify_collapse(1.0001 * box.high, setting) == "attracts"
        )
        answers[f"{where}: collapse repels at 0.9999 mu_c"] = certify_collapse(0.9999 * box.low, setting) == "repels"
    return answers


def uniform() -> dict[str, bool]:
    """T5: enclosures of the uniform state's rate with the breaking degree, against the reference values."""
    answers = {}
    for d, tau, degree in ((8, 0.5, 1), (3, 1.0, 1), (3, 0.2, 3), (8, 0.2, 2), (2, 0.5, 2), (128, 0.1, 1)):
        box, found = enclose_uniform_rate(Setting(tau, d, 100))
        text = f"d = {d}, tau = {tau}: mu_A in [{box.low!r}, {box.high!r}], degree {degree} breaks first"
        answers[text] = found == degree and box.high - box.low < 1e-10 * box.high
    return answers


def antipodal_line() -> dict[str, bool]:
    """T12: enclosures of mu_line with the code's floats in them, and one setting in which it is certified: never."""
    answers = {}
    for samples, tau in ((8, 0.5), (32, 0.2), (64, 2.0)):
        setting = Setting(tau, 8, samples, loss="full")
        box, rate = enclose_antipodal_line_rate(setting), float(antipodal_line_rate(setting) or math.nan)
        near = box.low * (1 - 1e-15) <= rate <= box.high * (1 + 1e-15)
        answers[f"n = {samples}, tau = {tau}: mu_line in [{box.low!r}, {box.high!r}], the code's float to 1e-15"] = (
            near and box.high - box.low < 1e-14 * box.high
        )
    few = Setting(0.5, 8, 4, loss="full")
    answers["n = 4, tau = 0.5: the line never attracts"] = enclose_antipodal_line_rate(few).low == math.inf
    return answers


def equilibrium() -> dict[str, bool]:
    """T8: enclosures of the cosine between classes, and how far the floating-point root lies from them."""
    answers = {}
    for weight in (4.0, 8.0, 16.0, 64.0):
        low, high = enclose_class_cosine(weight, classes=4, per_class=8, temperature=0.5, dimension=8)
        value = class_equilibrium(weight, classes=4, per_class=8, temperature=0.5, dimension=8).cosine
        where = f"K = 4, m = 8, tau = 0.5, weight {weight:g}"
        answers[f"{where}: s in [{low!r}, {high!r}], width below 1e-15"] = 0 <= high - low < 1e-15
        answers[f"{where}: the code's root gives this s to 1e-14"] = low - 1e-14 < value < high + 1e-14
    return answers
