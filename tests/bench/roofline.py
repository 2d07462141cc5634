"""How fast a step could be: this machine's rates of matrix products and of exponentials, measured and added up.

A bound for any program that does the step's products at the rate of the best large product and its exponentials at the
rate of the best long vector in the cache, with nothing else costing anything:

    per run and step:  6 n^2 d operations (S: 2 n^2 d, E [Z | rZ]: 4 n^2 d) and n^2 exponentials,

and with a network of i x o weights, for n rows: 2 n i o each for the output, the gradient in the weights and, behind
the first layer, the gradient in the input.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

SIDE = 768  # of the matrices: large enough for the best rate, small enough for a short measurement
VECTOR = 2**16  # exponentials at once, 256 KiB: of fewer the call costs as much, and the rate would be no bound


def bound(n: int, d: int, *, workers: int, weights: Sequence[int] = ()) -> tuple[float, float, float]:
    """(seconds per run and step, operations/s, exponentials/s), the rates with all workers at once.

    weights: i o of each layer of a network.
    """
    products = max(_rate(work, 2 * SIDE**3 * 4, workers) for work in (_product_torch, _product_numpy))
    exponentials = max(_rate(work, VECTOR * 50, workers) for work in (_exp_torch, _exp_numpy))
    operations = 6 * n**2 * d + 2 * n * (3 * sum(weights) - sum(weights[:1]))
    return operations / products + n**2 / exponentials, products, exponentials


def _rate(work: Callable[[], None], amount: int, workers: int) -> float:
    best = 0.0
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in range(2):
            start = time.perf_counter()
            list(pool.map(lambda _: work(), range(workers)))
            best = max(best, workers * amount / (time.perf_counter() - start))
    torch.set_num_threads(threads)
    return best


def _product_torch() -> None:
    a, out = torch.ones(SIDE, SIDE), torch.empty(SIDE, SIDE)
    for _ in range(4):
        torch.mm(a, a, out=out)


def _product_numpy() -> None:
    a, out = np.ones((SIDE, SIDE), np.float32), np.empty((SIDE, SIDE), np.float32)
    for _ in range(4):
        np.matmul(a, a, out=out)


def _exp_torch() -> None:
    x, out = torch.rand(VECTOR), torch.empty(VECTOR)
    for _ in range(50):
        torch.exp2(x, out=out)


def _exp_numpy() -> None:
    x, out = np.random.default_rng(0).random(VECTOR, dtype=np.float32), np.empty(VECTOR, np.float32)
    for _ in range(50):
        np.exp2(x, out=out)
