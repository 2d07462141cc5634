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
from bounds.free_norm import (
    decayed_view_cosine,
    effective_rate,
    steady_squared_norm,
    swap_eigenvalue,
    two_view_step,
    view_growth,
)
from bounds.heavy_ball import heavy_ball_rate
from bounds.lars import lars_norm_growth, lars_turn, lars_view_cosine, lars_view_growth
from bounds.linear_embedder import (
    linear_collapse_curvatures,
    linear_collapse_rate,
    linear_uniform_curvature,
    linear_uniform_rate,
)
from bounds.mean_shift import mean_after_step, mean_length_bound, paper_range
from bounds.rank_one_floor import rank_one_gradient_floor
from bounds.rates import CriticalRates, critical_rates
from bounds.rescue import gradient_bound, leading_share_bound, rescue_angle
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
    "alignment_collapse_rate",
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
    "gradient_bound",
    "harmonic_spectrum",
    "heavy_ball_rate",
    "lars_norm_growth",
    "lars_turn",
    "lars_view_cosine",
    "lars_view_growth",
    "leading_share_bound",
    "linear_collapse_curvatures",
    "linear_collapse_rate",
    "linear_uniform_curvature",
    "linear_uniform_rate",
    "loss_at_collapse",
    "mean_after_step",
    "mean_length_bound",
    "paper_range",
    "radial_rate",
    "rank_one_gradient_floor",
    "rescue_angle",
    "ripple_multiplier",
    "spread_curvature",
    "spread_multiplier",
    "steady_squared_norm",
    "swap_cosine",
    "swap_eigenvalue",
    "together_curvature",
    "two_view_step",
    "uniform_rate",
    "view_difference_multiplier",
    "view_growth",
    "view_multiplier",
]
