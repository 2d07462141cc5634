"""`clopsim train` as a user meets it: results, kills and resumes, exit statuses, wrong input as one plain line."""

import inspect
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import xarray as xr

from clopsim import cli, train
from clopsim.runs import store, training_run
from clopsim.runs.code import code
from clopsim.training import loop
from clopsim.training.recipe import NamedLoss, Training

QUICK = shlex.split("train --data clusters --samples 80 --dim 4 --width 8 --batch 16 --steps 20 --save-every 5")


def test_a_run_writes_everything_and_prints_the_verdict(clopsim):
    result = clopsim(*QUICK, "--out", "run")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""  # no terminal, no progress line
    assert (
        "infonce on clusters, mlp to d = 4; 64 samples to train on (64 labelled), 16 held out"
        in result.stdout.replace("\n", " ")
    )
    assert "at collapse" in result.stdout
    assert re.search(
        r"\nSharpness \S+: descent with momentum 0.9 is stable up to rate \S+ \(this run:\s0.1, ", result.stdout
    )
    assert "Verdict: not collapsed" in result.stdout
    assert result.stdout.endswith("Written to run\n")
    assert [path.name for path in Path().iterdir()] == ["run"]
    assert {path.name for path in Path("run").iterdir()} == {
        "data.nc", "summary.json", "provenance.json", "train.png", "embeddings.npz", "checkpoint.pt",
    }  # fmt: skip


def test_json_is_one_document_and_the_summary(clopsim):
    result = clopsim(*QUICK, "--out", "run", "--json", "--prototypes", "orthonormal", "--labelled", "0.5")
    assert json.loads(result.stdout) == json.loads(Path("run/summary.json").read_text())
    assert json.loads(result.stdout)["samples"] == {"train": 64, "labelled": 32, "held_out": 16}


def test_show_prints_the_report_and_redraws_the_picture_where_asked(clopsim):
    done = clopsim(*QUICK, "--out", "run")
    picture = Path("run/train.png").read_bytes()
    Path("run/train.png").unlink()
    before = sorted(Path("run").iterdir())
    assert clopsim("show", "run").stdout == done.stdout
    assert sorted(Path("run").iterdir()) == before
    assert clopsim("show", "run", "--figure", "x.png").exit_code == 0
    assert Path("x.png").read_bytes() == picture


@pytest.mark.parametrize("optimizer, usual", [("adamw", "0.001"), ("lars", "1")])
def test_the_default_rate_of_sgd_is_remarked_under_another_optimizer(clopsim, optimizer, usual):
    plain = (*QUICK, "--no-sharpness", "--optimizer", optimizer)
    remark = f"rate 0.1 is the default of sgd; {optimizer} usually takes about {usual}"
    result = clopsim(*plain, "--out", "run")
    assert (result.exit_code, result.stderr) == (0, f"clopsim: {remark}\n")
    assert clopsim(*plain, "--out", "other", "--rate", "0.1").stderr == ""
    assert remark not in clopsim("train", "--out", "other", "--resume").stderr
    with pytest.warns(UserWarning, match=f"^{remark}$"):
        train(optimizer=optimizer, data="clusters", samples=40, batch=0, steps=2, sharpness=False)


def test_without_sharpness_there_is_none(clopsim):
    final = json.loads(clopsim(*QUICK, "--out", "with", "--json").stdout)["final"]
    curvature = final["sharpness"] + Training.weight_decay
    assert final["stable_learning_rate"] == pytest.approx(2 * 1.9 / curvature)
    result = clopsim(*QUICK, "--no-sharpness", "--out", "without")
    assert "Sharpness" not in result.stdout
    without = json.loads(Path("without/summary.json").read_text())["final"]
    assert without == {**final, "sharpness": None, "stable_learning_rate": None}
    assert "--no-sharpness" in json.loads(Path("without/provenance.json").read_text())["command"]


def test_default_folder_is_dated(clopsim):
    result = clopsim(*QUICK)
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("train-")
    assert result.stdout.rstrip().endswith(str(folder))


def test_the_recorded_command_reproduces_the_run(clopsim):
    words = ["--loss", "dcl", "--prototypes", "simplex", "--weight", "2.5", "--no-batch-norm", "--seed", "3"]
    clopsim(*QUICK, *words, "--precision", "float64", "--out", "a")
    command = json.loads(Path("a/provenance.json").read_text())["command"]
    assert "--no-batch-norm" in command
    assert clopsim(*shlex.split(command)[1:], "--out", "b").exit_code == 0
    assert Path("a/data.nc").read_bytes() == Path("b/data.nc").read_bytes()
    assert Path("a/embeddings.npz").read_bytes() == Path("b/embeddings.npz").read_bytes()


