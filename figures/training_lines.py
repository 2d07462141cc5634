"""On antipodal lines prototypes keep all three directions below rate 1.

Three classes, each on a line through the origin of three dimensions, the second view of x being -x with noise (the
paper's first version, section 3). InfoNCE, embeddings in three dimensions, 500 steps of batch 64, all else as for the
digits. Median and range of three seeds; other losses in the table. A measurement, no theory.
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
    return training.draw_infonce(run, __doc__)
