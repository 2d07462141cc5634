"""Every critical learning rate of a setting in one record, with the reason where there is none."""

from dataclasses import dataclass

import numpy as np

from bounds.alignment import alignment_uniform_rate
from bounds.antipodal_line import antipodal_line_rate, why_line_never_attracts
from bounds.collapse import (
    alignment_collapse_rate,
    collapse_rate,
    why_collapse_keeps_alignment,
    why_collapse_never_attracts,
)
from bounds.mean_shift import paper_range
from bounds.setting import Setting
from bounds.uniform import uniform_rate


@dataclass(frozen=True)
class CriticalRates:
    """Learning rates of one setting with one temperature; None where the setting has no such rate (see reasons)."""

    paper_range: tuple[float, float] | None  # T3: where the paper's argument promises no collapse; no momentum
    collapse_rate: float | None  # T4: above it complete collapse attracts
    uniform_rate: float | None  # T5: above it the uniform state breaks (n -> infinity)
    breaking_degree: int | None  # T5: harmonic degree that breaks first
    alignment_uniform_rate: float | None  # T5: above it views come apart in the uniform state (n -> infinity)
    alignment_collapse_rate: float | None  # T4: above it views come apart at complete collapse
    antipodal_line_rate: float | None  # T12: above it the antipodal line attracts
    reasons: dict[str, str]  # field name -> why it is None


def critical_rates(setting: Setting) -> CriticalRates:
    """All critical learning rates of a setting (T3 to T5, T12, with momentum T14).

    Valid for: one temperature; call once for each of several.
    """
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; call once per temperature")
    paper = None if setting.momentum else tuple(float(edge) for edge in paper_range(setting))
    uniform = uniform_rate(setting)
    breaks = np.isfinite(uniform.rate)
    degree = "the points start to spin before a ripple flips" if breaks else "the uniform state is stable at every rate"
    aligned = alignment_uniform_rate(setting)
    no_views = "the merged loss has no views"
    if aligned is not None and np.isinf(aligned):
        aligned, no_views = None, "the views stay together: momentum is at least A_1"
    rates = {
        "paper_range": (paper, "the paper's argument is about steps without momentum"),
        "collapse_rate": (collapse_rate(setting), why_collapse_never_attracts(setting)),
        "uniform_rate": (uniform.rate if breaks else None, "the uniform state is stable at every rate"),
        "breaking_degree": (uniform.degree or None, degree),
        "alignment_uniform_rate": (aligned, no_views),
        "alignment_collapse_rate": (alignment_collapse_rate(setting), why_collapse_keeps_alignment(setting)),
        "antipodal_line_rate": (antipodal_line_rate(setting), why_line_never_attracts(setting)),
    }
    return CriticalRates(
        **{name: value for name, (value, _) in rates.items()},  # type: ignore[arg-type]
        reasons={name: why for name, (value, why) in rates.items() if value is None},
    )
