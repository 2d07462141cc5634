"""Tables and reports for the terminal, as plain text."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clopsim.show.text import printable

WIDTH = 80
"""Columns of a terminal."""

VERDICTS = {True: "holds", False: "FAILS", None: "n too small to tell"}

QUESTION = {
    "collapse": "complete collapse attracts",
    "uniform": "the uniform state breaks",
    "alignment_uniform": "views come apart, uniform state",
    "alignment_collapse": "views come apart at collapse",
    "line": "the antipodal line attracts",
}


def threshold_table(thresholds: Sequence[Mapping[str, Any]]) -> str:
    """Predicted and searched rates side by side; rows as made by Threshold.as_row. Their brackets are in the JSON."""
    rows = []
    for row in thresholds:
        never = f"never up to {row['searched'][1]:.3g}"
        rows.append((
            f"{row['temperature']:g}",
            QUESTION[row["kind"]],
            "never" if row["predicted_rate"] is None else f"{row['predicted_rate']:.6g}",
            never if row["observed_rate"] is None else f"{row['observed_rate']:.6g}",
            "" if row["relative_gap"] is None else f"{100 * row['relative_gap']:+.3f} %",
            VERDICTS[row["holds"]],
        ))  # fmt: skip
    return table(("tau", "above which rate", "predicted", "observed", "gap", "verdict"), rows)


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
        *textwrap.wrap(
            f"{setting['loss']} loss, {setting['gradient']} gradient, {setting['keys']} keys, {setting['reduction']} "
            f"over n = {setting['samples']} embeddings, d = {setting['dimension']}{momentum}",
            WIDTH,
        ),
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
        f"{setting['embedder']} on {setting['data']}, {setting['steps']} steps, {_descent(setting)}, "
        f"{setting['schedule']} schedule; medians over {seeds} seed{'s' if seeds > 1 else ''} at the end"
    )
    runs = table((*TRAINING_AXES.values(), *TRAINING_ENDS.values(), "outcomes"), cells)
    return "\n".join((first, "", runs, "", f"{failed(failures)}{written(folder)}")).rstrip()


def _descent(setting: Mapping[str, Any]) -> str:
    """Optimiser and warm-up of a recipe, which those of earlier versions do not name."""
    optimizer, warmup = setting.get("optimizer", "sgd"), setting.get("warmup", 0)
    moment = f"{'beta_1' if optimizer == 'adamw' else 'momentum'} {setting['momentum']:g}"
    words = [moment if optimizer == "sgd" else f"{optimizer} with {moment}"]
    return ", ".join([*words, *([f"warm-up of {warmup}"] if warmup else [])])


STATEMENT_WIDTH = 60
"""Keeps a line of the audit's table within 80 columns."""

ZOO_WIDTH = 58
"""The same where a verdict may be "not supported"."""

EVIDENCE = {
    "identities": "identities", "agreements": "agreements", "certificates": "enclosures", "experiments": "experiments",
}  # fmt: skip
"""Keys of a claim's evidence, and what they are called."""


