"""Every variable of every kind of run says what it is, in the file as in the guide."""

import re
from pathlib import Path

import pytest
import xarray as xr

from clopsim.cli.examples import LEAVES
from clopsim.show.variables import OF_KIND, SHARED, attributes

GUIDE = Path(__file__).parents[3] / "clopsim" / "README.md"

FILE = re.compile(r"[a-z]+\.(?:nc|json|png|npz|pt)\b")

RUNS = {
    "sweep": "sweep --loss full --samples 8 --clusters 2 --rates 0.5,2 --seeds 1 --steps 2",
    "train": "train --data clusters --samples 40 --batch 8 --steps 2",
    "train-sweep": "train-sweep --data clusters --samples 40 --batch 8 --steps 2 --rate 1 --seeds 1",
}


@pytest.mark.parametrize("kind", RUNS)
def test_every_variable_has_a_name_and_a_unit_in_the_file_and_in_the_guide(clopsim, kind):
    done = clopsim(*RUNS[kind].split(), "--out", "run")
    assert done.exit_code == 0, done.output
    assert {path.name for path in Path("run").iterdir()} == set(FILE.findall(LEAVES[kind].split(" While it runs")[0]))
    with xr.open_dataset("run/data.nc") as dataset:
        found = {name: (each.attrs["long_name"], each.attrs["units"]) for name, each in dataset.variables.items()}
    rows = re.findall(r"^\| `(\w+)` \| ([\w, -]+) \| (.+?) \| (\S+) \|$", GUIDE.read_text(), flags=re.MULTILINE)
    shown = {name: (words, unit) for name, kinds, words, unit in rows if kind in kinds.split(", ")}
    assert found == shown


def test_a_variable_without_a_name_is_refused():
    with pytest.raises(KeyError, match="no_such"):
        attributes("sweep", "no_such")


def test_nothing_is_named_twice():
    for kind, own in OF_KIND.items():
        assert not {*own} & {*SHARED}, kind
