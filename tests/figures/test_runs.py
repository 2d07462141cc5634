"""A kept run is drawn for the same figure, size and code only, and gives the same bytes."""

import ast
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clopsim import figures
from clopsim.figures import runs
from clopsim.figures.runs import Run, Unusable

NAME = "alignment_bifurcation"
RUN = Run({"rate_over_mu_align": np.array([0.5, 1.5]), "samples": np.array(8), "view_cosine": np.ones((2, 1, 2))}, True)


@pytest.fixture
def clopsim(clopsim):
    return partial(clopsim, "figures", NAME, "--quick")


def test_a_figure_from_its_stored_run_is_the_same_bytes_without_simulating(clopsim, monkeypatch):
    first = clopsim("--runs", "kept", "--out", "first")
    assert first.exit_code == 0, first.output
    assert "stored" not in first.output
    assert [path.name for path in Path("kept").iterdir()] == [f"{NAME}-quick.run"]
    monkeypatch.setattr(figures, "measure", None)  # cannot be called
    second = clopsim("--runs", "kept", "--out", "second")
    assert second.exit_code == 0, second.output
    assert " (from stored run of 20" in second.stdout
    for path in Path("first").iterdir():
        assert path.read_bytes() == Path("second", path.name).read_bytes()


def test_a_kept_run_is_what_was_measured(tmp_path):
    runs.keep(tmp_path, NAME, RUN)
    found = runs.recall(tmp_path, NAME, quick=True)
    assert found is not None
    assert found.quick
    for name, values in RUN.arrays.items():
        np.testing.assert_array_equal(found[name], values, strict=True)
    assert runs.recall(tmp_path, NAME, quick=False) is None
    assert runs.recall(tmp_path, "free_norm", quick=True) is None


def test_every_flipped_byte_is_noticed(tmp_path):
    runs.keep(tmp_path, NAME, RUN)
    path = runs.path(tmp_path, NAME, quick=True)
    whole = path.read_bytes()
    for k in range(0, len(whole), 7):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :])
        with pytest.raises(Unusable, match=r"alignment_bifurcation-quick.run is damaged or no stored run"):
            runs.recall(tmp_path, NAME, quick=True)


def test_a_run_of_another_figure_or_size_is_not_drawn(tmp_path):
    runs.keep(tmp_path, NAME, RUN)
    content = runs.path(tmp_path, NAME, quick=True).read_bytes()
    for name, quick in (("free_norm", True), (NAME, False)):
        runs.path(tmp_path, name, quick=quick).write_bytes(content)
        with pytest.raises(Unusable, match="is a stored run of another figure or size"):
            runs.recall(tmp_path, name, quick=quick)


@pytest.mark.parametrize("key", ["source", "numpy", "torch", "scikit-learn", "figure"])
def test_a_run_of_other_code_is_not_drawn(tmp_path, monkeypatch, key):
    identity = runs._identity(NAME, quick=True)
    runs.keep(tmp_path, NAME, RUN)
    monkeypatch.setattr(runs, "_identity", lambda *_, **__: {**identity, "code": {**identity["code"], key: "9.9"}})
    with pytest.raises(Unusable, match=rf"was measured by other code \({key} .*, now 9.9\)"):
        runs.recall(tmp_path, NAME, quick=True)


def test_an_unusable_run_is_named_and_measured_anew(clopsim):
    Path("kept").mkdir()
    path = Path("kept", f"{NAME}-quick.run")
    path.write_text("mine")
    result = clopsim("--runs", "kept")
    assert result.exit_code == 0, result.output
    assert result.stderr == f"clopsim: {path} is damaged or no stored run; measuring {NAME} anew\n"
    assert "stored" not in result.stdout
    assert runs.recall(Path("kept"), NAME, quick=True) is not None


def test_only_what_measures_decides_whether_a_run_is_stale(tmp_path, monkeypatch):
    text = Path(runs.__file__).with_name("training_lines.py").read_text()
    base = Path(runs.__file__).with_name("training.py").read_text()
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "runs.py"))

    def digest(lines: str, digits: str = base) -> str:
        (tmp_path / "training_lines.py").write_text(lines)
        (tmp_path / "training.py").write_text(digits)
        return runs._measurement("training_lines")

    before = digest(text)
    assert digest(text.replace("On antipodal lines", "Other words on them")) == before
    assert (
        digest(
            text.replace(
                "return training.draw_infonce(run, __doc__)", "return training.draw_infonce(run, __doc__)  # drawn"
            )
        )
        == before
    )
    assert digest(text.replace("return training.draw_infonce(run, __doc__)", "return None")) == before
    assert digest(text, base.replace("markersize=3.5", "markersize=2")) == before
    assert (
        digest(text, base.replace("from clopsim.figures.style import ", "from clopsim.figures.style import GREY, "))
        == before
    )
    assert digest(text, base.replace("Columns of the CSV file", "What the CSV file holds")) == before
    for edited in ("On antipodal lines", "training.draw_infonce(run, __doc__)"):
        assert edited in text
    for edited in (
        "markersize=3.5",
        "from clopsim.figures.style import ",
        "Columns of the CSV file",
        "seeds=3",
        "seeds=1",
    ):
        assert edited in base
    assert digest(text.replace("steps=500", "steps=501")) != before
    assert digest(text, base.replace("seeds=3", "seeds=4")) != before  # a file of figures that it imports
    assert digest(text, base.replace("seeds=1", "seeds=2")) != before


@pytest.mark.parametrize("name", figures.NAMES)
def test_nothing_that_measures_names_a_function_that_draws(name):
    for measuring in runs.syntax(f"{runs.PACKAGE}.{name}"):
        names = {node.id for node in ast.walk(measuring) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(measuring) if isinstance(node, ast.Attribute)}
        assert not {each for each in names if runs.DRAWS.fullmatch(each)}
