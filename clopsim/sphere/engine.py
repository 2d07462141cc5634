"""The fast step: dynamics.step for many runs, without a temporary, in chunks that stay in the cache of a core.

With E_ij = exp(s_ij/tau) off the diagonal, 0 on it, and r_i = 1 / sum_j E_ij, the softmax is P = diag(r) E. As E is
symmetric, two products give all sums, E [Z | 1] those of the rows and the pull of the anchors, E rZ that of the keys:

    sum_a (P_ia + P_ai) z_a = r_i (E Z)_i + (E rZ)_i

Arrays are stored with the n samples last, (runs, d, n): each small operation is then one contiguous sweep. Only
products, sums and roots that round alike in any batch are used, so on the CPU a run's result is the same, bit for bit,
whichever runs are beside it and however many threads work.

With momentum beta the heavy ball's velocity v <- beta v + g moves the points instead of the gradient g.

A run whose every number is what it was two steps ago has settled: it stands still or swaps between two states for ever
(above mu_c nearly every run soon does). It is not advanced further, and its result is still that of all the steps.

On a GPU of NVIDIA's float32 runs are advanced by kernels of their own (fused).
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from clopsim.bounds import Setting
from clopsim.sphere import fused
from clopsim.sphere.products import in_turn, prepared

R = TypeVar("R")

CACHE_BYTES = 2**22
"""Size of a chunk's kernel E. Half of it costs two workers a tenth to a sixth more, because Python's lock changes hands
more often; twice of it brings nothing, and the kernels of a few workers no longer fit into the last cache."""

VECTOR = 128
"""E is padded to a multiple of so many elements: torch computes exp2 of what does not fill its vectors another way."""

WORKSPACE = 2**22
"""Room for what the libraries of products take for themselves, a worker; measured: 0.5 MiB at n = 1024, 2.4 at 4096."""

SETTLED = 32
"""Steps between two looks at which runs have settled."""


def lowest_temperature(dtype: torch.dtype) -> float:
    """Lowest tau of the fast step: 0.023 in float32, 0.0029 in float64.

    No row maximum is subtracted. Cosines lie in [-1, 1], so E lies in [exp(-1/tau), exp(1/tau)]; from this temperature
    on even the quotient of the two is a normal number, and no row sum is 0 or infinite whatever the batch.
    """
    return -2.01 / math.log(torch.finfo(dtype).tiny)  # 2 and half a percent for rounding


def chunk_runs(setting: Setting, dtype: torch.dtype) -> int:
    """Runs that one worker advances together on a CPU, at least 1."""
    return max(1, CACHE_BYTES // (dtype.itemsize * setting.samples**2))


def buffer_bytes(setting: Setting, dtype: torch.dtype, *, workers: int = 1) -> int:
    """Memory on a CPU beside z and the result, for any number of runs: an upper bound, tight without prototypes.

    workers * itemsize * (chunk_runs * (n^2 + n (11 d + 4) + 16) + VECTOR);  with momentum 15 d for 11 d
    """
    n, d = setting.samples, setting.dimension
    rows = 15 if setting.momentum else 11
    return workers * dtype.itemsize * (chunk_runs(setting, dtype) * (n**2 + n * (rows * d + 4) + 16) + VECTOR)


def memory_bytes(setting: Setting, dtype: torch.dtype, *, runs: int, workers: int = 1) -> int:
    """Most memory that advance() has in use on a CPU beyond its arguments: buffers, result, workspace of libraries.

    The C library may keep more than is in use: freed buffers, for the next call. With the environment variable
    MALLOC_MMAP_THRESHOLD_=65536 that of Linux gives them back.
    """
    result = runs * setting.samples * setting.dimension * dtype.itemsize
    return buffer_bytes(setting, dtype, workers=workers) + result + workers * WORKSPACE


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
    """Every run after so many steps of dynamics.step.

    z: (runs, n, d) unit rows, kept; rate, tau: (runs,) of z's dtype; prototypes: broadcasts to z. velocity: of z's
    shape, updated in place, needed with momentum. workers: threads on a CPU, by default as many as torch uses; another
    device takes all runs at once.
    Returns (runs, n, d).
    Valid for: tau >= lowest_temperature(z.dtype).
    """
    if not tau.is_meta and tau.numel() and not float(tau.min()) >= lowest_temperature(z.dtype):
        raise ValueError(
            f"tau must be >= {lowest_temperature(z.dtype):.2g} in {z.dtype}, got {float(tau.min()):.2g}; "
            "use dynamics.advance, which takes lower ones slowly"
        )
    if setting.momentum and velocity is None:
        raise ValueError(f"velocity must be given with momentum {setting.momentum:g}, got None; zeros are a rest")
    if not setting.momentum:
        velocity = None
    rows = None if prototypes is None else prototypes.expand_as(z)
    kernels = fused.takes(z, setting)
    if kernels and fused.on_chip(setting, fused.generation(z)):
        own = {"prototypes": rows, "velocity": velocity}
        return fused.descend(z, rate, tau, setting=setting, steps=steps, look=SETTLED, **own)
    result = torch.empty_like(z)

    hands = workers or torch.get_num_threads()  # neighbours in a sweep settle alike: every worker is dealt some of them
    order = torch.argsort(torch.arange(len(z), device=z.device) % hands, stable=True)

    def take(part: slice) -> None:
        runs, left = order[part], steps
        result[runs] = z[runs]
        while left and len(runs):
            own, speed = (None if every is None else every[runs] for every in (rows, velocity))
            chunk = (fused.Streamed if kernels else _Chunk)(result[runs], rate[runs], tau[runs], setting, own, speed)
            left, settled = _until_settled(chunk, left)
            result[runs] = chunk.z.mT
            if velocity is not None and chunk.velocity is not None:
                velocity[runs] = chunk.velocity.mT
            runs = runs[~settled]
            del chunk  # before the next one takes its memory

    in_parts(take, z, setting, workers=workers)
    return result


def in_parts(work: Callable[[slice], R], z: Tensor, setting: Setting, *, workers: int | None = None) -> list[R]:
    """work of every part of the runs of z, in order: on a CPU parts of chunk_runs, shared out to workers; else all at
    once.
    """
    if z.device.type != "cpu":
        return [work(slice(0, len(z)))]
    workers = workers or torch.get_num_threads()
    return in_turn(work, _parts(len(z), chunk_runs(setting, z.dtype), workers), workers=workers)


def _parts(runs: int, size: int, workers: int) -> list[slice]:
    """The runs in slices of at most size; as many slices for each worker, unless there is next to nothing to share."""
    count = max(1, -(-runs // size))
    if runs > size // 16:
        count = min(runs, -(-count // workers) * workers)
    return [slice(low, high) for low, high in pairwise(runs * k // count for k in range(count + 1))]


def _until_settled(chunk: "_Chunk | fused.Streamed", steps: int) -> tuple[int, Tensor]:
    """So many steps, or fewer if a run settles: the steps left, and (runs,) bool, which are where they will end."""
    left, block = steps, 2
    settled = torch.zeros(len(chunk.z), dtype=torch.bool, device=chunk.z.device)
    while left >= 2 and not settled.any():
        block = min(block, left)
        for _ in range(block - 2):
            chunk.step()
        before = [one.clone() for one in _state(chunk)]
        chunk.step()
        between = [one.clone() for one in _state(chunk)]
        chunk.step()
        left, block = left - block, SETTLED
        state = _state(chunk)
        same = [(now == then).flatten(1).all(dim=1) for now, then in zip(state, before, strict=True)]
        settled = same[0] if len(same) == 1 else same[0] & same[1]
        if left % 2:
            for now, then in zip(state, between, strict=True):
                now[settled] = then[settled]
    if not settled.any():
        for _ in range(left):
            chunk.step()
        left = 0
    return left, settled


def _state(chunk: "_Chunk | fused.Streamed") -> list[Tensor]:
    return [chunk.z] if chunk.velocity is None else [chunk.z, chunk.velocity]


class _Chunk:
    """A few runs and the buffers that all their steps reuse."""

    def __init__(
        self, z: Tensor, rate: Tensor, tau: Tensor, setting: Setting, prototypes: Tensor | None, velocity: Tensor | None
    ) -> None:
        runs, n, d = z.shape
        self.setting = setting
        self.rate, tau = rate[:, None, None], tau[:, None, None]
        self.scale = math.log2(math.e) / tau  # exp(s/tau) = 2^(scale s)
        heavy = velocity is not None  # then the rate comes after the velocity
        self.velocity = velocity.mT.contiguous() if velocity is not None else None  # (runs, d, n)
        self.pull = (1 if heavy else self.rate) / (tau * n if setting.reduction == "mean" else tau)
        self.attraction = None if prototypes is None else (1 if heavy else self.rate) * prototypes.mT
        rows = z.new_ones(runs, d + 1, n)  # Z | 1
        self.z = rows[:, :d]
        self.z.copy_(z.mT)
        self.work = z.new_empty(runs, d, n)
        sums = torch.empty_like(rows)
        self.sums, self.norm = sums[:, :d], sums[:, d:]
        self.others = torch.empty_like(self.work)
        self.padded = z.new_zeros(-(-runs * n * n // VECTOR) * VECTOR)
        kernel = self.padded[: runs * n * n].view(runs, n, n)  # E
        self.diagonal = kernel.diagonal(dim1=1, dim2=2)
        self.take_cosines = prepared(self.z.mT, self.work, kernel)
        self.take_sums = prepared(rows, kernel, sums)
        self.take_others = prepared(self.work, kernel, self.others)

    def step(self) -> None:
        """z <- normalise(z - mu g), in place."""
        z, setting, work = self.z, self.setting, self.work
        torch.mul(z, self.scale, out=work)
        self.take_cosines()
        self.padded.exp2_()
        self.diagonal.zero_()
        self.take_sums()
        if setting.keys == "symmetric":
            torch.div(z, self.norm, out=work)
            self.take_others()
            g = self.others.addcdiv_(self.sums, self.norm)
        else:
            g = self.sums.div_(self.norm)
        if setting.loss == "full":
            pull = 2 if setting.keys == "symmetric" else 1
            half = z.shape[2] // 2
            g[..., :half].sub_(z[..., half:], alpha=pull)
            g[..., half:].sub_(z[..., :half], alpha=pull)
        g.mul_(self.pull)  # mu times the gradient from here on, or with momentum the gradient
        if self.attraction is not None:
            g.sub_(self.attraction)
        if setting.gradient == "tangent":
            self._row_sums(torch.mul(z, g, out=work))
            g.sub_(torch.mul(z, self.norm, out=work))
        if self.velocity is not None:
            self.velocity.mul_(setting.momentum).add_(g)
            torch.mul(self.velocity, self.rate, out=g)
        z.sub_(g)
        self._row_sums(torch.mul(z, z, out=work))
        z.div_(self.norm.sqrt_())

    def _row_sums(self, products: Tensor) -> None:
        torch.sum(products, dim=1, keepdim=True, out=self.norm)
