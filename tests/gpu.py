"""python -m tests.gpu: on one NVIDIA GPU, are the kernels right, and how fast are they? Without one it says so.

It holds descents on the GPU against the CPU in float64, runs every command that has --device there, and times a step
beside torch.compile and JAX (extra "bench"), all in turn in one process; then it does the same for training
(tests/gpu_training.py). Under six minutes. Status 1 where something is wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # before JAX, which would take most of the memory

import numpy as np
import torch
from torch import Tensor

from clopsim.bounds import Setting, exact_rate
from clopsim.sphere import engine, fused, starts
from clopsim.sphere.dynamics import step
from clopsim.sphere.outcomes import classify
from tests import gpu_training
from tests.bench import contenders
from tests.bench.contenders import looked
from tests.bench.workload import draw
from tests.gpu_training import wait

ROOT = Path(__file__).parent.parent

FORMS = tuple(product(("merged", "full"), ("ambient", "tangent"), ("symmetric", "detached"), ("sum", "mean")))
USUAL, MOST = FORMS[0], FORMS[13]
CHECKED = (
    *(((64, 8), form) for form in FORMS),
    *product(((20, 3), (128, 64), (64, 128), (130, 9), (300, 40), (256, 128)), (USUAL, MOST)),
)
"""On the chip with and without padding, and streamed in several blocks."""

TIMED = ((64, 8, 512, 1000), (64, 8, 8192, 1000), (64, 8, 65536, 200), (256, 128, 512, 100))
"""n, d, runs, steps."""

LAUNCHED = ((32, 8), (64, 8), (64, 32), (64, 128), (128, 8), (128, 64))

COMMANDS = (
    "sweep --samples 32 --steps 300 --seeds 2",
    "sweep --samples 32 --steps 300 --seeds 2 --precision float32",
    "sweep --samples 150 --steps 50 --seeds 1 --precision float32",
    "train --data digits --samples 300 --steps 30",
    "train-sweep --data digits --samples 300 --steps 30",
)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    options.add_argument("--rounds", type=int, default=5, help="of every timing, after a first that does not count")
    options.add_argument("--launches", action="store_true", help="only times other numbers of warps and registers")
    given = options.parse_args()
    if not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device here")
        return
    names = ("torch", "triton", "jax")
    print(torch.cuda.get_device_name(), *(f"{name} {version(name)}" for name in names if find_spec(name)), sep=", ")
    device = torch.device("cuda")
    if given.launches:
        print(launches(device, rounds=given.rounds))
        return
    began = time.perf_counter()
    wrong = [*descents(device), *precise(device), *settled(device), *verdicts(device), *commands("cuda")]
    print("\n".join(wrong) or "every descent and every command does on the GPU what it does on the CPU")
    for size in TIMED:
        print(table(device, *size, rounds=given.rounds), flush=True)
    trained = gpu_training.check(device)
    print(*trained or ["training does too"], gpu_training.table(device), sep="\n")
    wrong += trained
    print(f"{time.perf_counter() - began:.0f} s")
    sys.exit(bool(wrong))


def some(setting: Setting, device: torch.device, *, runs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random points in float32, rates and temperatures from 0.03 on, all different; rows of prototypes."""
    z = torch.stack([starts.random_directions(setting, seed=seed) for seed in range(runs)])
    rows = 3 * starts.random_directions(setting, seed=99)
    rows[::2] = 0  # unlabelled
    rate, tau = torch.logspace(-1, 0.7, runs), torch.logspace(-1.52, 0.7, runs)
    return tuple(one.float().to(device) for one in (z, rate, tau, rows))


