"""Above half the temperature the two views of a sample swap for ever.

Full InfoNCE loss, tangent gradient, even spread of 400 embeddings. Line: T5, 1 and then tau/(2 mu). Points: median and
range over seeds of the mean cosine of the views after the last step, from views 0.001 rad apart. Far above mu_align
the swapping views disturb the even spread, here at d = 8, and T5 no longer holds.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from clopsim.bounds import Setting, alignment_uniform_rate, swap_cosine
from clopsim.figures.drawing import Drawing, Gap, apart
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.simulate import final, part_of
from clopsim.figures.style import BLUE, GREEN, ORANGE, PAGE, PURPLE, STYLE, VERMILION, headline, measured
from clopsim.metrics import geometry
from clopsim.sphere import starts
from clopsim.sphere.thresholds import search

SETTINGS = ((3, 1.0), (8, 0.5))
"""(d, tau)"""


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """View cosines after the last step: (settings, seeds, rates)."""
    ratios = np.array(
        [0.6, 0.9, 1.2, 1.5] if quick else [0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5]
    )
    samples, seeds, steps = (128, 1, 150) if quick else (400, 3, 300)
    observed = np.empty((len(SETTINGS), seeds, len(ratios)))
    searched = []
    for s, (d, tau) in enumerate(SETTINGS):
        setting = Setting(tau, d, samples, loss="full", gradient="tangent")
        edge = float(alignment_uniform_rate(setting) or np.nan)
        table = torch.stack(
            [starts.near_uniform(setting, temperature=tau, seed=k, view_angle=1e-3) for k in range(seeds)]
        )
        searched.append(search("alignment_uniform", setting, seeds=range(2)).rate or np.nan)
        z = table.repeat_interleave(len(ratios), dim=0)
        rate = torch.from_numpy(edge * ratios).repeat(seeds)
        end = final(
            z, rate, torch.full_like(rate, tau), setting=setting, steps=steps,
            on_progress=part_of(on_progress, s, len(SETTINGS)),
        )  # fmt: skip
        observed[s] = (1 - geometry.alignment(end) / 2).numpy().reshape(seeds, len(ratios))
    return {
        "rate_over_mu_align": ratios,
        "samples": np.array(samples),
        "view_cosine": observed,
        "searched": np.array(searched),
    }


def draw(run: Run) -> Drawing:
    """T5 is valid while the other samples stay uniform, up to about 1.6 mu_align."""
    ratios, observed, samples = run["rate_over_mu_align"], run["view_cosine"], int(run["samples"])
    fine = np.linspace(0.4, 2.6, 300)
    predicted, edges = np.empty((len(SETTINGS), len(ratios))), []
    for s, (d, tau) in enumerate(SETTINGS):
        setting = Setting(tau, d, samples, loss="full", gradient="tangent")
        edge = float(alignment_uniform_rate(setting) or np.nan)
        edges.append(apart(run["searched"][s], edge))
        predicted[s] = [swap_cosine(edge * ratio, setting) for ratio in ratios]
        line = [float(swap_cosine(edge * ratio, setting)) for ratio in fine]  # the same for every setting
    gaps = np.abs(np.median(observed, axis=1) - predicted)[:, ratios <= 1.6]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.3), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(fine[0], 1, color=GREEN, alpha=0.13, linewidth=0)
        axes.axvspan(1, fine[-1], color=PURPLE, alpha=0.13, linewidth=0)
        axes.plot(fine, line, color=VERMILION, label=r"T5: $1$, then $\tau/(2\mu)$")
        for s, ((d, tau), colour, marker) in enumerate(zip(SETTINGS, (BLUE, ORANGE), "os", strict=True)):
            label = rf"simulation, $d={d}$, $\tau={tau:g}$"
            measured(axes, ratios, observed[s], color=colour, marker=marker, hollow=s > 0, label=label)
        axes.set(xlabel=r"learning rate $\mu/\mu_{\rm align}$,  $\mu_{\rm align}=\tau/2$", ylim=(0, 1.08))
        axes.set(ylabel="cosine of the two views", xlim=(fine[0], fine[-1]))
        axes.text(0.97, 0.06, "together", ha="right", weight="bold", color=GREEN)
        axes.text(1.03, 0.06, "swapping at every step", weight="bold", color=PURPLE)
        axes.legend(loc="upper right")
        headline(figure, __doc__)
    numbers = {
        "dimension": np.array([d for d, _ in SETTINGS])[:, None, None],
        "temperature": np.array([tau for _, tau in SETTINGS])[:, None, None],
        "seed": np.arange(observed.shape[1])[None, :, None],
        "rate_over_mu_align": ratios[None, None, :],
        "view_cosine": observed,
        "predicted_view_cosine": predicted[:, None, :],
    }
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("searched rate at which views part from mu_align (T5), relative", max(edges), 0.02),
            Gap("cosine of the views from T5, up to 1.6 mu_align", float(gaps.max()), 0.03),
        ),
    )
