"""Pictures of runs. Style is a dictionary used in rc_context; nothing global changes."""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clopsim.show.slabs import slabs
from clopsim.show.text import drawable

if TYPE_CHECKING:
    from clopsim.metrics.inspection import Inspection

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "clopsim",
    "axes.titlesize": 10,
}

BLUE, VERMILION, GREEN, PURPLE, GREY, ORANGE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#7f7f7f",
    "#E69F00",
)  # Okabe & Ito

LINES = {  # attribute -> (label, colour, line style)
    "paper_range": (r"paper's edge ($\tau$ for the sum)", GREY, ":"),
    "predicted_uniform_rate": ("uniform state breaks (T5, T13)", GREEN, "--"),
    "predicted_collapse_rate": (r"collapse attracts: $\mu_c=\tau\,(n-1)/(n-2)$ (T4)", VERMILION, "-"),
    "predicted_alignment_uniform_rate": ("views come apart, uniform state (T5a, T13)", PURPLE, "-."),
    "predicted_alignment_collapse_rate": (r"views come apart, collapsed state: $\mu_c$ (T4)", VERMILION, "-"),
    "predicted_antipodal_line_rate": (r"the line with antipodal views attracts (T12)", ORANGE, "--"),
}


class Picture(Figure):
    """A figure that a notebook shows, without pyplot and whatever its backend."""

    def _repr_png_(self) -> bytes:
        """The picture for a notebook."""
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=110)
        return content.getvalue()


def draw_sweep(dataset: xr.Dataset) -> Figure:
    """Mean resultant length and effective rank (full loss: view cosine too) against the rate in units of mu_c.

    Points: median over seeds, bars: smallest to largest, at the last step; a diverged run is left out. Lines: every
    predicted threshold of the setting. One column per temperature. dataset: as saved in data.nc, attributes included.
    """
    panels: dict[str, tuple[str, tuple[float, float]]] = {
        "mean resultant length $R$": ("mean_resultant_length", (-0.04, 1.08)),
        "effective rank": (
            "effective_rank",
            (0.6, 1.08 * min(dataset.attrs["dimension"], dataset.attrs["samples"])),
        ),
    }
    if "alignment" in dataset:
        panels["cosine of the views"] = ("alignment", (-1.08, 1.08))
    columns = dataset.sizes["temperature"]
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(2.2 + 4 * columns, 1.6 + 2 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), columns, sharex=True, sharey="row", squeeze=False)
        for t in range(columns):
            for axes, (name, (observable, limits)) in zip(grid[:, t], panels.items(), strict=True):
                _predictions(axes, dataset, t)
                _points(axes, dataset, t, observable)
                axes.set(xscale="log", ylim=limits, ylabel=name if t == 0 else "")
            ticks = [tick for tick in (1 / 64, 1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 16, 64) if _inside(tick, dataset)]
            grid[-1, t].set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
            grid[-1, t].minorticks_off()
            grid[-1, t].set_xlabel(r"learning rate $\mu\,/\,\mu_c$")
            tau, unit = dataset["temperature"].values[t], dataset["mu_c"].values[t]
            grid[0, t].set_title(rf"$\tau$ = {tau:g},  $\mu_c$ = {unit:.4g}")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=1 if columns == 1 else 2)
        figure.suptitle(_title(dataset), fontsize=10)
    return figure


