"""`clopsim train`."""

import json
import shlex
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clopsim.cli.options import Dim, Json, Tau, choice_option, number_option, whole_option
from clopsim.cli.shell import FAILS, HOLDS, INTERRUPTED, Stopped, app, option_name, progress, user_input
from clopsim.cli.training_options import (
    BatchNorm,
    Classes,
    Depth,
    DistanceOption,
    Drawn,
    EmbedderKind,
    Features,
    HeldOut,
    Imbalance,
    LabelNoise,
    Momentum,
    Noise,
    ScheduleOption,
    Shift,
    Source,
    Steps,
    ViewNoise,
    Width,
)
from clopsim.show import tables
from clopsim.training.recipe import NamedLoss, Precision, Prototypes, Training, spelt_out

if TYPE_CHECKING:
    from clopsim.training.checkpoint import State

FIELDS = {field.name for field in fields(Training)}


@app.command()
def train(
    data: Source = Training.data,
    samples: Drawn = Training.samples,
    features: Features = Training.features,
    classes: Classes = Training.classes,
    noise: Noise = Training.noise,
    held_out: HeldOut = Training.held_out,
    labelled: Annotated[float, number_option("Share of the labels that the loss sees.")] = Training.labelled,
    label_noise: LabelNoise = Training.label_noise,
    imbalance: Imbalance = Training.imbalance,
    view_noise: ViewNoise = Training.view_noise,
    shift: Shift = Training.shift,
    embedder: EmbedderKind = Training.embedder,
    dimension: Dim = Training.dimension,
    depth: Depth = Training.depth,
    width: Width = Training.width,
    batch_norm: BatchNorm = Training.batch_norm,
    loss: Annotated[
        NamedLoss,
        choice_option(
            NamedLoss, "Mean over the embeddings; vicreg, barlow: the batch; clop: infonce, orthonormal prototypes."
        ),
    ] = Training.loss,
    temperature: Tau = Training.temperature,
    prototypes: Annotated[
        Prototypes, choice_option(Prototypes, "CLOP: pull labelled samples to one fixed vector for each class.")
    ] = Training.prototypes,
    weight: Annotated[float, number_option("Of the prototype term, lambda.")] = Training.weight,
    distance: DistanceOption = Training.distance,
    rate: Annotated[float, number_option("Learning rate of the weights, at the start.")] = Training.rate,
    momentum: Momentum = Training.momentum,
    weight_decay: Annotated[float, number_option("Of all parameters.")] = Training.weight_decay,
    schedule: ScheduleOption = Training.schedule,
    batch: Annotated[int, whole_option("Samples in a step, two views each; 0: the whole training set.")] = (
        Training.batch
    ),
    steps: Steps = Training.steps,
    save_every: Annotated[int, whole_option("Steps between checkpoints.")] = Training.save_every,
    sharpness: Annotated[
        bool, typer.Option(help="Record the largest Hessian eigenvalue, about once a decade of steps.")
    ] = Training.sharpness,
    seed: Annotated[int, whole_option("Of everything; the same seed gives the same bytes on a CPU.")] = Training.seed,
    precision: Annotated[Precision, choice_option(Precision, "bfloat16: mixed precision.")] = Training.precision,
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = Training.compile,
    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), cpu, cuda:1, ...")] = Training.device,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/train-DATE-TIME)", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of a killed run in --out.")] = (
        False
    ),
    json_output: Json = False,
) -> None:
    """Train an embedder with a contrastive loss: does it keep its rank, and what are its embeddings worth?

    A run that was killed goes on from its checkpoint with --out FOLDER --resume, bit for bit on as many threads.
    """
    options = {name: value for name, value in locals().items() if name in FIELDS}  # a test holds options == fields
    with user_input():
        recipe = Training(**spelt_out(options))
        if resume and out is None:
            raise ValueError("resume needs --out, the folder of the run to go on with")
        folder = out or Path("runs") / f"train-{datetime.now():%Y%m%d-%H%M%S}"
    summary = _train(recipe, folder, force=force, resume=resume)
    if json_output:
        typer.echo(json.dumps(summary, indent=2, allow_nan=False))
    else:
        typer.echo(tables.training_report(summary, folder))
    raise typer.Exit(HOLDS)


class _Checked(Exception):
    """Leaves a run folder's block before anything is written."""


def _train(recipe: Training, folder: Path, *, force: bool, resume: bool) -> dict[str, Any]:
    from clopsim.runs import results, training_run
    from clopsim.sphere.devices import choose
    from clopsim.training import checkpoint, evaluation, loop
    from clopsim.training.datasets import load
    from clopsim.training.trainee import trainee

    kept = checkpoint.path_of(folder)
    with user_input():
        device, dtype = choose(recipe.device, recipe.precision)
        if kept.exists() and not (resume or force):
            raise ValueError(
                f"out must have no unfinished run, got {str(kept)!r}; go on with --resume or start anew with --force"
            )
        data = load(recipe, device=device, dtype=dtype)
        model = trainee(recipe, data, device=device, dtype=dtype)
        state = checkpoint.load(kept, recipe, device=device) if resume else None
        with suppress(_Checked), results.run_folder(folder, force=force):  # refuses now what it would refuse at the end
            raise _Checked
    try:
        with progress("train") as advance, user_input():
            state = loop.train(
                recipe,
                data,
                model,
                state=state,
                on_checkpoint=lambda state: checkpoint.save(kept, recipe, state),
                on_progress=lambda state: advance(state.step / recipe.steps, _note(state)),
                on_product=lambda state, number: advance(state.step / recipe.steps, f"sharpness, product {number}"),
            )
    except loop.Diverged as error:
        message = evaluation.divergence(recipe, data, step=error.step, loss=error.loss, state=error.state)
        raise Stopped(f"{message} The last good checkpoint is {kept}", FAILS) from None
    except KeyboardInterrupt:
        raise Stopped(f"interrupted; {kept} stays, go on with --resume", INTERRUPTED) from None
    command = reproducing_command(recipe)
    with user_input(), results.run_folder(folder, force=force) as staging:
        summary = training_run.write(staging, recipe, data, model, state=state, command=command)
    kept.unlink(missing_ok=True)
    return summary


def _note(state: "State") -> str:
    names = {"loss": "loss", "effective_rank": "rank", "mean_resultant_length": "R"}
    return "  ".join(f"{short} {state.records[name][-1]:.4g}" for name, short in names.items() if name in state.records)


def reproducing_command(recipe: Training) -> str:
    """The shortest `clopsim train ...` line that gives this recipe."""
    words = ["clopsim", "train"]
    default = asdict(Training())
    for name, value in asdict(recipe).items():
        if value == default[name]:
            continue
        option = option_name(name)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, str(value)]
    return shlex.join(words)
