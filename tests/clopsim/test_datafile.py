"""data.nc against the library's own writer, and its parts."""

import io

import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from clopsim import plan
from clopsim import sweep as job
from clopsim.chunks import perform
from clopsim.config import Sweep
from clopsim.datafile import DataFile, slabs

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
    file = io.BytesIO()
    job.write(file, CONFIG, reversed(results) if reverse else results, attributes=ATTRIBUTES)
    file.seek(0)
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
    assert (tmp_path / "theirs.nc").stat().st_size == len(file.getvalue())
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


def test_nothing_but_failures_and_too_much_are_refused():
    cells = (plan.Chunk(0, 12), {}, dict.fromkeys(range(12), "luck"))
    with pytest.raises(RuntimeError, match="^not a single cell ended well"):
        job.assemble(CONFIG, [cells])
    with pytest.raises(ValueError, match=r"^seeds must leave at most \d+ cells for one file, got 8000000; use several"):
        job.check_size(Sweep(rates=(1.0,), seeds=8_000_000))
    with pytest.raises(ValueError, match="^seed must stay below 2147483648 to the last, got 2147483648; choose"):
        job.check_size(Sweep(seed=2**31 - 8))
    large = {"x": (("rate",), "f")}
    with pytest.raises(ValueError, match="^data.nc must have at most 4294967292 bytes a variable, got 8000000000 of x"):
        DataFile(io.BytesIO(), xr.Dataset(), large=large, sizes={"rate": 10**9})


def test_slabs_cover_the_rates(monkeypatch):
    monkeypatch.setattr("clopsim.datafile.SLAB", 7)
    for seeds, count in ((3, 2), (7, 1), (50, 1)):
        dataset = xr.Dataset(coords={"rate": np.arange(5.0), "seed": np.arange(seeds)})
        parts = [dataset["rate"][part].values for part in slabs(dataset)]
        assert max(map(len, parts)) == count
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(5.0))
