"""`clopsim inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json, Picture
from clopsim.cli.shell import FAILS, HOLDS, UNWRITTEN, Command, app, options, say, user_input
from clopsim.door.inspect import inspect as look


@app.command(cls=Command)
def inspect(
    file: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Embeddings, one a row: .npy, .npz, .pt, .safetensors, .csv, .parquet, a folder of shards or a quoted "
            "pattern. Several stand side by side.",
        ),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Array or column of the file; csv: how the columns' names begin. (default: its only one, else z)",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE|KEY", help="Class of every row; below 0 and nan: unlabelled.")
    ] = None,
    views: Annotated[
        str | None, typer.Option(metavar="FILE|KEY", help="The other view of every row, for alignment and LiDAR.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that are zero or not finite.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(metavar="VERDICT,...", help="Exit with status 1 at one of these verdicts.", show_default=False),
    ] = None,
    figure: Picture = None,
    every: Annotated[bool, typer.Option("--all", help="Every observable, not only those that matter most.")] = False,
    json_output: Json = False,
) -> None:
    """Have these embeddings collapsed? A verdict with its rule, and the observables it rests on.

    Rows are normalised first. A collapse has lost something; what has not (a common direction, a low rank, repeated
    rows, a class on its own point) is told below it. Verdicts: complete (one point), line, cluster (a few points),
    dimensional (lost directions), views (no nearer than two samples), none.
    """
    given = options(locals())
    with user_input():
        found = look(*given.pop("z"), **given)
    say(found, json_output=json_output)
    if figure is not None and found.complete and not json_output:
        typer.echo(f"\nSpectrum drawn in {figure}")
    raise typer.Exit((HOLDS if found.complete else UNWRITTEN) if found.holds else FAILS)
