"""The main job: sweep the learning rate, search the thresholds, hold both against the bound."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import product

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from bounds import Setting, critical_rates, exact_rate, loss_at_collapse
from clopsim import starts
from clopsim.config import Sweep
from clopsim.data import antipodal_lines, gaussian_clusters
from clopsim.dynamics import recorded_steps, run
from clopsim.outcomes import classify
from clopsim.thresholds import Kind, Threshold, search

CHUNK_ELEMENTS = 2**22
"""Cosines held at once (32 MiB in float64); further runs go in the next chunk, so memory does not grow with them."""

NEAR_COLLAPSE = 1e-3
"""Spread, in radians, of start="collapse"."""

TOLERANCE = 0.01
"""Largest relative gap between the predicted and the observed rate at which the bound is said to hold."""

DIMENSIONS = ("temperature", "rate", "seed", "step")


def check_device(name: str, precision: str) -> torch.device:
    """The torch device of that name; ValueError where it is unknown, absent or without the precision."""
    known = "; use cpu, cuda or mps"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"device must be one that torch has here, got {name!r} ({reason}){known}") from None
    if device.type == "meta":
        raise ValueError(f"device must hold numbers, got 'meta'{known}")
    if device.type == "mps" and precision == "float64":
        raise ValueError("precision must be float32 on mps, got 'float64'; MPS has no float64")
    return device


def run_sweep(config: Sweep, *, on_progress: Callable[[float], None] = lambda share: None) -> xr.Dataset:
    """Run every (temperature, rate, seed) and return the observables along the runs as a labelled dataset.

    Variables over (temperature, rate, seed, step[, degree]) as in dynamics.observe, `outcome` over (temperature, rate,
    seed); coordinates rate (units of mu_c), learning_rate and mu_c (absolute). A run that left the finite numbers is
    nan from there on and its outcome is "diverged". on_progress gets the share of the work that is done, in [0, 1].
    """
    device = check_device(config.device, config.precision)
    dtype = torch.float64 if config.precision == "float64" else torch.float32
    seeds = range(config.seed, config.seed + config.seeds)
    cells = list(product(range(len(config.settings)), range(len(config.rates)), range(config.seeds)))
    table = [[_start(config, setting, seed) for seed in seeds] for setting in config.settings]
    steps = recorded_steps(config.steps)
    chunk = max(1, CHUNK_ELEMENTS // config.samples**2)
    observables: list[dict[str, Tensor]] = []
    outcomes: list[np.ndarray] = []
    for first in range(0, len(cells), chunk):
        part = cells[first : first + chunk]
        z = torch.stack([table[t][s] for t, _, s in part]).to(device, dtype)
        rate = torch.tensor(
            [config.rates[r] * _unit(config.settings[t]) for t, r, _ in part], dtype=dtype, device=device
        )
        tau = torch.tensor([config.settings[t].temperature for t, _, _ in part], dtype=dtype, device=device)

        def report(done: int, first: int = first, size: int = len(part)) -> None:
            on_progress((first + size * done / config.steps) / len(cells))

        trajectory = run(z, rate, tau, setting=config.settings[0], steps=steps, on_step=report)
        observables.append(trajectory.observables)
        outcomes.append(classify(trajectory.final, rate, tau, config.settings[0]))

    shape = (len(config.settings), len(config.rates), config.seeds)
    units = np.array([_unit(setting) for setting in config.settings])
    dataset = xr.Dataset(
        coords={
            "temperature": [setting.temperature for setting in config.settings],
            "rate": ("rate", list(config.rates), {"long_name": "learning rate in units of mu_c"}),
            "seed": list(seeds),
            "step": list(steps),
            "degree": [1, 2, 3, 4],
            "mu_c": ("temperature", units, {"long_name": "tau (n-1)/(n-2), scaled to keys and reduction"}),
            "learning_rate": (("temperature", "rate"), units[:, None] * np.array(config.rates)),
        }
    )
    for name in observables[0]:
        values = torch.cat([part[name] for part in observables]).numpy()
        dims = (*DIMENSIONS, "degree") if values.ndim == 3 else DIMENSIONS
        dataset[name] = (dims, values.reshape(*shape, *values.shape[1:]))
    dataset["outcome"] = (DIMENSIONS[:3], np.concatenate(outcomes).reshape(shape))
    dataset["loss_at_collapse"] = ("temperature", [float(loss_at_collapse(setting)) for setting in config.settings])
    return dataset


def search_thresholds(config: Sweep, *, on_progress: Callable[[float], None] = lambda share: None) -> list[Threshold]:
    """The critical rates that are exact for this batch (T4), searched by bisection at every temperature.

    Collapse for every loss; the alignment of the views at collapse for the full loss.
    """
    device = "cpu" if config.device.startswith("mps") else config.device  # the search needs float64
    kinds: tuple[Kind, ...] = ("collapse",) if config.loss == "merged" else ("collapse", "alignment_collapse")
    seeds = range(config.seed, config.seed + config.seeds)
    pairs = list(product(config.settings, kinds))
    found = []
    for done, (setting, kind) in enumerate(pairs, start=1):
        found.append(search(kind, setting, seeds=seeds, device=device))
        on_progress(done / len(pairs))
    return found


def summarise(config: Sweep, dataset: xr.Dataset, thresholds: list[Threshold]) -> dict[str, object]:
    """The verdict and what it rests on, as plain numbers for summary.json; None stands for "never"."""
    final = dataset.isel(step=-1)
    collapsed = (dataset["outcome"] == "collapsed").all("seed")
    uniform = (dataset["outcome"] == "uniform").all("seed")
    rows = [threshold.as_row(TOLERANCE) for threshold in thresholds]
    per_temperature = [
        {
            "temperature": setting.temperature,
            "mu_c": _unit(setting),
            "predicted": asdict(critical_rates(setting)),
            "uniform_up_to": _last_of_leading(uniform[t]),
            "collapsed_from": _first_of_trailing(collapsed[t]),
            "outcomes": {
                str(name): int(count)
                for name, count in zip(*np.unique(dataset["outcome"][t], return_counts=True), strict=True)
            },
            "loss_at_collapse": float(dataset["loss_at_collapse"][t]),
            "loss_at_highest_rate": _finite(final["loss"][t, -1].median()),
        }
        for t, setting in enumerate(config.settings)
    ]
    return {
        "holds": all(row["holds"] for row in rows),
        "tolerance": TOLERANCE,
        "thresholds": rows,
        "sweep": per_temperature,
        "setting": {key: value for key, value in asdict(config).items() if key != "rates"},
        "rates": list(config.rates),
    }


def _start(config: Sweep, setting: Setting, seed: int) -> Tensor:
    if config.start == "data":
        lines = config.data == "lines"
        x = _lines(config, seed) if lines else gaussian_clusters(config.gaussian, seed=seed).x
        return starts.from_data(setting, x, view_noise=config.view_noise, antipodal=lines, seed=seed)
    if config.start == "random":
        return starts.random_directions(setting, seed=seed)
    if config.start == "uniform":
        return starts.near_uniform(setting, temperature=float(setting.tau), seed=seed, view_angle=NEAR_COLLAPSE)
    return starts.near_collapse(setting, spread=NEAR_COLLAPSE, seed=seed)


def _lines(config: Sweep, seed: int) -> NDArray[np.float64]:
    spec = config.gaussian
    return antipodal_lines(spec.samples, dimension=spec.dimension, classes=spec.clusters, noise=spec.noise, seed=seed).x


def _unit(setting: Setting) -> float:
    return float(exact_rate(setting))


def _last_of_leading(flags: xr.DataArray) -> float | None:
    """Highest rate such that the flag holds there and at every lower rate; None if it fails at the lowest."""
    count = int(np.cumprod(flags.values).sum())
    return float(flags["rate"][count - 1]) if count else None


def _first_of_trailing(flags: xr.DataArray) -> float | None:
    """Lowest rate such that the flag holds there and at every higher rate; None if it fails at the highest."""
    count = int(np.cumprod(flags.values[::-1]).sum())
    return float(flags["rate"][-count]) if count else None


def _finite(value: xr.DataArray) -> float | None:
    return float(value) if np.isfinite(value) else None
