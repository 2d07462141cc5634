"""Many small networks trained together: stacked parameters, one program for all of them, a thread for every core.

A member is a training recipe. Members that share a stack may differ in SHARED_NOT only; their weights, batches and
views come from their own seed, so a member is what it would be alone, to rounding, whichever others there are. One
whose loss leaves the finite numbers stays nan and touches no other.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.sphere.devices import DTYPES, keep_freed
from clopsim.sphere.dynamics import recorded_steps
from clopsim.sphere.products import in_turn
from clopsim.training.datasets import DataSet, load
from clopsim.training.recipe import LARGE, Training, check_stackable
from clopsim.training.stack.stack import ACCURACIES, OBSERVABLES, Stack

SHARED_NOT = frozenset({
    "rate", "weight_decay", "weight", "prototypes", "temperature", "labelled", "label_noise", "seed",
})  # fmt: skip
"""Fields in which members of a stack may differ; of prototypes either the one kind or none."""

ROWS = range(2**12, 2**13 + 1)
"""Rows that a stack passes through its networks at once: with fewer Python is the cost, more leave the cache."""

GPU_ROWS = range(2**18, 2**18 + 1)
"""The same on any other device, which needs much work at once to be busy; a choice, not measured."""

PARTS = 8
"""Stacks that the members are shared out to while each has rows enough, so that as many workers have one; fixed, since
a member's last digits depend on its stack."""

RECORDS = 4
"""Per decade of steps: a record costs as much as several steps."""

Floats = NDArray[np.float64]


class Trained(NamedTuple):
    """What became of the members, in their order; nan: not finite, or nothing held out to measure it on."""

    steps: tuple[int, ...]  # recorded
    observables: dict[str, Floats]  # OBSERVABLES, (members, steps)
    accuracies: dict[str, Floats]  # ACCURACIES on held-out data at the end, (members,)


def train_together(
    recipes: Sequence[Training],
    *,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Trained:
    """Train every recipe to its last step.

    workers: threads on a CPU, by default as many as torch uses, each with a share of the members; another device takes
    one share after the other. The result is the same, bit for bit, for any number. on_progress gets the share of the
    work that is done, from any thread.

    Errors: ValueError if the recipes differ in a field that a stack shares, or about the data.
    """
    device = torch.device(device)
    _check(recipes)
    loaded = _load(recipes, device)
    rows = 2 * (recipes[0].batch or len(loaded[0].y))
    at_once = ROWS if device.type == "cpu" else GPU_ROWS
    if recipes[0].embedder in LARGE:
        at_once = range(1, 2)  # one by one
    parts = parts_of([recipe.seed for recipe in recipes], rows=rows, at_once=at_once)
    steps, lock, done = recorded_steps(recipes[0].steps, per_decade=RECORDS), Lock(), 0

    def report(members: int) -> None:
        nonlocal done
        with lock:
            done += members
            on_progress(done / (len(recipes) * recipes[0].steps))

    def take(part: list[int]) -> tuple[Tensor, Tensor]:
        stack = Stack([recipes[m] for m in part], [loaded[m] for m in part])
        advance = stack.runner()
        records = []
        for stop in steps:
            before = stack.steps
            if before < stop:
                advance(stop - before)
            records.append(stack.observe())
            report((stop - before) * len(part))
        return torch.stack(records, dim=-1), stack.accuracies()  # (observables, members, steps), (accuracies, members)

    if device.type == "cpu":
        keep_freed()
        results = in_turn(take, parts, workers=workers)
    else:
        results = [take(part) for part in parts]
    order = np.argsort(np.concatenate(parts))
    values = torch.cat([records for records, _ in results], dim=1).numpy()[:, order]
    scores = torch.cat([scores for _, scores in results], dim=1).numpy()[:, order]
    return Trained(steps, dict(zip(OBSERVABLES, values, strict=True)), dict(zip(ACCURACIES, scores, strict=True)))


def _check(recipes: Sequence[Training]) -> None:
    """Refuse recipes that cannot share a stack."""
    if not recipes:
        raise ValueError("recipes must hold at least one, got none")
    check_stackable(recipes[0])
    for field in fields(Training):
        values = {getattr(recipe, field.name) for recipe in recipes}
        if field.name == "prototypes":
            values.discard("none")
        if len(values) > 1 and (field.name not in SHARED_NOT or field.name == "prototypes"):
            raise ValueError(f"{field.name} must be the same in a stack, got {sorted(values)}; train them in turn")


def _load(recipes: Sequence[Training], device: torch.device) -> list[DataSet]:
    """The data of every recipe; what is the same is loaded once."""
    dtype = DTYPES[recipes[0].precision]
    same: dict[Training, DataSet] = {}
    keys = [replace(recipe, rate=1.0, weight_decay=0.0, weight=1.0, temperature=1.0) for recipe in recipes]
    for key in keys:
        if key not in same:
            same[key] = load(key, device=device, dtype=dtype)
    return [same[key] for key in keys]


def parts_of(seeds: Sequence[int], *, rows: int, at_once: range) -> list[list[int]]:
    """The members of each stack, a function of the seeds and the rows of a member's batch alone.

    A seed that fills a stack has its own, whose members share their inputs; the members of all others are mixed.
    """
    least, most = max(1, at_once[0] // rows), max(1, at_once[-1] // rows)
    of_seed: dict[int, list[int]] = {}
    for m, seed in enumerate(seeds):
        of_seed.setdefault(seed, []).append(m)
    groups = [members for members in of_seed.values() if len(members) >= least]
    groups.append([m for members in of_seed.values() if len(members) < least for m in members])
    parts: list[list[int]] = []
    for members in groups:
        share = -(-PARTS * len(members) // len(seeds))
        count = max(-(-len(members) // most), min(share, max(1, len(members) // least)))
        parts += [members[len(members) * k // count : len(members) * (k + 1) // count] for k in range(count)]
    return parts
