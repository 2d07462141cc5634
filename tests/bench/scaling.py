"""How the cost of a step and the peak memory grow with n, d and the number of runs."""

import json
import os
import re
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from clopsim.bounds import Setting
from clopsim.sphere import engine
from tests.bench.workload import draw

SIZES = (
    *((n, 8, 128) for n in (16, 32, 64, 128, 256, 512, 1024)),
    *((64, d, 128) for d in (2, 8, 32, 128)),
    *((64, 8, runs) for runs in (1, 8, 64, 512, 4096)),
)
ROOT = Path(__file__).parents[2]

ENTRIES = 4e8
"""Kernel entries computed in each of three measurements: about a quarter of a second, whatever the size."""


EAGER = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Lets glibc give freed buffers back at once, so that the peak of the process is the peak of what is in use."""


def table() -> list[dict[str, float]]:
    """Every size in processes of its own, so that the peak is its own: one for the times, one for the memory."""
    rows = []
    for size in dict.fromkeys(SIZES):
        threads = torch.get_num_threads()
        row = measured(*size, workers=threads, entries=ENTRIES)
        in_use = measured(*size, workers=threads, **EAGER)["peak_mib"]
        rows.append({**row, "kept_mib": row["peak_mib"], "peak_mib": in_use})
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def measured(n: int, d: int, runs: int, *, workers: int, entries: float = 0, **environment: str) -> dict[str, float]:
    """What measure() finds in a process of its own with so many threads."""
    command = [sys.executable, "-m", "tests.bench.scaling", *map(str, (n, d, runs, entries, workers))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(n: int, d: int, runs: int, *, entries: float) -> dict[str, float]:
    """Best of three; growth of the process's peak over what it held before, beside the bound on what is in use."""
    setting = Setting(0.5, d, n)
    z, rate, tau = map(torch.from_numpy, draw(n, d, runs))
    steps = max(2, int(entries / (runs * n**2)))
    engine.SETTLED = steps + 1  # every step is computed
    workers = torch.get_num_threads()
    for small in (4, 256):  # the libraries of small and of large products load, and take their own buffers
        start = [torch.from_numpy(array) for array in draw(small, 8, workers)]
        engine.advance(*start, setting=Setting(0.5, 8, small), steps=2)
    with suppress(OSError):  # on Linux: forget the peak of drawing the start
        Path("/proc/self/clear_refs").write_text("5")
    before = peak_kib()
    seconds, processor = [], []
    for _ in range(3):
        clocks = time.perf_counter(), time.process_time()
        engine.advance(z, rate, tau, setting=setting, steps=steps)
        seconds.append(time.perf_counter() - clocks[0])
        processor.append(time.process_time() - clocks[1])
    peak = peak_kib() - before
    cpu = min(processor) / runs / steps * 1e6
    return {
        "n": n,
        "d": d,
        "runs": runs,
        "us_per_run_step": min(seconds) / runs / steps * 1e6,
        "cpu_us_per_run_step": cpu,
        "cpu_ns_per_pair": cpu / n**2 * 1e3,
        "peak_mib": peak / 1024,
        "bound_mib": engine.memory_bytes(setting, torch.float32, runs=runs, workers=workers) / 2**20,
    }


def peak_kib() -> float:
    """Largest resident memory of this process so far. Linux's ru_maxrss would count its parent's too."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    *sizes, cost, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    print(json.dumps(measure(*map(int, sizes), entries=float(cost))))
