"""Every figure redraws in its quick form, meets the theory, and is the same bytes twice."""

import csv
import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

import figures
from clopsim import cli
from figures.drawing import Drawing, Gap, save
from figures.runs import Run

FOLDER = Path(figures.__file__).parent
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
def clopsim(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(cli.app, ["figures", *words])


def test_the_command_writes_pictures_and_numbers_and_prints_the_gap(clopsim, monkeypatch):
    result = clopsim("collapse_sweep", "--quick", "--out", "new/folder", "--format", "svg,pdf")
    assert result.exit_code == 0, result.output
    assert re.match(r"collapse_sweep +holds  gap \S+, allowed 0.01: searched collapse rate from mu_c", result.stdout)
    assert result.stderr == ""
    written = {path.name for path in Path("new/folder").iterdir()}
    assert written == {"collapse_sweep.csv", "collapse_sweep.svg", "collapse_sweep.pdf"}
    drawing = figures.draw("collapse_sweep", measured("collapse_sweep"))
    failing = Drawing(drawing.figure, drawing.numbers, gaps=(Gap("never", float("nan"), 1.0),))
    monkeypatch.setattr(figures, "draw", lambda *args, **kwargs: failing)
    result = clopsim("collapse_sweep", "--quick")
    assert result.exit_code == 1
    assert "FAILS" in result.stdout


@pytest.mark.parametrize(
    "words, message",
    [
        (["nothing"], "NAME must be one of collapse_sweep, "),
        (["--format", "jpg"], "--format must be one of png, svg, pdf, got 'jpg'"),
        (["--out", "file/folder"], "--out must be writable, got 'file/folder'"),
    ],
)
def test_wrong_input_is_one_plain_line_and_status_2(clopsim, words, message):
    Path("file").write_text("")
    result = clopsim(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert [path.name for path in Path().iterdir()] == ["file"]
