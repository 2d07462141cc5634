"""One contract for all executors, with workers that are really killed."""

import multiprocessing
import os
import sys
from contextlib import closing
from functools import partial

import dask.config
import pytest
from distributed import Client, LocalCluster

from clopsim.runs import executors, plan, results, store
from clopsim.runs import folder as runs
from clopsim.runs.config import Sweep
from clopsim.runs.executors import Done
from tests.work import work

CONFIG = Sweep(samples=16, rates=(0.5, 1.0, 2.0), seeds=6, steps=100)


QUICKER = {"distributed.scheduler.allowed-failures": 1, "distributed.comm.timeouts.connect": "3s"}
"""Two deaths give a task up, and nobody waits half a minute for the dead."""


@pytest.fixture(scope="module")
def cluster():
    """A real scheduler and two worker processes on this machine."""
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(QUICKER),
        LocalCluster(**options, silence_logs=50) as found,
    ):
        yield found


@pytest.fixture(params=("here", "pool", "dask"))
def executor(request):
    if request.param == "here":
        return executors.here
    if request.param == "pool":
        return partial(executors.pool, workers=2)
    return partial(executors.on_dask, workers=2, scheduler=request.getfixturevalue("cluster").scheduler_address)


def collect(executor, tasks):
    found = list(executor(work, tasks))
    assert len(found) == len(tasks)
    return {done.key: done for done in found}


def test_every_task_once_and_errors_are_theirs_alone(executor):
    tasks = {(0, k): ("square", k) for k in range(7)} | {(1, 0): ("raise", "luck")}
    found = collect(executor, tasks)
    assert {key: done.result for key, done in found.items()} == {(0, k): k * k for k in range(7)} | {(1, 0): None}
    assert found[1, 0].error == "ArithmeticError: no luck here"
    assert all(done.error is None for key, done in found.items() if key[0] == 0)


def test_it_can_be_left_early(executor):
    with closing(executor(work, {k: ("square", k) for k in range(20)})) as results:
        assert isinstance(next(results), Done)
    assert multiprocessing.active_children() == [] or executor is not executors.pool


@pytest.mark.parametrize("executor", ("pool", "dask"), indirect=True)
def test_a_dead_workers_task_is_tried_again_and_given_up_in_the_end(executor, tmp_path):
    tasks = {k: ("square", k) for k in range(6)} | {"once": ("die once", str(tmp_path / "died"))}
    found = collect(executor, tasks)
    assert found["once"].result == str(tmp_path / "died")
    assert [found[k].result for k in range(6)] == [k * k for k in range(6)]
    found = collect(executor, {0: ("square", 3), "always": ("die", 0)})
    assert found[0].result == 9
    assert "worker" in found["always"].error.lower()


def test_workers_know_their_number(cluster):
    tasks = dict.fromkeys(range(30), ("worker", 0))
    assert {done.result for done in executors.pool(work, tasks, workers=2)} <= {0, 1}
    on_dask = executors.on_dask(work, tasks, workers=2, scheduler=cluster.scheduler_address)
    assert all(isinstance(done.result, int) for done in on_dask)
    for name, number in ((3, 3), ("SLURMCluster-12", 12), ("tcp://10.0.0.1:41", 41), ("alice", 0)):
        assert executors.worker_number(name) == number


@pytest.fixture
def reference(tmp_path, monkeypatch):
    monkeypatch.setitem(plan.BATCH, "cpu", 2 * 16**2)
    monkeypatch.setattr(plan, "STEPS", 100)
    return run(tmp_path / "whole", executors.here)


def run(folder, executor, **options):
    origin = results.origin_now("clopsim sweep")
    with store.locked(folder):
        begun = runs.begin(folder, CONFIG, origin=origin)
        runs.run_all([begun], executor, **options)
        runs.finish(begun)
    return {name: (folder / name).read_bytes() for name in ("data.nc", "summary.json", "sweep.png")}


class KillOnce:
    """Kill a process when the first result has come and the last has not."""

    def __init__(self, victim):
        self.victim, self.at = victim, None

    def __call__(self, pace):
        if self.at is None and pace.share > 0:
            self.at = pace.share
            os.kill(self.victim(), 9)


def test_pool_gives_the_bytes_of_one_process_though_a_worker_is_killed(reference, tmp_path):
    kill = KillOnce(lambda: multiprocessing.active_children()[0].pid)
    assert run(tmp_path / "pool", partial(executors.pool, workers=2), on_progress=kill) == reference
    assert 0 < kill.at < 0.5


def test_dask_gives_the_bytes_of_one_process_though_a_worker_is_killed(reference, tmp_path, cluster):
    with Client(cluster, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
    kill = KillOnce(lambda: pids[0])
    on_dask = partial(executors.on_dask, workers=2, scheduler=cluster.scheduler_address)
    assert run(tmp_path / "dask", on_dask, on_progress=kill) == reference
    assert 0 < kill.at < 0.5


def test_wrong_choices(monkeypatch):
    with pytest.raises(ValueError, match="^engine must be one of local, dask, got 'ray'"):
        executors.executor("ray")
    with pytest.raises(ValueError, match="^workers must be a whole number >= 1, got 0"):
        executors.executor("local", workers=0)
    with pytest.raises(
        ValueError, match="^scheduler must come with the engine dask, got 'tcp://h:1'; add --engine dask"
    ):
        executors.executor("local", scheduler="tcp://h:1")
    for address in ("nowhere", "tcp://host", "http:/host:1"):
        with pytest.raises(ValueError, match=f"^scheduler must be an address with a port, got '{address}'"):
            executors.executor("dask", scheduler=address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "distributed.comm.addressing", None)
    with pytest.raises(ValueError, match="^engine must be installed, got 'dask' without it; install clopsim with the"):
        executors.executor("dask")


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 1)
    with pytest.raises(ConnectionError, match="^no Dask scheduler answers at tcp://127.0.0.1:9"):
        list(executors.on_dask(work, {0: ("square", 1)}, workers=1, scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(
        ValueError, match=r"^scheduler must answer, got 'tcp://127.0.0.1:9' \(no Dask .*; start it first"
    ):
        executors.executor("dask", scheduler="tcp://127.0.0.1:9")
