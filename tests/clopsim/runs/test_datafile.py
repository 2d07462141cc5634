"""data.nc against the library's own writer, and its parts."""

import gc
import io
import re
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from clopsim.runs import plan
from clopsim.runs import sweep as job
from clopsim.runs.chunks import perform
from clopsim.runs.config import Sweep
from clopsim.runs.datafile import RESERVE, DataFile

CONFIG = Sweep(temperature=(0.5, 1.0), samples=8, rates=(0.5, 2.0), seeds=3, steps=10, loss="full", clusters=2)
ATTRIBUTES = {"loss": "full", "holds": 1, "rates": [0.5, float("nan")], "text": "π, 5 letters", "none": []}


def written(monkeypatch, *, fails=(), reverse=False):
    """The file of CONFIG in chunks of five cells, and a whole dataset by plain indexing."""
    monkeypatch.setitem(plan.BATCH, "cpu", 5 * 8**2)
    monkeypatch.setattr(plan, "STEPS", 10)
    results = []
    expected = {}
    for task in plan.tasks(CONFIG):
        if not isinstance(task, plan.Chunk):
            continue
        arrays, errors = perform((CONFIG, task)).arrays, {}
        arrays["outcome"] = arrays["outcome"].astype("<U11")
        arrays["outcome"][-1] = "oscillating"  # the longest
        for place in range(task.size):
            for name, values in arrays.items():
                row = values[place]
                if task.first + place in fails:
                    errors[place] = "luck"
                    row = "failed" if name == "outcome" else np.full_like(row, np.nan)
                expected.setdefault(name, []).append(row)
        kept = [place for place in range(task.size) if place not in errors]
        results.append((task, {name: values[kept] for name, values in arrays.items()} if kept else {}, errors))
    with TemporaryDirectory() as folder:
        path = Path(folder, "data.nc")
        job.write(path, CONFIG, reversed(results) if reverse else results, attributes=ATTRIBUTES)
        file = io.BytesIO(path.read_bytes())
    return file, {name: np.array(rows).reshape(2, 2, 3, *np.shape(rows[0])) for name, rows in expected.items()}


@pytest.mark.parametrize("fails", [(), (1, 10), (0, 1, 2, 3, 4, 7)])  # the last: all of the first chunk
def test_every_row_is_in_its_place(monkeypatch, fails):
    file, expected = written(monkeypatch, fails=fails)
    assert written(monkeypatch, fails=fails, reverse=True)[0].getvalue() == file.getvalue()
    dataset = xr.load_dataset(io.BytesIO(file.getvalue()), engine="scipy")
    assert set(expected) == {*dataset.data_vars} - {"loss_at_collapse"}
    for name, values in expected.items():
        np.testing.assert_array_equal(dataset[name], values)
    assert dataset["harmonic_energy"].dims == (*job.DIMENSIONS, "degree")
    assert set(dataset.coords) == {"temperature", "rate", "seed", "step", "degree", "mu_c", "learning_rate"}
    assert {name: dataset.attrs[name] for name in ("loss", "holds", "text")} == {
        name: ATTRIBUTES[name] for name in ("loss", "holds", "text")
    }
    np.testing.assert_array_equal(dataset.attrs["rates"], ATTRIBUTES["rates"])


def test_the_library_writes_the_same_file(monkeypatch, tmp_path):
    """Same dimensions, attributes, types and numbers; only the order of the variables is its own."""
    file, _ = written(monkeypatch)
    xr.load_dataset(io.BytesIO(file.getvalue()), engine="scipy").to_netcdf(
        tmp_path / "theirs.nc", engine="scipy", format="NETCDF3_64BIT"
    )
    assert 0 <= len(file.getvalue()) - (tmp_path / "theirs.nc").stat().st_size < RESERVE
    ours, theirs = netcdf_file(file, mmap=False), netcdf_file(tmp_path / "theirs.nc", mmap=False)
    assert ours.dimensions == theirs.dimensions
    assert ours.version_byte == theirs.version_byte
    assert ours.variables.keys() == theirs.variables.keys()
    assert repr(ours._attributes) == repr(theirs._attributes)
    for name, variable in ours.variables.items():
        other = theirs.variables[name]
        assert (variable.dimensions, variable.typecode()) == (other.dimensions, other.typecode()), name
        assert variable.data.tobytes() == other.data.tobytes()
        assert repr(sorted(variable._attributes.items())) == repr(sorted(other._attributes.items()))


def test_nothing_but_failures_and_too_much_are_refused(tmp_path):
    cells = (plan.Chunk(0, 12), {}, dict.fromkeys(range(12), "luck"))
    with pytest.raises(RuntimeError, match="^not a single cell ended well"):
        job.assemble(CONFIG, [cells])
    with pytest.raises(ValueError, match=r"^seeds must leave at most \d+ cells for one file, got 8000000; use several"):
        job.check_size(Sweep(rates=(1.0,), seeds=8_000_000))
    with pytest.raises(ValueError, match="^seed must stay below 2147483648 to the last, got 2147483648; choose"):
        job.check_size(Sweep(seed=2**31 - 8))
    large = {"x": (("rate",), "f")}
    with pytest.raises(ValueError, match="^data.nc must have at most 4294967292 bytes a variable, got 8000000000 of x"):
        DataFile(tmp_path / "data.nc", xr.Dataset(), large=large, sizes={"rate": 10**9})
    assert not list(tmp_path.iterdir())


def sixteen(path, cells):
    """Sixteen variables of cells rows of 1 kB each."""
    large = {f"v{i}": (("temperature", "rate", "seed", "step"), "f") for i in range(16)}
    sizes = {"temperature": 2, "rate": cells // 16, "seed": 8, "step": 128}
    return DataFile(path, xr.Dataset(coords={"degree": [1, 2]}), large=large, sizes=sizes)


def resident():
    """Most bytes of this process in memory since the last call."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of resident memory are Linux's")
def test_memory_of_writing_does_not_grow_with_the_file(tmp_path):
    """Buffers of the library in C included, which tracemalloc does not see."""
    peaks = []
    rows = np.ones((256, 128))
    for cells in (256, 512, 8 * 512):  # the first for the import
        resident()
        with closing(sixteen(tmp_path / "data.nc", cells)) as file:
            assert (tmp_path / "data.nc").stat().st_blocks * 512 < 2**17  # room alone: nothing was moved
            for first in range(0, cells, 256):
                for i in range(16):
                    file.write(f"v{i}", first, rows)
        peaks.append(resident())
    assert (tmp_path / "data.nc").stat().st_size > 2**26
    assert peaks[2] - peaks[1] < 2**21


@pytest.mark.parametrize("room", (0, 500, 1500, 50_000))  # in the header, twice in the large variables', in a row
def test_a_full_disk_is_an_error_of_the_system(tmp_path, room):
    resource = pytest.importorskip("resource", reason="limits of file sizes are a Unix thing")
    path = tmp_path / "data.nc"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match="data.nc"), closing(sixteen(path, 256)) as file:
            file.write("v0", 0, np.ones((256, 128)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    gc.collect()  # closes what could not be closed
