"""How the verdicts on the zoo's claims look: as a table, as a report, as a picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.show.page import filled, table
from clopsim.show.plots import BLUE, GREEN, GREY, STYLE, VERMILION, Picture

COLOURS = {"supported": GREEN, "not supported": VERMILION, "cannot tell": GREY}


def protocols_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The protocols, one a line; rows with name, system and question."""
    cells = [(row["name"], row["system"], row["question"]) for row in rows]
    return table(("name", "system", "question"), cells) + "\n\nRun one: clopsim zoo NAME"


def protocol_report(summary: Mapping[str, Any]) -> str:
    """Every claim with its verdict and evidence, then the measures; summary: Protocol.summary, None for nan."""
    setting, claims = summary["setting"], summary["claims"]
    count, found = setting["seeds"], Counter(row["verdict"] for row in claims)
    total = f"{len(claims)} claim{'s' if len(claims) > 1 else ''}"
    first = f"{total}: {', '.join(f'{number} {word}' for word, number in found.items())}."
    about = f"{summary['system']}, {count} seed{'s' if count > 1 else ''} ({summary['source']})"
    cells = []
    for row in claims:
        cells += [(row["verdict"], row["claim"]), ("", f"- {evidence(row)}")]
    parts = (
        "\n".join((filled(first), filled(about))),
        table(("verdict", "claim, and its evidence"), cells),
        measures_table(summary),
        filled(f"Mean over the seeds. {RULE}"),
    )
    return "\n\n".join(parts)


RULE = (
    "A claim is supported where the 95 % t-interval of the paired differences lies above 0, not supported where it "
    "lies below the smallest difference that matters; else the seeds cannot tell."
)


def evidence(row: Mapping[str, Any]) -> str:
    """What a verdict rests on, in a line."""
    mean = _shown(row["mean"], "+.3g")
    if row["low"] is None:
        return f"{row['measure']}: {mean}, no interval"
    return f"{row['measure']}: {mean} [{row['low']:+.3g}, {row['high']:+.3g}]; {row['matters']:g} would matter"


def measures_table(summary: Mapping[str, Any]) -> str:
    """The means of every variant."""
    rows = summary["table"]
    heads = summary["columns"]
    cells = [tuple(_shown(row[name]) for name in heads) for row in rows]
    return table(tuple(heads.values()), cells)


def _shown(value: Any, form: str = ".3g") -> str:
    if value is None:
        return "-"
    return format(value, form) if isinstance(value, float) else str(value)


def draw_protocol(summary: Mapping[str, Any]) -> Figure:
    """Every claim's paired differences, seed by seed, with mean and 95 % interval: right of 0 speaks for the claim.

    summary: as made by Protocol.summary, None for nan.
    """
    claims = summary["claims"]
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(7, 0.7 + 1.15 * len(claims)), layout="constrained")
        grid = figure.subplots(len(claims), 1, squeeze=False)[:, 0]
        for axes, row in zip(grid, claims, strict=True):
            colour = COLOURS[row["verdict"]]
            differences = np.array([np.nan if each is None else each for each in row["differences"]])
            axes.axvline(0, color=GREY, linewidth=1)
            axes.axvline(row["matters"], color=GREY, linewidth=1, linestyle=":")
            axes.plot(differences, np.zeros(differences.size), "o", color=BLUE, markersize=4, alpha=0.5, clip_on=False)
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [0.5, 0.5], color=colour, linewidth=3, solid_capstyle="butt")
            axes.plot(
                [np.nan if row["mean"] is None else row["mean"]],
                [0.5],
                "|",
                color=colour,
                markersize=12,
                markeredgewidth=2,
            )
            axes.set(ylim=(-0.5, 1), yticks=[], xlabel=row["measure"])
            axes.xaxis.label.set_size(8)
            axes.margins(x=0.08)
            axes.spines["left"].set_visible(False)
            axes.set_title(f"{row['verdict']}: {row['claim']}", loc="left", color=colour)
        figure.suptitle(
            f"{summary['system']}: paired differences of {summary['setting']['seeds']} seeds (points), "
            "mean and 95 % interval (bar); dotted: what would matter",
            fontsize=8,
        )
    return figure
