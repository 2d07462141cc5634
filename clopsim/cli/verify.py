"""`clopsim verify`."""

from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json, list_option, several
from clopsim.cli.shell import FAILS, HOLDS, UNWRITTEN, Command, app, options, say, user_input
from clopsim.door.verify import verify as audit


@app.command(cls=Command)
def verify(
    only: Annotated[list[str], list_option("Claims to examine, such as T4. (default: all)", metavar="CLAIM,...")] = [],  # noqa: B006
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report to FILE.md or FILE.html.")] = None,
    json_output: Json = False,
) -> None:
    """Audit the theory: prove, certify and simulate every claim, and say which ones fall.

    Each claim's verdict is recorded; the exit status is 1 if the evidence no longer supports one of them.
    """
    given = options(locals())
    with user_input():
        given["only"] = several("only", only, str) if only else ()
        found = audit(**given)
    say(found, json_output=json_output, document=found.rows)
    raise typer.Exit((HOLDS if found.complete else UNWRITTEN) if found.holds else FAILS)
