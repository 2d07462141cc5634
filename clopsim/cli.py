"""The command line: parsing and printing only. torch, xarray and matplotlib load inside the commands that need them."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from bounds import Gradient, Keys, Loss, Reduction, Setting, critical_rates
from bounds.setting import positive_number, whole_number
from clopsim import tables
from clopsim.config import Data, Precision, Start, Sweep

OPTION_NAMES = {"temperature": "--tau", "dimension": "--dim", "kind": "KIND"}
"""Options that are not spelt like their field."""

FIELDS = {field.name for field in fields(Sweep)}

EXTRA = {"out", "kind", "width", "tolerance"}
"""Options and arguments that are no field of a record."""

HOLDS, FAILS, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


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
            message = re.sub(
                r"Invalid value(?: for '(\S+)')?: ", lambda match: f"{match[1]} " if match[1] else "", message
            )
            typer.echo("clopsim: " + " ".join(message.split()), err=True)
            status = WRONG_INPUT
        except typer.Abort:
            status = INTERRUPTED
        if not standalone_mode:
            return status
        if status == INTERRUPTED:
            typer.echo("clopsim: interrupted; nothing was written", err=True)
        sys.exit(status or 0)


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
        known = FIELDS | EXTRA
        first = re.match(r"\w+", message)
        if first and first[0] in known:
            message = option_name(first[0]) + message[first.end() :]
        raise typer.BadParameter(message) from None


def _number(text: str) -> float:
    """A float; the records check its range."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, got {text!r}; write it as in 0.5") from None


def _whole(text: str) -> int:
    """An int; the records check its range."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number, got {text!r}; write it as in 8") from None


def _number_option(help: str, *names: str) -> Any:
    return typer.Option(*names, parser=_number, metavar="NUMBER", help=help)


def _whole_option(help: str, *names: str) -> Any:
    return typer.Option(*names, parser=_whole, metavar="N", help=help)


def _choice_option(choices: Any, help: str) -> Any:
    """Any word passes here: the record that takes it names the choices."""
    return typer.Option(parser=str, metavar="|".join(get_args(choices)), help=help)


Tau = Annotated[float, _number_option("Temperature, > 0.", "--tau")]
Taus = Annotated[list[float], _number_option("Temperature, > 0; repeat for several.", "--tau")]
Dim = Annotated[int, _whole_option("Dimension of the embeddings, >= 2.", "--dim")]
Samples = Annotated[int, _whole_option("Embeddings n in the loss; the full loss counts both views (2N).")]
LossOption = Annotated[
    Loss, _choice_option(Loss, "full: InfoNCE / NT-Xent; merged: its two views coincide (the paper).")
]
GradientOption = Annotated[
    Gradient,
    _choice_option(Gradient, "ambient: Euclidean step (the paper); tangent: projected, as autograd through normalize."),
]
KeysOption = Annotated[
    Keys, _choice_option(Keys, "detached: gradient through the anchor only, as with a momentum encoder.")
]
ReductionOption = Annotated[
    Reduction, _choice_option(Reduction, "Over the anchors; PyTorch's cross_entropy takes the mean.")
]
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
        typer.echo(tables.bounds_table(rates))


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
            help="Learning rates in units of mu_c, increasing, as in 0.5,1,2. (default: 41 from 1/4 to 4)",
            show_default=False,
        ),
    ] = "",
    seeds: Annotated[int, _whole_option("Runs per rate.")] = Sweep.seeds,
    steps: Annotated[int, _whole_option("Gradient-descent steps of every run.")] = Sweep.steps,
    start: Annotated[Start, _choice_option(Start, "Where the embeddings start.")] = Sweep.start,
    data: Annotated[Data, _choice_option(Data, "Gaussian clusters, or the paper's antipodal lines.")] = Sweep.data,
    clusters: Annotated[int, _whole_option("Clusters or lines in the data, <= points.")] = Sweep.clusters,
    noise: Annotated[float, _number_option("Standard deviation inside a cluster.")] = Sweep.noise,
    separation: Annotated[float, _number_option("Distance of the cluster centres from the origin.")] = Sweep.separation,
    imbalance: Annotated[float, _number_option("Largest over smallest cluster, >= 1.")] = Sweep.imbalance,
    view_noise: Annotated[float, _number_option("Standard deviation of a view (full loss).")] = Sweep.view_noise,
    seed: Annotated[int, _whole_option("First seed; the same seed gives the same bytes.")] = Sweep.seed,
    precision: Annotated[
        Precision, _choice_option(Precision, "Of the simulation; the threshold search is float64.")
    ] = Sweep.precision,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, ...")] = Sweep.device,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/sweep-DATE-TIME)", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    json_output: Json = False,
) -> None:
    """Sweep the learning rate: does the observed collapse start where the bound says?

    Writes data.nc, summary.json, provenance.json and sweep.png into the folder. The curve comes from the sweep, the
    verdict from a bisection that starts near collapse and knows nothing of the prediction.
    """
    options = {name: value for name, value in locals().items() if name in FIELDS}  # a test holds options == fields
    with _user_input():
        options["temperature"] = temperature[0] if len(temperature) == 1 else tuple(temperature)
        options["rates"] = _parse_rates(rates) if rates else Sweep.rates
        config = Sweep(**options)
        folder = out or Path("runs") / f"sweep-{datetime.now():%Y%m%d-%H%M%S}"
    summary = _run_sweep(config, folder, force=force)
    if json_output:
        typer.echo(json.dumps(summary, indent=2, allow_nan=False))
    else:
        typer.echo(tables.sweep_report(summary, folder))
    raise typer.Exit(HOLDS if summary["holds"] else FAILS)


@app.command()
def threshold(
    kind: Annotated[str, typer.Argument(metavar="collapse|uniform|alignment_uniform|alignment_collapse")],
    temperature: Tau = 0.5,
    dimension: Dim = 8,
    samples: Samples = 32,
    loss: LossOption = "merged",
    gradient: GradientOption = "ambient",
    keys: KeysOption = "symmetric",
    reduction: ReductionOption = "sum",
    width: Annotated[float, _number_option("Relative width of the bracket, in (0, 1).")] = 0.005,
    seeds: Annotated[int, _whole_option("Starts; each gets a bracket.")] = 4,
    tolerance: Annotated[float, _number_option("Largest relative gap at which the theory holds.")] = 0.05,
    json_output: Json = False,
) -> None:
    """Search one critical learning rate by bisection and hold it against its prediction.

    collapse: does it attract? uniform: does the uniform state break? alignment_uniform, alignment_collapse (full loss):
    do the views come apart? The two uniform kinds are predicted for n -> infinity: give several hundred samples.
    """
    with _user_input():
        setting = Setting(temperature, dimension, samples, loss, gradient, keys, reduction)
        whole_number("seeds", seeds, low=1)
        positive_number("tolerance", tolerance, remedy="0.05 allows five percent")
        from clopsim import thresholds

        checked = thresholds.check(kind, setting, width=width)
    with _progress("search") as advance:
        found = thresholds.search(checked, setting, width=width, seeds=range(seeds), on_progress=advance)
    row = found.as_row(tolerance)
    if json_output:
        typer.echo(json.dumps(row, indent=2, allow_nan=False))
    else:
        typer.echo(tables.threshold_table([row]))
    raise typer.Exit(HOLDS if row["holds"] else FAILS)


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


def main() -> None:
    """Entry point of the `clopsim` command."""
    # Threads that wait should sleep: on a shared machine spinning makes a sweep two to five times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
