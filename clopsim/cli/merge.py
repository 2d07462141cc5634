"""`clopsim merge`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Force, Json, folder_option
from clopsim.cli.shell import Command, app, options, say, user_input
from clopsim.door.sweep import merge as join


@app.command(cls=Command)
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Run folders of all shares.")],
    out: Annotated[Path, folder_option()],
    force: Force = False,
    json_output: Json = False,
) -> None:
    """Join the shares of a sweep of either kind (--shard I/N) into the run folder of the whole sweep, byte for byte."""
    given = options(locals())
    with user_input():
        found = join(**given)
    say(found, json_output=json_output)
    raise typer.Exit(found.status)