def draw_training(dataset: xr.Dataset) -> Figure:
    """A training run along its steps: loss, effective rank, mean resultant length, learning rate with its edge.

    dataset: as saved in data.nc, attributes included.
    """
    run, recipe = dataset.isel(temperature=0, learning_rate=0, seed=0), json.loads(dataset.attrs["recipe"])
    step = run["step"].to_numpy()
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(7, 4.6), layout="constrained")
        (loss, rank), (length, rates) = figure.subplots(2, 2, sharex=True)
        for axes, name, words in (
            (loss, "loss", "loss"), (rank, "effective_rank", "effective rank"),
            (length, "mean_resultant_length", "mean resultant length $R$"),
        ):  # fmt: skip
            axes.plot(step, run[name].to_numpy(), ".-", color=BLUE, linewidth=1, markersize=4)
            axes.set_ylabel(words)
        at_collapse = dataset.attrs["loss_at_collapse"]
        loss.axhline(at_collapse, color=VERMILION, linestyle="--", label=f"at complete collapse: {at_collapse:.4g}")
        rank.set_ylim(0.6, 1.08 * recipe["dimension"])
        length.set_ylim(-0.04, 1.08)
        now, edge = (run[name].to_numpy() for name in ("learning_rate_now", "stable_learning_rate"))
        rates.plot(step, now, color=BLUE, label=r"learning rate $\mu$")
        beta, decay = recipe["momentum"], recipe["weight_decay"]
        above, below = ("2(1+\\beta)" if beta else "2"), ("(h+w)" if decay else "h")
        label = rf"${above}/{below}$, $h$ the sharpness"
        optimizer = recipe.get("optimizer", "sgd")
        if optimizer != "sgd":
            label = f"edge of stability, {optimizer}" + (": none" if optimizer == "lars" else "")
        seen = np.isfinite(edge)
        rates.plot(step[seen], edge[seen], "o:", color=VERMILION, markersize=5, label=label)
        lowest = min([recipe["rate"], *edge[seen], now[0]])
        rates.set(yscale="log", ylabel="learning rate", ylim=(lowest / 30, None))
        for axes in (length, rates):
            axes.set_xscale("symlog", linthresh=1)
            axes.set(xlabel="step $t$", xlim=(-0.1, step[-1] * 1.2))
            axes.minorticks_off()
        for axes in (loss, rates):
            axes.legend(fontsize=8)
        prototypes = "" if recipe["prototypes"] == "none" else rf" + {recipe['weight']:g} {recipe['prototypes']}"
        batch = f"batch {recipe['batch']}" if recipe["batch"] else "full batch"
        figure.suptitle(
            f"{recipe['loss']}{prototypes}, {recipe['embedder']} on {drawable(recipe['data'])}, "
            rf"$d$ = {recipe['dimension']}, "
            rf"{batch}, {optimizer}, $\tau$ = {recipe['temperature']:g}, $\beta$ = {beta:g}, $w$ = {decay:g}",
            fontsize=10,
        )
    return figure


def draw_inspection(found: "Inspection") -> Figure:
    """The spectrum of some embeddings, uncentred and centred, and the cosines of sampled pairs."""
    report = found.report
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(7, 3.2), layout="constrained")
        spectrum, pairs = figure.subplots(1, 2)
        for (name, share), colour, marker in zip(found.energies.items(), (BLUE, VERMILION), "os", strict=True):
            rank = report["effective_rank"][f"energy_{name}"]
            shown = np.where(share > 0, share, np.nan)
            label, fill = f"{name}, effective rank {rank:.3g}", "none" if marker == "s" else "full"
            direction = np.arange(1, share.size + 1)
            spectrum.plot(direction, shown, marker, markersize=3, color=colour, fillstyle=fill, label=label)
        even = 1 / min(report["n"], report["d"])
        spectrum.axhline(even, color=GREY, linestyle=":", label="all directions alike")
        spectrum.set(xlabel="direction $k$", ylabel=r"share of the energy $\sigma_k^2/n$", yscale="log")
        spectrum.set_ylim(top=2)
        spectrum.legend(fontsize=8)
        bins = np.linspace(-1, 1, 81)
        for (name, cosines), colour in zip(found.cosines.items(), (BLUE, VERMILION), strict=False):
            if cosines.size:
                density, _ = np.histogram(cosines.clip(-1, 1), bins, density=True)
                pairs.stairs(density, bins, color=colour, fill=True, alpha=0.5, label=name)
        pairs.axvline(report["mean_cosine"], color=GREY, linestyle="--", label=f"mean {report['mean_cosine']:.3f}")
        pairs.set(xlabel="cosine $s_{ij}$ of two embeddings", ylabel="density of pairs")
        pairs.legend(fontsize=8)
        figure.suptitle("no collapse" if report["verdict"] == "none" else f"verdict: {report['verdict']}", fontsize=10)
    return figure


