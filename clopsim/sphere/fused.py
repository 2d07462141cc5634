"""The fast step on a CUDA GPU in float32: which settings have it, and how kernels.py is launched.

A run whose state is small is one program for all its steps: nothing leaves the chip. A larger one is streamed, as in
flash attention: two launches a step, rows by blocks of keys, and nowhere an array of n x n numbers.
"""

import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clopsim.bounds import Setting

MOST_SAMPLES = 4096
"""n up to which keys are streamed; beyond it two products of whole matrices keep a GPU busy."""

MOST_DIMENSIONS = {8: 64, 9: 128}
"""d up to which a block of rows and one of keys fit into the registers of a core, by compute capability; what Triton
makes of the kernels for others has not been looked at."""

ON_CHIP = {8: 2048, 9: 8192}
"""Numbers of a padded state, of z and velocity, up to which a program holds it and spills next to nothing."""

OLDEST = (3, 3)
"""Of Triton: from here on it reshapes a tensor without moving it."""


class Tile(NamedTuple):
    """A block of rows, one of keys, the warps of a program, and the blocks of keys under way."""

    rows: int
    keys: int
    warps: int
    stages: int


def takes(z: Tensor, setting: Setting) -> bool:
    """Whether the kernels advance such runs: float32, on a GPU of NVIDIA's that MOST_DIMENSIONS knows, with Triton."""
    return (
        z.device.type == "cuda"
        and z.dtype == torch.float32
        and setting.samples <= MOST_SAMPLES
        and torch.version.hip is None
        and setting.dimension <= MOST_DIMENSIONS.get(generation(z), 0)
        and _triton() >= OLDEST
        and _starts(z.device)
    )


@cache
def _triton() -> tuple[int, ...]:
    """Version of Triton, which comes with torch's CUDA builds; () where there is none."""
    try:
        import triton
    except ImportError:
        return ()
    return tuple(int(part) for part in triton.__version__.split(".")[:2])


@cache
def _starts(device: torch.device) -> bool:
    """Whether a kernel starts there, found by starting one: to launch, Triton compiles C."""
    one = torch.ones(1, device=device)
    try:
        end = descend(torch.eye(2, device=device)[None], one, one, setting=Setting(0.5, 2, 2), steps=1, look=2)
        return bool(end.isfinite().all())  # waits for it
    except Exception as error:  # of a compiler, a linker, a driver
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "it needs a C compiler and Python's headers"
        told = f"Triton starts no kernel on {device} ({reason}); {remedy}. Runs are advanced without, more slowly"
        warnings.warn(told, RuntimeWarning, stacklevel=2)
        return False


def generation(z: Tensor) -> int:
    """Leading number of the compute capability; a CPU, where Triton interprets, stands for a Hopper."""
    return torch.cuda.get_device_capability(z.device)[0] if z.device.type == "cuda" else 9


def padded(size: int) -> int:
    """The power of two that a product of tiles takes."""
    return max(16, 1 << (size - 1).bit_length())


def on_chip(setting: Setting, capability: int) -> bool:
    """Whether a program holds a whole run."""
    n, d = padded(setting.samples), padded(setting.dimension)
    return n <= 128 and n * d * (2 if setting.momentum else 1) <= ON_CHIP[capability]


