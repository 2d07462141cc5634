"""What a sweep costs on more workers, and what stops it from growing.

    python -m tests.bench_cluster [ROUNDS]

Measures on this machine, alternating, medians over the rounds: cells per second in this process, in a pool of two and
on a local Dask cluster of two; what Dask costs for a task with a result of a chunk's size; what it costs the
coordinator to check and keep one. From these the number of workers that one scheduler and one disk can feed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from distributed import LocalCluster

from clopsim.runs import executors, plan
from clopsim.runs.chunks import Result, perform
from clopsim.runs.config import Sweep
from clopsim.runs.plan import Chunk
from clopsim.runs.store import Record, create, locked

CONFIG = Sweep(rates=(0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0), seeds=256)  # 2048 cells in 13 chunks
TASKS = 300


def nothing(payload: Result, worker: int) -> Result:
    """The result of a chunk that took no time."""
    return Result({name: values.copy() for name, values in payload.arrays.items()}, {}, payload.code, payload.machine)


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main(rounds: int = 3) -> dict[str, object]:
    """All figures; times in seconds."""
    tasks = {number: (CONFIG, task) for number, task in enumerate(plan.tasks(CONFIG)) if isinstance(task, Chunk)}
    cells = sum(task.size for _, task in tasks.values())
    sample = perform(tasks[0])
    size = sum(values.nbytes for values in sample.arrays.values())
    seconds: dict[str, list[float]] = {}

    def add(name: str, function: Callable[[], object], count: int = 1) -> None:
        seconds.setdefault(name, []).append(timed(function) / count)

    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, silence_logs=50) as cluster, tempfile.TemporaryDirectory() as place:
        on_dask = partial(executors.on_dask, workers=2, scheduler=cluster.scheduler_address)
        many = dict.fromkeys(range(TASKS), sample)
        list(on_dask(perform, {0: tasks[0], 1: tasks[1]}))  # the workers import torch here
        for k in range(rounds):
            add("in_process", lambda: list(executors.here(perform, tasks)))
            add("pool_of_2", lambda: list(executors.pool(perform, tasks, workers=2)))
            add("dask_of_2", lambda: list(on_dask(perform, tasks)))
            add("dask_per_task", lambda: list(on_dask(nothing, many)), TASKS)
            add(
                "pool_start",
                lambda: list(executors.pool(perform, {0: (Sweep(steps=1, seeds=1), Chunk(0, 1))}, workers=1)),
            )
            folder = Path(place) / str(k)
            with locked(folder):
                store = create(folder, {"tasks": TASKS, "code": {}, "config": {}}, share=None, origin={})
                record = Record(sample.arrays, {}, "")
                add("keep_per_task", lambda: [store.write(number, record) for number in range(TASKS)], TASKS)  # noqa: B023
    middle = {name: median(values) for name, values in seconds.items()}
    chunk = middle["in_process"] / len(tasks)
    bottleneck = max(("dask_per_task", "keep_per_task"), key=lambda name: middle[name])
    handled = middle["dask_per_task"] + middle["keep_per_task"]  # one process after the other: the coordinator's
    return {
        "cells": cells,
        "chunks": len(tasks),
        "result_bytes": size,
        "seconds": {name: float(f"{value:.3g}") for name, value in middle.items()},
        "spread": {name: [float(f"{edge:.3g}") for edge in (min(v), max(v))] for name, v in seconds.items()},
        "cells_per_second": {name: round(cells / middle[name]) for name in ("in_process", "pool_of_2", "dask_of_2")},
        "seconds_per_chunk": float(f"{chunk:.3g}"),
        "bottleneck": bottleneck,
        "most_workers_fed": int(chunk / handled),
        "cells_per_second_of_1000_workers": round(
            min(1000 * cells / middle["in_process"], cells / len(tasks) / handled)
        ),
        "chunk_seconds_for_1000_workers": float(f"{1000 * handled:.3g}"),
    }


if __name__ == "__main__":
    print(json.dumps(main(*(int(word) for word in sys.argv[1:2])), indent=2))
