"""One progress bar for all that takes long, in a terminal and in a notebook; silent anywhere else."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

EVERY = 0.1
"""Seconds between two looks of the bar."""

BAR = "{desc} {percentage:3.0f} %|{bar}| {elapsed} {postfix}"


@contextmanager
def progress(label: str) -> Iterator[Callable[..., None]]:
    """A bar on stderr, or in a notebook's cell, that takes the share done, in [0, 1], and a note."""
    if not (_in_notebook() or sys.stderr.isatty()):
        yield lambda share, note="": None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without widgets: its bar is plain text then
        from tqdm.auto import tqdm
    with tqdm(total=1.0, desc=f"{label:<8}", bar_format=BAR, file=sys.stderr, leave=False) as bar:
        shown = float("-inf")

        def advance(share: float, note: str = "") -> None:
            nonlocal shown
            bar.n = min(1.0, share)
            bar.set_postfix_str(note, refresh=False)
            if share >= 1.0 or monotonic() - shown >= EVERY:  # a note may change where the share does not
                shown = monotonic()
                bar.refresh()

        yield advance


def _in_notebook() -> bool:
    """Whether a Jupyter kernel shows what is printed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
