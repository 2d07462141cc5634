import json
import resource
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from clopsim.runs import results, states, store
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.runs.folder import check_free, committed
from clopsim.sphere.outcomes import Outcome

CONFIG = Sweep(temperature=(0.5, 1.0), samples=8, rates=(0.5, 2.0), seeds=2, steps=10)


def write(folder: Path) -> Path:
    dataset = job.run_sweep(CONFIG)
    summary = job.summarise(CONFIG, dataset, job.search_thresholds(CONFIG))
    dataset = dataset.assign_attrs(results.attributes(summary, command="clopsim sweep"))
    folder.mkdir()
    with committed(folder) as staging:
        results.save(staging, dataset, summary, origin=results.origin_now("clopsim sweep"))
    return folder


def test_data_opens_in_one_line_with_its_provenance(tmp_path):
    folder = write(tmp_path / "run")
    with xr.open_dataset(folder / "data.nc") as dataset:
        assert dataset["mean_resultant_length"].dims == ("temperature", "rate", "seed", "step")
        assert set(np.unique(dataset["outcome"].astype(str))) <= set(Outcome)
        attributes = dataset.attrs
    np.testing.assert_allclose(attributes["predicted_collapse_rate"], np.array([0.5, 1.0]) * 7 / 6)
    np.testing.assert_allclose(attributes["observed_collapse_rate"], attributes["predicted_collapse_rate"], rtol=0.01)
    assert np.isnan(attributes["predicted_alignment_collapse_rate"]).all()
    assert attributes["too_small_uniform_rate"].tolist() == [1, 1]  # 8 points in 8 dimensions
    assert attributes["too_small_alignment_uniform_rate"].tolist() == [0, 0]  # no views
    np.testing.assert_allclose(attributes["paper_range"], [0, 0.5, 0, 1.0])
    assert {"loss", "seed", "samples", "command", "git", "versions", "holds"} <= set(attributes)
    assert "torch" in attributes["versions"]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["holds"] is True
    provenance = json.loads((folder / "provenance.json").read_text())
    assert set(provenance["sha256"]) == {"data.nc", "summary.json"}


def test_same_seed_same_bytes(tmp_path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    for name in ("data.nc", "summary.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("error", (RuntimeError, KeyboardInterrupt))
def test_a_block_that_fails_leaves_what_was_there(tmp_path, error):
    (tmp_path / "data.nc").write_text("old")
    with pytest.raises(error), committed(tmp_path) as staging:  # noqa: PT012
        (staging / "data.nc").write_text("half")
        raise error
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("data.nc", "old")]


def test_a_disk_that_is_full_is_named(tmp_path):
    def fill():
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with committed(tmp_path) as staging:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            try:
                np.savez(staging / "embeddings.npz", z=np.ones((100, 100)))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with pytest.raises(OSError, match="File too large"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_another_kind_of_run_left_goes_and_what_is_the_users_stays(tmp_path):
    write(tmp_path / "run")
    provenance = json.loads((tmp_path / "run/provenance.json").read_text())
    for name in ("embeddings.npz", "mine.txt"):
        (tmp_path / "run" / name).write_text("")
        provenance["sha256"][name] = ""
    (tmp_path / "run/provenance.json").write_text(json.dumps(provenance))
    with committed(tmp_path / "run") as staging:
        (staging / "data.nc").write_text("new")
        (staging / "provenance.json").write_text("{}")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"data.nc", "provenance.json", "mine.txt"}


def test_force_takes_leftovers_of_runs_and_nothing_else(tmp_path):
    (tmp_path / "chunks").mkdir()
    (tmp_path / "chunks/00001").write_text("of a run killed while its chunks went")
    with pytest.raises(ValueError, match="^out must not exist, got .*, which does; choose another folder or add --f"):
        check_free(tmp_path, None, complete=False, force=False)
    check_free(tmp_path, None, complete=False, force=True)
    (tmp_path / "chapter.tex").write_text("years of work")
    with pytest.raises(ValueError, match="^out must be a run folder to be replaced"):
        check_free(tmp_path, None, complete=False, force=True)


def test_unwritable_places_are_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/run"):
        with pytest.raises(ValueError, match=f"^out must be writable, got '.*{place}'"), store.locked(tmp_path / place):
            pass


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def test_every_file_of_a_run_is_checked_and_the_provenance_too(tmp_path):
    folder = write(tmp_path / "run")
    assert states.describe(folder).state == "complete"
    for name in ("data.nc", "summary.json", "provenance.json"):
        for place in (20, -20):
            flipped(folder / name, place)
            assert states.describe(folder).state == "damaged", (name, place)
            with pytest.raises(store.Damaged):
                states.recorded_summary(folder)
            flipped(folder / name, place)
    assert states.describe(folder).state == "complete"


def test_one_folder_that_cannot_be_read_costs_no_list(tmp_path):
    write(tmp_path / "run")
    for name, text in (
        ("odd", "[" * 100_000), ("null", "null"), ("words", '{"plan": 3, "sha256": 1}'), ("binary", "\x00"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.json").write_text(text)
    body = {"format": 1, "plan": {"kind": "sweep", "tasks": 10**9}, "share": None, "origin": {}}
    (tmp_path / "huge").mkdir()
    (tmp_path / "huge/plan.json").write_text(json.dumps(body | {"sha256": store.digest_of(body)}))
    found = {Path(run.folder).name: run.state for run in map(states.describe, states.run_folders(tmp_path))}
    assert found == {"run": "complete", **dict.fromkeys(("odd", "null", "words", "binary", "huge"), "damaged")}


def test_git_hash_is_a_commit_or_unknown():
    value = results.git_hash()
    assert value == "unknown" or len(value.removesuffix("+changes")) == 40
