"""`clopsim figures`."""

import importlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from clopsim.bounds.setting import each_once, one_of
from clopsim.cli.options import Force, folder_option, list_option, several
from clopsim.cli.shell import BROKE, FAILS, HOLDS, INTERRUPTED, Command, Stopped, app, progress, user_input
from clopsim.runs import ready
from clopsim.runs.executors import message
from clopsim.show import page

FORMATS = ("png", "svg", "pdf")

PACKAGE: Any = importlib.import_module("clopsim.figures")
"""By name: figures imports clopsim, never the other way round. Its names are there without anything heavy."""


@app.command(cls=Command)
def figures(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help=f"Which of {', '.join(PACKAGE.NAMES)}. (default: all)")
    ] = None,
    out: Annotated[Path, folder_option()] = Path("figures"),
    form: Annotated[list[str], list_option("Of png, svg, pdf.", "--format", metavar="FORMAT,...")] = ["png"],  # noqa: B006
    force: Force = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small and rough, seconds each.")] = False,
    stored: Annotated[
        Path | None,
        typer.Option(
            "--runs", metavar="FOLDER", help="Folder of measured runs: draw from those of this code, keep new ones."
        ),
    ] = None,
) -> None:
    """Redraw the figures, with their numbers as CSV, and print each gap between theory and measurement.

    From scratch, or with --runs from what was measured before. The same versions give the same bytes on a
    machine. Pictures and numbers that --out holds are replaced with --force alone.
    """
    with user_input():
        for name in names or ():
            if name not in PACKAGE.NAMES:
                near = get_close_matches(name, PACKAGE.NAMES, n=1)
                remedy = f"the nearest is {near[0]!r}" if near else "choose one of them"
                raise ValueError(f"names must be one of {', '.join(PACKAGE.NAMES)}, got {name!r}; {remedy}")
        if names:
            each_once("names", names)
        formats = several("form", form, str.lower)
        for each in formats:
            one_of("form", each, FORMATS)
        chosen = names or PACKAGE.NAMES
        there = [each for name in chosen for each in _files(name, formats) if (out / each).exists()]
        if there and not force:
            raise ValueError(f"out must not hold {there[0]}, got {out}; add --force to replace what is there")
        ready.check_libraries()
        ready.check_folders({"out": out} if stored is None else {"out": out, "stored": stored})
    holds, written, lost = True, list[str](), list[str]()
    for name in chosen:
        try:
            drawing, origin = _drawing(name, quick=quick, stored=stored)
            importlib.import_module("clopsim.figures.drawing").save(drawing, name, out, formats=formats)
        except KeyboardInterrupt:
            done = f"{', '.join(written) or 'nothing'} in {out}"
            raise Stopped(f"interrupted at {name}; written: {done}", INTERRUPTED) from None
        except Exception as error:  # the others do not have to fall with it
            typer.echo(f"clopsim: {name} could not be drawn ({message(error)})", err=True)
            lost.append(name)
            continue
        written.append(name)
        for gap in drawing.gaps:
            verdict = "holds" if gap.holds else "FAILS"
            _tell(f"{name:<22} {verdict}  gap {gap.value:.2g}, allowed {gap.allowed:g}: {gap.says}{origin}")
        if not drawing.gaps:
            _tell(f"{name:<22} drawn  no gap: a measurement without a theory{origin}")
        holds = holds and drawing.holds
    if lost:
        raise Stopped(f"{len(lost)} of {len(chosen)} figures could not be drawn: {', '.join(lost)}", BROKE)
    raise typer.Exit(HOLDS if holds else FAILS)


def _files(name: str, formats: Sequence[str]) -> list[str]:
    """What drawing.save writes of a figure."""
    return [f"{name}.{ending}" for ending in (*formats, "csv")]


def _tell(line: str) -> None:
    page.show(page.filled(line, indent=" " * 23))


def _drawing(name: str, *, quick: bool, stored: Path | None) -> tuple[Any, str]:
    """The drawing of a figure, and where its run comes from if it was stored."""
    kept: Any = importlib.import_module("clopsim.figures.runs")
    run = None
    if stored is not None:
        try:
            run = kept.recall(stored, name, quick=quick)
        except (kept.Unusable, OSError) as reason:
            typer.echo(f"clopsim: {reason}; measuring {name} anew", err=True)
    if run is None:
        with progress(name) as advance:
            run = PACKAGE.measure(name, quick=quick, on_progress=advance)
        if stored is not None:
            with ready.spared(f"the run of {name}", "the figure is drawn all the same"):
                kept.keep(stored, name, run)
    return PACKAGE.draw(name, run), f" (from stored run of {run.date})" if run.date else ""
