"""`clopsim bounds`."""

import json
from dataclasses import asdict

import typer

from bounds import Setting, critical_rates, prototype_weights
from clopsim.cli.options import (
    Classes,
    Dim,
    GradientOption,
    Json,
    KeysOption,
    LossOption,
    MomentumOption,
    PrototypesOption,
    ReductionOption,
    Samples,
    Tau,
    Weight,
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
    classes: Classes = None,
    prototypes: PrototypesOption = "orthonormal",
    weight: Weight = None,
    json_output: Json = False,
) -> None:
    """Print every critical learning rate of a setting, and with --classes what prototypes do to the classes."""
    with user_input():
        setting = Setting(temperature, dimension, samples, loss, gradient, keys, reduction, momentum)
        rates = critical_rates(setting)
        if classes is None and weight is not None:
            raise ValueError(f"weight must come with classes, got {weight:g} alone; say how many classes there are")
        held = (
            prototype_weights(setting, classes=classes, prototypes=prototypes, weight=weight)
            if classes is not None
            else None
        )
    if json_output:
        document = {name: value for name, value in asdict(rates).items() if name != "reasons"}
        if held is not None:
            document["with_prototypes"] = {name: value for name, value in asdict(held).items() if name != "reasons"}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(tables.bounds_table(rates))
        if held is not None:
            typer.echo("\n" + tables.prototypes_table(held))
