"""Which code a run was computed by: the same code on the same kind of machine gives the same bits. Imports no torch."""

import hashlib
import importlib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from platform import python_version

from clopsim import bounds

ROOMS = ("losses", "metrics", "runs", "sphere", "training")
"""Rooms of clopsim that decide bits of a result, beside the theory in bounds."""

MODULES = {"scikit-learn": "sklearn"}
"""Packages that are not imported under their own name."""


def version(package: str) -> str:
    """The version of a package, installed or only importable; "unknown" where it does not say.

    clopsim itself may be a source tree that nobody installed: then it is the tree's own version, and that is said.
    """
    try:
        if found := metadata.version(package):
            return found
    except (metadata.PackageNotFoundError, KeyError):  # KeyError: metadata without a version
        pass
    if package == "clopsim":
        return f"{_of_this_tree()} (not installed)"
    try:
        return str(importlib.import_module(MODULES.get(package, package)).__version__)
    except (ImportError, AttributeError):
        return "unknown"


def _of_this_tree() -> str:
    try:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"]) if project["name"] == "clopsim" else "unknown"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


REMEDIES = {
    "data": "bring those back, or start again with --force",
    "threads": "set OMP_NUM_THREADS to that, or start again with --force",
}
"""What to do about another thing than the code."""


@cache
def code() -> Mapping[str, str]:
    """What decides the bits of a result: a digest of the theory's and the simulator's source, and library versions."""
    digest = hashlib.sha256()
    house = Path(__file__).parents[1]
    for root in (Path(bounds.__file__).parent, *(house / room for room in ROOMS)):
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{root.name}/{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    libraries = {name: version(name) for name in ("numpy", "scipy", "torch")}
    return {"source": digest.hexdigest()[:16], "python": python_version(), **libraries}


def check_code(planned: Mapping[str, str], found: Mapping[str, str], *, where: str) -> None:
    """ValueError unless the code that is found gives the same results as the planned code.

    What else decides the bits of a run stands there too: the data that were read, the threads of a training.
    """
    for name, value in planned.items():
        if found.get(name) != value:
            other = f"got {name} {value} there and {found.get(name)} in {where}"
            remedy = "use that version, or start again with --force"
            what = name if name in REMEDIES else "code"
            raise ValueError(f"out must go on with the {what} it began with, {other}; {REMEDIES.get(name, remedy)}")
