"""T39: an L-statistic at complete collapse: steps of every kind, their volume, switching runs, fixed choices."""

import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import SIZE, Loss, step
from clopsim.bounds import (
    Gradient,
    collapse_rate,
    frozen_trimming_rate,
    trimmed_multipliers,
    trimmed_volume,
    trimmed_volume_rate,
)
from clopsim.bounds.setting import Loss as Kind
from clopsim.bounds.setting import Setting
from clopsim.losses.info_nce import info_nce_of_rows
from clopsim.losses.l_statistic import l_statistic_of_rows
from clopsim.losses.pairs import Reduction, per_anchor, reduced

TAU = 0.5
GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")


def _merged(z: Tensor, labels: Tensor | None = None, *, reduction: Reduction) -> Tensor:
    """InfoNCE without its attraction, anchor by anchor."""
    losses, _ = per_anchor(z, z, temperature=TAU, itself=True, attraction=torch.zeros_like(z))
    return reduced(losses, None, reduction)


def _full(z: Tensor, labels: Tensor | None = None, *, reduction: Reduction) -> Tensor:
    return info_nce_of_rows(z, temperature=TAU, reduction=reduction)


BASES: dict[Kind, Callable[..., Tensor]] = {"merged": _merged, "full": _full}


def _sorted(keep: float, kind: Kind = "merged") -> Loss:
    """The L-statistic itself, whose choice follows the losses."""
    return lambda z: l_statistic_of_rows(z, base=BASES[kind], keep=keep, together=kind == "full", reduction="sum")


def _frozen(keep: float, n: int, kind: Kind) -> tuple[Loss, Tensor]:
    """The loss with the choice that ties leave, by index, for ever; and which anchors that keeps."""
    weights = l_statistic_of_rows(
        torch.zeros(n, 1, dtype=torch.float64),
        base=lambda z, labels, reduction: z.new_ones(len(z)),
        keep=keep,
        together=kind == "full",
        reduction="none",
    )
    return lambda z: (weights * BASES[kind](z, reduction="none")).sum(), weights > 0


def _point(n: int, d: int) -> Tensor:
    z = torch.zeros(n, d, dtype=torch.float64)
    z[:, 0] = 1
    return z


def _directions(kept: Tensor, kind: Kind) -> dict[str, Tensor]:
    """Profiles over the anchors: kept ones together and apart, trimmed ones, the contrast."""
    half = len(kept) // 2
    rows = torch.arange(len(kept))
    sample = rows % half if kind == "full" else rows

    def pair(inside: Tensor, *, apart: bool = False) -> Tensor:
        one, two = sorted(set(sample[inside].tolist()))[:2]
        if apart:
            return (sample == one).double() * torch.where(rows < half, 1.0, -1.0)
        return (sample == one).double() - (sample == two).double()

    found = {"together": pair(kept), "trimmed": pair(~kept), "contrast": kept.double()}
    return {**found, "apart": pair(kept, apart=True)} if kind == "full" else found


def _factor(loss: Loss, kept: Tensor, name: str, profile: Tensor, *, rate: float, gradient: Gradient) -> float:
    """What one step makes of a profile; of the contrast, the distance of the two means."""
    z = _point(len(kept), 3)
    probe = kept.double() / kept.sum() - (~kept).double() / (~kept).sum() if name == "contrast" else profile
    ends = []
    for side in (SIZE, -SIZE):
        start = z.clone()
        start[:, 1] = side * profile
        end = step(loss, start / start.norm(dim=-1, keepdim=True), rate, gradient)
        ends.append(end[:, 1] * end[:, 0].sign())
    return float(((ends[0] - ends[1]) @ probe) / (2 * SIZE * (profile @ probe)))


def one_step(factor: float = 1.0) -> Experiment:
    """T39: what one step makes of every kind of deviation, with the choice that ties leave."""
    x, measured, predicted = [], [], []
    for (n, k), kind, gradient in product(((12, 8), (16, 4)), BASES, GRADIENTS):
        loss, kept = _frozen(k / n, n, kind)
        for (name, profile), rate in product(_directions(kept, kind).items(), (0.15, 2.0)):
            found = trimmed_multipliers(rate, samples=n, kept=k, temperature=TAU, loss=kind, gradient=gradient)
            x.append(rate)
            measured.append(_factor(loss, kept, name, profile, rate=rate, gradient=gradient))
            predicted.append(float(getattr(found, name)) * factor)
    return Experiment(
        title="one step beside collapse, 8 of 12 and 4 of 16 anchors kept, merged and full, both gradients",
        x_label="learning rate",
        y_label="multiplier",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-5,
    )


