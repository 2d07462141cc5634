"""The picture of a card: what the loss curves like at its states, one step's factors, where runs end."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clopsim.show.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE, VERMILION, Picture
from clopsim.show.text import drawable

NAMES = {
    "collapse": "complete collapse", "line": "antipodal line", "simplex": "classes on a simplex",
    "orthonormal": "classes at right angles", "optimum": "its own optimum",
}  # fmt: skip
MOST_TICKS = 8

COLOURS = {"collapse": VERMILION, "line": ORANGE, "simplex": PURPLE, "orthonormal": GREY, "optimum": GREEN}


def draw_card(card: Mapping[str, Any]) -> Figure:
    """Top: curvatures with multiplicities, factors predicted and observed. Bottom: where runs end, by step.

    card: as made by cards.card.Portrait.document, nan as None.
    """
    steps = list(dict.fromkeys(end["gradient"] for end in card["runs"]["ends"]))
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(8, 6), layout="constrained")
        grid = figure.subplots(2, 2)
        _spectra(grid[0, 0], card)
        _factors(grid[0, 1], card)
        for axes, step in zip(grid[1], steps, strict=False):
            _runs(axes, card, step)
        for axes in grid[1, len(steps) :]:
            axes.set_axis_off()
        tau = rf", $\tau$ = {card['temperature']:g}" if card["temperature"] is not None else ""
        classes = f", {card['classes']} classes" if card["classes"] else ""
        figure.suptitle(
            f"{drawable(card['loss'])}{tau}, $n$ = {card['rows']} rows, $d$ = {card['dimension']}{classes}", fontsize=10
        )
    return figure


def _spectra(axes: Axes, card: Mapping[str, Any]) -> None:
    found = [state for state in card["states"] if state["levels"]]
    largest = max((abs(level["curvature"]) for state in found for level in state["levels"]), default=1.0) or 1.0
    smallest = min(
        (abs(level["curvature"]) for state in found for level in state["levels"] if level["curvature"]), default=1.0
    )
    for height, state in enumerate(reversed(found)):
        for level in state["levels"]:
            area = 12 + 60 * math.sqrt(level["multiplicity"] / (card["rows"] * card["dimension"]))
            colour = COLOURS[state["name"]]
            fill = colour if level["curvature"] else "none"
            axes.scatter(level["curvature"], height, s=area, color=fill, edgecolors=colour, zorder=3, linewidths=0.8)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks(range(len(found)), [NAMES[state["name"]] for state in reversed(found)])
    axes.set(ylim=(-0.6, max(0.6, len(found) - 0.4)), xlabel="curvature $c$, area by multiplicity; hollow: flat")
    if largest > 100 * smallest:
        axes.set_xscale("symlog", linthresh=smallest)
        axes.set_xlim(-3 * largest, 3 * largest)
        ends = 10.0 ** np.arange(math.ceil(math.log10(smallest)), math.floor(math.log10(largest)) + 1)
        ticks = ends[:: max(1, math.ceil(len(ends) / 2))]
        axes.set_xticks([*-ticks[::-1], 0, *ticks])
        axes.minorticks_off()
    else:
        axes.set_xlim(-1.15 * largest, 1.15 * largest)
        axes.locator_params(axis="x", nbins=5)


def _factors(axes: Axes, card: Mapping[str, Any]) -> None:
    checks = [check for rate in card["rates"] for check in rate["checks"] if check["observed"] is not None]
    for at, colour, marker in ((0.97, BLUE, "o"), (1.03, VERMILION, "s")):
        mine = [check for check in checks if check["at"] == at]
        axes.plot(
            [check["predicted"] for check in mine],
            [check["observed"] for check in mine],
            marker,
            color=colour,
            markersize=5,
            fillstyle="none",
            label=f"at {at:g} of a critical rate",
        )
    ends = [value for check in checks for value in (check["predicted"], check["observed"]) if value > 0] or [1.0]
    low, high = min(0.9, min(ends)), max(1.1, max(ends))
    room = (high / low) ** 0.05
    span = (low / room, high * room)
    axes.plot(span, span, color=GREY, linewidth=0.8)
    for line in (axes.axvline, axes.axhline):
        line(1, color=GREY, linestyle=":", linewidth=0.8)
    axes.set(xlim=span, ylim=span, xlabel="predicted factor a step", ylabel="observed factor a step")
    if high / low > 10:
        axes.set(xscale="log", yscale="log")
        ticks = [digit * 10.0**power for power in range(-9, 10) for digit in (1, 2, 5)]
        ticks = [tick for tick in ticks if span[0] <= tick <= span[1]]
        ticks = ticks if len(ticks) <= MOST_TICKS else [tick for tick in ticks if math.log10(tick) % 1 == 0]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    axes.legend(fontsize=8, loc="upper left")


def _runs(axes: Axes, card: Mapping[str, Any], step: str) -> None:
    runs = card["runs"]
    rates = runs["unit"] * np.array(runs["multiples"])
    for end, colour, marker in zip(
        (end for end in runs["ends"] if end["gradient"] == step), (BLUE, VERMILION), "os", strict=False
    ):
        ranks = [np.nan if rank is None else rank for rank in end["effective_rank"]]
        axes.plot(rates, ranks, marker, color=colour, markersize=4, fillstyle="none", label=f"from {end['start']}")
    for state in card["states"]:
        found = state["attracts"].get(step)
        if not found or state["same_as"]:
            continue
        for side in ("below", "above"):
            rate = found[side]
            if rate and rates[0] / 3 < rate < 3 * rates[-1]:
                name = NAMES[state["name"]]
                label = f"{name} attracts {side} {rate:.4g}"
                style = "--" if side == "below" else "-"
                axes.axvline(rate, color=COLOURS[state["name"]], linestyle=style, linewidth=1.2, label=label)
    top = min(card["dimension"], card["rows"])
    axes.set(xscale="log", xlabel=rf"learning rate $\mu$, {step} steps", ylabel="effective rank at the end")
    axes.set_ylim(0.6, 1.7 * top)
    axes.set_yticks([tick for tick in axes.get_yticks() if 1 <= tick <= top])
    axes.legend(fontsize=7, loc="upper right", frameon=True, framealpha=1, edgecolor="none")
