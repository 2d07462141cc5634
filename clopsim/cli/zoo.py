"""`clopsim zoo`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json, whole_option
from clopsim.cli.shell import HOLDS, app, options, say, user_input
from clopsim.door.zoo import zoo as run


@app.command()
def zoo(
    protocol: Annotated[str, typer.Argument(metavar="[NAME]", help="A protocol; without one they are listed.")] = "",
    seeds: Annotated[int | None, whole_option("Repetitions. (default: the protocol's own)")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. (default: runs/zoo-NAME-DATE-TIME)", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
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
