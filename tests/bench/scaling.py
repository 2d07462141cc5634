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
OPERATIONS = 2e9
"""Kernel entries computed in each measurement: about a second, whatever the size."""


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
    steps = max(2, int(OPERATIONS / (runs * n**2) / 3))
    engine.SETTLED = steps + 1  # every step is computed
    workers = torch.get_num_threads()
    engine.advance(z[:1, :2], rate[:1], tau[:1], setting=Setting(0.5, d, 2), steps=2)  # libraries load
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        engine.advance(z, rate, tau, setting=setting, steps=steps)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    microseconds = min(seconds) / runs / steps * 1e6
    return {
        "n": n,
        "d": d,
        "runs": runs,
        "us_per_run_step": microseconds,
        "ns_per_pair": microseconds / n**2 * 1e3,
        "peak_mib": peak * (1 if sys.platform == "darwin" else 1024) / 2**20,
        "bound_mib": (engine.buffer_bytes(setting, torch.float32, workers=workers) + z.nbytes) / 2**20,
    }


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
