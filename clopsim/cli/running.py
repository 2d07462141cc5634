"""What the commands that make runs share: the options of their execution, their folder, how their run is told."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from clopsim.cli.options import choice_option, whole_option
from clopsim.cli.shell import options, say, user_input
from clopsim.runs.executors import Engine

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="TOML file with these options; a list on any axis makes a grid. Options here go first."
    ),
]
SaveConfig = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what runs as such a file.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with the run in --out FOLDER; start it from the other options if there is none."
    ),
]
Workers = Annotated[
    int | None,
    whole_option("Processes, one thread each. (default: the cores, one if the run is short)"),
]
EngineOption = Annotated[
    Engine, choice_option(Engine, "local: this machine; dask: a Dask cluster, by default its own.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a running Dask scheduler, as in tcp://host:8786 or tls://...; it and its workers run code as "
        "you, here too: name none that is not yours.",
    ),
]
ShardOption = Annotated[
    str | None, typer.Option(metavar="I/N", help="Run the I-th of N shares only; join them with clopsim merge.")
]
Device = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="Where it runs: cpu, cuda, cuda:1, mps, or auto, the best that it can use."),
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that fails.")]


def run_command(
    function: Callable[..., Any], context: typer.Context, parameters: Mapping[str, Any], *, kind: str
) -> NoReturn:
    """Make a run of that kind as the command line says, print its report and exit with its status.

    What is not given on the command line is left to the configuration file, or to the run that is resumed.
    """
    with user_input(json_output=parameters["json_output"]):
        given = options(parameters, context)
        if parameters["out"] is None and parameters["resume"]:
            raise ValueError("resume must come with a folder, got none; add --out FOLDER")
        with nullcontext(parameters["out"]) if parameters["out"] else _new_folder(kind) as folder:
            found = function(**{**given, "out": folder})
    say(found, json_output=parameters["json_output"])
    raise typer.Exit(found.status)


@contextmanager
def _new_folder(kind: str) -> Iterator[Path]:
    """A folder that nobody else has, named by kind and time; it goes if nothing came of it."""
    root, name = Path("runs"), f"{kind}-{datetime.now():%Y%m%d-%H%M%S}"
    made = not root.exists()
    try:
        root.mkdir(exist_ok=True)
        for number in count(1):
            folder = root / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
                break
            except FileExistsError:
                continue
    except OSError as error:
        raise ValueError(f"out must be writable, got {str(root)!r} ({error.strerror}); choose a folder") from None
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()
            if made:
                root.rmdir()
