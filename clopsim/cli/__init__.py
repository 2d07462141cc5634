"""The command line: parsing and printing only. torch, xarray and matplotlib load inside the commands that need them.

One file per command; importing it registers the command, in the order of --help.
"""

import os
import sys
import warnings

from typer import rich_utils

from clopsim.cli.bounds import bounds
from clopsim.cli.card import card
from clopsim.cli.figures import figures
from clopsim.cli.inspect import inspect
from clopsim.cli.lab import lab
from clopsim.cli.lessons import lessons
from clopsim.cli.merge import merge
from clopsim.cli.runs import runs
from clopsim.cli.shell import app
from clopsim.cli.show import show
from clopsim.cli.streams import hold
from clopsim.cli.sweep import sweep
from clopsim.cli.threshold import threshold
from clopsim.cli.train import train
from clopsim.cli.train_sweep import train_sweep
from clopsim.cli.verify import verify
from clopsim.cli.zoo import zoo

__all__ = [
    "app",
    "bounds",
    "card",
    "figures",
    "inspect",
    "lab",
    "lessons",
    "main",
    "merge",
    "runs",
    "show",
    "sweep",
    "threshold",
    "train",
    "train_sweep",
    "verify",
    "zoo",
]


def main() -> None:
    """Entry point of the `clopsim` command."""
    hold()
    # Threads that wait should sleep: on a shared machine spinning makes a sweep two to five times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if os.environ.get("NO_COLOR"):
        rich_utils.COLOR_SYSTEM = None  # of --help, which would still be bold and dim
    if not sys.warnoptions:  # what libraries remark is no business of a command's user; ours are Remarks
        warnings.simplefilter("ignore")
    app()
