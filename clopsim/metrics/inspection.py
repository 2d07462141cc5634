"""A collapse report for anybody's embeddings: observables, spectrum, a verdict in plain words, class-wise numbers.

One pass over the rows adds up d x d sums, so millions of rows need no n x n matrix and no second copy.
"""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from clopsim.metrics import classes, geometry
from clopsim.metrics.classes import Scatter
from clopsim.metrics.geometry import POINT

Rows = NDArray[Any]

CHUNK_ELEMENTS = 2**22
"""Numbers taken to float64 at once: 32 MiB."""

SAMPLE = 2048
"""Rows of the seeded sample on which the observables of pairs are measured, other than the mean cosine."""

LARGEST_DIMENSION = 8192
"""The largest d whose d x d matrix is held (512 MiB)."""

LARGEST_CLASSES = 4096
"""The most classes whose means and angles are held."""

APART = 0.9
"""Cosine below which two clusters count as apart (26 degrees)."""

PER_CLUSTER = 4
"""Fewest sampled rows per cluster, on average, that make clusters of points."""

FEW = 0.5
"""Share of the min(n, d) directions below which the effective rank counts as dimensional collapse."""


class Inspection(NamedTuple):
    """The report as plain numbers (None: not defined), and what the picture needs."""

    report: dict[str, Any]
    energies: dict[str, NDArray[np.float64]]  # "uncentred", "centred": shares of the directions, falling
    cosines: dict[str, NDArray[np.float64]]  # of sampled pairs: "all pairs", or "same class" and "different classes"


def load(file: Path, *, key: str | None = None, name: str = "file") -> Rows:
    """The array in a .npy file, or under a key of an .npz file (its only array, else z, if no key is given).

    Never unpickles. A .npy file is mapped, not read. Errors: ValueError that begins with name, in one line.
    """
    shown = str(file)
    if file.suffix not in (".npy", ".npz"):
        raise ValueError(f"{name} must be a .npy or .npz file, got {shown!r}; save it with numpy.save or numpy.savez")
    try:
        stored = np.load(file, mmap_mode="r", allow_pickle=False)
        if isinstance(stored, np.ndarray):
            if key is not None:
                raise KeyError(f"key must be left out for a .npy file, got {key!r}; {shown!r} holds one array")
            return stored
        with stored:
            keys = stored.files
            if key is None:
                key = keys[0] if len(keys) == 1 else "z"
            if key not in keys:
                names = ", ".join(keys) or "none"
                raise KeyError(f"{name} must hold an array {key!r}, got {shown!r} with {names}; name one of them")
            return stored[key]
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    except FileNotFoundError:
        raise ValueError(f"{name} must exist, got {shown!r}; check the path") from None
    except OSError as error:
        raise ValueError(f"{name} must be readable, got {shown!r} ({error.strerror or error}); check it") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        why = f"{error}".splitlines()[0].rstrip(".") if f"{error}" else "damaged"
        raise ValueError(
            f"{name} must hold plain numbers (pickles are never loaded), got {shown!r} ({why}); save numbers with numpy"
        ) from None


