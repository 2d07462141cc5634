"""The norm is free: what weight decay does to training that normalises inside the loss (T10).

Left: the cosine of the two views settles at 1 - mu w, whatever the temperature and the dimension; from mu w = 0.1 on,
long runs end 2 to 5 % further from 1 than that. Right: the squared norm settles at 2 mu/tau, which holds the effective
rate mu/|u|^2 at the edge tau/2. Full loss, free embeddings, weight decay w. The state rings, so each run is averaged
over the second half of its 1000 steps. Points: median and range over seeds.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from bounds import Setting
from bounds.free_norm import decayed_view_cosine, steady_squared_norm
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.dynamics import free_step
from figures.drawing import Drawing, Gap
from figures.runs import Arrays, Run
from figures.style import BLUE, ORANGE, PAGE, STYLE, VERMILION, measured, plain_ticks

SETTINGS = ((3, 1.0), (8, 0.5))
"""(d, tau)"""

SMALL = 0.03
"""Product mu w up to which T10 holds to 1 % here. Above, 1 - cos creeps up over hundreds of steps: at mu w = 0.1 it is
1.02 mu w after 200 steps and 1.045 mu w after 1500, for n = 64 and 256 alike; 1.036 mu w for n = 1024."""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """View cosine and squared norm: (settings, seeds, the decays at mu = 1 and then the rates at mu w = 0.1)."""
    decays = np.array([0.01, 0.1]) if quick else np.array([0.01, 0.03, 0.1, 0.3])  # mu w, at mu = 1
    rates = np.array([0.3, 3.0]) if quick else np.array([0.1, 0.3, 1.0, 3.0, 10.0])  # at mu w = 0.1
    samples, seeds, steps = (128, 1, 200) if quick else (256, 3, 1000)
    mu = np.concatenate([np.ones_like(decays), rates])
    products = np.concatenate([decays, np.full_like(rates, 0.1)])
    cosine = np.empty((len(SETTINGS), seeds, len(mu)))
    norm = np.empty_like(cosine)
    for s, (d, tau) in enumerate(SETTINGS):
        setting = Setting(tau, d, samples, loss="full", gradient="tangent")
        steady = torch.tensor([float(steady_squared_norm(float(m), setting)) for m in mu], dtype=torch.float64)
        for k in range(seeds):
            z = starts.near_uniform(setting, temperature=tau, seed=k, view_angle=0.1)
            u = z * steady.sqrt()[:, None, None]  # where it ends up; decay alone would take long
            for run, product in enumerate(products):  # each its own decay
                state = u[run]
                seen = []
                for done in range(steps):
                    state = free_step(
                        state, float(mu[run]), tau, setting=setting, weight_decay=float(product / mu[run])
                    )
                    if done >= steps // 2:
                        squared = state.square().sum(dim=-1)
                        aligned = geometry.alignment(state / squared.sqrt()[:, None])
                        seen.append((1 - float(aligned) / 2, float(squared.mean())))
                cosine[s, k, run], norm[s, k, run] = np.mean(seen, axis=0)
            on_progress((s * seeds + k + 1) / (len(SETTINGS) * seeds))
    return {
        "samples": np.array(samples),
        "decays": decays,
        "rates": rates,
        "view_cosine": cosine,
        "squared_norm": norm,
    }


def draw(run: Run) -> Drawing:
    """Both panels with T10's lines."""
    decays, rates, cosine, norm = run["decays"], run["rates"], run["view_cosine"], run["squared_norm"]
    mu = np.concatenate([np.ones_like(decays), rates])
    products = np.concatenate([decays, np.full_like(rates, 0.1)])
    predicted = np.array(
        [decayed_view_cosine(float(m), weight_decay=float(p / m)) for m, p in zip(mu, products, strict=True)]
    )
    settings = [Setting(tau, d, int(run["samples"]), loss="full", gradient="tangent") for d, tau in SETTINGS]
    predicted_norm = np.array([[float(steady_squared_norm(float(m), setting)) for m in mu] for setting in settings])
    views = np.abs(np.median(1 - cosine, axis=1) / (1 - predicted) - 1)
    small = products <= SMALL
    first, second = slice(0, len(decays)), slice(len(decays), None)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        fine = np.linspace(0, 0.33, 50)
        left.plot(fine, 1 - fine, color=VERMILION, label=r"$1-\mu w$ (T10)")
        for s, ((d, tau), colour, marker) in enumerate(zip(SETTINGS, (BLUE, ORANGE), "os", strict=True)):
            label = rf"$d={d}$, $\tau={tau:g}$"
            measured(left, decays, cosine[s][:, first], color=colour, marker=marker, label=label, hollow=s > 0)
            measured(right, rates, norm[s][:, second], color=colour, marker=marker, label=label, hollow=s > 0)
            line = np.geomspace(rates[0] / 1.5, rates[-1] * 1.5, 20)
            right.plot(line, 2 * line / tau, color=colour, linewidth=1.2, label=rf"$2\mu/\tau$ (T10), $\tau={tau:g}$")
        left.set(
            xlabel=r"learning rate $\times$ weight decay $\mu w$", ylabel="cosine of the two views", title=r"$\mu=1$"
        )
        right.set(
            xscale="log",
            yscale="log",
            xlabel=r"learning rate $\mu$",
            ylabel=r"squared norm $|u|^2$",
            title=r"$\mu w=0.1$",
        )
        plain_ticks(right, "x", (0.1, 0.3, 1, 3, 10))
        plain_ticks(right, "y", (0.1, 0.3, 1, 3, 10, 30))
        left.legend()
        right.legend()
    numbers = {
        "dimension": np.array([d for d, _ in SETTINGS])[:, None, None],
        "temperature": np.array([tau for _, tau in SETTINGS])[:, None, None],
        "seed": np.arange(cosine.shape[1])[None, :, None],
        "rate": mu[None, None, :],
        "rate_times_decay": products[None, None, :],
        "view_cosine": cosine,
        "squared_norm": norm,
        "predicted_view_cosine": predicted[None, None, :],
        "predicted_squared_norm": predicted_norm[:, None, :],
    }
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap(
                f"1 - cosine of the views from mu w (T10), up to mu w = {SMALL}, relative", views[:, small].max(), 0.03
            ),
            Gap("the same above, where long runs drift past it", views[:, ~small].max(), 0.06),
            Gap(
                "|u|^2 from 2 mu/tau (T10), relative", np.abs(np.median(norm, axis=1) / predicted_norm - 1).max(), 0.03
            ),
        ),
    )
