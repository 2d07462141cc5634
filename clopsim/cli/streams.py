"""Standard streams that were closed before the command began."""

import errno
import io
import os
import sys


class Closed(io.TextIOBase):
    """In place of a stdout that nobody reads: whoever prints there is told, as on a full disk."""

    def write(self, text: str) -> int:
        """Errors: OSError."""
        raise OSError(errno.EBADF, "stdout is closed")


def hold() -> None:
    """Keep the numbers of closed streams from files that are opened later, into which things would be printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
