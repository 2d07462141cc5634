"""`clopsim show`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import WRONG_INPUT, Stopped, app, user_input
from clopsim.show import tables


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A complete run.")],
    figure: Annotated[Path | None, typer.Option(help="Where to draw: .png, .pdf or .svg. (default: in FOLDER)")] = None,
    json_output: Json = False,
) -> None:
    """Print a run's table again and redraw its figure, if it has one, without running anything."""
    with user_input():
        from clopsim.runs.states import PROVENANCE, kind_of, recorded_summary

        if not (folder / PROVENANCE).is_file():
            raise ValueError(f"folder must be a complete run, got {str(folder)!r}; see clopsim runs")
        summary = recorded_summary(folder)
        kind = kind_of(summary)
        if kind == "run":
            raise ValueError(f"folder must be a sweep or a training run, got {str(folder)!r}; read its summary.json")
        if kind != "train-sweep":
            _redraw(folder, figure, kind)
        elif figure:
            raise ValueError(f"figure must be of one run or a sweep of embeddings, got {str(folder)!r}, a {kind}")
    typer.echo(json.dumps(summary, indent=2, allow_nan=False) if json_output else tables.report(summary, folder))


def _redraw(folder: Path, figure: Path | None, kind: str) -> None:
    from clopsim.runs import folder as runs
    from clopsim.runs import kinds, ready, training_run
    from clopsim.show import plots

    name, draw = {
        "sweep": (kinds.FIGURE, plots.draw_sweep),
        "train": (training_run.FIGURE, plots.draw_training),
    }[kind]
    target = figure or folder / name
    if figure is None:  # not asked for: somebody else's folder is shown too
        with ready.spared(str(target), "give a --figure"):
            runs.redraw(folder, target, draw)
        return
    try:
        runs.redraw(folder, target, draw)
    except OSError as error:
        raise Stopped(f"cannot draw {target}: {error.strerror}; give another --figure", WRONG_INPUT) from None
