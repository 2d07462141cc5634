"""The front door: what a newcomer's `import clopsim` gives, and that it is the command line's own."""

import doctest
import inspect
import json
import os
import pydoc
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure

import clopsim
from clopsim import bounds, cli
from clopsim.door.arguments import argument_name
from clopsim.runs import store
from clopsim.sphere.thresholds import PROBES
from clopsim.training.recipe import Training

SMALL = {"samples": 8, "rates": [0.5, 2], "seeds": 2, "steps": 10, "clusters": 2}
TRAINED = {"data": "clusters", "samples": 40, "features": 4, "dim": 3, "width": 4, "batch": 0, "steps": 3}
WORDS = ["sweep", "--samples", "8", "--rates", "0.5,2", "--seeds", "2", "--steps", "10", "--clusters", "2"]
FUNCTIONS = [name for name in clopsim.__all__ if isinstance(getattr(clopsim, name), types.FunctionType)]
NO_COMMAND = ("stable_rate", "rate_test")
"""Functions that need a network of one's own."""

SAME = {"critical_rates": "bounds", "open_run": "show", "train_sweep": "train-sweep"}
"""Functions that are not named as their command."""


@pytest.fixture
def command(clopsim):  # the fixture is the command line
    """command(*words): exit status, stdout, stderr."""

    def run(*words):
        done = clopsim(*words)
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_importing_and_looking_around_load_nothing_heavy():
    code = (
        "import sys, clopsim\n"
        "assert {'sweep', 'CLOP', 'losses', '__version__'} <= set(dir(clopsim)), dir(clopsim)\n"
        "heavy = ('torch', 'matplotlib', 'xarray', 'sympy', 'numpy', 'typer')\n"
        "assert not [name for name in heavy if name in sys.modules], 'import'\n"
        "import inspect; inspect.signature(clopsim.sweep), inspect.signature(clopsim.train)\n"
        "print(clopsim.critical_rates(tau=0.5)); clopsim.inspect, clopsim.verify, clopsim.open_run\n"
        "heavy = ('torch', 'matplotlib', 'xarray', 'sympy', 'typer')\n"
        "assert not [name for name in heavy if name in sys.modules], 'first use'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert "collapse_rate" in done.stdout


@pytest.mark.parametrize("name", [*clopsim.__all__, "losses.info_nce"])
def test_the_example_of_every_public_name_runs(name):
    thing = clopsim
    for part in name.split("."):
        thing = getattr(thing, part)
    examples = doctest.DocTestParser().get_doctest(inspect.getdoc(thing), {}, name, None, None)
    assert len(examples.examples) >= 2
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.append)
    assert result.failed == 0, "".join(said)


def test_help_shows_every_public_name():
    text = pydoc.plain(pydoc.render_doc(clopsim))
    for name in clopsim.__all__:
        assert re.search(rf"^ +(class )?{name}\b", text, flags=re.MULTILINE), name
    with pytest.raises(AttributeError, match="module 'clopsim' has no attribute 'colapse'"):
        _ = clopsim.colapse
    assert clopsim.__version__


@pytest.mark.parametrize("name", NO_COMMAND)
def test_functions_without_a_command_are_explained_too(name):
    function = getattr(clopsim, name)
    assert set(inspect.signature(function).parameters) <= set(re.findall(r"\w+", function.__doc__))
    assert all(part in function.__doc__ for part in ("Returns", "Errors:", "Source:"))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in NO_COMMAND])
