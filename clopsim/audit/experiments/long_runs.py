"""T2, T4 and the paper's claims on long runs: where descent ends, from random points and from near collapse."""

import torch
from torch import Tensor

from clopsim.audit.experiments.experiment import Experiment
from clopsim.bounds import Gradient, Setting, exact_rate
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import run

TAU = 0.5
SEEDS = range(3)


def _ends(setting: Setting, start: Tensor, multiples: tuple[float, ...], steps: int) -> Tensor:
    """Final embeddings (multiples, seeds, n, d) of runs from start (seeds, n, d), rates in units of mu_c."""
    z = start.repeat(len(multiples), 1, 1)
    rates = torch.tensor(multiples).double().repeat_interleave(len(start)) * float(exact_rate(setting))
    final = run(z, rates, torch.full_like(rates, float(setting.tau)), setting=setting, steps=(steps,)).final
    return final.view(len(multiples), *start.shape)


def _random(setting: Setting) -> Tensor:
    return torch.stack([starts.random_directions(setting, seed=seed) for seed in SEEDS])


def _near_collapse(setting: Setting, spread: float) -> Tensor:
    return torch.stack([starts.near_collapse(setting, spread=spread, seed=seed) for seed in SEEDS])


def small_steps_end_far_from_collapse(factor: float = 1.0) -> Experiment:
    """T2: full-loss runs that start 1e-6 from a point leave it for good at small rates and fill the space."""
    setting = Setting(TAU, 8, 32, loss="full")
    multiples = (0.05, 0.1, 0.3)
    ranks = geometry.effective_rank(_ends(setting, _near_collapse(setting, 1e-6), multiples, 600))
    return Experiment(
        title="full loss, small steps from 1e-6 beside a collapsed point: effective rank at the end",
        x_label="learning rate / mu_c (three seeds each)",
        y_label="effective rank",
        x=tuple(multiple for multiple in multiples for _ in SEEDS),
        measured=tuple(ranks.flatten().tolist()),
        predicted=(8.0 * factor,) * ranks.numel(),
        tolerance=0.01,
        note="the rank starts at 1.00: a local minimum would keep it there",
    )


def merged_runs_collapse_outside_the_range(factor: float = 1.0) -> Experiment:
    """T4: merged ambient runs from random points collapse completely just above mu_c and not just below."""
    setting = Setting(TAU, 8, 32)
    multiples = (0.5, 0.97, 1.03, 4.0, 16.0)
    final = _ends(setting, _random(setting), tuple(multiple * factor for multiple in multiples), 3000)
    collapsed = geometry.mean_resultant_length(final) > 1 - 1e-6
    return Experiment(
        title="merged loss, ambient gradient, random starts: complete collapse at the end",
        x_label="learning rate / predicted mu_c (three seeds each)",
        y_label="collapsed (1 yes)",
        x=tuple(multiple for multiple in multiples for _ in SEEDS),
        measured=tuple(collapsed.double().flatten().tolist()),
        predicted=tuple(answer for answer in (0.0, 0.0, 1.0, 1.0, 1.0) for _ in SEEDS),
        tolerance=0.0,
        absolute=True,
    )


def full_runs_do_not_collapse(factor: float = 1.0) -> Experiment:
    """T2, T4: full-loss runs from near collapse and from random points at 2 to 60 mu_c: the mean vanishes, R = 0.

    Shown as the share of the energy off the mean, 1 - R^2: 1 for a balanced state, 0 for a collapsed point.
    """
    multiples = (2.0, 10.0, 60.0)
    x, shares = [], []
    gradients: tuple[Gradient, ...] = ("ambient", "tangent")
    for gradient in gradients:
        setting = Setting(TAU, 8, 32, loss="full", gradient=gradient)
        for start in (_near_collapse(setting, 1e-3), _random(setting)):
            lengths = geometry.mean_resultant_length(_ends(setting, start, multiples, 600))
            x += [multiple for multiple in multiples for _ in SEEDS]
            shares += (1 - lengths.square()).flatten().tolist()
    return Experiment(
        title="full loss at 2, 10 and 60 mu_c, both gradients, from near collapse and from random points",
        x_label="learning rate / mu_c (three seeds each)",
        y_label="energy off the mean, 1 - R^2",
        x=tuple(x),
        measured=tuple(shares),
        predicted=(1.0 * factor,) * len(x),
        tolerance=0.01,
        note="a collapsed point has 0; the merged loss with the ambient gradient ends there at such rates",
    )


def full_loss_ends_on_a_line(factor: float = 1.0) -> Experiment:
    """T11, T12: at 5 and 20 mu_c the ambient full loss ends on a line, views antipodal, and not on a point."""
    setting = Setting(TAU, 8, 32, loss="full")
    multiples = (0.5, 5.0, 20.0)
    start = torch.stack([starts.near_uniform(setting, temperature=TAU, seed=seed, view_angle=0.1) for seed in SEEDS])
    ranks = geometry.effective_rank(_ends(setting, start, multiples, 1000))
    return Experiment(
        title="full loss, ambient gradient: effective rank at 0.5, 5 and 20 mu_c",
        x_label="learning rate / mu_c (three seeds each)",
        y_label="effective rank",
        x=tuple(multiple for multiple in multiples for _ in SEEDS),
        measured=tuple(ranks.flatten().tolist()),
        predicted=tuple(rank * factor for rank in (8.0, 1.0, 1.0) for _ in SEEDS),
        tolerance=0.01,
        note="rank 1 with R = 0: a line, not the point that the paper's argument describes",
    )
