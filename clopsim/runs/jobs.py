"""Get the missing tasks of run folders done, and keep every result as it comes. Knows nothing of what a task is."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from clopsim.runs.code import check_code
from clopsim.runs.executors import Executor, Work
from clopsim.runs.store import Record, Store


@dataclass(frozen=True)
class Job:
    """A run folder with what to do in it: payload and weight (cells) of every task, by its number in the plan."""

    store: Store
    payloads: Mapping[int, Any]
    weights: Mapping[int, int]


@dataclass(frozen=True)
class Pace:
    """Progress: share done in [0, 1], cells per second in this session, seconds left; nan until the first result."""

    share: float
    rate: float
    left: float

    def __str__(self) -> str:
        if not self.rate > 0:
            return ""
        return f"{self.rate:.3g} cells/s, {_duration(self.left)} left"


class TaskFailed(RuntimeError):
    """A task failed and the run was told to stop at the first failure."""


def work_off(
    jobs: Sequence[Job],
    work: Work,
    executor: Executor,
    *,
    fail_fast: bool = False,
    on_progress: Callable[[Pace], None] = lambda pace: None,
) -> None:
    """Run every task that is missing or failed before, all folders in one stream, and store each result.

    work(payload, worker) gives a result with arrays, errors, code and machine (chunks.Result). A task that was given
    up is stored without arrays; its error stands for all its places.

    Errors: ValueError if a worker runs other code than the plan's; TaskFailed for the first failure with fail_fast;
    OSError where the disk says no; store.Damaged. What is stored by then stays.
    """
    missing: dict[tuple[int, int], Any] = {}
    total = done = 0
    for k, job in enumerate(jobs):
        finished = job.store.finished()
        for number in job.store.numbers():
            total += job.weights[number]
            if finished.get(number) == 0:
                done += job.weights[number]
            else:
                missing[k, number] = job.payloads[number]
    began, before = time.monotonic(), done
    on_progress(Pace(done / total if total else 1.0, float("nan"), float("nan")))
    if not missing:
        return
    with closing(executor(work, missing)) as results:
        for (k, number), result, error in results:
            store, weight = jobs[k].store, jobs[k].weights[number]
            if error is None:
                check_code(store.plan["code"], result.code, where="a worker")
                record = Record(result.arrays, result.errors, result.machine)
            else:
                record = Record({}, dict.fromkeys(range(weight), error), "")
            store.write(number, record)
            if record.errors and fail_fast:
                raise TaskFailed(next(iter(record.errors.values())))
            done += weight
            rate = (done - before) / (time.monotonic() - began)
            on_progress(Pace(done / total, rate, (total - done) / rate))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
