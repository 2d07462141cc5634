"""`clopsim threshold`."""

from typing import Annotated

import typer

from clopsim.cli.options import (
    Dim,
    GradientOption,
    Json,
    KeysOption,
    LossOption,
    MomentumOption,
    ReductionOption,
    Samples,
    Taus,
    number_option,
    several,
    whole_option,
)
from clopsim.cli.shell import FAILS, HOLDS, UNTOLD, Command, app, options, say, user_input
from clopsim.door.threshold import threshold as search


@app.command(cls=Command)
def threshold(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="One of the words below.")],
    temperature: Taus = ["0.5"],  # noqa: B006
    dimension: Dim = 8,
    samples: Samples = 32,
    loss: LossOption = "merged",
    gradient: GradientOption = "ambient",
    keys: KeysOption = "symmetric",
    reduction: ReductionOption = "sum",
    momentum: MomentumOption = 0.0,
    bracket: Annotated[float, number_option("Relative width of the bracket, in (0, 1).")] = 0.005,
    seeds: Annotated[int, whole_option("Runs, each from a seed of its own. Each gets a bracket.")] = 4,
    tolerance: Annotated[float, number_option("Largest relative gap at which the theory holds.")] = 0.05,
    json_output: Json = False,
) -> None:
    """Search one critical learning rate by bisection and hold it against its prediction.

    KIND is one of these. collapse: does it attract? uniform: does the uniform state break? alignment_uniform,
    alignment_collapse (full loss): do the views come apart? line (full loss): does the line with antipodal views
    attract? A batch that cannot resolve the breaking degree of the two uniform kinds gets the verdict "n too small to
    tell", in JSON holds: null, exit status 3: neither holds nor fails; give more samples.
    """
    given = dict(locals())
    with user_input():
        given["temperature"] = several("temperature", temperature)
        found = search(**options(given))
    say(found, json_output=json_output)
    raise typer.Exit({True: HOLDS, False: FAILS, None: UNTOLD}[found.holds])
