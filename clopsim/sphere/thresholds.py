"""Search for critical learning rates: bisection, batched over seeds, that knows nothing of the predicted value."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clopsim.bounds import (
    Setting,
    alignment_collapse_rate,
    alignment_is_resolved,
    alignment_uniform_rate,
    antipodal_line_rate,
    collapse_rate,
    uniform_is_resolved,
    uniform_rate,
)
from clopsim.bounds.setting import Floats, one_of, whole_number
from clopsim.sphere import starts
from clopsim.sphere.dynamics import advance, from_rest, step
from clopsim.sphere.gradient import gradient
from clopsim.sphere.outcomes import is_uniform

Kind = Literal["collapse", "uniform", "alignment_uniform", "alignment_collapse", "line"]

SEARCH_RANGE = (1 / 64, 64.0)
"""Searched rates in units of 2 tau / pull, the paper's upper edge: four thousand-fold, prediction-free. Momentum beta
lowers the lower one by (1 - beta)^2."""

SMALL = 1e-6
"""Size of a perturbation, radians: its square is far below it, its size far above float64's rounding."""

SWING = 1e-2
"""Root-mean-square change of the cosines in one step that counts as a broken uniform state. The state breaks by a flip
(every multiplier of T5 passes -1), so just above the rate the points swing with period two while the energy is still at
chance level. Measured swings: 1e-4 and less below the rate, 5e-2 and more from 1 % above it."""


GROWN = 1.1
"""With momentum a uniform state whose swing has grown by so much since the middle of the run counts as broken too."""

SMALLEST_WIDTH = 1e-9
"""Of a bracket: far below what a perturbation of SMALL can tell, far above rounding."""

BLOCK = 4
"""Steps between two cleanings of the views at collapse: rounding errors grow up to sixfold a step."""


class Seen(NamedTuple):
    """What a probe sees of runs, (runs, n, d) each; without momentum the middle and the step after it are the start."""

    start: Tensor
    middle: Tensor
    beyond: Tensor  # one step after the middle
    end: Tensor
    after: Tensor  # one step after the end


STIRRED = 1e-3
"""How far every point of the uniform state starts from its place, radians. Just above the rate the flip grows by twice
the excess a step: from rounding errors 400 steps would not show it before 4 % above, from here before 0.5 %."""


class Probe(NamedTuple):
    """One kind of search: what starts, how many steps, and whether the run is above the critical rate.

    With momentum as many steps come before the middle, in which the velocity finds its orbit.
    """

    start: Callable[[Setting, float, int], Tensor]  # (setting, temperature, seed) -> (n, d)
    steps: Callable[[float], int]  # of the momentum
    above: Callable[[Seen, Setting], Tensor]  # (runs,) bool
    predicted: Callable[[Setting], float | None]
    flips: bool = False  # whether all points of the start flip, so that a velocity of that orbit is known
    resolved: Callable[[Setting], bool] = lambda setting: True  # False: n is too small for the prediction (T13)


def _spread(z: Tensor) -> Tensor:
    return (z - z.mean(dim=-2, keepdim=True)).square().sum(dim=(-2, -1)).sqrt()


def _off_line(z: Tensor) -> Tensor:
    half = z.shape[-2] // 2
    return _spread(torch.cat([z[..., :half, :], -z[..., half:, :]], dim=-2))  # blind to a turn of the line


def _view_angles(z: Tensor) -> Tensor:
    half = z.shape[-2] // 2
    return (z[..., :half, :] - z[..., half:, :]).norm(dim=-1)  # (..., n/2)


def _attracts(seen: Seen, setting: Setting, size: Callable[[Tensor], Tensor] = _spread) -> Tensor:
    start, middle, end = size(seen.start), size(seen.middle), size(seen.end)
    return end < torch.minimum(start, torch.maximum(middle, SMALL * start))  # what is so small has arrived


def _breaks(seen: Seen, setting: Setting) -> Tensor:
    degrees = max(4, int(uniform_rate(setting).degree))  # low temperatures break above degree 4
    before, swing = _swing(seen.middle, seen.beyond), _swing(seen.end, seen.after)
    calm = (swing < SWING) & is_uniform(seen.end, setting, degrees=degrees)
    if setting.momentum:  # points that start to spin grow slowly (T14)
        calm &= swing < GROWN * before
    broken = ~calm  # nan counts as broken
    return broken | _comes_apart(seen, setting) if setting.loss == "full" else broken


def _swing(z: Tensor, after: Tensor) -> Tensor:
    return (after @ after.mT - z @ z.mT).square().mean(dim=(-2, -1)).sqrt()


def _comes_apart(seen: Seen, setting: Setting) -> Tensor:
    return _is_apart(seen.start, seen.end, setting)


