"""How the critical rates of a setting look: what matters in a sentence, then every rate in a table."""

from clopsim.bounds import CriticalRates, PrototypeWeights
from clopsim.show.page import filled, table

MEANING = {
    "paper_range": "paper: safe between (merged loss, ambient gradient)",
    "collapse_rate": "complete collapse attracts above (T4, exact)",
    "uniform_rate": "the uniform state breaks above (T5, at this n by T13)",
    "breaking_degree": "harmonic degree that breaks first (1 point, 2 line, 3+ clusters)",
    "alignment_uniform_rate": "views come apart above, uniform state (T5a, at this n by T13)",
    "alignment_collapse_rate": "views come apart above, collapsed state (T4, exact)",
    "antipodal_line_rate": "the line with antipodal views attracts above (T12, exact)",
}


def bounds_report(
    rates: CriticalRates,
    *,
    prototypes: PrototypeWeights | None = None,
    distance: str = "cosine",
    moco: float | None = None,
    batch_growth: float | None = None,
    title: str = "",
) -> str:
    """The rates that matter in sentences, then every one in a table, and what else was asked about the setting."""
    words = title + bounds_sentence(rates)
    if moco is not None:
        words += f" The uniform state of MoCo, every query on its key, breaks above {moco:.6g} (T21)."
    if batch_growth is not None:
        words += (
            " Drawing batches shifts no rate: at alignment_collapse_rate the mean square spread of collapsed samples"
            f" grows by a factor {batch_growth:.6g} a step (T24)."
        )
    if prototypes is not None:
        words += " " + _prototypes_sentence(prototypes, distance)
    parts = [filled(words), bounds_table(rates)]
    if prototypes is not None:
        parts.append(prototypes_table(prototypes))
    return "\n\n".join(parts)


def bounds_sentence(rates: CriticalRates) -> str:
    """What a setting's rates come to."""
    point, even, views, line = (
        getattr(rates, name)
        for name in ("collapse_rate", "uniform_rate", "alignment_uniform_rate", "antipodal_line_rate")
    )
    rough = [name for name in ("uniform_rate", "alignment_uniform_rate") if name in rates.too_small]
    ends = [rate for rate in (even, views) if rate is not None]
    holds = f"{min(ends):.6g}" if ends else None
    if point is not None:
        first = f"Complete collapse attracts above {point:.6g}"
        if rough:
            return f"{first}; {_roughly(holds)}"
        if holds is None:
            return f"{first}; an even spread holds at every rate."
        verb = "already breaks" if min(ends) < point else "breaks"
        return f"{first}; an even spread {verb} above {holds}."
    words = "Complete collapse attracts at no rate"
    if rough:
        words += f"; {_roughly(holds)}"
    elif holds is None:
        words += ", and an even spread holds at every rate."
    elif views is not None and views == min(ends):
        words += f"; an even spread loses the agreement of its views above {holds}."
    else:
        words += f"; an even spread breaks above {holds}."
    if line is None:
        return words
    words += f" The line with antipodal views attracts above {line:.6g}"
    if rough or not ends:
        return words + "."
    both = line < min(ends)
    return words + (
        ": between the two rates both attract, and the start decides." if both else ", the even spread not."
    )


def _roughly(rate: str | None) -> str:
    if rate is None:
        return "up to which rate an even spread holds, n is too small to tell (T13)."
    return f"an even spread breaks near {float(rate):.2g}, but n is too small to tell (T13)."


def _prototypes_sentence(weights: PrototypeWeights, distance: str) -> str:
    name, what = {
        "cosine": ("point_weight", "every class is one point"),
        "euclidean": ("euclidean_weight", "every sample stays on its prototype"),
        "manhattan": ("manhattan_weight", "every sample stays on its prototype"),
    }[distance]
    value = getattr(weights, name)
    if value is None:
        return f"With prototypes and the {distance} distance there is no answer: {weights.reasons[name]}."
    return f"With prototypes and the {distance} distance {what} above weight {value:.6g}."


def bounds_table(rates: CriticalRates) -> str:
    """Every critical rate of a setting, one a line, with the reason where there is none."""
    rows = []
    for name, meaning in MEANING.items():
        value = getattr(rates, name)
        if name == "paper_range":
            shown = "-" if value is None else f"{value[0]:g} .. {value[1]:.6g}"
        else:
            shown = "-" if value is None else f"{value:.6g}"
        why = rates.reasons.get(name)
        rough = "; n too small to tell: a rough value" if name in rates.too_small else ""
        rows.append((name, shown, meaning + rough if why is None else f"none: {why}"))
    return table(("rate", "value", "meaning"), rows)


OF_PROTOTYPES = {
    "prototype_cosine": "between two prototypes",
    "point_weight": "every class is one point above (T9, T18)",
    "euclidean_weight": "Euclidean distance: samples stay on their prototypes above (T20)",
    "manhattan_weight": "Manhattan distance, prototypes along the axes: the same (T20)",
    "unlabelled_cosine": "of a lone unlabelled embedding to every prototype (T19)",
    "class_cosine": "between two classes at this weight (T8, T18)",
    "effective_rank": "at this weight, small steps (T8, T18)",
    "rank_at_large_rates": "at this weight and 10 mu_c, ambient (T16); 1 is collapse",
}


def prototypes_table(weights: PrototypeWeights) -> str:
    """What prototypes do to the classes of a setting, one answer a line, with the reason where there is none."""
    rows = []
    for name, meaning in OF_PROTOTYPES.items():
        value, why = getattr(weights, name), weights.reasons.get(name)
        rows.append((name, "-" if value is None else f"{value:.6g}", meaning if why is None else f"none: {why}"))
    return table(("prototypes", "value", "meaning"), rows)
