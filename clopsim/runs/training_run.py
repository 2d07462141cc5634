"""A training in its run folder: begin or go on, keep its state, and what it leaves when it is finished."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clopsim.metrics import archive
from clopsim.metrics.classes import UNLABELLED
from clopsim.runs import plan, ready, results
from clopsim.runs.code import code
from clopsim.runs.folder import claim
from clopsim.runs.store import PLAN, Store
from clopsim.show import plots
from clopsim.training import checkpoint, evaluation
from clopsim.training.checkpoint import State
from clopsim.training.datasets import DataSet, fingerprint
from clopsim.training.observation import dataset_of, predictions
from clopsim.training.recipe import Training
from clopsim.training.trainee import Trainee

FIGURE, EMBEDDINGS = "train.png", "embeddings.npz"


def begin(
    folder: Path,
    recipe: Training,
    *,
    room: int,
    resume: bool,
    force: bool,
    device: torch.device,
    command: str,
) -> tuple[Store, State | None] | None:
    """The store of a new training, or with resume of the one there with its state; None if that one is complete.

    Call it under store.locked(folder). Errors: as runs.folder.claim; ValueError for a checkpoint of an earlier version
    of another recipe.
    """
    earlier = checkpoint.path_of(folder)
    if earlier.exists() and not (resume or force):
        raise ValueError(
            f"out must have no unfinished run, got {str(earlier)!r}; go on with --resume or start anew with --force"
        )
    made_by = {**code(), **fingerprint(recipe), "threads": str(torch.get_num_threads())}
    state = None
    if resume and earlier.exists() and not (folder / PLAN).exists():
        state = checkpoint.load(earlier, recipe, device=device)
    document = plan.document(recipe, made_by)
    one = claim(folder, recipe, document, room, origin=results.origin_now(command), resume=resume, force=force)
    if one is None:
        return None
    if state is not None:
        keep(one, state)
    if (kept := one.kept()) is not None:
        state = checkpoint.from_arrays(kept[1], device=device)
    return one, state


def keep(one: Store, state: State) -> None:
    """Keep the state of a training. Errors: OSError where the disk says no; the state before stands then."""
    one.keep(state.step, checkpoint.to_arrays(state))


def steps_kept(one: Store) -> int:
    """Steps after which the kept state stands."""
    kept = one.kept()
    return kept[0] if kept else 0


def close(one: Store) -> None:
    """Remove what only an unfinished training needs."""
    one.close_plan()
    with suppress(OSError):
        checkpoint.path_of(one.folder).unlink(missing_ok=True)


def write(
    folder: Path,
    recipe: Training,
    data: DataSet,
    model: Trainee,
    *,
    state: State,
    origin: Mapping[str, Any],
    picture: bool = True,
) -> dict[str, Any]:
    """Evaluate a finished run and write its files, the picture if asked for among them; returns the summary.

    origin: results.origin_now of the start.
    embeddings.npz: z (N, d) unit rows, norm (N,) before that, y and labels (N,), split (N,) "train" or "held_out".
    """
    embeddings = evaluation.embed(recipe, data, model, state)
    ended = evaluation.verdict(recipe, data, model, state)
    last = {name: values[-1] for name, values in state.records.items()}
    accuracy = evaluation.accuracies(data, embeddings)
    summary: dict[str, Any] = ready.finite({
        "verdict": ended.state,
        "text": ended.text,
        "loss_at_collapse": ended.loss_at_collapse,
        "final": last,
        "predicted": predictions(recipe, len(data.y)),
        "accuracy": accuracy,
        "samples": {"train": len(data.y), "labelled": int((data.labels >= 0).sum()), "held_out": len(data.held_y)},
        "setting": asdict(recipe),
    })  # fmt: skip
    dataset = dataset_of(recipe, state, len(data.y)).assign_attrs(
        command=origin["command"],
        verdict=ended.state,
        loss_at_collapse=ended.loss_at_collapse,
        git=origin["git"],
        versions=results.listed(origin["versions"]),
        **{f"accuracy_{name}": float("nan") if v is None else v for name, v in accuracy.items()},
    )
    if picture:
        results.picture(folder / FIGURE, lambda: plots.draw_training(dataset))
    both = np.concatenate(embeddings)
    np.savez(
        folder / EMBEDDINGS,
        z=evaluation.unit(both),
        norm=np.linalg.norm(both, axis=1),
        y=torch.cat([data.y, data.held_y]).cpu().numpy(),
        labels=torch.cat([data.labels, torch.full_like(data.held_y, UNLABELLED)]).cpu().numpy(),
        split=np.repeat(["train", "held_out"], [len(part) for part in embeddings]),
    )
    checkpoint.save(folder / "checkpoint.pt", recipe, state)
    results.save(folder, dataset, summary, origin=origin, more={"started": origin["date"]})
    return summary


def stored_embeddings(folder: Path) -> dict[str, NDArray[Any]]:
    """embeddings.npz of a run folder."""
    return archive.read(folder / EMBEDDINGS)


def size(model: Trainee, data: DataSet, recipe: Training) -> int:
    """Bytes of the largest files, about: three copies of weights with their moments, the embeddings."""
    weights = sum(part.numel() * part.element_size() for part in model.state_dict().values())
    return (9 if recipe.optimizer == "adamw" else 6) * weights + (len(data.y) + len(data.held_y)) * (
        8 * recipe.dimension + 64
    )
