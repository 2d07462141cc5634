"""Gradient descent on the sphere: many runs advance together as one tensor program."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.metrics import geometry
from clopsim.sphere import engine
from clopsim.sphere.gradient import contrastive_loss, gradient


def step(
    z: Tensor,
    rate: Tensor | float,
    tau: Tensor | float,
    setting: Setting,
    *,
    prototypes: Tensor | None = None,
    velocity: Tensor | None = None,
) -> Tensor:
    """One step z <- normalise(z - mu g) of every run, g as in gradient.gradient.

    With momentum beta the step is the heavy ball's, v <- beta v + g, z <- normalise(z - mu v), and needs a velocity.

    z: (..., n, d) unit rows; rate, tau: broadcast to (...); prototypes: broadcasts to z; velocity: v, as z, 0 for a run
    from rest, updated in place.
    Returns (..., n, d), nan where an embedding was sent to the origin or left the finite numbers: such a run stays nan
    and touches no other.
    """
    rate = torch.as_tensor(rate, dtype=z.dtype, device=z.device)[..., None, None]
    g = gradient(z, tau, setting, prototypes=prototypes)
    if setting.momentum:
        if velocity is None:
            raise ValueError(f"velocity must be given with momentum {setting.momentum:g}, got None; zeros are a rest")
        g = velocity.mul_(setting.momentum).add_(g)
    moved = z - rate * g
    return moved / moved.norm(dim=-1, keepdim=True)


def advance(
    z: Tensor,
    rate: Tensor,
    tau: Tensor,
    *,
    setting: Setting,
    steps: int,
    prototypes: Tensor | None = None,
    velocity: Tensor | None = None,
    workers: int | None = None,
) -> Tensor:
    """Every run after so many steps: by engine.advance, or step by step where the temperature is too low for it.

    Arguments as in engine.advance. Returns (runs, n, d); z is kept.
    """
    low = tau < engine.lowest_temperature(z.dtype)
    rows = None if prototypes is None else prototypes.expand_as(z)
    if velocity is None:
        velocity = from_rest(z, setting)

    def of(runs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        own, speed = (None if every is None else every[runs] for every in (rows, velocity))
        return z[runs], rate[runs], tau[runs], own, speed

    def keep(runs: Tensor, part: Tensor, speed: Tensor | None) -> None:
        result[runs] = part
        if velocity is not None and speed is not None:
            velocity[runs] = speed

    result = torch.empty_like(z)
    part, rates, taus, own, speed = of(~low)
    part = engine.advance(
        part, rates, taus, setting=setting, steps=steps, prototypes=own, velocity=speed, workers=workers
    )
    keep(~low, part, speed)
    part, rates, taus, own, speed = of(low)
    for _ in range(steps if len(part) else 0):
        part = step(part, rates, taus, setting, prototypes=own, velocity=speed)
    keep(low, part, speed)
    return result


def from_rest(z: Tensor, setting: Setting) -> Tensor | None:
    """The velocity of runs that start at z: zeros, and none without momentum."""
    return torch.zeros_like(z) if setting.momentum else None


class Trajectory(NamedTuple):
    """Final embeddings (runs, n, d), the recorded steps, and every observable as (runs, steps[, degrees]) float64."""

    final: Tensor
    steps: tuple[int, ...]
    observables: dict[str, Tensor]
    velocity: Tensor | None  # as final; none without momentum


def recorded_steps(total: int, *, per_decade: int = 8) -> tuple[int, ...]:
    """0, total and about per_decade geometrically spaced steps a decade between."""
    grid = torch.logspace(0, torch.tensor(float(total)).log10().item(), 1 + int(per_decade * len(str(total))))
    return tuple(sorted({0, total, *(int(s) for s in grid.round().tolist())}))


def observe(z: Tensor, tau: Tensor | float, setting: Setting) -> dict[str, Tensor]:
    """Every observable of the configurations z (..., n, d): (...) each, harmonic_energy (..., 4).

    Only the full loss has an alignment.
    """
    values = {
        "mean_resultant_length": geometry.mean_resultant_length(z),
        "effective_rank": geometry.effective_rank(z),
        "effective_rank_centered": geometry.effective_rank(z, centered=True),
        "leading_share": geometry.leading_share(z),
        "mean_cosine": geometry.mean_cosine(z),
        "uniformity": geometry.uniformity(z),
        "harmonic_energy": geometry.harmonic_energy(z),
        "loss": contrastive_loss(z, tau, setting).double(),
    }
    if setting.loss == "full":
        values["alignment"] = geometry.alignment(z)
    return values


def run(
    z: Tensor,
    rate: Tensor,
    tau: Tensor,
    *,
    setting: Setting,
    steps: Sequence[int],
    on_step: Callable[[int], None] = lambda done: None,
) -> Trajectory:
    """Advance every run from rest to the last of the steps, observing at each of them (increasing, from 0 on).

    z: (runs, n, d) unit rows; rate, tau: (runs,). on_step is called with the number of steps done at each record.
    """
    records: list[dict[str, Tensor]] = []
    velocity = from_rest(z, setting)
    done = 0
    for target in steps:
        z = advance(z, rate, tau, setting=setting, steps=target - done, velocity=velocity)
        done = target
        parts = engine.in_parts(partial(_observe_part, z, tau, setting), z, setting)
        records.append({name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]})
        on_step(done)
    stacked = {name: torch.stack([record[name] for record in records], dim=1) for name in records[0]}
    return Trajectory(z, tuple(steps), stacked, velocity)


def _observe_part(z: Tensor, tau: Tensor, setting: Setting, part: slice) -> dict[str, Tensor]:
    return observe(z[part], tau[part], setting)


def free_step(
    u: Tensor, rate: Tensor | float, tau: Tensor | float, *, setting: Setting, weight_decay: float = 0.0
) -> Tensor:
    """One step of what training code does: the norm is free, the loss sees z = u/|u|, the weights decay.

        u <- (1 - mu w) u - (mu/|u|) t,   t the tangent gradient at z

    u: (..., n, d), any non-zero rows; rate, tau: broadcast to (...). Source: T10 (ours).
    Errors: ValueError for the ambient gradient, which code through the normalisation cannot take.
    """
    if setting.gradient != "tangent":
        raise ValueError(f"gradient must be tangent for a free norm, got {setting.gradient!r}; autograd projects it")
    rate = torch.as_tensor(rate, dtype=u.dtype, device=u.device)[..., None, None]
    norm = u.norm(dim=-1, keepdim=True)
    return (1 - rate * weight_decay) * u - rate / norm * gradient(u / norm, tau, setting)
