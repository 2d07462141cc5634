"""What every function of the front door gives back: numbers that print as the command's report."""

import html
from os import PathLike
from pathlib import Path
from typing import Any


class Answer:
    """Prints as the report of its command; to_dict() gives the document that the command prints with --json."""

    complete = True
    """Whether every file that was asked for is written; a warning named what is not."""

    @property
    def good(self) -> bool | None:
        """Whether the first sentence of the report is good news, for its colour; None: neither."""
        return getattr(self, "holds", None)

    def report(self) -> str:
        """The report of the command, as plain text."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, words, lists and dictionaries; None stands for "never" or "not measured"."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """The report."""
        return self.report()

    def _repr_html_(self) -> str:
        """The report for a notebook: its columns stay aligned, and wide tables scroll."""
        return f'<pre style="overflow-x: auto; white-space: pre">{html.escape(self.report())}</pre>'


class Stopped(RuntimeError):
    """A run that ended early, with one line about what is kept.

    status: of the command's exit; document: what the command prints with --json, if there is something to say.
    """

    def __init__(self, message: str, status: int, document: dict[str, Any] | None = None) -> None:
        """Remember the exit status too."""
        super().__init__(message)
        self.status, self.document = status, document


class Interrupted(KeyboardInterrupt):
    """A run that was interrupted, with one line about what is kept."""


HOLDS, FAILS, WRONG_INPUT, UNTOLD, BROKE, UNWRITTEN, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 5, 130, 143
"""Exit statuses of the commands."""

STATUSES = {
    HOLDS: "the theory holds, or it is done",
    FAILS: "the theory does not hold",
    WRONG_INPUT: "the input is wrong, or the disk refused",
    UNTOLD: "n is too small to tell (threshold)",
    BROKE: "a run broke",
    UNWRITTEN: "what was found could not be printed or drawn",
    INTERRUPTED: "interrupted",
    TERMINATED: "terminated",
}
"""What each means; the guide says more."""


def as_path(value: "str | Path | None", name: str = "out") -> Path | None:
    """A place on disk, with ~ for the home folder. Errors: ValueError for what is no name of one."""
    if not isinstance(value, str | PathLike | None):
        raise ValueError(f"{name} must be a path, got {value!r}; write it as in 'runs/mine'")
    return None if value is None else Path(value).expanduser()
