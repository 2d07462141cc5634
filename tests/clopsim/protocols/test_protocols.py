"""What holds for every protocol: its record, its run over seeds, its folder, its report."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import clopsim as front
from clopsim.protocols.protocol import Comparison
from clopsim.protocols.registry import PROTOCOLS
from clopsim.runs.ready import finite
from clopsim.show.zoo import draw_protocol, protocol_report, protocols_table

TINY = {
    "adversarial": {"steps": 2, "batch": 8, "inner_steps": 2},
    "federated": {"rounds": 2, "local_steps": 2, "clients": 3},
    "few-labels": {"steps": 2, "batch": 8, "labelled": 2},
    "incremental": {"tasks": 2, "steps": 2, "rates": (0.01,)},
    "trimming": {"steps": 2, "batch": 8},
}
"""Settings that run in a second."""


@pytest.fixture(scope="module", params=PROTOCOLS)
def tiny(request):
    protocol = PROTOCOLS[request.param]
    setting = replace(protocol.setting, seeds=2, **TINY[request.param])
    return protocol, setting, protocol.dataset(setting)


def test_a_protocol_says_what_it_is():
    assert all(name == each.name for name, each in PROTOCOLS.items())
    assert len({each.identifier for each in PROTOCOLS.values()}) == len(PROTOCOLS)
    for each in PROTOCOLS.values():
        assert all(claim.matters > 0 for claim in each.claims)
        assert each.short.seeds >= 3
        assert each.setting.seeds >= each.short.seeds


def test_every_variable_says_what_it_is(tiny):
    protocol, _, dataset = tiny
    assert {*dataset.variables} == {*protocol.variables}
    assert all(each.attrs == {"long_name": protocol.variables[name], "units": "1"} for name, each in dataset.items())
    assert {*protocol.columns} <= {*dataset.data_vars}


def test_a_seed_is_the_same_among_others(tiny):
    protocol, setting, dataset = tiny
    alone = protocol.dataset(replace(setting, seeds=1))
    xr.testing.assert_allclose(alone.isel(seed=0), dataset.isel(seed=0), rtol=1e-3, atol=1e-3)
    assert protocol.dataset(setting).identical(dataset)


def test_the_variants_of_a_seed_are_told_apart(tiny):
    _, _, dataset = tiny
    assert float(dataset.isel(seed=0)[next(iter(dataset.data_vars))].std()) > 0


def test_the_summary_is_what_its_differences_say(tiny):
    protocol, setting, dataset = tiny
    summary = protocol.summary(setting, dataset)
    assert [row["claim"] for row in summary["claims"]] == [claim.said for claim in protocol.claims]
    for row in summary["claims"]:
        assert row["mean"] == pytest.approx(np.mean(row["differences"]), nan_ok=True)
        assert len(row["differences"]) == 2
    first = summary["table"][0]
    variable = next(iter(protocol.columns))
    where = {axis: first[axis] for axis in summary["columns"] if axis not in protocol.columns}
    assert first[variable] == pytest.approx(float(dataset[variable].sel(where).mean("seed")))
    assert json.loads(json.dumps(finite(summary), allow_nan=False)) == finite(summary)


@pytest.mark.parametrize("sign, verdict", [(1, "supported"), (-1, "not supported")])
def test_a_claim_turned_round_gets_the_other_verdict(tiny, sign, verdict):
    """No verdict is written down: the same numbers with the other sign decide otherwise."""
    protocol, _, _ = tiny
    claim = replace(protocol.claims[0], difference=lambda data: sign * (10 + data["seed"]))
    (found,) = replace(protocol, claims=(claim,)).judged(xr.Dataset(coords={"seed": range(3)}))
    assert found.verdict == verdict


def test_report_and_picture_fit_a_terminal_and_a_page(tiny):
    protocol, setting, dataset = tiny
    summary = finite(protocol.summary(setting, dataset))
    text = protocol_report(summary)
    assert max(map(len, text.splitlines())) <= 80
    assert all(row["verdict"] in text for row in summary["claims"])
    figure = draw_protocol(summary)
    assert isinstance(figure, Figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{row['verdict']}: {row['claim']}" for row in summary["claims"]
    ]


def test_the_picture_of_a_broken_seed_and_of_one_seed_is_drawn(tiny):
    protocol, setting, dataset = tiny
    broken = Comparison("it broke", "nothing", lambda data: xr.DataArray([np.nan, 1.0], dims="seed"), 0.1)
    summary = finite(replace(protocol, claims=(broken,)).summary(setting, dataset))
    assert "no interval" in protocol_report(summary)
    assert draw_protocol(summary).axes


def test_the_list_fits_a_terminal():
    text = protocols_table(front.zoo().to_dict()["protocols"])
    assert max(map(len, text.splitlines())) <= 80
    assert front.zoo().names == [*PROTOCOLS]


@pytest.fixture
def quick(monkeypatch):
    """The first protocol, tiny."""
    name = next(iter(PROTOCOLS))
    small = replace(PROTOCOLS[name], setting=replace(PROTOCOLS[name].setting, seeds=2, **TINY[name]))
    monkeypatch.setitem(PROTOCOLS, name, small)
    return name


def test_the_command_writes_what_the_function_gives_back(clopsim, quick):
    done = clopsim("zoo", quick, "--out", "run")
    assert done.exit_code == 0, done.output
    assert {path.name for path in Path("run").iterdir()} == {"data.nc", "summary.json", "provenance.json", "zoo.png"}
    found = front.zoo(quick)
    assert done.stdout == f"{found}\n\nWritten to run\n"
    assert found.to_dict() == json.loads(Path("run/summary.json").read_text())
    with xr.open_dataset("run/data.nc") as stored:
        assert stored.identical(found.dataset)
        assert stored.attrs["command"] == f"clopsim zoo {quick}"
        assert stored.attrs["verdict_1"].startswith(found.claims[0]["verdict"])
    assert isinstance(found.plot(), Figure)
    again = front.open_run("run")
    assert (again.kind, again.claims) == ("zoo", found.claims)
    assert clopsim("show", "run").stdout == done.stdout
    assert f"{quick}, 2 seeds" in clopsim("runs", ".").stdout
    assert json.loads(clopsim("zoo", quick, "--out", "run", "--force", "--json").stdout) == found.to_dict()
    assert clopsim("zoo", quick, "--seeds", 1, "--out", "one").stdout.count("cannot tell") >= 2


@pytest.mark.parametrize(
    "words, message",
    [
        (["nope"], "NAME must be one of federated, "),
        (["federated", "--seeds", "0"], "--seeds must be a whole number >= 1, got 0"),
        (["federated", "--seeds", "many"], "--seeds must be a whole number, got 'many'"),
        (["--seeds", "3"], "--seeds must come with a protocol, got none; name one of federated"),
        (["--out", "run"], "--out must come with a protocol"),
    ],
)
def test_wrong_input_is_one_plain_line_and_nothing_is_written(clopsim, words, message):
    done = clopsim("zoo", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"clopsim: {message}")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("options", ([], ["--force"]))
def test_a_folder_of_the_users_own_is_left_alone(clopsim, quick, options):
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_text("mine")
    done = clopsim("zoo", quick, "--out", "mine", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("clopsim: --out must ")
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]
