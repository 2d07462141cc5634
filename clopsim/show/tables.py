"""Tables and reports for the terminal, as plain text."""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bounds import CriticalRates, PrototypeWeights

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
) -> str:
    """The rates that matter in sentences, then every one in a table, and what else was asked about the setting."""
    words = bounds_sentence(rates)
    if moco is not None:
        words += f" The uniform state of MoCo, every query on its key, breaks above {moco:.6g} (T21)."
    if batch_growth is not None:
        words += (
            " Drawing batches shifts no rate: at alignment_collapse_rate the mean square spread of collapsed samples"
            f" grows by a factor {batch_growth:.6g} a step (T24)."
        )
    if prototypes is not None:
        words += " " + _prototypes_sentence(prototypes, distance)
    parts = [textwrap.fill(words, 80), bounds_table(rates)]
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
    return _table(("rate", "value", "meaning"), rows)


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
    return _table(("prototypes", "value", "meaning"), rows)


VERDICTS = {True: "holds", False: "FAILS", None: "n too small to tell"}

QUESTION = {
    "collapse": "complete collapse attracts",
    "uniform": "the uniform state breaks",
    "alignment_uniform": "views come apart, uniform state",
    "alignment_collapse": "views come apart at collapse",
    "line": "the antipodal line attracts",
}


def threshold_table(thresholds: Sequence[Mapping[str, Any]]) -> str:
    """Predicted and searched rates side by side; rows as made by Threshold.as_row."""
    rows = []
    for row in thresholds:
        never = f"never up to {row['searched'][1]:.3g}"
        rows.append((
            f"{row['temperature']:g}",
            QUESTION[row["kind"]],
            "never" if row["predicted_rate"] is None else f"{row['predicted_rate']:.6g}",
            never if row["observed_rate"] is None else f"{row['observed_rate']:.6g}",
            "" if row["bracket"] is None else "[{:.6g}, {:.6g}]".format(*row["bracket"]),
            "" if row["relative_gap"] is None else f"{100 * row['relative_gap']:+.3f} %",
            VERDICTS[row["holds"]],
        ))  # fmt: skip
    return _table(("tau", "above which rate", "predicted", "observed", "bracket", "gap", "verdict"), rows)


def report(summary: Mapping[str, Any], folder: Path | None) -> str:
    """What a run found, of whichever kind."""
    if "accuracy" in summary:
        return training_report(summary, folder)
    return (sweep_report if "thresholds" in summary else training_sweep_report)(summary, folder)


def sweep_report(summary: Mapping[str, Any], folder: Path | None) -> str:
    """What a sweep found, for the terminal; summary as made by sweep.summarise."""
    setting = summary["setting"]
    momentum = f", momentum {setting['momentum']:g}" if setting.get("momentum") else ""
    lines = [
        f"{setting['loss']} loss, {setting['gradient']} gradient, {setting['keys']} keys, {setting['reduction']} over "
        f"n = {setting['samples']} embeddings, d = {setting['dimension']}{momentum}",
        "",
    ]
    lines.append(threshold_table(summary["thresholds"]))
    lines.append("")
    for part in summary["sweep"]:
        lines += _sweep_lines(part)
    lines += ["", f"{verdict(summary)}  {written(folder)}".rstrip()]
    return "\n".join(lines)


TRAINING_AXES = {
    "loss": "loss", "learning_rate": "rate", "weight_decay": "decay", "weight": "weight",
    "labelled_fraction": "labelled", "batch_size": "batch",
}  # fmt: skip
TRAINING_ENDS = {
    "knn": "knn", "linear_probe": "probe", "effective_rank": "rank", "embedding_variance": "variance",
    "mean_resultant_length": "R", "view_cosine": "views", "squared_norm": "|u|^2",
}  # fmt: skip


def training_sweep_report(summary: Mapping[str, Any], folder: Path | None) -> str:
    """The table of a training sweep; summary as made by training_sweep.summarise."""
    cells = []
    for row in summary["runs"]:
        axes = (row[name] if name == "loss" else f"{row[name]:g}" for name in TRAINING_AXES)
        ends = ("-" if row[name] is None else f"{row[name]:.4g}" for name in TRAINING_ENDS)
        outcomes = ", ".join(f"{count} {name}" for name, count in row["outcomes"].items())
        cells.append((*axes, *ends, outcomes))
    setting = summary["setting"]
    seeds, failures = setting["seeds"], summary["failures"]
    first = (
        f"{setting['embedder']} on {setting['data']}, {setting['steps']} steps, momentum {setting['momentum']:g}, "
        f"{setting['schedule']} schedule; medians over {seeds} seed{'s' if seeds > 1 else ''} at the end"
    )
    table = _table((*TRAINING_AXES.values(), *TRAINING_ENDS.values(), "outcomes"), cells)
    return "\n".join((first, "", table, "", f"{failed(failures)}{written(folder)}")).rstrip()


STATEMENT_WIDTH = 60
"""Keeps a line of the audit's table within 80 columns."""

EVIDENCE = {
    "identities": "identities", "agreements": "agreements", "certificates": "enclosures", "experiments": "experiments",
}  # fmt: skip
"""Keys of a claim's evidence, and what they are called."""


