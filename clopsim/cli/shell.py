"""What every command shares: the application, plain errors, exit statuses, the progress bar, whole files."""

import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

OPTION_NAMES = {
    "temperature": "--tau",
    "dimension": "--dim",
    "kind": "KIND",
    "file": "FILE",
    "names": "NAME",
    "stored": "--runs",
    "form": "--format",
    "folder": "FOLDER",
    "folders": "FOLDER...",
    "json_output": "--json",
}
"""Options that are not spelt like their field."""

HOLDS, FAILS, WRONG_INPUT, UNTOLD, INTERRUPTED = 0, 1, 2, 3, 130


def option_name(field: str) -> str:
    """The option that sets a field of a record."""
    return OPTION_NAMES.get(field, "--" + field.replace("_", "-"))


class Stopped(typer.Abort):
    """A run that ended early, with one line for the user and an exit status."""

    def __init__(self, message: str, status: int) -> None:
        """Exit with the status after printing the message."""
        super().__init__(message)
        self.status = status


class PlainErrors(TyperGroup):
    """A command group whose errors are one plain line on stderr and status 2."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run the command; exit with its status unless standalone_mode is off."""
        try:
            status = super().main(args, standalone_mode=False, **kwargs)
        except typer.TyperException as error:
            if not standalone_mode:
                raise
            message = error.format_message() if hasattr(error, "format_message") else str(error)
            message = re.sub(
                r"Invalid value(?: for '(\S+)')?: ", lambda match: f"{match[1]} " if match[1] else "", message
            )
            typer.echo("clopsim: " + " ".join(message.split()), err=True)
            status = WRONG_INPUT
        except Stopped as stop:
            typer.echo(f"clopsim: {stop}", err=True)
            sys.exit(stop.status)
        except typer.Abort:
            status = INTERRUPTED
        if not standalone_mode:
            return status
        if status == INTERRUPTED:
            typer.echo("clopsim: interrupted; nothing was written", err=True)
        sys.exit(status or 0)

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """The command of a line; `sweep` with an embedder is a training sweep."""
        if args[0] == "sweep" and any(word.split("=")[0] == "--embedder" for word in args):
            args = ["train-sweep", *args[1:]]
        return super().resolve_command(context, args)


app = typer.Typer(
    cls=PlainErrors,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Does contrastive training collapse where the theory says? Critical learning rates, predicted and observed.",
    epilog="Exit status: 0 the bound holds, 1 it does not, 2 the input is wrong, 3 n is too small to tell (threshold).",
)


@app.callback()
def _root() -> None:
    """Keeps every command a subcommand."""


@contextmanager
def user_input() -> Iterator[None]:
    """Turn a ValueError about a parameter of some command into a wrong-input error about its option."""
    try:
        yield
    except ValueError as error:
        message = str(error)
        first = re.match(r"\w+", message)
        if first and first[0] in _parameters():
            message = option_name(first[0]) + message[first.end() :]
        raise typer.BadParameter(message) from None


def warn_of_machines(folder: Path) -> None:
    """One line on stderr if the parts of a complete run come from several kinds of machine."""
    from clopsim.runs.states import recorded_machines

    kinds = recorded_machines(folder)
    if len(kinds) > 1:
        typer.echo(f"clopsim: {folder} joins parts from {', '.join(kinds)}, whose last bits differ", err=True)


def _parameters() -> set[str]:
    """The parameters of all commands."""
    callbacks = [command.callback for command in app.registered_commands if command.callback]
    return {name for callback in callbacks for name in inspect.signature(callback).parameters}


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr that takes the share done and a note; silent when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda share, note="": None
        return
    with typer.progressbar(length=1000, label=f"{label:<10}", file=sys.stderr) as bar:

        def advance(share: float, note: str = "") -> None:
            bar.label = f"{label:<10}{note}"
            bar.update(int(1000 * share) - bar.pos)

        yield advance


def write_whole(path: Path, text: str) -> None:
    """All or nothing: a failed write leaves no half file and an old one as it was."""
    handle, staging = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(staging, 0o644)
        os.replace(staging, path)
    except BaseException:
        Path(staging).unlink(missing_ok=True)
        raise