def inspect(x: Rows, *, labels: Rows | None = None, views: Rows | None = None, seed: int = 0) -> Inspection:
    """Measure everything about embeddings x (n, d), normalised first; observables are those of the unit rows.

    labels: (n,), whole numbers or words; -1 stands for unlabelled. views: (n, d), row i the other view of row i.
    seed: of the sample. Errors: ValueError for wrong shapes, kinds, nan, infinite or zero rows, fewer than two rows.
    """
    _check_rows(x, "file")
    n, d = x.shape
    names, y = _classes(labels, n)
    if views is not None:
        _check_rows(views, "views")
        if views.shape != x.shape:
            raise ValueError(
                f"views must have the shape of the embeddings {x.shape}, got {views.shape}; row i is i's view"
            )
    k = len(names)
    norms = np.empty(n)
    second, total = torch.zeros(d, d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
    labelled, sums = torch.zeros(d, d, dtype=torch.float64), torch.zeros(k, d, dtype=torch.float64)
    apart = 0.0
    step = max(1, CHUNK_ELEMENTS // d)
    for first in range(0, n, step):
        part = slice(first, first + step)
        z, norms[part] = _unit(x[part], "file", first)
        second += z.T @ z
        total += z.sum(dim=0)
        if k:
            chosen = torch.from_numpy(y[part] >= 0)
            sums.index_add_(0, torch.from_numpy(y[part])[chosen], z[chosen])
            labelled += z[chosen].T @ z[chosen]
        if views is not None:
            apart += float((z - _unit(views[part], "views", first)[0]).square().sum())
    mean = total / n
    floor = geometry.noise_floor(size=max(n, d), eps=float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 0.0)
    energies = {
        "uncentred": _resolved(second / n, floor),
        "centred": _resolved(second / n - torch.outer(mean, mean), floor),
    }
    rows = np.sort(np.random.default_rng(seed).choice(n, SAMPLE, replace=False)) if n > SAMPLE else np.arange(n)
    sample = _unit(x[rows], "file", 0)[0]
    length = min(1.0, float(mean.norm()))
    uncentred = energies["uncentred"]
    observables = {
        "mean_resultant_length": length,
        "mean_cosine": (n * length**2 - 1) / (n - 1),
        "leading_share": float(uncentred[0]),
        "effective_rank": {
            f"{spectrum}_{centring}": float(geometry.rank_of_energies(energy, spectrum=spectrum))
            for centring, energy in energies.items()
            for spectrum in ("energy", "amplitude")
        },
        "uniformity": float(geometry.uniformity(sample)),
        "harmonic_energy": geometry.harmonic_energy(sample).tolist(),
        "alignment": None if views is None else apart / n,
    }
    verdict, rule = _verdict(observables, sample, min(n, d))
    report: dict[str, Any] = {
        "verdict": verdict,
        "rule": rule,
        "n": n,
        "d": d,
        "norm": {name: float(getattr(norms, name)()) for name in ("min", "mean", "max", "std")},
        **observables,
        "sampled_rows": len(rows),
        "seed": seed,
        "classes": None,
    }  # fmt: skip
    if k:
        count = torch.from_numpy(np.bincount(y[y >= 0], minlength=k)).double()
        within = labelled / count.sum() - sums.T @ (sums / count[:, None]) / count.sum()
        report["classes"] = _class_report(
            Scatter(sums / count[:, None], count / count.sum(), within), int(count.sum()), d
        )
    shares = {name: energy.numpy() for name, energy in energies.items()}
    return Inspection(report, shares, _pair_cosines(sample, y[rows] if k else None))


def _check_rows(x: Rows, name: str) -> None:
    if x.ndim != 2 or x.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} must hold a table of real numbers, rows x dimensions, got {x.dtype} of shape {x.shape}"
        )
    if x.shape[0] < 2 or x.shape[1] < 2:
        raise ValueError(
            f"{name} must hold at least 2 rows and 2 dimensions, got shape {x.shape}; one row has no spread"
        )
    if x.shape[1] > LARGEST_DIMENSION:
        raise ValueError(f"{name} must have at most {LARGEST_DIMENSION} dimensions, got {x.shape[1]}; project it first")


def _classes(labels: Rows | None, n: int) -> tuple[Rows, NDArray[np.int64]]:
    """Names (K,) and class of every row (n,), -1 unlabelled; no names without labels."""
    if labels is None:
        return np.empty(0), np.empty(0, dtype=np.int64)
    if labels.shape != (n,):
        raise ValueError(f"labels must have one entry per row, shape ({n},), got {labels.shape}; give one class a row")
    if labels.dtype.kind == "f" and bool((np.isfinite(labels) & (labels == np.floor(labels))).all()):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iuUSb":
        raise ValueError(f"labels must be whole numbers or words, got {labels.dtype}; number the classes from 0")
    known = labels != -1 if labels.dtype.kind == "i" else np.ones(n, dtype=bool)
    y = np.full(n, -1, dtype=np.int64)
    names, y[known] = np.unique(labels[known], return_inverse=True)
    if not 2 <= len(names) <= LARGEST_CLASSES:
        raise ValueError(
            f"labels must name between 2 and {LARGEST_CLASSES} classes, got {len(names)}; -1 stands for unlabelled"
        )
    return names, y


def _unit(x: Rows, name: str, first: int) -> tuple[Tensor, NDArray[np.float64]]:
    exact = np.asarray(x, dtype=np.float64)
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(exact, axis=1)
    for what, bad in (("finite", ~np.isfinite(norms)), ("non-zero", norms == 0)):
        if bad.any():
            row = first + int(bad.argmax())
            raise ValueError(f"{name} must hold {what} rows, got row {row} that is not; drop such rows or mend them")
    return torch.from_numpy(exact / norms[:, None]), norms