def test_arguments_are_the_options_of_the_command_and_are_explained(name):
    """A parameter that one of the two lacks, or that the docstring does not name, is a way that only one has."""
    function = getattr(clopsim, name)
    given = inspect.signature(function).parameters.items()
    mine = {argument for argument, each in given if each.kind is not each.VAR_POSITIONAL}
    callback = {
        (each.name or each.callback.__name__): each.callback for each in cli.app.registered_commands if each.callback
    }[SAME.get(name, name)]
    theirs = {argument_name(each) for each in inspect.signature(callback).parameters} - {"context", "json"}
    if name == "open_run":
        theirs.remove("figure")  # plot() draws it
    if name == "sweep":
        theirs.remove("embedder")  # with which it is train_sweep
    assert mine == theirs
    words = set(re.findall(r"\w+", function.__doc__))
    assert mine <= words, mine - words
    for part in ("Returns", "Errors:", "Source:"):
        assert part in function.__doc__


@pytest.mark.parametrize("name", ("card", "critical_rates", "threshold", "sweep", "train", "train_sweep"))
def test_defaults_are_those_of_the_command(name):
    callback = getattr(cli, SAME.get(name, name).replace("-", "_"))
    theirs = {argument_name(k): v.default for k, v in inspect.signature(callback).parameters.items()}
    for argument, parameter in inspect.signature(getattr(clopsim, name)).parameters.items():
        if parameter.default is not parameter.empty and argument != "rates":
            default = theirs[argument]
            if isinstance(default, list):  # as it is given, by comma
                kind = type(parameter.default[0] if isinstance(parameter.default, tuple) else parameter.default)
                default = tuple(kind(word) for word in ",".join(default).split(","))
            assert default in (parameter.default, (parameter.default,)), argument


def test_critical_rates_print_as_the_table(command):
    found = clopsim.critical_rates(tau=0.2, dim=4, samples=16, loss="full", gradient="tangent", reduction="mean")
    assert (
        found.collapse_rate
        == bounds.critical_rates(bounds.Setting(0.2, 4, 16, "full", "tangent", "symmetric", "mean")).collapse_rate
    )
    words = "bounds --tau 0.2 --dim 4 --samples 16 --loss full --gradient tangent --reduction mean"
    assert command(*words.split())[1] == f"{found}\n"
    assert json.loads(command(*words.split(), "--json")[1]) == json.loads(json.dumps(found.to_dict()))
    assert found._repr_html_().startswith("<pre") and "collapse_rate" in found._repr_html_()  # noqa: PT018


def test_a_threshold_prints_as_its_table(command):
    assert all(f'"{kind}"' in clopsim.threshold.__doc__ for kind in PROBES)
    found = clopsim.threshold("collapse", samples=8, seeds=1)
    assert command("threshold", "collapse", "--samples", 8, "--seeds", 1)[1] == f"{found}\n"
    assert found.bracket[0] <= found.observed_rate <= found.bracket[1]
    assert found.holds is (abs(found.relative_gap) <= 0.05)


def test_a_sweep_is_the_commands(command):
    found = clopsim.sweep(tau=[0.2, 0.5], **SMALL)
    status, printed, errors = command(*WORDS, "--tau", 0.2, "--tau", 0.5, "--out", "run")
    assert (status, errors) == (0, "")
    assert printed == f"{found}\n\nWritten to run\n"
    with xr.open_dataset("run/data.nc") as stored:
        assert stored.identical(found.dataset)
    assert found.to_dict() == json.loads(Path("run/summary.json").read_text())
    assert found.folder is None
    assert [each.tau for each in found.thresholds] == [0.2, 0.5]
    assert len(found.thresholds[:1]) == 1
    assert str(found.thresholds) in printed
    assert isinstance(found.plot(), Figure)
    opened = clopsim.open_run("run")
    assert type(opened) is type(found)
    assert opened.dataset.identical(found.dataset)
    assert f"{opened}\n" == printed
    assert [path.name for path in Path().iterdir()] == ["run"]


