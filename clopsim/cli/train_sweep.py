"""`clopsim train-sweep`."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from clopsim.cli.options import Dim, Force, Json, Taus, choice_option, folder_option, list_option, several, whole_option
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
from clopsim.cli.training_options import (
    BatchNorm,
    Classes,
    Crop,
    Depth,
    DistanceOption,
    Drawn,
    EmbedderKind,
    Features,
    Flip,
    HeldOut,
    Imbalance,
    Jitter,
    LabelNoise,
    Momentum,
    Noise,
    OptimizerOption,
    ScheduleOption,
    Shift,
    Source,
    Steps,
    ViewNoise,
    Warmup,
    Width,
)
from clopsim.door.sweep import train_sweep as run
from clopsim.runs.recipes import AXES, TrainingSweep
from clopsim.training.recipe import LossName, Prototypes, Training

DEFAULT = TrainingSweep().to_plain()

KINDS: dict[str, type] = {"loss": str, "batch": int}
"""Of the values on the axes that are no numbers, or whole ones."""

LOSSES = (
    f"The loss. {', '.join(get_args(LossName))}; clop: infonce with every --weight above 0, and the losses named "
    "beside it then run without prototypes."
)


LISTS = {
    name: [",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in DEFAULT[name])]
    for name in AXES
}
"""Defaults of the options that take several values."""


@app.command("train-sweep", cls=Command)
def train_sweep(
    context: typer.Context,
    data: Source = Training.data,
    loss: Annotated[list[str], list_option(LOSSES, metavar="LOSS,...")] = LISTS["loss"],
    rate: Annotated[
        list[str], list_option("Learning rate of the weights, at the start or after the warm-up.", metavar="LR,...")
    ] = LISTS["rate"],
    weight_decay: Annotated[list[str], list_option("Weight decay of all parameters; lars: of matrices.")] = LISTS[
        "weight_decay"
    ],
    weight: Annotated[list[str], list_option("Weight lambda of the prototype term. Above 0 the run is CLOP.")] = LISTS[
        "weight"
    ],
    labelled: Annotated[list[str], list_option("Share of the samples whose label is seen.")] = LISTS["labelled"],
    batch: Annotated[
        list[str], list_option("Samples in a step, two views each; 0: the whole training set.", metavar="N,...")
    ] = LISTS["batch"],
    seeds: Annotated[
        int, whole_option("Runs, each from a seed of its own. Of every combination.")
    ] = TrainingSweep.seeds,
    samples: Drawn = Training.samples,
    features: Features = Training.features,
    classes: Classes = Training.classes,
    noise: Noise = Training.noise,
    held_out: HeldOut = Training.held_out,
    label_noise: LabelNoise = Training.label_noise,
    imbalance: Imbalance = Training.imbalance,
    view_noise: ViewNoise = Training.view_noise,
    shift: Shift = Training.shift,
    crop: Crop = Training.crop,
    flip: Flip = Training.flip,
    jitter: Jitter = Training.jitter,
    embedder: EmbedderKind = Training.embedder,
    dimension: Dim = Training.dimension,
    depth: Depth = Training.depth,
    width: Width = Training.width,
    batch_norm: BatchNorm = Training.batch_norm,
    temperature: Taus = [f"{Training.temperature:g}"],  # noqa: B006
    prototypes: Annotated[
        Prototypes,
        choice_option(
            Prototypes, "A fixed vector for each class. Of the runs with a weight above 0; none: orthonormal."
        ),
    ] = DEFAULT["prototypes"],
    distance: DistanceOption = Training.distance,
    optimizer: OptimizerOption = Training.optimizer,
    momentum: Momentum = Training.momentum,
    schedule: ScheduleOption = Training.schedule,
    warmup: Warmup = Training.warmup,
    steps: Steps = Training.steps,
    seed: Annotated[int, whole_option("First seed; the same seed gives the same run.")] = Training.seed,
    precision: Annotated[
        str, typer.Option(metavar="float64|float32|bfloat16", help="Precision. bfloat16: resnet18 alone.")
    ] = Training.precision,
    device: Device = Training.device,
    config: ConfigFile = None,
    save_config: SaveConfig = None,
    out: Annotated[Path | None, folder_option("runs/train-sweep-DATE-TIME")] = None,
    resume: Resume = False,
    force: Force = False,
    workers: Workers = None,
    engine: EngineOption = "local",
    scheduler: Scheduler = None,
    shard: ShardOption = None,
    fail_fast: FailFast = False,
    json_output: Json = False,
) -> None:
    """Train a grid of small networks together: which rates, weight decays and prototype weights keep the rank?

    The same as clopsim sweep --embedder KIND. Every combination of the lists, medians over the seeds; of several
    temperatures each makes a sweep of its own. A run that was
    killed goes on with --out FOLDER --resume, but for the chunks of networks that were at work, and ends with the same
    bytes.
    """
    given = dict(locals())
    with user_input():
        given |= {name: several(name, given[name], KINDS.get(name, float)) for name in AXES}
        taus = several("temperature", temperature)
    given["temperature"] = taus[0] if len(taus) == 1 else list(taus)
    run_command(run, context, given, kind=TrainingSweep.kind)
