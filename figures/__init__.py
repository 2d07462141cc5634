"""One file per figure of the project: its docstring is the caption, its `draw` returns a drawing.Drawing.

Nothing heavy is imported here, so that the names are there for `clopsim figures --help`.
"""

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from figures.drawing import Drawing

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
    "free_norm",
    "sharpness",
    "networks_decay",
    "training",
    "training_lines",
    "paper_synthetic",
)
"""Every figure, in the order of the gallery."""

__all__ = ["NAMES", "caption", "draw"]


def draw(name: str, *, quick: bool = False, on_progress: Callable[[float], None] = lambda share: None) -> "Drawing":
    """Simulate and draw one of NAMES; quick: small and rough, in seconds. on_progress gets the share done."""
    return importlib.import_module(f"figures.{name}").draw(quick=quick, on_progress=on_progress)


def caption(name: str) -> str:
    """The caption of one of NAMES."""
    return inspect.cleandoc(importlib.import_module(f"figures.{name}").__doc__ or "")