def _is_apart(start: Tensor, end: Tensor, setting: Setting) -> Tensor:
    growth = _view_angles(end) / _view_angles(start)
    passing = (1 + setting.momentum) / (1 - setting.momentum)  # what the velocity may bring up and take back
    return ~(growth.median(dim=-1).values < min(passing**2, 1e4))  # the typical sample; nan counts as apart


PROBES: dict[Kind, Probe] = {
    "collapse": Probe(
        start=lambda setting, tau, seed: starts.near_collapse(setting, spread=SMALL, seed=seed),
        steps=lambda beta: round(50 / (1 - beta)),
        above=_attracts,
        flips=True,
        predicted=lambda setting: _single(collapse_rate(setting)),
    ),
    "uniform": Probe(
        start=lambda setting, tau, seed: starts.near_uniform(setting, temperature=tau, seed=seed, view_angle=STIRRED),
        steps=lambda beta: 400,
        above=_breaks,
        predicted=lambda setting: _first(uniform_rate(setting).rate, alignment_uniform_rate(setting)),
        resolved=lambda setting: uniform_is_resolved(setting) and _views_are_resolved(setting),
    ),
    "alignment_uniform": Probe(
        start=lambda setting, tau, seed: starts.near_uniform(setting, temperature=tau, seed=seed, view_angle=SMALL),
        steps=lambda beta: 60,
        above=_comes_apart,
        predicted=lambda setting: _first(alignment_uniform_rate(setting)),
        resolved=lambda setting: _views_are_resolved(setting),
    ),
    "alignment_collapse": Probe(
        start=lambda setting, tau, seed: starts.near_collapse(setting, spread=SMALL, seed=seed, views="apart"),
        steps=lambda beta: 24 * BLOCK if beta else 12,  # few: see BLOCK
        above=_comes_apart,
        flips=True,
        predicted=lambda setting: _single(alignment_collapse_rate(setting)),
    ),
    "line": Probe(
        start=lambda setting, tau, seed: starts.near_line(setting, spread=1e-3, seed=seed),
        steps=lambda beta: 300,  # many: only the views that are shifted alike decide, half of the start
        above=partial(_attracts, size=_off_line),
        flips=True,
        predicted=lambda setting: _single(antipodal_line_rate(setting)),
    ),
}


@dataclass(frozen=True)
class Threshold:
    """A predicted critical rate beside the searched one; None where there is none."""

    kind: Kind
    setting: Setting
    predicted_rate: float | None
    rate: float | None  # median over seeds of the brackets' geometric middles; None: no change in SEARCH_RANGE
    bracket: tuple[float, float] | None  # below it no seed is above the critical rate, above it every seed is
    searched: tuple[float, float]

    @property
    def relative_gap(self) -> float | None:
        """(observed - predicted) / predicted; None where either is missing."""
        if self.rate is None or self.predicted_rate is None:
            return None
        return self.rate / self.predicted_rate - 1

    def as_row(self, tolerance: float) -> dict[str, Any]:
        """The comparison as plain numbers; None stands for "never", for holds it says that n is too small to tell."""
        return {
            "kind": self.kind,
            "temperature": self.setting.temperature,
            "predicted_rate": self.predicted_rate,
            "observed_rate": self.rate,
            "bracket": self.bracket,
            "searched": self.searched,
            "relative_gap": self.relative_gap,
            "holds": self.agrees(tolerance),
        }

    def agrees(self, tolerance: float) -> bool | None:
        """Whether both say "never", or differ by at most tolerance (relative); None: n is too small to tell (T13)."""
        if not PROBES[self.kind].resolved(self.setting):
            return None
        gap = self.relative_gap
        return abs(gap) <= tolerance if gap is not None else self.rate is None and self.predicted_rate is None


def check(kind: str, setting: Setting, *, width: float = 1e-3) -> Kind:
    """The kind, if it can be searched in this setting to this width; else ValueError."""
    one_of("kind", kind, tuple(PROBES))
    if isinstance(setting.temperature, tuple):
        raise ValueError(f"temperature must be one number here, got {setting.temperature}; search once per temperature")
    if (kind == "line" or kind.startswith("alignment")) and setting.loss != "full":
        raise ValueError(f"loss must be full for {kind}, got {setting.loss!r}; the merged loss has no views")
    if not SMALLEST_WIDTH <= width < 1:
        raise ValueError(
            f"width must be in [{SMALLEST_WIDTH:g}, 1), got {width!r}; 0.001 finds the rate to one part in a thousand"
        )
    return cast(Kind, kind)


