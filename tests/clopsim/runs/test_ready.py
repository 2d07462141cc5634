"""What a run needs at its end is checked before its first step; a part that fails there is named."""

import shutil
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from clopsim.runs import code, ready, results


def absent(name):
    raise metadata.PackageNotFoundError(name)


def test_versions_are_known_in_a_tree_that_nobody_installed(monkeypatch, tmp_path):
    installed = results.versions()
    monkeypatch.setattr(metadata, "version", absent)
    found = results.versions()
    assert set(found) == set(installed)
    assert found["clopsim"].endswith(" (not installed)")
    assert found["clopsim"][0].isdigit()  # of pyproject.toml
    assert found["numpy"] == installed["numpy"]
    assert found["scikit-learn"] == installed["scikit-learn"]
    assert code.version("no-such-package") == "unknown"
    monkeypatch.setattr(code, "__file__", str(tmp_path / "clopsim" / "runs" / "code.py"))
    assert code.version("clopsim") == "unknown (not installed)"


def test_a_library_that_cannot_be_imported_is_named_before_the_run(monkeypatch):
    ready.check_libraries(*ready.WRITERS, *ready.JUDGES)
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with pytest.raises(ValueError, match=r"^netCDF4 cannot be imported \(ModuleNotFoundError: .*\); install it before"):
        ready.check_libraries(*ready.WRITERS)


def test_a_picture_that_cannot_be_drawn_is_found_before_the_run(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(ValueError, match=r"^matplotlib cannot draw here \(RuntimeError: no fonts\); mend it before"):
        ready.check_libraries()


def test_room_on_the_disk_is_asked_for_where_the_folder_will_be(monkeypatch, tmp_path):
    asked = []

    def usage(path):
        asked.append(path)
        return SimpleNamespace(free=10_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    ready.check_room(tmp_path / "a" / "b", 10_000_000)
    with pytest.raises(ValueError, match=r"^out must have room for about 2.5 GB, got 10 MB free at '.*'; choose anot"):
        ready.check_room(tmp_path / "a" / "b", 2_500_000_000)
    assert asked == [tmp_path, tmp_path]


@pytest.mark.parametrize("name, why", (("no/picture.png", "No such file"), ("folder", "Is a directory")))
def test_a_file_that_cannot_be_written_is_found_before(tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=f"^figure must be writable, got '.*{name}' .{why}"):
        ready.check_file("figure", tmp_path / name)
    ready.check_file("figure", tmp_path / "picture.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_part_that_fails_is_one_line():
    with (
        pytest.warns(ready.PartMissing, match=r"^x.png could not be written \(ValueError: a b\), all else is; draw it"),
        ready.spared("x.png", "draw it later"),
    ):
        raise ValueError("a \n b")


def test_numbers_that_json_does_not_know_are_none():
    assert ready.finite({"a": [1.5, float("nan")], "b": (float("inf"), "nan")}) == {
        "a": [1.5, None],
        "b": [None, "nan"],
    }
