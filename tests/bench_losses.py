"""python -m tests.bench_losses: value and gradient of a contrastive loss from the whole matrix and in tiles, in turn.

Prints medians in milliseconds and the ratio by batch size N, d = 128, float32, and the memory that one step at
N = 8192 in tiles takes beyond its inputs.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from clopsim.losses import info_nce, supcon

DIMENSION = 128
LARGEST = 8192


def drawn(samples: int) -> tuple[Tensor, Tensor]:
    first, second = torch.randn(2, samples, DIMENSION, generator=torch.Generator().manual_seed(0))
    return first.requires_grad_(), second.requires_grad_()


def milliseconds(loss: Callable[..., Tensor], *, tiled: bool) -> float:
    began = time.perf_counter()
    loss(tiled=tiled).backward()
    return 1000 * (time.perf_counter() - began)


def peak() -> float:
    """The largest memory of this process in MiB; getrusage has that of the parent before exec too."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def memory() -> None:
    """Print in MiB what a step in tiles adds to the process; in a process of its own, since a peak stays."""
    first, second = drawn(LARGEST)
    info_nce(first[:64], second[:64], tiled=True).backward()
    before = peak()
    info_nce(first, second, tiled=True).backward()
    print(peak() - before)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.bench_losses", description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--memory", action="store_true", help="print the memory alone")
    given = options.parse_args()
    if given.memory:
        memory()
        return
    print(f"{torch.get_num_threads()} threads\nloss        N   whole   tiles  ratio")
    for samples in (512, 1024, 2048, 4096):
        first, second = drawn(samples)
        labels = torch.arange(samples) % 10
        for name, loss in (
            ("infonce", lambda tiled, a=first, b=second: info_nce(a, b, tiled=tiled)),
            ("supcon", lambda tiled, a=first, b=second, y=labels: supcon(a, b, y, tiled=tiled)),
        ):
            rounds = [(milliseconds(loss, tiled=False), milliseconds(loss, tiled=True)) for _ in range(given.rounds)]
            whole, tiles = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(b / a for a, b in rounds)
            print(f"{name:<8}{samples:5d}{whole:8.0f}{tiles:8.0f}{ratio:7.2f}")
    command = [sys.executable, "-m", "tests.bench_losses", "--memory"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(f"infonce at N = {LARGEST} in tiles: {float(found):.0f} MiB beyond its inputs")


if __name__ == "__main__":
    main()
