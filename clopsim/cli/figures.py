"""`clopsim figures`."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bounds.setting import one_of
from clopsim.cli.shell import FAILS, HOLDS, app, progress, user_input

FORMATS = ("png", "svg", "pdf")


@app.command()
def figures(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME ...]", help="Which ones. (default: all)")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("figures"),
    form: Annotated[str, typer.Option("--format", metavar="png,svg,pdf", help="Of the pictures.")] = "png",
    quick: Annotated[bool, typer.Option("--quick", help="Small and rough, seconds each.")] = False,
) -> None:
    """Redraw the figures from scratch, with their numbers as CSV, and print each gap between theory and measurement.

    The same versions give the same bytes.
    """
    package: Any = importlib.import_module("figures")  # by name: figures imports clopsim, never the other way round
    with user_input():
        for name in names or ():
            one_of("names", name, package.NAMES)
        formats = form.split(",")
        for each in formats:
            one_of("form", each, FORMATS)
        with _writable(out):
            out.mkdir(parents=True, exist_ok=True)
    holds = True
    for name in names or package.NAMES:
        with progress(name) as advance:
            drawing = package.draw(name, quick=quick, on_progress=advance)
        with user_input(), _writable(out):
            importlib.import_module("figures.drawing").save(drawing, name, out, formats=formats)
        for gap in drawing.gaps:
            verdict = "holds" if gap.holds else "FAILS"
            typer.echo(f"{name:<22} {verdict}  gap {gap.value:.2g}, allowed {gap.allowed:g}: {gap.says}")
        holds = holds and drawing.holds
    raise typer.Exit(HOLDS if holds else FAILS)


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"out must be writable, got {str(out)!r} ({error.strerror}); choose another folder") from None
