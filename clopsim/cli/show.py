"""`clopsim show`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clopsim.cli.options import Json, Picture
from clopsim.cli.shell import WRONG_INPUT, Command, Stopped, app, say, user_input
from clopsim.door.run import open_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@app.command(cls=Command)
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A complete run.")],
    figure: Picture = None,
    json_output: Json = False,
) -> None:
    """Print a run's table again, and draw its figure where asked; nothing is run, and nothing in FOLDER changes."""
    with user_input():
        found = open_run(folder)
        if figure is not None and found.picture is None:
            kind = found.kind
            raise ValueError(f"figure must be of one run or a sweep of embeddings, got {str(folder)!r}, a {kind}")
        with _readable(folder):
            found.report()
            picture = found.plot() if figure is not None else None
        if figure is not None and picture is not None:
            _redraw(picture, figure)
    say(found, json_output=json_output)
    if figure is not None and not json_output:
        typer.echo(f"\nDrawn in {figure}")


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Whatever somebody else's files hold under good checksums, reading them ends in a line."""
    from clopsim.runs.executors import message
    from clopsim.runs.store import Damaged

    try:
        yield
    except Exception as error:
        why = message(error)[:120]
        raise Damaged(f"folder must hold a run of ours, got {str(folder)!r}, which cannot be read: {why}") from error


def _redraw(picture: "Figure", target: Path) -> None:
    from clopsim.runs import folder as runs

    try:
        runs.redraw(picture, target)
    except OSError as error:
        raise Stopped(f"cannot draw {target}: {error.strerror}; give another --figure", WRONG_INPUT) from None
