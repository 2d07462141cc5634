"""One file per figure of the project: its docstring is the caption, its `measure` simulates, its `draw` draws that.

Nothing heavy is imported here, so that the names are there for `clopsim figures --help`.
"""

import importlib
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clopsim.figures.drawing import Drawing
    from clopsim.figures.runs import Run

NAMES = (
    "collapse_sweep",
    "collapse_temperatures",
    "phase_temperature",
    "phase_batch",
    "instability_spectrum",
    "alignment_bifurcation",
    "full_against_merged",
    "clop_rescue",
    "clop_equilibrium",
    "ascent",
    "zoo",
    "free_norm",
    "sharpness",
    "networks_decay",
    "networks_angle",
    "networks_free",
    "networks_prototypes",
    "training",
    "training_steps",
    "training_lines",
    "paper_synthetic",
)
"""Every figure, in the order of the gallery."""

TRAINED_TOGETHER = tuple(name for name in NAMES if name.startswith(("networks", "training")))
"""Spread over as many threads as torch uses."""

__all__ = ["NAMES", "TRAINED_TOGETHER", "caption", "draw", "measure"]


def measure(name: str, *, quick: bool = False, on_progress: Callable[[float], None] = lambda share: None) -> "Run":
    """Simulate what one of NAMES shows; quick: small and rough, in seconds. on_progress gets the share done.

    The number of threads changes no bit: torch computes on one, but for networks that are trained together, each of
    which has its own anyway.
    """
    from clopsim.figures.runs import Run
    from clopsim.runs.chunks import one_thread

    with nullcontext() if name in TRAINED_TOGETHER else one_thread():
        arrays = importlib.import_module(f"clopsim.figures.{name}").measure(quick=quick, on_progress=on_progress)
    return Run(arrays, quick)


def draw(name: str, run: "Run") -> "Drawing":
    """Draw a run of one of NAMES, theory included, and hold the one against the other."""
    return importlib.import_module(f"clopsim.figures.{name}").draw(run)


def caption(name: str) -> str:
    """The caption of one of NAMES."""
    return inspect.cleandoc(importlib.import_module(f"clopsim.figures.{name}").__doc__ or "")
