"""What training does on a GPU, for python -m tests.gpu: recorded steps against launched ones, and what they cost.

`python -m tests.gpu_training` runs both parts; without a GPU it says so. With --cpu it trains some batches of ResNet-18
on a CPU instead, in seconds of a core, which do not depend on what else the machine does.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from clopsim.sphere.devices import DTYPES
from clopsim.training import loop, replay
from clopsim.training.batches import batch_indices
from clopsim.training.datasets import DataSet, load
from clopsim.training.embedders import build
from clopsim.training.recipe import LossName, Training
from clopsim.training.stack.stack import Stack
from clopsim.training.trainee import objective, trainee
from clopsim.training.views import two_views

CHECKED = Training(
    samples=400, batch=64, width=16, dimension=10, depth=1, steps=25, rate=1e-3, prototypes="orthonormal",
    labelled=0.5, warmup=4, sharpness=False, precision="float64",
)  # fmt: skip
"""On digits, small; 25 steps cross epochs (five steps each) and records."""

EPOCH, PICTURES = 50_000, (3, 32, 32)
"""Training samples of CIFAR-10."""

COMMAND = ("train", "--data", "digits", "--steps", "10000", "--save-every", "10000")


def check(device: torch.device | str) -> list[str]:
    """What is wrong, a line each: recorded steps against the same launched from the host, and against the CPU."""
    device, found = torch.device(device), []
    still = replace(CHECKED, view_noise=0.0, shift=0)  # draws nothing on the device: the CPU's run is the same
    recipes = [replace(still, loss=loss) for loss in get_args(LossName)]
    recipes += [replace(still, embedder=kind) for kind in ("table", "linear", "conv")]
    recipes += [replace(CHECKED, optimizer=optimizer) for optimizer in ("sgd", "lars", "adamw")]
    recipes += [replace(CHECKED, batch=0), replace(CHECKED, crop=0.3, flip=True, jitter=0.5, embedder="conv")]
    recipes += [replace(CHECKED, precision=each, embedder="resnet18", width=8, steps=6) for each in DTYPES]
    if device.type == "cuda":
        recipes.append(replace(CHECKED, precision="float32", compile=True, steps=5))
    for recipe in recipes:
        found += [f"{_name(recipe)}: {wrong}" for wrong in _run(recipe, device)]
    for optimizer in ("sgd", "lars", "adamw"):
        found += [f"stack, {optimizer}: {wrong}" for wrong in _stack(replace(CHECKED, optimizer=optimizer), device)]
    return found


def _name(recipe: Training) -> str:
    differs = {name: value for name, value in recipe.to_plain().items() if value != getattr(CHECKED, name)}
    return ", ".join(f"{name} {value}" for name, value in differs.items()) or "as it is"


def _run(recipe: Training, device: torch.device) -> list[str]:
    """A run whose steps are replayed, and the same launched: alike; and was it recorded?"""
    records: list[replay.Play] = []

    def noted(once: replay.Play, generators: Sequence[torch.Generator]) -> replay.Play:
        records.append(replay.on_graph(once, generators))
        return records[-1]

    ways = [({}, device), ({device.type: noted}, device)]
    if not recipe.view_noise:
        ways.append(({}, torch.device("cpu")))
    usual, states = replay.RECORDERS, []
    try:
        for replay.RECORDERS, where in ways:
            data = load(recipe, device=where, dtype=DTYPES[recipe.precision])
            model = trainee(recipe, data, device=where, dtype=DTYPES[recipe.precision])
            states.append(loop.train(recipe, data, model))
    except Exception as error:
        return [f"{type(error).__name__}: {str(error).splitlines()[0]}"]
    finally:
        replay.RECORDERS = usual
    # the same kernels on the same numbers; only the sums of a backward pass may come in another order
    near, nearer = {"float64": (1e-8, 1e-8), "float32": (1e-2, 1e-2), "bfloat16": (np.inf, 0.1)}[recipe.precision]
    wrong = []
    if recipe.loss not in replay.WAITING and not (records and _is_graph(records[0])):
        wrong.append("not recorded")
    for name, state in zip(("replayed", "CPU's"), states[1:], strict=False):
        gap = _gap(states[0].params, state.params)
        if not gap <= near:
            wrong.append(f"the {name} run ends {gap:.1e} from the launched one")
        if not np.allclose(states[0].records["loss"], state.records["loss"], rtol=nearer):
            wrong.append(f"the records of the {name} run differ from those of the launched one")
    return wrong


def _is_graph(play: replay.Play) -> bool:
    return isinstance(getattr(play, "__self__", None), torch.cuda.CUDAGraph)


def _gap(params: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    """Largest difference, relative to the largest number of each parameter."""
    pairs = [(value.detach().cpu(), others[name].detach().cpu()) for name, value in params.items()]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def _stack(base: Training, device: torch.device) -> list[str]:
    """A replayed stack against the same launched."""
    recipes = [base, replace(base, rate=base.rate / 2, seed=1), replace(base, prototypes="none", weight_decay=0.1)]
    loaded = [load(recipe, device=device, dtype=torch.float64) for recipe in recipes]
    launched, replayed = Stack(recipes, loaded), Stack(recipes, loaded)
    advance = replayed.by_replay(replay.on_graph)
    for count in (1, 2, 12):
        launched.by_step(count)
        advance(count)
    gap = _gap(launched.params, replayed.params)
    return [] if gap <= 1e-9 else [f"the replayed stack is {gap:.1e} from the launched one"]


def table(device: torch.device | str) -> str:
    """What a step costs: small networks alone and together, ResNet-18 beside the rival, and `clopsim train`.

    The command's run on two threads of the CPU goes on beside the GPU's work, so the machine should have more.
    """
    device = torch.device(device)
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(_command, "cpu")
        parts = [_small(device), _resnet(device, pictures(device, 8192))]
        rows = [f"{device.type}: {_command(device.type)}", f"two threads of the CPU: {beside.result()}"]
    return "\n\n".join([*parts, "\n".join([f"clopsim {' '.join(COMMAND)}, seconds, importing included", *rows])])


def _seconds(work: Callable[[], object], device: torch.device, *, rounds: int = 5) -> float:
    """Median over the rounds, after one for the libraries."""
    times = []
    for _ in range(rounds + 1):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))


def wait(device: torch.device) -> None:
    """Until everything that was launched is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _small(device: torch.device, counts: tuple[int, ...] = (1, 256, 1024, 4096), steps: int = 50) -> str:
    """Microseconds a step and network of the default MLP on digits, batch 128."""
    lines = ["the default MLP, batch 128, float32: microseconds a step and network", "networks  launched  replayed"]
    base = Training(batch=128, sharpness=False, steps=1000)
    data = load(base, device=device)
    for count in counts:
        rates = np.geomspace(1e-3, 1, count).tolist()
        stack = Stack([replace(base, rate=rate) for rate in rates], [data] * count)
        launched, replayed = (
            1e6 * _seconds(partial(run, steps), device, rounds=3) / (steps * count)
            for run in (stack.by_step, stack.runner())
        )
        lines.append(f"{count:8}{launched:10.2f}{replayed:10.2f}")
    model = trainee(base, data, device=device, dtype=torch.float32)
    value, state, record = objective(model, base, device), loop.start(model), replay.recorder(base, device)
    ways = {"launched": loop.by_step(value, data, base)}
    if record:
        ways["replayed"] = loop.by_replay(value, data, base, model, record)
    for name, advance in ways.items():
        took = _seconds(lambda way=advance: list(way(state, steps)), device, rounds=3)
        lines.append(f"in `clopsim train`, a step {name}: {1e6 * took / steps:.0f}")
    return "\n".join(lines)


