"""Measured runs of figures, kept in a folder, so that a figure is drawn again without simulating.

A kept run is used only for the same figure and size and the same code: everything in the figure's file but the
functions that draw, the other files of figures that it imports, theory, simulator and library versions. So a change in
a drawing leaves the runs as they are, and no number is shown that today's code would not measure on that machine.
"""

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from clopsim.runs import store
from clopsim.runs.chunks import machine
from clopsim.runs.code import code, version

Arrays = Mapping[str, NDArray[Any]]

DRAWS = re.compile("draw|_?draw_.*")
"""Functions of a figure's file that draw; nothing that measures names one, so that their text decides no number."""

PACKAGE = "clopsim.figures"

LOOKS = tuple(f"{PACKAGE}.{each}" for each in ("drawing", "runs", "spheres", "style"))
"""Files of figures that decide no number either."""


@dataclass(frozen=True)
class Run:
    """What a figure shows, as measured."""

    arrays: Arrays
    quick: bool = False
    date: str | None = None  # of the measurement, if it was kept; None: fresh

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]


class Unusable(ValueError):
    """A kept run that must not be drawn."""


def path(folder: Path, name: str, *, quick: bool) -> Path:
    """Where the run of a figure is kept."""
    return folder / f"{name}{'-quick' if quick else ''}.run"


def keep(folder: Path, name: str, run: Run) -> None:
    """Keep a run; the one that stood there is replaced when the new one is complete. Errors: OSError."""
    header = {
        **_identity(name, quick=run.quick),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(torch.device("cpu")),
    }
    store.write_atomically(path(folder, name, quick=run.quick), store.seal(header, run.arrays))


def recall(folder: Path, name: str, *, quick: bool) -> Run | None:
    """The kept run of a figure; None where there is none. Errors: Unusable, saying why; OSError."""
    where = path(folder, name, quick=quick)
    try:
        header, payload = store.unseal(where)
    except FileNotFoundError:
        return None
    except store.Damaged:
        raise Unusable(f"{where} is damaged or no stored run") from None
    expected = _identity(name, quick=quick)
    if [header.get(key) for key in ("figure", "quick")] != [name, quick]:
        raise Unusable(f"{where} is a stored run of another figure or size")
    for key, value in expected["code"].items():
        if (found := header["code"].get(key)) != value:
            raise Unusable(f"{where} was measured by other code ({key} {found}, now {value})")
    return Run(store.arrays(payload), quick, header["date"])


def _identity(name: str, *, quick: bool) -> dict[str, Any]:
    measured_by = {**code(), "scikit-learn": version("scikit-learn"), "figure": _measurement(name)}
    return {"figure": name, "quick": quick, "code": measured_by}


def _measurement(name: str) -> str:
    """Digest of what measures a figure."""
    digest = hashlib.sha256()
    for measuring in syntax(f"{PACKAGE}.{name}"):
        digest.update(ast.dump(measuring).encode() + b"\0")
    return digest.hexdigest()[:16]


def syntax(module: str) -> Iterator[ast.Module]:
    """What decides a figure's numbers: the syntax of its file without drawing and docstrings; those that it imports."""
    tree = ast.parse(Path(__file__).with_name(module.removeprefix(f"{PACKAGE}.") + ".py").read_text(encoding="utf-8"))
    measuring = ast.Module([node for node in tree.body if not _only_draws(node)], [])
    for node in ast.walk(measuring):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            node.body = [each for each in node.body if not _is_text(each)]
    yield measuring
    for node in ast.walk(measuring):
        if isinstance(node, ast.ImportFrom):
            rooms = [f"{PACKAGE}.{each.name}" for each in node.names] if node.module == PACKAGE else [node.module or ""]
            for each in rooms:
                if each.startswith(f"{PACKAGE}."):
                    yield from syntax(each)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _only_draws(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module in LOOKS
    return isinstance(node, ast.FunctionDef) and bool(DRAWS.fullmatch(node.name))
