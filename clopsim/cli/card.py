"""`clopsim card`."""

from typing import Annotated

import typer

from clopsim.cli.options import Dim, Json, Picture, number_option, whole_option
from clopsim.cli.shell import FAILS, HOLDS, UNWRITTEN, Command, app, options, say, user_input
from clopsim.door.card import card as look


@app.command(cls=Command)
def card(
    function: Annotated[str, typer.Argument(metavar="LOSS|FILE.py:NAME", help="A loss of clopsim, or one of yours.")],
    temperature: Annotated[
        float | None, number_option("Temperature, > 0. Of a loss of clopsim. (default: 0.5)", "--tau")
    ] = None,
    dimension: Dim = 8,
    samples: Annotated[
        int, whole_option("How many samples. Rows n for merged and a function of the cosines; else two views each.")
    ] = 32,
    classes: Annotated[
        int | None,
        whole_option("Classes of the samples. Balanced; 0: none. (default: the first of 4, 3, 2 that divides them)"),
    ] = None,
    figure: Picture = None,
    json_output: Json = False,
) -> None:
    """A card for any loss: at which rate does it collapse? Predicted by autograd, then shown.

    LOSS is merged (InfoNCE with one copy of every sample) or a name of clopsim.losses.LOSSES. FILE.py:NAME is a loss of
    yours, and the file is run to get it: a function of the cosine matrix (n, n), or of (first, second, labels), that
    returns a scalar tensor. The card says what it sees, where it is stationary, every curvature and critical rate at
    complete collapse, on a line, with every class on a point and at its own optimum, what steps just below and above
    each rate do, where runs end, and what prototypes would change.
    """
    given = options(locals())
    with user_input():
        found = look(**given)
    say(found, json_output=json_output)
    if figure is not None and found.complete and not json_output:
        typer.echo(f"\nDrawn in {figure}")
    raise typer.Exit((HOLDS if found.complete else UNWRITTEN) if found.holds else FAILS)
