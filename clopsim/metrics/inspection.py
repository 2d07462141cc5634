"""A collapse report for anybody's embeddings: observables, spectrum, a verdict in plain words, class-wise numbers.

One look and one pass over the rows add up d x d sums, so millions of rows need no n x n matrix and no second copy.
Where d > n the rows are taken in a basis of their own span instead, which changes no length and no angle.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.metrics import classes, geometry, spectrum, tables
from clopsim.metrics.classes import Scatter
from clopsim.metrics.sums import Sums, add_up, sample_of, view_scatter
from clopsim.metrics.tables import Rows, Shards, Stored, Table
from clopsim.metrics.verdict import Seen, judge, used_directions

CLASS_ROWS = 2**16
"""Rows on which the ranks of the classes are measured, all together; 32 to 1024 of each."""

SPECTRA: tuple[geometry.Spectrum, ...] = ("energy", "amplitude")

UNIT = 1e-2
"""How far a row's length is from 1 at most that was normalised, in half precision too."""

WORST = 5
"""Classes that are named: those of the smallest spread."""


class Inspection(NamedTuple):
    """The report as plain numbers (None: not defined), and what the picture needs."""

    report: dict[str, Any]
    energies: dict[str, NDArray[np.float64]]  # "uncentred", "centred": shares of the directions, falling
    cosines: dict[str, NDArray[np.float64]]  # of sampled pairs: "all pairs", or "same class" and "different classes"
    rows: NDArray[np.int64]  # those that have a direction


