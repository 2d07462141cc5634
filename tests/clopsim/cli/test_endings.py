"""What can still fail after the computing is done costs none of it: one line, and everything else stands."""

import json
import shlex
import shutil
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clopsim import figures
from clopsim.audit import report
from clopsim.audit.experiments import Experiment
from clopsim.audit.ledger import CLAIMS
from clopsim.runs import chunks, kinds, results, sweep
from clopsim.runs import folder as runs
from clopsim.show import plots
from clopsim.training import evaluation, loop

SWEEP = "sweep --samples 8 --rates 0.5,2 --seeds 2 --steps 10 --clusters 2 --out run"
SHARES = SWEEP.replace("--out run", "--shard 1/1 --out share")
TRAIN = "train --data clusters --samples 40 --features 4 --dim 3 --width 4 --batch 0 --steps 3 --no-sharpness --out run"
NETWORKS = (
    "train-sweep --data clusters --samples 40 --features 4 --classes 2 --dim 3 --width 4 --batch 0 --steps 3 "
    "--rate 0.1 --weight 0 --labelled 1 --seeds 1 --out run"
)
RUNS = (SWEEP, TRAIN, NETWORKS)


@pytest.fixture
def said(clopsim):
    """said(line) runs a command; its exit status, stdout and stderr."""

    def run(line):
        result = clopsim(*shlex.split(line))
        return result.exit_code, result.stdout, result.stderr

    return run


def broken(*_, **__):
    raise LookupError("it broke")


def no_metadata(name, ordinary=metadata.version):
    if name == "clopsim":
        raise metadata.PackageNotFoundError(name)
    return ordinary(name)


@pytest.mark.parametrize("line", RUNS)
def test_a_tree_that_nobody_installed_computes_and_writes(said, monkeypatch, line):
    monkeypatch.setattr(metadata, "version", no_metadata)
    status, _, errors = said(line)
    assert (status, errors) == (0, "")
    assert "(not installed)" in json.loads(Path("run/provenance.json").read_text())["versions"]["clopsim"]


@pytest.mark.parametrize("line, draw", ((SWEEP, "draw_sweep"), (TRAIN, "draw_training")))
def test_a_picture_that_fails_costs_nothing_else(said, monkeypatch, line, draw):
    picture = Path("run", "sweep.png" if line is SWEEP else "train.png")
    with monkeypatch.context() as patch:
        patch.setattr(plots, draw, broken)
        status, printed, errors = said(line)
        why = (
            f"clopsim: {picture.name} could not be written (LookupError: it broke), all else is; clopsim show --figure"
        )
        assert (status, errors) == (0, f"{why} draws it anew\n")
        assert said("show run")[:2] == (0, printed)
    assert not picture.exists()
    assert json.loads(said("runs --json")[1]) == []  # there are none in ./runs
    assert json.loads(said("runs . --json")[1])[0]["state"] == "complete"
    assert said(f"show run --figure {picture}") == (0, f"{printed}\nDrawn in {picture}\n", "")
    assert picture.stat().st_size


@pytest.mark.parametrize("line", RUNS)
def test_what_is_missing_is_said_before_anything_is_computed(said, monkeypatch, line):
    monkeypatch.setattr(chunks, "perform", broken)
    monkeypatch.setattr(loop, "train", broken)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
        status, printed, errors = said(line)
    assert (status, printed) == (2, "")
    assert errors.startswith("clopsim: --out must have room for about 0.0")
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    status, printed, errors = said(line)
    assert (status, printed) == (2, "")
    assert errors.startswith("clopsim: netCDF4 cannot be imported (")
    assert not list(Path().iterdir())


@pytest.mark.parametrize("line, place", ((SWEEP, (sweep, "summarise")), (NETWORKS, (kinds.results, "save_data"))))
def test_a_sweep_that_cannot_be_put_together_keeps_its_chunks(said, monkeypatch, line, place):
    with monkeypatch.context() as patch:
        patch.setattr(*place, broken)
        status, printed, errors = said(line)
    again = f"clopsim {line.split()[0]} --out run --resume"
    why = f"clopsim: LookupError: it broke; what is computed is kept, go on with: {again}\n"
    assert (status, printed, errors) == (4, "", why)
    monkeypatch.setattr(chunks, "run", broken)  # nothing is computed again
    assert said(again.removeprefix("clopsim "))[0] == 0


