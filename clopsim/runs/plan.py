"""The plan of a sweep of either kind: its cells in order, cut into tasks by the configuration alone.

Neither engine, shard, number of workers nor a resume changes what is computed together, hence no bit of the result.
Imports no torch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil
from typing import Any, Literal, NamedTuple

import numpy as np

from clopsim.bounds import exact_rate
from clopsim.runs import recipes
from clopsim.runs.code import code
from clopsim.runs.config import Sweep
from clopsim.runs.recipes import TrainingSweep
from clopsim.training.recipe import LARGE, Training

BATCH = {"cpu": 2**16}
"""Cosines advanced at once, by type of device: 512 KiB in float64, so that a batch stays in the cache of a core."""

GPU_BATCH = 2**25
"""The same for any other device, which needs many runs at once to be busy: 8,192 of n = 64, 256 MiB in float64. An H200
takes a seventh of the time a run that it takes for 512 of them, and as long as for 65,536."""

STEPS = 2500
"""A batch of so many steps is a chunk, about one second on a core: hundreds of times what a task costs a scheduler. Of
fewer steps more batches go into a chunk; longer runs get fewer cells, down to an eighth of a batch."""

MOST_CHUNKS = 2**13
"""A larger sweep gets larger chunks. Dask and the disk take the coordinator 4 to 6 ms for each (tests.bench_cluster),
under a minute in all, and 1,000 workers still get eight each."""

ROW_STEPS = {"cpu": 2**22}
"""Rows that pass through networks in a chunk of a training sweep, over all steps and runs, by type of device."""

GPU_ROW_STEPS = 2**27
"""The same for any other device; a choice, not measured."""

SECONDS = 20.0
"""Roughly what 2^22 rows of the default network take a core."""

LARGER = 2e4
"""How many times longer, about, a row takes one of the large networks; of those every one is a chunk."""

FEWEST = 16
"""Networks in a chunk, however long they train, where so many can share one: of 8 each takes 1.2 times as long."""

UNKNOWN = 2**10
"""Samples that a batch of all of them is taken to be, where the configuration leaves their number open."""

Config = Sweep | TrainingSweep
RECORDS: dict[str, type[Sweep] | type[TrainingSweep]] = {record.kind: record for record in (Sweep, TrainingSweep)}

Recorded = Config | Training
"""What a run folder can have been told to do."""

SearchKind = Literal["collapse", "alignment_collapse"]

KINDS: dict[str, tuple[SearchKind, ...]] = {"merged": ("collapse",), "full": ("collapse", "alignment_collapse")}
"""Critical rates that are exact for this batch (T4), searched at every temperature."""


class Cell(NamedTuple):
    """One run: indices of its temperature, rate and seed in the configuration."""

    temperature: int
    rate: int
    seed: int


@dataclass(frozen=True)
class Chunk:
    """Consecutive cells that one worker runs and that are stored together."""

    first: int
    size: int


@dataclass(frozen=True)
class Search:
    """One threshold search: a kind at one temperature (an index)."""

    temperature: int
    kind: SearchKind


Task = Chunk | Search


def shape(config: Sweep) -> tuple[int, int, int]:
    """Numbers of temperatures, rates and seeds."""
    return len(config.settings), len(config.rates), config.seeds


def cell(config: Sweep, number: int) -> Cell:
    """The cell of that number, the seed running fastest."""
    return Cell(*(int(index) for index in np.unravel_index(number, shape(config))))


def unit(config: Sweep, temperature: int) -> float:
    """mu_c, the unit of the rates, at the temperature of that index."""
    return float(exact_rate(config.settings[temperature]))


def batch_size(config: Sweep) -> int:
    """Cells advanced together, at least one."""
    return max(1, BATCH.get(config.device.split(":")[0], GPU_BATCH) // config.samples**2)


def tasks(config: Config) -> Sequence[Task]:
    """Every task in order: the chunks of cells, then the threshold searches."""
    if isinstance(config, TrainingSweep):
        return _stacks(config)
    total, batch = int(np.prod(shape(config))), batch_size(config)
    cells = max(batch * STEPS // config.steps, ceil(batch / 8), ceil(total / MOST_CHUNKS))
    chunks = [Chunk(first, min(cells, total - first)) for first in range(0, total, cells)]
    searches = [Search(t, kind) for t in range(len(config.settings)) for kind in KINDS[config.loss]]
    return [*chunks, *searches]


def ordered(config: TrainingSweep) -> list[recipes.Cell]:
    """The runs as its chunks take them: those side by side that one loss, one batch size and one seed share."""
    return sorted(config.cells(), key=_together)


def _together(cell: recipes.Cell) -> tuple[str, int, int]:
    return cell.loss, cell.batch, cell.seed


def _stacks(config: TrainingSweep) -> list[Chunk]:
    budget = ROW_STEPS.get(config.base.device.split(":")[0], GPU_ROW_STEPS)
    chunks: list[Chunk] = []
    first = 0
    for (_, batch, _), group in groupby(ordered(config), key=_together):
        total, rows = len(list(group)), 2 * (batch or config.base.samples or UNKNOWN)
        count = ceil(total / max(FEWEST, budget // (rows * config.base.steps)))
        if config.base.embedder in LARGE:
            count = total
        edges = [first + total * k // count for k in range(count + 1)]
        chunks += [Chunk(low, high - low) for low, high in pairwise(edges)]
        first += total
    return chunks


def weight(config: Config, task: Task) -> int:
    """Runs in a task, for the progress: a search advances one for every seed."""
    return config.seeds if isinstance(task, Search) else task.size


def seconds(config: Config) -> float:
    """Roughly how long it all takes on a core."""
    if isinstance(config, Sweep):
        return len(tasks(config))
    rows = sum(2 * (cell.batch or config.base.samples or UNKNOWN) for cell in config.cells())
    times = LARGER if config.base.embedder in LARGE else 1
    return SECONDS * times * rows * config.base.steps / ROW_STEPS["cpu"]


def document(config: Recorded, made_by: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The plan as plain JSON: what a run folder, a shard and a worker must agree on.

    made_by: code() and what else decides the bits; by default the code alone.
    """
    count = 1 if isinstance(config, Training) else len(tasks(config))
    plain = {"kind": config.kind, "config": config.to_plain(), "code": dict(made_by or code()), "tasks": count}
    result: dict[str, Any] = json.loads(json.dumps(plain))  # tuples become lists here, not on the first reading
    return result


def recorded(plan: Mapping[str, Any]) -> Config:
    """The configuration in the plan of a sweep. Errors: ValueError for another run."""
    found = from_plain(plan["kind"], plan["config"])
    if isinstance(found, Training):
        raise ValueError(f"out must be the folder of a sweep, got one of a {found.kind}; choose another folder")
    return found


def from_plain(kind: str, values: Mapping[str, Any]) -> Recorded:
    """The record of a kind from plain values."""
    if kind == Training.kind:
        return Training.from_plain(values)
    return RECORDS[kind].from_plain(values)
