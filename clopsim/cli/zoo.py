"""`clopsim zoo`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Force, Json, folder_option, whole_option
from clopsim.cli.shell import HOLDS, Command, app, options, say, user_input
from clopsim.door.zoo import zoo as run


@app.command(cls=Command)
def zoo(
    protocol: Annotated[str, typer.Argument(metavar="NAME", help="A protocol; without one they are listed.")] = "",
    seeds: Annotated[
        int | None, whole_option("Runs, each from a seed of its own. (default: the protocol's number)")
    ] = None,
    out: Annotated[Path | None, folder_option("runs/zoo-NAME-DATE-TIME")] = None,
    force: Force = False,
    json_output: Json = False,
) -> None:
    """Test what the authors of other losses claim, each on many small networks at once.

    A claim is supported where the 95 % interval of the paired differences over the seeds lies above 0, not supported
    where it lies below what would matter; else the seeds cannot tell. Each takes less than a minute on two cores.
    """
    if protocol and out is None:
        out = Path("runs") / f"zoo-{protocol}-{datetime.now():%Y%m%d-%H%M%S}"
    given = options(locals())
    with user_input():
        found = run(**given)
    say(found, json_output=json_output)
    raise typer.Exit(HOLDS)
