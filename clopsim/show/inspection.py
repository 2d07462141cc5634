"""How the report on somebody's embeddings looks."""

import math
from collections.abc import Mapping
from typing import Any

from clopsim.show.tables import table


def inspection_report(report: Mapping[str, Any]) -> str:
    """What `clopsim inspect` found; report as made by inspection.inspect."""
    rank, norm, on = report["effective_rank"], report["norm"], f"{report['sampled_rows']} rows"
    if report["sampled_rows"] < report["n"]:
        on += f" (seed {report['seed']})"
    rows = [
        ("n, d", f"{report['n']}, {report['d']}", "embeddings and dimension"),
        ("norm", "{mean:.4g} +- {std:.2g}".format(**norm), "before normalising; {min:.4g} to {max:.4g}".format(**norm)),
        ("mean resultant length", _shown(report["mean_resultant_length"]), "R: 0 balanced, 1 complete collapse"),
        ("mean cosine", _shown(report["mean_cosine"]), "over all pairs"),
        ("leading share", _shown(report["leading_share"]), "of the energy on one direction; 1 on a line"),
        *(
            (f"effective rank, {name.replace('_', ', ')}", _shown(value), RANKS[name])
            for name, value in rank.items()
        ),
        ("uniformity", _shown(report["uniformity"]), f"log mean exp(-2 |difference|^2), 0 at a point; {on}"),
        (
            "harmonic energy 1 .. 4",
            " ".join(f"{value:.3g}" for value in report["harmonic_energy"]),
            f"1 at a point, {1 / report['sampled_rows']:.2g} by chance; {on}",
        ),
    ]  # fmt: skip
    if report["alignment"] is not None:
        rows.append(("alignment", _shown(report["alignment"]), "mean squared distance of the views, 0 to 4"))
    if report["classes"] is not None:
        rows += _class_rows(report["classes"])
    return f"{report['verdict'].upper()}: {report['rule']}\n\n" + table(("observable", "value", "meaning"), rows)


RANKS = {
    "energy_uncentred": "sigma^2 as they are (the verdict's)",
    "amplitude_uncentred": "sigma, as RankMe",
    "energy_centred": "sigma^2 about the mean; 0: no spread beyond rounding",
    "amplitude_centred": "sigma about the mean",
}


def _class_rows(classes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    count = classes["count"]
    rows = [
        ("classes", f"{count}", "{labelled} labelled rows, {smallest} to {largest} a class".format(**classes)),
        ("within/between, NC1", _shown(classes["neural_collapse"]), "tr(W B^+)/K; 0: each class on one point"),
        ("within/between, traces", _shown(classes["variation_ratio"]), "tr W / tr B"),
    ]  # fmt: skip
    for centring, meaning in (
        ("uncentred", f"degrees; orthonormal 90, simplex ETF {math.degrees(math.acos(-1 / (count - 1))):.4g}"),
        ("centred", "degrees, about the mean of the class means; both frames give the simplex's"),
    ):
        angles = classes[f"angles_{centring}"]
        shown = "-" if angles["mean"] is None else "{min:.4g} .. {mean:.4g} .. {max:.4g}".format(**angles)
        rows.append((f"class-mean angles, {centring}", shown, meaning))
    fit = classes["frames_fit"]
    for name, frame, meaning in (
        ("orthonormal_distance_uncentred", "orthonormal", "Gram matrix of the class means; 0: orthonormal frame"),
        ("simplex_distance_uncentred", "simplex", "0: simplex ETF about the origin"),
        ("simplex_distance_centred", "simplex", "0: simplex ETF about their mean; an orthonormal frame gives 0 too"),
    ):
        note = meaning if fit[frame] else f"too many classes for one in this dimension; {meaning}"
        rows.append((name.replace("_distance_", " distance, "), _shown(classes[name]), note))
    return rows


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