def descents(device: torch.device, checked: Any = CHECKED) -> list[str]:
    """What is wrong, a line each: three steps against the reference in float64, and how far float32 itself is off.

    Three steps at a third of the rate: past that, the instability of the dynamics is what one sees.
    """
    found, worst = [], 0.0
    for ((n, d), form), momentum in product(checked, (0.0, 0.6)):
        setting = Setting(0.5, d, n, *form, momentum=momentum)
        z, rate, tau, rows = some(setting, device, runs=5)
        rate = rate * tau * (n if form[3] == "mean" else 1) / 3
        prototypes = rows if momentum else None
        start = torch.zeros_like(z)
        ends = [engine.advance(z, rate, tau, setting=setting, steps=3, prototypes=prototypes, velocity=start.clone())]
        for dtype in (torch.float64, torch.float32):
            x, mu, temperature, speed = (one.cpu().to(dtype) for one in (z, rate, tau, start))
            own = None if prototypes is None else prototypes.cpu().to(dtype)
            for _ in range(3):
                x = step(x, mu, temperature, setting, prototypes=own, velocity=speed)
            ends.append(x)
        mine, exact, plain = (end.cpu().double() for end in ends)
        gap, usual = float((mine - exact).abs().max()), float((plain - exact).abs().max())
        worst = max(worst, gap)
        if not gap <= max(1e-5, 5 * usual):
            found.append(
                f"n = {n}, d = {d}, {' '.join(form)}, momentum {momentum}: {gap:.1e}, float32 itself {usual:.1e}"
            )
    print(f"three steps, {len(checked)} forms, with prototypes and momentum: at most {worst:.1e} from float64")
    return found


def precise(device: torch.device) -> list[str]:
    """What is wrong: a step in float64 against the CPU's."""
    found = []
    for form in FORMS:
        setting = Setting(0.5, 8, 20, *form)
        z, rate, tau, rows = (one.double() for one in some(setting, device, runs=5))
        there = engine.advance(z, rate, tau, setting=setting, steps=1, prototypes=rows).cpu()
        here = step(z.cpu(), rate.cpu(), tau.cpu(), setting, prototypes=rows.cpu())
        gap = float((there - here).abs().max())
        if not gap <= 1e-12:
            found.append(f"float64, {' '.join(form)}: {gap:.1e} from the CPU")
    return found


def settled(device: torch.device, *, runs: int = 64, steps: int = 2001) -> list[str]:
    """What is wrong: runs that are stopped once they have settled against those of which every step is taken."""
    found = []
    for n, d, momentum in ((64, 8, 0.0), (33, 5, 0.5), (200, 8, 0.0)):
        setting = Setting(0.5, d, n, momentum=momentum)
        z, _, _, _ = some(setting, device, runs=runs)
        rate = float(exact_rate(setting)) * torch.logspace(-1, 1, runs, device=device)
        tau = torch.full_like(rate, 0.5)
        ends = []
        for often in (engine.SETTLED, steps + 1):
            speed = torch.zeros_like(z)
            with looked(often):
                ends.append(engine.advance(z, rate, tau, setting=setting, steps=steps, velocity=speed))
        if not torch.equal(*ends):
            found.append(f"n = {n}, momentum {momentum}: settled runs do not end where they would")
    return found


def verdicts(device: torch.device, *, runs: int = 512, steps: int = 1000) -> list[str]:
    """What is wrong: the outcomes of a sweep here and on the CPU. A few runs in a hundred may part by rounding."""
    setting = Setting(0.5, 8, 64)
    z, rate, tau = (torch.from_numpy(one) for one in draw(64, 8, runs))
    here = classify(engine.advance(z, rate, tau, setting=setting, steps=steps), rate, tau, setting)
    z, rate, tau = (one.to(device) for one in (z, rate, tau))
    there = classify(engine.advance(z, rate, tau, setting=setting, steps=steps), rate, tau, setting)
    different = int((np.asarray(here) != np.asarray(there)).sum())
    print(f"outcomes of {runs} runs after {steps} steps: {different} differ from the CPU's")
    return [f"{different} of {runs} outcomes differ from the CPU's"] if different > runs / 50 else []


def commands(device: str) -> list[str]:
    """What is wrong: every command with --device, in a process of its own."""
    found = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for words in COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "clopsim", *words.split(), "--device", device, "--out", "run"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [""]
            found.append(f"clopsim {words} --device {device}: status {done.returncode}, {said[-1]}")
    return found


@contextmanager
def without_kernels() -> Iterator[None]:
    """The engine's own step, as on a GPU without Triton."""
    with patch.object(fused, "takes", lambda z, setting: False):
        yield


class Contender(NamedTuple):
    """work: all the steps, and waits for them; gap: largest difference of one step to float64."""

    name: str
    work: Callable[[int], Any]
    gap: float


