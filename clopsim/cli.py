"""The command line: parsing and printing only. torch, xarray and matplotlib load inside the commands that need them."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bounds import CriticalRates, Gradient, Keys, Loss, Reduction, Setting, critical_rates
from clopsim.config import Precision, Start, Sweep

OPTION_NAMES = {"temperature": "--tau", "dimension": "--dim"}
"""Options that are not spelt like their field."""

HOLDS, FAILS, WRONG_INPUT = 0, 1, 2


def option_name(field: str) -> str:
    """The option that sets a field of a record."""
    return OPTION_NAMES.get(field, "--" + field.replace("_", "-"))


class PlainErrors(TyperGroup):
    """A command group whose errors are one plain line on stderr and status 2."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run the command; exit with its status unless standalone_mode is off."""
        try:
            status = super().main(args, standalone_mode=False, **kwargs)
        except typer.TyperException as error:
            if not standalone_mode:
                raise
            message = error.format_message() if hasattr(error, "format_message") else str(error)
            typer.echo("clopsim: " + " ".join(message.split()), err=True)
            status = WRONG_INPUT
        except typer.Abort:
            status = 130
        if not standalone_mode:
            return status
        sys.exit(status)


app = typer.Typer(
    cls=PlainErrors,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Does contrastive training collapse where the theory says? Critical learning rates, predicted and observed.",
    epilog="Exit status: 0 the bound holds, 1 it does not, 2 the input is wrong.",
)


@contextmanager
def _user_input() -> Iterator[None]:
    """Turn a ValueError about a field into a wrong-input error about its option."""
    try:
        yield
    except ValueError as error:
        message = str(error)
        known = {field.name for record in (Setting, Sweep) for field in fields(record)} | {"out"}
        first = re.match(r"\w+", message)
        if first and first[0] in known:
            message = option_name(first[0]) + message[first.end() :]
        raise typer.BadParameter(message) from None


