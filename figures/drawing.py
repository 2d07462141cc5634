"""What every figure returns, and how it is written: the same bytes for the same versions on a machine."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clopsim.figures.style import STYLE
from clopsim.runs.store import write_atomically
from clopsim.show.plots import undated


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


def apart(found: float, predicted: float | None) -> float:
    """Relative distance of a found rate from the predicted one; nan and None say never, 1 where only one says so."""
    if predicted is None or np.isnan(found):
        return float(predicted is not None or not np.isnan(found))
    return abs(found / predicted - 1)


def save(drawing: Drawing, name: str, folder: Path, *, formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write NAME.csv and one picture per format (png, svg, pdf), each whole, into a folder that exists; the paths."""
    paths = [folder / f"{name}.csv"]
    columns = [np.ravel(column).tolist() for column in np.broadcast_arrays(*drawing.numbers.values())]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(drawing.numbers)
    for row in zip(*columns, strict=True):
        writer.writerow(f"{value:.8g}" if isinstance(value, float) else value for value in row)
    write_atomically(paths[0], text.getvalue().encode())  # first: a picture that fails does not cost the numbers
    for form in formats:
        paths.append(folder / f"{name}.{form}")
        picture = io.BytesIO()
        with mpl.rc_context(STYLE):
            drawing.figure.savefig(picture, format=form, dpi=200, metadata=undated(form))
        write_atomically(paths[-1], picture.getvalue())
    return paths
