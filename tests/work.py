"""What the workers of the executor tests do; a module, so that other processes can import it."""

import os
import signal
from pathlib import Path
from typing import Any


def work(payload: tuple[str, Any], worker: int) -> Any:
    """Square a number, raise, die always, or die while a file is not there; or tell the worker's number."""
    what, value = payload
    if what == "raise":
        raise ArithmeticError(f"no {value}\nhere")
    if what == "die" or (what == "die once" and not Path(value).exists()):
        if what == "die once":
            Path(value).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "worker":
        return worker
    return value if what == "die once" else value**2
