"""Three ways to get tasks done: in this process, by a pool of processes, by a Dask cluster.

An executor takes a function and numbered payloads, and yields each one's result as it comes; it knows nothing of what
a task is. The function is called as work(payload, worker) with the number of the worker. It lives in a module, and all
it takes and gives can be pickled.
"""

import contextlib
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from logging import CRITICAL, getLogger
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

from clopsim.bounds.setting import one_of, whole_number

Engine = Literal["local", "dask"]

ATTEMPTS = 3
"""Workers that one task may lose before it is given up."""

CONNECT_SECONDS = 10
"""How long to wait for a Dask scheduler."""

SILENT_SECONDS = 10
"""How long to wait for a first worker before each word about it."""

Work = Callable[[Any, int], Any]


class Remark(UserWarning):
    """Something about a run that the command line says in one line on stderr."""


class Done(NamedTuple):
    """A finished task: its result, or the error (one line) for which it was given up."""

    key: Any
    result: Any = None
    error: str | None = None


Executor = Callable[[Work, Mapping[Any, Any]], Generator[Done, None, None]]


def executor(engine: Engine = "local", *, workers: int = 1, scheduler: str | None = None) -> Executor:
    """The executor for an engine and a number of worker processes; one local worker is this process itself.

    Errors: ValueError for an unknown engine, a number below 1, a scheduler without the Dask engine, without a port or
    that does not answer, or no Dask.
    """
    one_of("engine", engine, get_args(Engine))
    whole_number("workers", workers, low=1)
    if engine == "dask":
        try:
            from distributed.comm.addressing import get_address_host_port, normalize_address
        except ImportError:
            raise ValueError(
                "engine must be installed, got 'dask' without it; install clopsim with the extra dask"
            ) from None
        if scheduler is not None:
            try:  # now: a client that fails on it later prints a traceback of its own
                get_address_host_port(normalize_address(scheduler), strict=True)
            except ValueError as error:
                raise ValueError(
                    f"scheduler must be an address with a port, got {scheduler!r} ({error}); write it as tcp://host:8786"
                ) from None
            try:  # before anything is written
                with _client(scheduler):
                    pass
            except ConnectionError as error:
                raise ValueError(f"scheduler must answer, got {scheduler!r} ({error}); start it first") from None
        return partial(on_dask, workers=workers, scheduler=scheduler)
    if scheduler is not None:
        raise ValueError(f"scheduler must come with the engine dask, got {scheduler!r}; add --engine dask")
    return here if workers == 1 else partial(pool, workers=workers)


def here(work: Work, tasks: Mapping[Any, Any]) -> Generator[Done, None, None]:
    """One task after the other in this process."""
    for key, payload in tasks.items():
        yield _done(work, key, payload, 0)


def pool(
    work: Work, tasks: Mapping[Any, Any], *, workers: int, attempts: int = ATTEMPTS
) -> Generator[Done, None, None]:
    """Worker processes of this machine. One that dies is replaced, its task is tried again, nobody else's is lost."""
    waiting = [(key, attempts) for key in reversed(tasks)]
    crew = {number: _Worker(work, number) for number in range(min(workers, len(tasks)))}
    busy: dict[int, tuple[Any, int]] = {}
    try:
        while waiting or busy:
            for number in crew.keys() - busy.keys():
                if waiting:
                    busy[number] = waiting.pop()
                    with contextlib.suppress(OSError):  # it died idle: recv finds out
                        crew[number].connection.send((busy[number][0], tasks[busy[number][0]]))
            ready = wait([crew[number].connection for number in busy])
            for number in [number for number in busy if crew[number].connection in ready]:
                key, left = busy.pop(number)
                try:
                    yield crew[number].connection.recv()
                except (EOFError, OSError):
                    crew[number].stop()
                    code = crew[number].process.exitcode
                    crew[number] = _Worker(work, number)
                    if left > 1:
                        waiting.append((key, left - 1))
                    else:
                        yield Done(key, error=f"WorkerDied: {attempts} workers died of it, the last with status {code}")
    finally:
        for worker in crew.values():
            worker.stop()


