"""Every figure redraws in its quick form, meets the theory, and is the same bytes twice."""

import ast
import csv
import importlib
import inspect
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clopsim import figures
from clopsim.figures import runs
from clopsim.figures.drawing import Drawing, Gap, save
from clopsim.figures.runs import Run

FOLDER = Path(figures.__file__).parent
ROOT = FOLDER.parent
TWICE = ("phase_batch", "instability_spectrum")
"""Redrawn twice: one with a map of colours, one with lines."""


shares: dict[str, list[float]] = {}


@cache
def measured(name: str) -> Run:
    return figures.measure(name, quick=True, on_progress=shares.setdefault(name, []).append)


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_quick_drawing_meets_the_theory(name, tmp_path):
    drawing = figures.draw(name, measured(name))
    for gap in drawing.gaps:
        assert gap.holds, gap
    assert shares[name] == sorted(shares[name])
    assert shares[name][-1] == pytest.approx(1)
    forms = ("png", "svg", "pdf")
    paths = save(drawing, name, tmp_path, formats=forms)
    assert [path.suffix for path in paths] == [".csv", ".png", ".svg", ".pdf"]
    if name in TWICE:
        (tmp_path / "again").mkdir()
        for path in save(figures.draw(name, measured(name)), name, tmp_path / "again", formats=forms):
            assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_measured_run_is_kept_whole(name, tmp_path):
    runs.keep(tmp_path, name, measured(name))
    found = runs.recall(tmp_path, name, quick=True)
    assert found is not None
    assert {*found.arrays} == {*measured(name).arrays}
    for each, values in measured(name).arrays.items():
        np.testing.assert_array_equal(found[each], values, strict=True)


def test_the_figures_of_digits_agree_where_they_train_for_as_long():
    lasting, digits = measured("training_steps"), measured("training")
    steps, loss = lasting["steps"].tolist().index(digits["step"]), digits["loss"].tolist().index("infonce")
    for name in ("linear_probe", "effective_rank", "squared_norm"):
        np.testing.assert_array_equal(lasting[name][:, steps], digits[name][:, loss])
        assert (lasting[name][:, steps] != lasting[name][:, steps - 1]).any()


FORMULAS = {
    "collapse_sweep": {"critical_rates": ("collapse_rate",)},
    "collapse_temperatures": {"critical_rates": ("collapse_rate",)},
    "phase_temperature": {"collapse_rate": (), "uniform_rate": ("rate",)},
    "phase_batch": {"exact_rate": ()},
    "instability_spectrum": {"harmonic_spectrum": ("e",)},
    "alignment_bifurcation": {"alignment_uniform_rate": (), "swap_cosine": ()},
    "full_against_merged": {
        "critical_rates": ("collapse_rate", "alignment_collapse_rate", "antipodal_line_rate"),
    },
    "clop_rescue": {"gradient_bound": (), "rescue_angle": (), "leading_share_bound": ()},
    "clop_equilibrium": {"class_equilibrium": ("cosine",), "critical_weight": ()},
    "ascent": {"largest_loss": ()},
    "zoo": {
        "attracting_rates": ("below", "above"),
        "class_loss": ("attraction",),
        "class_state": ("pull",),
        "coding_optimum": ("highest",),
        "collapse_spectrum": ("curvatures",),
        "contrastive_slopes": (),
        "line_rate": (),
        "lorac_line": ("pull",),
        "pauc_simplex": ("pull",),
        "positive_weights": (),
        "relaxed_collapse_rate": (),
        "simo_optimum": ("inside",),
        "unhinged_pull": ("length",),
        "unhinged_rate": (),
    },
    "free_norm": {"decayed_view_cosine": (), "steady_squared_norm": (), "two_view_step": ()},
    "sharpness": {"growth_on_a_quadratic": ()},
    "networks_angle": {"decayed_view_cosine": (), "effective_rate": ()},
}
"""What each figure draws as theory: the function, and its fields where it returns a record."""