def pictures(device: torch.device, count: int, shape: tuple[int, ...] = PICTURES) -> DataSet:
    """A synthetic set of the shape of CIFAR-10, on the device."""
    with tempfile.TemporaryDirectory() as folder:
        path, rng = Path(folder) / "x.npz", np.random.default_rng(0)
        y = np.arange(count) % 10
        means = rng.integers(60, 196, (10, *shape))[y]
        noise = rng.integers(-60, 60, (count, *shape))
        np.savez(path, x=(means + noise).astype(np.uint8), y=y)
        return load(replace(_picture_recipe(), data=str(path), batch=2), device=device)


def _picture_recipe(**more: Any) -> Training:
    base = Training(
        embedder="resnet18", dimension=128, precision="bfloat16", held_out=0.0, labelled=0.1, crop=0.2, flip=True,
        jitter=0.5, view_noise=0.0, shift=0, sharpness=False, rate=0.03,
    )  # fmt: skip
    return replace(base, **more)


def _resnet(device: torch.device, data: DataSet, *, batches: tuple[int, ...] = (4096, 128), rounds: int = 3) -> str:
    """Samples a second and peak memory of a step, beside the same network with NT-Xent in plain torch; an epoch."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    lines = [
        "ResNet-18, d = 128, bfloat16, channels last: samples (two views each) a second, in turn; GiB at the peak",
        f"{'batch':>7}{'who':>27}{'samples/s':>11}{'GiB':>7}",
    ]
    for batch in batches:
        count = max(1, len(data.y) // batch)  # an epoch of this set
        recipe = _picture_recipe(batch=batch)
        makers = {"the same in plain torch": _plain, "ours": _ours}
        ways, peaks, times = {}, {}, {name: [] for name in makers}
        for name, make in makers.items():
            before = _allocated(device)
            ways[name] = make(recipe, data)
            ways[name](1)  # the first step, launched from the host: a replay allocates nothing, so its peak would lie
            peaks[name] = torch.cuda.max_memory_allocated(device) / 2**30 - before if device.type == "cuda" else np.nan
        for _ in range(rounds):
            for name, advance in ways.items():
                wait(device)
                began = clock()
                advance(count)
                wait(device)
                times[name].append((clock() - began) / count)
        for name in makers:
            lines.append(f"{batch:7}{name:>27}{batch / np.median(times[name]):11.0f}{peaks[name]:7.2f}")
        ratio = np.median(np.divide(times["the same in plain torch"], times["ours"]))
        lines.append(f"{'':7}{'ratio of a round':>27}{ratio:11.2f}")
    lines.append(f"an epoch of CIFAR-10 ({EPOCH:,} samples) at batch {batch}: {_epoch(times['ours'], batch):.1f} s")
    return "\n".join(lines)


def _epoch(times: list[float], batch: int) -> float:
    return float(np.median(times)) * (EPOCH // batch)


def _allocated(device: torch.device) -> float:
    """GiB in use now; the peak is measured from here on."""
    if device.type != "cuda":
        return np.nan
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device) / 2**30


def _ours(recipe: Training, data: DataSet) -> Callable[[int], None]:
    """The loop of `clopsim train`, without its records."""
    device = data.y.device
    model = trainee(recipe, data, device=device, dtype=torch.float32)
    value, record = objective(model, recipe, device), replay.recorder(recipe, device)
    how = loop.by_replay(value, data, recipe, model, record) if record else loop.by_step(value, data, recipe)
    state = loop.start(model)

    def advance(steps: int) -> None:
        nonlocal state
        for each, _ in how(state, state.step + steps):
            state = each

    return advance


def _plain(recipe: Training, data: DataSet) -> Callable[[int], None]:
    """What one would write: the module, autocast, channels last, a fused torch.optim.SGD, NT-Xent from one matrix.

    lightly's NTXentLoss where it is installed; else the same formula, in its reduction (mean over the 2N).
    """
    device, done = data.y.device, 0
    network = build(recipe.network, data.shape, samples=2, seed=0, device=device)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.rate, momentum=0.9, weight_decay=1e-4, fused=device.type == "cuda"
    )
    loss = _nt_xent(recipe.temperature)

    def advance(steps: int) -> None:
        nonlocal done
        for _ in range(steps):
            index = batch_indices(recipe, len(data.y), range(done, done + 1))
            x = torch.cat(two_views(data.x[index[0].to(device)], data.views))
            with torch.autocast(device.type, torch.bfloat16):
                value = loss(*network(x).chunk(2))
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            done += 1

    return advance


def _nt_xent(temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
    try:
        from lightly.loss import NTXentLoss
    except ImportError:
        return lambda first, second: _written(first, second, temperature)
    return NTXentLoss(temperature=temperature)


def _written(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Cross entropy of every row of the matrix of cosines without its diagonal, the other view being the class."""
    z = normalize(torch.cat([first, second]), dim=1)
    n = len(z)
    logits = (z @ z.T / temperature).masked_fill(torch.eye(n, dtype=torch.bool, device=z.device), -torch.inf)
    return cross_entropy(logits, (torch.arange(n, device=z.device) + n // 2) % n)


def _command(device: str, words: Sequence[str] = COMMAND) -> str:
    """Seconds of a command on a device, in a process of its own; or why there are none."""
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"} if device == "cpu" else {}
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "clopsim", *words, "--device", device, "--out", str(Path(folder) / "run")]
        began = time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **threads, "PYTHONPATH": paths}, cwd=folder
        )
        took = time.perf_counter() - began
    return f"failed: {done.stderr.strip().splitlines()[-1]}" if done.returncode else f"{took:.1f}"


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.gpu_training", description=__doc__)
    options.add_argument("--cpu", action="store_true", help="ResNet-18 on a CPU instead, batches of 32")
    if options.parse_args().cpu:
        cpu = torch.device("cpu")
        print(_resnet(cpu, pictures(cpu, 64), batches=(32,), rounds=1))
        return
    if not torch.cuda.is_available():
        print("skipped: no GPU is at hand")
        return
    print(torch.cuda.get_device_name())
    wrong = check("cuda")
    print("\n".join(wrong) or "every recorded step does what the launched one does")
    print(table("cuda"))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
