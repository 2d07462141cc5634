"""Data sets for training: read, split, thinned and labelled once by seed, then whole on the device."""

import hashlib
import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.losses import LOSSES
from clopsim.metrics import archive
from clopsim.metrics.classes import UNLABELLED, numbered
from clopsim.sphere.data import GaussianClusters, antipodal_lines, gaussian_clusters
from clopsim.training.recipe import FILE, OPENML, LossName, Training
from clopsim.training.views import ViewKind, Views

DRAWN = 512
"""Points of the synthetic data when the recipe leaves it open."""

CHANNELS = (1, 3, 4)
"""Of grey, coloured and transparent pictures: tells (N, H, W, C) from (N, C, H, W)."""

SPLIT, KEEP, LABELS = 2, 3, 4
"""Random streams of a data set, independent of the points that the same seed draws (data.VIEWS is 1)."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Source(NamedTuple):
    """Everything that was read: x (N, features) or (N, C, H, W), y (N,) in 0 .. K-1 or all -1, and how views arise."""

    x: Floats
    y: Ints
    kind: ViewKind


@dataclass(frozen=True)
class DataSet:
    """Training and held-out samples on one device; y are the true classes, labels what the loss sees."""

    x: Tensor  # (N, ...) inputs; row indices (N,) for a table
    y: Tensor  # (N,)
    labels: Tensor  # (N,) -1: unlabelled
    held_x: Tensor  # (M, ...); (0, ...) for a table, which cannot embed what it never saw
    held_y: Tensor  # (M,)
    classes: int  # K; 0 without labels
    views: Views

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.x.shape[1:])


def load(recipe: Training, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> DataSet:
    """The data of a recipe: split stratified, the training part thinned to its imbalance and labelled in part.

    Errors: ValueError about the recipe's fields where the data cannot be read or do not suit.
    """
    source = read(recipe)
    classes = int(source.y.max()) + 1
    for name, nothing in (("imbalance", 1), ("label_noise", 0)):
        if classes < 2 and getattr(recipe, name) != nothing:
            raise ValueError(
                f"{name} must be {nothing} for data of fewer than 2 classes, got {getattr(recipe, name)}; leave it out"
            )
    table = recipe.embedder == "table"
    for name, off in (("crop", 1.0), ("flip", False), ("jitter", 0.0)):
        if (table or source.kind != "images") and getattr(recipe, name) != off:
            what = "a table of rows" if table else "data that are no pictures"
            raise ValueError(f"{name} must be {off} for {what}, got {getattr(recipe, name)}; leave it out")
    train, held = _split(recipe, source.y)
    x, held_x = source.x[train], source.x[held]
    if source.kind == "images":  # one scale for all pixels, from the training part
        mean, deviation = x.mean(), x.std()
        for part in (x, held_x):  # in place: they may be large
            part -= mean
            part /= deviation if deviation > 0 else 1.0
    y = source.y[train]
    if recipe.batch > len(y):
        raise ValueError(f"batch must be <= the {len(y)} training samples, got {recipe.batch}; 0 takes them all")
    if len(y) < 2:
        raise ValueError(f"samples must leave at least 2 to train on, got {len(y)}; raise samples or lower held_out")
    labels = visible_labels(recipe, y, classes)
    if recipe.labelled and classes and labels.max() < 0:
        raise ValueError(
            f"labelled must leave a label, got {recipe.labelled} of {(y >= 0).sum()} labels; raise it, or 0 for none"
        )
    needs = "prototypes" if recipe.prototypes != "none" else "loss" if needs_labels(recipe.loss) else None
    if needs and not classes:
        without = ", ".join(name for name in LOSSES if not needs_labels(name))
        choices = "none" if needs == "prototypes" else f"one of {without}"
        raise ValueError(f"{needs} must be {choices} for data without labels, got {getattr(recipe, needs)!r}")
    if LOSSES[recipe.loss].needs_labels and not recipe.labelled:
        raise ValueError(f"labelled must be > 0 for {recipe.loss}, which is 0 without a label, got {recipe.labelled}")
    lowest, highest = (edge([edge(part) for part in (x, held_x) if part.size]) for edge in (np.min, np.max))
    extreme = max(-lowest, highest)
    if extreme > torch.finfo(dtype).max:
        short = str(dtype).removeprefix("torch.")
        raise ValueError(f"data must hold numbers that {short} holds, got {extreme:.3g} in {recipe.data!r}; scale it")
    inputs, held_inputs = (torch.from_numpy(part).to(device=device, dtype=dtype) for part in (x, held_x))
    views = Views(
        "rows" if table else source.kind, recipe.view_noise, recipe.shift, rows=len(y), crop=recipe.crop,
        flip=recipe.flip, jitter=recipe.jitter, black=float(x.min()), white=float(x.max()),
    )  # fmt: skip
    y_there, labels_there, held_y = (torch.from_numpy(part).to(device) for part in (y, labels, source.y[held]))
    return DataSet(
        torch.arange(len(y), device=device) if table else inputs,
        y_there,
        labels_there,
        held_inputs[:0] if table else held_inputs,
        held_y[:0] if table else held_y,
        classes,
        views,
    )


def needs_labels(loss: LossName) -> bool:
    """Whether a run with this loss needs data with labels; supcon without any is infonce, which has its own name."""
    return loss.startswith(("supcon", "pauc")) or LOSSES[loss].needs_labels


def read(recipe: Training) -> Source:
    """All samples that the recipe names, before the split."""
    if recipe.data in ("clusters", "lines"):
        return _drawn(recipe)
    if recipe.data == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        source = Source(x.reshape(-1, 1, 8, 8) / 16, y.astype(np.int64), "images")
    elif recipe.data.startswith(OPENML):
        source = _openml(recipe.data.removeprefix(OPENML))
    else:
        source = _file(Path(recipe.data))
    if not np.isfinite(source.x).all():
        raise ValueError(f"data must hold finite numbers only, got nan or infinity in {recipe.data!r}; clean it first")
    if recipe.samples > len(source.y):
        raise ValueError(f"samples must be <= the {len(source.y)} of {recipe.data}, got {recipe.samples}; 0 takes all")
    if recipe.samples:
        keep, _ = _shares(source.y, recipe.samples / len(source.y), np.random.default_rng((recipe.seed, KEEP)))
        source = Source(source.x[keep], source.y[keep], source.kind)
    return source


def fingerprint(recipe: Training) -> dict[str, str]:
    """What tells the data of a recipe from others of the same name, as "data"; nothing for built-in data.

    Errors: ValueError about the recipe's fields where the data cannot be read.
    """
    digest = hashlib.sha256()
    if recipe.data.endswith(FILE):
        try:
            digest.update(Path(recipe.data).read_bytes())
        except OSError:
            read(recipe)  # says what is wrong
            raise
    elif recipe.data.startswith(OPENML):
        source = read(recipe)
        digest.update(np.ascontiguousarray(source.x).data)
        digest.update(np.ascontiguousarray(source.y).data)
    else:
        return {}
    return {"data": digest.hexdigest()[:16]}


def visible_labels(recipe: Training, y: Ints, classes: int) -> Ints:
    """The labels that the loss sees: a stratified share of y, some of them wrong, -1 elsewhere."""
    rng = np.random.default_rng((recipe.seed, LABELS))
    seen, _ = _shares(y, recipe.labelled, rng)
    labels = np.full_like(y, UNLABELLED)
    labels[seen] = y[seen]
    if recipe.label_noise and classes > 1:
        wrong = rng.permutation(seen)[: round(recipe.label_noise * len(seen))]
        labels[wrong] = (labels[wrong] + rng.integers(1, classes, size=len(wrong))) % classes
    return labels


def _split(recipe: Training, y: Ints) -> tuple[Ints, Ints]:
    """Indices of the training part, thinned to its imbalance, and of the held-out part."""
    rng = np.random.default_rng((recipe.seed, SPLIT))
    held, train = _shares(y, recipe.held_out, rng)
    if recipe.imbalance > 1:
        sizes = np.bincount(y[train][y[train] >= 0], minlength=y.max() + 1)
        falling = recipe.imbalance ** -np.linspace(0, 1, len(sizes))
        largest = (sizes / falling).min()  # of the first class, so that every other class has enough
        if largest < recipe.imbalance:
            raise ValueError(
                f"imbalance must be <= {int(largest)}, or its smallest class would be empty, got {recipe.imbalance}"
            )
        wanted = np.maximum(1, np.floor(largest * falling)).astype(np.int64)
        kept = [rng.permutation(train[y[train] == k])[:size] for k, size in enumerate(wanted)]
        train = np.sort(np.concatenate([*kept, train[y[train] < 0]]))
    return train, held


def _shares(y: Ints, share: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Sorted indices of a random share of every class, and of the rest; the total is rounded by largest remainder."""
    groups = [rng.permutation(np.flatnonzero(y == k)) for k in np.unique(y)]
    exact = share * np.array([len(group) for group in groups])
    sizes = np.floor(exact + 1e-9).astype(np.int64)  # 1e-9: a whole share must not round down
    order = np.argsort(sizes - exact, kind="stable")
    sizes[order[: round(exact.sum()) - sizes.sum()]] += 1
    taken = np.sort(np.concatenate([group[:size] for group, size in zip(groups, sizes, strict=True)]))
    return taken, np.setdiff1d(np.arange(len(y)), taken)


