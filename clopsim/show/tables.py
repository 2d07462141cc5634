"""Tables and reports of runs and audits, as plain text: the verdict, the numbers it rests on, where the rest is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clopsim.show.page import filled, table

VERDICTS = {True: "holds", False: "FAILS", None: "n too small to tell"}

QUESTION = {
    "collapse": "complete collapse attracts",
    "uniform": "the uniform state breaks",
    "alignment_uniform": "views come apart, uniform state",
    "alignment_collapse": "views come apart at collapse",
    "line": "the antipodal line attracts",
}


def threshold_report(thresholds: Sequence[Mapping[str, Any]], tolerance: float | None) -> str:
    """Whether the predictions hold with that tolerance, and their table; None: the table alone."""
    if tolerance is None:
        return threshold_table(thresholds)
    within = f"(tolerance {100 * tolerance:g} %)"
    first = {
        True: f"The theory holds {within}.",
        False: f"The theory does NOT hold {within}.",
        None: "n is too small to tell (T13); give more samples.",
    }[all_hold(thresholds)]
    return "\n\n".join((first, threshold_table(thresholds), "The bracket of every seed: --json."))


def all_hold(thresholds: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether the theory holds for all; None where it fails for none and n is too small to tell for some."""
    found = {row["holds"] for row in thresholds}
    return False if False in found else None if None in found else True


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
    what = (
        f"{setting['loss']} loss, {setting['gradient']} gradient, {setting['keys']} keys, {setting['reduction']} "
        f"over n = {setting['samples']} embeddings, d = {setting['dimension']}{momentum}"
    )
    parts = (
        "\n".join((filled(verdict(summary)), filled(what))),
        threshold_table(summary["thresholds"]),
        "\n".join(line for part in summary["sweep"] for line in _sweep_lines(part)),
        written(folder),
    )
    return "\n\n".join(filter(None, parts))


TRAINING_AXES = {
    "loss": "loss", "learning_rate": "rate", "weight_decay": "decay", "weight": "weight",
    "labelled_fraction": "labelled", "batch_size": "batch",
}  # fmt: skip
TRAINING_ENDS = {
    "knn": "knn", "linear_probe": "probe", "effective_rank": "rank", "mean_resultant_length": "R",
    "view_cosine": "views", "squared_norm": "|u|^2",
}  # fmt: skip


def training_sweep_report(summary: Mapping[str, Any], folder: Path | None) -> str:
    """The table of a training sweep; summary as made by training_sweep.summarise."""
    rows, setting = summary["runs"], summary["setting"]
    several = [name for name in TRAINING_AXES if len({row[name] for row in rows}) > 1]
    one = {name: word for name, word in TRAINING_AXES.items() if name not in several}
    cells = []
    for row in rows:
        axes = (row[name] if name == "loss" else f"{row[name]:g}" for name in several)
        ends = ("-" if row[name] is None else f"{row[name]:.3g}" for name in TRAINING_ENDS)
        outcomes = ", ".join(f"{count} {name}" for name, count in row["outcomes"].items())
        cells.append((*axes, outcomes, *ends))
    shared = ", ".join(rows[0][name] if name == "loss" else f"{word} {rows[0][name]:g}" for name, word in one.items())
    seeds = setting["seeds"]
    what = (
        f"{setting['embedder']} on {setting['data']}, {setting['steps']} steps, {_descent(setting)}, "
        f"{setting['schedule']} schedule{', ' * bool(shared)}{shared}; medians over {seeds} "
        f"seed{'s' if seeds > 1 else ''} at the end"
    )
    head = (*(TRAINING_AXES[name] for name in several), "outcomes", *TRAINING_ENDS.values())
    parts = ("\n".join((filled(verdict(summary)), filled(what))), table(head, cells), written(folder))
    return "\n\n".join(filter(None, parts))


def _descent(setting: Mapping[str, Any]) -> str:
    """Optimiser and warm-up of a recipe, which those of earlier versions do not name."""
    optimizer, warmup = setting.get("optimizer", "sgd"), setting.get("warmup", 0)
    moment = f"{'beta_1' if optimizer == 'adamw' else 'momentum'} {setting['momentum']:g}"
    words = [moment if optimizer == "sgd" else f"{optimizer} with {moment}"]
    return ", ".join([*words, *([f"warm-up of {warmup}"] if warmup else [])])


EVIDENCE = {
    "identities": "identities", "agreements": "agreements", "certificates": "enclosures", "experiments": "experiments",
}  # fmt: skip
"""Keys of a claim's evidence, and what they are called."""


