"""What every figure returns, and how it is written: the same bytes for the same versions."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.plots import undated
from figures.style import STYLE


class Gap(NamedTuple):
    """How far a measurement is from the theory."""

    says: str  # what it is
    value: float
    allowed: float  # the largest value at which the theory holds

    @property
    def holds(self) -> bool:
        """Whether the gap is allowed; a gap that is not a number is not."""
        return self.value <= self.allowed


class Drawing(NamedTuple):
    """A figure with the numbers that it shows and its gaps between theory and measurement."""

    figure: Figure
    numbers: Mapping[str, Any]  # what is plotted: column -> values; columns are broadcast against each other
    gaps: tuple[Gap, ...]

    @property
    def holds(self) -> bool:
        """Whether every gap is allowed."""
        return all(gap.holds for gap in self.gaps)


def save(drawing: Drawing, name: str, folder: Path, *, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write NAME.csv and one picture per format (png, svg, pdf) into a folder that exists; returns the paths."""
    paths = [folder / f"{name}.csv"]
    columns = [np.ravel(column).tolist() for column in np.broadcast_arrays(*drawing.numbers.values())]
    with paths[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(drawing.numbers)
        for row in zip(*columns, strict=True):
            writer.writerow(f"{value:.8g}" if isinstance(value, float) else value for value in row)
    for form in formats:
        paths.append(folder / f"{name}.{form}")
        with mpl.rc_context(STYLE):
            drawing.figure.savefig(paths[-1], dpi=200, metadata=undated(form))
    return paths
