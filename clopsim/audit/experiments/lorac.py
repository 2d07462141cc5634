"""T35, P26: LORAC at complete collapse and on the antipodal line, views that never align, and a low rank that leaks."""

import math
from functools import partial
from itertools import pairwise, product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, growth, step
from clopsim.bounds import (
    Gradient,
    attracting_rates,
    lorac_antipodal_basin,
    lorac_collapse,
    lorac_line,
    lorac_residual_angle,
    lorac_swap,
    multiplier,
)
from clopsim.bounds.lorac import Form
from clopsim.losses.lorac import lorac, lorac_of_rows
from clopsim.metrics import geometry

GRADIENTS: tuple[Gradient, ...] = ("tangent", "ambient")
FORMS: tuple[Form, ...] = ("matrix", "cosine")


def _loss(temperature: float, beta: float, smoothing: float, written: Form = "matrix") -> Loss:
    return partial(lorac_of_rows, temperature=temperature, beta=beta, smoothing=smoothing, written=written)


def _moves(n: int, d: int) -> dict[str, Tensor]:
    """Directions across the first axis: samples spread with their views alike, oppositely, and all alike, (n, d)."""
    spread = torch.randn(n // 2, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spread[:, 0] = 0
    spread = spread - spread.mean(dim=0)
    common = torch.zeros(n, d, dtype=torch.float64)
    common[:, -1] = 1
    moves = {"alike": torch.cat([spread, spread]), "oppositely": torch.cat([spread, -spread]), "common": common}
    return {name: move / move.norm() for name, move in moves.items()}


def multipliers_at_point_and_line(factor: float = 1.0) -> Experiment:
    """T35: what one step makes of each kind of direction, smoothed, in both forms, with both gradients."""
    x, measured, predicted = [], [], []
    for (n, d, tau, beta, smoothing), written, gradient in product(
        ((8, 4, 1.0, 15.0, 0.01), (12, 3, 0.5, 2.0, 0.001)), FORMS, GRADIENTS
    ):
        loss = _loss(tau, beta, smoothing, written)
        point = torch.zeros(n, d, dtype=torch.float64)
        point[:, 0] = 1
        line = point.clone()
        line[n // 2 :] *= -1
        options = {"samples": n, "temperature": tau, "beta": beta, "smoothing": smoothing, "written": written}
        here, there = lorac_collapse(**options), lorac_line(**options)  # type: ignore[arg-type]
        moves = _moves(n, d)
        levels = [
            (point, moves["alike"], here.together, here.pull),
            (point, moves["oppositely"], here.apart, here.pull),
            (line, moves["alike"], there.together, there.pull),
            (line, moves["oppositely"], there.apart, there.pull),
            (line, moves["common"], there.common, there.pull),
        ]
        for (z, move, curvature, pull), rate in product(levels, (0.1, 3.0)):
            x.append(rate)
            measured.append(growth(loss, z, move, rate=rate, gradient=gradient, steps=1))
            predicted.append(float(multiplier(rate, curvature=curvature, pull=pull, gradient=gradient)) * factor)
    return Experiment(
        title="smoothed LORAC, one step at a point and on the antipodal line: two settings, both forms and gradients",
        x_label="learning rate",
        y_label="multiplier",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
    )


LINES: tuple[tuple[float, float, float, Form], ...] = (
    (0.5, 15.0, 0.01, "cosine"),  # the prior cancels but for D
    (0.5, 3.0, 0.1, "cosine"),
    (0.5, 15.0, 0.01, "matrix"),
    (1.0, 15.0, 0.02, "matrix"),
)
"""tau, beta, smoothing and form, at n = 16."""


def line_threshold(factor: float = 1.0) -> Experiment:
    """T35: ambient runs from 1e-3 beside the antipodal line leave it below its rate and are drawn to it above."""
    n, d = 16, 6
    x, measured = [], []
    for (tau, beta, smoothing, written), multiple in product(LINES, (0.97, 1.03)):
        levels = lorac_line(samples=n, temperature=tau, beta=beta, smoothing=smoothing, written=written)
        rates = attracting_rates(levels[:3], pull=levels.pull, gradient="ambient")
        rate = math.nan if rates is None else rates.above * factor
        z = torch.zeros(n, d, dtype=torch.float64)
        z[: n // 2, 0], z[n // 2 :, 0] = 1, -1
        z = z + 1e-3 * torch.randn(n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        z = z / z.norm(dim=-1, keepdim=True)
        off = 1 - float(geometry.effective_rank(z))
        for _ in range(80):
            z = step(_loss(tau, beta, smoothing, written), z, multiple * rate, "ambient")
        x.append(multiple)
        measured.append(float(abs(1 - float(geometry.effective_rank(z))) < abs(off)))
    return Experiment(
        title="smoothed LORAC, n = 16, ambient: the antipodal line, (tau, beta, delta) = (0.5, 15, 0.01) and"
        " (0.5, 3, 0.1) by cosines, (0.5, 15, 0.01) and (1, 15, 0.02) by rows",
        x_label="learning rate / predicted",
        y_label="closer to the line after 80 steps (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * len(LINES),
        tolerance=0.0,
        absolute=True,
    )


def _simplex(samples: int) -> Tensor:
    """(N, N - 1) unit rows."""
    centred = torch.eye(samples, dtype=torch.float64) - 1 / samples
    z: Tensor = torch.linalg.svd(centred)[0][:, : samples - 1]
    return z / z.norm(dim=-1, keepdim=True)


def views_never_align(factor: float = 1.0) -> Experiment:
    """T35: tangent runs from next to a simplex, own norm: the angle between the two views of a sample at the end."""
    x, measured, predicted = [], [], []
    for (samples, tau, beta), multiple in product(((4, 1.0, 15.0), (6, 1.0, 3.0), (4, 0.2, 15.0)), (0.05, 0.1)):
        v = _simplex(samples)
        rate = multiple * lorac_swap(samples=2 * samples, temperature=tau, beta=beta).rate
        z = torch.cat([v, v + 1e-3 * torch.randn(v.shape, generator=torch.Generator().manual_seed(0), dtype=v.dtype)])
        z = z / z.norm(dim=-1, keepdim=True)
        for _ in range(int(12 / multiple)):
            z = step(_loss(tau, beta, 0.0), z, rate, "tangent")
        first, second = z.chunk(2)
        x.append(multiple)
        measured.append(float(2 * ((first - second).norm(dim=-1) / 2).asin().mean()))
        predicted.append(lorac_residual_angle(rate, samples=2 * samples, temperature=tau, beta=beta) * factor)
    return Experiment(
        title="LORAC, views of a sample after tangent runs: (N, tau, beta) = (4, 1, 15), (6, 1, 3), (4, 0.2, 15)",
        x_label="learning rate * h/2",
        y_label="angle between the views (rad)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=5e-3,
        note="the angle is proportional to the rate: no finite rate aligns the views",
    )


def antipodal_basin(factor: float = 1.0) -> Experiment:
    """T35: two views on their own, started inside and outside the basin of opposite views; small steps decide."""
    x, measured = [], []
    for beta, multiple in product((5.0, 1.0, 0.5), (0.97, 1.03)):

        def pair(z: Tensor, beta: float = beta) -> Tensor:
            return torch.linalg.svdvals(z).sum() / beta - z[0] @ z[1]

        angle = torch.tensor(math.pi - multiple * factor * lorac_antipodal_basin(beta), dtype=torch.float64)
        z = torch.stack([torch.tensor([1.0, 0.0], dtype=torch.float64), torch.stack([angle.cos(), angle.sin()])])
        for _ in range(400):
            z = step(pair, z, 0.02 * min(beta, 1.0), "tangent")
        x.append(multiple)
        measured.append(float(z[0] @ z[1] > 0))
    return Experiment(
        title="LORAC, two views on their own, beta = 5, 1, 0.5: which end small steps lead to",
        x_label="angle from opposite at the start / predicted basin",
        y_label="aligned at the end (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=(0.0, 1.0) * 3,
        tolerance=0.0,
        absolute=True,
    )


def _trained(seed: int, **options: float | bool) -> tuple[float, float]:
    """A linear map 16 -> 8 on three noisy views of 16 samples: mean nuclear norm of a sample, rank of all of them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    views = normal(1, 16, 16) + 0.7 * normal(3, 16, 16)
    weights = normal(8, 16) / 4
    for _ in range(100):
        weights.requires_grad_()
        (slope,) = torch.autograd.grad(lorac(views @ weights.mT, **options), weights)  # type: ignore[arg-type]
        weights = (weights - 1.5 * slope).detach()
    z = views @ weights.mT
    z = z / z.norm(dim=-1, keepdim=True)
    norm = torch.linalg.svdvals(z.transpose(0, 1)).sum(dim=-1).mean()
    return float(norm), float(geometry.effective_rank(z.flatten(0, 1)))


def low_rank_inside_a_sample(factor: float = 1.0) -> Experiment:
    """P26: the norm of a sample falls with tau dropped and with 1/beta; so does the rank of the whole, down to one."""
    kinds: tuple[dict[str, float | bool], ...] = (
        {"temperature": 0.2, "prior": False}, {"prior": False}, {"beta": 15.0}, {"beta": 3.0}, {"beta": 1.0},
        {"beta": 0.1},
    )  # fmt: skip
    measured: list[float] = []
    texts = []
    for seed in range(2):
        norms, ranks = zip(*(_trained(seed, **kind) for kind in kinds), strict=True)
        measured += [float(a > b) for values in (norms, ranks) for a, b in pairwise(values)]
        measured += [float(norms[0] - norms[1] > norms[1] - norms[2]), float(ranks[-1] < 1.1)]
        texts.append(", ".join(f"{norm:.2f} and rank {rank:.1f}" for norm, rank in zip(norms, ranks, strict=True)))
    return Experiment(
        title="LORAC, a linear map: no prior at tau = 0.2 and 1, then beta = 15, 3, 1, 0.1; norm and rank fall each"
        " time, the norm first more than then, and the last rank is below 1.1",
        x_label="question (two seeds)",
        y_label="answer (1 yes)",
        x=tuple(range(len(measured))),
        measured=tuple(measured),
        predicted=(1.0 * factor,) * len(measured),
        tolerance=0.0,
        absolute=True,
        note=f"norm of a sample's views, which is sqrt(3) at least: {texts[0]}; second seed {texts[1]}",
    )
