"""The theory of clopsim in closed form: numpy only, no torch. One result per file."""

from bounds.adam import adam_rate
from bounds.alignment import alignment_is_resolved, alignment_uniform_rate, swap_cosine, view_difference_multiplier
from bounds.antipodal_line import LineMultipliers, antipodal_line_rate, line_multipliers
from bounds.ascent import ascent_rates, largest_loss
from bounds.bessel import bessel_ratios, harmonics, kernel_harmonics
from bounds.class_enclosures import enclose_class_cosine, enclose_critical_weight
from bounds.class_losses import ClassLoss, Pattern, class_loss
from bounds.class_means import ClassMode
from bounds.class_state import ClassState, class_critical_weight, class_state, immune_weight
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
from bounds.distances import euclidean_critical_weight, euclidean_rank_one_floor, manhattan_critical_weight
from bounds.effective_rate import AttractingRates, attracting_rates, critical_rate, multiplier, tangent_rate
from bounds.enclosures import (
    Enclosure,
    certify_collapse,
    enclose_antipodal_line_rate,
    enclose_bessel_ratio,
    enclose_exact_rate,
    enclose_growth,
    enclose_root,
    enclose_uniform_rate,
)
from bounds.equiangular import (
    authors_etf_cosine,
    equiangular_critical_weight,
    equiangular_curvature,
    equiangular_equilibrium,
    equiangular_weight,
)
from bounds.equilibrium import ClassEquilibrium, class_cosine, class_effective_rank, class_equilibrium, class_weight
from bounds.finite_batch import self_exclusion, unresolved_share
from bounds.free_norm import (
    decayed_view_cosine,
    effective_rate,
    steady_squared_norm,
    swap_eigenvalue,
    two_view_step,
    view_growth,
)
from bounds.heavy_ball import flip_rate, heavy_ball_collapse_rate, heavy_ball_rate, nesterov_rate, spin_rate
from bounds.labels import (
    PairEquilibrium,
    class_curvatures,
    lone_unlabelled_cosine,
    pair_critical_weights,
    pair_equilibrium,
    pair_weight,
)
from bounds.lars import lars_norm_growth, lars_turn, lars_view_cosine, lars_view_growth
from bounds.learned_temperature import LearnedTemperature, learned_temperature
from bounds.linear_embedder import (
    linear_collapse_curvatures,
    linear_collapse_rate,
    linear_uniform_curvature,
    linear_uniform_rate,
)
from bounds.lorac import LoracCollapse, LoracLine, lorac_collapse, lorac_line
from bounds.lorac_kink import (
    LoracSwap,
    lorac_antipodal_basin,
    lorac_antipodal_share,
    lorac_residual_angle,
    lorac_swap,
)
from bounds.low_temperature import UniversalRate, low_temperature_rate, universal_decay
from bounds.mean_shift import mean_after_step, mean_length_bound, paper_range
from bounds.minibatch import fresh_noise_growth, fresh_noise_rate, spread_growth, view_growth_rate
from bounds.moco import moco_rate
from bounds.positive_graph import CollapseSpectrum, collapse_spectrum, contrastive_slopes, positive_weights
from bounds.prototype_weights import PrototypeDistance, Prototypes, PrototypeWeights, prototype_weights
from bounds.rank_one_floor import rank_one_gradient_floor
from bounds.rank_one_minima import is_rank_one_minimum, lowest_rank_one_curvature, rank_one_hessian
from bounds.rates import CriticalRates, critical_rates
from bounds.rescue import gradient_bound, leading_share_bound, rescue_angle
from bounds.setting import Gradient, Keys, Loss, Reduction, Setting
from bounds.trimming import (
    TrimmedCollapse,
    TrimmedMultipliers,
    frozen_trimming_rate,
    trimmed_collapse,
    trimmed_multipliers,
    trimmed_volume,
    trimmed_volume_rate,
    trimmed_volume_window,
)
from bounds.uniform import (
    Spectrum,
    UniformRate,
    harmonic_spectrum,
    radial_rate,
    ripple_multiplier,
    uniform_is_resolved,
    uniform_rate,
)
from bounds.weak_prototypes import Displacement, energy_off_line, weak_displacement, weak_effective_rank

