"""`clopsim verify`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.shell import FAILS, HOLDS, app, user_input
from clopsim.show import tables


@app.command()
def verify(
    only: Annotated[list[str], typer.Option(help="Examine this claim only, such as T4; repeat for several.")] = [],  # noqa: B006
    report: Annotated[Path | None, typer.Option(help="Write a report to FILE.md or FILE.html.")] = None,
    json_output: Json = False,
) -> None:
    """Audit the theory: prove, certify and simulate every claim, and say which ones fall.

    Each claim's verdict is recorded; the exit status is 1 if the evidence no longer supports one of them.
    """
    from clopsim.audit import run
    from clopsim.audit.report import check_report, write_report

    with user_input():
        claims = run.chosen(only)
        if report is not None:
            check_report(report)

    def progress(finding: run.Finding) -> None:
        if sys.stderr.isatty():
            claim = finding.claim
            typer.echo(
                f"{claim.identifier:>4}  {finding.verdict:<11} {finding.seconds:5.1f} s  {claim.statement}", err=True
            )

    findings = run.audit(claims, on_finding=progress)
    if json_output:
        typer.echo(json.dumps([finding.as_row() for finding in findings], indent=2))
    else:
        typer.echo(tables.audit_table([finding.as_row() for finding in findings]))
    if report is not None:
        with user_input():
            write_report(findings, report)
    raise typer.Exit(FAILS if any(finding.failures for finding in findings) else HOLDS)
