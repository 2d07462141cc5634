"""The theory of clopsim in closed form: numpy only, no torch. One result per file."""

from bounds.alignment import (
    alignment_is_resolved,
    alignment_uniform_rate,
    swap_cosine,
    view_difference_multiplier,
)
from bounds.bessel import bessel_ratios, harmonics, kernel_harmonics
from bounds.collapse import (
    alignment_collapse_rate,
    collapse_rate,
    exact_rate,
    loss_at_collapse,
    spread_multiplier,
    view_multiplier,
)
from bounds.critical_weight import critical_angle, critical_weight, spread_curvature
from bounds.curvature import apart_curvature, together_curvature
from bounds.enclosures import (
    Enclosure,
    certify_collapse,
    enclose_bessel_ratio,
    enclose_exact_rate,
    enclose_root,
    enclose_uniform_rate,
)
from bounds.equilibrium import ClassEquilibrium, class_cosine, class_effective_rank, class_equilibrium, class_weight
from bounds.finite_batch import self_exclusion, unresolved_share
from bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from bounds.heavy_ball import heavy_ball_rate
from bounds.low_temperature import UniversalRate, low_temperature_rate, universal_decay
from bounds.mean_shift import mean_after_step, mean_length_bound, paper_range
from bounds.minibatch import fresh_noise_growth, fresh_noise_rate, spread_growth, view_growth_rate
from bounds.rank_one_floor import rank_one_gradient_floor
from bounds.rates import CriticalRates, critical_rates
from bounds.rescue import gradient_bound, leading_share_bound, rescue_angle
from bounds.setting import Gradient, Keys, Loss, Reduction, Setting
from bounds.uniform import (
    Spectrum,
    UniformRate,
    harmonic_spectrum,
    radial_rate,
    ripple_multiplier,
    uniform_is_resolved,
    uniform_rate,
)

__all__ = [
    "ClassEquilibrium",
    "CriticalRates",
    "Enclosure",
    "Gradient",
    "Keys",
    "Loss",
    "Reduction",
    "Setting",
    "Spectrum",
    "UniformRate",
    "UniversalRate",
    "alignment_collapse_rate",
    "alignment_is_resolved",
    "alignment_uniform_rate",
    "apart_curvature",
    "bessel_ratios",
    "certify_collapse",
    "class_cosine",
    "class_effective_rank",
    "class_equilibrium",
    "class_weight",
    "collapse_rate",
    "critical_angle",
    "critical_rates",
    "critical_weight",
    "decayed_view_cosine",
    "effective_rate",
    "enclose_bessel_ratio",
    "enclose_exact_rate",
    "enclose_root",
    "enclose_uniform_rate",
    "exact_rate",
    "fresh_noise_growth",
    "fresh_noise_rate",
    "gradient_bound",
    "harmonic_spectrum",
    "harmonics",
    "heavy_ball_rate",
    "kernel_harmonics",
    "leading_share_bound",
    "loss_at_collapse",
    "low_temperature_rate",
    "mean_after_step",
    "mean_length_bound",
    "paper_range",
    "radial_rate",
    "rank_one_gradient_floor",
    "rescue_angle",
    "ripple_multiplier",
    "self_exclusion",
    "spread_curvature",
    "spread_growth",
    "spread_multiplier",
    "steady_squared_norm",
    "swap_cosine",
    "together_curvature",
    "uniform_is_resolved",
    "uniform_rate",
    "universal_decay",
    "unresolved_share",
    "view_difference_multiplier",
    "view_growth_rate",
    "view_multiplier",
]
