"""The run folder: atomic, checked, locked, and refusing what is not its own."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clopsim.runs import folder as runs
from clopsim.runs import kinds, plan, results, store
from clopsim.runs.code import code
from clopsim.runs.config import Sweep
from clopsim.runs.executors import Done
from clopsim.runs.jobs import TaskFailed
from clopsim.runs.states import describe
from clopsim.runs.store import Damaged, Record

ROOT = Path(__file__).parents[3]
CONFIG = Sweep(samples=8, clusters=2, rates=(0.5, 2.0), seeds=2, steps=10)
ORIGIN = results.origin_now("clopsim sweep")


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return store.create(folder, {"tasks": 3, "code": {}, "config": {}}, share=None, origin={})


def record(value: float) -> Record:
    errors = {11: "too hot", 2: "too cold"}
    return Record({"loss": np.full((2, 3), value), "outcome": np.array(["uniform", "line"])}, errors, "here")


def test_what_is_written_is_read(kept):
    kept.write(1, record(0.1))
    found = store.load(kept.folder).read(1)
    np.testing.assert_array_equal(found.arrays["loss"], np.full((2, 3), 0.1))
    assert list(found.arrays["outcome"]) == ["uniform", "line"]
    assert (found.errors, found.machine) == ({11: "too hot", 2: "too cold"}, "here")
    assert kept.finished() == {1: 2}


def test_every_flipped_byte_is_noticed(kept):
    kept.write(1, record(0.1))
    path = kept.path(1)
    whole = path.read_bytes()
    for k in range(0, len(whole), 7):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :])
        with pytest.raises(Damaged, match=r"^out must .* got .*chunks/00001"):
            kept.read(1)
    for k in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:k])
        with pytest.raises(Damaged, match="wrong checksum; delete that file"):
            kept.finished()
    text = (kept.folder / store.PLAN).read_text()
    for k in range(0, len(text), 5):
        if text[k] not in " \n":
            (kept.folder / store.PLAN).write_text(text[:k] + chr(ord(text[k]) ^ 1) + text[k + 1 :])
            with pytest.raises(Damaged, match="^out must"):
                store.load(kept.folder)


def test_ctrl_c_within_a_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    store.write_atomically(path, b"old")

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_another_format_another_plan_and_stray_files_are_named(kept, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    foreign = store.create(other, {"tasks": 3, "code": {}, "config": {"seed": 1}}, share=None, origin={})
    foreign.write(0, record(1.0))
    kept.path(0).write_bytes(foreign.path(0).read_bytes())
    with pytest.raises(Damaged, match="^out must hold one sweep, got .*00000 from another; move that file away"):
        kept.finished()
    kept.write(0, record(0.1))
    kept.path(2).write_bytes(kept.path(0).read_bytes())  # a task under another's name
    with pytest.raises(Damaged, match="00002 from another"):
        kept.finished()
    kept.path(2).unlink()
    (kept.folder / "chunks" / "notes.txt").write_text("mine")
    with pytest.raises(Damaged, match="notes.txt, which is no part of it; move that file away"):
        kept.finished()
    monkeypatch.setattr(store, "FORMAT", 2)
    with pytest.raises(Damaged, match="^out must have format 2, got 1 in .*plan.json"):
        store.load(kept.folder)
    with pytest.raises(Damaged, match="^out must have format 2, got 1 in .*00000"):
        kept.read(0)


@pytest.mark.parametrize("function", ("fsync", "replace", "write"))
def test_a_full_disk_leaves_no_half_file(kept, monkeypatch, function):
    kept.write(0, record(0.1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if function == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif function == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        resource = pytest.importorskip("resource", reason="limits of file sizes are a Unix thing")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # a real write stops after 100 bytes
    try:
        with pytest.raises(OSError) as caught:
            kept.write(1, record(0.2))
    finally:
        if function == "write":
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(kept.path(1))
    assert [path.name for path in (kept.folder / "chunks").iterdir()] == ["00000"]


HOLD = "import sys, time; from pathlib import Path; from clopsim.runs import store\n"
HOLD += "with store.locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_second_process_is_refused_until_the_first_is_gone_however_it_goes(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        assert store.is_held(tmp_path)
        with pytest.raises(ValueError, match="^out must not be in use, got .*; another process works there"):  # noqa: SIM117
            with store.locked(tmp_path):
                pass
    finally:
        holder.kill()
        holder.communicate()
    assert not store.is_held(tmp_path)
    with store.locked(tmp_path), pytest.raises(ValueError, match="in use"), store.locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_resume_refuses_another_configuration_code_or_share(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    runs.begin(folder, CONFIG, origin=ORIGIN)
    other = Sweep(samples=8, clusters=2, rates=(0.5, 2.0), seeds=2, steps=11)
    with pytest.raises(
        ValueError, match=r"^steps must stay 10 in '.*run', got 11; choose another --out or add --force"
    ):
        runs.begin(folder, other, origin=ORIGIN, resume=True)
    with pytest.raises(ValueError, match=r"^shard must stay the whole run in .*, got 1/2"):
        runs.begin(folder, CONFIG, origin=ORIGIN, resume=True, share=(1, 2))
    assert runs.begin(folder, CONFIG, origin=ORIGIN, resume=True).plan == plan.document(CONFIG)
    with pytest.raises(ValueError, match="^out must not exist, got .*, an unfinished run; add --resume to go on"):
        runs.begin(folder, CONFIG, origin=ORIGIN)
    other_code = {**code(), "torch": "9.9"}
    monkeypatch.setattr(kinds, "code", lambda: other_code)
    with pytest.raises(ValueError, match=r"^out must go on with the code it began with, got torch .* there and 9.9 in"):
        runs.begin(folder, CONFIG, origin=ORIGIN, resume=True)
    monkeypatch.undo()
    (folder / "plan.json").write_text("{}")
    assert describe(folder).state == "damaged"
    with pytest.raises(Damaged, match="wrong checksum; start again with --force"):
        runs.begin(folder, CONFIG, origin=ORIGIN, resume=True)
    assert runs.begin(folder, CONFIG, origin=ORIGIN, force=True).finished() == {}


def test_a_worker_with_other_code_is_refused(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    begun = runs.begin(folder, CONFIG, origin=ORIGIN)

    def stranger(work, tasks):
        for key, payload in tasks.items():
            yield Done(key, work(payload, 0)._replace(code={**code(), "numpy": "1.0"}))

    with pytest.raises(ValueError, match=r"^out must go on with the code .*, got numpy .* and 1.0 in a worker"):
        runs.run_all([begun], stranger)
    assert begun.finished() == {}


def test_tasks_whose_workers_died_are_recorded_as_failed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    config = Sweep(samples=8, clusters=2, rates=(0.5, 2.0), seeds=2, steps=10**6)  # eight chunks
    begun = runs.begin(folder, config, origin=ORIGIN)
    runs.run_all([begun], lambda work, tasks: (Done(key, error="WorkerDied: gone") for key in tasks))
    with pytest.raises(RuntimeError, match="not a single cell ended well; the first: WorkerDied: gone"):
        runs.finish(begun)
    with pytest.raises(TaskFailed, match="gone"):
        runs.run_all([begun], lambda work, tasks: (Done(key, error="gone") for key in tasks), fail_fast=True)


@pytest.mark.parametrize("kind", ("sweep", "train"))
def test_a_hundred_kills(kind):
    """Eight here; `python -m tests.kill 100` for all."""
    command = [sys.executable, "-m", "tests.kill", "8", "2", kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"finished_identical"' in done.stdout
