"""Mutants of tests/mutate.py that change no number that anybody gets, and why."""

FACTOR = "a positive factor moves no root"
END = "the far end of a bracket: any end past the root gives the same root"
WORDS = "other words of a reason, no number; its tests hold them"
ROUNDING = "a constant of rounding: this much of it shows in no digit"
START = "where a recurrence starts: it forgets that long before it matters"
SLOPE = "another slope for Newton's method: the same root"
TAIL = "the end of a sum of terms that vanish there"

HARMLESS: dict[tuple[str, str, str], str] = {
    ("class_state", "class_state", "1.05 * (weight - weight_that_balances("): FACTOR,
    ("class_state", "_last_crossing", "1.05 * (margin("): FACTOR,
    ("class_state", "_far", ""): END,
    ("rates", "critical_rates", "other branch of (if setting.momentum)"): WORDS,
    ("rates", "critical_rates", "other branch of ('the points start to spin first'"): WORDS,
    ("prototype_weights", "prototype_weights", "1 -> 1.05 in (d + 1)"): WORDS,
    ("critical_weight", "_critical_state", "1.05 * (math.sin(theta)"): FACTOR,
    ("equilibrium", "class_equilibrium", "1.05 * (weight - class_weight("): FACTOR,
    ("equilibrium", "class_equilibrium", "1 -> 1.05 in (classes - 1)"): END,
    ("equilibrium", "class_equilibrium", "1 -> 1.05 in (1 / math.sqrt("): END,
    ("equilibrium", "class_effective_rank", "1e-15 -> 1.05e-15 in"): ROUNDING,
    ("class_enclosures", "enclose_class_cosine", "1.05 * (2 * P / arb(tau)"): FACTOR,
    ("class_enclosures", "enclose_class_cosine", "1 -> 1.05 in (K - 1)"): END,
    ("class_enclosures", "enclose_class_cosine", "1 -> 1.05 in (1 / math.sqrt("): END,
    ("class_enclosures", "enclose_critical_weight", "1.05 * (theta.sin()"): FACTOR,
    ("class_enclosures", "enclose_critical_weight", "1 -> 1.05 in (K - 1)"): END,
    ("class_enclosures", "enclose_critical_weight", "1 -> 1.05 in (1 / math.sqrt("): END,
    ("equiangular", "equiangular_critical_weight", "1.05 * (math.sin(top"): FACTOR,
    ("labels", "pair_equilibrium", "1.05 * (weight - _weight("): FACTOR,
    ("labels", "pair_critical_weights", "1.05 * (2 * math.sin(other)"): FACTOR,
    ("distances", "_smallest_ceiling", "1.05 * (float(c[top]"): FACTOR,
    ("distances", "_smallest_ceiling", "2 -> 2.1 in"): END,
    ("distances", "_smallest_ceiling", "1.0 -> 1.05 in"): END,
    ("enclosures", "enclose_root", "2 -> 2.1 in ((high - low) / 2)"): "another place to bisect at",
    ("enclosures", "_bessel", "1.05 * (kappa.bessel_i("): "a common factor of every ratio",
    ("uniform", "radial_rate", "1.05 * (0 * pull)"): "zero times anything",
    ("finite_batch", "unresolved_share", "8 -> 8.4 in (8 * math.ceil("): TAIL,
    ("finite_batch", "unresolved_share", "32 -> 33.6 in (32 + 8"): TAIL,
    ("bessel", "bessel_ratios", "sign of (degrees + guard - 1)"): START,
    ("bessel", "kernel_harmonics", "2 -> 2.1 in (kappa.max() / 2)"): TAIL,
    ("bessel", "kernel_harmonics", "12 -> 12.6 in (12 * math.sqrt"): TAIL,
    ("bessel", "kernel_harmonics", "64 -> 67.2 in (64 + math.ceil"): TAIL,
    ("trimming", "trimmed_volume_rate", "sign of (n - 1)"): END,
    ("trimming", "trimmed_volume_rate", "1 -> 1.05 in (n - 1)"): END,
    ("trimming", "trimmed_volume_rate", "4.0 -> 4.2 in (4.0 * n)"): END,
    ("trimming", "trimmed_volume_rate", "1.05 * (trimmed_volume("): FACTOR,
    ("low_temperature", "steepest", "3 -> 3.15 in (3 - t)"): SLOPE,
    ("low_temperature", "steepest", "2 -> 2.1 in (a * (3 - t) / 2)"): SLOPE,
    ("low_temperature", "steepest", "sign of (-1 + a * (3 - t)"): SLOPE,
    ("low_temperature", "steepest", "1 -> 1.05 in (-1 + a * (3"): SLOPE,
    ("lorac_kink", "lorac_antipodal_share", "sign of (1 + nodes)"): "the nodes are symmetric about 0",
    ("pauc", "pauc_critical_weight", "1.05 * (inside + _weight_at("): FACTOR,
    ("pauc", "_root", "1 -> 1.05 in (setting.classes - 1)"): END,
    ("pauc", "_root", "1 -> 1.05 in (1 / math.sqrt("): END,
}
"""File, function, how the change begins -> why."""
