"""The plan of the house: figures -> clopsim -> bounds, and bounds without torch."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "bounds": {"torch", "clopsim", "figures", "xarray", "matplotlib"},
    "clopsim": {"figures"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_import_against_the_arrows(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    for path in paths:
        assert not imported(path) & FORBIDDEN[package], path.name
