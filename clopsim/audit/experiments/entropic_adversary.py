"""T40: noise on embeddings as temperature, an adversary's harmonic shift, the best law of a linear loss."""

import math
from itertools import product

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.audit.experiments.modes import Loss, growth, step
from clopsim.bounds import (
    Gradient,
    Setting,
    adversarial_curvature,
    adversarial_rate,
    adversarial_swap,
    apart_curvature,
    entropic_deviation,
    entropic_mean,
    multiplier,
    noise_temperature,
    noisy_collapse,
    together_curvature,
)
from clopsim.bounds.setting import Loss as Kind
from clopsim.losses.adversarial import adversarial_of_rows, noisy_of_rows
from clopsim.losses.info_nce import info_nce_of_rows
from clopsim.losses.pairs import Reduction, per_anchor, reduced
from clopsim.metrics import geometry
from clopsim.sphere import starts

GRADIENTS: tuple[Gradient, ...] = ("ambient", "tangent")


def _merged(z: Tensor, labels: Tensor | None = None, *, temperature: float, reduction: Reduction) -> Tensor:
    """InfoNCE without its attraction, anchor by anchor."""
    losses, _ = per_anchor(z, z, temperature=temperature, itself=True, attraction=torch.zeros_like(z))
    return reduced(losses, None, reduction)


def _noisy(kind: Kind, noise: Tensor, temperature: float, sigma: float) -> Loss:
    base = _merged if kind == "merged" else info_nce_of_rows
    return lambda z: noisy_of_rows(z, noise=noise, base=base, temperature=temperature, sigma=sigma, reduction="sum")


