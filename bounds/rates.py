"""Every critical learning rate of a setting in one record, with the reason where there is none."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clopsim.bounds.alignment import alignment_is_resolved, alignment_uniform_rate
from clopsim.bounds.antipodal_line import antipodal_line_rate, why_line_never_attracts
from clopsim.bounds.bessel import kernel_harmonics
from clopsim.bounds.collapse import (
    alignment_collapse_rate,
    collapse_rate,
    why_collapse_keeps_alignment,
    why_collapse_never_attracts,
)
from clopsim.bounds.finite_batch import POINTS_PER_HARMONIC
from clopsim.bounds.mean_shift import paper_range
from clopsim.bounds.setting import Floats, Setting
from clopsim.bounds.uniform import uniform_is_resolved, uniform_rate

if TYPE_CHECKING:
    from clopsim.bounds.derivation import Derivation


@dataclass(frozen=True)
class CriticalRates:
    """Learning rates of one setting with one temperature; None where the setting has no such rate (see reasons)."""

    paper_range: tuple[float, float] | None  # T3: where the paper's argument promises no collapse; no momentum
    collapse_rate: float | None  # T4: above it complete collapse attracts
    uniform_rate: float | None  # T5, T13: above it the uniform state breaks
    breaking_degree: int | None  # T5: harmonic degree that breaks first
    alignment_uniform_rate: float | None  # T5a, T13: above it views come apart in the uniform state
    alignment_collapse_rate: float | None  # T4: above it views come apart at complete collapse
    antipodal_line_rate: float | None  # T12: above it the antipodal line attracts
    too_small: tuple[str, ...]  # fields for which n is too small to tell (T13): rough values, or None
    reasons: dict[str, str]  # field name -> why it is None


def critical_rates(setting: Setting) -> CriticalRates:
    """All critical learning rates of a setting (T3 to T5, T12, T13; with momentum T14).

    Valid for: one temperature; call once for each of several.
    """
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    paper = None if setting.momentum else tuple(float(edge) for edge in paper_range(setting))
    uniform = uniform_rate(setting)
    breaks = np.isfinite(uniform.rate)
    alignment = _single(alignment_uniform_rate(setting))
    parts = alignment is not None and np.isfinite(alignment)
    why_unbroken, why_aligned = "the uniform state is stable at every rate", "the merged loss has no views"
    if np.isnan(uniform.rate):
        why_unbroken = _too_small(setting, "it breaks", uniform_rate(setting, limit=True).rate)
    if alignment is not None:
        why_aligned = "in the uniform state the views stay together at every rate"
        if setting.momentum:
            why_aligned += ": momentum is at least A_1"
        if np.isnan(alignment):
            why_aligned = _too_small(setting, "they come apart", alignment_uniform_rate(setting, limit=True))
    too_small = () if uniform_is_resolved(setting) else ("uniform_rate", "breaking_degree")
    if alignment is not None and not alignment_is_resolved(setting):
        too_small = (*too_small, "alignment_uniform_rate")
    rates = {
        "paper_range": (paper, "the paper's argument is about steps without momentum"),
        "collapse_rate": (collapse_rate(setting), why_collapse_never_attracts(setting)),
        "uniform_rate": (uniform.rate if breaks else None, why_unbroken),
        "breaking_degree": (uniform.degree or None, "the points start to spin first" if breaks else why_unbroken),
        "alignment_uniform_rate": (alignment if parts else None, why_aligned),
        "alignment_collapse_rate": (alignment_collapse_rate(setting), why_collapse_keeps_alignment(setting)),
        "antipodal_line_rate": (antipodal_line_rate(setting), why_line_never_attracts(setting)),
    }
    return CriticalRates(
        **{name: value for name, (value, _) in rates.items()},  # type: ignore[arg-type]
        too_small=too_small,
        reasons={name: why for name, (value, why) in rates.items() if value is None},
    )


def _too_small(setting: Setting, what: str, limit: Floats | None) -> str:
    at = "at no rate" if limit is None or np.isinf(limit) else f"at {float(limit):.6g}"
    least = POINTS_PER_HARMONIC * float(kernel_harmonics(1 / setting.tau, setting.dimension))
    return f"n too small to tell, below {least:.3g} (T13); as n -> infinity {what} {at}"


def _single(rate: Floats | None) -> float | None:
    return None if rate is None else float(rate)


def derive() -> "Derivation":
    """Nothing new is proved here: every field is held against the function of its theorem, in every setting."""
    import re
    from dataclasses import asdict, replace
    from functools import partial

    from clopsim.bounds.derivation import Agreement, Derivation, Step, entry, every_setting, written_out

    def finite(rate: Floats | None) -> float | None:
        return None if rate is None or not np.isfinite(rate) else float(rate)

    def in_place(setting: Setting, expected: dict[str, object]) -> float:
        found = asdict(critical_rates(setting))
        why = found.pop("reasons")
        return float(sum(found[name] == expected[name] and (name in why) == (found[name] is None) for name in found))

    def in_words(setting: Setting, name: str, words: str) -> float:
        found = re.search(rf"{words} ([0-9.]+)", critical_rates(setting).reasons[name])
        return float(found[1]) if found else np.nan

    agreements = {}
    settings = every_setting(0.5, 8, 32) + every_setting(0.2, 8, 200)
    for setting in settings + [replace(setting, momentum=0.9) for setting in settings]:
        uniform, views = uniform_rate(setting), alignment_uniform_rate(setting)
        rough = [] if uniform_is_resolved(setting) else ["uniform_rate", "breaking_degree"]
        if setting.loss == "full" and not alignment_is_resolved(setting):
            rough.append("alignment_uniform_rate")
        expected: dict[str, object] = {
            "paper_range": None if setting.momentum else tuple(float(edge) for edge in paper_range(setting)),
            "collapse_rate": collapse_rate(setting),
            "uniform_rate": finite(uniform.rate),
            "breaking_degree": (uniform.degree or None) if finite(uniform.rate) else None,
            "alignment_uniform_rate": finite(views),
            "alignment_collapse_rate": alignment_collapse_rate(setting),
            "antipodal_line_rate": antipodal_line_rate(setting),
            "too_small": tuple(rough),
        }
        where = f"tau = {setting.tau}, n = {setting.samples}, momentum {setting.momentum:g}, {written_out(setting)}"
        agreements[f"fields in place: {where}"] = Agreement(partial(in_place, setting, expected), float(len(expected)))
    merged, full = Setting(0.2, 8, 32), Setting(0.2, 8, 32, loss="full")
    for few, name, words, derived, digits in (
        (merged, "uniform_rate", "breaks at", uniform_rate(merged, limit=True).rate, 6),
        (full, "alignment_uniform_rate", "apart at", alignment_uniform_rate(full, limit=True), 6),
        (merged, "uniform_rate", "below", POINTS_PER_HARMONIC * float(kernel_harmonics(5.0, 8)), 3),
    ):
        agreements[f"{name}, {words}: the number in the reason"] = Agreement(
            partial(in_words, few, name, words), finite(derived), 5 / 10**digits
        )
    several = Setting((0.2, 0.5), 8, 32, loss="full")
    for place, temperature in enumerate((0.2, 0.5)):
        agreements[f"alignment_collapse_rate of several temperatures, tau = {temperature}"] = Agreement(
            entry(partial(alignment_collapse_rate, several), place),
            temperature * 31 / 30,  # tau (n-1)/(n-2)
        )
    return Derivation(
        theorem="the record of the rates",
        statement="The record that `clopsim bounds` prints has every theorem's rate in its place.",
        steps=(Step("Each field, in every setting, is compared with the function of its theorem."),),
        agreements=agreements,
    )
