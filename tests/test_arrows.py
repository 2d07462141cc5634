"""The plan of the house: imports only go down the stairs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

STAIRS = (
    ("cli",),
    ("door", "figures", "lab", "lessons"),
    ("protocols", "runs"),
    ("audit", "cards", "training"),
    ("show", "sphere"),
    ("losses", "metrics"),
    ("bounds",),
)
"""Rooms from the top floor down; those of one floor do not know each other."""

FLOOR = {room: -height for height, rooms in enumerate(STAIRS) for room in rooms}

NEVER = {"bounds": {"torch", "xarray", "matplotlib"}}
"""Libraries that a room does without."""

FRONT_DOOR = ("__init__.py", "__main__.py")
"""Files of clopsim itself, which open every room."""


def files() -> Iterator[tuple[str, Path]]:
    for package in ("bounds", "clopsim", "figures"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if not (package == "clopsim" and parts[1] in FRONT_DOOR):
                yield parts[1] if package == "clopsim" else package, path


def imported(text: str) -> set[str]:
    """Full names of all modules that a file imports, here or there."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(name: str) -> str | None:
    """The room of an imported module of ours; None for anybody else's."""
    first, *rest = name.split(".")
    if first == "clopsim":
        return rest[0] if rest else "clopsim"
    return "nobody's" if first in FLOOR else None  # a folder's bare name: some user's own file


def upward(room: str, text: str) -> list[str]:
    """What a file of a room imports although it is not below."""
    found = []
    for name in sorted(imported(text)):
        other = room_of(name)
        if other not in (None, room) and not (other in FLOOR and FLOOR[other] < FLOOR[room]):
            found.append(name)
    return found


def test_every_file_stands_in_a_room():
    assert {room for room, _ in files()} == set(FLOOR)


@pytest.mark.parametrize("room", FLOOR)
def test_imports_only_go_down(room):
    paths = [path for where, path in files() if where == room]
    assert paths
    for path in paths:
        text = path.read_text()
        assert upward(room, text) == [], path.name
        assert not {name.split(".")[0] for name in imported(text)} & NEVER.get(room, set()), path.name


@pytest.mark.parametrize(
    "room, line, climbs",
    (
        ("metrics", "from clopsim.sphere.outcomes import classify", True),
        ("metrics", "from clopsim.losses import info_nce", True),  # the same floor
        ("sphere", "from clopsim import runs", True),
        ("sphere", "import clopsim", True),
        ("audit", "def f():\n    from clopsim.runs.store import Store", True),
        ("bounds", "from clopsim import figures", True),
        ("runs", "from bounds import Setting", True),  # a user's bounds.py
        ("runs", "from clopsim.bounds import Setting", False),
        ("runs", "from clopsim.training import loop", False),
        ("figures", "from clopsim.runs import store", False),
    ),
)
def test_an_import_upwards_is_noticed(room, line, climbs):
    assert bool(upward(room, line)) == climbs