UNITS = {
    ("collapse_sweep", "exact_rate"),
    ("collapse_sweep", "uniform_rate"),
    ("ascent", "exact_rate"),
    ("phase_temperature", "uniform_is_resolved"),
    ("full_against_merged", "exact_rate"),
    ("clop_rescue", "exact_rate"),
    ("collapse_temperatures", "uniform_rate"),
    ("collapse_temperatures", "uniform_is_resolved"),
    ("full_against_merged", "alignment_uniform_rate"),
}
"""Functions of the theory that give a unit there, or a line that the run does not search: phase_batch,
phase_temperature and alignment_bifurcation hold them."""


@cache
def full_or_quick(name: str) -> Run:
    """A run that meets the theory to 5 %: the quick form of networks_angle, one seed, is too noisy for that."""
    run = committed_run(name) if name == "networks_angle" else measured(name)
    assert figures.draw(name, run).holds
    return run


def committed_run(name: str) -> Run:
    """The run behind a committed CSV file that has every column of it."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = {column: np.array([row[column] for row in rows]) for column in rows[0]}
    words = ("embedder", "loss")
    return Run({column: values if column in words else values.astype(float) for column, values in text.items()})


def off(value: Any, factor: float, field: str = "") -> Any:
    """The value of a formula, or one field of its record, wrong by a factor."""
    if field:
        wrong = {field: off(getattr(value, field), factor)}
        return value._replace(**wrong) if hasattr(value, "_replace") else replace(value, **wrong)
    return None if value is None else value * factor


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize(
    "name, formula, field",
    [(name, each, field) for name, own in FORMULAS.items() for each, fields in own.items() for field in fields or [""]],
)
def test_a_gap_fails_when_a_formula_is_5_percent_off(name, formula, field, factor, monkeypatch):
    run, module = full_or_quick(name), importlib.import_module(f"clopsim.figures.{name}")
    right = getattr(module, formula)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        value = right(*args, **kwargs)
        return 1 - off(1 - value, factor) if formula == "decayed_view_cosine" else off(value, factor, field)

    monkeypatch.setattr(module, formula, wrong)
    monkeypatch.setattr(sys.modules[inspect.unwrap(right).__module__], formula, wrong)  # for its callers there
    assert not figures.draw(name, run).holds


def test_no_formula_of_a_figure_is_left_out():
    for name in figures.NAMES:
        imported = {
            each.name
            for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text()))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clopsim.bounds")
            for each in node.names
            if each.name.islower()  # functions: records and choices are capitalised
        }
        assert imported <= {*FORMULAS.get(name, {}), *(each for figure, each in UNITS if figure == name)}, name


def test_the_bits_depend_neither_on_the_process_nor_on_the_number_of_threads(tmp_path):
    """A figure of small networks: with threads their last bits differ, and in the end everything that is seen."""
    command = [sys.executable, "-m", "clopsim", "figures", "paper_synthetic", "--quick", "--format", "png,svg,pdf"]
    processes = [
        subprocess.Popen(
            [*command, "--out", tmp_path / threads], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": threads}
        )
        for threads in ("1", "2")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(list((tmp_path / "1").iterdir())) == 4
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", figures.NAMES)
def test_the_committed_picture_is_small_and_has_its_numbers_and_a_caption(name):
    assert (FOLDER / f"{name}.png").stat().st_size < 200_000
    with (FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert len(rows) > 10
    assert all(len(row) == len(header) for row in rows)
    caption = figures.caption(name)
    assert len(caption) > 100
    assert "\n\n" in caption  # a first sentence for the gallery, then the details


def test_no_figure_is_left_out_of_the_gallery():
    drawn = {
        path.stem
        for path in FOLDER.glob("*.py")
        if re.search(r"^def measure\(\*, quick", path.read_text(), re.MULTILINE)
    }
    assert drawn == set(figures.NAMES)
    assert {path.stem for path in FOLDER.glob("*.png")} == drawn


@pytest.fixture
def clopsim(clopsim):
    return partial(clopsim, "figures")


def test_the_command_writes_pictures_and_numbers_and_prints_the_gap(clopsim, monkeypatch):
    result = clopsim("collapse_sweep", "--quick", "--out", "new/folder", "--format", "svg,pdf")
    assert result.exit_code == 0, result.output
    assert re.match(r"collapse_sweep +holds  gap \S+, allowed 0.01: searched collapse rate\n +from mu_c", result.stdout)
    assert result.stderr == ""
    written = {path.name for path in Path("new/folder").iterdir()}
    assert written == {"collapse_sweep.csv", "collapse_sweep.svg", "collapse_sweep.pdf"}
    drawing = figures.draw("collapse_sweep", measured("collapse_sweep"))
    failing = Drawing(drawing.figure, drawing.numbers, gaps=(Gap("never", float("nan"), 1.0),))
    monkeypatch.setattr(figures, "draw", lambda *args, **kwargs: failing)
    result = clopsim("collapse_sweep", "--quick")
    assert result.exit_code == 1
    assert "FAILS" in result.stdout


def test_figures_that_are_there_are_replaced_with_force_alone(clopsim, monkeypatch):
    first = measured("collapse_sweep")
    monkeypatch.setattr(figures, "measure", lambda name, **_: first)
    Path("figures").mkdir()
    Path("figures/collapse_sweep.csv").write_text("mine")
    for words in (["collapse_sweep"], ["phase_batch", "collapse_sweep", "--format", "svg"], []):
        refused = clopsim(*words, "--quick")
        assert (refused.exit_code, refused.stdout) == (2, "")
        name = "collapse_sweep.csv"
        line = f"clopsim: --out must not hold {name}, got figures; add --force to replace what is there\n"
        assert refused.stderr == line
    assert [path.read_text() for path in Path("figures").iterdir()] == ["mine"]
    assert clopsim("collapse_sweep", "--quick", "--force").exit_code == 0
    assert Path("figures/collapse_sweep.csv").read_text() != "mine"
    assert {path.name for path in Path("figures").iterdir()} == {"collapse_sweep.csv", "collapse_sweep.png"}
    assert ", got figures;" in clopsim("collapse_sweep", "--quick").stderr
    assert clopsim("collapse_sweep", "--quick", "--out", "figures", "--format", "svg").exit_code == 2


@pytest.mark.parametrize(
    "words, message",
    [
        (["colapse_sweep"], "NAME must be one of collapse_sweep, "),
        (["colapse_sweep"], ", got 'colapse_sweep'; the nearest is 'collapse_sweep'"),
        (["histogram"], ", got 'histogram'; choose one of them"),
        (["--format", "jpg"], "--format must be one of png, svg, pdf, got 'jpg'"),
        (["--format", ""], "--format must have a value, got an empty one"),
        (["--out", "file/folder"], "--out must be writable, got 'file/folder'"),
        (["--out", ".", "--runs", "file"], "--runs must be writable, got 'file'"),
    ],
)
def test_wrong_input_is_one_plain_line_and_status_2(clopsim, words, message):
    Path("file").write_text("")
    result = clopsim(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_an_interrupted_command_says_what_is_written_and_leaves_nothing_half_written(clopsim, monkeypatch):
    first = measured("collapse_sweep")

    def measure(name: str, **_: Any) -> Run:
        if name == "phase_batch":
            raise KeyboardInterrupt
        return first

    monkeypatch.setattr(figures, "measure", measure)
    result = clopsim("collapse_sweep", "phase_batch", "--quick", "--out", "new")
    assert result.exit_code == 130
    assert result.stderr == "clopsim: interrupted at phase_batch; written: collapse_sweep in new\n"
    assert {path.name for path in Path("new").iterdir()} == {"collapse_sweep.csv", "collapse_sweep.png"}