def table(device: torch.device, n: int, d: int, runs: int, steps: int, *, rounds: int) -> str:
    """Microseconds per run and step, every step taken: medians, and median ratios to clopsim's in a round."""
    entered = contending(device, n, d, runs)
    seconds = np.zeros((rounds, len(entered)))
    for k in range(rounds + 1):  # the first is the warm-up
        for c, contender in enumerate(entered):
            start = time.perf_counter()
            contender.work(steps)
            seconds[max(k - 1, 0), c] = time.perf_counter() - start
    lines = [
        f"\nn = {n}, d = {d}, {runs} runs, {steps} steps: us per run and step, times clopsim's, gap of one step",
        *(
            f"{contender.name:34}{np.median(seconds[:, c]) / runs / steps * 1e6:10.4f}"
            f"{np.median(seconds[:, c] / seconds[:, 0]):9.2f}{contender.gap:10.0e}"
            for c, contender in enumerate(entered)
        ),
    ]
    return "\n".join(lines)


def contending(device: torch.device, n: int, d: int, runs: int) -> list[Contender]:
    """clopsim first; every start is on the device before the clock runs, and every end stays there."""
    setting = Setting(0.5, d, n)
    arrays = draw(n, d, runs)
    z, rate, tau = (torch.from_numpy(one).to(device) for one in arrays)
    few = slice(0, 16)
    exact = contenders.reference(*(one[few].astype(np.float64) for one in arrays), 1)

    def ours(steps: int) -> Tensor:
        with looked(steps + 1):
            end = engine.advance(z, rate, tau, setting=setting, steps=steps)
        wait(device)
        return end

    def earlier(steps: int) -> Tensor:
        with without_kernels():
            return ours(steps)

    one_step = torch.compile(lambda x: step(x, rate, tau, setting))

    def compiled(steps: int) -> Tensor:
        x = z
        for _ in range(steps):
            x = one_step(x)
        wait(device)
        return x

    works: list[tuple[str, Callable[[int], Any]]] = [("clopsim", ours), ("clopsim without its kernels", earlier)]
    works.append(("torch.compile of the plain step", compiled))
    if find_spec("jax"):
        works += of_jax(device, arrays)
    found = []
    for name, work in works:
        end = work(1)[few]
        array = end.cpu().numpy() if isinstance(end, Tensor) else np.asarray(end)
        found.append(Contender(name, work, float(np.abs(array - exact).max())))
    return found


def of_jax(device: torch.device, arrays: Any) -> list[tuple[str, Callable[[int], Any]]]:
    """The fastest form that we found, as JAX multiplies by default (in TF32 on such a GPU) and in float32."""
    import jax

    if jax.default_backend() != ("gpu" if device.type == "cuda" else "cpu"):
        print("JAX is left out: it does not see the GPU")
        return []
    held = [jax.device_put(one) for one in arrays]

    def at(precision: str) -> Callable[[int], Any]:
        advance = contenders.jax_compiled(contenders.jax_weights)

        def work(steps: int) -> Any:
            with jax.default_matmul_precision(precision):
                return advance(*held, steps).block_until_ready()

        return work

    return [("JAX, as it comes", at("default")), ("JAX, float32 products", at("highest"))]


def launches(device: torch.device, *, rounds: int, sizes: Any = LAUNCHED, runs: int = 4096, steps: int = 200) -> str:
    """Microseconds per run and step of a descent on the chip, by warps and most registers of a thread."""
    lines = []
    for n, d in sizes:
        z, rate, tau = (torch.from_numpy(one).to(device) for one in draw(n, d, runs))
        setting = Setting(0.5, d, n)
        chosen = fused.warps(setting, None)
        for count, most in product((1, 2, 4, 8), (None, 128)):
            if max(n * n, 2 * n * fused.padded(d)) > 4096 * count:
                continue  # numbers of a thread beyond its registers: minutes to compile
            given = {"num_warps": count} | ({"maxnreg": most} if most else {})
            times = []
            with patch.object(fused, "warps", lambda setting, prototypes, given=given: given):
                for _ in range(rounds + 1):
                    start = time.perf_counter()
                    fused.descend(z, rate, tau, setting=setting, steps=steps, look=steps)
                    wait(device)
                    times.append(time.perf_counter() - start)
            cost = np.median(times[1:]) / runs / steps * 1e6
            lines.append(f"n = {n}, d = {d}, {given}: {cost:.4f}{', chosen' * (given == chosen)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
