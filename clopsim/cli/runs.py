"""`clopsim runs`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import Command, app, user_input
from clopsim.show import page, tables
from clopsim.show.text import printable

DEFAULT = Path("runs")


@app.command(cls=Command)
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Searched with all its folders.")] = DEFAULT,
    json_output: Json = False,
) -> None:
    """List run folders with their setting, state, verdict and date."""
    with user_input():
        from clopsim.runs.states import describe, run_folders

        if not folder.is_dir() and folder != DEFAULT:
            raise ValueError(f"folder must be there, got {str(folder)!r}; name the folder that holds your runs")
        found = [asdict(describe(path)) for path in (run_folders(folder) if folder.is_dir() else ())]
    if json_output:
        typer.echo(json.dumps(found, indent=2))
    elif found:
        page.show(tables.runs_table(found))
    else:
        page.show(
            f"no runs in {printable(str(folder.absolute()))}; name the folder that holds yours: clopsim runs FOLDER"
        )