Tau = Annotated[float, typer.Option("--tau", help="Temperature, > 0.")]
Taus = Annotated[list[float], typer.Option("--tau", help="Temperature, > 0; repeat for several.")]
Dim = Annotated[int, typer.Option("--dim", help="Dimension of the embeddings, >= 2.")]
Samples = Annotated[int, typer.Option(help="Embeddings n in the loss; the full loss counts both views (2N).")]
LossOption = Annotated[Loss, typer.Option(help="full: InfoNCE / NT-Xent; merged: its two views coincide (the paper).")]
GradientOption = Annotated[
    Gradient,
    typer.Option(help="ambient: Euclidean step (the paper); tangent: projected, as autograd through normalize."),
]
KeysOption = Annotated[
    Keys, typer.Option(help="detached: gradient through the anchor only, as with a momentum encoder.")
]
ReductionOption = Annotated[Reduction, typer.Option(help="Over the anchors; PyTorch's cross_entropy takes the mean.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]


@app.callback()
def _root() -> None:
    """Keeps every command a subcommand."""


@app.command()
def bounds(
    temperature: Tau = 0.5,
    dimension: Dim = 8,
    samples: Samples = 32,
    loss: LossOption = "merged",
    gradient: GradientOption = "ambient",
    keys: KeysOption = "symmetric",
    reduction: ReductionOption = "sum",
    json_output: Json = False,
) -> None:
    """Print every critical learning rate of a setting."""
    with _user_input():
        rates = critical_rates(Setting(temperature, dimension, samples, loss, gradient, keys, reduction))
    if json_output:
        document = {name: value for name, value in asdict(rates).items() if name != "reasons"}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(_bounds_table(rates))


MEANING = {
    "paper_range": "paper: safe between (merged loss, ambient gradient)",
    "collapse_rate": "complete collapse attracts above (T4, exact)",
    "uniform_rate": "the uniform state breaks above (T5, n -> infinity)",
    "breaking_degree": "harmonic degree that breaks first (1 point, 2 line, 3+ clusters)",
    "alignment_uniform_rate": "views come apart above, uniform state (T5, n -> infinity)",
    "alignment_collapse_rate": "views come apart above, collapsed state (T4, exact)",
}


def _bounds_table(rates: CriticalRates) -> str:
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


@app.command()
def sweep(
    temperature: Taus = [Sweep.temperature],  # type: ignore[list-item]  # noqa: B006
    dimension: Dim = Sweep.dimension,
    samples: Samples = Sweep.samples,
    loss: LossOption = Sweep.loss,
    gradient: GradientOption = Sweep.gradient,
    keys: KeysOption = Sweep.keys,
    reduction: ReductionOption = Sweep.reduction,
    rates: Annotated[
        str,
        typer.Option(
            help="Learning rates in units of mu_c, increasing, as in 0.5,1,2. [default: 41 from 1/4 to 4]",
            show_default=False,
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(help="Runs per rate.")] = Sweep.seeds,
    steps: Annotated[int, typer.Option(help="Gradient-descent steps of every run.")] = Sweep.steps,
    start: Annotated[Start, typer.Option(help="Where the embeddings start.")] = Sweep.start,
    clusters: Annotated[int, typer.Option(help="Gaussian clusters in the data, <= points.")] = Sweep.clusters,
    noise: Annotated[float, typer.Option(help="Standard deviation inside a cluster.")] = Sweep.noise,
    separation: Annotated[
        float, typer.Option(help="Distance of the cluster centres from the origin.")
    ] = Sweep.separation,
    imbalance: Annotated[float, typer.Option(help="Largest over smallest cluster, >= 1.")] = Sweep.imbalance,
    view_noise: Annotated[float, typer.Option(help="Standard deviation of a view (full loss).")] = Sweep.view_noise,
    seed: Annotated[int, typer.Option(help="First seed; the same seed gives the same bytes.")] = Sweep.seed,
    precision: Annotated[
        Precision, typer.Option(help="Of the simulation; the threshold search is float64.")
    ] = Sweep.precision,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, ...")] = Sweep.device,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. [default: runs/sweep-DATE-TIME]", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    json_output: Json = False,
) -> None:
    """Sweep the learning rate: does the observed collapse start where the bound says?

    Writes data.nc, summary.json, provenance.json and sweep.png into the folder. The curve comes from the sweep, the
    verdict from a bisection that starts near collapse and knows nothing of the prediction.
    """
    with _user_input():
        several = temperature[0] if len(temperature) == 1 else tuple(temperature)
        chosen = _parse_rates(rates) if rates else Sweep.rates
        config = Sweep(
            several, dimension, samples, loss, gradient, keys, reduction, chosen, seeds, steps, start, clusters, noise,
            separation, imbalance, view_noise, seed, precision, device,
        )  # fmt: skip
        folder = out or Path("runs") / f"sweep-{datetime.now():%Y%m%d-%H%M%S}"
    summary = _run_sweep(config, folder, force=force)
    if json_output:
        typer.echo(json.dumps(summary, indent=2, allow_nan=False))
    else:
        typer.echo(_sweep_report(summary, folder))
    raise typer.Exit(HOLDS if summary["holds"] else FAILS)


def _run_sweep(config: Sweep, folder: Path, *, force: bool) -> dict[str, Any]:
    from clopsim import plots, results
    from clopsim import sweep as job

    with _user_input():
        job.check_device(config.device, config.precision)
    with ExitStack() as stack:
        with _user_input():
            staging = stack.enter_context(results.run_folder(folder, force=force))
        with _progress("sweep") as advance:
            dataset = job.run_sweep(config, on_progress=advance)
        with _progress("thresholds") as advance:
            thresholds = job.search_thresholds(config, on_progress=advance)
        summary = job.summarise(config, dataset, thresholds)
        command = reproducing_command(config)
        dataset = dataset.assign_attrs(results.attributes(summary, command=command))
        plots.draw_sweep(dataset).savefig(staging / "sweep.png", dpi=150)
        results.save(staging, dataset, summary, command=command)
    return summary


def reproducing_command(config: Sweep) -> str:
    """The shortest `clopsim sweep ...` line that gives this configuration."""
    words = ["clopsim", "sweep"]
    for field in fields(Sweep):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        values: Sequence[object] = (value,)
        if field.name == "temperature" and isinstance(value, tuple):
            values = value
        elif field.name == "rates":
            values = (",".join(repr(rate) for rate in value),)
        for item in values:
            words += [option_name(field.name), str(item)]
    return shlex.join(words)


def _parse_rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"rates must be numbers separated by commas, got {text!r}; write them as in 0.5,1,2") from None


@contextmanager
def _progress(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr that takes the share done; silent when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    with typer.progressbar(length=1000, label=f"{label:<10}", file=sys.stderr) as bar:

        def advance(share: float) -> None:
            bar.update(int(1000 * share) - bar.pos)

        yield advance


QUESTION = {"collapse": "complete collapse attracts", "alignment_collapse": "views come apart at collapse"}


def _sweep_report(summary: dict[str, Any], folder: Path) -> str:
    setting = summary["setting"]
    lines = [
        f"{setting['loss']} loss, {setting['gradient']} gradient, {setting['keys']} keys, {setting['reduction']} over "
        f"n = {setting['samples']} embeddings, d = {setting['dimension']}",
        "",
    ]
    rows = []
    for row in summary["thresholds"]:
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
    lines.append(_table(("tau", "above which rate", "predicted", "observed", "bracket", "gap", "verdict"), rows))
    lines.append("")
    for part in summary["sweep"]:
        lines += _sweep_lines(part)
    verdict = "The bound holds" if summary["holds"] else "The bound does NOT hold"
    lines += ["", f"{verdict} (tolerance {100 * summary['tolerance']:g} %).  Written to {folder}"]
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


def main() -> None:
    """Entry point of the `clopsim` command."""
    app()