def warps(setting: Setting, prototypes: Tensor | None) -> dict[str, int]:
    """Launch options of descend. Four programs of 64 rows share a core, if none takes more than 128 registers a thread:
    with momentum or prototypes it would have to spill.
    """
    n, d = padded(setting.samples), padded(setting.dimension)
    capped = n == 64 and d == 16 and not setting.momentum and prototypes is None
    return {"num_warps": max(n // 16, d // 32)} | ({"maxnreg": 128} if capped else {})


def tile(setting: Setting, capability: int) -> Tile:
    """Blocks of a streamed run: the largest that fit into registers and into shared memory."""
    d = padded(setting.dimension)
    if capability == 9:
        return Tile(64, 64, 4, 2) if d <= 64 else Tile(128, 64, 8, 2)
    return Tile(64, 64, 4, 2) if d <= 32 else Tile(64, 32, 4, 1)


def form(setting: Setting, prototypes: Tensor | None) -> dict[str, bool]:
    """What the kernels are compiled for."""
    return {
        "FULL": setting.loss == "full",
        "TANGENT": setting.gradient == "tangent",
        "SYMMETRIC": setting.keys == "symmetric",
        "PROTOTYPES": prototypes is not None,
        "MOMENTUM": setting.momentum > 0,
    }


class _Launch:
    """What every launch for the same runs is given."""

    def __init__(
        self, z: Tensor, rate: Tensor, tau: Tensor, setting: Setting, prototypes: Tensor | None, velocity: Tensor | None
    ) -> None:
        """z: (runs, n, d), contiguous as velocity; rate, tau: (runs,); prototypes: (runs, n, d)."""
        self.setting = setting
        self.velocity = velocity
        rows = z if prototypes is None else prototypes
        shared = len(z) > 0 and rows.stride(0) == 0  # by all runs
        self.rows = (rows[:1] if shared else rows).contiguous()
        self.every = 0 if shared else self.rows.stride(0)
        self.rate = rate.contiguous()
        self.scale = math.log2(math.e) / tau  # exp((s - 1)/tau) = 2^(c s - c): c = scale
        self.pull = 1 / (tau * setting.samples if setting.reduction == "mean" else tau)
        self.options = {**form(setting, prototypes), "D": padded(setting.dimension), "enable_fp_fusion": False}

    def state(self, z: Tensor, out: Tensor) -> tuple[Any, ...]:
        speed = out if self.velocity is None else self.velocity
        return z, out, speed, self.rows, self.rate, self.scale, self.pull


def _on(z: Tensor) -> AbstractContextManager[object]:
    """Launches go to the current device, which need not be that of the tensors."""
    return torch.cuda.device(z.device) if z.device.type == "cuda" else nullcontext()


def descend(
    z: Tensor,
    rate: Tensor,
    tau: Tensor,
    *,
    setting: Setting,
    steps: int,
    look: int,
    prototypes: Tensor | None = None,
    velocity: Tensor | None = None,
) -> Tensor:
    """engine.advance of runs held on the chip, in one launch.

    look: steps between two looks at whether a run has settled, engine.SETTLED.
    """
    from clopsim.sphere import kernels

    runs, n, d = z.shape
    z, out = z.contiguous(), torch.empty(z.shape, dtype=z.dtype, device=z.device)
    speed = None if velocity is None else velocity.contiguous()
    look = max(2, min(look, steps))
    looks = 1 + max(0, -(-(steps - 2) // look))
    launch = _Launch(z, rate, tau, setting, prototypes, speed)
    with _on(z):
        if runs:
            kernels.descend[(runs,)](
                *launch.state(z, out),
                setting.momentum,
                steps,
                looks,
                look,
                launch.every,
                n=n,
                d=d,
                N=padded(n),
                **launch.options,
                **warps(setting, prototypes),
            )
    if velocity is not None and speed is not None:
        velocity.copy_(speed)
    return out


class Streamed:
    """Runs too large for that, as the engine's own chunk: z and velocity (runs, d, n), a step in place."""

    def __init__(
        self, z: Tensor, rate: Tensor, tau: Tensor, setting: Setting, prototypes: Tensor | None, velocity: Tensor | None
    ) -> None:
        """As _Launch; z and velocity are written to."""
        runs, n, _ = z.shape
        self.z = z.contiguous().mT
        self.velocity = None if velocity is None else velocity.contiguous().mT
        self.other = torch.empty_like(self.z.mT).mT  # a step reads all rows of one and writes them to the other
        self.inverse = z.new_empty(runs, n)
        self.launch = _Launch(z, rate, tau, setting, prototypes, None if self.velocity is None else self.velocity.mT)
        self.tile = tile(setting, generation(z))
        self.programs = runs * -(-n // self.tile.rows)

    def step(self) -> None:
        """z <- normalise(z - mu g)."""
        from clopsim.sphere import kernels

        launch, block = self.launch, self.tile
        n, d = launch.setting.samples, launch.setting.dimension
        shared = {
            "n": n,
            "d": d,
            "M": block.rows,
            "K": block.keys,
            "num_warps": block.warps,
            "num_stages": block.stages,
        }
        with _on(self.z):
            kernels.inverse_sums[(self.programs,)](
                self.z, launch.scale, self.inverse, D=padded(d), enable_fp_fusion=False, **shared
            )
            kernels.move[(self.programs,)](
                *launch.state(self.z, self.other),
                self.inverse,
                launch.setting.momentum,
                launch.every,
                **shared,
                **launch.options,
            )
        self.z, self.other = self.other, self.z
