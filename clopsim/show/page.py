"""What a report is made of: paragraphs and tables as wide as the terminal, in plain text, and their colours in one."""

import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clopsim.show.text import printable

WIDTH = 80
"""Columns where stdout is no terminal: a file or a notebook has the same text everywhere."""

NARROWEST, WIDEST = 60, 120
"""Columns of a terminal that are used: below, tables would fall apart; above, lines are hard to read."""

RULED = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A rule under the header and nothing else."""

UNBROKEN = 16
"""Cells up to this width, such as numbers with their unit, stay in one line."""


def width() -> int:
    """Columns to fill."""
    if not sys.stdout.isatty():
        return WIDTH
    return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, NARROWEST), WIDEST)


def filled(text: str, *, indent: str = "") -> str:
    """A paragraph in lines of that width, those after the first indented; a longer word, as a path is, stays whole."""
    return textwrap.fill(text, width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    most: Mapping[int, int] | None = None,
    whole: Collection[int] = (),
) -> str:
    """Left-aligned columns under a rule, the widest broken into lines until all fit.

    most: largest widths of columns, by place; whole: columns that are not broken, as those of short cells.
    """
    grid = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    rows = [[printable(cell) for cell in row] for row in rows]
    for place, name in enumerate(header):
        longest = max(len(row[place]) for row in (header, *rows))
        unbroken = place in whole or longest <= UNBROKEN
        grid.add_column(Text(name), no_wrap=unbroken, overflow="fold", max_width=(most or {}).get(place))
    for row in rows:
        grid.add_row(*map(Text, row))
    page = io.StringIO()
    console = Console(
        file=page, width=width(), color_system=None, force_terminal=False, force_jupyter=False, legacy_windows=False
    )
    console.print(grid)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def console(*, stderr: bool = False) -> Console:
    """What prints on stdout, or on stderr; with colours only in a terminal that has them and where NO_COLOR is unset.

    Its is_terminal is False for a dumb one, in which nothing can move.
    """
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return Console(
        stderr=stderr,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        force_terminal=False if dumb else None,
        force_jupyter=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def show(text: str, *, good: bool | None = None) -> None:
    """Print a report on stdout; good: whether its first sentence is good news, None: neither."""
    there = console()
    if there.color_system is None:
        print(text, flush=True)
    else:
        there.print(coloured(text, good=good), soft_wrap=True)


GOOD, BAD, UNSURE = "green", "bold red", "yellow"
STYLES: Mapping[str, str] = {
    r"(?m)^-{3,}$": "dim",
    r"(?m)^.+$(?=\n-{3,}$)": "bold",
    r"(?m)(?<=  )(holds|proved|certified|measured|supported|complete)(?=  |$)": GOOD,
    r"(?m)^(supported)(?=  )": GOOD,
    r"(?m)(?<=  )(FAILS|fails|refuted|not supported|damaged.*?)(?=  |$)": BAD,
    r"(?m)^(not supported)(?=  )": BAD,
    r"(?m)(?<=  )(n too small to tell|cannot tell|refined)(?=  |$)": UNSURE,
    r"(?m)^(cannot tell)(?=  )": UNSURE,
}
"""Colours of rules, of heads and of the verdicts that are cells of a table."""

VERDICT = {True: f"bold {GOOD}", False: BAD, None: "bold"}
"""Colours of the first sentence, by whether it is good."""


def coloured(text: str, *, good: bool | None) -> Text:
    """A report in colours: its first sentence, which is the verdict, its heads and what its tables say."""
    shown = Text(text)
    for pattern, style in STYLES.items():
        shown.highlight_regex(pattern, style)
    first = text.split("\n\n", 1)[0]
    sentence = re.match(r"[A-Z]+:|.*?[.;](?=\s|$)", first, re.DOTALL)
    if sentence and "\n---" not in first:
        shown.stylize(VERDICT[good], 0, sentence.end())
    return shown