def test_a_sweep_leaves_the_folder_of_the_command(command):
    found = clopsim.sweep(**SMALL, out="mine")
    command(
        *[
            "sweep",
            "--samples",
            "8",
            "--rates",
            "0.5,2",
            "--seeds",
            "2",
            "--steps",
            "10",
            "--clusters",
            "2",
            "--out",
            "theirs",
        ]
    )
    for name in ("data.nc", "summary.json", "sweep.png"):
        assert Path("mine", name).read_bytes() == Path("theirs", name).read_bytes(), name
    mine, theirs = (json.loads(Path(each, "provenance.json").read_text()) for each in ("mine", "theirs"))
    assert mine["command"] == theirs["command"]
    assert found.holds is clopsim.sweep(out="mine", resume=True).holds


def test_lists_make_a_grid_and_a_shard_is_a_share():
    found = clopsim.sweep(**{**SMALL, "dim": [2, 3]})
    assert list(found) == ["dimension=2", "dimension=3"]
    assert found["dimension=2"].dataset.attrs["dimension"] == 2
    assert str(found).splitlines()[0].startswith("dimension=2: The bound holds")
    shares = [clopsim.sweep(**SMALL, shard=f"{i}/2", out=f"s{i}") for i in (1, 2)]
    assert str(shares[0]) == "share 1/2 complete, 0 cells failed: s1"
    merged = clopsim.merge([share.folder for share in shares], out="whole")
    assert merged.dataset.identical(clopsim.sweep(**SMALL).dataset)


def test_numbers_of_numpy_are_numbers():
    found = clopsim.sweep(tau=np.array([0.2, 0.5]), rates=np.array([0.5, 2.0]), seeds=np.int64(1), samples=8, steps=5)
    assert found.dataset.sizes["temperature"] == 2
    assert clopsim.sweep(rates=2.0, samples=8, seeds=1, steps=5).dataset.sizes["rate"] == 1


def test_a_training_is_the_commands(command):
    found = clopsim.train(**TRAINED, sharpness=False)
    words = " ".join(f"--{name} {value}" for name, value in TRAINED.items())
    printed = command("train", *words.split(), "--no-sharpness", "--out", "run")[1]
    assert printed == f"{found}\n\nWritten to run\n"
    assert found.verdict in found.to_dict()["verdict"]
    opened = clopsim.open_run("run")
    for one in (found, opened):
        assert one.embeddings.shape == (40, 3)
        assert one.split.tolist().count("held_out") == 8
        assert set(one.labels.tolist()) == {0, 1, 2, 3}
        assert isinstance(one.plot(), Figure)
        assert one.dataset.attrs["verdict"] == one.verdict
    np.testing.assert_array_equal(found.embeddings, opened.embeddings)
    assert clopsim.inspect(found.embeddings, labels=found.labels).to_dict()["n"] == 40


def test_a_whole_record_repeats_a_run_though_it_names_what_the_run_does_not_use():
    record = Training(data="digits", samples=60, batch=0, steps=2, sharpness=False)
    whole = {argument_name(name): value for name, value in record.to_plain().items()}
    assert np.isfinite(clopsim.train(**whole).embeddings).all()
    with pytest.raises(ValueError, match="^weight must come with prototypes, got 2; add prototypes orthonormal"):
        clopsim.train(**{**whole, "weight": 2.0})
    del whole["seed"]
    with pytest.raises(ValueError, match="^weight must come with prototypes, got 1; add prototypes orthonormal"):
        clopsim.train(**whole)


def test_a_grid_of_trainings_is_the_commands(command):
    options = {**TRAINED, "rate": [0.1, 1], "weight": 0, "seeds": 1}
    found = clopsim.train_sweep(**options)
    words = " ".join(f"--{name} {value}" for name, value in {**options, "rate": "0.1,1"}.items())
    printed = command("train-sweep", *words.split(), "--out", "run")[1]
    assert printed == f"{found}\n\nWritten to run\n"
    assert clopsim.open_run("run").dataset.identical(found.dataset)
    with pytest.raises(ValueError, match="^folder must hold a run with a picture, got a train-sweep"):
        found.plot()