def _resolved(moment: Tensor, floor: float) -> Tensor:
    """Eigenvalues of a second-moment matrix of unit rows, falling, zero where they are rounding."""
    energy = torch.linalg.eigvalsh(moment).flip(0)
    return torch.where(energy <= floor, 0.0, energy)


def _verdict(seen: dict[str, Any], sample: Tensor, directions: int) -> tuple[str, str]:
    """The first of complete, line, cluster, dimensional that fits, else none; and its rule with the numbers."""
    length, share, rank = (
        seen["mean_resultant_length"],
        seen["leading_share"],
        seen["effective_rank"]["energy_uncentred"],
    )
    if length >= 1 - POINT:
        return "complete", f"all embeddings point one way: mean resultant length {length:.6g} >= {1 - POINT:g}"
    if share >= 1 - POINT:
        return "line", f"all embeddings lie on one line: leading share {share:.6g} >= {1 - POINT:g}"
    clusters = _clusters(sample)
    if clusters:
        return "cluster", (
            f"all but {POINT:.0%} of {len(sample)} sampled embeddings sit on {clusters} points: "
            f"cosine >= {1 - POINT:g} to their point, < {APART:g} between points, >= {PER_CLUSTER} embeddings each"
        )
    numbers = f"effective rank {rank:.4g} (energy, uncentred) of at most {directions}"
    if rank < FEW * directions:
        return "dimensional", f"few of the directions are used: {numbers}, less than {FEW:.0%}"
    return "none", f"no point, no line, no clusters, and {numbers}, at least {FEW:.0%}"


def _clusters(sample: Tensor) -> int:
    """Number of points that the sample sits on, 0 if it does not: components of the graph of cosines >= 1 - POINT."""
    near = csr_array((sample @ sample.T >= 1 - POINT).numpy())
    _, component = connected_components(near, directed=False)
    size = np.bincount(component)
    kept = np.flatnonzero(np.cumsum(np.sort(size)[::-1]) >= (1 - POINT) * len(sample))[0] + 1
    if kept * PER_CLUSTER > len(sample):
        return 0
    largest = np.argsort(-size, kind="stable")[:kept]
    means = torch.stack([sample[torch.from_numpy(component == c)].mean(dim=0) for c in largest])
    means = means / means.norm(dim=1, keepdim=True).clamp_min(1e-300)
    cosines = means @ means.T
    cosines.fill_diagonal_(-1)
    together = float((sample @ means.T).amax(dim=1).ge(1 - POINT).double().mean())
    return int(kept) if together >= 1 - POINT and float(cosines.max()) < APART else 0


def _class_report(s: Scatter, labelled: int, d: int) -> dict[str, Any]:
    k = len(s.means)
    report: dict[str, Any] = {
        "count": k,
        "labelled": labelled,
        "smallest": round(float(s.shares.min()) * labelled),
        "largest": round(float(s.shares.max()) * labelled),
        "neural_collapse": classes.neural_collapse(s),
        "variation_ratio": classes.variation_ratio(s),
    }
    for centring in ("uncentred", "centred"):
        centered = centring == "centred"
        angles = classes.mean_angles(s, centered=centered)
        report[f"angles_{centring}"] = {
            "min": float(angles.min()),
            "mean": float(angles.mean()),
            "max": float(angles.max()),
        }
        report[f"simplex_distance_{centring}"] = classes.frame_distance(s, "simplex", centered=centered)
    report["orthonormal_distance_uncentred"] = classes.frame_distance(s, "orthonormal")
    report["frames_fit"] = {"simplex": k <= d + 1, "orthonormal": k <= d}
    return _plain(report)


def _plain(value: Any) -> Any:
    """Numbers that are not finite become None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _pair_cosines(sample: Tensor, y: NDArray[np.int64] | None) -> dict[str, NDArray[np.float64]]:
    upper = np.triu_indices(len(sample), 1)
    cosines = (sample @ sample.T).numpy()[upper]
    if y is None:
        return {"all pairs": cosines}
    first, second = y[upper[0]], y[upper[1]]
    known = (first >= 0) & (second >= 0)
    return {"same class": cosines[known & (first == second)], "different classes": cosines[known & (first != second)]}
