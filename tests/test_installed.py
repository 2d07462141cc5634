"""An installed clopsim owns one import name, and a checkout finds its rooms by the same names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.typecheck import ROOT, lay_out

SCRIPT = """
import clopsim, bounds, figures
from clopsim.bounds import Setting, exact_rate
from clopsim.figures import NAMES
from clopsim.losses import info_nce
print(bounds.MINE, figures.MINE, exact_rate(Setting(0.5, 8, 32)), clopsim.critical_rates(tau=0.5).collapse_rate)
"""


def run_beside_files_of_the_same_names(folder: Path, python_path: Path) -> str:
    """What a user's script prints whose folder has files bounds.py and figures.py too."""
    for name in ("bounds", "figures"):
        (folder / f"{name}.py").write_text(f"MINE = 'my {name}'\n")
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(python_path)}
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_checkout_stands_beside_a_users_bounds_and_figures(tmp_path):
    assert run_beside_files_of_the_same_names(tmp_path, ROOT).startswith("my bounds my figures 0.516")


def test_an_installed_clopsim_is_one_name_and_whole(tmp_path):
    pytest.importorskip("setuptools", minversion="77")
    source, target, script = tmp_path / "source", tmp_path / "site", tmp_path / "script"
    source.mkdir(), script.mkdir()
    for name in ("clopsim", "bounds", "figures"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, *install, str(source)], check=True, capture_output=True)
    assert {path.name for path in target.iterdir() if path.suffix != ".dist-info"} <= {"clopsim", "bin"}
    lay_out(tmp_path / "expected")
    for path in (tmp_path / "expected").rglob("*.py*"):
        assert (target / path.relative_to(tmp_path / "expected")).is_file(), path
    pages = [*(source / "clopsim").glob("*/*.[!p]*"), source / "bounds" / "THEORY.md"]  # style, scripts, notebooks
    assert len(pages) > 30
    for path in pages:
        name = path.relative_to(source).as_posix().removeprefix("clopsim/")
        assert (target / "clopsim" / name).is_file(), name
    assert run_beside_files_of_the_same_names(script, target).startswith("my bounds my figures 0.516")