def prober(
    kind: Kind, setting: Setting, *, seeds: Sequence[int], device: torch.device | str = "cpu"
) -> Callable[[Sequence[float] | NDArray[np.float64]], NDArray[np.bool_]]:
    """A function from one learning rate per seed to whether that seed's run is above the critical rate.

    All seeds run in one float64 batch from starts that are drawn once.

    Errors: ValueError for an unknown kind, views asked of the merged loss, several temperatures or no seed.
    """
    check(kind, setting)
    whole_number("seeds", len(seeds), low=1)
    probe, tau = PROBES[kind], float(setting.tau)
    drawn = {seed: probe.start(setting, tau, seed) for seed in dict.fromkeys(seeds)}
    start = torch.stack([drawn[seed] for seed in seeds]).to(device)

    steps = probe.steps(setting.momentum)
    cleaned = kind == "alignment_collapse" and setting.momentum > 0

    def travel(z: Tensor, rate: Tensor, velocity: Tensor | None) -> Tensor:
        for _ in range(0, steps, BLOCK if cleaned else steps):
            many = BLOCK if cleaned else steps
            moved = advance(z, rate, torch.full_like(rate, tau), setting=setting, steps=many, velocity=velocity)
            if cleaned and velocity is not None:
                moved, speed = _apart(moved, moved), _apart(velocity, moved)
                moved = moved / moved.norm(dim=-1, keepdim=True)
                velocity.copy_(speed)
                apart = _is_apart(start, z, setting)[:, None, None]  # such a run stays: it may come back by chance
                moved = torch.where(apart, z, moved)
            z = moved
        return z

    def above(rates: Sequence[float] | NDArray[np.float64]) -> NDArray[np.bool_]:
        rate = torch.as_tensor(rates, dtype=start.dtype, device=device)
        velocity = from_rest(start, setting)
        middle = beyond = start
        if velocity is not None:
            if probe.flips:
                velocity = -gradient(start, tau, setting) / (1 + setting.momentum)  # v <- beta v + g turns it round
            middle = travel(start, rate, velocity)
            beyond = step(middle, rate, tau, setting, velocity=velocity.clone())
        end = travel(middle, rate, velocity)
        seen = Seen(start, middle, beyond, end, step(end, rate, tau, setting, velocity=velocity))
        answer: NDArray[np.bool_] = probe.above(seen, setting).cpu().numpy()
        return answer

    return above


def _apart(x: Tensor, z: Tensor) -> Tensor:
    """x (runs, n, d) with only its mean and what differs between the two views of a sample, across the mean of z."""
    first, second = x.chunk(2, dim=-2)
    half = (first - second) / 2
    centre = z.mean(dim=-2, keepdim=True)
    half = half - (half * centre).sum(dim=-1, keepdim=True) * centre / centre.square().sum(dim=-1, keepdim=True)
    return x.mean(dim=-2, keepdim=True) + torch.cat([half, -half], dim=-2)


def search(
    kind: Kind,
    setting: Setting,
    *,
    width: float = 1e-3,
    seeds: Sequence[int] = tuple(range(8)),
    device: torch.device | str = "cpu",
    on_progress: Callable[[float], None] = lambda share: None,
) -> Threshold:
    """Bracket a critical learning rate by bisection in the logarithm: one bracket per seed, all in one batch.

    Starts from SEARCH_RANGE, whatever is predicted, and assumes one change inside it (T4, T5).

    width: requested relative width of each seed's bracket, in (0, 1). on_progress gets the share done, in [0, 1].
    Errors: ValueError as in prober, or for a width outside.
    """
    check(kind, setting, width=width)
    above = prober(kind, setting, seeds=seeds, device=device)
    predicted = PROBES[kind].predicted(setting)
    scale = 2 * float(setting.tau) / setting.pull
    lowest = (1 - setting.momentum) ** 2 * scale  # where the uniform state may spin (T14)
    low, high = (np.full(len(seeds), edge) for edge in (SEARCH_RANGE[0] * lowest, SEARCH_RANGE[1] * scale))
    searched = (float(low[0]), float(high[0]))
    if above(low).any() or not above(high).all():
        return Threshold(kind, setting, predicted, None, None, searched)
    while np.any(high / low > 1 + width):
        on_progress(1 - math.log(np.max(high / low) / (1 + width)) / math.log(searched[1] / searched[0]))
        middle = np.sqrt(low * high)
        is_above = above(middle)
        low, high = np.where(is_above, low, middle), np.where(is_above, middle, high)
    rate = float(np.median(np.sqrt(low * high)))
    return Threshold(kind, setting, predicted, rate, (float(low.min()), float(high.max())), searched)


def _single(rate: Floats | None) -> float | None:
    return None if rate is None else float(rate)


def _first(*rates: Floats | None) -> float | None:
    """The lowest rate that there is: of the uniform state, whichever instability comes first."""
    found = [float(rate) for rate in rates if rate is not None and np.isfinite(rate)]
    return min(found, default=None)


def _views_are_resolved(setting: Setting) -> bool:
    return setting.loss == "merged" or alignment_is_resolved(setting)
