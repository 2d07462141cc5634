"""`clopsim sweep`."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from clopsim import tables
from clopsim.cli.configfile import EXECUTION, grid, read
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
from clopsim.cli.running import EngineOption, FailFast, Resume, Scheduler, ShardOption, Workers, parse_shard, run_points
from clopsim.cli.shell import FAILS, HOLDS, app, user_input
from clopsim.config import Data, Precision, Start, Sweep

FIELDS = {field.name for field in fields(Sweep)}


@app.command()
def sweep(
    context: typer.Context,
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
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1, mps, ...; cuda gives each worker its own.")
    ] = Sweep.device,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with these options; a list on any axis makes a grid. Options here go first."),
    ] = None,
    save_config: Annotated[Path | None, typer.Option(help="Write what runs as such a file.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/sweep-DATE-TIME)", show_default=False)
    ] = None,
    resume: Resume = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    workers: Workers = None,
    engine: EngineOption = "local",
    scheduler: Scheduler = None,
    shard: ShardOption = None,
    fail_fast: FailFast = False,
    json_output: Json = False,
) -> None:
    """Sweep the learning rate: does the observed collapse start where the bound says?

    Writes data.nc, summary.json, provenance.json and sweep.png into the folder. The curve comes from the sweep, the
    verdict from a bisection that starts near collapse and knows nothing of the prediction. A run that was killed goes
    on with --out FOLDER --resume and ends with the same bytes.
    """
    options = {name: value for name, value in locals().items() if name in FIELDS}  # a test holds options == fields
    with user_input():
        options["temperature"] = temperature[0] if len(temperature) == 1 else tuple(temperature)
        options["rates"] = _parse_rates(rates) if rates else Sweep.rates
        given = {name for name in FIELDS if _explicit(context, name)}
        values = {**(read(config) if config else {}), **{name: options[name] for name in given}}
        running: dict[str, Any] = {"workers": workers, "engine": engine, "scheduler": scheduler, "fail_fast": fail_fast}
        for name in EXECUTION:
            if name in values and not _explicit(context, name):
                running[name] = values[name]
        folder = out or Path("runs") / f"sweep-{datetime.now():%Y%m%d-%H%M%S}"
        if resume and out is None:
            raise ValueError("resume must come with a folder, got none; add --out FOLDER")
        if resume and force:
            raise ValueError("resume must come without --force, got both; choose one of them")
        sweeps = grid(values, recorded=folder if resume else None)
        share = parse_shard(shard)
    done = run_points(sweeps, folder, save_config=save_config, resume=resume, force=force, share=share, **running)
    _print(done, folder, json_output=json_output)


def _explicit(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _print(done: Mapping[str, Any], folder: Path, *, json_output: bool) -> NoReturn:
    """Print the report of one sweep, or a line for every share or sweep of a grid; exit with the status."""
    well, documents, lines = True, {}, []
    for name, one in done.items():
        if isinstance(one, dict):
            documents[name] = one
            failed, holds = len(one["failures"]), one["holds"]
            line = tables.sweep_report(one, folder) if name == "" else f"{name}: {tables.verdict(one)}"
        else:
            failed, holds = sum(one.finished().values()), True
            share = "{}/{}".format(*one.share)
            documents[name] = {"folder": str(one.folder), "shard": share, "failed": failed}
            line = f"share {share} complete, {failed} cells failed: {one.folder}"
        well = well and holds and not failed
        lines.append(line)
    document = documents.get("", {"holds": well, "sweeps": documents})
    typer.echo(json.dumps(document, indent=2, allow_nan=False) if json_output else "\n".join(lines))
    raise typer.Exit(HOLDS if well else FAILS)


def _parse_rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"rates must be numbers separated by commas, got {text!r}; write them as in 0.5,1,2") from None
