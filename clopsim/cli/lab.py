"""`clopsim lab`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Force
from clopsim.cli.shell import Command, app, user_input
from clopsim.runs.store import write_atomically


@app.command(cls=Command)
def lab(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the page to this file and open nothing.", show_default=False),
    ] = None,
    force: Force = False,
    embed: Annotated[
        bool, typer.Option("--embed", help="Print the line that puts the lab into a page of yours; open nothing.")
    ] = False,
) -> None:
    """Open the lab: one page that runs the simulation live, with the thresholds on the learning-rate slider.

    The page is a single file and needs no network; its address holds the settings, so a link is a lesson.
    """
    from clopsim.lab import assemble, iframe

    if embed and out is None:
        typer.echo(iframe("lab.html"))
        typer.echo("clopsim: the file beside your page: clopsim lab --out lab.html", err=True)
        return
    with user_input():
        if out is None:
            path = Path(tempfile.mkdtemp(prefix="clopsim-lab-")) / "lab.html"
        else:
            path = _writable(out, force=force)
        try:
            write_atomically(path, assemble().encode())
        except OSError as error:
            raise ValueError(f"out could not be written to {path}: {error.strerror}; choose another place") from None
    typer.echo(iframe(path.name) if embed else path)
    if out is None:
        import webbrowser

        try:
            opened = webbrowser.open(path.as_uri())
        except (OSError, webbrowser.Error):
            opened = False
        if not opened:
            typer.echo("clopsim: no browser found; open this file in one", err=True)


def _writable(out: Path, *, force: bool) -> Path:
    if out.is_dir():
        raise ValueError(f"out must be a file, got the folder {out}; name a file in it, such as {out / 'lab.html'}")
    if out.exists() and not force:
        raise ValueError(f"out must not exist, got {out}; add --force to replace it")
    if not out.parent.is_dir():
        raise ValueError(f"out must lie in an existing folder, got {out}; create {out.parent} first")
    return out
