"""Training sweeps that outlive their process: kill, resume, shards, workers, failures, files; a cell is its own run."""

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from clopsim.door.ignored import check_used
from clopsim.runs import plan, store, training_sweep
from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.states import describe
from clopsim.training.recipe import Training

ROOT = Path(__file__).parents[3]
GRID = ["--loss", "clop,infonce", "--rate", "0.01,1", "--seeds", "3"]
NETWORK = ["--data", "clusters", "--samples", "40", "--batch", "8", "--width", "8", "--steps", "4", "--device", "cpu"]
QUICK = ["sweep", "--embedder", "mlp", *GRID, *NETWORK]  # three chunks of four networks


def data(folder):
    return [Path(folder, name).read_bytes() for name in ("data.nc", "summary.json")]


def stop_after(monkeypatch, count):
    """Let the run be interrupted once so many results are kept."""
    write = store.Store.write

    def limited(self, number, record):
        if len(list((self.folder / "chunks").glob("0*"))) == count:
            raise KeyboardInterrupt
        write(self, number, record)

    monkeypatch.setattr(store.Store, "write", limited)


@pytest.mark.parametrize("batch", [(8,), (8, 0)])
@pytest.mark.parametrize("steps, largest", [(4, 60), (10**5, 16)])
def test_the_plan_covers_every_run_once_and_keeps_together_what_is_alike(batch, steps, largest):
    base = Training(samples=40, steps=steps, device="cpu")
    record = TrainingSweep(base, loss=("clop", "dcl"), rate=tuple(np.geomspace(0.1, 1, 60)), batch=batch)
    ordered, tasks = plan.ordered(record), plan.tasks(record)
    assert sorted(ordered) == sorted(record.cells())
    assert [task.first for task in tasks] == [0, *np.cumsum([task.size for task in tasks])[:-1]]
    assert sum(plan.weight(record, task) for task in tasks) == len(ordered)
    assert max(task.size for task in tasks) <= largest
    for task in tasks:
        cells = ordered[task.first : task.first + task.size]
        assert len({(cell.loss, cell.batch, cell.seed) for cell in cells}) == 1
    assert max(task.size for task in plan.tasks(replace(record, base=replace(base, device="cuda")))) == 60


def test_interrupt_list_resume_show(clopsim, monkeypatch):
    assert clopsim(*QUICK, "--out", "whole").exit_code == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        result = clopsim(*QUICK, "--out", "run")
    again = "clopsim train-sweep --out run --resume"
    assert (result.exit_code, result.stderr) == (130, f"clopsim: interrupted; 67 % is kept, go on with: {again}\n")
    (row,) = json.loads(clopsim("runs", "run", "--json").stdout)
    assert (row["kind"], row["detail"]) == ("train-sweep", "resumable at 66 %")
    assert row["setting"] == "clop,infonce, mlp on clusters, 4 steps, lambda = 0,1, d = 16"
    for words, message in (
        ((*QUICK, "--out", "run"), "--out must not exist, got 'run', an unfinished run; add --resume to go on"),
        (
            (*QUICK, "--rate", "0.1", "--out", "run", "--resume"),
            "--rate must stay (0.01, 1.0) in 'run', got (0.01, 1.0, 0",
        ),
        (
            ("sweep", "--out", "run", "--resume"),
            f"--out must hold a sweep, got 'run', a train-sweep; resume it: {again}",
        ),
        ((*QUICK, "--out", "run", "--resume", "--force"), "--resume must come without --force, got both"),
        (("show", "run"), "FOLDER must be a complete run, got 'run'"),
        (("show", "whole", "--figure", "x.png"), "--figure must be of one run or a sweep of embeddings, got 'whole'"),
    ):
        wrong = clopsim(*words)
        assert (wrong.exit_code, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1), wrong.output
        assert message in wrong.stderr
    done = clopsim("sweep", "--embedder", "mlp", "--out", "run", "--resume")
    assert done.exit_code == 0, done.output
    assert data("run") == data("whole")
    assert sorted(path.name for path in Path("run").iterdir()) == ["data.nc", "provenance.json", "summary.json"]
    monkeypatch.setattr(training_sweep, "train_together", None)  # from here on nothing may run
    assert clopsim("show", "run").stdout == done.stdout == clopsim(*again.split()[1:]).stdout
    assert clopsim("runs", "run").stdout.splitlines()[2].split()[:1] == ["run"]
    command = json.loads(Path("run/provenance.json").read_text())["command"].split()
    assert command[:4] == ["clopsim", "train-sweep", "--loss", "clop,infonce"]


