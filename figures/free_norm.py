"""With weight decay the two views of a sample circle about a swap for ever.

Full loss, free embeddings u. Large dots: 40 steps of evenly spaced samples on a circle, small: 2000 steps of T10's
map; orbits near the swap keep their size, the largest, grey, wanders. Right, mu = 1: T10's average of finite clouds,
and the mean of 1 - cos over mu w, more as their orbits are large; median and range of runs.
"""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.bounds.free_norm import decayed_view_cosine, steady_squared_norm, two_view_step
from clopsim.figures.drawing import Drawing, Gap
from clopsim.figures.runs import Arrays, Run
from clopsim.figures.style import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    PURPLE,
    STYLE,
    VERMILION,
    headline,
    measured,
    plain_ticks,
)
from clopsim.sphere import starts
from clopsim.sphere.dynamics import free_step

SETTINGS = ((3, 1.0), (8, 0.5))
"""(d, tau) of the clouds."""

SIZES = (0.5, 2.0)
"""Squared norms at the start of the clouds, in units of 2 mu/tau."""

TRIED = np.geomspace(0.8, 1.25, 46)
"""Values of M for which the averages are noted, in units of 2 mu/tau: 1 % apart."""

CIRCLE = Setting(0.5, 2, 64, loss="full", gradient="tangent")
"""Even spacing: the other samples pull radially to 1e-16, as T10 has it, while all pairs keep in step."""

PRODUCT = 0.1
"""mu w of the orbits and on the right."""

ORBITS = {(4.4, 0.45): GREEN, (5.2, 0.45): BLUE, (6.0, 0.45): PURPLE, (9.0, 0.45): GREY}
"""Squared norm and angle of the views at the start, mu = 1; the last one is large enough to wander."""

IN_STEP, LONG, WINDOW = 40, 2000, 400
"""Steps for which the pairs on the circle keep in step to 1e-7; steps of the map; first and last steps compared."""


def _views(u: Tensor) -> tuple[Tensor, Tensor]:
    """1 - cosine of the views of every embedding and its squared norm, (..., n) each."""
    squared = u.square().sum(dim=-1)
    first, second = (u / squared.sqrt()[..., None]).chunk(2, dim=-2)
    gap = (first - second).square().sum(dim=-1) / 2
    return torch.cat([gap, gap], dim=-1), squared