class _Worker:
    """A process and the pipe to it; it ends when its parent does, however that ends."""

    def __init__(self, work: Work, number: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, number), daemon=True)
        with _no_interrupt(), _no_script():  # Ctrl-C reaches the whole group; the parent decides
            self.process.start()
        theirs.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back; processes started meanwhile never see it (where the system has signal masks)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _no_script() -> Iterator[None]:
    """Processes started meanwhile do not run the script again that called us, which would start everything anew."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _serve(connection: "Connection[Any, Any]", work: Work, number: int) -> None:
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            key, payload = connection.recv()
            connection.send(_done(work, key, payload, number))


def _done(work: Work, key: Any, payload: Any, worker: int) -> Done:
    try:
        return Done(key, work(payload, worker))
    except Exception as error:
        return Done(key, error=message(error))


def message(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def on_dask(
    work: Work, tasks: Mapping[Any, Any], *, workers: int, scheduler: str | None
) -> Generator[Done, None, None]:
    """The workers of a Dask scheduler; without an address, of a cluster of processes on this machine.

    Dask itself restarts workers and tries their tasks again (distributed.scheduler.allowed-failures).
    Errors: ConnectionError if the scheduler cannot be reached or goes away.
    """
    distributed = _dask()
    with contextlib.ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            with _no_interrupt(), _no_script():
                address = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    silence_logs=CRITICAL,
                )
            stack.enter_context(address)
        client = stack.enter_context(_client(address))
        keys = list(tasks)
        if scheduler is not None:
            _await_workers(client, scheduler)
        futures = client.map(partial(_on_worker, work), keys, [tasks[key] for key in keys], pure=False)
        key_of = {future.key: key for future, key in zip(futures, keys, strict=True)}
        suspects = []
        arriving = distributed.as_completed(futures, loop=client.loop)
        del futures  # a result is forgotten by the cluster once it is yielded
        for future in arriving:
            if future.status == "cancelled":
                raise ConnectionError("the Dask scheduler went away")
            key = key_of[future.key]
            lost = future.exception() if future.status == "error" else None
            if isinstance(lost, distributed.KilledWorker):
                suspects.append(key)
            else:
                yield future.result() if lost is None else Done(key, error=message(lost))
        for key in suspects:  # Dask blames all that a worker held when it died; alone, only the culprit dies again
            future = client.submit(_on_worker, work, key, tasks[key], pure=False)
            lost = future.exception()
            yield (
                future.result()
                if lost is None
                else Done(key, error="WorkerDied: Dask gave it up after its workers died")
            )


def _await_workers(client: Any, address: str) -> None:
    """Wait for a first worker, and say so every now and then."""
    waited = 0
    while not client.scheduler_info()["workers"]:
        if waited and waited % SILENT_SECONDS == 0:
            text = f"the Dask scheduler at {address} has no workers; waiting for one since {waited} s"
            warnings.warn(text, Remark, stacklevel=2)
        time.sleep(1)
        waited += 1


def _client(address: Any) -> Any:
    """A connection to a Dask scheduler or cluster, to be closed. Errors: ConnectionError."""
    try:
        return _dask().Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answers at {address}: {error}") from None


def _dask() -> Any:
    """Dask's package, imported when it is used; its restarts are ours to report."""
    import distributed

    getLogger("distributed").setLevel(CRITICAL)
    return distributed


def _on_worker(work: Work, key: Any, payload: Any) -> Done:
    from distributed import get_worker

    return _done(work, key, payload, worker_number(get_worker().name))


def worker_number(name: object) -> int:
    """The number at the end of a Dask worker's name ("3", "SLURMCluster-3"); 0 without one."""
    found = re.search(r"\d+$", str(name))
    return int(found[0]) if found else 0


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
