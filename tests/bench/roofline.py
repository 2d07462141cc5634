"""How fast a step could be: this machine's rates of matrix products and of exponentials, measured and added up.

A bound for any program that does the step's products at the rate of the best large product and its exponentials at the
rate of the best long vector in the cache, with nothing else costing anything:

    per run and step:  6 n^2 d operations (S, E Z and E rZ: 2 n^2 d each) and n^2 exponentials,

and with a network of i x o weights, for n rows: 2 n i o each for the output, the gradient in the weights and, behind
the first layer, the gradient in the input.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits

SIDE = 768  # of the matrices: large enough for the best rate, small enough for a short measurement
VECTOR = 2**18  # exponentials at once, 1 MiB: with fewer, threads hinder each other, and the rate would be no bound
PRODUCTS, EXPONENTIALS = 4, 200
"""Calls in a row, which take some 20 ms."""


def bound(n: int, d: int, *, workers: int, weights: Sequence[int] = ()) -> tuple[float, float, float]:
    """(seconds per run and step, operations/s, exponentials/s), the rates with all workers at once.

    weights: i o of each layer of a network.
    """
    products = max(_rate(work, PRODUCTS, workers) for work in (_product_torch, _product_numpy)) * 2 * SIDE**3
    exponentials = max(_rate(work, EXPONENTIALS, workers) for work in (_exp_torch, _exp_numpy)) * VECTOR
    operations = 6 * n**2 * d + 2 * n * (3 * sum(weights) - sum(weights[:1]))
    return operations / products + n**2 / exponentials, products, exponentials


def _rate(work: Callable[[], Callable[[], object]], times: int, workers: int) -> float:
    """Calls a second of what work() prepares, one for each worker, so often in a row: the best of three."""
    prepared = [work() for _ in range(workers)]

    def repeat(call: Callable[[], object]) -> None:
        for _ in range(times):
            call()

    best = 0.0
    threads = torch.get_num_threads()
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        for _ in range(3):  # in the first one memory is touched for the first time
            start = time.perf_counter()
            list(pool.map(repeat, prepared))
            best = max(best, workers * times / (time.perf_counter() - start))
    torch.set_num_threads(threads)
    return best


def _product_torch() -> Callable[[], object]:
    a, out = torch.ones(SIDE, SIDE), torch.empty(SIDE, SIDE)
    return partial(torch.mm, a, a, out=out)


def _product_numpy() -> Callable[[], object]:
    a, out = np.ones((SIDE, SIDE), np.float32), np.empty((SIDE, SIDE), np.float32)
    return partial(np.matmul, a, a, out=out)


def _exp_torch() -> Callable[[], object]:
    return partial(torch.exp2, torch.ones(VECTOR), out=torch.empty(VECTOR))


def _exp_numpy() -> Callable[[], object]:
    return partial(np.exp2, np.ones(VECTOR, np.float32), out=np.empty(VECTOR, np.float32))
