"""`clopsim train-sweep`."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from clopsim.bounds.setting import each_once
from clopsim.cli.options import Dim, Json, Tau, choice_option, whole_option
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

LOSSES = (
    f"{', '.join(get_args(LossName))}; clop: infonce with every --weight above 0, and the losses named beside it then "
    "run without prototypes."
)


def _list(help: str) -> Any:
    return typer.Option(metavar="A,B,...", help=help)


def _shown(name: str) -> str:
    """The default of an option that takes several values."""
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in DEFAULT[name])


@app.command("train-sweep")
def train_sweep(
    context: typer.Context,
    data: Source = Training.data,
    loss: Annotated[str, _list(LOSSES)] = _shown("loss"),
    rate: Annotated[str, _list("Learning rates of the weights, at the start or after the warm-up.")] = _shown("rate"),
    weight_decay: Annotated[str, _list("Of all parameters; lars: of matrices.")] = _shown("weight_decay"),
    weight: Annotated[str, _list("Of the prototype term, lambda; above 0 the run is CLOP.")] = _shown("weight"),
    labelled: Annotated[str, _list("Shares of the labels that the loss sees.")] = _shown("labelled"),
    batch: Annotated[str, _list("Samples in a step, two views each; 0: the whole training set.")] = _shown("batch"),
    seeds: Annotated[int, whole_option("Runs of every combination.")] = TrainingSweep.seeds,
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
    temperature: Tau = Training.temperature,
    prototypes: Annotated[
        Prototypes, choice_option(Prototypes, "Of the runs with a weight above 0; none: orthonormal.")
    ] = DEFAULT["prototypes"],
    distance: DistanceOption = Training.distance,
    optimizer: OptimizerOption = Training.optimizer,
    momentum: Momentum = Training.momentum,
    schedule: ScheduleOption = Training.schedule,
    warmup: Warmup = Training.warmup,
    steps: Steps = Training.steps,
    seed: Annotated[int, whole_option("Of the first run; the same seed gives the same runs.")] = Training.seed,
    precision: Annotated[
        str, typer.Option(metavar="float64|float32|bfloat16", help="Of everything; bfloat16: resnet18 alone.")
    ] = Training.precision,
    device: Annotated[str, typer.Option(help="auto (cuda, else cpu), cpu, cuda:1, ...")] = Training.device,
    config: ConfigFile = None,
    save_config: SaveConfig = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/train-sweep-DATE-TIME)", show_default=False)
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
    """Train a grid of small networks together: which rates, weight decays and prototype weights keep the rank?

    The same as clopsim sweep --embedder KIND. Every combination of the lists, medians over the seeds. A run that was
    killed goes on with --out FOLDER --resume, but for the chunks of networks that were at work, and ends with the same
    bytes.
    """
    given = dict(locals())
    with user_input():
        given |= {name: _parsed(name, given[name]) for name in AXES}
    run_command(run, context, given, kind=TrainingSweep.kind)


def _parsed(name: str, text: str) -> tuple[Any, ...]:
    words = [word.strip() for word in text.split(",")]
    each_once(name, words)
    if name == "loss":
        return tuple(words)
    kind: type = int if name == "batch" else float
    try:
        return tuple(kind(word) for word in words)
    except ValueError:
        rule = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{name} must be {rule} separated by commas, got {text!r}; write them as in 1,10") from None
