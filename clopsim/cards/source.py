"""A loss in somebody's file, FILE.py:NAME: the file is run, as they asked."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULE = "loss_of_a_card"
"""Name under which the file is known while it is used."""


def loaded(text: str) -> str | Callable[..., Any]:
    """The function that FILE.py:NAME names; other words are names of losses and come back as they are.

    Errors: ValueError for a file that is not there or does not run, and for a name that is not in it.
    """
    place, colon, name = text.rpartition(":")
    if not colon:
        if text.endswith(".py"):
            raise ValueError(f"function must name a loss in the file, got {text!r}; write {text}:NAME")
        return text
    path = Path(place).expanduser()
    if path.suffix != ".py":
        raise ValueError(f"function must be a loss of ours or FILE.py:NAME, got {text!r}; the file must end in .py")
    if not path.is_file():
        raise ValueError(f"function must be in a file that is there, got {place!r}; check the path")
    module = _run(path)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")
               and getattr(value, "__module__", MODULE) == MODULE]  # fmt: skip
        has = f"it has {', '.join(own)}" if own else "it has no function"
        raise ValueError(f"function must be in {place!r}, got {name!r}; {has}")
    found = getattr(module, name)
    if not callable(found):
        raise ValueError(f"function must be callable, got {name!r} of {place!r}, a {type(found).__name__}; give a loss")
    return found


def _run(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(MODULE, path)
    if specification is None or specification.loader is None:
        raise ValueError(f"function must be in a Python file, got {str(path)!r}; name one that ends in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[MODULE] = module  # dataclasses look themselves up there
    sys.path.insert(0, str(path.parent.resolve()))  # its neighbours are imported from where it lies
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
        line = f" in line {own[-1].lineno}" if own else ""
        if isinstance(error, SyntaxError) and error.lineno:
            line = f" in line {error.lineno}"
        why = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"function must be in a file that runs, got {type(error).__name__}{line} of {str(path)!r}: {why}; "
            "run it with python first"
        ) from None
    finally:
        sys.path.pop(0)
    return module
