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
    figure: Annotated[Path | None, typer.Option(help="Where to draw: .png, .pdf or .svg. (default: in FOLDER)")] = None,
    json_output: Json = False,
) -> None:
    """Print a run's table again and redraw its figure, if it has one, without running anything."""
    with user_input():
        found = open_run(folder)
        if found.picture is not None:
            _redraw(found, figure or folder / found.picture, asked=figure is not None)
        elif figure:
            kind = found.kind
            raise ValueError(f"figure must be of one run or a sweep of embeddings, got {str(folder)!r}, a {kind}")
    say(found, json_output=json_output)


def _redraw(found: Run, target: Path, *, asked: bool) -> None:
    from clopsim.runs import folder as runs
    from clopsim.runs import ready

    if not asked:  # somebody else's folder is shown too
        with ready.spared(str(target), "give a --figure"):
            runs.redraw(found.plot, target)
        return
    try:
        runs.redraw(found.plot, target)
    except OSError as error:
        raise Stopped(f"cannot draw {target}: {error.strerror}; give another --figure", WRONG_INPUT) from None
