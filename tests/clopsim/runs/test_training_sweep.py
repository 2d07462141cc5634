"""A training sweep is a labelled dataset of runs, and the command writes it with its provenance."""

import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from clopsim import cli
from clopsim.door.configfile import EXECUTION, reproducing_command
from clopsim.runs import plan
from clopsim.runs.recipes import AXES, BASE, TrainingSweep
from clopsim.runs.training_sweep import DIMENSIONS, run_training_sweep, summarise
from clopsim.training.recipe import NamedLoss, Training
from clopsim.training.stack.ensemble import train_together

SMALL = TrainingSweep(
    base=Training(
        data="clusters", samples=60, features=6, classes=3, dimension=4, width=8, steps=10, precision="float64", seed=3
    ),
    loss=("infonce", "barlow"),
    rate=(0.1,),
    weight_decay=(0.0, 0.1),
    weight=(0.0, 2.0),
    labelled=(0.2, 1.0),
    batch=(8, 0),
    seeds=2,
)


@pytest.fixture(scope="module")
def swept():
    shares: list[float] = []
    dataset = run_training_sweep(SMALL, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    return dataset


def test_the_axes_are_those_of_the_record_and_a_cell_is_its_recipe(swept):
    assert DIMENSIONS == (
        "loss", "learning_rate", "weight_decay", "weight", "labelled_fraction", "batch_size", "seed",
    )  # fmt: skip
    assert swept["loss_value"].dims == (*DIMENSIONS, "step")
    assert swept["knn"].dims == DIMENSIONS
    assert swept.sizes["seed"] == 2
    assert set(swept["outcome"].values.ravel()) <= {"collapsed", "line", "spread"}
    assert all(np.isfinite(values).all() for name, values in swept.data_vars.items() if name != "outcome")
    for cell in SMALL.cells()[5::13]:  # one of every kind of neighbourhood
        alone = train_together([SMALL.recipe(cell)])
        here = swept.sel(dict(zip(DIMENSIONS, cell, strict=True)))
        assert here["step"].values.tolist() == list(alone.steps)
        for name, values in alone.observables.items():
            found = here["loss_value" if name == "loss" else name]
            np.testing.assert_allclose(found, values[0], rtol=1e-9, atol=1e-12)
        assert float(here["knn"]) == alone.accuracies["knn"][0]


def test_a_row_is_the_median_over_the_seeds_and_counts_the_outcomes(swept):
    broken = swept.copy(deep=True)
    for name in broken.data_vars:
        gone = "diverged" if name == "outcome" else np.nan
        broken[name].values[0, 0, 0, 0, 0, 0, 1] = gone
        broken[name].values[0, 0, 0, 0, 0, 1, :] = gone
    rows = summarise(SMALL, broken)["runs"]
    assert len(rows) == 2**5
    first = broken.isel(step=-1)["effective_rank"].values[0, 0, 0, 0, 0, 0, 0]
    assert (rows[0]["outcomes"], rows[0]["effective_rank"]) == ({"spread": 1, "diverged": 1}, first)
    assert (rows[1]["outcomes"], rows[1]["effective_rank"], rows[1]["knn"]) == ({"diverged": 2}, None, None)
    last = swept["effective_rank"].values[-1, -1, -1, -1, -1, -1, :, -1]
    assert rows[-1]["effective_rank"] == pytest.approx(last.mean())  # of two


def test_what_clop_leaves_out_is_no_run():
    record = replace(SMALL, loss=("clop", "barlow"), weight=(0.5,), weight_decay=(0.0,), labelled=(1.0,), batch=(8,))
    dataset = run_training_sweep(record).isel(
        learning_rate=0, weight_decay=0, labelled_fraction=0, batch_size=0, seed=0
    )
    assert dataset["weight"].values.tolist() == [0.0, 0.5]
    assert dataset["loss"].values.tolist() == ["infonce", "barlow"]
    assert dataset["outcome"].values.tolist() == [["not asked", "spread"], ["spread", "not asked"]]
    assert np.isfinite(dataset["effective_rank"].values[..., -1]).tolist() == [[False, True], [True, False]]


@pytest.fixture
def clopsim(clopsim):
    return partial(clopsim, "sweep", "--embedder", "mlp")


QUICK = ("--data", "clusters", "--samples", "40", "--batch", "8", "--steps", "4", "--seeds", "1", "--device", "cpu")


def test_the_command_writes_the_data_and_its_provenance(clopsim):
    result = clopsim(*QUICK, "--loss", "dcl,vicreg", "--rate", "0.001", "--out", "run", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert json.loads(Path("run/summary.json").read_text()) == summary
    assert [row["loss"] for row in summary["runs"]] == ["dcl", "dcl", "vicreg", "vicreg"]
    with xr.open_dataset("run/data.nc") as stored:
        assert stored["effective_rank"].dims == (*DIMENSIONS, "step")
        assert stored["loss"].values.tolist() == ["dcl", "vicreg"]
        assert stored.attrs["steps"] == 4
        assert stored.attrs["command"] == json.loads(Path("run/provenance.json").read_text())["command"]
    table = clopsim(*QUICK, "--rate", "0.01,1")
    assert re.search(r"^1 +1 +1 spread ", table.stdout, re.MULTILINE)  # rate, weight; the same for all is said above


def test_options_are_fields_and_the_command_line_gives_the_record_back(monkeypatch):
    command = next(each for each in cli.app.registered_commands if each.name == "train-sweep")
    running = {"context", "config", "save_config", "out", "resume", "force", "shard", "json_output", *EXECUTION}
    names = set(command.callback.__annotations__) - {*running, "return"}
    assert names == {*BASE, *AXES, "seeds"}
    records = []
    here = sys.modules["clopsim.cli.train_sweep"]  # the package's attribute of this name is the command
    monkeypatch.setattr(
        here, "run_command", lambda function, context, given, kind: records.append(TrainingSweep.from_plain(given))
    )
    record = replace(SMALL, base=replace(SMALL.base, prototypes="simplex", batch_norm=False))
    for each in (SMALL, record, TrainingSweep()):
        CliRunner().invoke(cli.app, reproducing_command(each).split()[1:])
        assert (records[-1].base.batch_norm, records[-1].cells()) == (each.base.batch_norm, each.cells())
        assert [records[-1].recipe(cell) for cell in each.cells()] == [each.recipe(cell) for cell in each.cells()]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--rate", "1,x"], "--rate must be numbers separated by commas, got '1,x'"),
        (["--batch", "2.5"], "--batch must be whole numbers separated by commas, got '8,2.5'"),
        (["--batch", "5000"], "--batch must be <= the 32 training samples, got 5000"),
        (["--labelled", "0.5,0.001"], "--labelled must leave a label, got 0.001 of 32 labels"),
        (
            ["--loss", "clpo"],
            f"--loss must be one of {', '.join(get_args(NamedLoss))}, got 'clpo'",
        ),
        (["--loss", "clop", "--weight", "0"], "--weight must hold one above 0 for the loss clop, got 0"),
        (["--weight-decay", ""], "--weight-decay must have a value, got an empty one"),
        (["--dim", "3"], "--classes must be <= 3 for orthonormal prototypes in 3 dimensions, got 4"),
        (["--device", "nowhere"], "--device must be one that torch has here"),
        (["--precision", "bfloat16"], "--precision must be float32 or float64"),
        (["--out", "there"], "--out must not exist"),
        (["--data", "none.npz", "--samples", "0"], "--data must be an .npz file that can be read, got 'none.npz'"),
    ],
)
def test_wrong_input_is_one_plain_line_and_status_2(clopsim, words, message):
    Path("there").mkdir()
    Path("there/notes.txt").touch()
    result = clopsim(*QUICK, "--out", "run", *words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert [path.name for path in Path().iterdir()] == ["there"]


PAPERS = (
    "--embedder resnet18 --dim 128 --batch 128 --steps 39000 --held-out 0.166667 --labelled 0.1 --weight 0,1 "
    "--rate 0.01,0.03,0.1,0.3,1 --seeds 1 --crop 0.2 --flip --jitter 0.5 --shift 0 --view-noise 0 --precision bfloat16"
)
"""The paper's experiment on CIFAR-10 as the guide gives it, after its --data."""


def test_the_guide_has_the_papers_experiment_and_a_network_of_it_is_a_chunk():
    guide = (Path(cli.__file__).parents[1] / "README.md").read_text()
    assert f"clopsim train-sweep --data openml:CIFAR_10 {PAPERS}\n" in guide
    base = Training(embedder="resnet18", dimension=128, precision="bfloat16", steps=39_000, labelled=0.1)
    config = TrainingSweep(base, rate=(0.01, 0.03, 0.1, 0.3, 1.0), weight=(0.0, 1.0), seeds=1)
    assert plan.tasks(config) == [plan.Chunk(first, 1) for first in range(10)]
    assert plan.seconds(config) > 1000 * plan.seconds(
        replace(config, base=replace(base, embedder="conv", precision="float32"))
    )


def test_the_papers_experiment_runs_small_on_pictures_of_its_shape(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = (rng.integers(0, 128, (3, 3, 32, 32))[y] + rng.integers(0, 128, (60, 3, 32, 32))).astype(np.uint8)
    np.savez(tmp_path / "cifar.npz", x=x, y=y)
    words = PAPERS.replace("--dim 128", "--dim 4").replace("--batch 128", "--batch 10").replace("39000", "2")
    words = words.replace("0.01,0.03,0.1,0.3,1", "0.01,1")
    out = tmp_path / "run"
    given = f"train-sweep --data {tmp_path / 'cifar.npz'} {words} --width 2 --out {out} --workers 1".split()
    done = CliRunner().invoke(cli.app, given)
    assert done.exit_code == 0, done.output
    with xr.open_dataset(out / "data.nc") as dataset:
        assert dict(dataset.sizes)["weight"] == dict(dataset.sizes)["learning_rate"] == 2
        assert np.isfinite(dataset["linear_probe"]).all()
