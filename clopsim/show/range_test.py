"""The picture of a learning-rate range test."""

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from clopsim.show.plots import BLUE, GREEN, GREY, STYLE, VERMILION, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping


def draw_range_test(found: "Mapping[str, Any]") -> Figure:
    """Loss beside its value at collapse, effective rank, mean resultant length, view cosine, over the rate.

    found: as of RateTest.to_dict().
    """
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(7, 4.6), layout="constrained")
        (loss, rank), (length, cosine) = figure.subplots(2, 2, sharex=True)
        for axes, name, words in (
            (loss, "loss", "loss"), (rank, "effective_rank", "effective rank"),
            (length, "mean_resultant_length", "mean resultant length $R$"),
            (cosine, "view_cosine", "cosine of the views"),
        ):  # fmt: skip
            axes.plot(found["rates"], found[name], color=BLUE, linewidth=1)
            axes.set(xscale="log", ylabel=words)
            for rate, colour, style, label in (
                (found["collapse_rate"], VERMILION, "-", "collapsed from here"),
                (found["divergence_rate"], GREY, ":", "the loss left"),
                (found["steepest_rate"], GREEN, "--", "steepest fall"),
            ):
                if rate is not None:
                    axes.axvline(rate, color=colour, linestyle=style, linewidth=1, label=label)
        loss.plot(found["rates"], found["loss_at_collapse"], color=VERMILION, linestyle="--", linewidth=1,
                  label="at complete collapse")  # fmt: skip
        finite = [value for value in (*found["loss"], *found["loss_at_collapse"]) if value is not None]
        if finite:
            middle = sorted(finite)[len(finite) // 2]
            loss.set_ylim(
                min(finite) - 0.1 * abs(middle), max(sorted(finite)[int(0.98 * len(finite)) - 1], middle) * 1.1
            )
        rank.set_ylim(bottom=0.6)
        length.set_ylim(-0.04, 1.08)
        cosine.set_ylim(min(-0.04, *(v for v in found["view_cosine"] if v is not None), 0.0) - 0.05, 1.08)
        for axes in (length, cosine):
            axes.set_xlabel(r"learning rate, rising with the steps")
        loss.legend(fontsize=8)
    return figure
