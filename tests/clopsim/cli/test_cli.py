"""The command line as a user meets it: results, exit statuses, every wrong input as one plain line."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import typer
import xarray as xr

from clopsim import cli
from clopsim.bounds import Setting, critical_rates, exact_rate
from clopsim.door.configfile import EXECUTION
from clopsim.runs import sweep as job
from clopsim.runs.config import Sweep
from clopsim.runs.states import describe

QUICK = ["sweep", "--samples", "16", "--rates", "0.5,2", "--seeds", "2", "--steps", "20"]


def test_bounds_prints_json_with_the_agreed_keys(clopsim):
    result = clopsim("bounds", "--tau", 0.5, "--dim", 8, "--samples", 32, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert list(document) == [
        "paper_range", "collapse_rate", "uniform_rate", "breaking_degree", "alignment_uniform_rate",
        "alignment_collapse_rate", "antipodal_line_rate", "too_small",
    ]  # fmt: skip
    assert document["paper_range"] == [0, 0.5]
    assert document["collapse_rate"] == pytest.approx(0.5 * 31 / 30)
    assert document["alignment_uniform_rate"] is document["alignment_collapse_rate"] is None
    assert document["antipodal_line_rate"] is None


@pytest.mark.parametrize(
    "words, shown",
    [
        ("", "Complete collapse attracts above 0.516667; an even spread breaks near 0.49, but n is too small to tell"),
        ("--samples 300", "Complete collapse attracts above 0.501678; an even spread already breaks above 0.41"),
        ("--tau 0.02", "up to which rate an even spread holds, n is too small to tell (T13)."),
        ("--gradient tangent --samples 300", "Complete collapse attracts at no rate; an even spread breaks above 0.66"),
        ("--loss full --samples 400", "views above 1.10001. The line with antipodal views attracts above 0.521422:"),
        ("--loss full --samples 400", "between the two rates both attract, and the start decides."),
        ("--loss full --tau 0.2 --dim 3 --samples 400", "attracts above 0.201028, the even spread not."),
        ("--loss full --samples 4", "none: the line never attracts with so few samples at this temperature"),
        ("--loss full --gradient tangent", "none: the line never attracts: tangent steps descend"),
        (
            "--loss full --gradient tangent --keys detached --ema 0.99",
            "MoCo, every query on its key, breaks above 1.00",
        ),
        ("--loss full --batch-of 1000", "Drawing batches shifts no rate"),
        ("--samples 200 --momentum 0.9", "Complete collapse attracts above 1.05028; an even spread already breaks"),
    ],
)
def test_bounds_says_first_what_matters(clopsim, words, shown):
    text = clopsim("bounds", *words.split()).stdout
    assert shown in " ".join(text.split())
    assert text.startswith("Complete collapse attracts ")


@pytest.mark.parametrize("loss", ("merged", "full"))
@pytest.mark.parametrize("gradient", ("ambient", "tangent"))
@pytest.mark.parametrize("keys", ("symmetric", "detached"))
@pytest.mark.parametrize("reduction", ("sum", "mean"))
def test_bounds_of_every_setting(clopsim, loss, gradient, keys, reduction):
    words = ["bounds", "--loss", loss, "--gradient", gradient, "--keys", keys, "--reduction", reduction]
    rates = critical_rates(Setting(0.5, 8, 32, loss, gradient, keys, reduction))
    document = json.loads(clopsim(*words, "--json").stdout)
    for name, value in document.items():
        expected = getattr(rates, name)
        assert value == (list(expected) if isinstance(expected, tuple) else expected)
    table = clopsim(*words).stdout
    assert all(len(line) <= 80 for line in table.splitlines())
    table = re.sub(r"\n +", " ", table)  # the last column goes on
    for name, why in rates.reasons.items():
        (line,) = (line for line in table.splitlines() if line.startswith(name + " "))
        assert why in line


def test_bounds_and_threshold_with_momentum(clopsim):
    document = json.loads(clopsim("bounds", "--momentum", 0.9, "--json").stdout)
    assert document["paper_range"] is document["breaking_degree"] is None
    assert document["collapse_rate"] == pytest.approx(2.45417, abs=6e-6)
    table = re.sub(r"\n +", " ", clopsim("bounds", "--momentum", 0.9, "--samples", 20).stdout)
    assert "none: collapse never attracts: with momentum beta it needs n - 1 > (1 + beta)/(1 - beta)" in table
    table = clopsim("bounds", "--momentum", 0.9, "--samples", 400).stdout
    assert "none: the points start to spin first" in table
    found = clopsim("threshold", "collapse", "--momentum", 0.3, "--samples", 8, "--seeds", 1, "--json")
    assert found.exit_code == 0, found.output
    row = json.loads(found.stdout)
    assert row["predicted_rate"] == pytest.approx(0.88472, abs=6e-6)
    assert row["observed_rate"] == pytest.approx(row["predicted_rate"], rel=0.01)
    wrong = clopsim("bounds", "--momentum", 1)
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith("clopsim: --momentum must be in [0, 1), got 1.0;")


def test_a_sweep_with_momentum_says_so_wherever_it_is_shown(clopsim):
    done = clopsim(*QUICK, "--momentum", 0.3, "--out", "run")
    assert done.exit_code == 0, done.output
    assert "n = 16 embeddings, d = 8, momentum 0.3" in done.stdout.replace("\n", " ")
    with xr.open_dataset("run/data.nc") as dataset:
        assert dataset.attrs["momentum"] == 0.3
        assert float(dataset["mu_c"][0]) == pytest.approx(float(exact_rate(Setting(0.5, 8, 16, momentum=0.3))))
        assert set(dataset["outcome"].values[0, 1].astype(str)) == {"collapsed"}  # at twice mu_c
    assert "momentum 0.3" in describe(Path("run")).setting
    assert clopsim("show", "run").exit_code == 0
    assert "--momentum 0.3" in json.loads(Path("run/provenance.json").read_text())["command"]
    again = clopsim(*QUICK, "--momentum", 0.5, "--out", "run", "--resume")
    assert (again.exit_code, "--momentum must stay 0.3" in again.stderr) == (2, True)
    refused = clopsim(*QUICK, "--momentum", 0.9, "--out", "other")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("clopsim: --momentum must be below (n - 2)/n = 0.875 for collapse to attract 16")


def test_sweep_writes_everything_and_prints_the_verdict(clopsim, tmp_path):
    result = clopsim(*QUICK, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "The bound holds" in result.stdout
    assert result.stderr == ""  # no terminal, no progress bar
    assert {path.name for path in Path("run").iterdir()} == {"data.nc", "summary.json", "provenance.json", "sweep.png"}
    with xr.open_dataset("run/data.nc") as dataset:
        assert dataset.sizes["rate"] == 2
    assert json.loads(Path("run/summary.json").read_text())["holds"] is True


def test_default_folder_is_dated_and_named_at_the_end(clopsim):
    result = clopsim(*QUICK)
    (folder,) = Path("runs").iterdir()
    assert result.stdout.rstrip().endswith(str(folder))


def test_json_is_one_document_and_the_summary(clopsim):
    result = clopsim(*QUICK, "--out", "run", "--json", "--tau", 0.2, "--tau", 0.5)
    assert json.loads(result.stdout) == json.loads(Path("run/summary.json").read_text())
    assert result.stderr == ""


def test_status_1_when_the_bound_does_not_hold(clopsim, monkeypatch):
    monkeypatch.setattr(job, "TOLERANCE", 1e-9)
    result = clopsim(*QUICK, "--out", "run")
    assert result.exit_code == 1
    assert "The bound does NOT hold" in result.stdout
    assert json.loads(Path("run/summary.json").read_text())["holds"] is False


def test_same_command_same_bytes_in_another_folder(clopsim):
    for folder in ("a", "b"):
        clopsim(*QUICK, "--out", folder)
    for name in ("data.nc", "summary.json", "sweep.png"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes(), name


def test_the_recorded_command_reproduces_the_run(clopsim):
    words = ["--tau", "0.2", "--tau", "0.5", "--loss", "full", "--noise", "0.3", "--seed", "7"]
    clopsim(*QUICK, *words, "--out", "a")
    command = json.loads(Path("a/provenance.json").read_text())["command"].split()
    assert command[0] == "clopsim"
    assert clopsim(*command[1:], "--out", "b").exit_code == 0
    assert Path("a/data.nc").read_bytes() == Path("b/data.nc").read_bytes()


WRONG = [
    ("--tau 0", "--tau must be a finite number > 0, got 0.0; typical values"),
    ("--tau -0.5", "--tau must be a finite number > 0, got -0.5;"),
    ("--tau nan", "--tau must be a finite number > 0, got nan;"),
    ("--tau hot", "--tau must be a number, got 'hot'; write it as in 0.5"),
    ("--dim 1", "--dim must be a whole number >= 2, got 1; raise it to 2 or more"),
    ("--dim 2.5", "--dim must be a whole number, got '2.5'; write it as in 8"),
    ("--loss triplet", "--loss must be one of merged, full, got 'triplet'; choose one of them"),
    ("--gradient natural", "--gradient must be one of ambient, tangent, got '"),
    ("--keys frozen", "--keys must be one of symmetric, detached, got '"),
    ("--reduction none", "--reduction must be one of sum, mean, got '"),
    ("--loss full --samples 31", "--samples must be even for the full loss, got 31;"),
    ("--nonsense 3", "No such option: --nonsense"),
]

WRONG_SWEEP = [
    ("--samples 2 --clusters 1", "--samples must be >= 3, got 2;"),
    ("--samples 8 --clusters 9", "--clusters must be <= samples, got 9 clusters and 8 samples; lower the clusters"),
    ("--samples 8 --clusters 5 --loss full", "--clusters must be <= samples, got 5 clusters and 4 samples;"),
    ("--rates 2,1", "--rates must be increasing, got 1 after 2; sort them, each once"),
    ("--rates 1,1", "--rates must hold each value once, got 1,1;"),
    ("--rates 0,1", "--rates must be a finite number > 0, got 0.0;"),
    ("--rates=-1,1", "--rates must be a finite number > 0, got -1.0;"),
    ("--rates 1,nan", "--rates must be a finite number > 0, got nan;"),
    ("--rates 1,two", "--rates must be numbers separated by commas, got '1,two'; write them as in 0.5,1.0"),
    ("--seeds 0", "--seeds must be a whole number >= 1, got 0;"),
    ("--steps 0", "--steps must be a whole number >= 1, got 0;"),
    ("--seed -1", "--seed must be a whole number >= 0, got -1;"),
    ("--data moons", "--data must be one of clusters, lines, got 'moons'"),
    ("--start warm", "--start must be one of data, random, uniform, collapse, got '"),
    ("--noise -1", "--noise must be a finite number >= 0, got -1.0; 0 leaves it out"),
    ("--separation -1", "--separation must be a finite number >= 0, got -1.0; 0 puts every centre at the origin"),
    ("--imbalance 0.5", "--imbalance must be >= 1, got 0.5; 1 makes all clusters equal"),
    ("--view-noise -1", "--view-noise must be a finite number >= 0, got -1.0; 0 leaves it out"),
    ("--precision float16", "--precision must be one of float64, float32, got '"),
    ("--device gpu", "--device must be one that torch has here, got 'gpu'"),
    ("--device meta", "--device must hold numbers, got 'meta'; use cpu, cuda or mps"),
    ("--out file/run", "--out must be writable, got 'file/run'"),
    ("--out full", "--out must not exist, got 'full', which does; choose another folder or add --force"),
    ("--out full --force", "--out must be a run folder to be replaced, got 'full'; choose another folder"),
]


@pytest.mark.parametrize(
    "command, words, message",
    [(command, words, message) for command in ("bounds", "sweep") for words, message in WRONG]
    + [("sweep", words, message) for words, message in WRONG_SWEEP],
)
def test_wrong_input_is_one_plain_line_and_status_2(clopsim, command, words, message):
    Path("file").write_text("")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("keep me")
    result = clopsim(command, *words.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert result.stderr.startswith("clopsim: ")
    assert sorted(str(path) for path in Path().rglob("*")) == ["file", "full", "full/notes.txt"]


WRONG_THRESHOLD = [
    ("nothing", "KIND must be one of collapse, uniform, alignment_uniform, alignment_collapse, line, got 'nothing'"),
    ("", "Missing argument"),
    ("alignment_uniform", "--loss must be full for alignment_uniform, got 'merged'; the merged loss has no views"),
    ("line", "--loss must be full for line, got 'merged'; the merged loss has no views"),
    ("collapse --bracket 0", "--bracket must be in [1e-09, 1), got 0.0;"),
    ("collapse --seeds 0", "--seeds must be a whole number >= 1, got 0;"),
    ("collapse --tolerance 0", "--tolerance must be a finite number > 0, got 0.0;"),
    ("collapse --tau 0", "--tau must be a finite number > 0, got 0.0;"),
]


@pytest.mark.parametrize("words, message", WRONG_THRESHOLD)
def test_wrong_threshold_input(clopsim, words, message):
    result = clopsim("threshold", *words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    "words, status, shown",
    [
        ("collapse --samples 8", 0, "holds"),
        ("collapse --samples 8 --tolerance 1e-6", 1, "FAILS"),
        ("collapse --samples 8 --gradient tangent", 0, "never up to 32"),
        ("alignment_collapse --samples 8 --loss full --keys detached --reduction mean", 0, "holds"),
        ("line --samples 8 --loss full", 0, "the antipodal line attracts"),
        ("uniform --tau 0.5 --dim 2 --samples 64 --seeds 1", 0, "the uniform state breaks"),
        ("alignment_uniform --tau 1 --dim 3 --samples 200 --loss full --gradient tangent --seeds 1", 0, "holds"),
        ("uniform --samples 128 --loss full --dim 3 --tau 0.2 --seeds 1", 0, "holds"),
        ("uniform --seeds 1", 3, "n too small to tell"),
    ],
)
def test_threshold_shows_prediction_and_bracket(clopsim, words, status, shown):
    result = clopsim("threshold", *words.split())
    assert result.exit_code == status, result.output
    assert shown in result.stdout
    document = json.loads(clopsim("threshold", *words.split(), "--json").stdout)
    assert document["holds"] is {0: True, 1: False, 3: None}[status]


def test_unknown_command_names_the_nearest(clopsim):
    result = clopsim("sweeep")
    assert result.exit_code == 2
    assert result.stderr == "clopsim: No such command 'sweeep'. Did you mean 'sweep'?\n"


def test_options_are_the_fields_of_the_record():
    """A field without an option could not be set; an option without a field would do nothing."""
    parameters = inspect.signature(cli.sweep).parameters
    only_cli = {
        "context",
        "embedder",
        "config",
        "save_config",
        "out",
        "resume",
        "force",
        "shard",
        "json_output",
        *EXECUTION,
    }
    assert set(parameters) - only_cli == {field.name for field in fields(Sweep)}
    for field in fields(Sweep):
        default = parameters[field.name].default
        if field.name == "temperature":
            assert default == [f"{field.default:g}"]
        elif field.name == "rates":
            assert default == []  # stands for the 41 default rates
        else:
            assert default == field.default


def test_every_option_is_in_the_help(clopsim):
    text = clopsim("sweep", "--help").stdout
    for field in fields(Sweep):
        assert cli.shell.option_name(field.name) in text
    assert "Exit status" in clopsim("--help").stdout


def test_help_and_bounds_do_not_import_torch_or_sympy():
    for words in (
        "['--help']",
        "['sweep', '--help']",
        "['sweep', '--embedder', 'mlp', '--help']",
        "['inspect', '--help']",
        "['lessons', '--help']",
        "['bounds']",
        "['sweep', '--tau', '0']",
    ):
        code = (
            f"import sys; from clopsim.cli import app; app({words}, standalone_mode=False)"
            if "0'" not in words
            else f"import sys; from clopsim.cli import app\ntry: app({words})\nexcept SystemExit: pass"
        )
        heavy = (
            "\nprint([name for name in ('torch', 'sympy', 'matplotlib', 'xarray', 'netCDF4') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", words


@pytest.mark.parametrize(
    "words, unwanted",
    (
        (["sweep", "--samples", "8", "--steps", "5", "--rates", "1"], ("sympy", "sklearn", "clopsim.losses")),
        (["train", "--data", "clusters", "--steps", "2"], ("sympy",)),
        (
            ["train-sweep", "--data", "clusters", "--samples", "40", "--batch", "0", "--seeds", "1", "--steps", "2"],
            ("sympy",),
        ),
    ),
)
def test_a_run_imports_only_what_it_needs(words, unwanted, tmp_path):
    code = (
        f"import sys; from clopsim.cli import app; app({words}, standalone_mode=False)\n"
        f"print([name for name in {unwanted} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


def test_progress_goes_to_a_terminal_on_stderr(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with cli.shell.progress("sweep") as advance:
        for share in (0.25, 0.5, 1.0):
            advance(share)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sweep" in captured.err


def test_ctrl_c_leaves_a_run_to_go_on_with_and_says_how(tmp_path):
    command = [sys.executable, "-m", "clopsim", "sweep", "--samples", "128", "--steps", "2000", "--out", "run"]
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("run/chunks/0*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    (line,) = errors.splitlines()
    assert re.fullmatch(r"clopsim: interrupted; \d+ % is kept, go on with: clopsim sweep --out run --resume", line), (
        line
    )
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"plan.json", "chunks"}
    assert describe(tmp_path / "run").state == "resumable"


def test_ctrl_c_before_a_run_begins_writes_nothing(clopsim, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "check_device", stop)
    result = clopsim(*QUICK, "--out", "run")
    assert (result.exit_code, result.stderr) == (130, "clopsim: interrupted; nothing was written\n")
    assert not Path("run").exists()


def test_sigterm_before_a_run_begins_writes_nothing(clopsim, monkeypatch):
    monkeypatch.setattr(job, "check_device", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    result = clopsim(*QUICK, "--out", "run")
    assert (result.exit_code, result.stderr) == (143, "clopsim: terminated; nothing was written\n")
    assert not Path("run").exists()


def test_main_is_the_entry_point(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["clopsim", "bounds", "--json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert json.loads(capsys.readouterr().out)["breaking_degree"] == 1
    assert isinstance(cli.app, typer.Typer)