@pytest.mark.parametrize("place", ((evaluation, "accuracies"), (results, "save_data")))
def test_a_training_that_cannot_be_written_is_kept(said, monkeypatch, place):
    with monkeypatch.context() as patch:
        patch.setattr(*place, broken)
        status, printed, errors = said(TRAIN)
    why = "clopsim: LookupError: it broke; the training is kept, go on with: clopsim train --out run --resume\n"
    assert (status, printed, errors) == (4, "", why)
    monkeypatch.setattr(loop, "step", broken)  # nothing is computed again
    assert said("train --out run --resume")[0] == 0
    assert [path.name for path in Path().iterdir()] == ["run"]
    assert not {"plan.json", "checkpoint", "chunks", ".lock", ".commit"} & {path.name for path in Path("run").iterdir()}


def test_what_somebody_puts_into_the_folder_meanwhile_stays(said, monkeypatch):
    ordinary = loop.train

    def slow(*arguments, **options):
        Path("run/thesis.tex").write_text("years of work")
        return ordinary(*arguments, **options)

    monkeypatch.setattr(loop, "train", slow)
    assert said(TRAIN)[0] == 0
    assert Path("run/thesis.tex").read_text() == "years of work"
    status, _, errors = said(f"{TRAIN} --force")
    assert (status, errors) == (0, "")
    assert Path("run/thesis.tex").read_text() == "years of work"


def test_shares_that_cannot_be_joined_are_untouched(said, monkeypatch):
    said(SHARES)
    before = sorted(path.name for path in Path("share").rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(runs.results, "record", broken)
        result = said("merge share --out whole")
    assert result == (4, "", "clopsim: LookupError: it broke; the shares are untouched\n")
    assert sorted(path.name for path in Path("share").rglob("*")) == before
    assert said("merge share --out other")[0] == 0


def test_a_report_that_fails_costs_no_table(said, monkeypatch):
    monkeypatch.setattr(report, "to_html", broken)
    status, printed, errors = said("verify --only T6 --report audit.html")
    why = "clopsim: audit.html could not be written (LookupError: it broke), all else is; the table stands\n"
    assert (status, errors) == (5, why)
    assert "Every recorded verdict is supported" in printed


def test_a_gap_that_is_no_number_is_printed_too(said, monkeypatch):
    def unmeasured() -> Experiment:
        return Experiment("a floor", "x", "y", (0.0,), (1.0,), (float("nan"),), 0.01)

    claims = [replace(claim, experiments=(unmeasured,)) if claim.identifier == "T6" else claim for claim in CLAIMS]
    monkeypatch.setattr("clopsim.audit.run.CLAIMS", tuple(claims))
    status, printed, errors = said("verify --only T6 --json")
    assert (status, errors) == (1, "")
    assert json.loads(printed)[0]["experiments"][0]["gap"] is None


def test_a_spectrum_that_fails_costs_no_report(said, monkeypatch):
    np.save("z.npy", np.eye(4))
    monkeypatch.setattr(plots, "draw_inspection", broken)
    status, printed, errors = said("inspect z.npy --figure z.png")
    why = "clopsim: z.png could not be written (LookupError: it broke), all else is; the report stands\n"
    assert (status, errors) == (5, why)
    assert printed == said("inspect z.npy")[1]


def test_a_figure_that_fails_costs_no_other(said, monkeypatch):
    ordinary = figures.draw
    monkeypatch.setattr(figures, "draw", lambda name, run: broken() if name == "phase_batch" else ordinary(name, run))
    status, printed, errors = said("figures phase_batch clop_equilibrium --quick --out out")
    assert status == 4
    assert printed.startswith("clop_equilibrium")
    first, last = errors.splitlines()
    assert first == "clopsim: phase_batch could not be drawn (LookupError: it broke)"
    assert last == "clopsim: 1 of 2 figures could not be drawn: phase_batch"
    assert sorted(path.name for path in Path("out").iterdir()) == ["clop_equilibrium.csv", "clop_equilibrium.png"]