def _moves(n: int, d: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Complete collapse, and two samples that part with their views alike, or the views of one."""
    z, one, two = torch.zeros(3, n, d, dtype=torch.float64)
    half = n // 2
    z[:, 0] = 1
    one[0, 1] = one[half, 1] = 0.5
    one[1, 1] = one[half + 1, 1] = -0.5
    two[0, 1], two[half, 1] = math.sqrt(0.5), -math.sqrt(0.5)
    return z, {"together": one, "apart": two}


def noise_at_collapse(factor: float = 1.0) -> Experiment:
    """T40: how much noise changes what one step makes of a deviation, for each sigma^2; exact to that order."""
    sigma, x, measured, predicted = 1e-3, [], [], []
    for (n, d, tau), kind in product(((8, 4, 0.5), (6, 3, 0.3)), ("merged", "full")):
        kind_: Kind = "full" if kind == "full" else "merged"
        corners = math.sqrt(n * d) * torch.eye(n * d, dtype=torch.float64).view(n * d, n, d)
        noise = torch.cat([corners, -corners])  # every second moment of a normal law
        z, moves = _moves(n, d)
        for (name, move), gradient, rate in product(moves.items(), GRADIENTS, (0.05, 0.4)):
            ends, wanted = [], []
            for size in (0.0, sigma):
                ends.append(growth(_noisy(kind_, noise, tau, size), z, move, rate=rate, gradient=gradient, steps=1))
                found = noisy_collapse(samples=n, dimension=d, temperature=tau, sigma=size, loss=kind_)
                curvature = found.together if name == "together" else found.apart
                wanted.append(float(multiplier(rate, curvature=curvature, pull=found.pull, gradient=gradient)))
            x.append(rate)
            measured.append((ends[1] - ends[0]) / sigma**2)
            predicted.append((wanted[1] - wanted[0]) / sigma**2 * factor)
    return Experiment(
        title="one step beside collapse with noise, merged and full, n = 8, d = 4 and n = 6, d = 3, both gradients",
        x_label="learning rate",
        y_label="change of the multiplier / sigma^2",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=5e-3,
    )


def noise_is_temperature(factor: float = 1.0) -> Experiment:
    """T40: in 4000 dimensions, collapse of the merged loss and views apart of the full one turn at T4's rates for the
    temperature that noise acts as."""
    n, d, x, measured, predicted = 8, 4000, [], [], []
    noise = torch.randn(6, n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.cat([noise, -noise])
    z, moves = _moves(n, d)
    for tau, nu in ((0.5, 0.5), (0.2, 1.0)):
        sigma = math.sqrt(nu / (d - 1))
        warmer = noise_temperature(tau, dimension=d, sigma=sigma) * factor
        for multiple in (0.97, 1.03):
            merged = multiple * warmer * (n - 1) / (n - 2)  # T4, both losses
            size = growth(
                _noisy("merged", noise, tau, sigma), z, moves["apart"], rate=merged, gradient="ambient", steps=1
            )
            views = growth(
                _noisy("full", noise, tau, sigma), z, moves["apart"], rate=merged, gradient="tangent", steps=1
            )
            x += [multiple, multiple]
            measured += [float(abs(size) < 1), float(abs(views) < 1)]
            predicted += [float(multiple > 1), float(multiple < 1)]
    return Experiment(
        title="noise in 4000 dimensions, (tau, nu) = (0.5, 0.5), (0.2, 1): merged, ambient; views apart, tangent",
        x_label="learning rate / predicted",
        y_label="a deviation shrinks (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def harmonic_shift(factor: float = 1.0) -> Experiment:
    """T40: what one step makes of deviations from collapse under an adversary of 1, 3 and 60 steps."""
    n, d, x, measured, predicted = 8, 3, [], [], []
    z, moves = _moves(n, d)
    for tau, reach, steps in product((0.5, 0.2), (0.01, 0.04), (1, 3, 60)):
        setting = Setting(tau, d, n, "full")
        for name, curvature in (("together", together_curvature(setting)), ("apart", apart_curvature(setting))):
            shifted = adversarial_curvature(float(curvature), reach=reach, steps=None if steps == 60 else steps)

            def loss(z: Tensor, tau: float = tau, reach: float = reach, steps: int = steps) -> Tensor:
                return adversarial_of_rows(
                    z, temperature=tau, sigma=math.sqrt(reach), entropy=1.0, steps=steps, reduction="sum"
                )

            x.append(reach)
            grown = growth(loss, z, moves[name], rate=0.1, gradient="tangent", steps=1)
            measured.append((1 - grown) / 0.1)
            predicted.append((math.nan if shifted is None else shifted) * factor)
    return Experiment(
        title="InfoNCE under an adversary, n = 8, tau = 0.5 and 0.2, 1, 3 and 60 steps: together and apart",
        x_label="sigma^2 / lambda",
        y_label="curvature",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=1e-4,
    )


def adversarial_rates(factor: float = 1.0) -> Experiment:
    """T40: the rate at which views come apart under an adversary; an escape is slowed and not stopped."""
    n, d, x, measured, predicted = 8, 3, [], [], []
    z, moves = _moves(n, d)
    for tau, reach in ((0.5, 0.05), (0.5, 0.2), (0.2, 0.05)):
        setting = Setting(tau, d, n, "full")
        rate = (adversarial_rate(float(apart_curvature(setting)), reach=reach) or math.nan) * factor

        def loss(z: Tensor, tau: float = tau, reach: float = reach) -> Tensor:
            return adversarial_of_rows(
                z, temperature=tau, sigma=math.sqrt(reach), entropy=1.0, steps=60, reduction="sum"
            )

        for multiple in (0.97, 1.03):
            x.append(multiple)
            grown = growth(loss, z, moves["apart"], rate=multiple * rate, gradient="tangent", steps=1)
            measured.append(float(abs(grown) < 1))
            predicted.append(float(multiple < 1))
        alone = 1 - rate * float(together_curvature(setting))
        slowed = growth(loss, z, moves["together"], rate=rate, gradient="tangent", steps=1)
        x.append(1.0)
        measured.append(float(1 < slowed < alone))
        predicted.append(1.0)
    return Experiment(
        title="InfoNCE under an adversary: views apart at 0.97 and 1.03 of the rate; samples still spread, but slower",
        x_label="learning rate / predicted",
        y_label="answer (1 yes)",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=0.0,
        absolute=True,
    )


def views_swap(factor: float = 1.0) -> Experiment:
    """T40: cosine at which views swap above tau/2 - 2 sigma^2/lambda, tangent, from views that nearly agree."""
    n, d, tau, x, measured, predicted = 100, 3, 2.0, [], [], []
    z = starts.near_uniform(Setting(tau, d, n, "full"), temperature=tau, seed=0, view_angle=0.1)
    for reach, multiple in product((0.04 * tau, tau / 16), (1.1, 1.5)):
        rate, moved = multiple * (tau / 2 - 2 * reach), z

        def loss(z: Tensor, reach: float = reach) -> Tensor:
            return adversarial_of_rows(
                z, temperature=tau, sigma=math.sqrt(reach), entropy=1.0, steps=12, reduction="sum"
            )

        for _ in range(60):
            moved = step(loss, moved, rate, "tangent")
        x.append(multiple)
        measured.append(1 - float(geometry.alignment(moved)) / 2)
        predicted.append(adversarial_swap(rate, temperature=tau, reach=reach) * factor)
    return Experiment(
        title="InfoNCE under an adversary, n = 100, tau = 2, sigma^2/lambda = 0.08, 0.125: the swap of period two",
        x_label="learning rate / predicted start of the swap",
        y_label="cosine of the views",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=2e-3,
        absolute=True,
    )


def best_law_of_a_linear_loss(factor: float = 1.0) -> Experiment:
    """T40: mean and deviation of the law that a search for the largest E[theta u] + H finds on a grid of [-1, 1]."""
    cells = 400
    u = (torch.arange(cells, dtype=torch.float64) + 0.5) * 2 / cells - 1
    x, measured, predicted = [], [], []
    for theta in (0.05, 0.5, 3.0, -12.0):
        logits = torch.zeros(cells, dtype=torch.float64, requires_grad=True)
        search = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

        def loss(logits: Tensor = logits, search: torch.optim.LBFGS = search, theta: float = theta) -> Tensor:
            search.zero_grad()
            p = torch.softmax(logits, dim=0)
            value: Tensor = (p * (torch.log_softmax(logits, dim=0) - theta * u)).sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        search.step(loss)  # type: ignore[no-untyped-call]
        p = torch.softmax(logits.detach(), dim=0)
        mean = float(p @ u)
        x += [theta, theta]
        measured += [mean, float((p @ (u - mean).square()).sqrt())]
        predicted += [entropic_mean(theta) * factor, entropic_deviation(theta) * factor]
    return Experiment(
        title="the largest expected linear loss plus entropy on [-1, 1]: mean and deviation of the law that is found",
        x_label="theta",
        y_label="mean, deviation",
        x=tuple(x),
        measured=tuple(measured),
        predicted=tuple(predicted),
        tolerance=2e-3,
    )
