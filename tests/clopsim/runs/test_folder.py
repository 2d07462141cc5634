"""A run of any length is worked off, put together and joined in the memory of a few of its chunks."""

import gc
import os
import tracemalloc

import pytest

from clopsim.runs import folder as runs
from clopsim.runs import plan, results
from clopsim.runs.config import Sweep
from clopsim.runs.executors import Done

ORIGIN = results.origin_now("clopsim sweep")
BYTES_A_CELL = 50
"""Growth of the peak that is allowed: what is kept of each task, and the noise of what Python has not yet freed."""


CELLS = 256
"""Of a chunk."""


@pytest.fixture
def canned(monkeypatch):
    """Every chunk gives what the first of its size gave: the cells cost no time, their files are real."""
    monkeypatch.setitem(plan.BATCH, "cpu", 8 * CELLS * 4**2)
    monkeypatch.setattr(plan, "STEPS", 1)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    made = {}

    def executor(work, tasks):
        for key, (config, task) in tasks.items():
            size = getattr(task, "size", 0)
            if size not in made:
                made[size] = work((config, task), 0)
            yield Done(key, made[size])

    return executor


def whole(folder, seeds, executor):
    """Two shares are begun, worked off, joined and put together."""
    config = Sweep(samples=4, dimension=2, clusters=2, rates=(0.5, 0.9, 1.1, 2.0), seeds=seeds, steps=100)
    shares = []
    for i in (1, 2):
        (folder / str(i)).mkdir(parents=True)
        shares.append(runs.begin(folder / str(i), config, share=(i, 2), origin=ORIGIN))
    runs.run_all(shares, executor)
    (folder / "whole").mkdir()
    runs.finish(runs.merge(shares, folder / "whole"))


def peak(*arguments):
    """Most bytes that Python and NumPy held at once."""
    gc.collect()
    tracemalloc.start()
    try:
        whole(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_cells(canned, tmp_path):
    """A cell's numbers are 1.9 kB; files that are read in place are not counted."""
    whole(tmp_path / "first", 64, canned)  # imports, fonts
    few = peak(tmp_path / "few", 256, canned)
    many = peak(tmp_path / "many", 8 * 256, canned)
    chunk = (tmp_path / "many" / "whole" / "data.nc").stat().st_size * CELLS / (4 * 8 * 256)
    assert many < 4 * chunk + 3 * 2**20 + 1000 * (4 * 8 * 256 / CELLS + 4 + 1 + 1)  # tasks, rates, temperature, search
    assert (many - few) / (4 * 7 * 256) < BYTES_A_CELL
