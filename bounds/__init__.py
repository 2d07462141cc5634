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
from bounds.critical_weight import critical_angle, critical_weight, enclose_critical_weight, spread_curvature
from bounds.curvature import apart_curvature, together_curvature
from bounds.distances import euclidean_critical_weight, euclidean_rank_one_floor, manhattan_critical_weight
from bounds.enclosures import (
    Enclosure,
    certify_collapse,
    enclose_bessel_ratio,
    enclose_exact_rate,
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
from bounds.free_norm import decayed_view_cosine, effective_rate, steady_squared_norm
from bounds.heavy_ball import heavy_ball_rate
from bounds.labels import (
    PairEquilibrium,
    class_curvatures,
    lone_unlabelled_cosine,
    pair_critical_weights,
    pair_equilibrium,
    pair_weight,
)
from bounds.mean_shift import mean_after_step, mean_length_bound, paper_range
from bounds.prototype_weights import Prototypes, PrototypeWeights, prototype_weights
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
from bounds.weak_prototypes import Displacement, energy_off_line, weak_displacement, weak_effective_rank

__all__ = [
    "ClassEquilibrium",
    "CriticalRates",
    "Displacement",
    "Enclosure",
    "Gradient",
    "Keys",
    "Loss",
    "PairEquilibrium",
    "PrototypeWeights",
    "Prototypes",
    "Reduction",
    "Setting",
    "Spectrum",
    "UniformRate",
    "alignment_collapse_rate",
    "alignment_uniform_rate",
    "apart_curvature",
    "authors_etf_cosine",
    "bessel_ratios",
    "certify_collapse",
    "class_cosine",
    "class_curvatures",
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
    "enclose_critical_weight",
    "enclose_exact_rate",
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
    "gradient_bound",
    "harmonic_spectrum",
    "heavy_ball_rate",
    "leading_share_bound",
    "lone_unlabelled_cosine",
    "loss_at_collapse",
    "manhattan_critical_weight",
    "mean_after_step",
    "mean_length_bound",
    "pair_critical_weights",
    "pair_equilibrium",
    "pair_weight",
    "paper_range",
    "prototype_weights",
    "radial_rate",
    "rank_one_gradient_floor",
    "rescue_angle",
    "ripple_multiplier",
    "spread_curvature",
    "spread_multiplier",
    "steady_squared_norm",
    "swap_cosine",
    "together_curvature",
    "uniform_rate",
    "view_difference_multiplier",
    "view_multiplier",
    "weak_displacement",
    "weak_effective_rank",
]
