"""How far something long is: a bar in a terminal, a line in a notebook's cell, a line a minute anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from time import monotonic

from clopsim.show.page import console

Advance = Callable[..., None]
"""Takes the share done, in [0, 1], and a note."""

MINUTE = 60.0
"""Seconds between two lines of a log."""

CELL = 0.2
"""Seconds between two looks of a notebook's line."""


def progress(label: str) -> AbstractContextManager[Advance]:
    """What to tell the share done; all that is shown goes to stderr, or to the cell of a notebook."""
    if _in_notebook():
        return _cell(label)
    return _bar(label) if console(stderr=True).is_terminal else _log(label)


@contextmanager
def _bar(label: str) -> Iterator[Advance]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.description:<8}", markup=False),
        TextColumn("{task.percentage:3.0f} %"),
        BarColumn(complete_style="cyan", finished_style="cyan"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0, note="")

        def advance(share: float, note: str = "") -> None:
            bar.update(task, completed=min(1.0, share), note=note)

        yield advance


@contextmanager
def _cell(label: str) -> Iterator[Advance]:
    """The line, which goes when the work is done."""
    from IPython.display import DisplayHandle

    begin = last = monotonic()
    handle = DisplayHandle()
    handle.display({"text/plain": label}, raw=True)

    def advance(share: float, note: str = "") -> None:
        nonlocal last
        now = monotonic()
        if share >= 1.0 or now - last >= CELL:
            last = now
            handle.update({"text/plain": _line(label, share, last - begin, note)}, raw=True)

    try:
        yield advance
    finally:
        handle.update({"text/plain": ""}, raw=True)


@contextmanager
def _log(label: str) -> Iterator[Advance]:
    begin = last = monotonic()

    def advance(share: float, note: str = "") -> None:
        nonlocal last
        now = monotonic()
        if now - last >= MINUTE:
            last = now
            print(f"clopsim: {_line(label, share, last - begin, note)}", file=sys.stderr, flush=True)

    yield advance


def _line(label: str, share: float, seconds: float, note: str) -> str:
    return ", ".join(
        filter(None, (f"{label} {100 * min(1.0, share):.0f} %", f"{timedelta(seconds=int(seconds))}", note))
    )


def _in_notebook() -> bool:
    """Whether a Jupyter kernel shows what is printed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