def test_embeddings_of_every_kind_look_the_same(command):
    z, y = np.random.default_rng(0).standard_normal((40, 4)), np.arange(40) % 4
    np.savez("z.npz", z=z, y=y)
    printed = command("inspect", "z.npz", "--labels", "y")[1]
    tensor = torch.tensor(z, requires_grad=True)
    for rows, labels in (
        (z, y),
        (tensor, torch.tensor(y)),
        (z.tolist(), y.tolist()),
        ("z.npz", "y"),
        (Path("z.npz"), y),
    ):
        assert f"{clopsim.inspect(rows, labels=labels)}\n" == printed
    assert clopsim.inspect(tensor.bfloat16()).verdict == clopsim.inspect(z).verdict
    found = clopsim.inspect(z, figure="z.png")
    assert Path("z.png").stat().st_size
    assert isinstance(found.plot(), Figure)


def test_an_audit_prints_as_its_table(command):
    found = clopsim.verify(only="T6")
    printed = command("verify", "--only", "T6")[1]
    timeless = re.compile(r" \d+\.\d ")
    assert timeless.sub("", f"{found}\n") == timeless.sub("", printed)
    assert list(found.to_dict()) == ["T6"]
    assert clopsim.verify(only=["T6", "P8"], report="audit.md").holds
    assert Path("audit.md").stat().st_size


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("verify", ("T4",), r"^verify\(\) takes 'T4' by name alone, as in only='T4'$"),
        ("sweep", (0.5,), r"^sweep\(\) takes 0.5 by name alone, as in tau=0.5$"),
        ("card", ("infonce", 0.5), r"^card\(\) takes 0.5 by name alone, as in tau=0.5$"),
        ("open_run", ("a", "b"), r"^open_run\(\) too many positional arguments$"),
    ],
)
def test_an_argument_without_its_name_is_told_which(name, arguments, message):
    with pytest.raises(TypeError, match=message):
        getattr(clopsim, name)(*arguments)


def test_a_card_has_one_temperature():
    with pytest.raises(ValueError, match=r"^tau must be one number, got \[0.2, 0.5\]; call card once for each$"):
        clopsim.card("infonce", tau=[0.2, 0.5])


WRONG = (
    ("critical_rates", {"tau": 0.0}, "bounds --tau 0"),
    ("critical_rates", {"dim": 1}, "bounds --dim 1"),
    ("critical_rates", {"loss": "triplet"}, "bounds --loss triplet"),
    ("threshold", {"kind": "nothing"}, "threshold nothing"),
    ("sweep", {"rates": [2.0, 1.0]}, "sweep --rates 2,1"),
    ("sweep", {"view_noise": -1.0}, "sweep --view-noise -1"),
    ("sweep", {"resume": True}, "sweep --resume"),
    ("train", {"weight_decay": -1.0}, "train --weight-decay -1"),
    ("train", {"data": "moons"}, "train --data moons"),
    ("train", {"dim": 1}, "train --dim 1"),
    ("train_sweep", {"labelled": 2.0}, "train-sweep --labelled 2"),
    ("verify", {"only": "T99"}, "verify --only T99"),
    ("inspect", {"z": "gone.npy"}, "inspect gone.npy"),
    ("open_run", {"folder": "gone"}, "show gone"),
)


@pytest.mark.parametrize("name, keywords, words", WRONG)
def test_wrong_arguments_get_the_sentence_of_the_command(command, name, keywords, words):
    with pytest.raises(ValueError) as raised:
        getattr(clopsim, name)(**keywords)
    status, _, errors = command(*words.split())
    assert status == 2
    mine, theirs = str(raised.value), errors.removeprefix("clopsim: ").rstrip()
    (argument,) = keywords
    spelt = theirs.split()[0]
    assert mine.split()[0] == argument
    assert spelt in (f"--{argument.replace('_', '-')}", argument.upper(), "FILE", "FOLDER")

    def rest(text):
        return re.sub(r"--([a-z-]+)", lambda found: found[1].replace("-", "_"), text.split(maxsplit=1)[1])

    assert rest(mine) == rest(theirs)


