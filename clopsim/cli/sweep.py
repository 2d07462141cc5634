"""`clopsim sweep`."""

import json
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from clopsim import tables
from clopsim.cli.options import (
    Dim,
    GradientOption,
    Json,
    KeysOption,
    LossOption,
    ReductionOption,
    Samples,
    Taus,
    choice_option,
    number_option,
    whole_option,
)
from clopsim.cli.shell import FAILS, HOLDS, app, option_name, progress, user_input
from clopsim.config import Data, Precision, Start, Sweep

FIELDS = {field.name for field in fields(Sweep)}


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
    seeds: Annotated[int, whole_option("Runs per rate.")] = Sweep.seeds,
    steps: Annotated[int, whole_option("Gradient-descent steps of every run.")] = Sweep.steps,
    start: Annotated[Start, choice_option(Start, "Where the embeddings start.")] = Sweep.start,
    data: Annotated[Data, choice_option(Data, "Gaussian clusters, or the paper's antipodal lines.")] = Sweep.data,
    clusters: Annotated[int, whole_option("Clusters or lines in the data, <= points.")] = Sweep.clusters,
    noise: Annotated[float, number_option("Standard deviation inside a cluster.")] = Sweep.noise,
    separation: Annotated[float, number_option("Distance of the cluster centres from the origin.")] = Sweep.separation,
    imbalance: Annotated[float, number_option("Largest over smallest cluster, >= 1.")] = Sweep.imbalance,
    view_noise: Annotated[float, number_option("Standard deviation of a view (full loss).")] = Sweep.view_noise,
    seed: Annotated[int, whole_option("First seed; the same seed gives the same bytes.")] = Sweep.seed,
    precision: Annotated[
        Precision, choice_option(Precision, "Of the simulation; the threshold search is float64.")
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
    with user_input():
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


def _run_sweep(config: Sweep, folder: Path, *, force: bool) -> dict[str, Any]:
    from clopsim import plots, results
    from clopsim import sweep as job

    with user_input():
        job.check_device(config.device, config.precision)
    with ExitStack() as stack:
        with user_input():
            staging = stack.enter_context(results.run_folder(folder, force=force))
        with progress("sweep") as advance:
            dataset = job.run_sweep(config, on_progress=advance)
        with progress("thresholds") as advance:
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
