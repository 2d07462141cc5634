"""What a finished training leaves in its folder."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from clopsim.metrics.classes import UNLABELLED
from clopsim.runs import ready, results
from clopsim.show import plots
from clopsim.training import checkpoint, evaluation
from clopsim.training.checkpoint import State
from clopsim.training.datasets import DataSet
from clopsim.training.observation import dataset_of, predictions
from clopsim.training.recipe import Training
from clopsim.training.trainee import Trainee

FIGURE, EMBEDDINGS = "train.png", "embeddings.npz"


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
    results.save(folder, dataset, summary, origin=origin)
    return summary


def stored_embeddings(folder: Path) -> dict[str, NDArray[Any]]:
    """embeddings.npz of a run folder."""
    with np.load(folder / EMBEDDINGS, allow_pickle=False) as arrays:
        return dict(arrays)


def size(model: Trainee, data: DataSet, recipe: Training) -> int:
    """Bytes of the largest files, about: three copies of weights with their moments, the embeddings."""
    weights = sum(part.numel() * part.element_size() for part in model.state_dict().values())
    return (9 if recipe.optimizer == "adamw" else 6) * weights + (len(data.y) + len(data.held_y)) * (
        8 * recipe.dimension + 64
    )