def test_a_run_that_ends_early_says_what_is_kept(monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "write", stop)
        with pytest.raises(KeyboardInterrupt, match="0 % is kept, go on with: clopsim sweep --out mine --resume"):
            clopsim.sweep(**SMALL, out="mine")
        with pytest.raises(KeyboardInterrupt) as raised:
            clopsim.sweep(**SMALL)  # kept nowhere
        assert str(raised.value) == ""
    assert clopsim.sweep(out="mine", resume=True).holds
    wild = {
        **TRAINED,
        "loss": "vicreg",
        "rate": 1e6,
        "momentum": 0.0,
        "batch_norm": False,
        "save_every": 1,
        "steps": 20,
    }
    with pytest.raises(RuntimeError, match=r"^the loss turned .* run keeps the last good state, after \d+ steps\.$"):
        clopsim.train(**wild, schedule="constant", out="run")
    with pytest.raises(RuntimeError, match="^the loss turned ") as raised:
        clopsim.train(**wild, schedule="constant")
    assert "checkpoint" not in str(raised.value)
    assert {path.name for path in Path().iterdir()} == {"mine", "run"}


def test_an_argument_that_does_not_exist_is_a_type_error():
    with pytest.raises(TypeError, match=r"^sweep\(\) got an unexpected keyword argument 'tua'; did you mean tau "):
        clopsim.sweep(tua=0.5)


@pytest.mark.parametrize(
    "name, given, meant",
    (
        ("sweep", "temperature", "tau"),
        ("sweep", "rate", "rates"),
        ("critical_rates", "dimension", "dim"),
        ("train", "learning_rates", ""),
        ("train", "weight_decy", "weight_decay"),
        ("train", "rates", "rate"),
        ("card", "temperature", "tau"),
        ("inspect", "file", "z"),
        ("inspect", "zzz", ""),
    ),
)
def test_an_argument_of_another_name_gets_the_one_that_was_meant(name, given, meant):
    with pytest.raises(TypeError) as error:
        getattr(clopsim, name)(*(("infonce",) if name == "card" else ()), **{given: 0.5})
    question = re.search(rf"; did you mean (\w+) instead of {given}\?$", str(error.value))
    assert (question[1] if question else "") == meant


def test_array_arguments_that_are_wrong_are_named():
    with pytest.raises(ValueError, match="^z must hold a table of real numbers"):
        clopsim.inspect([1.0, 2.0])
    with pytest.raises(ValueError, match="^z must hold numbers, got list"):
        clopsim.inspect([[1.0, 2.0], [3.0]])
    with pytest.raises(ValueError, match="^labels must have one entry per row"):
        clopsim.inspect(np.eye(3), labels=[0, 1])


