"""Cut the power under a run again and again, resume it, and hold its end against that of one with power.

    python -m tests.powerloss 20 [SEED [sweep|train-sweep|train]]

The run writes to a file system on a loop image, mounted so that nothing reaches the disk early: at a random moment the
image is copied, and the copy is what a machine finds when its power is back. What was said to be written must be there
whole; what was not must be recognised and resumed. Needs root, mkfs.ext4 and a kernel that mounts loop images; where
one is missing it says so and does nothing. Prints what happened as JSON; exits with 1 where something was lost.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clopsim.runs import plan, results, store
from clopsim.runs.plan import Recorded
from clopsim.runs.states import describe
from tests.kill import CONFIGS, FILES, sweep

SIZE = 48
"""MiB of the image; a run takes less than one."""

LATE = "noauto_da_alloc,commit=300"
"""Options of ext4: no file is flushed because it was renamed, and the journal waits five minutes."""


def hindrance() -> str | None:
    """Why no power can be cut here; None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, who may mount"
    if shutil.which("mkfs.ext4") is None:
        return "needs mkfs.ext4"
    with tempfile.TemporaryDirectory() as place:
        try:
            format_image(Path(place) / "image")
            with mounted(Path(place) / "image", Path(place) / "disk"):
                return None
        except subprocess.CalledProcessError as error:
            return f"no loop image can be mounted ({error.stderr.decode(errors='replace').strip()})"


def format_image(image: Path) -> None:
    """An empty file system in a file."""
    with image.open("wb") as file:
        file.truncate(SIZE * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)


@contextmanager
def mounted(image: Path, disk: Path) -> Iterator[None]:
    """The image's files under a folder."""
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", f"loop,{LATE}", str(image), str(disk)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True, capture_output=True)


def cut(root: Path, config: Recorded, after: float) -> bool:
    """Run on root/image and copy what has reached it after so many seconds; whether the run had said that it ended."""
    format_image(root / "image")
    with mounted(root / "image", root / "disk"):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                sweep(root / "disk" / "run", config)
                code = 0
            finally:
                os._exit(code)
        ends = time.monotonic() + after
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended and time.monotonic() < ends:
            time.sleep(0.005)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, signal.SIGSTOP)
        elif status:
            raise SystemExit("the run failed")
        shutil.copyfile(root / "image", root / "found")
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return bool(ended)


def main(losses: int, seed: int = 0, kind: str = "sweep") -> dict[str, object]:
    """Cut the power that many times; the states that were found, and the runs that ended as they should."""
    if why := hindrance():
        return {"skipped": why}
    plan.BATCH["cpu"] = 3 * 16**2
    plan.STEPS = 100
    config, dice = CONFIGS[kind], random.Random(seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        sweep(root / "whole", config)  # here, so that the processes forked from now on need to import nothing
        began = time.monotonic()
        sweep(root / "again", config)
        seconds = time.monotonic() - began
        wanted = {name: (root / "whole" / name).read_bytes() for name in FILES[kind]}
        for number in range(losses):
            said = cut(root, config, dice.uniform(0, seconds) if number % 4 else 10 * seconds)  # a quarter ends
            with mounted(root / "found", root / "disk"):
                run = root / "disk" / "run"
                begun = (run / store.PLAN).exists() or (run / results.PROVENANCE).exists()
                state = describe(run).state if begun else "not begun"
                if state == "damaged" or (said and state != "complete"):
                    raise SystemExit(f"after a loss of power the run is {state}: {describe(run).detail}")
                if not said:
                    sweep(run, config)
                for name, data in wanted.items():
                    if (run / name).read_bytes() != data:
                        raise SystemExit(f"{name} differs from an uninterrupted run's")
            found["said to be written" if said else state] += 1
    return {"losses": losses, "found": dict(found), "identical": sum(found.values())}


if __name__ == "__main__":
    print(json.dumps(main(*(int(word) for word in sys.argv[1:3]), *sys.argv[3:]), indent=2))
