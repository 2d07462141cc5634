"""T23: a linear embedder, its Hessian by autograd and gradient descent on its weights."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Setting
from clopsim.bounds.linear_embedder import (
    linear_collapse_curvatures,
    linear_collapse_rate,
    linear_uniform_curvature,
    linear_uniform_rate,
)
from clopsim.sphere.gradient import contrastive_loss

Array = NDArray[np.float64]


def _loss(inputs: Tensor, setting: Setting) -> Callable[[Tensor], Tensor]:
    """The loss of weights (d, p) on inputs (n, p)."""

    def value(weights: Tensor) -> Tensor:
        u = inputs @ weights.mT
        return contrastive_loss(u / u.norm(dim=-1, keepdim=True), float(setting.tau), setting)

    return value


def _eigenvalues(loss: Callable[[Tensor], Tensor], weights: Tensor) -> Array:
    """Of the Hessian in all weights, ascending, those above rounding."""
    hessian = torch.autograd.functional.hessian(loss, weights)  # type: ignore[no-untyped-call]
    hessian = hessian.reshape(weights.numel(), weights.numel())
    found: Array = torch.linalg.eigvalsh(hessian).numpy()
    return found[np.abs(found) > 1e-8 * np.abs(found).max()]


def _leaves(loss: Callable[[Tensor], Tensor], weights: Tensor, rate: float, momentum: float, *, seed: int) -> float:
    """1 if the gradient, zero at the weights, has grown in 80 steps of descent from 1e-8 beside them, else 0."""
    change = torch.from_numpy(np.random.default_rng(seed).normal(size=weights.shape))
    w, velocity, lengths = weights + 1e-8 * change / change.norm(), torch.zeros_like(weights), []
    for _ in range(81):
        w.requires_grad_()
        (slope,) = torch.autograd.grad(loss(w), w)
        lengths.append(float(slope.norm()))
        velocity = momentum * velocity + slope
        w = (w - rate * velocity).detach()
    return float(lengths[-1] > lengths[0])


def _inputs(seed: int, *, noise: str, samples: int = 6, p: int = 4) -> tuple[Array, Array]:
    """Two views (samples, p) whose first coordinate is 1 and whose others are signal and noise of the views."""
    rng = np.random.default_rng(seed)
    signal, part = (size * rng.normal(size=(samples, p - 1)) for size in (0.3, 0.7))
    if noise == "mirrored":  # a view and its negation beside a bias: all midpoints coincide
        views = (part, -part)
    else:
        views = (signal + part, signal + (0.7 * rng.normal(size=part.shape) if noise == "independent" else -part))
    first, second = (np.hstack([rng.uniform(0.5, 2.0, (samples, 1)), view]) for view in views)
    if noise == "mirrored":
        first[:, 0] = second[:, 0] = 1.0
    return first, second


def curvatures_at_collapse(factor: float = 1.0) -> Experiment:
    """T23: every eigenvalue of the Hessian in W = u a^T, d - 1 = 2 times each; both losses, views of three kinds."""
    measured: list[float] = []
    predicted: list[float] = []
    for seed, (noise, loss) in enumerate(
        (("independent", "full"), ("opposite", "full"), ("mirrored", "full"), ("independent", "merged"))
    ):
        setting = Setting(0.5, 3, 12, loss=loss, gradient="tangent")  # type: ignore[arg-type]
        first, second = _inputs(seed, noise=noise)
        u = np.random.default_rng(seed).normal(size=3)
        lengths = [np.linalg.norm(u) * half[:, :1] for half in (first, second)]
        weights = torch.from_numpy(np.outer(u, np.eye(4)[0]))
        found = _eigenvalues(_loss(torch.from_numpy(np.vstack([first, second])), setting), weights)
        claimed = np.repeat(
            linear_collapse_curvatures(first / lengths[0], second / lengths[1], setting=setting), setting.dimension - 1
        )
        claimed = claimed[np.abs(claimed) > 1e-8 * np.abs(claimed).max()]  # a rotation costs nothing
        measured += found.tolist() if len(found) == len(claimed) else [float("nan")] * len(claimed)
        predicted += (claimed * factor).tolist()
    return Experiment(
        title="linear embedder: eigenvalues of the Hessian in the weights at collapse",
        x_label="eigenvalue",
        y_label="curvature",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="independent, opposite and mirrored view noise, merged loss",
    )


def collapse_in_the_weights(factor: float = 1.0) -> Experiment:
    """T23: with mirrored views collapse attracts descent on W below the critical rate and repels it above."""
    x, measured, predicted = [], [], []
    setting = Setting(0.5, 3, 12, loss="full", gradient="tangent")
    for seed, momentum in enumerate((0.0, 0.0, 0.5)):
        first, second = _inputs(seed, noise="mirrored")
        rate = linear_collapse_rate(first, second, setting=replace(setting, momentum=momentum))
        loss = _loss(torch.from_numpy(np.vstack([first, second])), setting)
        weights = torch.from_numpy(np.outer(np.eye(3)[1], np.eye(4)[0]))
        for multiple in (0.97, 1.03):
            critical = float("nan") if rate is None else rate * factor
            x.append(multiple)
            measured.append(_leaves(loss, weights, multiple * critical, momentum, seed=seed))
            predicted.append(float(multiple > 1))
    return Experiment(
        title="linear embedder, a view and its negation beside a bias: descent on the weights from near collapse",
        x_label="learning rate / critical rate (two seeds; momentum 0.5)",
        y_label="leaves (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def uniform_state_in_the_weights(factor: float = 1.0) -> Experiment:
    """T23: the curvatures at W = s I over 128 even inputs on the circle, and descent on W from beside it."""
    tau, scale = 1.0, 1.5
    setting = Setting(tau, 2, 128, gradient="tangent")
    angle = torch.arange(128, dtype=torch.float64) * (2 * np.pi / 128)
    loss = _loss(torch.stack([angle.cos(), angle.sin()], dim=1), setting)
    weights = scale * torch.eye(2, dtype=torch.float64)
    found = _eigenvalues(loss, weights)
    curvature = linear_uniform_curvature(setting, scale=scale) * factor
    x, measured, predicted = [0.0, 0.0], [float(value) for value in found], [curvature, curvature]
    for seed, momentum in enumerate((0.0, 0.5)):
        rate = linear_uniform_rate(replace(setting, momentum=momentum), scale=scale) * factor
        for multiple in (0.97, 1.03):
            x.append(multiple)
            measured.append(1 + _leaves(loss, weights, multiple * rate, momentum, seed=seed))
            predicted.append(1 + float(multiple > 1))
    return Experiment(
        title="linear embedder over even inputs: its two curvatures; then descent (1 stays, 2 leaves)",
        x_label="learning rate / critical rate (0: curvature)",
        y_label="curvature; 1 or 2",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-6,
        note="128 inputs, e_2 at this n (T13)",
    )
