"""Files of somebody else under good checksums: read as they are or refused in a line, whatever they say."""

import json
import shutil
import struct

import pytest
from netCDF4 import Dataset

import clopsim
from clopsim.runs import states, store


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    clopsim.sweep(samples=8, rates=[0.5, 2], seeds=1, steps=5, out=folder)
    return folder


def compressed(path):
    """A small file that unpacks to 80 GB a variable."""
    with Dataset(path) as old:
        sizes = {name: 10**10 if name == "seed" else len(each) for name, each in old.dimensions.items()}
        variables = {name: (each.dtype, each.dimensions) for name, each in old.variables.items()}
    path.unlink()
    with Dataset(path, "w") as new:
        for name, size in sizes.items():
            new.createDimension(name, size)
        for name, (kind, dims) in variables.items():
            new.createVariable(name, kind, dims, zlib=True)


def huge(path):
    """The classic format, in whose header a dimension is two thousand million."""
    data = path.read_bytes()
    at = data.index(b"seed") + 4
    path.write_bytes(data[:at] + struct.pack(">i", 2**31 - 1) + data[at + 4 :])


def other(path):
    with Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as new:
        new.createDimension("seed", 3)
        new.createVariable("loss", "f8", ("seed",))[:] = 1


def words(path):
    path.write_text("no data at all")


def resealed(folder, changed):
    """Give a changed file the checksums that its maker would."""
    provenance = json.loads((folder / "provenance.json").read_text())
    del provenance["seal"]
    provenance["sha256"][changed] = states.checksum(folder / changed)
    (folder / "provenance.json").write_text(json.dumps(provenance | {"seal": store.digest_of(provenance)}))


@pytest.mark.parametrize("spoil", (compressed, huge, other, words))
def test_data_of_others(clopsim, whole, tmp_path, spoil):
    shutil.copytree(whole, tmp_path / "run")
    spoil(tmp_path / "run" / "data.nc")
    resealed(tmp_path / "run", "data.nc")
    result = clopsim("show", tmp_path / "run", "--figure", tmp_path / "x.png")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1), result.stderr
    assert "FOLDER must hold a run of ours" in result.stderr or "folder must hold a run of ours" in result.stderr
    assert not (tmp_path / "x.png").exists()


SUMMARIES = {
    "thresholds": ({}, 3, "many", [3], [{}], [{"kind": 7}], {"thresholds": None}),
    "setting": ({}, 3, [1], {"loss": []}, None),
    "rates": ({}, "x", [[1]], None),
    "holds": ("perhaps", [], {}),
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in SUMMARIES.items() for value in values])
def test_summaries_of_others(clopsim, whole, tmp_path, name, value):
    shutil.copytree(whole, tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    (tmp_path / "run" / "summary.json").write_text(json.dumps(summary | {name: value}))
    resealed(tmp_path / "run", "summary.json")
    for command in ("show", "runs"):
        result = clopsim(command, tmp_path / "run")
        assert result.exit_code == 0 or (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.stderr
        assert command == "show" or result.exit_code == 0