__all__ = [
    "AttractingRates",
    "ClassEquilibrium",
    "ClassLoss",
    "ClassMode",
    "ClassState",
    "ClusterMultipliers",
    "CollapseSpectrum",
    "CriticalRates",
    "Displacement",
    "Enclosure",
    "Gradient",
    "Keys",
    "LearnedTemperature",
    "LineMultipliers",
    "LoracCollapse",
    "LoracLine",
    "LoracSwap",
    "Loss",
    "PairEquilibrium",
    "Pattern",
    "PrototypeDistance",
    "PrototypeWeights",
    "Prototypes",
    "Reduction",
    "Setting",
    "Spectrum",
    "TrimmedCollapse",
    "TrimmedMultipliers",
    "UniformRate",
    "UniversalRate",
    "adam_rate",
    "alignment_collapse_rate",
    "alignment_is_resolved",
    "alignment_uniform_rate",
    "antipodal_line_rate",
    "apart_curvature",
    "ascent_rates",
    "attracting_rates",
    "authors_etf_cosine",
    "bessel_ratios",
    "certify_collapse",
    "class_cosine",
    "class_critical_weight",
    "class_curvatures",
    "class_effective_rank",
    "class_equilibrium",
    "class_loss",
    "class_state",
    "class_weight",
    "cluster_multipliers",
    "collapse_rate",
    "collapse_spectrum",
    "contrastive_slopes",
    "critical_angle",
    "critical_rate",
    "critical_rates",
    "critical_weight",
    "decayed_view_cosine",
    "effective_rate",
    "enclose_antipodal_line_rate",
    "enclose_bessel_ratio",
    "enclose_class_cosine",
    "enclose_critical_weight",
    "enclose_exact_rate",
    "enclose_growth",
    "enclose_root",
    "enclose_uniform_rate",
    "energy_off_line",
    "equiangular_critical_weight",
    "equiangular_curvature",
    "equiangular_equilibrium",
    "equiangular_weight",
    "euclidean_critical_weight",
    "euclidean_rank_one_floor",
    "exact_rate",
    "flip_rate",
    "fresh_noise_growth",
    "fresh_noise_rate",
    "frozen_trimming_rate",
    "gradient_bound",
    "harmonic_spectrum",
    "harmonics",
    "heavy_ball_collapse_rate",
    "heavy_ball_rate",
    "immune_weight",
    "is_rank_one_minimum",
    "kernel_harmonics",
    "largest_loss",
    "lars_norm_growth",
    "lars_turn",
    "lars_view_cosine",
    "lars_view_growth",
    "leading_share_bound",
    "learned_temperature",
    "line_multipliers",
    "linear_collapse_curvatures",
    "linear_collapse_rate",
    "linear_uniform_curvature",
    "linear_uniform_rate",
    "lone_unlabelled_cosine",
    "lorac_antipodal_basin",
    "lorac_antipodal_share",
    "lorac_collapse",
    "lorac_line",
    "lorac_residual_angle",
    "lorac_swap",
    "loss_at_collapse",
    "low_temperature_rate",
    "lowest_rank_one_curvature",
    "manhattan_critical_weight",
    "mean_after_step",
    "mean_length_bound",
    "moco_rate",
    "multiplier",
    "nesterov_rate",
    "pair_critical_weights",
    "pair_equilibrium",
    "pair_weight",
    "paper_range",
    "positive_weights",
    "prototype_weights",
    "radial_rate",
    "rank_one_gradient_floor",
    "rank_one_hessian",
    "rescue_angle",
    "ripple_multiplier",
    "self_exclusion",
    "spin_rate",
    "spread_curvature",
    "spread_growth",
    "spread_multiplier",
    "steady_squared_norm",
    "swap_cosine",
    "swap_eigenvalue",
    "tangent_rate",
    "together_curvature",
    "trimmed_collapse",
    "trimmed_multipliers",
    "trimmed_volume",
    "trimmed_volume_rate",
    "trimmed_volume_window",
    "two_view_step",
    "uniform_is_resolved",
    "uniform_rate",
    "universal_decay",
    "unresolved_share",
    "view_difference_multiplier",
    "view_growth",
    "view_growth_rate",
    "view_multiplier",
    "weak_displacement",
    "weak_effective_rank",
]
