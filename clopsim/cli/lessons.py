"""`clopsim lessons`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.shell import app, user_input
from clopsim.runs.store import write_atomically


@app.command()
def lessons(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("clopsim-lessons"),
    force: Annotated[bool, typer.Option("--force", help="Replace notebooks that exist, answers included.")] = False,
) -> None:
    """Write a class in an hour: three notebooks, see the collapse, derive the bound, rescue it with prototypes.

    Each runs top to bottom in under a minute and ends in exercises that it marks itself.
    """
    from clopsim.lessons import NOTEBOOKS, read

    with user_input():
        if out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, got the file {out}; choose another name")
        there = [name for name in NOTEBOOKS if (out / name).exists()]
        if there and not force:
            raise ValueError(f"out must not hold {there[0]}, got {out}; add --force to replace the notebooks")
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name in NOTEBOOKS:
                write_atomically(out / name, read(name).encode())
        except OSError as error:
            raise ValueError(f"out could not be written to {out}: {error.strerror}; choose another place") from None
    for name in NOTEBOOKS:
        typer.echo(out / name)
    typer.echo(f'open them with: jupyter lab "{out}"   (to get it: pip install jupyterlab)')