def test_a_collapsed_run_says_so(clopsim):
    words = "--rate 1 --weight-decay 0.5 --momentum 0 --schedule constant --no-batch-norm --batch 0 --steps 200"
    result = clopsim(*QUICK, *words.split(), "--out", "run")
    assert result.exit_code == 0
    assert "Verdict: collapsed onto one point: mean cosine 1.0000" in result.stdout
    assert "Rate x weight decay is 0.5" in result.stdout
    assert "--prototypes orthonormal" in result.stdout.replace("\n", " ")
    assert json.loads(Path("run/summary.json").read_text())["verdict"] == "collapsed"


@pytest.mark.parametrize("words", (
    "--loss vicreg --rate 1e6",
    "--loss infonce --rate 1e38 --weight-decay 1e3",  # weights turn nan at once; cosines of nan must not look collapsed
))  # fmt: skip
def test_nan_stops_with_status_4_the_step_the_rate_and_the_last_good_checkpoint(clopsim, words):
    words += " --momentum 0 --no-batch-norm --save-every 1 --schedule constant"
    result = clopsim(*QUICK, *words.split(), "--out", "run")
    assert result.exit_code == 4
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("clopsim: the loss turned ")
    assert re.search(r" of 20, learning rate 1e\+(06|38)\.", line)
    assert "Lower the" in line
    found = re.search(r"run keeps the last good state, after (\d+) steps\.$", line)
    assert found
    step, content = store.load(Path("run")).kept()
    assert step == int(found[1])
    assert all(np.isfinite(values).all() for name, values in content.items() if name.startswith("params/"))
    document = json.loads(clopsim(*QUICK, *words.split(), "--out", "other", "--json").stdout)
    assert document["verdict"] == "diverged"
    assert document["text"] in line


LONG = [*QUICK, "--steps", "600", "--save-every", "10", "--precision", "float64"]


