"""T21: queries, keys that follow them, and a queue of old keys."""

import numpy as np
from numpy.typing import NDArray

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting, moco_rate

SIZE = 1e-7
"""Radians by which the points of the circle are stirred."""


def _swings(rates: NDArray[np.float64], tau: float, *, ema: float, queue: int, n: int, steps: int) -> list[float]:
    """Whether runs at these rates break, (1 yes): the last step's root-mean-square turn of the queries is larger than
    that of the middle, or plain to see.

    Evenly spaced queries on the circle, each on its key; key i of the queue is i mod L steps old.
    """
    start = 2 * np.pi * np.arange(n) / n + SIZE * np.random.default_rng(0).normal(size=(len(rates), n))
    queries = np.stack([np.cos(start), np.sin(start)], axis=-1)  # (runs, n, 2)
    keys = queries.copy()
    ages = [keys] * queue
    turns = []
    for _ in range(steps):
        bank = np.stack(ages)[np.arange(n) % queue, :, np.arange(n)].swapaxes(0, 1)  # (runs, n, 2)
        weights = np.exp((queries @ bank.swapaxes(1, 2) - 1) / tau)
        weights /= weights.sum(axis=-1, keepdims=True)
        g = (weights @ bank - keys) / tau
        g -= (g * queries).sum(axis=-1, keepdims=True) * queries
        moved = queries - rates[:, None, None] * g
        moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
        turns.append(np.sqrt(((moved - queries) ** 2).sum(axis=-1).mean(axis=-1)))
        queries = moved
        keys = ema * keys + (1 - ema) * queries
        keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
        ages = [keys, *ages[:-1]]
    return [float(end > middle or end > 1e-3) for middle, end in zip(turns[steps // 2], turns[-1], strict=True)]


def moco_threshold(factor: float = 1.0) -> Experiment:
    """T21: the uniform circle holds at 0.97 and breaks at 1.03 of the rate, from m = 0 to 0.99, and with old keys."""
    x, measured = [], []
    multiples = np.array([0.97, 1.03])
    for tau, ema, queue, steps in (
        (0.5, 0.0, 1, 300), (0.5, 0.3, 1, 300), (0.5, 0.6, 1, 300), (0.5, 0.9, 1, 300), (0.5, 0.99, 1, 300),
        (0.2, 0.0, 1, 300), (0.2, 0.9, 1, 300), (0.5, 0.6, 8, 600), (0.5, 0.9, 3, 300), (0.5, 0.0, 8, 2000),
    ):  # fmt: skip
        rate = moco_rate(Setting(tau, 2, 64, "full", "tangent", "detached"), ema=ema, queue=queue)
        x += multiples.tolist()
        measured += _swings(multiples * rate * factor, tau, ema=ema, queue=queue, n=64, steps=steps)
    return Experiment(
        title="MoCo on the circle: m = 0 .. .99 at tau = 0.5; 0, .9 at 0.2; queues of 8, 3, 8 steps (m = .6, .9, 0)",
        x_label="learning rate / predicted",
        y_label="broken (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * (len(x) // 2),
        tolerance=0.0,
        absolute=True,
    )


def moco_leaves_the_point(factor: float = 1.0) -> Experiment:
    """T21: at complete collapse a step multiplies query and key displacements by a map that grows at every rate; after
    ten steps from small displacements, against its tenth power.
    """
    x, measured, predicted = [], [], []
    n, tau, d = 32, 0.5, 4
    for ema, rate in ((0.5, 0.1), (0.9, 1.0), (0.99, 5.0)):
        rng = np.random.default_rng(1)
        shift = SIZE * rng.normal(size=(n, d - 1))
        shift -= shift.mean(axis=0)
        queries = np.concatenate([np.ones((n, 1)), shift], axis=1)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        keys = queries.copy()
        state = np.ones(2)
        for _ in range(10):
            weights = np.exp((queries @ keys.T - 1) / tau)
            g = (weights / weights.sum(axis=1, keepdims=True) @ keys - keys) / tau
            queries = queries - rate * (g - (g * queries).sum(axis=1, keepdims=True) * queries)
            queries /= np.linalg.norm(queries, axis=1, keepdims=True)
            keys = ema * keys + (1 - ema) * queries
            keys /= np.linalg.norm(keys, axis=1, keepdims=True)
            grown = state[0] + rate / tau * state[1]
            state = np.array([grown, ema * state[1] + (1 - ema) * grown])
        x.append(rate)
        measured.append(float(np.linalg.norm(queries - queries.mean(axis=0)) / np.linalg.norm(shift)))
        predicted.append(float(state[0]) * factor)
    return Experiment(
        title="MoCo near collapse: growth of the queries' spread in ten steps, m = 0.5, 0.9, 0.99",
        x_label="learning rate",
        y_label="spread / that of the start",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-3,
    )
