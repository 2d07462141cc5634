"""`clopsim merge`."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from clopsim.cli.options import Json
from clopsim.cli.running import status
from clopsim.cli.shell import FAILS, WRONG_INPUT, Stopped, app, user_input, warn_of_machines
from clopsim.runs.executors import message
from clopsim.show import tables


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Run folders of all shares.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder if it exists.")] = False,
    json_output: Json = False,
) -> None:
    """Join the shares of a sweep of either kind (--shard I/N) into the run folder of the whole sweep, byte for byte."""
    with user_input(), ExitStack() as stack:
        from clopsim.runs import ready

        ready.check_libraries(*ready.WRITERS)
        from clopsim.runs import folder as runs
        from clopsim.runs import store

        shares = []
        for folder in folders:
            found = store.load(folder)
            if found is None:
                raise ValueError(f"folders must hold shares of a sweep, got {str(folder)!r}; see sweep --shard")
            stack.enter_context(store.locked(folder))
            shares.append(found)
        try:
            stack.enter_context(store.locked(out))
            summary = runs.finish(runs.merge(shares, out, force=force))
        except OSError as error:
            raise Stopped(f"{error.strerror} ({error.filename}); the shares are untouched", WRONG_INPUT) from None
        except ValueError:
            raise  # about the shares or the folder
        except Exception as error:
            raise Stopped(f"{message(error)}; the shares are untouched", FAILS) from error
        warn_of_machines(out)
    typer.echo(json.dumps(summary, indent=2, allow_nan=False) if json_output else tables.report(summary, out))
    raise typer.Exit(status(summary))
