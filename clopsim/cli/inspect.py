"""`clopsim inspect`."""

import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import WRONG_INPUT, Stopped, app, user_input
from clopsim.runs import ready
from clopsim.runs.executors import message
from clopsim.show import tables

PICTURES = (".png", ".pdf", ".svg")


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE.npz|.npy", help="Embeddings, one a row.")],
    key: Annotated[
        str | None,
        typer.Option(help="Array of the .npz file. (default: its only array, else z)", show_default=False),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE.npy|KEY", help="Class of every row; -1 stands for unlabelled.")
    ] = None,
    views: Annotated[
        str | None, typer.Option(metavar="FILE.npy|KEY", help="The other view of every row, for the alignment.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="Draw the spectrum into a png, pdf or svg.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Have these embeddings collapsed? Every observable, and a verdict with its rule.

    Rows are normalised first. Verdicts: complete (one point), line, cluster (a few points), dimensional (few directions
    used), none.
    """
    with user_input():
        if out is not None and out.suffix not in PICTURES:
            raise ValueError(f"out must end in {', '.join(PICTURES)}, got {str(out)!r}; name a picture")
        if out is not None:
            ready.check_file("out", out)
            ready.check_libraries()
        from clopsim.metrics import inspection

        x = inspection.load(file, key=key)
        found = inspection.inspect(x, labels=_beside(file, labels, "labels"), views=_beside(file, views, "views"))
    if json_output:
        typer.echo(json.dumps(found.report, indent=2, allow_nan=False))
    else:
        typer.echo(tables.inspection_report(found.report))
    if out is not None:
        _draw(found, out)
        if not json_output:
            typer.echo(f"\nSpectrum drawn in {out}")


def _beside(file: Path, given: str | None, name: str) -> Any:
    """The array that an option names: a file if it looks like one, else a key of FILE."""
    from clopsim.metrics import inspection

    if given is None:
        return None
    if given.endswith((".npy", ".npz")):
        return inspection.load(Path(given), name=name)
    if file.suffix != ".npz":
        raise ValueError(f"{name} must be a .npy file beside a .npy FILE, got {given!r}; a key needs an .npz FILE")
    return inspection.load(file, key=given, name=name)


def _draw(found: Any, out: Path) -> None:
    from clopsim.runs import store
    from clopsim.show import plots

    form = out.suffix[1:]
    try:
        content = io.BytesIO()
        plots.draw_inspection(found).savefig(content, format=form, dpi=150, metadata=plots.undated(form))
        store.write_atomically(out, content.getvalue())
    except Exception as error:  # the report stands
        raise Stopped(f"{out} could not be drawn ({message(error)})", WRONG_INPUT) from error
