"""How the cost of a step and the peak memory grow with n, d and the number of runs."""

import json
import resource
import subprocess
import sys
import time

import torch

from bounds import Setting
from clopsim import engine
from tests.bench.workload import draw

SIZES = (
    *((n, 8, 128) for n in (16, 32, 64, 128, 256, 512, 1024)),
    *((64, d, 128) for d in (2, 8, 32, 128)),
    *((64, 8, runs) for runs in (1, 8, 64, 512, 4096)),
)
ENTRIES = 4e8
"""Kernel entries computed in each of three measurements: about a quarter of a second, whatever the size."""


def table() -> list[dict[str, float]]:
    """Every size in a process of its own, so that the peak is its own."""
    rows = []
    for size in dict.fromkeys(SIZES):
        command = [sys.executable, "-m", "tests.bench.scaling", *map(str, size)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows.append(json.loads(out))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def measure(n: int, d: int, runs: int) -> dict[str, float]:
    """Best of three; growth of the peak memory over what the process held before, beside the bound on the buffers."""
    setting = Setting(0.5, d, n)
    z, rate, tau = map(torch.from_numpy, draw(n, d, runs))
    steps = max(2, int(ENTRIES / (runs * n**2)))
    engine.SETTLED = steps + 1  # every step is computed
    workers = torch.get_num_threads()
    for small in (4, 256):  # the libraries of small and of large products load, and take their own buffers
        start = [torch.from_numpy(array) for array in draw(small, 8, workers)]
        engine.advance(*start, setting=Setting(0.5, 8, small), steps=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, processor = [], []
    for _ in range(3):
        clocks = time.perf_counter(), time.process_time()
        engine.advance(z, rate, tau, setting=setting, steps=steps)
        seconds.append(time.perf_counter() - clocks[0])
        processor.append(time.process_time() - clocks[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    cpu = min(processor) / runs / steps * 1e6
    return {
        "n": n,
        "d": d,
        "runs": runs,
        "us_per_run_step": min(seconds) / runs / steps * 1e6,
        "cpu_us_per_run_step": cpu,
        "cpu_ns_per_pair": cpu / n**2 * 1e3,
        "peak_mib": peak * (1 if sys.platform == "darwin" else 1024) / 2**20,
        "bound_mib": (engine.buffer_bytes(setting, torch.float32, workers=workers) + z.nbytes) / 2**20,
    }


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