def test_a_script_without_a_guard_may_use_several_workers(tmp_path):
    """Worker processes do not run the script again."""
    script = tmp_path / "mine.py"
    script.write_text(
        "import clopsim\n"
        f"print(clopsim.sweep(**{SMALL}, workers=2).holds)\n"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=_environment(), timeout=600
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


NOTEBOOK = (
    "import clopsim",
    f"found = clopsim.sweep(**{SMALL})\nfound",
    "found.plot()",
    "import sys; sys.executable",
)


def test_a_notebook_shows_the_report_the_picture_and_the_progress(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))  # no kernel or start-up file of whoever runs this
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in NOTEBOOK])
    lines = []

    class Client(nbclient.NotebookClient):
        def process_message(self, message, cell, index):
            if message["msg_type"] == "update_display_data":
                lines.append(message["content"]["data"]["text/plain"])
            return super().process_message(message, cell, index)

    Client(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    line, report, picture, python = (output.data for output in outputs if "data" in output)
    assert python["text/plain"] == repr(sys.executable)
    assert "The bound holds" in report["text/plain"]
    assert "The bound holds" in report["text/html"]
    assert picture["image/png"]
    assert re.fullmatch(r"sweep 100 %, 0:\d\d:\d\d, [\d.e+]+ cells/s, 0 s left", lines[-2])
    assert lines[-1] == line["text/plain"] == ""
    assert not any(output.get("name") == "stderr" for output in outputs)


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


@pytest.mark.parametrize(
    "call, name",
    (
        (lambda: clopsim.open_run(3), "folder must be a path, got 3"),
        (lambda: clopsim.merge(3, out="x"), "folders must be a list of run folders, got 3"),
        (lambda: clopsim.merge("x", out="y"), "folders must be a list of run folders, got 'x'"),
        (lambda: clopsim.merge([3], out="x"), "folders must be a path, got 3"),
        (lambda: clopsim.verify(only=3), "only must be the name of a claim or a list of them, got 3"),
        (lambda: clopsim.verify(only="T4", report=["x.html"]), "report must be a path, got"),
        (lambda: clopsim.zoo(["federated"]), "protocol must be one of federated"),
        (lambda: clopsim.sweep(out=3), "out must be a path, got 3"),
        (lambda: clopsim.sweep(config=["x"]), "config must be a path, got"),
    ),
)
def test_what_is_of_another_type_is_refused_in_a_sentence(call, name):
    with pytest.raises(ValueError, match=f"^{re.escape(name)}"):
        call()


UNFIT = (object(), {}, [[0.5]], 1j, print, 10**400, np.ones((2, 2)), torch.empty(2, device="meta"))
"""What no option is."""


@pytest.mark.parametrize("name", ["critical_rates", "threshold", "card", "sweep", "train", "train_sweep"])
def test_what_no_option_is_gets_a_sentence(name):
    function = getattr(clopsim, name)
    first = {"threshold": ["collapse"], "card": ["infonce"]}.get(name, [])
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and argument not in ("out", "config", "save_config", "figure"):
            for value in UNFIT:
                with pytest.raises(ValueError, match=rf"^{argument} must .*(, got |; )"):
                    function(*first, **{argument: value})


@pytest.mark.parametrize(
    "call, message",
    (
        (lambda: clopsim.inspect(np.eye(3), skip_bad="no"), "skip_bad must be True or False, got 'no'; choose one of"),
        (lambda: clopsim.inspect(np.eye(3), fail_on=[[1]]), "fail_on must hold numbers or words, got [[1]]; take out"),
        (lambda: clopsim.verify(only=[1]), "only must hold names of claims, got [1]; as in 'T4'"),
        (lambda: clopsim.zoo(["federated"]), "protocol must be one of federated, "),
        (lambda: clopsim.merge([], out="whole"), "folders must hold a run folder, got none; name every share"),
        (
            lambda: clopsim.train(data=None),
            "data must be a word or a list of them, got None; the usual one is 'digits'",
        ),
        (lambda: clopsim.train(flip=1), "flip must be True or False, got 1; choose one of them"),
        (lambda: clopsim.sweep(shard=3), "shard must be I/N with 1 <= I <= N, got 3; "),
        (lambda: clopsim.sweep(scheduler=3), "scheduler must be "),
        (lambda: clopsim.sweep(imbalance="x"), "imbalance must be >= 1, got 'x'; "),
        (lambda: clopsim.threshold("collapse", bracket="x"), "bracket must be in ["),
    ),
)
def test_what_is_wrong_is_said_by_the_argument(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()
    assert not list(tmp_path.iterdir())


def test_a_forward_that_is_no_function_is_refused():
    batches = [(torch.ones(4, 3), torch.ones(4, 3))]
    for function in (clopsim.stable_rate, clopsim.rate_test):
        with pytest.raises(ValueError, match="^forward must be a function, got 'x'; give forward=, such as lambda"):
            function(torch.nn.Linear(3, 2), clopsim.losses.info_nce, batches, forward="x")
