"""clopsim.verify: what `clopsim verify` prints."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.bounds.setting import each_once, shown
from clopsim.door.answer import Answer, as_path
from clopsim.door.arguments import takes
from clopsim.door.progress import progress
from clopsim.runs import code, ready
from clopsim.show import tables

if TYPE_CHECKING:
    from clopsim.audit.run import Finding
    from clopsim.audit.words import Made


class Audit(Answer):
    """What the evidence of the claims gave."""

    def __init__(self, findings: "Sequence[Finding]") -> None:
        """findings: of audit.run.audit."""
        self.findings = tuple(findings)
        self.rows: list[dict[str, Any]] = [finding.as_row() for finding in findings]

    @property
    def holds(self) -> bool:
        """Whether the evidence supports every recorded verdict."""
        return not any(finding.failures for finding in self.findings)

    def report(self) -> str:
        """One claim a line, below them whatever does not hold."""
        return tables.audit_table(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The findings by claim."""
        return {row["identifier"]: row for row in self.rows}


@takes({})
def verify(*, only: str | Sequence[str] = (), report: str | Path | None = None) -> Audit:
    """Audit the theory: prove, certify and simulate every claim, and say which ones fall; prints as the audit's table.

    The claims of the zoo's authors are tested in a short run of their protocol; zoo runs the whole one.

    only: the claims to examine, such as "T4", one or several; all by default. Those that they rest on come with them.
    report: a .md or .html file to write, with every derivation step by step.

    Returns an object with findings, rows (plain values), holds (the evidence supports every recorded verdict) and
    to_dict() (rows by claim). Takes seconds a claim.
    Errors: ValueError for a claim that is not in the ledger, or a report that cannot be written.
    Source: every row names its own.

    >>> import clopsim
    >>> clopsim.verify(only="T6").holds
    True
    """
    from clopsim.audit import run
    from clopsim.audit.report import check_report, write_report
    from clopsim.protocols.ledger import CLAIMS

    if not isinstance(only, Iterable):
        raise ValueError(f"only must be the name of a claim or a list of them, got {only!r}; as in 'T4'")
    names = [only] if isinstance(only, str) else list(only)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"only must hold names of claims, got {shown(only)}; as in 'T4'")
    if names:
        each_once("only", names)
    claims = run.chosen(names, more=CLAIMS)
    place = as_path(report, "report")
    if place is not None:
        check_report(place)
        ready.check_libraries()
    done: list[Finding] = []
    with progress("verify") as advance:

        def note(finding: "Finding") -> None:
            done.append(finding)
            advance(len(done) / len(claims), f"{finding.claim.identifier} {finding.verdict}")

        audit = Audit(run.audit(claims, on_finding=note))
    if place is not None:
        with ready.spared(str(place), "the table stands") as written:
            write_report(audit.findings, place, _made(names, place))
        audit.complete = written.done
    return audit


def _made(names: Sequence[str], place: Path) -> "Made":
    """What a report says of its making: the version, and the command that makes it again."""
    from clopsim.audit.words import Made

    only = [word for name in names for word in ("--only", name)]
    return Made(f"clopsim {code.version('clopsim')}", shlex.join(["clopsim", "verify", *only, "--report", place.name]))