def audit_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every claim beside its verdict, the papers' first, below them whatever does not hold; rows of Finding.as_row."""
    lines = []
    said = [row for row in rows if row["identifier"].startswith("P")]
    parts = {
        "what they said": [row for row in said if not row["system"]],
        "the zoo: what is claimed, and the evidence": [row for row in said if row["system"]],
        "statement": [row for row in rows if row not in said],
    }
    for head, part in parts.items():
        cells = []
        for row in part:
            statement = f"{row['system']}: {row['statement']}" if row["system"] else row["statement"]
            cells += _said(
                row["identifier"], row["verdict"], statement, ZOO_WIDTH if row["system"] else STATEMENT_WIDTH
            )
            cells += _zoo_evidence(row) if row["system"] else []
        if part:
            lines += [table(("claim", "verdict", head), cells), ""]
        if any("verdicts" in one for row in part for one in row["experiments"]):
            lines += ["Verdicts on single claims are those of a short run; clopsim zoo runs the whole.", ""]
    lines += [f"{row['identifier']} FAILS: {failure}" for row in rows for failure in row["failures"]]
    examined = ", ".join(f"{sum(len(row[kind]) for row in rows)} {name}" for kind, name in EVIDENCE.items())
    ends = [f"Examined in {sum(row['seconds'] for row in rows):.0f} s: {examined}."]
    if not any(row["failures"] for row in rows):
        counts = Counter(row["verdict"] for row in rows)
        ends.append("Every recorded verdict is supported: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
    return "\n".join([*lines, *(line for end in ends for line in textwrap.wrap(end, 80))])


def _said(identifier: str, verdict: str, text: str, width: int) -> list[tuple[str, str, str]]:
    """A claim with its verdict, in as many lines as it takes."""
    first, *more = textwrap.wrap(text, width)
    return [(identifier, verdict, first), *(("", "", line) for line in more)]


def _zoo_evidence(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What a verdict of the zoo rests on: single claims of a protocol, each with its own, else what became of it."""
    verdicts = [each for one in row["experiments"] for each in one.get("verdicts", ())]
    cells = []
    for verdict, text in verdicts:
        cells += _said("", verdict, f"- {text}", ZOO_WIDTH)
    return cells or _said("", "", f"- {row['finding']}", ZOO_WIDTH)


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
    if setting.get("optimizer", "sgd") != "sgd" or setting.get("warmup"):
        lines.insert(1, f"{_descent(setting)}, {setting['schedule']} schedule from rate {setting['rate']:g}")
    swap = "T26" if setting.get("optimizer") == "lars" else "T10"
    rows = []
    for name, value in final.items():
        expected = predicted.get(name, summary["loss_at_collapse"] if name == "loss" else None)
        note = (
            ""
            if expected is None
            else f"{expected:.6g}" + (" at collapse" if name == "loss" else f" about which it circulates ({swap})")
        )
        rows.append((name, "-" if value is None else f"{value:.6g}", note))
    for name, value in summary["accuracy"].items():
        rows.append((f"held-out: {name}", "-" if value is None else f"{value:.4f}", ""))
    lines.append(table(("at the end", "value", "beside it"), rows))
    if final.get("sharpness") is not None:
        lines += ["", sharpness_line(setting, final)]
    lines += ["", f"Verdict: {summary['text']}", written(folder)]
    return "\n".join(lines).rstrip()


def written(folder: Path | None) -> str:
    """Where a run is kept; nothing if it is not."""
    return "" if folder is None else f"Written to {folder}"


def sharpness_line(setting: Mapping[str, Any], final: Mapping[str, float | None]) -> str:
    """The sharpness with the rate up to which it lets descent be stable, beside the run's own."""
    optimizer = setting.get("optimizer", "sgd")
    kind = f"descent with momentum {setting['momentum']:g}" if setting["momentum"] else "plain descent"
    if optimizer == "lars":
        return (
            f"Sharpness {final['sharpness']:.3g}: under LARS no rate is below an edge, its steps do not shrink (T26)."
        )
    if optimizer == "adamw":
        kind = f"AdamW with beta_1 {setting['momentum']:g} and these second moments"
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
        *textwrap.wrap(
            f"every seed {', '.join(ends)}; runs: {counts}" if ends else f"runs: {counts}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
        ),
    ]
    if part["loss_at_highest_rate"] is not None:
        lines.append(
            f"  loss at the highest rate {part['loss_at_highest_rate']:.6g}; "
            f"at complete collapse it is {part['loss_at_collapse']:.6g}"
        )
    return lines


def runs_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Run folders, one a line; rows as made from states.Run."""
    if not runs:
        return "no runs"
    rows = [tuple(run[name] for name in ("folder", "setting", "detail", "verdict", "date")) for run in runs]
    return table(("folder", "setting", "state", "verdict", "date"), rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart, a rule under the header."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    ruled = (header, ["-" * width for width in widths], *rows)
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in ruled)


def wrapped(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> str:
    """The table with its last column wrapped to the width."""
    taken = sum(max(len(row[k]) for row in (header, *rows)) + 2 for k in range(len(header) - 1))
    cells = []
    for *first, last in rows:
        lines = textwrap.wrap(last, max(16, width - taken)) or [""]
        cells += [(*first, lines[0]), *((*("" for _ in first), line) for line in lines[1:])]
    return table(header, cells)
