"""The table of the zoo in the README is the figure's own CSV; its bisection finds a rate that it is not told."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from clopsim import figures
from clopsim.figures import zoo

FOLDER = Path(figures.__file__).parent
NAMES = {
    "direction lost": "a direction is lost at collapse",
    "collapse attracts": "collapse attracts",
    "line attracts": "the line attracts",
    "optimum, tangent": "own optimum breaks (tangent)",
    "optimum, ambient": "own optimum breaks (ambient)",
}


def test_the_table_of_the_readme_is_the_csv():
    with (FOLDER / "zoo.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = {}
    for row in rows:
        first.setdefault((row["loss"], row["state"]), row)
    text = (FOLDER.parent / "README.md").read_text()
    shown = re.findall(r"^\| ([\w .-]+) \| (yes|\*\*no\*\*) \| ([^|]+) \| ([\d.]*) \| ([\d.]*) \|$", text, re.MULTILINE)
    assert {loss for loss, *_ in shown} == {row["loss"] for row in rows}
    count = 0
    for loss, stationary, rates, rank, held in shown:
        for part in rates.split("; "):
            name, predicted, observed = re.fullmatch(r"(.+) ([\d.]+) / ([\d.]+)", part).groups()
            row = first[loss, NAMES[name]]
            assert (predicted, observed) == tuple(f"{float(row[key]):.4g}" for key in ("predicted", "observed"))
            assert (float(row["gradient_on_a_line"]) == 0) == (stationary == "yes")
            for told, key in ((rank, "rank"), (held, "rank_with_prototypes")):
                assert told == ("" if row[key] == "nan" else f"{float(row[key]):.2f}")
            count += 1
    assert count == len(first)


@dataclass
class Quadratic:
    """c/2 times the squared angle of the second of two rows from the first, which stays."""

    curvature: float

    def __call__(self, z):
        return -self.curvature * z[1, 0] + 0 * z.sum()


@pytest.mark.parametrize("curvature", (0.05, 3.0, 40.0))
def test_the_search_finds_where_a_descent_breaks(curvature):
    """Tangent descent on -c cos(angle) is stable below 2/c."""
    z = torch.eye(4, dtype=torch.float64)[[0, 0]]
    move = torch.tensor([[0.0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.float64)
    place = zoo.Place("", "", "tangent", Quadratic(curvature), z, 1e2 * move, 0, lambda: None)
    assert zoo.searched(place) == pytest.approx(2 / curvature, rel=5e-3)


def test_where_nothing_changes_there_is_no_rate():
    z = torch.eye(4, dtype=torch.float64)[[0, 0]]
    move = torch.tensor([[0.0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.float64)
    place = zoo.Place("", "", "tangent", Quadratic(-1.0), z, 1e2 * move, 0, lambda: None)
    assert zoo.searched(place) != zoo.searched(place)  # nan: a maximum repels at every rate