def _drawn(recipe: Training) -> Source:
    count = recipe.samples or DRAWN
    if recipe.classes > count:
        raise ValueError(f"classes must be <= samples, got {recipe.classes} classes and {count} samples; lower them")
    if recipe.data == "clusters":
        spec = GaussianClusters(count, recipe.classes, recipe.features, recipe.noise)
        return Source(*gaussian_clusters(spec, seed=recipe.seed), "vectors")
    points = antipodal_lines(
        count, dimension=recipe.features, classes=recipe.classes, noise=recipe.noise, seed=recipe.seed
    )
    return Source(*points, "lines")


@lru_cache(maxsize=1)
def _fetched(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pixels and classes of a set of OpenML, read once in a process, which takes a minute for CIFAR_10; whole numbers
    up to 255 as bytes. Errors: as fetch_openml.
    """
    from sklearn.datasets import fetch_openml

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of several active versions the oldest is taken
        bunch = fetch_openml(name, as_frame=False)
    x = bunch.data.toarray() if hasattr(bunch.data, "toarray") else bunch.data
    if x.dtype.kind == "f" and x.size and x.min() >= 0 and x.max() <= 255:
        small = x.astype(np.uint8)
        x = small if np.array_equal(small, x) else x
    return x, bunch.target


def _openml(name: str) -> Source:
    """An image set of OpenML by name, such as CIFAR_10 or Fashion-MNIST; kept in scikit-learn's data folder."""
    try:
        x, target = _fetched(name)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"data must name an OpenML set that can be read, got {OPENML + name!r} ({_first_line(error)}); "
            "the first use needs the network"
        ) from None
    pixels = x.shape[1]
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side**2 == pixels:
            return Source(np.asarray(x, np.float64).reshape(-1, channels, side, side), _classes(target), "images")
    raise ValueError(f"data must hold square images of 1 or 3 channels, got {pixels} columns in {OPENML + name!r}")


