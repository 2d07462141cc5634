"""What a finished training leaves in its folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clopsim.runs import results
from clopsim.show import plots
from clopsim.training import checkpoint, evaluation
from clopsim.training.checkpoint import State
from clopsim.training.datasets import UNLABELLED, DataSet
from clopsim.training.observation import dataset_of, predictions
from clopsim.training.recipe import Training
from clopsim.training.trainee import Trainee

FIGURE = "train.png"


def write(
    folder: Path, recipe: Training, data: DataSet, model: Trainee, *, state: State, command: str
) -> dict[str, Any]:
    """Evaluate a finished run and write its files, the picture among them; returns the summary.

    embeddings.npz: z (N, d) unit rows, norm (N,) before that, y and labels (N,), split (N,) "train" or "held_out".
    """
    embeddings = evaluation.embed(recipe, data, model, state)
    ended = evaluation.verdict(recipe, data, model, state)
    last = {name: values[-1] for name, values in state.records.items()}
    accuracy = evaluation.accuracies(data, embeddings)
    summary: dict[str, Any] = {
        "verdict": ended.state,
        "text": ended.text,
        "loss_at_collapse": ended.loss_at_collapse,
        "final": {name: value if np.isfinite(value) else None for name, value in last.items()},
        "predicted": predictions(recipe, len(data.y)),
        "accuracy": accuracy,
        "samples": {"train": len(data.y), "labelled": int((data.labels >= 0).sum()), "held_out": len(data.held_y)},
        "setting": asdict(recipe),
    }
    dataset = dataset_of(recipe, state, len(data.y)).assign_attrs(
        command=command,
        verdict=ended.state,
        loss_at_collapse=ended.loss_at_collapse,
        git=results.git_hash(),
        versions=", ".join(f"{name} {number}" for name, number in results.versions().items()),
        **{f"accuracy_{name}": float("nan") if v is None else v for name, v in accuracy.items()},
    )
    plots.draw_training(dataset).savefig(folder / FIGURE, dpi=150)
    both = np.concatenate(embeddings)
    np.savez(
        folder / "embeddings.npz",
        z=evaluation.unit(both),
        norm=np.linalg.norm(both, axis=1),
        y=torch.cat([data.y, data.held_y]).cpu().numpy(),
        labels=torch.cat([data.labels, torch.full_like(data.held_y, UNLABELLED)]).cpu().numpy(),
        split=np.repeat(["train", "held_out"], [len(part) for part in embeddings]),
    )
    checkpoint.save(folder / "checkpoint.pt", recipe, state)
    results.save(folder, dataset, summary, command=command)
    return summary