def started(tmp_path, *words):
    """A process of its own, on one thread: another number of threads would give other last bits."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return subprocess.Popen(
        [sys.executable, "-m", "clopsim", *LONG, *words],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(tmp_path, *words):
    process = started(tmp_path, *words)
    process.communicate()
    return process.returncode


def wait_for_another_checkpoint(tmp_path, process):
    """Until the file has been replaced since now."""
    path = tmp_path / "run/checkpoint"

    def stamp():
        return path.stat().st_mtime_ns if path.exists() else 0

    before, deadline = stamp(), time.monotonic() + 120
    while stamp() == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()


def test_a_run_killed_twice_and_resumed_ends_with_the_same_bytes(clopsim, tmp_path):
    process = started(tmp_path, "--out", "run")
    wait_for_another_checkpoint(tmp_path, process)
    process.kill()
    process.communicate()
    assert {path.name for path in Path("run").iterdir()} <= {"plan.json", "checkpoint", "chunks", ".lock"}
    refused = clopsim(*LONG, "--out", "run")
    assert refused.exit_code == 2
    assert "an unfinished run; add --resume to go on, --force to replace" in refused.stderr
    assert re.search(r"^run .* resumable at \d+ %", clopsim("runs", ".").stdout, re.MULTILINE)
    process = started(tmp_path, "--out", "run", "--resume")
    wait_for_another_checkpoint(tmp_path, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    step, _ = store.load(Path("run")).kept()
    assert 0 < step < 600
    assert finished(tmp_path, "--out", "run", "--resume") == 0
    assert finished(tmp_path, "--out", "whole") == 0
    assert sorted(path.name for path in Path().iterdir()) == ["run", "whole"]
    with xr.open_dataset("run/data.nc") as resumed, xr.open_dataset("whole/data.nc") as whole:
        assert resumed.identical(whole)
        assert resumed["sharpness"].notnull().sum() == 4
    for name in ("data.nc", "embeddings.npz", "summary.json", "train.png"):
        assert Path("run", name).read_bytes() == Path("whole", name).read_bytes(), name


@pytest.mark.parametrize("sent, how, status", (("SIGINT", "interrupted", 130), ("SIGTERM", "terminated", 143)))
def test_ctrl_c_and_a_scheduler_keep_the_step_and_say_so(clopsim, tmp_path, sent, how, status):
    process = started(tmp_path, "--save-every", "600", "--out", "run")
    wait_for_another_checkpoint(tmp_path, process)
    time.sleep(0.3)  # some steps on, long before the next checkpoint
    process.send_signal(signal.Signals[sent])
    _, errors = process.communicate(timeout=600)
    assert process.returncode == status
    found = re.fullmatch(rf"clopsim: {how}; (\d+) % is kept, go on with: clopsim train --out run --resume\n", errors)
    assert found, errors
    assert store.load(Path("run")).kept()[0] > 0
    assert finished(tmp_path, "--save-every", "600", "--out", "run", "--resume") == 0
    assert finished(tmp_path, "--save-every", "600", "--out", "whole") == 0
    with xr.open_dataset("run/data.nc") as resumed, xr.open_dataset("whole/data.nc") as whole:
        assert resumed.identical(whole)


def test_force_starts_anew_over_an_unfinished_run(clopsim):
    Path("run.checkpoint.pt").write_text("left over by an earlier version")
    assert clopsim(*QUICK, "--out", "run", "--force").exit_code == 0
    assert clopsim(*QUICK, "--out", "run", "--force").exit_code == 0
    assert [path.name for path in Path().iterdir()] == ["run"]


def test_one_line_starts_goes_on_and_says_complete(clopsim):
    first = clopsim(*QUICK, "--out", "run", "--resume")
    assert (first.exit_code, first.stderr) == (0, "clopsim: nothing to resume in run, started anew\n")
    again = clopsim("train", "--out", "run", "--resume")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert again.stderr == "clopsim: run is complete, nothing was left to do\n"
    wrong = clopsim("train", "--out", "run", "--resume", "--rate", "3")
    assert wrong.exit_code == 2
    assert "--rate must stay 0.1 in 'run', got 3.0; choose another --out or add --force" in wrong.stderr


def test_a_run_goes_on_with_its_own_data_code_and_threads_only(clopsim, monkeypatch):
    x = np.random.default_rng(0).standard_normal((80, 5))
    np.savez("mine.npz", x=x, y=np.arange(80) % 4)
    words = [*QUICK, "--data", "mine.npz", "--samples", "0", "--save-every", "5"]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Observer, "record", stopping_at(5))
        assert clopsim(*words, "--out", "run").exit_code == 130
    np.savez("mine.npz", x=x + 1e-9, y=np.arange(80) % 4)
    refused = clopsim("train", "--out", "run", "--resume")
    assert refused.exit_code == 2
    assert "--out must go on with the data it began with" in refused.stderr
    np.savez("mine.npz", x=x, y=np.arange(80) % 4)
    with monkeypatch.context() as patch:
        patch.setattr(training_run, "code", lambda: {**code(), "source": "0" * 16})
        assert "--out must go on with the code it began with" in clopsim("train", "--out", "run", "--resume").stderr
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 77)
        assert "set OMP_NUM_THREADS to that" in clopsim("train", "--out", "run", "--resume").stderr
    assert clopsim("train", "--out", "run", "--resume").exit_code == 0


def stopping_at(step):
    """Observer.record, interrupted once a run has come to that step."""
    ordinary = loop.Observer.record

    def record(self, state, *more):
        if state.step >= step:
            raise KeyboardInterrupt
        return ordinary(self, state, *more)

    return record


def test_every_flipped_bit_of_a_checkpoint_is_noticed(clopsim, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop.Observer, "record", stopping_at(5))
        clopsim(*QUICK, "--save-every", "5", "--out", "run")
    path = Path("run/checkpoint")
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(len(whole), size=60):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        result = clopsim("train", "--out", "run", "--resume")
        assert result.exit_code == 2, place
        assert len(result.stderr.splitlines()) == 1
    path.write_bytes(whole)
    assert clopsim("train", "--out", "run", "--resume").exit_code == 0


def test_trainings_that_start_together_have_folders_of_their_own(clopsim, tmp_path):
    processes = [started(tmp_path, "--steps", "2", "--rate", str(rate)) for rate in (0.1, 0.2, 0.3)]
    outputs = [process.communicate(timeout=600) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    folders = sorted(Path("runs").iterdir())
    assert len(folders) == 3
    assert {json.loads((folder / "summary.json").read_text())["setting"]["rate"] for folder in folders} == {
        0.1,
        0.2,
        0.3,
    }


def test_two_trainings_never_work_in_one_folder(clopsim, tmp_path):
    process = started(tmp_path, "--out", "run")
    wait_for_another_checkpoint(tmp_path, process)
    second = clopsim(*QUICK, "--out", "run", "--force")
    process.kill()
    process.communicate()
    assert second.exit_code == 2
    assert "--out must not be in use, got 'run'; another process works there" in second.stderr


def test_a_default_folder_goes_if_nothing_came_of_it(clopsim):
    assert clopsim(*QUICK, "--data", "gone.npz").exit_code == 2
    assert not Path("runs").exists()


WRONG = [
    ("--data moons", "--data must be one of clusters, lines, digits, openml:NAME, FILE.npz, got 'moons'"),
    ("--data gone.npz", "--data must be an .npz file that can be read, got 'gone.npz' (no such file)"),
    ("--data file.npz", "--data must be an .npz file that can be read, got 'file.npz'"),
    ("--samples -1", "--samples must be a whole number >= 0, got -1;"),
    ("--data digits --samples 5000", "--samples must be <= the 1797 of digits, got 5000;"),
    ("--features 1", "--features must be a whole number >= 2, got 1;"),
    ("--classes 0", "--classes must be a whole number >= 1, got 0;"),
    ("--classes 90", "--classes must be <= samples, got 90 classes and 80 samples;"),
    ("--noise -1", "--noise must be a finite number >= 0, got -1.0; 0 leaves it out"),
    ("--held-out 1", "--held-out must be in [0, 1), got 1.0;"),
    ("--labelled 2", "--labelled must be in [0, 1], got 2.0;"),
    ("--label-noise 2", "--label-noise must be in [0, 1], got 2.0;"),
    ("--imbalance 0.5", "--imbalance must be >= 1, got 0.5;"),
    ("--view-noise -1", "--view-noise must be a finite number >= 0, got -1.0;"),
    ("--shift 1.5", "--shift must be a whole number, got '1.5';"),
    ("--crop 0", "--crop must be a finite number > 0, got 0.0;"),
    ("--crop 2", "--crop must be in [0, 1], got 2.0;"),
    ("--jitter -1", "--jitter must be a finite number >= 0, got -1.0; 0 leaves it out"),
    ("--embedder vit", "--embedder must be one of table, linear, mlp, conv, resnet18, got 'vit';"),
    ("--embedder conv", "--embedder must be table, linear or mlp for vectors of length 16, got 'conv'"),
    ("--embedder resnet18", "--embedder must be table, linear or mlp for vectors of length 16, got 'resnet18', which"),
    ("--data digits --embedder conv --depth 5", "--depth must be <= 3 for 8 x 8 pixels, got 5;"),
    ("--dim 1", "--dim must be a whole number >= 2, got 1;"),
    ("--depth 0", "--depth must be a whole number >= 1, got 0;"),
    ("--width 0", "--width must be a whole number >= 1, got 0;"),
    (
        "--loss triplet",
        f"--loss must be one of {', '.join(get_args(NamedLoss))}, got 'triplet';",
    ),
    ("--tau 0", "--tau must be a finite number > 0, got 0.0;"),
    ("--prototypes etf", "--prototypes must be one of none, orthonormal, simplex, got 'etf';"),
    ("--prototypes orthonormal --classes 5", "--classes must be <= 4 for orthonormal prototypes in 4 dimensions"),
    ("--weight -1", "--weight must be a finite number >= 0, got -1.0; 0 leaves it out"),
    ("--weight 3", "--weight must come with prototypes, got 3; add --prototypes orthonormal"),
    ("--loss vicreg --tau 0.5", "--tau must come with a loss that has one, got 0.5 with vicreg; leave --tau out"),
    (
        "--data digits --classes 30",
        "--classes must come with data that are drawn here (clusters, lines), got 30 with digits",
    ),
    (
        "--data mine.npz --noise 1",
        "--noise must come with data that are drawn here (clusters, lines), got 1.0 with mine.npz",
    ),
    ("--weight 3 --loss clop --labelled 2", "--labelled must be"),
    ("--distance chord", "--distance must be one of cosine, euclidean, manhattan, got 'chord';"),
    ("--rate 0", "--rate must be a finite number > 0, got 0.0;"),
    ("--rate fast", "--rate must be a number, got 'fast';"),
    ("--momentum 1", "--momentum must be in [0, 1), got 1.0;"),
    ("--weight-decay -1", "--weight-decay must be a finite number >= 0, got -1.0;"),
    ("--schedule step", "--schedule must be one of constant, cosine, warmup, got 'step';"),
    ("--optimizer adam", "--optimizer must be one of sgd, lars, adamw, got 'adam';"),
    ("--warmup -1", "--warmup must be a whole number >= 0, got -1;"),
    ("--steps 5 --warmup 5", "--warmup must be < steps = 5, got 5; 0 leaves it out"),
    ("--batch 1", "--batch must be 0 or >= 2, got 1;"),
    ("--batch 65", "--batch must be <= the 64 training samples, got 65; 0 takes them all"),
    ("--steps 0", "--steps must be a whole number >= 1, got 0;"),
    ("--save-every 0", "--save-every must be a whole number >= 1, got 0;"),
    ("--seed -1", "--seed must be a whole number >= 0, got -1;"),
    ("--precision float16", "--precision must be one of float64, float32, bfloat16, got 'float16';"),
    ("--device gpu", "--device must be one that torch has here, got 'gpu'"),
    ("--device meta", "--device must hold numbers, got 'meta';"),
    ("--resume", "--resume must come with a folder, got none; add --out FOLDER"),
    ("--resume --out new --force", "--resume must come without --force, got both; choose one of them"),
    ("--resume --out torn", "--resume needs an intact checkpoint, got a damaged file 'torn.checkpoint.pt'"),
    ("--out torn", "--out must have no unfinished run, got 'torn.checkpoint.pt'; go on with --resume"),
    ("--out full", "--out must not exist, got 'full', which does;"),
    ("--out full --force", "--out must be a run folder to be replaced, got 'full';"),
    ("--out file/run", "--out must be writable, got 'file/run'"),
    ("--nonsense 3", "No such option: --nonsense"),
]


@pytest.mark.parametrize("words, message", WRONG)
def test_wrong_input_is_one_plain_line_and_status_2(clopsim, words, message):
    for name in ("file", "file.npz", "torn.checkpoint.pt"):
        Path(name).write_text("")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("keep me")
    result = clopsim(*QUICK, *words.split())
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert sorted(str(path) for path in Path().rglob("*")) == [
        "file", "file.npz", "full", "full/notes.txt", "torn.checkpoint.pt",
    ]  # fmt: skip


def test_data_without_labels_and_losses_that_need_them(clopsim):
    np.savez("mine.npz", x=np.random.default_rng(0).standard_normal((80, 5)))
    words = [*QUICK, "--data", "mine.npz", "--samples", "0"]
    result = clopsim(*words, "--prototypes", "orthonormal", "--out", "run")
    assert result.exit_code == 2
    assert "--prototypes must be none for data without labels, got 'orthonormal'" in result.stderr
    result = clopsim(*words, "--out", "run", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["accuracy"] == {"knn": None, "linear_probe": None, "largest_class": None}


def test_options_are_the_fields_of_the_record():
    """A field without an option could not be set; an option without a field would do nothing."""
    parameters = inspect.signature(cli.train).parameters
    assert set(parameters) - {"context", "out", "force", "resume", "json_output"} == {
        field.name for field in fields(Training)
    }
    for field in fields(Training):
        assert parameters[field.name].default == field.default


def test_every_option_is_in_the_help_which_needs_no_torch(clopsim):
    text = clopsim("train", "--help").stdout
    for field in fields(Training):
        option = cli.shell.option_name(field.name)
        assert (option.replace("--", "--no-") if field.default is True else option) in text  # on: how to put it off
    code = (
        "import sys; from clopsim.cli import app; app(['train', '--help'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'sklearn', 'sympy', 'matplotlib', 'xarray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_progress_line_shows_loss_rank_and_mean_resultant_length(monkeypatch, capsys):
    from clopsim.cli import shell
    from clopsim.door.train import _note
    from clopsim.training.checkpoint import State

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    state = State(5, {}, {}, {"loss": [4.0], "effective_rank": [2.5], "mean_resultant_length": [0.25]})
    note = _note(state)
    assert note == "loss 4  rank 2.5  R 0.25"
    with shell.progress("train") as advance:
        for share in (0.25, 0.5, 1.0):
            advance(share, note)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert note in captured.err


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_ends_where_eager_training_does(clopsim, tmp_path):
    """With the small graph of a linear embedder."""
    words = [*QUICK, "--embedder", "linear", "--steps", "5", "--precision", "float64"]
    assert clopsim(*words, "--out", "eager").exit_code == 0
    command = [sys.executable, "-m", "clopsim", *words, "--compile", "--out", "compiled"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with xr.open_dataset("eager/data.nc") as eager, xr.open_dataset("compiled/data.nc") as compiled:
        xr.testing.assert_allclose(eager, compiled, rtol=1e-9)
