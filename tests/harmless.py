"""Mutants of tests/mutate.py that change no number that anybody gets, and why."""

FACTOR = "a positive factor moves no root"
END = "the far end of a bracket: any end past the root gives the same root"
WORDS = "other words of a reason, no number; its tests hold them"
ROUNDING = "a constant of rounding: this much of it shows in no digit"

HARMLESS: dict[tuple[str, str, str], str] = {
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
}
"""File, function, how the change begins -> why."""
