"""`clopsim bounds`."""

from clopsim.cli.options import (
    BatchOf,
    Classes,
    Dim,
    DistanceOption,
    Ema,
    GradientOption,
    Json,
    KeysOption,
    LabelledOption,
    LossOption,
    MomentumOption,
    PrototypesOption,
    Queue,
    ReductionOption,
    Samples,
    Taus,
    Weight,
    several,
)
from clopsim.cli.shell import Command, app, options, say, user_input
from clopsim.door.critical_rates import critical_rates


@app.command(cls=Command)
def bounds(
    temperature: Taus = ["0.5"],  # noqa: B006
    dimension: Dim = 8,
    samples: Samples = 32,
    loss: LossOption = "merged",
    gradient: GradientOption = "ambient",
    keys: KeysOption = "symmetric",
    reduction: ReductionOption = "sum",
    momentum: MomentumOption = 0.0,
    classes: Classes = None,
    prototypes: PrototypesOption = "orthonormal",
    weight: Weight = None,
    distance: DistanceOption = "cosine",
    labelled: LabelledOption = 1.0,
    ema: Ema = None,
    queue: Queue = 1,
    batch_of: BatchOf = None,
    json_output: Json = False,
) -> None:
    """Print every critical learning rate of a setting: the one or two that matter in a sentence, then all of them.

    Of several temperatures each has its own. With --classes also what prototypes do to the classes, with --ema
    the rate of MoCo, with --batch-of what drawing batches changes.
    """
    given = dict(locals())
    with user_input():
        given["temperature"] = several("temperature", temperature)
        found = critical_rates(**options(given))
    say(found, json_output=json_output)
