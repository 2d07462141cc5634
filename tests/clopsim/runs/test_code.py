"""Which code computed a run, and runs of earlier code."""

import json
import zipfile
from pathlib import Path

import pytest

from clopsim.runs import plan
from clopsim.runs.code import check_code, code
from clopsim.runs.states import describe

BEFORE = Path(__file__).with_name("before_the_rooms.zip")
"""Small runs of the version before the house had rooms: complete, and stopped after their first chunk or checkpoint."""


def test_the_code_is_known_by_its_source(monkeypatch):
    before = code.__wrapped__()
    assert set(before) == {"source", "python", "numpy", "scipy", "torch"}
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + (b"#" if path.stem == "dynamics" else b""))
    assert code.__wrapped__()["source"] != before["source"]
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: read(path) + (b"#" if path.stem in ("plots", "shell") else b"")
    )
    assert code.__wrapped__() == before


def test_other_code_is_refused():
    check_code(code(), code(), where="here")
    with pytest.raises(ValueError, match="^out must go on with the code it began with, got source .* in a worker"):
        check_code(code(), {**code(), "source": "0"}, where="a worker")
    with pytest.raises(ValueError, match="use that version, or start again with --force"):
        check_code({**code(), "source": "0"}, code(), where="here")


@pytest.fixture
def before(clopsim, monkeypatch):
    """The runs of BEFORE, unpacked where the command works, and the size of chunks that they were cut into."""
    with zipfile.ZipFile(BEFORE) as archive:
        archive.extractall()
    monkeypatch.setitem(plan.BATCH, "cpu", 2 * 8**2)
    monkeypatch.setattr(plan, "STEPS", 10)
    return clopsim


def test_runs_from_before_the_rooms_are_listed_and_shown(before):
    found = {run.folder: run.state for run in map(describe, sorted(path for path in Path().iterdir() if path.is_dir()))}
    assert found == {
        "networks": "complete", "networks-unfinished": "resumable", "sweep": "complete",
        "sweep-unfinished": "resumable", "training": "complete",
    }  # fmt: skip
    for folder in ("sweep", "networks", "training"):
        shown = before("show", folder)
        assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize("kind, name", (("sweep", "sweep"), ("train-sweep", "networks")))
def test_a_sweep_begun_before_the_rooms_is_left_to_its_own_version(before, kind, name):
    """Steps are summed in another order since: half of a sweep by each would be neither's."""
    kept = {path: path.read_bytes() for path in Path(f"{name}-unfinished").rglob("*") if path.is_file()}
    done = before(kind, "--out", f"{name}-unfinished", "--resume")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1), done.output
    assert "use that version, or start again with --force" in done.stderr
    assert {path: path.read_bytes() for path in Path(f"{name}-unfinished").rglob("*") if path.is_file()} == kept


def test_a_training_begun_before_the_rooms_goes_on(before):
    words = "--data clusters --samples 16 --features 4 --classes 2 --embedder linear --dim 3 --steps 6 --batch 8"
    done = before("train", *words.split(), "--save-every", 2, "--out", "training-unfinished", "--resume")
    assert done.exit_code == 0, done.output
    new, old = (json.loads(Path(f, "summary.json").read_text()) for f in ("training-unfinished", "training"))
    old["final"]["effective_rate"] *= (1 - 0.9) / (1 + 0.9)  # momentum was counted the wrong way round
    for observable, value in old["final"].items():
        assert new["final"][observable] == (value if value is None else pytest.approx(value, rel=1e-4)), observable
