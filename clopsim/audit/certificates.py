"""Statements certified in rigorous arithmetic: each function maps a statement to whether the enclosures prove it."""

from bounds import Setting
from bounds.enclosures import certify_collapse, enclose_exact_rate, enclose_uniform_rate
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
