"""The state of a training run and the file that keeps it: written whole or not at all."""

import io
import os
import pickle
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

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
    """Where the checkpoint of an unfinished run lies: beside its folder."""
    return out.with_name(out.name + ".checkpoint.pt")


def save(path: Path, recipe: Training, state: State) -> None:
    """Write the file under another name, flush it to the disk, then rename: a kill leaves the old or the new one.

    Errors: ValueError where the place is not writable.
    """
    content = {
        "format": FORMAT,
        "recipe": asdict(recipe),
        "step": state.step,
        "params": state.params,
        "velocity": state.velocity,
        "squares": state.squares,
        "records": state.records,
    }
    whole = io.BytesIO()
    torch.save(content, whole)  # not into the file: where the disk is full torch raises a RuntimeError of its own
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(whole.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ValueError(f"out must be writable, got {str(path)!r} ({error.strerror}); choose another folder") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path, recipe: Training, *, device: torch.device | str = "cpu") -> State:
    """The state in a file, for a recipe that must be the one it was written with.

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