def audit_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every claim beside its verdict, the papers' first, below them whatever does not hold; rows of Finding.as_row."""
    lines = []
    papers = [row for row in rows if row["identifier"].startswith("P")]
    for head, part in (("what they said", papers), ("statement", [row for row in rows if row not in papers])):
        cells = []
        for row in part:
            first, *more = textwrap.wrap(row["statement"], STATEMENT_WIDTH)
            cells.append((row["identifier"], row["verdict"], first))
            cells += [("", "", line) for line in more]
        if part:
            lines += [_table(("claim", "verdict", head), cells), ""]
    lines += [f"{row['identifier']} FAILS: {failure}" for row in rows for failure in row["failures"]]
    examined = ", ".join(f"{sum(len(row[kind]) for row in rows)} {name}" for kind, name in EVIDENCE.items())
    ends = [f"Examined in {sum(row['seconds'] for row in rows):.0f} s: {examined}."]
    if not any(row["failures"] for row in rows):
        counts = Counter(row["verdict"] for row in rows)
        ends.append("Every recorded verdict is supported: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
    return "\n".join([*lines, *(line for end in ends for line in textwrap.wrap(end, 80))])


def verdict(summary: Mapping[str, Any]) -> str:
    """The verdict of a sweep in one line, after what failed; of a training sweep only its size."""
    if "holds" not in summary:
        return f"{failed(summary['failures'])}{len(summary['runs'])} combinations trained."
    holds = "The bound holds" if summary["holds"] else "The bound does NOT hold"
    line = f"{holds} (tolerance {100 * summary['tolerance']:g} %)."
    return failed(summary.get("failures")) + line


def failed(failures: Sequence[Mapping[str, Any]] | None) -> str:
    """How many cells failed, the first one's error and what to do; nothing if none did."""
    if not failures:
        return ""
    return f"{len(failures)} cells failed, the first with {failures[0]['error']}; resume to try again.  "


def training_report(summary: Mapping[str, Any], folder: Path | None) -> str:
    """What a training run came to, for the terminal; summary as made by training_run.write."""
    setting, final, predicted = summary["setting"], summary["final"], summary["predicted"]
    counts = summary["samples"]
    prototypes = (
        f" + {setting['weight']:g} x {setting['prototypes']} prototypes" if setting["prototypes"] != "none" else ""
    )
    lines = [
        f"{setting['loss']}{prototypes} on {setting['data']}, {setting['embedder']} to d = {setting['dimension']}; "
        f"{counts['train']} samples to train on ({counts['labelled']} labelled), {counts['held_out']} held out",
        "",
    ]
    rows = []
    for name, value in final.items():
        expected = predicted.get(name, summary["loss_at_collapse"] if name == "loss" else None)
        note = (
            ""
            if expected is None
            else f"{expected:.6g}" + (" at collapse" if name == "loss" else " about which it circulates (T10)")
        )
        rows.append((name, "-" if value is None else f"{value:.6g}", note))
    for name, value in summary["accuracy"].items():
        rows.append((f"held-out: {name}", "-" if value is None else f"{value:.4f}", ""))
    lines.append(_table(("at the end", "value", "beside it"), rows))
    if final.get("sharpness") is not None:
        lines += ["", sharpness_line(setting, final)]
    lines += ["", f"Verdict: {summary['text']}", written(folder)]
    return "\n".join(lines).rstrip()


def written(folder: Path | None) -> str:
    """Where a run is kept; nothing if it is not."""
    return "" if folder is None else f"Written to {folder}"


def sharpness_line(setting: Mapping[str, Any], final: Mapping[str, float | None]) -> str:
    """The sharpness with the rate up to which it lets descent be stable, beside the run's own."""
    kind = f"descent with momentum {setting['momentum']:g}" if setting["momentum"] else "plain descent"
    stable, own = final["stable_learning_rate"], f"{setting['rate']:g}"
    if setting["schedule"] != "constant":
        own += f", {final['learning_rate_now']:.2g} at the end"
    bound = "stable at any rate" if stable is None else f"stable up to rate {stable:.3g}"
    return f"Sharpness {final['sharpness']:.3g}: {kind} is {bound} (this run: {own})."


def _sweep_lines(part: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{count} {name}" for name, count in part["outcomes"].items())
    ends = []
    if part["uniform_up_to"] is not None:
        ends.append(f"uniform up to {part['uniform_up_to']:.3g} mu_c")
    if part["collapsed_from"] is not None:
        ends.append(f"collapsed from {part['collapsed_from']:.3g} mu_c")
    paper = part["predicted"]["paper_range"]
    lines = [
        f"tau = {part['temperature']:g}: mu_c = {part['mu_c']:.6g}"
        + ("" if paper is None else f"; the paper's range is {paper[0]:g} .. {paper[1]:.6g}"),
        f"  every seed {', '.join(ends)}; runs: {counts}" if ends else f"  runs: {counts}",
    ]
    if part["loss_at_highest_rate"] is not None:
        lines.append(
            f"  loss at the highest rate {part['loss_at_highest_rate']:.6g}; "
            f"at complete collapse it is {part['loss_at_collapse']:.6g}"
        )
    return lines


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
    return f"{report['verdict'].upper()}: {report['rule']}\n\n" + _table(("observable", "value", "meaning"), rows)


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


def runs_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Run folders, one a line; rows as made from states.Run."""
    if not runs:
        return "no runs"
    rows = [tuple(run[name] for name in ("folder", "setting", "detail", "verdict", "date")) for run in runs]
    return _table(("folder", "setting", "state", "verdict", "date"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart, a rule under the header."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    ruled = (header, ["-" * width for width in widths], *rows)
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in ruled)
