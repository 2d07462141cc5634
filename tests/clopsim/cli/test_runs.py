"""Runs that outlive their process, on the command line: resume, shards, merge, grids, files, runs, show."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from clopsim.door.configfile import defaults, grid, sealed
from clopsim.runs import chunks, executors, plan, store
from clopsim.runs.config import Sweep
from clopsim.runs.states import describe

QUICK = ["sweep", "--samples", "16", "--rates", "0.5,2", "--seeds", "4", "--steps", "20"]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def clopsim(clopsim, monkeypatch):
    monkeypatch.setitem(plan.BATCH, "cpu", 2 * 16**2)
    monkeypatch.setattr(plan, "STEPS", 20)  # four chunks of two cells
    return clopsim


def data(folder):
    return [Path(folder, name).read_bytes() for name in ("data.nc", "summary.json", "sweep.png")]


def stop_after(monkeypatch, count, error=KeyboardInterrupt):
    """Let the run be interrupted once so many results are kept."""
    write = store.Store.write
    left = [count]

    def limited(self, number, record):
        if not left[0]:
            raise error
        left[0] -= 1
        write(self, number, record)

    monkeypatch.setattr(store.Store, "write", limited)


def test_interrupt_list_resume_show(clopsim, monkeypatch):
    assert clopsim(*QUICK, "--out", "whole").exit_code == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        result = clopsim(*QUICK, "--out", "runs/a b")
    assert result.exit_code == 130
    again = "clopsim sweep --out 'runs/a b' --resume"
    assert result.stderr == f"clopsim: interrupted; 33 % is kept, go on with: {again}\n"
    assert "resumable at 40 %" in clopsim("runs").stdout
    assert clopsim("show", "runs/a b").stderr.startswith("clopsim: FOLDER must be a complete run, got 'runs/a b'")
    assert clopsim(*QUICK, "--out", "runs/a b").exit_code == 2
    wrong = clopsim(*QUICK, "--samples", 18, "--out", "runs/a b", "--resume")
    assert (wrong.exit_code, wrong.stderr.split(";")[0]) == (2, "clopsim: --samples must stay 16 in 'runs/a b', got 18")
    done = clopsim("sweep", "--out", "runs/a b", "--resume")
    assert done.exit_code == 0, done.output
    assert data("runs/a b") == data("whole")
    (row,) = json.loads(clopsim("runs", "--json").stdout)
    assert (row["state"], row["verdict"], row["setting"]) == (
        "complete", "holds", "merged loss, ambient gradient, tau = 0.5, n = 16, d = 8",
    )  # fmt: skip
    monkeypatch.setattr(chunks, "run", None)  # from here on nothing may run
    picture = Path("runs/a b/sweep.png").read_bytes()
    Path("runs/a b/sweep.png").unlink()
    shown = clopsim("show", "runs/a b")
    assert shown.stdout == done.stdout == clopsim("sweep", "--out", "runs/a b", "--resume").stdout
    assert not Path("runs/a b/sweep.png").exists()  # to look changes nothing
    drawn = clopsim("show", "runs/a b", "--figure", "runs/a b/sweep.png")
    assert drawn.stdout == f"{done.stdout}\nDrawn in runs/a b/sweep.png\n"
    assert Path("runs/a b/sweep.png").read_bytes() == picture
    assert json.loads(clopsim("show", "runs/a b", "--json", "--figure", "x.svg").stdout)["holds"] is True
    assert Path("x.svg").read_text().lstrip().startswith("<?xml")
    for words, message in (
        (("show", "runs/a b", "--figure", "x.doc"), "--figure must end in one of "),
        (("show", "runs/a b", "--figure", "no/x.png"), "cannot draw no/x.png: No such file or directory"),
        (("runs", "nowhere"), "FOLDER must be there, got 'nowhere'"),
        (("sweep", "--resume"), "--resume must come with a folder, got none; add --out FOLDER"),
        (("sweep", "--out", "x", "--resume", "--force"), "--resume must come without --force, got both"),
    ):
        wrong = clopsim(*words)
        assert (wrong.exit_code, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)
        assert message in wrong.stderr


def test_damage_is_named_and_mended(clopsim, monkeypatch):
    clopsim(*QUICK, "--out", "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        clopsim(*QUICK, "--out", "run")
    chunk = Path("run/chunks/00001")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert describe(Path("run")).state == "damaged"
    result = clopsim("sweep", "--out", "run", "--resume")
    assert result.exit_code == 2
    assert "--out must be undamaged, got run/chunks/00001 with a wrong checksum; delete that file" in result.stderr
    chunk.unlink()
    assert clopsim("sweep", "--out", "run", "--resume").exit_code == 0
    assert data("run") == data("whole")
    Path("whole/data.nc").write_bytes(b"CDF")
    (row,) = (row for row in json.loads(clopsim("runs", ".", "--json").stdout) if row["state"] == "damaged")
    assert row["detail"].startswith("damaged: out must be undamaged, got whole/data.nc")
    assert "damaged: out must" in clopsim("runs", ".").stdout
    assert "--out must be undamaged, got whole/data.nc" in clopsim("show", "whole").stderr


def test_force_keeps_the_old_run_until_the_new_one_is_complete(clopsim, monkeypatch):
    clopsim(*QUICK, "--out", "run")
    old = data("run")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert clopsim(*QUICK, "--seed", 5, "--out", "run", "--force").exit_code == 130
    assert data("run") == old
    assert describe(Path("run")).detail == "resumable at 40 %"
    assert clopsim("sweep", "--out", "run", "--resume").exit_code == 0
    assert json.loads(Path("run/summary.json").read_text())["setting"]["seed"] == 5
    assert sorted(path.name for path in Path("run").iterdir()) == [
        "data.nc", "provenance.json", "summary.json", "sweep.png",
    ]  # fmt: skip


def test_shards_join_to_the_bytes_of_the_whole(clopsim, monkeypatch):
    clopsim(*QUICK, "--out", "whole")
    for i in (1, 2, 3):
        result = clopsim(*QUICK, "--shard", f"{i}/3", "--out", f"s{i}")
        assert result.exit_code == 0
        assert result.stdout == f"share {i}/3 complete, 0 cells failed: s{i}\n"
        assert describe(Path(f"s{i}")).detail == f"share {i}/3 complete; join with clopsim merge"
    result = clopsim("merge", "s3", "s1", "s2", "--out", "merged")
    assert result.exit_code == 0, result.output
    assert data("merged") == data("whole")
    assert result.stderr == ""
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "machine", lambda device: "abacus")
        clopsim(*QUICK, "--shard", "2/3", "--out", "elsewhere")
    result = clopsim("merge", "s1", "elsewhere", "s3", "--out", "mixed")
    here = json.loads(Path("merged/provenance.json").read_text())["machines"]
    assert (
        result.stderr
        == f"clopsim: mixed joins parts from {', '.join(sorted([*here, 'abacus']))}, whose last bits differ\n"
    )
    assert (result.exit_code, data("mixed")) == (0, data("whole"))
    clopsim(*QUICK, "--shard", "1/2", "--out", "half")
    clopsim(*QUICK, "--seed", "9", "--shard", "2/3", "--out", "other")
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        again = clopsim(*QUICK, "--shard", "2/3", "--out", "slow").stderr
    assert again.endswith("clopsim sweep --out slow --shard 2/3 --resume\n")
    for words, message in (
        ("s1 s3", "FOLDER... must hold every task, got none with task 1; add the folder of its share"),
        ("s1 slow s3", "FOLDER... must hold every task, got none with task 4; 'slow' is unfinished: resume it"),
        ("s1 s2 s3 half", "FOLDER... must not overlap, got task 0 in 's1' and in 'half'; leave one of them out"),
        ("s1 other s3", "--seed must stay 0 in 's1', got 9"),
        ("s1 whole s3", "FOLDER... must hold shares of a sweep, got 'whole'"),
        ("s1 s2 s3 --out whole", "--out must not exist, got 'whole', which does"),
    ):
        wrong = clopsim("merge", "--out", "new", *words.split())
        assert (wrong.exit_code, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1), wrong.output
        assert message in wrong.stderr
        assert not Path("new").exists()
    assert clopsim(*again.split("clopsim ")[-1].split()).exit_code == 0
    assert clopsim("merge", "s1", "slow", "s3", "--out", "again").exit_code == 0
    assert data("again") == data("whole")
    for text in ("3/2", "0/2", "1", "a/b"):
        assert f"--shard must be I/N with 1 <= I <= N, got '{text}'" in clopsim(*QUICK, "--shard", text).stderr


@pytest.mark.parametrize("command", ["sweep", "train", "train-sweep", "sweep --shard 1/2 --workers 1"])
@pytest.mark.parametrize("there", [(), (".lock",)], ids=["no folder", "a run killed in its first moments"])
def test_resume_without_options_starts_no_run_of_its_own(clopsim, command, there):
    for name in there:
        Path("run").mkdir()
        Path("run", name).touch()
    result = clopsim(*command.split(), "--out", "run", "--resume")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert "--out must hold a run to go on with, got 'run', where nothing is to be resumed; start one" in result.stderr
    assert [path.name for path in Path().rglob("*")] == ["run", *there][: 2 * len(there)]


def test_one_line_of_a_script_starts_a_sweep_and_goes_on_with_it(clopsim):
    Path("c.toml").write_text("samples = 16\nrates = [0.5, 2]\nseeds = 1\nsteps = 20\n")
    Path("grid.toml").write_text(Path("c.toml").read_text() + 'gradient = ["ambient", "tangent"]\n')
    for name, folder in (("c.toml", "run"), ("grid.toml", "grid")):
        line = ("sweep", "--config", name, "--out", folder, "--resume")
        first, again = clopsim(*line), clopsim(*line)
        assert first.stderr == f"clopsim: nothing to resume in {folder}, started anew\n"
        assert (again.exit_code, again.stdout, again.stderr) == (first.exit_code, first.stdout, "")
    Path("strangers").mkdir()
    Path("strangers/mine").touch()
    wrong = clopsim("sweep", "--config", "c.toml", "--out", "strangers", "--resume")
    assert (wrong.exit_code, wrong.stderr.splitlines()[0][:60]) == (
        2,
        "clopsim: --out must be a run folder to be resumed, got 'stra",
    )


def test_show_says_what_a_folder_holds_instead_of_a_whole_run(clopsim, monkeypatch):
    Path("file").touch()
    Path("none").mkdir()
    assert clopsim(*QUICK, "--out", "runs/whole").exit_code == 0
    assert clopsim(*QUICK, "--out", "runs/share", "--shard", "1/2").exit_code == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        assert clopsim(*QUICK, "--out", "runs/half", "--shard", "2/2").exit_code == 130
    shutil.copytree("runs/whole", "torn")
    Path("torn/provenance.json").unlink()
    elsewhere = "clopsim runs FOLDER lists the runs in a folder"
    for folder, what in (
        ("file", f"a file; {elsewhere}"),
        ("gone", f"which does not exist; {elsewhere}"),
        ("none", f"which holds none; {elsewhere}"),
        ("runs", "a folder of runs; clopsim runs runs lists them"),
        ("runs/share", "a share 1/2 complete; join it with clopsim merge FOLDER... --out WHOLE"),
        (
            "runs/half",
            "unfinished, resumable at 50 %; go on with: clopsim sweep --out runs/half --shard 2/2 --resume",
        ),
        ("torn", "damaged: out must be a whole run, got torn without provenance.json; start again with --force"),
    ):
        result = clopsim("show", folder)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"clopsim: FOLDER must be a complete run, got '{folder}', {what}\n"
    with store.locked(Path("runs/half")):
        assert ", which is running, 50 % done; wait for its end\n" in clopsim("show", "runs/half").stderr
    assert clopsim(*clopsim("show", "runs/half").stderr.split("clopsim ")[-1].split()).exit_code == 0


def test_runs_says_where_it_found_none(clopsim, tmp_path):
    Path("empty").mkdir()
    for words, folder in (((), "runs"), (("empty",), "empty")):
        result = clopsim("runs", *words)
        assert (
            result.stdout == f"no runs in {tmp_path / folder}; name the folder that holds yours: clopsim runs FOLDER\n"
        )
        assert clopsim("runs", *words, "--json").stdout == "[]\n"


def test_a_cell_that_fails_is_recorded_and_the_others_finish(clopsim, monkeypatch):
    clopsim(*QUICK, "--out", "whole")
    ordinary = chunks.start

    def start(config, setting, seed):
        if seed == 2:
            raise ArithmeticError("seed two")
        return ordinary(config, setting, seed)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "start", start)
        result = clopsim(*QUICK, "--out", "run")
        assert result.exit_code == 4
        assert (
            "2 cells failed, the first with ArithmeticError: seed two; resume to try again."
            in result.stdout.replace("\n", " ")
        )
        stopped = clopsim(*QUICK, "--out", "fast", "--fail-fast")
    again = "try it again with: clopsim sweep --out fast --resume"
    assert (stopped.exit_code, stopped.stderr) == (4, f"clopsim: a cell failed: ArithmeticError: seed two; {again}\n")
    assert describe(Path("run")).detail == "complete, 2 cells failed; resume to try them again"
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["failures"] == [
        {"temperature": 0.5, "rate": rate, "seed": 2, "error": "ArithmeticError: seed two"} for rate in (0.5, 2.0)
    ]
    assert summary["sweep"][0]["outcomes"] == {"collapsed": 3, "failed": 2, "uniform": 3}
    for folder in ("run", "fast"):
        assert clopsim("sweep", "--out", folder, "--resume").exit_code == 0
        assert data(folder) == data("whole")


def test_a_local_dask_cluster_gives_the_same_bytes(clopsim):
    clopsim(*QUICK, "--out", "whole")
    result = clopsim(*QUICK, "--out", "run", "--engine", "dask", "--workers", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    assert data("run") == data("whole")


def test_a_scheduler_that_does_not_answer_leaves_nothing(clopsim, monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 1)
    result = clopsim(*QUICK, "--out", "run", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert "--scheduler must answer, got 'tcp://127.0.0.1:9'" in result.stderr
    assert not Path("run").exists()


FULL = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))\n"
FULL += "from clopsim import cli; cli.app(sys.argv[2:])"


@pytest.mark.parametrize("room", (300, 3000))
def test_a_full_disk_is_one_line_and_loses_nothing(clopsim, room, monkeypatch, tmp_path):
    """Real writes that stop after so many bytes: in the plan, in a chunk."""
    pytest.importorskip("resource", reason="limits of file sizes are a Unix thing")
    monkeypatch.undo()  # the other process has the ordinary plan
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(room), *QUICK, "--out", "run"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert re.match(r"clopsim: File too large \(run\S*\); what is done is kept, go on with: clopsim sweep", done.stderr)
    assert not list(Path().rglob("*.tmp"))
    assert clopsim(*QUICK, "--out", "run", "--resume").exit_code == 0


def test_a_read_only_folder_is_one_line(clopsim):
    Path("locked").mkdir(mode=0o555)
    if os.access("locked", os.W_OK):
        pytest.skip("root may write anywhere")
    result = clopsim(*QUICK, "--out", "locked/run")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "--out must be writable, got 'locked/run' (Permission denied)" in result.stderr


def test_a_list_on_any_axis_makes_a_grid(clopsim, monkeypatch):
    Path("grid.toml").write_text(
        'samples = [8, 16]\ngradient = ["ambient", "tangent"]\ntau = [0.5, 1]\nrates = [0.5, 2]\nseeds = 1\n'
        "steps = 20\nclusters = 2\nview-noise = 0\nworkers = 1\n"
    )
    words = ["sweep", "--config", "grid.toml", "--seeds", 2, "--out", "grid"]
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        assert clopsim(*words, "--save-config", "ran.toml").exit_code == 130
    result = clopsim("sweep", "--out", "grid", "--resume")
    assert result.exit_code == 0, result.output
    names = [f"samples={n},gradient={g}" for n in (8, 16) for g in ("ambient", "tangent")]
    *lines, empty, written, shown = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == names
    assert (empty, written) == ("", "Written to grid, a folder for each:")
    assert clopsim(*shown.split()[1:]).exit_code == 0
    asked = clopsim("show", "grid")
    assert (asked.exit_code, asked.stderr) == (
        2,
        "clopsim: FOLDER must be a complete run, got 'grid', a grid of 4 sweeps; clopsim runs grid lists them, "
        f"clopsim show grid/{names[2]} prints one\n",
    )
    assert sorted(path.name for path in Path("grid").iterdir()) == sorted([*names, "grid.toml"])
    command = json.loads(Path("grid", names[3], "provenance.json").read_text())["command"]
    assert clopsim(*command.split()[1:], "--out", "single").exit_code == 0
    assert data("single") == data(Path("grid", names[3]))
    assert [row["state"] for row in json.loads(clopsim("runs", "grid", "--json").stdout)] == ["complete"] * 4
    saved = tomllib.loads(Path("ran.toml").read_text())
    assert saved["seeds"] == 2  # the option went first
    assert len(saved) == len(defaults(Sweep))
    document = json.loads(clopsim("sweep", "--config", "ran.toml", "--out", "twin", "--json").stdout)
    assert list(document["sweeps"]) == names
    assert data(Path("twin", names[0])) == data(Path("grid", names[0]))
    for more, message in (
        ((), "--out must not exist, got 'grid', a grid of runs; add --resume"),
        (("--resume", "--steps", 30), "--config must stay what 'grid/grid.toml' says, got another"),
    ):
        wrong = clopsim(*words, *more)
        assert (wrong.exit_code, len(wrong.stderr.splitlines())) == (2, 1)
        assert message in wrong.stderr


@pytest.mark.parametrize(
    "text, message",
    [
        ("sampels = 8", "--config must hold options of sweep, got 'sampels' in 'c.toml'; the nearest is 'samples'"),
        ("view_nose = 0.1", "the nearest is 'view_noise'"),
        ("samples = ", "--config must be TOML, got 'c.toml'"),
        ("samples = '8'", "--samples must be a whole number >= 2, got '8'"),
        ("samples = []", "--samples must have at least one value, got none; give one such as 32"),
        ("samples = [8, 2.5]", "--samples must be a whole number >= 2, got 2.5"),
        ("loss = ['merged', 'triplet']", "--loss must be one of merged, full, got 'triplet'"),
        ("tau = true", "--tau must be a finite number > 0, got True"),
        ("engine = 'ray'", "--engine must be one of local, dask, got 'ray'"),
        (
            "[sweep]\nsamples = 8",
            "--config must be lines of values, got the table 'sweep' in 'c.toml'; take its name out",
        ),
        (
            "[[sweep]]\nsamples = 8",
            "--config must be lines of values, got the table 'sweep' in 'c.toml'; take its name out",
        ),
        ("foo = 1", "--config must hold options of sweep, got 'foo' in 'c.toml'; clopsim sweep --help lists them"),
        ("samples = 8.0", "--samples must be a whole number >= 2, got 8.0; write it as 8"),
        (f"seed = {list(range(501))}", "--config must hold at most 500 sweeps, got 501"),
    ],
)
def test_wrong_files(clopsim, text, message):
    Path("c.toml").write_text(text)
    result = clopsim("sweep", "--config", "c.toml", "--out", "run")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert message in result.stderr
    assert not Path("run").exists()


def test_a_file_that_is_not_there(clopsim):
    assert (
        "--config must be a file to read, got 'c.toml' (No such file" in clopsim("sweep", "--config", "c.toml").stderr
    )
    wrong = clopsim(*QUICK, "--save-config", "no/c.toml", "--out", "run").stderr
    assert "--save-config must be writable, got 'no/c.toml'" in wrong
    assert not Path("run").exists()


def test_defaults_of_a_file_are_those_of_the_options():
    found = grid(Sweep, {})
    assert found.points == {"": Sweep()}
    assert Sweep.from_plain(grid(Sweep, tomllib.loads(found.text)).points[""].__dict__) == Sweep()


def test_more_workers_only_where_they_pay(clopsim, monkeypatch):
    asked = []
    ordinary = executors.executor

    def spy(engine, *, workers, scheduler):
        asked.append(workers)
        return ordinary(engine, workers=1, scheduler=scheduler)

    monkeypatch.setattr(executors, "executor", spy)
    monkeypatch.setattr(executors, "cores", lambda: 2)
    clopsim(*QUICK, "--out", "short")
    monkeypatch.setattr("clopsim.door.execution.SECONDS_PER_WORKER", 2)
    clopsim(*QUICK, "--out", "long")
    clopsim(*QUICK, "--out", "more", "--workers", "3")
    assert asked == [1, 2, 3]


def test_a_grid_of_before_momentum_is_gone_on_with(tmp_path):
    new = grid(Sweep, {"samples": [8, 16], "seeds": 1}).text
    (tmp_path / "grid.toml").write_text("\n".join(line for line in new.splitlines() if "momentum" not in line) + "\n")
    assert set(grid(Sweep, {}, recorded=tmp_path).points) == {"samples=8", "samples=16"}
    with pytest.raises(ValueError, match="^config must stay what"):
        grid(Sweep, {"momentum": 0.5}, recorded=tmp_path)


def test_a_grid_is_refused_where_its_file_was_changed(tmp_path):
    whole = sealed(grid(Sweep, {"samples": [8, 16], "seeds": 1}).text)
    (tmp_path / "grid.toml").write_bytes(whole)
    points = grid(Sweep, {}, recorded=tmp_path).points
    for changed in (whole.replace(b"seeds = 1", b"seeds = 3"), whole[:-20], whole[:5], b""):
        (tmp_path / "grid.toml").write_bytes(changed)
        with pytest.raises(ValueError, match="grid.toml with a wrong checksum"):
            grid(Sweep, {}, recorded=tmp_path)
    (tmp_path / "grid.toml").write_bytes(whole)
    assert grid(Sweep, {}, recorded=tmp_path).points == points