def test_the_folder_of_another_run_is_known_and_not_gone_on_with(clopsim):
    assert clopsim("train", *NETWORK, "--out", "one").exit_code == 0
    assert (describe(Path("one")).kind, describe(Path("one")).setting) == (
        "train", "infonce, mlp on clusters, 4 steps, d = 16",
    )  # fmt: skip
    wrong = clopsim(*QUICK, "--out", "one", "--resume")
    assert (wrong.exit_code, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1), wrong.output
    again = "resume it: clopsim train --out one --resume"
    assert f"--out must hold a train-sweep, got 'one', a train; {again}" in wrong.stderr


def test_shards_and_workers_give_the_bytes_of_the_whole(clopsim):
    assert clopsim(*QUICK, "--out", "whole").exit_code == 0
    for i in (1, 2):
        result = clopsim(*QUICK, "--shard", f"{i}/2", "--out", f"s{i}")
        assert (result.exit_code, result.stdout) == (0, f"share {i}/2 complete, 0 cells failed: s{i}\n")
    result = clopsim("merge", "s1", "s2", "--out", "merged")
    assert result.exit_code == 0, result.output
    assert "Written to merged" in result.stdout
    assert data("merged") == data("whole")
    assert (
        clopsim("sweep", "--samples", 8, "--rates", "2", "--steps", "2", "--shard", "2/2", "--out", "s3").exit_code == 0
    )
    wrong = clopsim("merge", "s1", "s3", "--out", "new")
    assert (wrong.exit_code, len(wrong.stderr.splitlines())) == (2, 1)
    assert "must stay 'train-sweep' in 's1', got 'sweep'" in wrong.stderr
    assert clopsim(*QUICK, "--workers", "2", "--out", "two").exit_code == 0
    assert data("two") == data("whole")


