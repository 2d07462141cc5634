"""The theory of clopsim in closed form: numpy only, no torch. One result per file."""

from bounds.alignment import alignment_uniform_rate, swap_cosine, view_difference_multiplier
from bounds.antipodal_line import LineMultipliers, antipodal_line_rate, line_multipliers
from bounds.ascent import ascent_rates, largest_loss
from bounds.class_enclosures import enclose_class_cosine, enclose_critical_weight
from bounds.clusters import ClusterMultipliers, cluster_multipliers
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
    enclose_antipodal_line_rate,
    enclose_bessel_ratio,
    enclose_exact_rate,
    enclose_root,
    enclose_uniform_rate,
)
from bounds.equilibrium import ClassEquilibrium, class_cosine, class_effective_rank, class_equilibrium, class_weight
from bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from bounds.heavy_ball import flip_rate, heavy_ball_collapse_rate, heavy_ball_rate, nesterov_rate, spin_rate
from bounds.mean_shift import mean_after_step, mean_length_bound, paper_range
from bounds.moco import moco_rate
from bounds.rank_one_floor import rank_one_gradient_floor
from bounds.rank_one_minima import is_rank_one_minimum, lowest_rank_one_curvature, rank_one_hessian
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
    "ClusterMultipliers",
    "CriticalRates",
    "Enclosure",
    "Gradient",
    "Keys",
    "LineMultipliers",
    "Loss",
    "Reduction",
    "Setting",
    "Spectrum",
    "UniformRate",
    "alignment_collapse_rate",
    "alignment_uniform_rate",
    "antipodal_line_rate",
    "apart_curvature",
    "ascent_rates",
    "bessel_ratios",
    "certify_collapse",
    "class_cosine",
    "class_effective_rank",
    "class_equilibrium",
    "class_weight",
    "cluster_multipliers",
    "collapse_rate",
    "critical_angle",
    "critical_rates",
    "critical_weight",
    "decayed_view_cosine",
    "effective_rate",
    "enclose_antipodal_line_rate",
    "enclose_bessel_ratio",
    "enclose_class_cosine",
    "enclose_critical_weight",
    "enclose_exact_rate",
    "enclose_root",
    "enclose_uniform_rate",
    "exact_rate",
    "flip_rate",
    "gradient_bound",
    "harmonic_spectrum",
    "heavy_ball_collapse_rate",
    "heavy_ball_rate",
    "is_rank_one_minimum",
    "largest_loss",
    "leading_share_bound",
    "line_multipliers",
    "loss_at_collapse",
    "lowest_rank_one_curvature",
    "mean_after_step",
    "mean_length_bound",
    "moco_rate",
    "nesterov_rate",
    "paper_range",
    "radial_rate",
    "rank_one_gradient_floor",
    "rank_one_hessian",
    "rescue_angle",
    "ripple_multiplier",
    "spin_rate",
    "spread_curvature",
    "spread_multiplier",
    "steady_squared_norm",
    "swap_cosine",
    "together_curvature",
    "uniform_rate",
    "view_difference_multiplier",
    "view_multiplier",
]
