"""Tables and reports for the terminal, as plain text."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bounds import CriticalRates

MEANING = {
    "paper_range": "paper: safe between (merged loss, ambient gradient)",
    "collapse_rate": "complete collapse attracts above (T4, exact)",
    "uniform_rate": "the uniform state breaks above (T5, n -> infinity)",
    "breaking_degree": "harmonic degree that breaks first (1 point, 2 line, 3+ clusters)",
    "alignment_uniform_rate": "views come apart above, uniform state (T5, n -> infinity)",
    "alignment_collapse_rate": "views come apart above, collapsed state (T4, exact)",
}


def bounds_table(rates: CriticalRates) -> str:
    """Every critical rate of a setting, one a line, with the reason where there is none."""
    rows = []
    for name, meaning in MEANING.items():
        value = getattr(rates, name)
        if name == "paper_range":
            shown = f"{value[0]:g} .. {value[1]:.6g}"
        else:
            shown = "-" if value is None else f"{value:.6g}"
        why = rates.reasons.get(name)
        rows.append((name, shown, meaning if why is None else f"none: {why}"))
    return _table(("rate", "value", "meaning"), rows)


QUESTION = {
    "collapse": "complete collapse attracts",
    "uniform": "the uniform state breaks",
    "alignment_uniform": "views come apart, uniform state",
    "alignment_collapse": "views come apart at collapse",
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
            "holds" if row["holds"] else "FAILS",
        ))  # fmt: skip
    return _table(("tau", "above which rate", "predicted", "observed", "bracket", "gap", "verdict"), rows)


def sweep_report(summary: Mapping[str, Any], folder: Path) -> str:
    """What a sweep found, for the terminal; summary as made by sweep.summarise."""
    setting = summary["setting"]
    lines = [
        f"{setting['loss']} loss, {setting['gradient']} gradient, {setting['keys']} keys, {setting['reduction']} over "
        f"n = {setting['samples']} embeddings, d = {setting['dimension']}",
        "",
    ]
    lines.append(threshold_table(summary["thresholds"]))
    lines.append("")
    for part in summary["sweep"]:
        lines += _sweep_lines(part)
    verdict = "The bound holds" if summary["holds"] else "The bound does NOT hold"
    lines += ["", f"{verdict} (tolerance {100 * summary['tolerance']:g} %).  Written to {folder}"]
    return "\n".join(lines)


STATEMENT_WIDTH = 56
"""Keeps a line of the audit's table within 120 columns."""


def audit_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every claim with its verdict, and below it whatever does not hold; rows as made by Finding.as_row."""
    cells = []
    for row in rows:
        numbers = (str(len(row[kind]) or "") for kind in ("identities", "certificates", "experiments"))
        first, *more = textwrap.wrap(row["statement"], STATEMENT_WIDTH)
        cells.append((row["identifier"], row["verdict"], *numbers, f"{row['seconds']:.1f}", first))
        cells += [("", "", "", "", "", "", line) for line in more]
    lines = [_table(("claim", "verdict", "identities", "enclosures", "experiments", "s", "statement"), cells), ""]
    failures = [f"{row['identifier']} FAILS: {failure}" for row in rows for failure in row["failures"]]
    counts = Counter(row["verdict"] for row in rows)
    lines += failures or ["Every recorded verdict is supported: " + ", ".join(f"{n} {v}" for v, n in counts.items())]
    return "\n".join(lines)


def _sweep_lines(part: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{count} {name}" for name, count in part["outcomes"].items())
    ends = []
    if part["uniform_up_to"] is not None:
        ends.append(f"uniform up to {part['uniform_up_to']:.3g} mu_c")
    if part["collapsed_from"] is not None:
        ends.append(f"collapsed from {part['collapsed_from']:.3g} mu_c")
    low, high = part["predicted"]["paper_range"]
    lines = [
        f"tau = {part['temperature']:g}: mu_c = {part['mu_c']:.6g}; the paper's range is {low:g} .. {high:.6g}",
        f"  every seed {', '.join(ends)}; runs: {counts}" if ends else f"  runs: {counts}",
    ]
    if part["loss_at_highest_rate"] is not None:
        lines.append(
            f"  loss at the highest rate {part['loss_at_highest_rate']:.6g}; "
            f"at complete collapse it is {part['loss_at_collapse']:.6g}"
        )
    return lines


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart, a rule under the header."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    ruled = (header, ["-" * width for width in widths], *rows)
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in ruled)
