"""T10: free norms with weight decay. The views circulate: their map, its centre, two averages."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting
from clopsim.bounds.free_norm import (
    decayed_view_cosine,
    steady_squared_norm,
    swap_eigenvalue,
    two_view_step,
    view_growth,
)
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import free_step
from clopsim.sphere.gradient import gradient

CIRCLE = Setting(0.5, 2, 64, loss="full", gradient="tangent")
"""Even spacing on the circle: every pair of views in the same state sees a background that pulls radially to 1e-16."""

RATE = 1.0
PAIRS = ((0.5, 0.2), (2.0, 0.3), (4.5, 0.6), (8.0, 0.1))
"""Starts: squared norm and angle of the views; the centre is at squared norm 4 for RATE on the CIRCLE."""


def _on_the_circle(pairs: tuple[tuple[float, float], ...]) -> Tensor:
    """Free embeddings (pairs, n, 2): evenly spaced samples, their two views at the angle of the pair."""
    half = torch.tensor([angle / 2 for _, angle in pairs], dtype=torch.float64)[:, None]
    place = torch.arange(CIRCLE.samples // 2, dtype=torch.float64) * (4 * np.pi / CIRCLE.samples)
    angle = torch.cat([place + half, place - half], dim=1)
    length = torch.tensor([norm for norm, _ in pairs], dtype=torch.float64).sqrt()[:, None, None]
    return length * torch.stack([angle.cos(), angle.sin()], dim=-1)


def _components(pairs: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """(2, pairs): components along and across the midpoint."""
    norm, angle = np.array(pairs).T
    return np.stack([np.sqrt(norm) * np.cos(angle / 2), np.sqrt(norm) * np.sin(angle / 2)])


def _views(u: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine of the views and squared norm of every embedding, (..., n) each."""
    squared = u.square().sum(dim=-1)
    first, second = (u / squared.sqrt()[..., None]).chunk(2, dim=-2)
    cosine = (first * second).sum(dim=-1)
    return torch.cat([cosine, cosine], dim=-1), squared


def views_follow_the_map(factor: float = 1.0) -> Experiment:
    """T10: runs on the circle against the exact map of two views, from starts far off the centre."""
    x, measured, predicted = [], [], []
    for decay in (0.03, 0.1, 0.3):
        u, pair = _on_the_circle(PAIRS), _components(PAIRS)
        for done in range(1, 41):
            u = free_step(u, RATE, float(CIRCLE.tau), setting=CIRCLE, weight_decay=decay)
            pair = two_view_step(pair, rate=RATE, weight_decay=decay, setting=CIRCLE)
            if done % 20 == 0:
                x += [done] * len(PAIRS)
                measured += _views(u)[1].mean(dim=-1).tolist()
                predicted += (np.square(pair).sum(axis=0) * factor).tolist()
    return Experiment(
        title="free norm with weight decay: squared norm against the map of two views",
        x_label="steps (three decays, four starts)",
        y_label="squared norm",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
        note="64 views evenly spaced on the circle, where the map is exact; later, pairs fall out of step",
    )


def views_circulate_about_the_swap(factor: float = 1.0) -> Experiment:
    """T10: the angle by which a small orbit on the circle turns per step."""
    decays = (0.03, 0.1, 0.3)
    measured = []
    for decay in decays:
        centre = float(steady_squared_norm(RATE, CIRCLE))
        u = _on_the_circle(((1.01 * centre, np.arccos(decayed_view_cosine(RATE, weight_decay=decay))),))
        norms = []
        for _ in range(200):
            norms.append(float(u[0, 0].square().sum()))
            u = free_step(u, RATE, float(CIRCLE.tau), setting=CIRCLE, weight_decay=decay)
        swing = np.array(norms) - np.mean(norms)  # cos(a + t b): neighbours add up to 2 cos b times the middle
        measured.append(float(np.arccos((swing[1:-1] @ (swing[2:] + swing[:-2])) / (2 * swing[1:-1] @ swing[1:-1]))))
    return Experiment(
        title="free norm with weight decay: turn of a small orbit per step, 2 arccos(1 - mu w)",
        x_label="learning rate x weight decay",
        y_label="angle",
        x=decays,
        measured=tuple(measured),
        predicted=tuple(abs(np.angle(swap_eigenvalue(RATE, weight_decay=decay))) * factor for decay in decays),
        tolerance=0.005,
        note="an orbit of 1 % about the centre, 200 steps",
    )


def orbits_keep_their_size(factor: float = 1.0) -> Experiment:
    """T10: largest |log of squared norm over its centre| in steps 1600 to 2000 of the map, against the first 400."""
    decays, sizes = (0.01, 0.03, 0.1), (1.02, 1.1, 1.2, 1.5)
    x, measured, predicted = [], [], []
    for decay in decays:
        centre = float(steady_squared_norm(RATE, CIRCLE))
        angle = float(np.arccos(decayed_view_cosine(RATE, weight_decay=decay)))
        pair, seen = _components(tuple((size * centre, angle) for size in sizes)), []
        for _ in range(2000):
            seen.append(np.abs(np.log(np.square(pair).sum(axis=0) / centre)))
            pair = two_view_step(pair, rate=RATE, weight_decay=decay, setting=CIRCLE)
        x += list(sizes)
        measured += np.max(seen[1600:], axis=0).tolist()
        predicted += (np.max(seen[:400], axis=0) * factor).tolist()
    return Experiment(
        title="free norm with weight decay: size of an orbit after 2000 steps, against its start",
        x_label="squared norm at the start / centre (three decays)",
        y_label="largest |log(squared norm / centre)|",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.005,
        note="a state that attracts would give 0; larger orbits wander at large rate x decay, still bounded",
    )


