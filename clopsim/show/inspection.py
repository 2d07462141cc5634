"""How the report on somebody's embeddings looks."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clopsim.show.page import filled, table

VALUE = 18
"""Width of a value: four numbers at once take two lines, and leave the meaning its room."""


MORE = "Every observable: --all; with the spectrum: --json."


def inspection_report(report: Mapping[str, Any], *, every: bool = False) -> str:
    """What `clopsim inspect` found; report as made by inspection.inspect; every: not only what matters most."""
    rows = [row for row, matters in _rows(report) if every or matters]
    told = [f"{report['verdict'].upper()}: {report['rule']}", *report["observations"]]
    parts = [
        "\n".join(filled(each, indent="  ") for each in told),
        table(("observable", "value", "meaning"), rows, most={1: VALUE}),
    ]
    if not every:
        parts.append(MORE)
    return "\n\n".join(parts)


def comparison_report(
    reports: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    apart: Sequence[Mapping[str, Any]],
    *,
    every: bool = False,
) -> str:
    """Several reports side by side; apart: how each but the first lies to the first; every: as above."""
    short = [Path(name).name or name for name in names]
    shown = short if len(set(short)) == len(short) else names
    columns = [{name: value for (name, value, _), _ in _rows(report)} for report in reports]
    order = [
        name
        for (name, _, _), matters in _rows(reports[0])
        if (every or matters) and all(name in column for column in columns)
    ]
    rows = [("verdict", *(report["verdict"] for report in reports))]
    rows += [(name, *(column[name] for column in columns)) for name in order]
    for name, label in (("modality_gap", "modality gap to the first"), ("paired_cosine", "cosine, rows as paired")):
        if any(each[name] is not None for each in apart):
            rows.append((label, "", *(_shown(each[name]) for each in apart)))
    rules = [
        f"{name}: {report['verdict'].upper()}, {report['rule']}" for name, report in zip(shown, reports, strict=True)
    ]
    told = "\n".join(filled(each, indent="  ") for each in rules)
    parts = (told, table(("observable", *shown), rows), "" if every else MORE)
    return "\n\n".join(filter(None, parts))


def _rows(report: Mapping[str, Any]) -> list[tuple[tuple[str, str, str], bool]]:
    """Name, value and meaning of every observable, and whether it is one of those that matter most."""
    norm, on = report["norm"], f"{report['sampled_rows']} rows"
    if report["sampled_rows"] < report["n"]:
        on += f" (seed {report['seed']})"
    first = [
        ("n, d", f"{report['n']}, {report['d']}", f"embeddings, dimension; {report['distinct_rows']} distinct"),
        (
            "norm",
            f"{_shown(norm['mean'], 4)} +- {_shown(norm['std'], 2)}",
            f"{_shown(norm['min'], 4)} to {_shown(norm['max'], 4)}, before normalising"
            + (" (the file's norm)" if report["norm_stored"] else ""),
        ),
        ("mean resultant length", _shown(report["mean_resultant_length"]), "R: 0 balanced, 1 complete collapse"),
        ("directions", f"{report['used_directions']}", "about the mean, that carry energy"),
        ("effective rank", _shown(report["effective_rank"]["energy_uncentred"]), RANKS["energy_uncentred"]),
        ("effective rank, centred", _shown(report["effective_rank"]["energy_centred"]), RANKS["energy_centred"]),
    ]
    skipped = report["skipped_rows"]
    if skipped["count"]:
        named = ", ".join(map(str, skipped["first"])) + (", ..." if skipped["count"] > len(skipped["first"]) else "")
        first.insert(1, ("skipped", f"{skipped['count']}", f"rows that are zero or not finite: {named}"))
    rows = [(row, True) for row in first]
    rows += [
        ((name, _shown(report["effective_rank"][key]), RANKS[key]), False)
        for name, key in (
            ("RankMe", "amplitude_uncentred"),
            ("RankMe, raw rows", "amplitude_raw"),
            ("RankMe, centred", "amplitude_centred"),
        )
    ]
    law, condition = report["alpha_req"], report["condition_number"]
    if law is not None:
        fit = f"lambda_k ~ k^-alpha, k = {law['first']} .. {law['last']}, weighted R^2 {law['r_squared']:.3f}"
        rows.append((("alpha-ReQ", _shown(law["exponent"]), f"{fit}; about the mean"), False))
    rows += [
        (("condition number", _shown(condition), "sigma_1/sigma_m about the mean; -: a direction is lost"), False),
        (("stable rank", _shown(report["stable_rank"]["uncentred"]), "sum sigma^2 / max sigma^2"), False),
        (("stable rank, centred", _shown(report["stable_rank"]["centred"]), "the same about the mean"), False),
        (("mean cosine", _shown(report["mean_cosine"]), "over all pairs"), False),
        (("leading share", _shown(report["leading_share"]), "of the energy on one direction; 1 on a line"), False),
        (("uniformity", _shown(report["uniformity"]), f"log mean exp(-2 |difference|^2), 0 at a point; {on}"), False),
        (
            (
                "harmonic energy 1 .. 4",
                " ".join(f"{value:.2g}" for value in report["harmonic_energy"]),
                f"1 at a point, {1 / report['sampled_rows']:.2g} by chance; {on}",
            ),
            False,
        ),
    ]  # fmt: skip
    if report["alignment"] is not None:
        rows.append((("alignment", _shown(report["alignment"]), "mean square distance of views, 0 to 4"), True))
        lidar = "effective rank of the samples' means against their views; delta 1e-4"
        rows.append((("LiDAR, views", _shown(report["lidar"]), lidar), False))
    if report["classes"] is not None:
        rows += _class_rows(report["classes"])
    return rows


RANKS = {
    "energy_uncentred": "of sigma^2, unit rows",
    "energy_centred": "the same about the mean; 0: no spread",
    "amplitude_uncentred": "effective rank of sigma, unit rows",
    "amplitude_raw": "the same of the rows as they are, as in its paper",
    "amplitude_centred": "the same of unit rows about the mean",
}


def _class_rows(classes: Mapping[str, Any]) -> list[tuple[tuple[str, str, str], bool]]:
    count = classes["count"]
    rows = [
        (("classes", f"{count}", "{labelled} labelled rows, {smallest} to {largest} a class".format(**classes)), True),
        *([(("singletons", f"{classes['singletons']}", "classes of one row: no spread, left out below"), True)]
          if classes["singletons"] else []),
        (("within/between, NC1", _shown(classes["neural_collapse"]), "tr(W B^+)/K; 0: each class on one point"), True),
        (("within/between, traces", _shown(classes["variation_ratio"]), "tr W / tr B"), False),
        (("LiDAR, classes", _shown(classes["lidar"]), "effective rank of the class means against the classes"), False),
    ]  # fmt: skip
    if classes["worst"]:
        median = ("median class spread", _shown(classes["median_spread"]), "mean square about its mean; 0 a point")
        rows.append((median, False))
    for place, worst in enumerate(classes["worst"]):
        drawn = f" of {classes['ranked_rows']} drawn" if worst["rows"] > classes["ranked_rows"] else ""
        rank = f"rank {worst['effective_rank']:.4g}{drawn}"
        name = f"narrow class {worst['class']}"
        rows.append(((name, _shown(worst["spread"]), f"spread of {worst['rows']} rows, {rank}"), place == 0))
    for centring, meaning in (
        ("uncentred", f"degrees; orthonormal 90, simplex ETF {math.degrees(math.acos(-1 / (count - 1))):.4g}"),
        ("centred", "degrees, about the mean of the class means; both frames give the simplex's"),
    ):
        angles = classes[f"angles_{centring}"]
        shown = "-" if angles["mean"] is None else "{min:.3g} .. {mean:.3g} .. {max:.3g}".format(**angles)
        rows.append(((f"mean angles, {centring}", shown, meaning), False))
    fit = classes["frames_fit"]
    for name, label, frame, meaning in (
        (
            "orthonormal_distance_uncentred",
            "to orthonormal frame",
            "orthonormal",
            "Gram matrix of the class means; 0: orthonormal",
        ),
        ("simplex_distance_uncentred", "to simplex", "simplex", "0: simplex ETF about the origin"),
        (
            "simplex_distance_centred",
            "to simplex, centred",
            "simplex",
            "0: simplex ETF, or an orthonormal frame, about their mean",
        ),
    ):
        note = meaning if fit[frame] else f"too many classes for one in this dimension; {meaning}"
        rows.append(((label, _shown(classes[name]), note), False))
    return rows


def _shown(value: float | None, digits: int = 6) -> str:
    return "-" if value is None else f"{value:.{digits}g}"
