"""What every command shares: the application, plain errors, exit statuses, what is said."""

import inspect
import json
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from clopsim.cli.examples import epilog
from clopsim.door import answer
from clopsim.door.answer import (
    BROKE,
    FAILS,
    HOLDS,
    INTERRUPTED,
    TERMINATED,
    UNTOLD,
    UNWRITTEN,
    WRONG_INPUT,
    Answer,
)
from clopsim.door.arguments import WrongArgument, argument_name, option_name
from clopsim.door.progress import progress
from clopsim.runs import code
from clopsim.runs.ready import Remark, finite
from clopsim.show import page
from clopsim.show.text import printable

__all__ = [
    "BROKE",
    "FAILS",
    "HOLDS",
    "INTERRUPTED",
    "UNTOLD",
    "UNWRITTEN",
    "WRONG_INPUT",
    "Stopped",
    "app",
    "option_name",
    "options",
    "progress",
    "say",
    "user_input",
]


class Stopped(typer.Abort):
    """A run that ended early, with one line for the user and an exit status."""

    def __init__(self, message: str, status: int) -> None:
        """Exit with the status after printing the message."""
        super().__init__(message)
        self.status = status


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it before it kills: what a Ctrl-C keeps is kept then too."""


def _how(error: BaseException | None) -> tuple[str, int]:
    """How a command was told to end, in a word, and its exit status."""
    return ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does; not in a process that it starts, nor outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    mine = os.getpid()

    def end(number: int, _: Any) -> None:
        if os.getpid() == mine:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class PlainErrors(TyperGroup):
    """A command group whose errors are one plain line on stderr and status 2."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run the command; exit with its status unless standalone_mode is off."""
        try:
            with warnings.catch_warnings(), _terminable():
                warnings.simplefilter("always", Remark)
                warnings.showwarning = _shown_plainly(warnings.showwarning)
                status = super().main(args, standalone_mode=False, **kwargs)
        except typer.TyperException as error:
            if not standalone_mode:
                raise
            message = error.format_message() if hasattr(error, "format_message") else str(error)
            message = re.sub(
                r"Invalid value(?: for '(\S+)')?: ", lambda match: f"{match[1]} " if match[1] else "", message
            )
            with suppress(OSError):
                typer.echo("clopsim: " + printable(" ".join(message.split())), err=True)
            status = WRONG_INPUT
        except Stopped as stop:
            with suppress(OSError):
                typer.echo(f"clopsim: {printable(str(stop))}", err=True)
            sys.exit(stop.status)
        except typer.Abort as stop:
            how, status = _how(stop.__cause__)
            if standalone_mode:
                typer.echo(f"clopsim: {how}; nothing was written", err=True)
        except Exception:  # a mistake of ours: not status 1, which says that the theory does not hold
            if not standalone_mode:
                raise
            traceback.print_exc()
            sys.exit(BROKE)
        if not standalone_mode:
            return status
        sys.exit(status or 0)

    def make_context(self, *arguments: Any, **keywords: Any) -> Any:
        """The context of a line, in which --help may be printed."""
        with _printing():
            return super().make_context(*arguments, **keywords)

    def invoke(self, ctx: Any) -> Any:
        """Run the command of a context."""
        try:
            with _printing():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Abort from error  # which the library would make a status of its own, without how it came

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """The command of a line; `sweep` with an embedder is a training sweep."""
        for before, word in pairwise(["", *args]):
            name = word.removesuffix("=") if re.fullmatch(r"--[a-z-]+=", word) else before if not word else ""
            if name:
                raise typer.BadParameter(f"{name} must have a value, got an empty one; give one or leave it out")
            if "\0" in word:
                raise typer.BadParameter(f"{word!r} must be a name or a value, got a zero byte in it; take it out")
        if args[0] == "sweep" and any(word.split("=")[0] == "--embedder" for word in args):
            args = ["train-sweep", *args[1:]]
        return super().resolve_command(context, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, shown as those of the commands."""
        return _untyped(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; its help flows at any width and ends with its examples."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.help = "\n\n".join(" ".join(each.split()) for each in (command.help or "").split("\n\n"))
            command.epilog = epilog(cmd_name)
        return command


def _untyped(parameters: list[Any]) -> list[Any]:
    """The parameters as --help shall show them: a flag takes nothing, and an argument has its name alone."""
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
        elif each.param_type_name == "argument":
            each.display_type_rich = lambda ctx: ""
    return parameters


class Command(TyperCommand):
    """A command whose --help says what its options take."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options and arguments."""
        return _untyped(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What its options and arguments leave over: nothing, else an error says how to name it."""
        ctx.allow_extra_args = True
        left = super().parse_args(ctx, args)
        if left and not ctx.resilient_parsing:
            own = [str(each.metavar) for each in self.params if each.param_type_name == "argument"]
            named = [each for each in self.params if each.param_type_name == "option" and each.metavar]
            remedy = f"name it, as in {named[0].opts[0]} {left[0]}" if named else f"clopsim {ctx.info_name} --help"
            ctx.fail(f"{ctx.info_name} takes {' and '.join([*own, 'options'])} alone, got {left[0]!r}; {remedy}")
        return left

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Its --help: a switch that is on stands under the name that puts it off, as two would need a column more."""
        switches = [(one, one.opts, one.secondary_opts) for one in self.params if one.secondary_opts]
        try:
            for one, _, off in switches:
                one.opts, one.secondary_opts = off, []
            super().format_help(ctx, formatter)
        finally:
            for one, on, off in switches:
                one.opts, one.secondary_opts = on, off


@contextmanager
def _printing() -> Iterator[None]:
    """End in one line where stdout is closed or full."""
    try:
        yield
    except OSError as error:
        if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
            descriptor = sys.__stdout__.fileno()
            with suppress(OSError):  # Python's last flush must not fail again
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        raise Stopped(f"what was found could not be printed ({error.strerror or error})", UNWRITTEN) from None


def _shown_plainly(otherwise: Callable[..., None]) -> Callable[..., None]:
    """How warnings are shown: those of ours as one line."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Remark):
            typer.echo(f"clopsim: {printable(str(message))}", err=True)
        else:
            otherwise(message, category, *place, **more)

    return show


app = typer.Typer(
    cls=PlainErrors,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Does contrastive training collapse where the theory says? Critical learning rates, predicted and observed.",
    epilog="Exit status: " + ", ".join(f"{status} {words}" for status, words in answer.STATUSES.items()) + ".",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clopsim {code.version('clopsim')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keeps every command a subcommand."""


@contextmanager
def user_input(*, json_output: bool = False) -> Iterator[None]:
    """Turn a ValueError about a parameter of some command into a wrong-input error about its option.

    A run that ended early ends the command with the status of that, and with json_output with its document.
    """
    try:
        yield
    except answer.Stopped as stop:
        if json_output and stop.document is not None:
            typer.echo(json.dumps(finite(stop.document), indent=2, allow_nan=False))
        raise Stopped(str(stop), stop.status) from stop
    except answer.Interrupted as stop:
        how, status = _how(stop.__cause__)
        raise Stopped(f"{how}; {stop}", status) from None
    except ValueError as error:
        message = error.about_field if isinstance(error, WrongArgument) else str(error)
        first = re.match(r"\w+", message)
        if first and first[0] in _parameters():
            message = option_name(first[0]) + message[first.end() :]
        raise typer.BadParameter(message) from None
    except MemoryError as error:
        raise typer.BadParameter(f"the memory is too small ({error}); choose smaller sizes") from None
    except OSError as error:
        place = f"{str(error.filename)!r} " if error.filename else ""
        raise typer.BadParameter(f"{place}cannot be used ({error.strerror or error}); choose another") from None


NOT_OPTIONS = ("context", "json_output")
"""Parameters of commands that no function of the front door takes."""


def options(parameters: Mapping[str, Any], context: typer.Context | None = None) -> dict[str, Any]:
    """The parameters of a command as arguments of its function; with its context only those on the command line."""
    return {
        argument_name(name): value
        for name, value in parameters.items()
        if name not in NOT_OPTIONS and (context is None or _explicit(context, name))
    }


def _explicit(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def say(found: Answer, *, json_output: bool, document: Any = None) -> None:
    """Print the report of an answer, or the document (by default all of it) as JSON, which knows no nan."""
    if json_output:
        whole = found.to_dict() if document is None else document
        typer.echo(json.dumps(finite(whole), indent=2, allow_nan=False))
    else:
        page.show("\n".join(map(printable, found.report().split("\n"))), good=found.good)


def _parameters() -> set[str]:
    """The parameters of all commands."""
    callbacks = [command.callback for command in app.registered_commands if command.callback]
    return {name for callback in callbacks for name in inspect.signature(callback).parameters}