def two_averages(factor: float = 1.0) -> Experiment:
    """T10: the two averages over pairs and steps, in clouds of random views that start off the centre, two seeds."""
    setting, decay, rates = Setting(1.0, 3, 128, loss="full", gradient="tangent"), 0.1, (1.0, 3.0)
    sizes = torch.tensor([0.5, 2.0], dtype=torch.float64)[:, None, None]  # squared norm over its centre
    clouds = torch.stack([starts.near_uniform(setting, temperature=1.0, seed=s, view_angle=0.3) for s in range(2)])
    growth, steps, first = [], 500, 200
    for rate in rates:
        u, logarithms = clouds * (sizes * float(steady_squared_norm(rate, setting))).sqrt(), np.zeros((2, 2))
        for done in range(steps):
            if done >= first:
                cosine, squared = (value.numpy() for value in _views(u))
                factors = view_growth(cosine, squared, rate=rate, weight_decay=decay, setting=setting)
                logarithms += np.log(np.abs(factors)).mean(axis=2) / (steps - first)
            u = free_step(u, rate, 1.0, setting=setting, weight_decay=decay)
        growth.append(logarithms)
    products = np.repeat(decay * np.array(rates), 2)
    along, across = np.concatenate(growth, axis=1)
    return Experiment(
        title="free norm with weight decay: mean growth along the midpoint; mean factor across it",
        x_label="learning rate x weight decay (two starts each)",
        y_label="growth against decay; factor",
        x=(*products, *products),
        measured=(*(along - np.log1p(-products)), *np.exp(across)),
        predicted=(*(-np.log1p(-products) * factor), *np.full(len(products), factor)),
        tolerance=0.02,
        note="n = 128, steps 200 to 500; no cloud is at rest: the mean of 1 - cos itself is 1.02 to 1.04 mu w",
    )


def momentum_leaves_the_swap(factor: float = 1.0) -> Experiment:
    """T10: growth per step from 1e-9 beside the swap under the heavy ball, on the circle."""
    x, measured, predicted = [], [], []
    for momentum, decay in ((0.3, 0.1), (0.5, 0.03), (0.5, 0.1), (0.9, 0.01), (0.9, 0.1)):
        centre = float(steady_squared_norm(RATE, replace(CIRCLE, momentum=momentum)))
        angle = float(np.arccos(decayed_view_cosine(RATE, weight_decay=decay, momentum=momentum)))
        u = _on_the_circle(((centre, angle),))
        first, second = u.chunk(2, dim=-2)
        velocity = torch.cat([second - first, first - second], dim=-2) / RATE  # of the swap before
        u = u * (1 + 1e-9)
        growth, swing = abs(swap_eigenvalue(RATE, weight_decay=decay, momentum=momentum)), []
        for _ in range(int(np.log(1e6) / np.log(growth))):
            swing.append(float(u[0, 0].square().sum() / centre) - 1)
            squared = u.square().sum(dim=-1, keepdim=True)
            slope = gradient(u / squared.sqrt(), float(CIRCLE.tau), CIRCLE) / squared.sqrt() + decay * u
            velocity = momentum * velocity + slope
            u = u - RATE * velocity
        a, b, c, d = swing[-4:]  # a spiral: b^2 - ac grows by the squared modulus
        x.append(momentum)
        measured.append(((c * c - b * d) / (b * b - a * c)) ** 0.5)
        predicted.append(growth * factor)
    return Experiment(
        title="free norm with weight decay and momentum: growth per step beside the swap",
        x_label="momentum (two decays)",
        y_label="growth per step",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.01,
    )


def free_norm_finds_the_edge(factor: float = 1.0) -> Experiment:
    """T10 without decay: from |u| = 1 the norm grows until the effective rate mu/|u|^2 is safe, and the rank stays."""
    setting = Setting(0.5, 8, 64, loss="full", gradient="tangent")
    rates = (5.0, 20.0, 80.0)
    u = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(2)]).repeat(len(rates), 1, 1)
    for _ in range(1500):
        u = free_step(u, torch.tensor(rates).double().repeat_interleave(2), 0.5, setting=setting)
    ranks = geometry.effective_rank(u / u.norm(dim=-1, keepdim=True))
    return Experiment(
        title="free norm, no decay: effective rank at 10, 40 and 160 times the edge of a fixed norm",
        x_label="learning rate (two seeds each)",
        y_label="effective rank",
        x=tuple(rate for rate in rates for _ in range(2)),
        measured=tuple(ranks.tolist()),
        predicted=(8.0 * factor,) * len(ranks),
        tolerance=0.04,
    )
