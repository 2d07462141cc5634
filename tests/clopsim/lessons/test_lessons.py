"""The class in an hour: the notebooks run, hold no outputs, and their checker knows right from wrong."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from typer.testing import CliRunner

from clopsim import cli
from clopsim.bounds import Setting, class_effective_rank, class_equilibrium, collapse_rate, uniform_rate
from clopsim.bounds.derivation import Derivation
from clopsim.lab import assemble
from clopsim.lessons import EXERCISES, LAB, NOTEBOOKS, TEACHER, check, read

PICTURES = dict(zip(NOTEBOOKS, (2, 1, 3), strict=True))
"""Of a run without ipywidgets, where a slider is one picture."""
FEWEST_BYTES = 15_000
"""Of a picture in base64: an empty pair of axes takes less."""

n, mu, tau = sp.symbols("n mu tau", positive=True)


def cells(notebook: str, kind: str = "code") -> list[dict]:
    return [cell for cell in json.loads(read(notebook))["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_runs_top_to_bottom_with_its_pictures(name, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))  # no kernel or start-up file of whoever runs this
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    notebook = nbformat.reads(read(name), as_version=4)
    first = re.search(r"slide\(show, \[([\d.]+)", read(name))[1]
    notebook.cells.append(nbformat.v4.new_code_cell(f"_ = show({first})"))  # a slider moved after all has run
    notebook.cells.append(nbformat.v4.new_code_cell("import sys; sys.executable"))
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.create_kernel_manager()
    assert client.km.ip == "127.0.0.1"
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    shown = [output.data for output in outputs if "data" in output]
    pictures = [data["image/png"] for data in shown if "image/png" in data]
    assert len(pictures) == PICTURES[name]
    assert min(map(len, pictures)) > FEWEST_BYTES
    texts = [data["text/plain"] for data in shown]
    assert texts[-1] == repr(sys.executable)
    assert sum(text.endswith("not answered yet") for text in texts) == 3


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_are_short_and_stored_without_outputs(name):
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.reads(read(name), as_version=4))
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(name))
    assert len(cells(name)) <= 12


def test_every_exercise_is_asked_once_and_left_open():
    asked = [cell["source"] for name in NOTEBOOKS for cell in cells(name) if "check(" in "".join(cell["source"])]
    assert ["".join(source) for source in asked] == [f'answer = ...\ncheck("{name}", answer)' for name in EXERCISES]
    assert [check(name, ...).right for name in EXERCISES] == [None] * 9


def tangent_factor() -> sp.Expr:
    """As lesson 2 derives the ambient factor, with the gradient projected."""
    names: dict = {}
    for cell in cells(NOTEBOOKS[1])[:4]:
        exec("".join(cell["source"]).replace("mu * g", "mu * (g - g.dot(a.subs(place)) * a.subs(place))"), names)
    return names["factor"]


@pytest.fixture(scope="module")
def solutions() -> dict:
    """As a student finds them: by the calls and the algebra that the notebooks show."""
    four = {"classes": 4, "per_class": 8, "temperature": 0.5, "dimension": 8}
    x = sp.symbols("x")
    detached = (1 + x / (n - 1)) / (1 - x)  # x = mu/tau: half of the 2 mu/tau of symmetric keys
    return {
        "collapse.1": collapse_rate(Setting(0.1, 128, 64, reduction="mean")),
        "collapse.2": uniform_rate(Setting(0.2, 3, 48)).degree,
        "collapse.3": min(m for m in range(3, 99) if collapse_rate(Setting(0.5, 8, m)) < 0.56),
        "bound.1": tangent_factor(),
        "bound.2": sp.solve(1 - 2 * mu / tau, mu)[0],
        "bound.3": tau * sp.solve(detached + 1, x)[0],
        "rescue.1": (1 + 2 * (1 + 1) / 0.5) / 2,  # mu lambda = 1 + mu (1 + c)/tau
        "rescue.2": class_equilibrium(16.0, **four).cosine,
        "rescue.3": (class_effective_rank(-1 / 9, classes=10), class_effective_rank(0.0, classes=10)),
    }


@pytest.mark.parametrize("name", EXERCISES)
def test_solutions_pass_and_answers_5_percent_off_fail(name, solutions):
    right = solutions[name]
    assert check(name, right).right
    assert repr(check(name, right)) == f"{name}: right"
    off = tuple(1.05 * part for part in right) if isinstance(right, tuple) else right * sp.Rational(21, 20)
    for wrong in (off, None, "a guess", True, float("nan"), (1.0,), np.zeros(3), sp.Symbol("y"), sp.I, Derivation):
        verdict = check(name, wrong)
        assert verdict.right is False
        assert verdict.message.startswith(f"{name}: wrong. Hint: ")


@pytest.mark.parametrize("name, wrong, why", [
    ("collapse.1", collapse_rate(Setting(0.1, 128, 64)), "for the sum over the anchors"),
    ("collapse.1", 6.4, "n tau"),
    ("collapse.2", uniform_rate(Setting(0.2, 3, 48)).rate, "the degree is asked"),
    ("collapse.3", 10, "Just too small"),
    ("bound.1", (2 * mu + n * tau - tau) / ((tau - 2 * mu) * (n - 1)), "of the ambient gradient"),  # lesson 2
    ("bound.1", 1 + 2 * mu / tau, "limit of many points"),
    ("bound.2", tau, "the edge of the range"),
    ("bound.3", tau * (n - 1) / (n - 2), "with symmetric keys"),
    ("bound.3", 2 * tau, "limit of many points"),
    ("rescue.1", 4.0, "H alone"),
    ("rescue.2", -1 / 3, "the simplex"),
    ("rescue.2", -0.1328, "at another weight"),
    ("rescue.3", (10, 9), "other way round"),
])  # fmt: skip
def test_usual_wrong_answers_are_told_why(name, wrong, why):
    verdict = check(name, wrong)
    assert verdict.right is False
    assert verdict.message.startswith(f"{name}: wrong. ")
    assert why in verdict.message
    assert "Hint" not in verdict.message


def test_numbers_of_every_kind_count():
    rank = EXERCISES["rescue.1"].solution()
    assert all(check("rescue.1", kind(rank)).right for kind in (float, np.float64, np.float32, np.asarray, sp.Float))
    assert check("rescue.3", [9, 10]).right
    assert check("bound.2", sp.Symbol("tau") / 2).right  # symbols count by name, whatever is assumed of them
    assert check("bound.1", 1 + 2 * mu / tau).right is False  # the limit of large n is another formula


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match="exercise must be one of collapse.1, .*, got 'collapse.9'"):
        check("collapse.9", 1.0)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_begins_with_a_prediction_that_its_pictures_show(name):
    code = ["".join(cell["source"]) for cell in cells(name)]
    assert code[1] == "prediction = commit(...)"
    assert sum(re.search(r"\(.*\bprediction, .*label=\"your prediction\"", text) is not None for text in code) == 1
    assert sum("slide(" in text for text in code) == 1


def test_links_lead_to_the_stops_of_the_lab_that_they_name():
    """A number and a name each, as the tour of the lab has them."""
    tour = Path(cli.__file__).parents[1] / "lab" / "tour.js"
    names = re.findall(r'name: "([^"]*)", theorem', tour.read_text(encoding="utf-8"))
    linked = []
    for notebook in NOTEBOOKS:
        text = " ".join("".join("".join(cell["source"]) for cell in cells(notebook, "markdown")).split())
        for number, name, stop in re.findall(r"\[stop (\d+), ([^\]]*)\]\(lab\.html#stop=(\d+)\)", text):
            assert number == stop
            assert names[int(stop) - 1] == name
            linked.append(notebook)
    assert set(linked) == set(NOTEBOOKS)


def test_the_teachers_page_has_every_solution():
    rows = re.findall(r"^\| `([a-z]+\.\d)` \| `([^`]*)` \|", TEACHER.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(EXERCISES)
    for name, answer in rows:
        assert check(name, tuple(sp.sympify(answer)) if answer[0] == "(" else sp.sympify(answer)).right, name


@pytest.fixture
def clopsim(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(cli.app, ["lessons", *words])


def test_the_command_writes_them_and_says_how_to_open_them(clopsim):
    result = clopsim()
    assert result.exit_code == 0
    paths = [Path("clopsim-lessons") / name for name in NOTEBOOKS]
    page = Path("clopsim-lessons") / LAB
    lines = result.stdout.splitlines()
    files, jupyter, install = lines[:4], *lines[4:6]
    teacher = " ".join(lines[6:])  # a long path has a line of its own
    assert files == [*map(str, paths), str(page)]
    assert jupyter == 'open them with: jupyter lab "clopsim-lessons"'
    assert install == 'to get that: pip install "clopsim[lessons]"'
    assert Path(teacher.removeprefix("for the teacher, with solutions: ")).samefile(TEACHER)
    assert [path.read_text(encoding="utf-8") for path in paths] == list(map(read, NOTEBOOKS))
    assert page.read_text(encoding="utf-8") == assemble()
    assert sorted(Path("clopsim-lessons").iterdir()) == [*paths, page]


def test_answers_are_replaced_only_with_force(clopsim):
    Path("mine").mkdir()
    answers = Path("mine") / NOTEBOOKS[1]
    answers.write_text("answers")
    result = clopsim("--out", "mine")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"clopsim: --out must not hold {NOTEBOOKS[1]}, got mine; add --force to replace what is there\n"
    )
    assert [(path.name, path.read_text()) for path in Path("mine").iterdir()] == [(NOTEBOOKS[1], "answers")]
    assert clopsim("--out", "mine", "--force").exit_code == 0
    assert answers.read_text(encoding="utf-8") == read(NOTEBOOKS[1])


def test_wrong_places_are_one_plain_line(clopsim):
    Path("file").write_text("mine")
    for out, message in (
        ("file", "--out must be a folder, got the file file; choose another name"),
        ("file/x", "--out could not be written to file/x: Not a directory; choose another place"),
    ):
        result = clopsim("--out", out)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"clopsim: {message}\n"
    assert [path.name for path in Path().iterdir()] == ["file"]
