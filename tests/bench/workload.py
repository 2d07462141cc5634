"""The workload that every contender is given."""

import numpy as np

from clopsim.bounds import Setting, exact_rate
from tests.bench.contenders import Array

TAU = 0.5


def draw(n: int, d: int, runs: int) -> tuple[Array, Array, Array]:
    """Random points; rates from a tenth to ten times mu_c, as in a sweep; one temperature. All float32."""
    z = np.random.default_rng(0).standard_normal((runs, n, d))
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    unit = float(exact_rate(Setting(TAU, d, max(n, 3))))
    rate = unit * np.logspace(-1, 1, runs)
    return z.astype(np.float32), rate.astype(np.float32), np.full(runs, TAU, dtype=np.float32)
