"""What is wrong is refused in one line with status 2 and leaves nothing; python -m tests.wrong asks far more."""

import json
import os
import random
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from clopsim.metrics import archive
from clopsim.runs import executors, ready
from tests import wrong

GIVEN = 60
"""Wrong lines that the short form draws."""

QUICK = ("train", *wrong.BASE["train"].split())


def test_a_few_of_all_wrong_inputs_are_refused_and_leave_nothing(clopsim, tmp_path):
    wrong.prepare(tmp_path)
    every = [line for kind in wrong.KINDS for _, line in kind()]
    slow = ("tcp://", "openml:no", "config/cluster")
    lines = [line for line in every if not any(word in " ".join(line) for word in slow)]
    for line in random.Random(0).sample(lines, GIVEN):
        assert wrong.complaint(line) is None, line


def test_the_generator_notices_what_is_taken(clopsim, tmp_path):
    wrong.prepare(tmp_path)
    assert "status 0" in wrong.complaint(["bounds"])
    assert "status 1" in wrong.complaint(["threshold", "collapse", "--samples=8", "--seeds=1", "--tolerance=1e-9"])


def packed(path, *, size, really):
    """An .npz with an array that is said to have so many zeros, and has others."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w", force_zip64=True) as entry:
        entry.write(wrong.header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({size}, 2), }}"))
        for _ in range(really):
            entry.write(bytes(16))


def test_an_archive_larger_than_the_memory_is_not_unpacked(tmp_path, monkeypatch):
    packed(tmp_path / "x.npz", size=1000, really=1000)
    assert archive.read(tmp_path / "x.npz")["x"].shape == (1000, 2)
    monkeypatch.setattr(archive, "memory", lambda: 2 * 1000 * 16 - 1)
    with pytest.raises(ValueError, match="more than half of the memory"):
        archive.read(tmp_path / "x.npz")


@pytest.mark.parametrize("size", (999, 1001, 10**15))
def test_an_array_of_another_size_than_it_says_is_not_believed(tmp_path, size):
    packed(tmp_path / "x.npz", size=size, really=1000)
    with pytest.raises(ValueError, match="not as large as its header says"):
        archive.read(tmp_path / "x.npz")


@pytest.mark.parametrize("name, why", (
    ("encrypted", "is encrypted"), ("unknown-method", "unknown method"), ("flipped", "CRC|invalid|header|decompress"),
    ("pickle", "of Python objects"), ("text", "no archive"), ("empty", "no archive"),
))  # fmt: skip
def test_a_bad_archive_says_what_is_wrong(clopsim, tmp_path, name, why):
    wrong.prepare(tmp_path)
    with pytest.raises(ValueError, match=why):
        archive.read(tmp_path / "bad" / f"{name}.npz")


@pytest.mark.parametrize("name, text, why", (
    ("bom", "\ufeffsamples = 8", "--config must be TOML without a byte-order mark"),
    ("deep", wrong.CONFIGS["deep"], "with lists too deep"),
    ("date", "samples = 2026-01-01", "--samples must be a number, a word or a list of them"),
    ("mixed", 'samples = [8, "x"]', "--samples must be a list of numbers or of words, got both"),
    ("repeated", "seeds = [1, 1]", "--seeds must hold each value once"),
    ("yes", 'fail_fast = "yes"', "--fail-fast must be true or false"),
    ("host", 'engine = "dask"\nscheduler = "tcp://h:1"', "--scheduler must be given on the command line"),
))  # fmt: skip
def test_a_configuration_says_what_is_wrong(clopsim, name, text, why):
    Path("c.toml").write_text(text)
    result = clopsim("sweep", "--config", "c.toml", "--out", "run")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert why in result.stderr
    assert not Path("run").exists()


def test_names_of_others_break_no_table_and_command_no_terminal(clopsim):
    folder = Path("runs/a\nb\x1b[2J")
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{")
    result = clopsim("runs")
    assert r"a\nb\x1b[2J" in result.stdout
    assert result.stdout.replace("\n", "").isprintable()


def test_a_dollar_in_the_name_of_the_data_is_no_formula(clopsim):
    rows = np.random.default_rng(0).normal(size=(40, 4))
    np.savez("$x_{.npz", x=rows, y=np.arange(40) % 2)
    result = clopsim(*QUICK, "--data", "$x_{.npz")
    assert (result.exit_code, result.stderr) == (0, "")
    assert Path("new/train.png").stat().st_size


def test_a_size_beyond_the_memory_is_refused_by_its_name(monkeypatch):
    monkeypatch.setattr(archive, "memory", lambda: 10**9)
    ready.check_memory({"samples": 10**9})
    with pytest.raises(ValueError, match="^samples must fit into memory, got a size that takes about 2 GB of 1 GB"):
        ready.check_memory({"samples": 2 * 10**9})


@pytest.mark.parametrize("line", ("bounds", "bounds --json", "--help"))
def test_a_full_disk_behind_stdout_is_status_5(line):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "clopsim", *line.split()], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 5
    assert done.stderr.decode() == "clopsim: what was found could not be printed (No space left on device)\n"


def test_a_reader_that_has_enough_is_status_5():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "clopsim", "bounds"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode == 5
    assert done.stderr.decode() == "clopsim: what was found could not be printed (Broken pipe)\n"


@pytest.mark.parametrize("line", ("bounds", "--help", "sweep --samples 8 --seeds 1 --steps 5 --rates 0.5,2 --out run"))
def test_closed_streams(tmp_path, line):
    def clopsim(more):
        command = f"{shlex.quote(sys.executable)} -m clopsim {line} {more}"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = clopsim(">&-")
    assert (done.returncode, done.stderr) == (5, "clopsim: what was found could not be printed (stdout is closed)\n")
    if line.startswith("sweep"):
        assert (tmp_path / "run" / "data.nc").stat().st_size
        line += " --force"
    assert clopsim(">&- 2>&- <&-").returncode == 5
    done = clopsim("2>&- <&-")
    assert done.returncode == 0
    assert done.stdout


def test_a_mistake_of_ours_is_not_the_status_of_a_theory_that_fails(clopsim, monkeypatch):
    monkeypatch.setattr("clopsim.bounds.critical_rates", lambda *_: 1 / 0)
    result = clopsim("bounds")
    assert result.exit_code == 4
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_resume_hints_keep_engine_and_scheduler(clopsim, monkeypatch):
    monkeypatch.setattr(executors, "executor", lambda *_, **__: gone)
    line = ("sweep", *wrong.BASE["sweep"].split(), "--engine", "dask", "--scheduler", "tcp://h:1")
    result = clopsim(*line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("clopsim sweep --out new --engine dask --scheduler tcp://h:1 --resume\n")


def gone(*_):
    raise ConnectionError("the Dask scheduler went away")


def test_a_scheduler_without_workers_is_told_and_waited_for(monkeypatch):
    class Client:
        asked = 0

        def scheduler_info(self):
            self.asked += 1
            return {"workers": {"w": 1} if self.asked > 25 else {}}

    monkeypatch.setattr(executors.time, "sleep", lambda seconds: None)
    with pytest.warns(ready.Remark) as said:
        executors._await_workers(Client(), "tcp://h:1")
    assert [str(each.message).split("; ")[1] for each in said] == [f"waiting for one since {k} s" for k in (10, 20)]


def test_endings_and_names_may_be_written_large_or_small(clopsim):
    np.savez("z.npz", z=np.eye(4))
    Path("z.npz").rename("z.NPZ")
    assert clopsim("inspect", "z.NPZ", "--figure", "z.PNG").exit_code == 0
    assert Path("z.PNG").read_bytes().startswith(b"\x89PNG")
    assert json.loads(clopsim("verify", "--only", "t6", "--json").stdout)[0]["identifier"] == "T6"


def test_figures_that_cannot_keep_their_runs_leave_no_folder(clopsim):
    Path("file").touch()
    result = clopsim("figures", "collapse_temperatures", "--quick", "--out", "new/deep", "--runs", "file/x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("clopsim: --runs must be writable")
    assert [path.name for path in Path().iterdir()] == ["file"]
