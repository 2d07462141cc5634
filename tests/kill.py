"""Kill a sweep or a training with SIGKILL again and again, resume it, and hold its end against an uninterrupted run's.

    python -m tests.kill 100 [SEED [sweep|train-sweep|train]]

Half of the kills come from outside after a random time, half from inside at a random file operation: before a file is
opened, renamed or removed or a folder made, or in the middle of a write. Prints what happened as JSON; exits with 1 if
a folder ends with other bytes, loses a chunk that was kept, or is not recognised as resumable.
"""

import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import clopsim
from clopsim.door.arguments import argument_name
from clopsim.runs import executors, kinds, plan, results, store, training_run
from clopsim.runs import folder as runs
from clopsim.runs.config import Sweep
from clopsim.runs.plan import Recorded
from clopsim.runs.recipes import TrainingSweep
from clopsim.runs.states import describe
from clopsim.training.recipe import Training

CONFIGS = {
    "sweep": Sweep(temperature=(0.5, 1.0), samples=16, rates=(0.5, 1.0, 2.0), seeds=4, steps=100),
    "train-sweep": TrainingSweep(
        Training(data="clusters", samples=40, width=8, steps=20, device="cpu"),
        loss=("clop", "infonce"),
        rate=(0.1, 10.0),
        batch=(8,),
        seeds=6,
    ),
    "train": Training(
        data="clusters", samples=40, features=6, dimension=4, width=8, batch=8, steps=60, save_every=7,
        sharpness=False, device="cpu",
    ),
}  # fmt: skip
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
FILES = {
    "sweep": (results.DATA, results.SUMMARY, kinds.FIGURE),
    "train-sweep": (results.DATA, results.SUMMARY),
    "train": (results.DATA, results.SUMMARY, training_run.FIGURE, training_run.EMBEDDINGS, "checkpoint.pt"),
}


def sweep(folder: Path, config: Recorded) -> None:
    """What `clopsim KIND --out FOLDER --resume` does, after parsing."""
    if isinstance(config, Training):
        options = {argument_name(name): value for name, value in config.to_plain().items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is complete
            clopsim.train(**options, out=folder, resume=True)
        return
    with store.locked(folder):
        begun = runs.begin(folder, config, origin=results.origin_now("clopsim sweep"), resume=True)
        if begun is not None:
            runs.run_all([begun], executors.here)
            runs.finish(begun)


def die_at(last: int, counter: Path | None = None) -> None:
    """Let this process die at its file operation of that number; with a file instead, count them there."""
    seen = 0
    opened = pathlib.Path.open

    def step() -> bool:
        nonlocal seen
        seen += 1
        if counter is not None:
            os.write(descriptor, b".")
        return seen == last

    descriptor = os.open(counter, os.O_WRONLY | os.O_CREAT) if counter is not None else -1

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        writes = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event in OPERATIONS and writes and step():
            os.kill(os.getpid(), signal.SIGKILL)

    def half_open(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        file = opened(path, mode, *rest, **options)
        if mode == "wb" and step():
            write = file.write

            class Half:
                def __enter__(self) -> "Half":
                    return self

                def __exit__(self, *_: object) -> None: ...

                def write(self, data: bytes) -> None:
                    write(data[: len(data) // 2])
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)

            return Half()
        return file

    pathlib.Path.open = half_open
    sys.addaudithook(hook)


def attempt(
    folder: Path, config: Recorded, *, after: float | None = None, at: int = 0, counter: Path | None = None
) -> bool:
    """Go on with the sweep in a process of its own; whether it was killed (after seconds, or at an operation)."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if at or counter:
                die_at(at, counter)
            sweep(folder, config)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the sweep in {folder} failed")
    return os.WIFSIGNALED(status)


def main(kills: int, seed: int = 0, kind: str = "sweep") -> dict[str, object]:
    """Kill that many times; counts of kills, finished runs, and the states that the kills left."""
    plan.BATCH["cpu"] = 3 * 16**2
    plan.STEPS = 100
    config, files = CONFIGS[kind], FILES[kind]
    dice = random.Random(seed)
    states: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    finished = 0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        sweep(root / "whole", config)  # here, so that the processes forked from now on need to import nothing
        began = time.monotonic()
        attempt(root / "counted", config, counter=root / "operations")
        seconds = time.monotonic() - began
        operations = (root / "operations").stat().st_size
        wanted = {name: (root / "whole" / name).read_bytes() for name in files}
        folder, kept = root / "run0", 0
        while sum(ways.values()) < kills or folder.exists():
            way = dice.choice(("time", "operation")) if sum(ways.values()) < kills else ""
            if way == "time":
                killed = attempt(folder, config, after=dice.uniform(0, seconds))
            else:
                killed = attempt(folder, config, at=dice.randint(1, operations) if way else 0)
            if killed:
                ways[way] += 1
                state = describe(folder).state if (folder / store.PLAN).exists() else "complete"
                if state == "complete" and not (folder / results.PROVENANCE).exists():
                    state = "not begun"
                states[state] += 1
                chunks = len(list(folder.glob("chunks/[!.]*")))
                if chunks < kept and state != "complete":
                    raise SystemExit(f"{folder}: {kept} chunks were kept, {chunks} are left")
                kept = chunks
                continue
            for name, data in wanted.items():
                if (folder / name).read_bytes() != data:
                    raise SystemExit(f"{folder / name} differs from an uninterrupted run's")
            if {path.name for path in folder.iterdir()} != {*files, results.PROVENANCE}:
                raise SystemExit(f"{folder}: leftovers {sorted(path.name for path in folder.iterdir())}")
            finished += 1
            folder, kept = root / f"run{finished}", 0
    return {"kills": dict(ways), "operations": operations, "left": dict(states), "finished_identical": finished}


if __name__ == "__main__":
    print(json.dumps(main(*(int(word) for word in sys.argv[1:3]), *sys.argv[3:]), indent=2))
