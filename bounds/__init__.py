"""The theory of clopsim in closed form: numpy only, no torch. One result per file."""

from bounds.alignment import alignment_uniform_rate, swap_cosine, view_difference_multiplier
from bounds.collapse import (
    alignment_collapse_rate,
    collapse_rate,
    exact_rate,
    loss_at_collapse,
    spread_multiplier,
    view_multiplier,
)
from bounds.mean_shift import mean_after_step, mean_length_bound, paper_range
from bounds.rates import CriticalRates, critical_rates
from bounds.setting import Gradient, Keys, Loss, Reduction, Setting
from bounds.uniform import (
    Spectrum,
    UniformRate,
    bessel_ratios,
    harmonic_spectrum,
    radial_rate,
    ripple_multiplier,
    uniform_rate,
)

__all__ = [
    "CriticalRates",
    "Gradient",
    "Keys",
    "Loss",
    "Reduction",
    "Setting",
    "Spectrum",
    "UniformRate",
    "alignment_collapse_rate",
    "alignment_uniform_rate",
    "bessel_ratios",
    "collapse_rate",
    "critical_rates",
    "exact_rate",
    "harmonic_spectrum",
    "loss_at_collapse",
    "mean_after_step",
    "mean_length_bound",
    "paper_range",
    "radial_rate",
    "ripple_multiplier",
    "spread_multiplier",
    "swap_cosine",
    "uniform_rate",
    "view_difference_multiplier",
    "view_multiplier",
]