def _file(path: Path) -> Source:
    """An .npz file: x (N, features), (N, H, W), (N, C, H, W) or (N, H, W, C), and y (N,) or none."""
    try:
        arrays = archive.read(path, "x", "y")
        x, y = arrays["x"], arrays.get("y")
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else _first_line(error)
        raise ValueError(f"data must be an .npz file that can be read, got {str(path)!r} ({reason})") from None
    except KeyError:
        raise ValueError(f"data must hold an array x, got none in {str(path)!r}; use numpy.savez") from None
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise ValueError(f"data must hold x of numbers in 2 to 4 dimensions, got {x.dtype} {x.shape} in {str(path)!r}")
    if y is not None and y.shape != x.shape[:1]:
        raise ValueError(f"data must hold one y for each x, got {y.shape} and {x.shape} in {str(path)!r}")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in CHANNELS:
        x = np.moveaxis(x, 3, 1)
    classes = np.full(len(x), UNLABELLED) if y is None else _classes(y)
    return Source(np.asarray(x, np.float64), classes, "vectors" if x.ndim == 2 else "images")


def _classes(values: NDArray[np.generic]) -> Ints:
    """Classes 0 .. K-1 in sorted order of whatever names them; numbers below 0 and nan are unlabelled."""
    words = values.astype(np.str_) if values.dtype.kind == "O" else values
    return numbered(words, "data must hold whole numbers or words as y")[1]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
