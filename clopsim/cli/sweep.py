"""`clopsim sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.bounds.setting import each_once
from clopsim.cli.options import (
    Dim,
    GradientOption,
    Json,
    KeysOption,
    LossOption,
    MomentumOption,
    ReductionOption,
    Samples,
    Taus,
    choice_option,
    number_option,
    whole_option,
)
from clopsim.cli.running import (
    ConfigFile,
    EngineOption,
    FailFast,
    Force,
    Resume,
    SaveConfig,
    Scheduler,
    ShardOption,
    Workers,
    run_command,
)
from clopsim.cli.shell import app, user_input
from clopsim.door.sweep import sweep as run
from clopsim.runs.config import Data, Precision, Start, Sweep


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
    momentum: MomentumOption = Sweep.momentum,
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
    config: ConfigFile = None,
    save_config: SaveConfig = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/sweep-DATE-TIME)", show_default=False)
    ] = None,
    resume: Resume = False,
    force: Force = False,
    workers: Workers = None,
    engine: EngineOption = "local",
    scheduler: Scheduler = None,
    shard: ShardOption = None,
    fail_fast: FailFast = False,
    json_output: Json = False,
) -> None:
    """Sweep the learning rate: does the observed collapse start where the bound says?

    The curve comes from the sweep, the verdict from a bisection that starts near collapse and knows nothing of the
    prediction. A run that was killed goes on with --out FOLDER --resume and ends with the same bytes.

    With --embedder it trains networks instead, at rates of their weights: clopsim train-sweep, whose --help it shows.
    """
    given = dict(locals())
    with user_input():
        given["rates"] = _parse_rates(rates) if rates else Sweep.rates
    given["temperature"] = temperature[0] if len(temperature) == 1 else temperature
    run_command(run, context, given, kind=Sweep.kind)


def _parse_rates(text: str) -> tuple[float, ...]:
    words = [word.strip() for word in text.split(",")]
    each_once("rates", words)
    try:
        return tuple(map(float, words))
    except ValueError:
        raise ValueError(f"rates must be numbers separated by commas, got {text!r}; write them as in 0.5,1,2") from None
