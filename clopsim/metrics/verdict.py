"""Has it collapsed? One rule for embeddings of anybody and for runs of ours, with its numbers in words.

A collapse is lost information: one spot, one line, fewer points or directions than there must be, or views that say
nothing about their sample. A low rank or a common direction alone is an observation: nothing need be lost.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from clopsim.metrics.geometry import POINT

Kind = Literal["complete", "line", "cluster", "dimensional", "views", "none"]
KINDS: tuple[Kind, ...] = ("complete", "line", "cluster", "dimensional", "views", "none")

APART = 0.9
"""Cosine below which two clusters count as apart (26 degrees)."""

PER_CLUSTER = 4
"""Fewest sampled rows per cluster, on average, that make clusters of points."""

FEW = 0.5
"""Share of the directions below which an effective rank is called low and, without labels, lost directions count."""

CLIFF, LOW, NOTHING = 1e-2, 1e-4, 1e-8
"""Where the spectrum about the mean ends: a fall to CLIFF of the direction before, below LOW of the first, or to
NOTHING of the first. The smooth fall of a power law is no end."""

CROWD = 0.1
"""Share of the embeddings on one point that is mentioned."""

SHARED = 0.1
"""Cosine that a common direction must explain to be mentioned."""

TOLD = 0.1
"""Share of the spread that samples must explain for views to tell them apart."""


class Seen(NamedTuple):
    """What the rule looks at. Rows are unit rows."""

    length: float  # mean resultant length
    share: float  # leading share, uncentred
    energy: Tensor  # shares of the directions about the mean, falling
    rank: float  # effective rank about the mean
    rows: int
    distinct: int  # rows, repeated ones counted once
    copies: int  # of the row that is repeated most
    dimension: int
    sample: Tensor  # of the rows, or of the distinct ones
    classes: NDArray[np.int64] | None  # of the sample, -1 unlabelled
    class_count: int  # classes, 0 without labels
    view_distance: float | None  # mean square, of the two views
    sample_distance: float  # mean square, of two rows


class Judgement(NamedTuple):
    """The verdict, its rule with the numbers, and what else was seen, each in one line."""

    verdict: Kind
    rule: str
    observations: list[str]


def judge(seen: Seen) -> Judgement:
    """The first kind of collapse that fits, or none."""
    directions = min(seen.distinct - 1, seen.dimension)
    used = used_directions(seen.energy)
    observations = _observations(seen, used, directions)
    spot = one_spot(seen.length, seen.share)
    if spot == "complete":
        return Judgement(
            spot,
            f"all embeddings point one way: mean resultant length {seen.length:.6g} >= {1 - POINT:g}",
            observations,
        )
    if spot == "line":
        return Judgement(
            spot, f"all embeddings lie on one line: leading share {seen.share:.6g} >= {1 - POINT:g}", observations
        )
    component, points = _clusters(seen.sample)
    if points:
        where = (
            f"all but {POINT:.0%} of {len(seen.sample)} sampled embeddings sit on {points} points: "
            f"cosine >= {1 - POINT:g} to their point, < {APART:g} between points, >= {PER_CLUSTER} embeddings each"
        )
        if seen.distinct <= points < seen.rows:
            where += f"; their {seen.rows} rows are copies of {seen.distinct}"
        mixed = _mixed(component, seen.classes)
        if mixed is None:
            return Judgement("cluster", where, observations)
        if mixed > POINT:
            return Judgement("cluster", f"{where}; {mixed:.0%} of them sit with another class", observations)
        observations.append(f"class collapse: {where}; no point holds two classes, which is what labels ask for")
    elif (crowd := _crowd(seen.sample, component)) >= CROWD:
        observations.append(
            f"crowded point: {crowd:.0%} of {len(seen.sample)} sampled embeddings sit on one point, "
            f"cosine >= {1 - POINT:g} to it"
        )
    least, why = _needed(seen.class_count, directions)
    numbers = f"{used} of {directions} directions about the mean carry energy"
    if used < least:
        return Judgement("dimensional", f"directions are lost: {numbers}, fewer than {why}", observations)
    if seen.view_distance is not None:
        told = 1 - seen.view_distance / seen.sample_distance
        if told < TOLD:
            rule = (
                f"views say little about their sample: mean squared distance {seen.view_distance:.4g} of two views, "
                f"{seen.sample_distance:.4g} of two samples, so samples explain {told:.3g} < {TOLD:g} of it"
            )
            return Judgement("views", rule, observations)
    return Judgement("none", f"no point, no line, no lost clusters, and {numbers}, at least {why}", observations)


def one_spot(length: float, share: float) -> Literal["complete", "line"] | None:
    """Whether everything sits on one point, or on the two ends of a line."""
    if length >= 1 - POINT:
        return "complete"
    return "line" if share >= 1 - POINT else None


def used_directions(energy: Tensor) -> int:
    """Directions before the end of a falling spectrum; 0 where there is no energy at all."""
    if energy.numel() == 0 or not float(energy[0]) > 0:
        return 0
    relative = energy / energy[0]
    before, after = relative[:-1], relative[1:]
    end = (after <= NOTHING) | ((after <= CLIFF * before) & (after <= LOW))
    return 1 + (int(end.nonzero()[0]) if bool(end.any()) else len(after))


def _needed(classes: int, directions: int) -> tuple[int, str]:
    """The fewest directions about the mean that lose nothing, and why."""
    half = math.ceil(FEW * directions)
    if 2 <= classes <= half:
        return classes - 1, f"the {classes - 1} that {classes} classes need"
    return half, f"{FEW:.0%}"


def _observations(seen: Seen, used: int, directions: int) -> list[str]:
    found = []
    explained = 1 - seen.sample_distance / 2  # the mean cosine of two rows; R^2 counts every row with itself
    if explained >= SHARED and used:
        found.append(
            f"common direction (a cone): the mean explains {explained:.4g} of the cosine of two rows; about it "
            f"{used} of {directions} directions carry energy, effective rank {seen.rank:.4g}; centring takes it away"
        )
    if seen.distinct < seen.rows:
        found.append(
            f"repeated rows: {seen.rows} rows are {seen.distinct} distinct ones, "
            f"each {seen.rows / seen.distinct:.3g} times on average, at most {seen.copies} times"
        )
    if used and seen.rank < FEW * directions:
        found.append(
            f"low rank: effective rank {seen.rank:.4g} about the mean, less than {FEW:.0%} of {directions}; "
            "by itself no collapse"
        )
    return found


def _clusters(sample: Tensor) -> tuple[NDArray[np.int64], int]:
    """Component (m,) of every row, and the number of points that the sample sits on, 0 if it does not.

    Components of the graph of cosines >= 1 - POINT.
    """
    near = csr_array((sample @ sample.T >= 1 - POINT).numpy())
    _, component = connected_components(near, directed=False)
    component = component.astype(np.int64)
    size = np.bincount(component)
    kept = np.flatnonzero(np.cumsum(np.sort(size)[::-1]) >= (1 - POINT) * len(sample))[0] + 1
    if kept * PER_CLUSTER > len(sample):
        return component, 0
    largest = np.argsort(-size, kind="stable")[:kept]
    means = torch.stack([sample[torch.from_numpy(component == c)].mean(dim=0) for c in largest])
    means = means / means.norm(dim=1, keepdim=True).clamp_min(1e-300)
    cosines = means @ means.T
    cosines.fill_diagonal_(-1)
    together = float((sample @ means.T).amax(dim=1).ge(1 - POINT).double().mean())
    return component, int(kept) if together >= 1 - POINT and float(cosines.max()) < APART else 0


def _crowd(sample: Tensor, component: NDArray[np.int64]) -> float:
    """Share of the sample that sits on the point of its largest component."""
    size = np.bincount(component)
    if size.max() < PER_CLUSTER:
        return 0.0
    mean = sample[torch.from_numpy(component == size.argmax())].mean(dim=0)
    return float((sample @ mean >= (1 - POINT) * mean.norm()).double().mean())


def _mixed(component: NDArray[np.int64], classes: NDArray[np.int64] | None) -> float | None:
    """Share of the labelled rows that are not of the largest class on their point; None without labels."""
    if classes is None or not (classes >= 0).any():
        return None
    known = classes >= 0
    table = csr_array((np.ones(known.sum()), (component[known], classes[known])))
    return float(1 - table.max(axis=1).sum() / table.sum())
