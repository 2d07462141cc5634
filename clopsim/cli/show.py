"""`clopsim show`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import WRONG_INPUT, Stopped, app, say, user_input
from clopsim.door.run import Run, open_run


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A complete run.")],
    figure: Annotated[
        Path | None, typer.Option(help="Draw its figure again: a .png, .pdf or .svg.", show_default=False)
    ] = None,
    json_output: Json = False,
) -> None:
    """Print a run's table again, and draw its figure where asked; nothing is run, and nothing in FOLDER changes."""
    with user_input():
        found = open_run(folder)
        if figure is not None and found.picture is None:
            kind = found.kind
            raise ValueError(f"figure must be of one run or a sweep of embeddings, got {str(folder)!r}, a {kind}")
        if figure is not None:
            _redraw(found, figure)
    say(found, json_output=json_output)


def _redraw(found: Run, target: Path) -> None:
    from clopsim.runs import folder as runs

    try:
        runs.redraw(found.plot, target)
    except OSError as error:
        raise Stopped(f"cannot draw {target}: {error.strerror}; give another --figure", WRONG_INPUT) from None