def volume_of_a_step(factor: float = 1.0) -> Experiment:
    """T39: the determinant of a step on a circle, the anchors ranked by their losses, at three random states each."""
    x, measured, predicted = [], [], []
    for (n, k), rate in product(((12, 9), (12, 6), (10, 3)), (0.1, 0.4, 0.9, 3.0)):
        for seed in range(3):
            angles = 1e-5 * torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

            def stepped(angles: Tensor, rate: float = rate, k: int = k, n: int = n) -> Tensor:
                z = torch.stack([angles.cos(), angles.sin()], dim=-1)
                moved = z - rate * torch.func.grad(_sorted(k / n))(z)
                return torch.atan(moved[:, 1] / moved[:, 0])  # relative to the state, turned over or not

            jacobian = torch.func.jacrev(stepped)(angles)
            x.append(rate)
            measured.append(float(torch.linalg.slogdet(jacobian)[1]))
            predicted.append(trimmed_volume(rate, samples=n, kept=k, temperature=TAU) * factor)
    return Experiment(
        title="the volume of one step, merged, ambient: 9 of 12, 6 of 12, 3 of 10 anchors kept, three states each",
        x_label="learning rate",
        y_label="log |determinant|",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
    )


def _exponent(loss: Loss, n: int, rate: float, *, steps: int) -> float:
    """Mean logarithm of the growth of the spread in a step, the spread kept at 1e-4; its first fifth left out."""
    z = _point(n, 4)
    move = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logs = []
    for _ in range(steps):
        move = move - move.mean(dim=0)
        before = z.clone()
        before[:, 1:] = 1e-4 * move / move.norm()
        after = step(loss, before / before.norm(dim=-1, keepdim=True), rate, "ambient")
        move = after[:, 1:] / after[:, :1]
        move = move - move.mean(dim=0)
        logs.append(float(move.norm().log()) - math.log(1e-4))
    return sum(logs[steps // 5 :]) / (steps - steps // 5)


def switching_runs(factor: float = 1.0) -> Experiment:
    """T39: whether collapse attracts runs whose anchors are ranked anew at every step."""
    n, x, measured, predicted = 64, [], [], []
    cases = (
        (57, 0.97, 0.0),
        (57, 1.03, 1.0),
        (48, 0.97, 0.0),
        (48, 1.03, 1.0),
        (32, 0.97, 0.0),
        (32, 1.06, 0.0),
        (32, 1.2, 1.0),
    )
    for k, multiple, answer in cases:
        rate = multiple * trimmed_volume_rate(samples=n, kept=k, temperature=TAU) * factor
        x.append(multiple)
        measured.append(float(_exponent(_sorted(k / n), n, rate, steps=250) < 0))
        predicted.append(answer)
    untrimmed = float(collapse_rate(Setting(TAU, 4, n)) or math.nan)
    for k in (64, 57, 48, 32):
        x.append(1.05)
        measured.append(float(_exponent(_sorted(k / n), n, 1.05 * untrimmed * factor, steps=250) < 0))
        predicted.append(float(k == 64))
    return Experiment(
        title="L-statistic, n = 64, merged, ambient: 57, 48, 32 anchors kept about the bound of the volume; then 64,"
        " 57, 48, 32 kept at 1.05 times the rate without trimming",
        x_label="learning rate / predicted",
        y_label="collapse attracts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
        note="trimming raises the rate above which collapse attracts: it does not help collapse",
    )


def fixed_choices(factor: float = 1.0) -> Experiment:
    """T39: with the choice that ties leave for ever, collapse attracts above a higher rate still; full: at none."""
    x, measured, predicted = [], [], []
    for (n, k), multiple in product(((64, 48), (64, 32), (16, 4), (12, 11)), (0.97, 1.03)):
        rate = (frozen_trimming_rate(samples=n, kept=k, temperature=TAU) or math.nan) * factor
        x.append(multiple)
        measured.append(float(_exponent(_frozen(k / n, n, "merged")[0], n, multiple * rate, steps=400) < 0))
        predicted.append(float(multiple > 1))
    for rate in (0.1, 1.0, 10.0, 1000.0):
        x.append(rate)
        measured.append(float(_exponent(_frozen(0.5, 16, "full")[0], 16, rate, steps=100) < 0))
        predicted.append(0.0)
    return Experiment(
        title="a fixed choice of anchors: 48 and 32 of 64, 4 of 16, 11 of 12, merged; then 8 of 16, full",
        x_label="learning rate / predicted (full: learning rate)",
        y_label="collapse attracts (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def low_losses_are_outlying(factor: float = 1.0) -> Experiment:
    """T39: the losses of anchors near collapse, from the distances to their own view and to all others."""
    n, d = 12, 4
    x: list[float] = []
    measured: list[float] = []
    predicted: list[float] = []
    for kind in BASES:
        moves = 1e-3 * torch.randn(n, d - 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        z = torch.cat([torch.ones(n, 1, dtype=torch.float64), moves], dim=1)
        z = z / z.norm(dim=-1, keepdim=True)
        losses = BASES[kind](z, reduction="none") - BASES[kind](_point(n, d), reduction="none")
        far = torch.cdist(moves, moves).square()
        own = far.diagonal(offset=n // 2).repeat(2) if kind == "full" else torch.zeros(n, dtype=torch.float64)
        x += range(n)
        measured += losses.tolist()
        predicted += (factor / (2 * TAU) * (own - far.sum(dim=1) / (n - 1))).tolist()
    return Experiment(
        title="losses of 12 anchors near collapse, merged and full, less their value there",
        x_label="anchor",
        y_label="loss",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=2e-3,
    )
