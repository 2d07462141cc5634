"""`clopsim train`."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from clopsim.cli.options import Dim, Force, Json, Tau, choice_option, folder_option, number_option, whole_option
from clopsim.cli.running import Device, Resume, run_command
from clopsim.cli.shell import Command, app
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
from clopsim.door.train import train as run
from clopsim.training.recipe import LossName, NamedLoss, Precision, Prototypes, Training


@app.command(cls=Command)
def train(
    context: typer.Context,
    data: Source = Training.data,
    samples: Drawn = Training.samples,
    features: Features = Training.features,
    classes: Classes = Training.classes,
    noise: Noise = Training.noise,
    held_out: HeldOut = Training.held_out,
    labelled: Annotated[float, number_option("Share of the samples whose label is seen.")] = Training.labelled,
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
    loss: Annotated[
        NamedLoss,
        choice_option(
            NamedLoss,
            f"The loss. {', '.join(get_args(LossName))}: means over the embeddings; vicreg, barlow over the batch; "
            "simo a sum over pairs, needs small rates. clop: infonce, orthonormal prototypes.",
            metavar="LOSS",
        ),
    ] = Training.loss,
    temperature: Tau = Training.temperature,
    prototypes: Annotated[
        Prototypes, choice_option(Prototypes, "A fixed vector for each class. CLOP pulls labelled samples to it.")
    ] = Training.prototypes,
    weight: Annotated[float, number_option("Weight lambda of the prototype term.")] = Training.weight,
    distance: DistanceOption = Training.distance,
    optimizer: OptimizerOption = Training.optimizer,
    rate: Annotated[
        float,
        number_option("Learning rate of the weights, at the start or after the warm-up.", metavar="LR"),
    ] = Training.rate,
    momentum: Momentum = Training.momentum,
    weight_decay: Annotated[
        float, number_option("Weight decay of all parameters; lars: of matrices.")
    ] = Training.weight_decay,
    schedule: ScheduleOption = Training.schedule,
    warmup: Warmup = Training.warmup,
    batch: Annotated[int, whole_option("Samples in a step, two views each; 0: the whole training set.")] = (
        Training.batch
    ),
    steps: Steps = Training.steps,
    save_every: Annotated[int, whole_option("Steps between checkpoints.")] = Training.save_every,
    sharpness: Annotated[
        bool,
        typer.Option(
            help="Leave out the largest Hessian eigenvalue, else seen about once a decade of steps; never of resnet18.",
            show_default=False,
        ),
    ] = Training.sharpness,
    seed: Annotated[int, whole_option("First seed; the same seed gives the same run.")] = Training.seed,
    precision: Annotated[Precision, choice_option(Precision, "Precision. bfloat16: mixed.")] = Training.precision,
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = Training.compile,
    device: Device = Training.device,
    out: Annotated[Path | None, folder_option("runs/train-DATE-TIME")] = None,
    force: Force = False,
    resume: Resume = False,
    json_output: Json = False,
) -> None:
    """Train an embedder with a contrastive loss: does it keep its rank, and what are its embeddings worth?

    A run that was killed or interrupted goes on with --out FOLDER --resume, bit for bit on as many threads; the folder
    knows the other options.
    """
    run_command(run, context, locals(), kind="train")
