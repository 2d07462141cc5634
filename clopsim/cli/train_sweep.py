"""`clopsim train-sweep`."""

import json
import shlex
from contextlib import ExitStack
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from clopsim import tables
from clopsim.cli.options import Dim, Json, Tau, choice_option, whole_option
from clopsim.cli.shell import HOLDS, app, option_name, progress, user_input
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
from clopsim.recipe import Prototypes, Training
from clopsim.recipes import AXES, TrainingSweep

DEFAULT = TrainingSweep()
LISTS = {
    name: ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in getattr(DEFAULT, name))
    for name in AXES
}
"""Defaults of the options that take several values."""

BASE = {each.name for each in fields(Training)} - {*AXES, "compile", "save_every", "sharpness"}
"""Options that all runs share."""


def _list(help: str) -> Any:
    return typer.Option(metavar="A,B,...", help=help)


@app.command("train-sweep")
def train_sweep(
    data: Source = Training.data,
    loss: Annotated[str, _list("infonce, supcon, supcon_in, dcl, vicreg, barlow.")] = LISTS["loss"],
    rate: Annotated[str, _list("Learning rates of the weights, at the start.")] = LISTS["rate"],
    weight_decay: Annotated[str, _list("Of all parameters.")] = LISTS["weight_decay"],
    weight: Annotated[str, _list("Of the prototype term, lambda; above 0 it is CLOP.")] = LISTS["weight"],
    labelled: Annotated[str, _list("Shares of the labels that the loss sees.")] = LISTS["labelled"],
    batch: Annotated[str, _list("Samples in a step, two views each; 0: the whole training set.")] = LISTS["batch"],
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
    embedder: EmbedderKind = Training.embedder,
    dimension: Dim = Training.dimension,
    depth: Depth = Training.depth,
    width: Width = Training.width,
    batch_norm: BatchNorm = Training.batch_norm,
    temperature: Tau = Training.temperature,
    prototypes: Annotated[
        Prototypes, choice_option(Prototypes, "Of the runs with a weight above 0; none: orthonormal.")
    ] = DEFAULT.base.prototypes,
    distance: DistanceOption = Training.distance,
    momentum: Momentum = Training.momentum,
    schedule: ScheduleOption = Training.schedule,
    steps: Steps = Training.steps,
    seed: Annotated[int, whole_option("Of the first run; the same seed gives the same runs.")] = Training.seed,
    precision: Annotated[str, typer.Option(metavar="float64|float32", help="Of everything.")] = Training.precision,
    device: Annotated[str, typer.Option(help="auto (cuda, else cpu), cpu, cuda:1, ...")] = Training.device,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/train-sweep-DATE-TIME)", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    json_output: Json = False,
) -> None:
    """Train a grid of small networks together: which rates, weight decays and prototype weights keep the rank?

    Every combination of the lists, medians over the seeds. Writes data.nc, summary.json and provenance.json.
    """
    options = locals()
    with user_input():
        record = TrainingSweep(
            base=Training(**{name: options[name] for name in BASE}),
            **{name: _parsed(name, options[name]) for name in AXES},
            seeds=seeds,
        )
        folder = out or Path("runs") / f"train-sweep-{datetime.now():%Y%m%d-%H%M%S}"
    summary = _run(record, folder, force=force)
    if json_output:
        typer.echo(json.dumps(summary, indent=2, allow_nan=False))
    else:
        typer.echo(tables.training_sweep_report(summary, folder))
    raise typer.Exit(HOLDS)


def _run(record: TrainingSweep, folder: Path, *, force: bool) -> dict[str, Any]:
    from clopsim import results, training_sweep

    with ExitStack() as stack:
        with user_input():
            staging = stack.enter_context(results.run_folder(folder, force=force))
        with progress("train") as advance, user_input():
            dataset = training_sweep.run_training_sweep(record, advance)
        summary = training_sweep.summarise(record, dataset)
        command = reproducing_command(record)
        dataset = dataset.assign_attrs(training_sweep.attributes(record, command=command))
        results.save(staging, dataset, summary, command=command)
    return summary


def reproducing_command(record: TrainingSweep) -> str:
    """The shortest `clopsim train-sweep ...` line that gives this record."""
    words = ["clopsim", "train-sweep"]
    default = {**asdict(DEFAULT.base), **{name: getattr(DEFAULT, name) for name in (*AXES, "seeds")}}
    given = {**asdict(record.base), **{name: getattr(record, name) for name in (*AXES, "seeds")}}
    for name in (*AXES, "seeds", *(each.name for each in fields(Training) if each.name in BASE)):
        value = given[name]
        if value == default[name]:
            continue
        option = option_name(name)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)


def _parsed(name: str, text: str) -> tuple[Any, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if name == "loss":
        return tuple(words)
    kind: type = int if name == "batch" else float
    try:
        return tuple(kind(word) for word in words)
    except ValueError:
        rule = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{name} must be {rule} separated by commas, got {text!r}; write them as in 1,10") from None
