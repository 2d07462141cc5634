"""python -m tests.bench_ensemble: the default MLP trained one after the other and together, in turn, on all cores.

With JAX (extra "bench") and InfoNCE alone its jit(vmap(scan(grad))) of the same stack runs beside them. On a CPU the
roofline is of a step with InfoNCE or DCL: its products and exponentials at this machine's best rates on all cores.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from clopsim.losses import CLOP, OrthonormalPrototypes, by_name
from clopsim.sphere import products
from clopsim.sphere.devices import DTYPES, keep_freed
from clopsim.training.batches import views_of
from clopsim.training.datasets import DataSet, load
from clopsim.training.embedders import build
from clopsim.training.recipe import Training
from clopsim.training.stack.ensemble import GPU_ROWS, ROWS, parts_of
from clopsim.training.stack.stack import Stack
from tests.bench import roofline
from tests.bench.rival import Rival
from tests.gpu_training import wait

Ends = list[dict[str, torch.Tensor]]
Advance = Callable[[int], Ends]


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.bench_ensemble", description=__doc__)
    options.add_argument("--loss", default="infonce")
    options.add_argument("--weight", type=float, default=0.0, help="of the prototypes, lambda")
    options.add_argument("--batch", type=int, nargs="+", default=[32, 64, 128, 256])
    options.add_argument("--members", type=int, default=256)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--workers", type=int, default=torch.get_num_threads(), help="threads")
    options.add_argument("--device", default="cpu", help="of torch; JAX takes its own default")
    options.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = options.parse_args()
    torch.set_num_threads(given.workers)
    keep_freed()  # for all contenders
    result = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__, **vars(given)}
    result["batches"] = [compare(given, batch) for batch in given.batch]
    if given.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    if not all(row["gap_of_one_step"] <= 1e-10 for part in result["batches"] for row in part["contenders"]):
        sys.exit("error: the contenders do not compute the same thing")


def compare(given: argparse.Namespace, batch: int) -> dict:
    """Every contender has its turn in every round; ratios are of one round, so that load on the machine cancels."""
    kind = "orthonormal" if given.weight else "none"
    base = Training(loss=given.loss, batch=batch, prototypes=kind, weight=given.weight)
    rates = np.geomspace(1e-3, 1, given.members)
    recipes = [replace(base, rate=float(rate)) for rate in rates]
    data, steps = load(base, device=given.device), 8 if given.device == "cpu" else 64
    entered = {  # with how many members and steps, so that the slow ones do not take all the time
        "one after the other, torch": (alone, 2, 64),
        "the same, one thread": (partial(alone, threads=1), 2, 64),
        "our step, member by member": (in_turn, 2, 64),
        "together": (partial(together, workers=given.workers), given.members, steps),
    }
    if find_spec("jax") and given.loss == "infonce" and not given.weight:
        entered = {"JAX, jit(vmap(scan(grad)))": (Rival, given.members, steps), **entered}
    exact = [replace(recipe, precision="float64") for recipe in recipes[:: max(1, given.members // 3)]]
    there = load(exact[0], dtype=torch.float64)  # on the CPU, wherever the race is
    expected = alone(exact, there)(1)
    gaps = [largest_gap(prepare(exact, there)(1), expected) for prepare, _, _ in entered.values()]
    seconds, processor = np.zeros((2, given.rounds, len(entered)))
    floors = np.zeros(given.rounds)  # of seconds
    weights = [p.numel() for p in build(base.network, data.shape, samples=2, seed=0).parameters() if p.ndim == 2]
    for k in range(given.rounds + 1):  # the first is the warm-up
        for c, (prepare, members, steps) in enumerate(entered.values()):
            some = recipes[:: given.members // members]
            advance = prepare(some, data)  # networks are built once, for all the steps of a run
            advance(steps)  # compiled, recorded
            start = time.perf_counter(), time.process_time()
            advance(steps)
            seconds[max(k - 1, 0), c] = (time.perf_counter() - start[0]) / (len(some) * steps)
            processor[max(k - 1, 0), c] = (time.process_time() - start[1]) / (len(some) * steps)
        if given.device == "cpu":
            floor = roofline.bound(2 * batch, base.dimension, workers=given.workers, weights=weights)[0]
            floors[max(k - 1, 0)] = floor
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    rows = [
        {
            "name": name,
            "median_us": float(np.median(seconds[:, c])) * 1e6,
            "best_us": float(seconds[:, c].min()) * 1e6,
            "cpu_us": float(processor[:, c].min()) * 1e6,
            "times_ours": spread(seconds[:, c] / seconds[:, -1]),
            "cpu_times_ours": spread(processor[:, c] / processor[:, -1]),
            "gap_of_one_step": gaps[c],
        }
        for c, name in enumerate(entered)
    ]
    roof = {
        "median_us": float(np.median(floors)) * 1e6,
        "best_us": float(floors.min()) * 1e6,
        "times_ours": spread(floors / seconds[:, -1]),
    }
    return {"batch": batch, "contenders": rows, "roofline": roof}


def alone(recipes: list[Training], data: DataSet, *, threads: int | None = None) -> Advance:
    """What a user would write: network after network, torch.optim.SGD."""
    dtype = DTYPES[recipes[0].precision]
    networks = [
        build(recipe.network, data.shape, samples=len(data.y), seed=recipe.seed, dtype=dtype, device=data.y.device)
        for recipe in recipes
    ]

    def advance(steps: int) -> Ends:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        for recipe, network in zip(recipes, networks, strict=True):
            loss = by_name(recipe.loss, temperature=recipe.temperature)
            if recipe.prototypes != "none":
                vectors = OrthonormalPrototypes(
                    data.classes, recipe.dimension, seed=recipe.seed, dtype=dtype, device=data.y.device
                )
                loss = CLOP(loss, vectors, recipe.weight)
            optimiser = torch.optim.SGD(
                network.parameters(), lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
            )
            for step in range(steps):
                optimiser.param_groups[0]["lr"] = recipe.rate_at(step)
                first, second, index = views_of(data, recipe, step)
                labels = data.labels if index is None else data.labels[index]
                value = loss(*network(torch.cat([first, second])).chunk(2), labels)
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
        torch.set_num_threads(before)
        wait(data.y.device)
        return [{name: value.detach() for name, value in network.named_parameters()} for network in networks]

    return advance


def in_turn(recipes: list[Training], data: DataSet) -> Advance:
    """Our step, one member at a time: how much of the gain is not from the stacking."""
    stacks = [Stack([recipe], [data]) for recipe in recipes]
    runners = [stack.runner() for stack in stacks]

    def advance(steps: int) -> Ends:
        products.in_turn(lambda run: run(steps), runners, workers=1)
        wait(data.y.device)
        return [end for stack in stacks for end in _ends(stack)]

    return advance


def together(recipes: list[Training], data: DataSet, *, workers: int) -> Advance:
    """As train_together, without its records and accuracies."""
    rows = 2 * (recipes[0].batch or len(data.y))
    on_cpu = data.y.device.type == "cpu"
    parts = parts_of([recipe.seed for recipe in recipes], rows=rows, at_once=ROWS if on_cpu else GPU_ROWS)
    stacks = [Stack([recipes[m] for m in part], [data] * len(part)) for part in parts]
    runners = [stack.runner() for stack in stacks]

    def advance(steps: int) -> Ends:
        products.in_turn(lambda run: run(steps), runners, workers=workers if on_cpu else 1)
        wait(data.y.device)
        return [end for stack in stacks for end in _ends(stack)]

    return advance


def _ends(stack: Stack) -> Ends:
    return [{name: value[m].detach() for name, value in stack.params.items()} for m in range(stack.members)]


def largest_gap(ends: Ends, expected: Ends) -> float:
    """Largest difference of a parameter."""
    return max(
        float((end[name].double() - there[name]).abs().max())
        for end, there in zip(ends, expected, strict=True)
        for name in there
    )


def spread(ratio: NDArray[np.float64]) -> list[float]:
    """Median, smallest and largest over the rounds."""
    return [float(np.median(ratio)), float(ratio.min()), float(ratio.max())]


def show(result: dict) -> None:
    print(
        "{loss}, weight {weight:g}; {members} members; {rounds} rounds; {workers} threads; torch {torch}".format(
            **result
        )
    )
    print("us per member and step; ratios to the last line within a round: median (smallest .. largest)")
    for part in result["batches"]:
        print(f"\nbatch {part['batch']:<21}{'median':>9}{'best':>9}{'cpu':>9}   {'x ours':24}{'cpu x ours':24}one step")
        for row in part["contenders"]:
            times = "".join(f"{row[key]:9.0f}" for key in ("median_us", "best_us", "cpu_us"))
            ratios = "".join(
                f"{'{:.1f} ({:.1f} .. {:.1f})'.format(*row[key]):24}" for key in ("times_ours", "cpu_times_ours")
            )
            print(f"{row['name']:27}{times}   {ratios}{row['gap_of_one_step']:.0e}")
        if result["device"] != "cpu":
            continue
        (first,) = (row["median_us"] for row in part["contenders"] if row["name"].startswith("one after"))
        roof = part["roofline"]
        print(f"{'roofline':27}{roof['median_us']:9.0f}{roof['best_us']:9.0f}{'':12}", end="")
        print("{:.2f} ({:.2f} .. {:.2f})".format(*roof["times_ours"]), end="")
        print(f"; one after the other / roofline = {first / roof['median_us']:.1f}")


if __name__ == "__main__":
    main()
