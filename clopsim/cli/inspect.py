"""`clopsim inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import FAILS, HOLDS, app, options, say, user_input
from clopsim.door.inspect import inspect as look


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE.npz|.npy", help="Embeddings, one a row.")],
    key: Annotated[
        str | None,
        typer.Option(help="Array of the .npz file. (default: its only array, else z)", show_default=False),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE.npy|KEY", help="Class of every row; below 0 and nan: unlabelled.")
    ] = None,
    views: Annotated[
        str | None, typer.Option(metavar="FILE.npy|KEY", help="The other view of every row, for the alignment.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that are zero or not finite.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(metavar="VERDICT,...", help="Exit with status 1 at one of these verdicts.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="Draw the spectrum into a png, pdf or svg.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Have these embeddings collapsed? Every observable, and a verdict with its rule.

    Rows are normalised first. A collapse has lost something; what has not (a common direction, a low rank, repeated
    rows, a class on its own point) is told below it. Verdicts: complete (one point), line, cluster (a few points),
    dimensional (lost directions), views (no nearer than two samples), none.
    """
    given = options(locals())
    with user_input():
        found = look(**given)
    say(found, json_output=json_output)
    if out is not None and found.complete and not json_output:
        typer.echo(f"\nSpectrum drawn in {out}")
    raise typer.Exit(HOLDS if found.complete and found.holds else FAILS)