def inspect(
    x: Stored,
    *,
    labels: Stored | None = None,
    views: Stored | None = None,
    norms: Rows | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Inspection:
    """Measure everything about embeddings x (n, d), normalised first; observables are those of the unit rows.

    labels: (n,), whole numbers or words; below 0 or nan: unlabelled. views: (n, d), row i the other view of row i.
    norms: (n,) lengths before somebody normalised x; used where all rows of x are unit ones, else those of x are.
    skip_bad: leave out rows that are zero or not finite, here or in views. seed: of the samples. on_progress gets the
    share done, in [0, 1]. Errors: ValueError for wrong shapes, kinds, bad rows that are not skipped, fewer than two
    rows.
    """
    tables.check(x, "file")
    seen = tables.look(x, lambda share: on_progress(share / 2))
    good = seen.good
    if views is not None:
        tables.check(views, "views")
        if views.shape != x.shape:
            raise ValueError(
                f"views must have the shape of the embeddings {x.shape}, got {views.shape}; row i is i's view"
            )
        other = tables.look(views)
        good = good & other.good
    if not skip_bad:
        tables.complain(seen, "file")
        if views is not None:
            tables.complain(other, "views")
    rows = np.flatnonzero(good)
    if len(rows) < 2:
        raise ValueError(f"file must hold at least 2 rows that are finite and not zero, got {len(rows)} of {len(x)}")
    names, y = _classes(labels[:] if isinstance(labels, Shards) else labels, len(x))
    y, lengths, stored = y[rows], seen.norms[rows], _stored(norms, seen.norms, rows)
    lengths = lengths if stored is None else stored
    table = Table(x, "file", rows)
    n, d, k = len(rows), x.shape[1], len(names)
    members = np.bincount(y[y >= 0], minlength=k)
    kept = np.flatnonzero(members)  # classes all of whose rows were bad are gone
    names, y, k, members = names[kept], np.where(y >= 0, np.searchsorted(kept, y), -1), len(kept), members[kept]
    other_table = None if views is None else Table(views, "views", rows)
    sums = add_up(table, y, members, other_table, lengths, lambda share: on_progress((1 + share) / 2))
    shift = sums.total / n
    mean = sums.origin + shift
    about = sums.second / n - torch.outer(shift, shift)
    energies = {
        "uncentred": geometry.resolved(about + torch.outer(mean, mean), sums.noise),
        "centred": geometry.resolved(about, sums.noise),
    }
    rng = np.random.default_rng(seed)
    chosen = sample_of(np.arange(n), rng)
    sample = table.unit(chosen)
    _, first, times = np.unique(seen.digest[rows], return_index=True, return_counts=True)
    # Copies are no clusters, unless they are the few points themselves or labels say whose they are.
    repeated = not k and n > len(first) and len(first) ** 2 > n
    distinct = sample_of(np.sort(first), rng) if repeated else chosen
    length = min(1.0, float(mean.norm()))
    mean_cosine = (n * length**2 - 1) / (n - 1)
    uncentred = energies["uncentred"]
    ranks = {
        f"{weight}_{centring}": float(geometry.rank_of_energies(energy, spectrum=weight))
        for centring, energy in energies.items()
        for weight in SPECTRA
    }
    ranks["amplitude_raw"] = float(geometry.rank_of_energies(sums.raw, spectrum="amplitude"))
    share = float(uncentred[0] / uncentred.sum())
    law = spectrum.alpha_req(energies["centred"])
    judgement = judge(
        Seen(
            length, share, energies["centred"], ranks["energy_centred"], n, len(first), int(times.max()), d,
            sample=table.unit(distinct) if repeated else sample, classes=y[distinct] if k else None, class_count=k,
            view_distance=sums.apart, sample_distance=2 * (1 - mean_cosine),
        )
    )  # fmt: skip
    report: dict[str, Any] = {
        "verdict": judgement.verdict,
        "rule": judgement.rule,
        "observations": judgement.observations,
        "n": n,
        "d": d,
        "skipped_rows": {"count": len(x) - n, "first": np.flatnonzero(~good)[: tables.NAMED].tolist()},
        "distinct_rows": len(first),
        "norm": _norms(lengths),
        "norm_stored": stored is not None,
        "mean_resultant_length": length,
        "mean_cosine": mean_cosine,
        "leading_share": share,
        "used_directions": used_directions(energies["centred"]),
        "effective_rank": ranks,
        "stable_rank": {name: spectrum.stable_rank(energy) for name, energy in energies.items()},
        "condition_number": spectrum.condition_number(energies["centred"], min(n - 1, d)),
        "alpha_req": law and law._asdict(),
        "lidar": None if other_table is None else spectrum.lidar(*view_scatter(table, other_table, rng)),
        "spectrum": {name: energy.tolist() for name, energy in energies.items()},
        "uniformity": float(geometry.uniformity(sample)),
        "harmonic_energy": geometry.harmonic_energy(sample).tolist(),
        "alignment": sums.apart,
        "sampled_rows": len(chosen),
        "seed": seed,
        "classes": None,
    }
    if k:
        report["classes"] = _class_report(table, names, y, members, sums, rng)
    shares = {name: energy.numpy() for name, energy in energies.items()}
    return Inspection(_plain(report), shares, _pair_cosines(sample, y[chosen] if k else None), rows)


def _classes(labels: Rows | None, n: int) -> tuple[Rows, NDArray[np.int64]]:
    """Names (K,) and class of every row (n,), -1 unlabelled; no names without labels."""
    if labels is None:
        return np.empty(0), np.full(n, -1, dtype=np.int64)
    if labels.shape != (n,):
        raise ValueError(f"labels must have one entry per row, shape ({n},), got {labels.shape}; give one class a row")
    names, y = classes.numbered(labels)
    if len(names) < 2:
        raise ValueError(
            f"labels must name at least 2 classes, got {len(names)}; numbers below 0 and nan stand for unlabelled"
        )
    return names, y


def _stored(norms: Rows | None, found: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The lengths that were stored beside unit rows; None where the rows have their own, or these are none."""
    if norms is None or norms.shape != found.shape or not np.allclose(found[rows], 1, rtol=0, atol=UNIT):
        return None
    lengths = norms[rows].astype(np.float64)
    return lengths if np.isfinite(lengths).all() and (lengths > 0).all() else None


def _norms(norms: NDArray[np.float64]) -> dict[str, float]:
    scale = norms.max() if np.isfinite(norms.max()) else 1.0
    with np.errstate(invalid="ignore", over="ignore"):  # a norm beyond float64
        return {name: float(getattr(norms / scale, name)() * scale) for name in ("min", "mean", "max", "std")}


def _class_report(
    table: Table,
    names: Rows,
    y: NDArray[np.int64],
    members: NDArray[np.int64],
    sums: Sums,
    rng: np.random.Generator,
) -> dict[str, Any]:
    count, d = torch.from_numpy(members).double(), table.x.shape[1]
    k, labelled = len(members), int(members.sum())
    moved = sums.class_total / count[:, None]
    every = Scatter(moved + sums.origin, count / labelled, torch.zeros_like(sums.class_second))
    spread = (sums.class_square / count - moved.square().sum(dim=1)).clamp_min(0)  # mean square about the class mean
    several = members > 1
    report: dict[str, Any] = {
        "count": k,
        "labelled": labelled,
        "lidar": None,
        "smallest": int(members.min()),
        "largest": int(members.max()),
        "singletons": int((~several).sum()),
        "neural_collapse": None,
        "variation_ratio": None,
    }
    if several.sum() > 1:  # a class of one row has no spread, rather than none at all
        use = torch.from_numpy(several)
        inside = count[use].sum()
        within = (sums.class_second - (moved[use] * count[use, None]).T @ moved[use]) / inside
        spread_out = Scatter(every.means[use], count[use] / inside, within)
        report["neural_collapse"] = classes.neural_collapse(spread_out, eps=table.eps)
        report["variation_ratio"] = classes.variation_ratio(spread_out)
        left = (spread_out.means - spread_out.means.mean(dim=0)) / len(spread_out.means) ** 0.5
        report["lidar"] = spectrum.lidar(left.T @ left, within)
    for centring in ("uncentred", "centred"):
        centered = centring == "centred"
        report[f"angles_{centring}"] = classes.angle_range(every, centered=centered)
        report[f"simplex_distance_{centring}"] = classes.frame_distance(every, "simplex", centered=centered)
    report["orthonormal_distance_uncentred"] = classes.frame_distance(every, "orthonormal")
    report["frames_fit"] = {"simplex": k <= d + 1, "orthonormal": k <= d}
    ranks, report["ranked_rows"] = _class_ranks(table, y, members, rng)
    report["per_class"] = [
        {
            "class": name,
            "rows": int(rows),
            "spread": float(spread[c]) if rows > 1 else None,
            "effective_rank": ranks[c],
        }
        for c, (name, rows) in enumerate(zip(names.tolist(), members, strict=True))
    ]
    defined = [one for one in report["per_class"] if one["spread"] is not None]
    report["worst"] = sorted(defined, key=lambda one: one["spread"])[:WORST]
    report["median_spread"] = float(np.median([one["spread"] for one in defined])) if defined else None
    return report


def _class_ranks(
    table: Table, y: NDArray[np.int64], members: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[float | None], int]:
    """Effective rank, energy, uncentred, of each class on a sample of its rows; and how many rows at most."""
    most = int(np.clip(CLASS_ROWS // len(members), 32, 1024))
    order = np.argsort(y, kind="stable")
    ends = (y < 0).sum() + np.concatenate([[0], np.cumsum(members)])
    ranks: list[float | None] = []
    for c, size in enumerate(members):
        rows = order[ends[c] : ends[c + 1]]
        rows = np.sort(rng.choice(rows, most, replace=False)) if size > most else rows
        ranks.append(float(geometry.effective_rank(table.unit(rows))) if size > 1 else None)
    return ranks, most


def _plain(value: Any) -> Any:
    """Numbers that are not finite become None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _pair_cosines(sample: Tensor, y: NDArray[np.int64] | None) -> dict[str, NDArray[np.float64]]:
    upper = np.triu_indices(len(sample), 1)
    cosines = (sample @ sample.T).numpy()[upper]
    if y is None:
        return {"all pairs": cosines}
    first, second = y[upper[0]], y[upper[1]]
    known = (first >= 0) & (second >= 0)
    return {"same class": cosines[known & (first == second)], "different classes": cosines[known & (first != second)]}
