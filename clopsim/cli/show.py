"""`clopsim show`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from clopsim import plan, tables
from clopsim.cli.options import Json
from clopsim.cli.shell import WRONG_INPUT, Stopped, app, user_input


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A complete run.")],
    figure: Annotated[
        Path | None, typer.Option(help="Where to draw: .png, .pdf or .svg. (default: FOLDER/sweep.png)")
    ] = None,
    json_output: Json = False,
) -> None:
    """Print a sweep's table again and redraw its figure, if it has one, without running anything."""
    with user_input():
        from clopsim.states import PROVENANCE, kind_of, recorded_summary

        if not (folder / PROVENANCE).is_file():
            raise ValueError(f"folder must be a complete run, got {str(folder)!r}; see clopsim runs")
        summary = recorded_summary(folder)
        kind = kind_of(summary)
        if kind not in plan.RECORDS:
            raise ValueError(f"folder must be a sweep, got {str(folder)!r}, another kind of run; read its summary.json")
        if kind == "sweep":
            _redraw(folder, figure)
        elif figure:
            raise ValueError(
                f"figure must be of a sweep of embeddings, got {str(folder)!r}, a {kind}; it has no figure"
            )
    typer.echo(json.dumps(summary, indent=2, allow_nan=False) if json_output else tables.report(summary, folder))


def _redraw(folder: Path, figure: Path | None) -> None:
    from clopsim import kinds, runs

    target = figure or folder / kinds.FIGURE
    try:
        runs.redraw(folder, target)
    except OSError as error:
        raise Stopped(f"cannot draw {target}: {error.strerror}; give another --figure", WRONG_INPUT) from None
