"""`clopsim merge`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import app, options, say, user_input
from clopsim.door.sweep import merge as join


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Run folders of all shares.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    json_output: Json = False,
) -> None:
    """Join the shares of a sweep of either kind (--shard I/N) into the run folder of the whole sweep, byte for byte."""
    given = options(locals())
    with user_input():
        found = join(**given)
    say(found, json_output=json_output)
    raise typer.Exit(found.status)