def _orbits() -> tuple[np.ndarray, np.ndarray]:
    """1 - cosine and squared norm on the circle, (orbits, steps) each."""
    norm, angle = torch.tensor(list(ORBITS), dtype=torch.float64).T[..., None]
    place = torch.arange(CIRCLE.samples // 2, dtype=torch.float64) * (4 * np.pi / CIRCLE.samples)
    angles = torch.cat([place + angle / 2, place - angle / 2], dim=1)
    u = norm.sqrt()[..., None] * torch.stack([angles.cos(), angles.sin()], dim=-1)
    seen = []
    for _ in range(IN_STEP):
        seen.append(torch.stack(_views(u)).mean(dim=-1))
        u = free_step(u, 1.0, float(CIRCLE.tau), setting=CIRCLE, weight_decay=PRODUCT)
    both: np.ndarray = torch.stack(seen, dim=-1).numpy()
    return both[0], both[1]


def measure(*, quick: bool, on_progress: Callable[[float], None]) -> Arrays:
    """The orbits; for the clouds the means that T10 speaks of, (settings, runs, decays and then rates, values of M)."""
    decays = np.array([0.1, 0.3]) if quick else np.array([0.03, 0.06, 0.1, 0.2, 0.3])  # mu w, at mu = 1
    rates = np.array([0.3, 3.0]) if quick else np.array([0.1, 0.3, 3.0, 10.0])  # at mu w = 0.1
    seeds, steps, first = (1, 300, 100) if quick else (3, 1000, 300)
    mu = np.concatenate([np.ones_like(decays), rates])
    products = np.concatenate([decays, np.full_like(rates, PRODUCT)])
    runs = [(size, seed) for seed in range(seeds) for size in SIZES]
    along = np.zeros((len(SETTINGS), len(runs), len(mu), len(TRIED)))
    across, gaps = np.zeros_like(along), np.zeros(along.shape[:3])
    for s, (d, tau) in enumerate(SETTINGS):
        setting = Setting(tau, d, 256, loss="full", gradient="tangent")
        for k, (size, seed) in enumerate(runs):
            z = starts.near_uniform(setting, temperature=tau, seed=seed, view_angle=0.3)
            for c, (rate, product) in enumerate(zip(mu.tolist(), products.tolist(), strict=True)):
                tried = torch.from_numpy(TRIED[:, None] * 2 * rate / tau)
                u = z * (size * 2 * rate / tau) ** 0.5
                for done in range(steps):
                    if done >= first:
                        gap, squared = _views(u)
                        pulls = tried / squared
                        along[s, k, c] += torch.log1p(pulls * gap / (1 - product)).mean(dim=-1).numpy()
                        across[s, k, c] += (pulls * (2 - gap) - (1 - product)).abs().log().mean(dim=-1).numpy()
                        gaps[s, k, c] += float(gap.mean())
                    u = free_step(u, rate, tau, setting=setting, weight_decay=product / rate)
            on_progress((s * len(runs) + k + 1) / (len(SETTINGS) * len(runs)))
    orbit_gap, orbit_norm = _orbits()
    return {
        "decays": decays, "rates": rates, "orbit_gap": orbit_gap, "orbit_norm": orbit_norm,
        **{name: mean / (steps - first) for name, mean in (("along", along), ("across", across), ("gap", gaps))},
    }  # fmt: skip


def draw(run: Run) -> Drawing:
    """The orbits, and the average that holds the decay."""
    decays, rates = run["decays"], run["rates"]
    mu = np.concatenate([np.ones_like(decays), rates])
    products = np.concatenate([decays, np.full_like(rates, PRODUCT)])
    cosines = np.array([decayed_view_cosine(m, weight_decay=p / m) for m, p in zip(mu, products, strict=True)])
    settings = [Setting(tau, d, 256, loss="full", gradient="tangent") for d, tau in SETTINGS]
    norms = np.array([[float(steady_squared_norm(m, setting)) for m in mu] for setting in settings])
    unit = norms / (2 * mu / np.array([[tau] for _, tau in SETTINGS]))  # M in the units of TRIED: 1, if T10 is right
    along, implied = np.empty((2, *run["gap"].shape))
    for at in np.ndindex(*along.shape):
        along[at] = np.interp(unit[at[0], at[2]], TRIED, run["along"][at]) / -np.log(cosines[at[2]])
        implied[at] = np.interp(0, run["across"][at], TRIED) * 2 * mu[at[2]] / SETTINGS[at[0]][1]

    centre, line = float(steady_squared_norm(1.0, CIRCLE)), []
    norm, angle = np.array(list(ORBITS)).T
    pair = np.sqrt(norm) * np.stack([np.cos(angle / 2), np.sin(angle / 2)])
    for _ in range(LONG):
        line.append((2 * pair[1] ** 2 / np.square(pair).sum(axis=0), np.square(pair).sum(axis=0)))
        pair = two_view_step(pair, rate=1.0, weight_decay=PRODUCT, setting=CIRCLE)
    map_gap, map_norm = np.array(line).transpose(1, 2, 0)  # (orbits, steps) each
    swing = np.abs(np.log(map_norm[:-1] / centre))
    kept = swing[:, -WINDOW:].max(axis=1) / swing[:, :WINDOW].max(axis=1)
    first, second = slice(0, len(decays)), slice(len(decays), None)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        for k, colour in reversed([*enumerate(ORBITS.values())]):
            left.plot(map_norm[k] / centre, map_gap[k], ",", color=colour, alpha=0.6)
            left.plot(run["orbit_norm"][k] / centre, run["orbit_gap"][k], "o", color=colour, markersize=3)
        swap = 1 - decayed_view_cosine(1.0, weight_decay=PRODUCT)
        left.plot(1, swap, "*", color=VERMILION, markersize=11)
        left.text(1, 2.6e-3, "star: the swap (T10)", color=VERMILION, ha="center", weight="bold")
        left.set(xscale="log", yscale="log", xlim=(0.3, 3.2), ylim=(2e-3, 2.2), title=r"orbits, $\mu w=0.1$")
        left.set(xlabel=r"squared norm, $|u|^2\tau/2\mu$", ylabel=r"$1-\cos$ of the views")
        plain_ticks(left, "x", (0.5, 1, 2))
        right.axhline(1, color=VERMILION)
        for s, (colour, marker) in enumerate(((BLUE, "o"), (ORANGE, "s"))):
            measured(right, decays, along[s][:, first], color=colour, marker=marker, hollow=s > 0)
            mean = run["gap"][s][:, first] / decays
            measured(right, decays * (1.03 + 0.06 * s), mean, color=colour, marker="x")
        for s, ((d, tau), colour) in enumerate(zip(SETTINGS, (BLUE, AMBER), strict=True)):
            right.text(0.03, 0.9 - 0.08 * s, rf"$d={d}$, $\tau={tau:g}$", color=colour, transform=right.transAxes)
        right.text(decays[-1], 0.975, "T10's average: 1", color=VERMILION, ha="right", va="top")
        right.text(decays[-1], 1.065, r"crosses: mean of $1-\cos$", ha="right")
        right.set(xscale="log", xlabel=r"rate $\times$ decay $\mu w$", title="average over what T10 says")
        right.set(ylim=(0.93, 1.12))
        plain_ticks(right, "x", (0.03, 0.1, 0.3))
        headline(figure, __doc__)
    off = np.abs(np.log(map_norm[:, :IN_STEP] / run["orbit_norm"])).max()
    numbers = _table(run, mu, products, along, implied, norms, map_norm)
    return Drawing(
        figure,
        numbers,
        gaps=(
            Gap("squared norm on the circle from T10's map, 40 steps, logarithm", off, 1e-4),
            Gap("size of the small orbits after 2000 steps from that at the start, relative",
                np.abs(kept[:-1] - 1).max(), 0.01),
            Gap("mean growth along the midpoint from the decay (T10), relative",
                np.abs(np.median(along, axis=1) - 1).max(), 0.03),
            Gap("M of the growth across it from 2 mu/tau (T10), relative",
                np.abs(np.median(implied, axis=1) / norms - 1)[:, second].max(), 0.03),
        ),
    )  # fmt: skip


def _table(
    run: Run, mu: np.ndarray, products: np.ndarray, along: np.ndarray, implied: np.ndarray, norms: np.ndarray,
    map_norm: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """One row a step of an orbit, then one a cloud; nan where a column is the other's."""
    index = np.indices(along.shape).reshape(3, -1)
    clouds, steps = index.shape[1], run["orbit_norm"].size
    d, tau = np.array(SETTINGS)[index[0]].T

    def rows(orbit: np.ndarray | float, cloud: np.ndarray | float) -> np.ndarray:
        return np.concatenate([np.broadcast_to(orbit, steps), np.broadcast_to(cloud, clouds)])

    return {
        "dimension": rows(CIRCLE.dimension, d).astype(int),
        "temperature": rows(float(CIRCLE.tau), tau),
        "rate": rows(1.0, mu[index[2]]),
        "rate_times_decay": rows(PRODUCT, products[index[2]]),
        "run": rows(np.repeat(np.arange(len(ORBITS)), IN_STEP), index[1]).astype(int),
        "orbit_step": rows(np.tile(np.arange(IN_STEP), len(ORBITS)), np.nan),
        "one_minus_cosine": rows(run["orbit_gap"].ravel(), run["gap"].ravel()),
        "squared_norm": rows(run["orbit_norm"].ravel(), np.nan),
        "predicted_squared_norm": rows(map_norm[:, :IN_STEP].ravel(), np.nan),
        "growth_along_over_decay": rows(np.nan, along.ravel()),
        "implied_m": rows(np.nan, implied.ravel()),
        "predicted_m": rows(np.nan, np.broadcast_to(norms[:, None], along.shape).ravel()),
    }
