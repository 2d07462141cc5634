"""`clopsim sweep`."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from clopsim.cli.options import (
    Dim,
    Force,
    GradientOption,
    Json,
    KeysOption,
    LossOption,
    MomentumOption,
    ReductionOption,
    Samples,
    Taus,
    choice_option,
    folder_option,
    list_option,
    number_option,
    several,
    whole_option,
)
from clopsim.cli.running import (
    ConfigFile,
    Device,
    EngineOption,
    FailFast,
    Resume,
    SaveConfig,
    Scheduler,
    ShardOption,
    Workers,
    run_command,
)
from clopsim.cli.shell import Command, app, user_input
from clopsim.door.sweep import sweep as run
from clopsim.runs.config import Data, Precision, Start, Sweep
from clopsim.training.recipe import Kind


@app.command(cls=Command)
def sweep(
    context: typer.Context,
    temperature: Taus = [f"{Sweep.temperature:g}"],  # noqa: B006
    dimension: Dim = Sweep.dimension,
    samples: Samples = Sweep.samples,
    loss: LossOption = Sweep.loss,
    gradient: GradientOption = Sweep.gradient,
    keys: KeysOption = Sweep.keys,
    reduction: ReductionOption = Sweep.reduction,
    momentum: MomentumOption = Sweep.momentum,
    rates: Annotated[
        list[str],
        list_option(
            "Learning rates in units of mu_c, increasing. (default: 41 from 1/4 to 4)",
            metavar="MU_C,...",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    seeds: Annotated[int, whole_option("Runs, each from a seed of its own. At every rate.")] = Sweep.seeds,
    steps: Annotated[int, whole_option("Steps of every run.")] = Sweep.steps,
    start: Annotated[
        Start, choice_option(Start, f"Where the embeddings start: {', '.join(get_args(Start))}.", metavar="START")
    ] = Sweep.start,
    data: Annotated[
        Data, choice_option(Data, "The data. Gaussian clusters, or the paper's antipodal lines.")
    ] = Sweep.data,
    clusters: Annotated[int, whole_option("Clusters or lines in the data, which have no labels.")] = Sweep.clusters,
    noise: Annotated[float, number_option("Standard deviation inside a cluster or line.")] = Sweep.noise,
    separation: Annotated[float, number_option("Distance of the cluster centres from the origin.")] = Sweep.separation,
    imbalance: Annotated[
        float, number_option("Largest over smallest cluster or training class, >= 1.")
    ] = Sweep.imbalance,
    view_noise: Annotated[float, number_option("Standard deviation of a view. Of the full loss.")] = Sweep.view_noise,
    seed: Annotated[int, whole_option("First seed; the same seed gives the same run.")] = Sweep.seed,
    precision: Annotated[
        Precision, choice_option(Precision, "Precision. Of the simulation; the threshold search is float64.")
    ] = Sweep.precision,
    device: Device = Sweep.device,
    embedder: Annotated[
        str | None,
        choice_option(
            Kind, "Network to train. Makes this a clopsim train-sweep: its --help has the options.", show_default=False
        ),
    ] = None,
    config: ConfigFile = None,
    save_config: SaveConfig = None,
    out: Annotated[Path | None, folder_option("runs/sweep-DATE-TIME")] = None,
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

    With --embedder it trains networks instead, at rates of their weights: clopsim sweep --embedder mlp --help.
    """
    given = dict(locals())
    with user_input():
        given["rates"] = several("rates", rates) if rates else Sweep.rates
        taus = several("temperature", temperature)
    given["temperature"] = taus[0] if len(taus) == 1 else taus
    run_command(run, context, given, kind=Sweep.kind)
