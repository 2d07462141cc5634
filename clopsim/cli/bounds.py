"""`clopsim bounds`."""

import json
from dataclasses import asdict

import typer

from bounds import Setting, critical_rates
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
from clopsim.cli.shell import app, user_input
from clopsim.show import tables


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
    with user_input():
        rates = critical_rates(Setting(temperature, dimension, samples, loss, gradient, keys, reduction, momentum))
    if json_output:
        document = {name: value for name, value in asdict(rates).items() if name != "reasons"}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(tables.bounds_table(rates))
