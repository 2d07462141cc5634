"""`clopsim lessons`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Force, folder_option
from clopsim.cli.shell import Command, app, user_input
from clopsim.runs.store import write_atomically
from clopsim.show.page import filled


@app.command(cls=Command)
def lessons(
    out: Annotated[Path, folder_option()] = Path("clopsim-lessons"),
    force: Force = False,
) -> None:
    """Write a class in an hour: three notebooks, see the collapse, derive the bound, rescue it with prototypes.

    Each begins with a prediction to commit to, runs top to bottom in under a minute and ends in exercises that it marks
    itself. The lab, to which they link, is written beside them; the teacher's page with the solutions is named. With
    --force the answers in notebooks that exist are lost.
    """
    from clopsim.lab import assemble
    from clopsim.lessons import LAB, NOTEBOOKS, TEACHER, read

    with user_input():
        if out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, got the file {out}; choose another name")
        there = [name for name in (*NOTEBOOKS, LAB) if (out / name).exists()]
        if there and not force:
            raise ValueError(f"out must not hold {there[0]}, got {out}; add --force to replace what is there")
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name in NOTEBOOKS:
                write_atomically(out / name, read(name).encode())
            write_atomically(out / LAB, assemble().encode())
        except OSError as error:
            raise ValueError(f"out could not be written to {out}: {error.strerror}; choose another place") from None
    for name in (*NOTEBOOKS, LAB):
        typer.echo(out / name)
    typer.echo(f'open them with: jupyter lab "{out}"')
    typer.echo('to get that: pip install "clopsim[lessons]"')
    typer.echo(filled(f"for the teacher, with solutions: {TEACHER}"))