def audit_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What does not hold, then every claim beside its verdict, the papers' first; rows of Finding.as_row."""
    failures = [f"{row['identifier']} FAILS: {failure}" for row in rows for failure in row["failures"]]
    counts = Counter(row["verdict"] for row in rows)
    supported = "Every recorded verdict is supported: " + ", ".join(f"{n} {v}" for v, n in counts.items()) + "."
    parts = ["\n".join(map(filled, failures or [supported]))]
    said = [row for row in rows if row["identifier"].startswith("P")]
    for head, part in {
        "what they said": [row for row in said if not row["system"]],
        "the zoo: what is claimed, and the evidence": [row for row in said if row["system"]],
        "statement": [row for row in rows if row not in said],
    }.items():
        cells = []
        for row in part:
            statement = f"{row['system']}: {row['statement']}" if row["system"] else row["statement"]
            cells.append((row["identifier"], row["verdict"], statement))
            cells += _zoo_evidence(row) if row["system"] else []
        if part:
            parts.append(table(("claim", "verdict", head), cells))
        if any("verdicts" in one for row in part for one in row["experiments"]):
            parts.append("Verdicts on single claims are those of a short run; clopsim zoo runs the whole.")
    examined = ", ".join(f"{sum(len(row[kind]) for row in rows)} {name}" for kind, name in EVIDENCE.items())
    parts.append(filled(f"Examined in {sum(row['seconds'] for row in rows):.0f} s: {examined}."))
    return "\n\n".join(parts)


def _zoo_evidence(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What a verdict of the zoo rests on: single claims of a protocol, each with its own, else what became of it."""
    verdicts = [each for one in row["experiments"] for each in one.get("verdicts", ())]
    return [("", verdict, f"- {text}") for verdict, text in verdicts] or [("", "", f"- {row['finding']}")]


def verdict(summary: Mapping[str, Any]) -> str:
    """The verdict of a sweep, and what failed; of a training sweep only its size."""
    if "holds" not in summary:
        count = len(summary["runs"])
        line = f"{count} combination{'s' if count > 1 else ''} trained."
    else:
        holds = "The bound holds" if summary["holds"] else "The bound does NOT hold"
        line = f"{holds} (tolerance {100 * summary['tolerance']:g} %)."
    return f"{line} {failed(summary.get('failures'))}".rstrip()


def failed(failures: Sequence[Mapping[str, Any]] | None) -> str:
    """How many cells failed, the first one's error and what to do; nothing if none did."""
    if not failures:
        return ""
    return f"{len(failures)} cells failed, the first with {failures[0]['error']}; resume to try again."


MATTER = ("loss", "mean_resultant_length", "effective_rank", "view_cosine")
"""What a training report shows in any case; the rest where something is predicted beside it."""


def training_report(summary: Mapping[str, Any], folder: Path | None) -> str:
    """What a training run came to, for the terminal; summary as made by training_run.write."""
    setting, final, predicted = summary["setting"], summary["final"], summary["predicted"]
    counts = summary["samples"]
    prototypes = (
        f" + {setting['weight']:g} x {setting['prototypes']} prototypes" if setting["prototypes"] != "none" else ""
    )
    what = (
        f"{setting['loss']}{prototypes} on {setting['data']}, {setting['embedder']} to d = {setting['dimension']}; "
        f"{counts['train']} samples to train on ({counts['labelled']} labelled), {counts['held_out']} held out"
    )
    if setting.get("optimizer", "sgd") != "sgd" or setting.get("warmup"):
        what += f"; {_descent(setting)}, {setting['schedule']} schedule from rate {setting['rate']:g}"
    swap = "T26" if setting.get("optimizer") == "lars" else "T10"
    rows = []
    for name, value in final.items():
        expected = predicted.get(name, summary["loss_at_collapse"] if name == "loss" else None)
        if expected is None and name not in MATTER:
            continue
        note = (
            ""
            if expected is None
            else f"{expected:.6g}" + (" at collapse" if name == "loss" else f" about which it circulates ({swap})")
        )
        rows.append((name, "-" if value is None else f"{value:.6g}", note))
    for name, value in summary["accuracy"].items():
        rows.append((f"held-out: {name}", "-" if value is None else f"{value:.4f}", ""))
    parts = [
        "\n".join((filled(f"Verdict: {summary['text']}"), filled(what))),
        table(("at the end", "value", "beside it"), rows),
    ]
    if final.get("sharpness") is not None:
        parts.append(filled(sharpness_line(setting, final)))
    parts.append("Every observable, and its curve: --json, data.nc.")
    return "\n\n".join(filter(None, (*parts, written(folder))))


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
        filled(f"  every seed {', '.join(ends)}; runs: {counts}" if ends else f"  runs: {counts}", indent="    "),
    ]
    if part["loss_at_highest_rate"] is not None:
        lines.append(
            filled(
                f"  loss at the highest rate {part['loss_at_highest_rate']:.6g}; "
                f"at complete collapse it is {part['loss_at_collapse']:.6g}",
                indent="    ",
            )
        )
    return lines


LONGEST_FOLDER = 40
"""Folder that `clopsim runs` keeps in one line, to be copied."""


def runs_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Run folders, one a row; rows as made from states.Run."""
    rows = [
        (run["folder"], run["verdict"] or run["detail"], run["setting"], run["date"][:16].replace("T", " "))
        for run in runs
    ]
    short = max(len(run["folder"]) for run in runs) <= LONGEST_FOLDER
    return table(("folder", "state", "setting", "date"), rows, most={1: 18}, whole=(0,) if short else ())
