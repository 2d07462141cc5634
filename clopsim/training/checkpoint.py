"""The state of a training run: as arrays, for the checkpoints of a run folder, and as a file for torch.load."""

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clopsim.training.optimizers import Params
from clopsim.training.recipe import Training

FORMAT, EARLIER = 3, 2
"""Version of the file, and the one before, of SGD alone, that is read too; another one is refused."""


@dataclass(frozen=True)
class State:
    """What a run is after a number of steps; everything that a checkpoint holds besides the recipe."""

    step: int
    params: Params
    velocity: Params  # momentum buffers
    records: dict[str, list[float]]  # observables at the recorded steps up to now
    squares: Params = field(default_factory=dict)  # second moments of adamw


def path_of(out: Path) -> Path:
    """Where earlier versions kept the checkpoint of an unfinished run: beside its folder."""
    return out.parent / f"{out.name}.checkpoint.pt"


def save(path: Path, recipe: Training, state: State) -> None:
    """Write weights, moments and records of a finished run as a file for torch.load."""
    state = from_arrays(to_arrays(state))  # pickle tells equal words apart: one state has one file, resumed or not
    content = {
        "format": FORMAT,
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "step": state.step,
        "params": state.params,
        "velocity": state.velocity,
        "squares": state.squares,
        "records": state.records,
    }
    whole = io.BytesIO()
    torch.save(content, whole)  # not into the file: where the disk is full torch raises a RuntimeError of its own
    path.write_bytes(whole.getbuffer())


TENSORS = ("params", "velocity", "squares")


def to_arrays(state: State) -> dict[str, NDArray[Any]]:
    """The state as arrays by name, for a sealed file; nothing is rounded."""
    found: dict[str, NDArray[Any]] = {"step": np.array(state.step)}
    for part in TENSORS:
        found |= {f"{part}/{name}": value.cpu().numpy() for name, value in getattr(state, part).items()}
    return found | {f"records/{name}": np.array(values, dtype=np.float64) for name, values in state.records.items()}


def from_arrays(arrays: Mapping[str, NDArray[Any]], *, device: torch.device | str = "cpu") -> State:
    """The state that to_arrays was given."""
    parts: dict[str, dict[str, Any]] = {name: {} for name in (*TENSORS, "records")}
    for name, values in arrays.items():
        part, _, own = name.partition("/")
        if part == "records":
            parts[part][own] = values.tolist()
        elif own:
            parts[part][own] = torch.from_numpy(values).to(device)
    return State(int(arrays["step"]), parts["params"], parts["velocity"], parts["records"], parts["squares"])


def load(path: Path, recipe: Training, *, device: torch.device | str = "cpu") -> State:
    """The state in a file that save wrote, for a recipe that must be the one it was written with.

    Errors: ValueError for a file that is missing, damaged, of another format or of another recipe.
    """
    if not path.is_file():
        raise ValueError(
            f"resume needs the checkpoint of an unfinished run, got none at {str(path)!r}; a finished run has none"
        )
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        version, saved = content["format"], content["recipe"]
        moments = content["velocity"], content["records"], content.get("squares", {})
        state = State(content["step"], content["params"], *moments)
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError, zipfile.BadZipFile):
        raise ValueError(f"resume needs an intact checkpoint, got a damaged file {str(path)!r}; remove it") from None
    if version not in (FORMAT, EARLIER):
        raise ValueError(f"resume needs a checkpoint of format {FORMAT}, got {version} in {str(path)!r}")
    for option in fields(Training):
        given, before = (
            getattr(recipe, option.name),
            saved.get(option.name, option.default),
        )  # new since then: as it was
        if given != before:
            raise ValueError(f"{option.name} must be {before!r} as in the run that is resumed, got {given!r}")
    return state