def test_damage_is_named(clopsim, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        clopsim(*QUICK, "--out", "run")
    chunk = Path("run/chunks/00001")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    result = clopsim(*QUICK, "--out", "run", "--resume")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "--out must be undamaged, got run/chunks/00001 with a wrong checksum; delete that file" in result.stderr


def test_a_chunk_that_fails_is_recorded_and_the_others_finish(clopsim, monkeypatch):
    clopsim(*QUICK, "--out", "whole")
    ordinary = training_sweep.train_together

    def train_together(recipes, **options):
        if recipes[0].seed == 1:
            raise ArithmeticError("seed one")
        return ordinary(recipes, **options)

    with monkeypatch.context() as patch:
        patch.setattr(training_sweep, "train_together", train_together)
        result = clopsim(*QUICK, "--out", "run")
        assert result.exit_code == 4
        assert (
            "4 cells failed, the first with ArithmeticError: seed one; resume to try again."
            in result.stdout.replace("\n", " ")
        )
        stopped = clopsim(*QUICK, "--out", "fast", "--fail-fast")
        assert stopped.exit_code == 4
        assert stopped.stderr.startswith("clopsim: a cell failed: ArithmeticError: seed one; try it again with: ")
        patch.setattr(training_sweep, "train_together", lambda *_, **__: 1 / 0)
        nothing = clopsim(*QUICK, "--out", "nothing")
        assert (nothing.exit_code, nothing.stdout) == (4, "")
        assert "not a single cell ended well; the first: ZeroDivisionError" in nothing.stderr
    assert describe(Path("run")).detail == "complete, 4 cells failed; resume to try them again"
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["failures"][0] == {
        "loss": "infonce", "learning_rate": 0.01, "weight_decay": 1e-4, "weight": 0.0, "labelled_fraction": 0.1,
        "batch_size": 8, "seed": 1, "error": "ArithmeticError: seed one",
    }  # fmt: skip
    assert {row["outcomes"]["failed"] for row in summary["runs"]} == {1}
    with xr.open_dataset("run/data.nc") as dataset:
        assert np.isnan(dataset["effective_rank"].sel(seed=1)).all()
        assert np.isfinite(dataset["effective_rank"].sel(seed=[0, 2])).all()
    for folder in ("run", "fast", "nothing"):
        assert clopsim("train-sweep", "--out", folder, "--resume").exit_code == 0
        assert data(folder) == data("whole")


def test_a_cell_is_what_train_makes_of_its_recipe(clopsim):
    more = ["--precision", "float64", "--seed", "2", "--labelled", "0.5", "--weight-decay", "0.01"]
    grid = ["--loss", "clop,infonce", "--rate", "0.5", "--seeds", "1"]
    assert clopsim("train-sweep", *grid, *NETWORK, *more, "--out", "grid").exit_code == 0
    with xr.open_dataset("grid/data.nc") as dataset:
        grid = dataset.isel(loss=0, learning_rate=0, weight_decay=0, labelled_fraction=0, batch_size=0, seed=0).load()
    for loss, weight in (("infonce", 0.0), ("clop", 1.0)):
        assert clopsim("train", "--loss", loss, *NETWORK, *more, "--rate", "0.5", "--out", loss).exit_code == 0
        alone, cell = json.loads(Path(loss, "summary.json").read_text()), grid.sel(weight=weight)
        assert alone["verdict"] == cell["outcome"]
        assert alone["accuracy"]["knn"] == float(cell["knn"])
        for name in ("effective_rank", "mean_resultant_length", "leading_share", "view_cosine", "squared_norm"):
            assert float(cell[name][-1]) == pytest.approx(alone["final"][name], rel=1e-9), name
        assert float(cell["loss_value"][-1]) == pytest.approx(alone["final"]["loss"], rel=1e-9)


def test_a_run_that_diverges_is_nan_and_touches_no_other(clopsim):
    wild = ["--loss", "vicreg", "--rate", "0.01,1e30", "--weight", "0", "--seeds", "1"]
    assert clopsim("train-sweep", *NETWORK, *wild, "--out", "grid").exit_code == 0
    (tame, lost) = json.loads(Path("grid/summary.json").read_text())["runs"]
    assert (tame["outcomes"], lost["outcomes"], lost["loss_value"]) == ({"spread": 1}, {"diverged": 1}, None)
    alone = clopsim("train", "--loss", "vicreg", *NETWORK, "--rate", "1e30", "--labelled", "0.1", "--out", "one")
    assert (alone.exit_code, "the loss turned" in alone.stderr) == (4, True)


def test_a_file_of_options_and_a_grid_over_any_other_axis(clopsim):
    Path("c.toml").write_text('loss = ["clop", "infonce"]\nrate = 1\nseeds = 1\nwidth = [8, 16]\ndata = "clusters"\n')
    words = ["train-sweep", "--config", "c.toml", *NETWORK[2:6], "--steps", 2, "--out", "grid"]
    result = clopsim(*words, "--save-config", "ran.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        "width=8: 2 combinations trained.\nwidth=16: 2 combinations trained.\n\nWritten to grid"
    )
    assert tomllib.loads(Path("ran.toml").read_text())["loss"] == ["clop", "infonce"]
    for text, message in (
        ("wieght = 1", "--config must hold options of train-sweep, got 'wieght' in 'w.toml'; the nearest is 'weight'"),
        ("rates = [1]", "got 'rates' in 'w.toml'; clopsim sweep takes it"),
        ("rate = ['x']", "--rate must be a finite number > 0, got 'x'"),
    ):
        Path("w.toml").write_text(text)
        wrong = clopsim("sweep", "--embedder", "mlp", "--config", "w.toml", "--out", "new")
        assert (wrong.exit_code, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1), wrong.output
        assert message in wrong.stderr
    Path("w.toml").write_text('embedder = "mlp"')
    assert "got 'embedder' in 'w.toml'; clopsim train-sweep takes it" in clopsim("sweep", "--config", "w.toml").stderr


def test_the_help_of_the_front_door_leads_there(clopsim):
    assert "clopsim train-sweep" in " ".join(clopsim("sweep", "--help").stdout.replace("│", " ").split())
    assert clopsim("sweep", "--embedder", "mlp", "--help").stdout == clopsim("train-sweep", "--help").stdout


def test_kills_at_random_points_lose_nothing():
    """Five here; `python -m tests.kill 100 0 train-sweep` for more."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill", "5", "1", "train-sweep"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"finished_identical"' in done.stdout


def test_the_optimiser_and_the_warm_up_are_run_listed_and_resumed_as_they_were(clopsim):
    words = "--data clusters --samples 16 --batch 8 --steps 6 --rate 0.01 --seeds 1 --weight 0 --embedder linear"
    done = clopsim("train-sweep", *words.split(), "--optimizer", "adamw", "--schedule", "warmup", "--out", "run")
    assert done.exit_code == 0, done.output
    assert "6 steps, adamw with beta_1 0.9, warm-up of 1, cosine schedule" in done.stdout.replace("\n", " ")
    (row,) = json.loads(clopsim("runs", ".", "--json").stdout)
    assert "adamw, warm-up of 1" in row["setting"]
    assert clopsim("train-sweep", "--out", "run", "--resume").exit_code == 0
    other = clopsim("train-sweep", "--out", "run", "--resume", "--optimizer", "sgd")
    assert other.exit_code == 2
    assert "--optimizer must stay 'adamw'" in other.stderr


def test_a_grid_of_optimisers_from_a_file(clopsim):
    """As of every option that is no axis: one sweep for each."""
    shared = 'data = "clusters"\nsamples = 16\nbatch = 8\nsteps = 4\nseeds = 1\nrate = 0.01\nweight = 0\n'
    Path("c.toml").write_text(shared + 'optimizer = ["sgd", "lars"]\n')
    assert clopsim("train-sweep", "--config", "c.toml", "--out", "grid").exit_code == 0
    assert sorted(path.name for path in Path("grid").iterdir() if path.is_dir()) == ["optimizer=lars", "optimizer=sgd"]


@pytest.mark.parametrize(
    "words, message",
    [
        ("--loss simo,vicreg --tau 0.5", "--tau must come with a loss that has one, got 0.5 with simo, vicreg; leave"),
        ("--classes 5", "--classes must come with data that are drawn here (clusters, lines), got 5 with digits"),
        (
            "--config chosen.toml",
            "--features must come with data that are drawn here (clusters, lines), got 5 with digits",
        ),
    ],
)
def test_an_option_that_no_network_would_use_is_refused(clopsim, words, message):
    Path("chosen.toml").write_text("features = 5\nclasses = 4\n")
    result = clopsim("train-sweep", *words.split(), "--out", "new")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"clopsim: {message}")
    assert not Path("new").exists()


def test_an_option_that_some_network_uses_is_no_mistake_nor_is_a_files_default():
    usual = TrainingSweep().to_plain()
    check_used({"temperature", "seed"}, {**usual, "loss": ("vicreg", "clop")})
    check_used({"temperature"}, {**usual, "loss": ["vicreg", "dcl"]})
    check_used({"classes", "noise", "features"}, {**usual, "data": ["digits", "lines"]})
    check_used(set(), {**usual, "loss": ("vicreg",)})


def test_a_saved_configuration_runs_again(clopsim):
    line = "--loss vicreg --embedder linear --rate 0.1 --weight 0 --samples 60 --batch 0 --seeds 1 --steps 2"
    first = clopsim("train-sweep", *line.split(), "--save-config", "ran.toml", "--out", "first")
    assert first.exit_code == 0, first.output
    again = clopsim("train-sweep", "--config", "ran.toml", "--out", "again")
    assert again.exit_code == 0, again.output
