"""What the trained embeddings are worth: accuracy on held-out data, and whether the run collapsed, in plain words."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from clopsim.losses import LOSSES
from clopsim.metrics import geometry, inspection
from clopsim.training.advice import Rates, about_decay, about_rate
from clopsim.training.checkpoint import State
from clopsim.training.datasets import DataSet
from clopsim.training.embedders import rows_at_once, with_statistics
from clopsim.training.observation import Observer, setting_of, stable_rate
from clopsim.training.recipe import Training
from clopsim.training.trainee import Trainee, autocast

NEIGHBOURS = 20
"""k of the k-nearest-neighbour classifier, or half the samples of the training set where that is less."""

RIDGE = 1e-3
"""Penalty of the linear probe."""

NEAR = 0.01
"""How close, relative to max(1, |value|), a loss counts as being at its value at collapse."""


class Embeddings(NamedTuple):
    """Unviewed samples, embedded: raw (N, d) of training and held-out data, float32 or float64."""

    train: NDArray[Any]
    held_out: NDArray[Any]


def embed(recipe: Training, data: DataSet, model: Trainee, state: State) -> Embeddings:
    """What the network of a training run makes of the samples."""
    prefix = "network."
    model.network.load_state_dict({name.removeprefix(prefix): value for name, value in state.params.items()})
    with autocast(recipe, data.y.device):
        return embeddings_of(model.network, data)


@torch.no_grad()
def embeddings_of(network: nn.Module, data: DataSet) -> Embeddings:
    """Embed the samples themselves, not their views; a table gives its first views and no held-out ones.

    Batch normalisation takes the statistics of the training set.
    """
    dtype, frozen, parts = next(network.parameters()).dtype, with_statistics(network, data.x), []
    for x in (data.x, data.held_x):
        pieces = [frozen(part) for part in torch.split(x, rows_at_once(x))] if len(x) else [frozen(data.x[:1])[:0]]
        parts.append(torch.cat(pieces).to(dtype).cpu().numpy())
    return Embeddings(*parts)


def accuracies(data: DataSet, embeddings: Embeddings) -> dict[str, float | None]:
    """Accuracy on held-out data of k-nearest neighbours (cosine) and of a linear probe, and the largest class's share.

    The probe is ridge regression on unit rows: about as accurate as logistic regression and several times as fast,
    which counts in sweeps. Both see all true labels of the training set, as is usual, whatever the loss saw. None
    without labels, without held-out data, or where embeddings are not finite.
    """
    none: dict[str, float | None] = {"knn": None, "linear_probe": None, "largest_class": None}
    y, held_y = data.y.cpu().numpy(), data.held_y.cpu().numpy()
    known, held_known = y >= 0, held_y >= 0
    z, held_z = (unit(part.astype(np.float64)) for part in embeddings)  # float32 does not solve a collapsed one
    finite = np.isfinite(z).all() and np.isfinite(held_z).all()
    if not finite or not held_known.any() or len(np.unique(y[known])) < 2:
        return none
    from sklearn.linear_model import RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier

    z, y, held_z, held_y = z[known], y[known], held_z[held_known], held_y[held_known]
    knn = KNeighborsClassifier(min(NEIGHBOURS, max(1, len(y) // 2))).fit(z, y)  # Euclidean on unit rows: cosine
    probe = RidgeClassifier(alpha=RIDGE).fit(z, y)
    return {
        "knn": float(knn.score(held_z, held_y)),
        "linear_probe": float(probe.score(held_z, held_y)),
        "largest_class": float(np.bincount(held_y).max() / len(held_y)),
    }


@dataclass(frozen=True)
class Verdict:
    """Where a run ended."""

    state: Literal["collapsed", "line", "cluster", "dimensional", "unlearned", "views", "spread"]
    text: str
    loss_at_collapse: float  # the loss if every embedding were the mean direction of those at the end


def verdict(recipe: Training, data: DataSet, model: Trainee, state: State) -> Verdict:
    """Did the run collapse? By the rule of `inspect`, on the observed views of all true classes.

    The loss alone cannot tell: random embeddings come near its value at collapse.
    """
    last = {name: values[-1] for name, values in state.records.items()}
    observer = Observer(recipe, data, model)
    at_collapse = observer.loss_at_collapse(state.params)
    loss, cosine, rank = last["loss"], last["mean_cosine"], last["effective_rank"]
    stuck = abs(loss - at_collapse) <= NEAR * max(1.0, abs(at_collapse))
    shown = f"mean cosine {cosine:.4f}, effective rank {rank:.2f}"
    if not np.isfinite(cosine):
        text = f"collapsed to zero: embeddings without length have no direction, loss {loss:.4f}."
        return Verdict("collapsed", f"{text} {advice(recipe, data, last)}", at_collapse)
    first, second = (part.double().cpu().numpy() for part in observer.embeddings(state.params))
    y = np.tile(data.y[observer.index].cpu().numpy(), 2)
    classes = y if len(np.unique(y[y >= 0])) > 1 else None
    found = inspection.inspect(
        np.concatenate([first, second]), labels=classes, views=np.concatenate([second, first])
    ).report  # fmt: skip
    kind, rule = found["verdict"], found["rule"]
    if kind == "complete":
        text = f"collapsed onto one point: {shown}, loss {loss:.4f} (at complete collapse {at_collapse:.4f})."
        if not (stuck or LOSSES[recipe.loss].cosine_only):
            text += f" The mean that all embeddings share hides it from {recipe.loss}, which subtracts it."
        return Verdict("collapsed", f"{text} {advice(recipe, data, last)}", at_collapse)
    if kind == "line":
        text = f"collapsed onto a line, both ends: {shown}, loss {loss:.4f}."
        return Verdict("line", f"{text} {advice(recipe, data, last)}", at_collapse)
    if kind in ("cluster", "dimensional"):
        text = f"collapsed in part: {rule}; {shown}, loss {loss:.4f}."
        return Verdict(kind, f"{text} {advice(recipe, data, last)}", at_collapse)
    if stuck:
        text = (
            f"not collapsed ({shown}), although the loss {loss:.4f} is near its value at collapse {at_collapse:.4f}: "
            "embeddings that have learned nothing show it too. Train longer, or at a larger rate."
        )
        return Verdict("unlearned", text, at_collapse)
    if kind == "views":
        return Verdict("views", f"{rule}; {shown}. Train longer, or with weaker views.", at_collapse)
    return Verdict("spread", f"not collapsed: {shown}.", at_collapse)


def advice(recipe: Training, data: DataSet, last: dict[str, float]) -> str:
    """The bound and the remedy for a run that collapsed or diverged; last: its last record, maybe empty."""
    words = []
    threshold, setting = stable_rate(recipe, len(data.y)), setting_of(recipe, len(data.y))
    if threshold is not None and setting is not None:
        norm = last.get("squared_norm", float("nan"))
        words.append(about_rate(threshold, setting, rate=recipe.rate, squared_norm=norm))
    if dead := about_decay([Rates(recipe.optimizer, recipe.rate, recipe.momentum, recipe.weight_decay)]):
        words.append(dead)
    else:
        warmer = "" if recipe.warmup else ", warm it up (--warmup)"
        larger = ", or raise the batch (the mean's bound grows with it)" if recipe.optimizer == "sgd" else ""
        words.append(f"Lower the rate{warmer}{larger}.")
    if recipe.prototypes == "none" and data.classes:
        words.append("Prototypes (--prototypes orthonormal) leave no collapsed state stationary (T6).")
    return " ".join(filter(None, words))


def divergence(recipe: Training, data: DataSet, *, step: int, loss: float, state: State) -> str:
    """One line about a loss that left the finite numbers."""
    last = {name: values[-1] for name, values in state.records.items()}
    return (
        f"the loss turned {loss} at step {step} of {recipe.steps}, learning rate {recipe.rate_at(step):.4g}. "
        + advice(recipe, data, last)
    )


def unit(z: NDArray[Any]) -> NDArray[Any]:
    """Rows of length one; a row without length stays zero."""
    rows: NDArray[Any] = np.nan_to_num(geometry.unit(torch.from_numpy(z)).numpy(), nan=0.0) if z.size else z
    return np.where(np.isfinite(z).all(axis=1, keepdims=True), rows, np.nan)
