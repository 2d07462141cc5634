"""Training on the paper's antipodal lines with and without prototypes: directions kept against the learning rate.

Three classes, each on a line through the origin in three dimensions; the second view of x is -x with noise (the paper's
first version, section 3). Embeddings in three dimensions, everything else as for the digits: one label in ten,
prototype weight 1, SGD with momentum 0.9 and a cosine schedule. Points: median and range over seeds; a cross at the
bottom: some seed diverged. A measurement, without a theory to hold it against.
"""

from collections.abc import Callable
from dataclasses import replace

from clopsim.figures import training
from clopsim.figures.drawing import Drawing
from clopsim.figures.runs import Arrays, Run

SWEEP = replace(
    training.SWEEP,
    base=replace(
        training.SWEEP.base,
        data="lines", steps=500, samples=375, features=3, classes=3, noise=0.05, view_noise=0.05, dimension=3,
    ),
    batch=(64,),
)  # fmt: skip


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """As for the digits."""
    return training.measured(SWEEP, quick=quick, on_progress=on_progress)


def draw(run: Run) -> Drawing:
    """As for the digits."""
    return training.draw(run)
