"""`clopsim bounds`."""

from clopsim.cli.options import (
    Dim,
    GradientOption,
    Json,
    KeysOption,
    LossOption,
    MomentumOption,
    ReductionOption,
    Samples,
    Tau,
)
from clopsim.cli.shell import app, options, say, user_input
from clopsim.door.critical_rates import critical_rates


@app.command()
def bounds(
    temperature: Tau = 0.5,
    dimension: Dim = 8,
    samples: Samples = 32,
    loss: LossOption = "merged",
    gradient: GradientOption = "ambient",
    keys: KeysOption = "symmetric",
    reduction: ReductionOption = "sum",
    momentum: MomentumOption = 0.0,
    json_output: Json = False,
) -> None:
    """Print every critical learning rate of a setting."""
    given = options(locals())
    with user_input():
        found = critical_rates(**given)
    say(found, json_output=json_output)
