import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from clopsim.runs import results
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.sphere.outcomes import Outcome

CONFIG = Sweep(temperature=(0.5, 1.0), samples=8, rates=(0.5, 2.0), seeds=2, steps=10)


def write(folder: Path) -> Path:
    dataset = job.run_sweep(CONFIG)
    summary = job.summarise(CONFIG, dataset, job.search_thresholds(CONFIG))
    dataset = dataset.assign_attrs(results.attributes(summary, command="clopsim sweep"))
    with results.run_folder(folder) as staging:
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
def test_a_block_that_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(error), results.run_folder(tmp_path / "run") as staging:  # noqa: PT012
        (staging / "data.nc").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_named(tmp_path):
    def fill():
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with results.run_folder(tmp_path / "run") as staging:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            try:
                np.savez(staging / "embeddings.npz", z=np.ones((100, 100)))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with pytest.raises(
        ValueError, match=r"^out must be writable, got '.*/run' \(File too large\); choose another folder"
    ):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_force_replaces_a_run_only_when_the_new_one_is_complete(tmp_path):
    folder = tmp_path / "run"
    with results.run_folder(folder) as staging:
        (staging / "data.nc").write_text("old")
        (staging / "provenance.json").write_text("{}")
    with (
        pytest.raises(ValueError, match=r"^out must not exist, got '.*run', which does; .*--force"),
        results.run_folder(folder),
    ):
        pass
    with pytest.raises(RuntimeError), results.run_folder(folder, force=True):
        raise RuntimeError
    assert (folder / "data.nc").read_text() == "old"
    with results.run_folder(folder, force=True) as staging:
        (staging / "data.nc").write_text("new")
        (staging / "provenance.json").write_text("{}")
    assert (folder / "data.nc").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_old_run_that_cannot_be_removed_costs_no_new_one(tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    for name in ("old", "new"):
        with monkeypatch.context() as patch, results.run_folder(folder, force=True) as staging:
            (staging / "data.nc").write_text(name)
            (staging / "provenance.json").write_text("{}")
            patch.setattr(os, "rmdir", refused)  # what rmtree ends with
            patch.setattr(Path, "chmod", refused)
    assert (folder / "data.nc").read_text() == "new"


def test_force_never_deletes_what_is_no_run(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with (
        pytest.raises(ValueError, match="^out must be a run folder to be replaced"),
        results.run_folder(tmp_path / "thesis", force=True),
    ):
        pass
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_unwritable_places_are_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ValueError, match="^out must be writable, got '.*file/run'"),
        results.run_folder(tmp_path / "file" / "run"),
    ):
        pass


def test_git_hash_is_a_commit_or_unknown():
    value = results.git_hash()
    assert value == "unknown" or len(value.removesuffix("+changes")) == 40
