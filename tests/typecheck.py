"""mypy over clopsim as the build lays it out: `python -m tests.typecheck [arguments of mypy]`.

mypy follows folders and not `__path__`, by which a checkout finds clopsim.bounds and clopsim.figures beside clopsim.
So it reads a copy in which they lie within.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

INSTALLED = ROOT / ".mypy_cache" / "installed"

ROOMS = {"clopsim": "clopsim", "bounds": "clopsim/bounds", "figures": "clopsim/figures"}
"""Folder of the checkout to folder of an installation, as in [tool.setuptools.package-dir]."""


def lay_out(folder: Path) -> None:
    """Copy the Python files to where an installation has them."""
    shutil.rmtree(folder, ignore_errors=True)
    for here, there in ROOMS.items():
        for path in (ROOT / here).rglob("*.py*"):
            if path.suffix in (".py", ".typed"):
                copy = folder / there / path.relative_to(ROOT / here)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy)  # with its time: mypy's cache stays good


def main() -> int:
    """Status 0: no error of types."""
    lay_out(INSTALLED)
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *settings, *sys.argv[1:]], cwd=INSTALLED, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