def draw_inspections(found: "Sequence[Inspection]", names: Sequence[str]) -> Figure:
    """The spectra of several tables about their means, and the cosines of sampled pairs."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(7, 3.2), layout="constrained")
        spectrum, pairs = figure.subplots(1, 2)
        bins = np.linspace(-1, 1, 81)
        for one, name, colour in zip(found, names, (BLUE, VERMILION, GREEN, PURPLE, ORANGE), strict=False):
            share = one.energies["centred"]
            rank, verdict = one.report["effective_rank"]["energy_centred"], one.report["verdict"]
            label = f"{name[-24:]}: {'no collapse' if verdict == 'none' else verdict}, rank {rank:.3g}"
            direction = np.arange(1, share.size + 1)
            spectrum.plot(direction, np.where(share > 0, share, np.nan), ".", markersize=3, color=colour, label=label)
            density, _ = np.histogram(np.concatenate([*one.cosines.values()]).clip(-1, 1), bins, density=True)
            pairs.stairs(density, bins, color=colour, label=drawable(name[-24:]))
        spectrum.set(xlabel="direction $k$ about the mean", ylabel=r"energy $\sigma_k^2/n$", yscale="log")
        spectrum.legend(fontsize=8)
        pairs.set(xlabel="cosine $s_{ij}$ of two embeddings", ylabel="density of pairs")
        pairs.legend(fontsize=8)
    return figure


def undated(form: str) -> dict[str, None]:
    """Metadata for savefig that leaves out the date and the version: the same picture is the same bytes."""
    return {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]


def _predictions(axes: Axes, dataset: xr.Dataset, t: int) -> None:
    unit = float(dataset["mu_c"].values[t])
    for name, (label, colour, style) in LINES.items():
        if name not in dataset.attrs:  # a run from before that prediction
            continue
        if dataset.attrs.get("momentum"):
            label = label.replace(r"=\tau\,(n-1)/(n-2)$ (T4)", "$ (T14)")
        values = np.atleast_1d(dataset.attrs[name])
        rate = float(values[2 * t + 1] if name == "paper_range" else values[t])
        if np.isfinite(rate):
            shown = f"{label}: {rate:.4g}" if dataset.sizes["temperature"] == 1 else label
            rough = dataset.attrs.get(f"too_small_{name.removeprefix('predicted_')}", 0)  # older runs do not say
            if np.any(rough):
                shown += ", rough: $n$ too small to tell"
            axes.axvline(rate / unit, color=colour, linestyle=style, linewidth=1.4, label=shown)


def _points(axes: Axes, dataset: xr.Dataset, t: int, observable: str) -> None:
    parts = []
    for rates in slabs(dataset):
        values = dataset[observable][t, rates, :, -1].load()
        if observable == "alignment":
            values = 1 - values / 2
        parts.append([reduce("seed", skipna=True).to_numpy() for reduce in (values.median, values.min, values.max)])
    middle, low, high = (np.concatenate(part) for part in zip(*parts, strict=True))
    axes.errorbar(
        dataset["rate"].to_numpy(),
        middle,
        yerr=[(middle - low).clip(0), (high - middle).clip(0)],
        fmt="o",
        markersize=3.5,
        color=BLUE,
        elinewidth=1,
        label=f"simulation, median and range of {dataset.sizes['seed']} seeds",
    )


def _inside(tick: float, dataset: xr.Dataset) -> bool:
    rates = dataset["rate"].values
    return bool(rates[0] * 0.99 <= tick <= rates[-1] * 1.01)


def _title(dataset: xr.Dataset) -> str:
    a = dataset.attrs
    keys = "" if a["keys"] == "symmetric" else ", detached keys"
    size = f"{a['reduction']} over n = {a['samples']}, d = {a['dimension']}, {a['steps']} steps"
    momentum = f", momentum {a['momentum']:g}" if a.get("momentum") else ""
    return f"{a['loss']} loss, {a['gradient']} gradient{keys}{momentum}, {size}"
