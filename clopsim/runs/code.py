"""Which code a run was computed by: the same code on the same kind of machine gives the same bits. Imports no torch."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import bounds

ROOMS = ("losses", "metrics", "runs", "sphere", "training")
"""Rooms of clopsim that decide bits of a result, beside the theory in bounds."""

SAME_BITS = frozenset({"8d190603fe5c4961"})
"""Sources of earlier versions that give the bits of today's: 8d19... is that before the rooms were built. A test goes
on with runs of theirs; a change that alters a result empties this set."""


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
    """ValueError unless the code that is found gives the same results as the planned code."""
    for name, value in planned.items():
        earlier = name == "source" and value in SAME_BITS and found.get(name) == code()["source"]
        if found.get(name) != value and not earlier:
            other = f"got {name} {value} there and {found.get(name)} in {where}"
            remedy = "use that version, or start again with --force"
            raise ValueError(f"out must go on with the code it began with, {other}; {remedy}")
