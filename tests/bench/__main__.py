"""python -m tests.bench: the engine beside what others would run, on the same workload, in turn. JAX: extra "bench"."""

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import torch
from threadpoolctl import threadpool_info

from clopsim.bounds import Setting
from clopsim.sphere.outcomes import classify
from tests.bench import contenders, roofline, scaling
from tests.bench.workload import draw


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    options.add_argument("--samples", type=int, default=64, help="n")
    options.add_argument("--dimension", type=int, default=8, help="d")
    options.add_argument("--runs", type=int, default=512)
    options.add_argument("--steps", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--workers", type=int, default=torch.get_num_threads(), help="threads")
    options.add_argument("--scaling", action="store_true", help="cost against n, d and runs instead; peak memory")
    options.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    given = options.parse_args()
    torch.set_num_threads(given.workers)
    result = {"machine": machine(), **({"scaling": scaling.table()} if given.scaling else compare(given))}
    if given.json:
        print(json.dumps(result, indent=2))
    else:
        print(*(f"{key} {value}" for key, value in result["machine"].items()), sep=", ")
        (print_scaling if given.scaling else print_comparison)(result)
    if not given.scaling and not (result["same_step"] and result["same_verdicts"]):
        sys.exit("error: the contenders do not compute the same thing")


def machine() -> dict[str, object]:
    names = ("torch", "numpy", *(["jax"] if find_spec("jax") else []))
    threads = {"threads": torch.get_num_threads()}
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return {
        "processor": platform.processor() or platform.machine(),
        **threads,
        **{name: version(name) for name in names},
        **{library["internal_api"]: library.get("architecture") for library in blas},
    }


def compare(given: argparse.Namespace) -> dict[str, object]:
    """Every contender has its turn in every round; ratios are of one round, so that load on the machine cancels."""
    z, rate, tau = draw(given.samples, given.dimension, given.runs)
    entered = contenders.every()
    sizes = [(max(1, round(c.share[0] * given.runs)), max(2, round(c.share[1] * given.steps))) for c in entered]
    gaps = single_steps(entered, z, rate, tau)
    seconds, processor = np.zeros((2, given.rounds, len(entered)))
    floors = np.zeros((given.rounds, 3))
    for k in range(given.rounds + 1):  # the first is the warm-up
        for c, (contender, (runs, steps)) in enumerate(zip(entered, sizes, strict=True)):
            picked = np.linspace(0, given.runs - 1, runs).astype(int)
            inputs = z[picked], rate[picked], tau[picked]
            start = time.perf_counter(), time.process_time()
            contender.advance(*inputs, steps)
            seconds[max(k - 1, 0), c] = (time.perf_counter() - start[0]) / (runs * steps)
            processor[max(k - 1, 0), c] = (time.process_time() - start[1]) / (runs * steps)
        floors[max(k - 1, 0)] = roofline.bound(given.samples, given.dimension, workers=given.workers)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    pace = [c.name for c in entered].index("clopsim, every step")
    rows = [
        {
            "name": contender.name,
            "median_us": float(np.median(seconds[:, c])) * 1e6,
            "best_us": float(seconds[:, c].min()) * 1e6,
            "cpu_us": float(processor[:, c].min()) * 1e6,
            "times_ours": float(np.median(seconds[:, c] / seconds[:, pace])),
            "gap_of_one_step": gaps[c],
            "timed": sizes[c],
        }
        for c, contender in enumerate(entered)
    ]
    setting, some = Setting(0.5, given.dimension, given.samples), (z[::4], rate[::4], tau[::4])
    before, after = (
        classify(torch.from_numpy(go(*some, given.steps)), *map(torch.from_numpy, some[1:]), setting)
        for go in (contenders.reference, contenders.ours)
    )
    return {
        "workload": {key: getattr(given, key) for key in ("samples", "dimension", "runs", "steps", "rounds")},
        "contenders": rows,
        "roofline": {
            "median_us": float(np.median(floors[:, 0])) * 1e6,
            "best_us": float(floors[:, 0].min()) * 1e6,
            "times_ours": float(np.median(floors[:, 0] / seconds[:, pace])),
            "gigaflops": float(floors[:, 1].max()) / 1e9,
            "gigaexponentials": float(floors[:, 2].max()) / 1e9,
        },
        "same_step": max(gaps) <= 1e-5,
        "different_verdicts": int((before != after).sum()),
        "same_verdicts": bool((before == after).all()),
        "verdicts": {str(name): int(count) for name, count in zip(*np.unique(after, return_counts=True), strict=True)},
    }


def single_steps(entered: list[contenders.Contender], *state: contenders.Array) -> list[float]:
    """Largest difference of one step from the same state to the reference step in float64."""
    picked = tuple(array[:: max(1, len(array) // 32)] for array in state)
    exact = contenders.reference(*(array.astype(np.float64) for array in picked), 1)
    return [float(np.abs(contender.advance(*picked, 1) - exact).max()) for contender in entered]


def print_comparison(result: dict) -> None:
    print(
        "{samples} embeddings, {dimension} dimensions, {runs} runs, {steps} steps".format(**result["workload"]), end=""
    )
    print(f", {result['workload']['rounds']} rounds; us per run and step:")
    print("wall time, median and best; least processor time of all threads; median ratio of wall times in a round\n")
    print(f"{'':28}{'median':>9}{'best':>9}{'cpu':>9}{'x ours':>9}{'one step':>11}   timed on")
    for row in result["contenders"]:
        runs, steps = row["timed"]
        times = "".join(f"{row[key]:9.2f}" for key in ("median_us", "best_us", "cpu_us", "times_ours"))
        print(f"{row['name']:28}{times}{row['gap_of_one_step']:11.0e}   {runs} runs, {steps} steps")
    if not find_spec("jax"):
        print("JAX is left out: pip install 'clopsim[bench]'")
    roof = result["roofline"]
    print(f"{'roofline':28}{roof['median_us']:9.2f}{roof['best_us']:9.2f}{'':9}{roof['times_ours']:9.2f}", end="")
    print(f"{'':14}at best {roof['gigaflops']:.0f} Gflop/s, {roof['gigaexponentials']:.2f} G exponentials/s")
    same = "the same" if result["same_verdicts"] else f"different in {result['different_verdicts']}"
    print(f"\nverdicts of every fourth run by the reference and by clopsim are {same}: {result['verdicts']}")


def print_scaling(result: dict) -> None:
    print("\nper run and step, every step computed; memory beyond the arguments: peak in use, bound by")
    print("engine.memory_bytes, and what glibc keeps of it resident if nobody asks it not to\n")
    print(f"{'n':>6}{'d':>6}{'runs':>7}{'wall us':>10}{'cpu us':>10}", end="")
    print(f"{'cpu ns per pair':>17}{'peak MiB':>10}{'bound MiB':>11}{'kept MiB':>10}")
    for row in result["scaling"]:
        print("{n:6}{d:6}{runs:7}{us_per_run_step:10.2f}{cpu_us_per_run_step:10.2f}".format(**row), end="")
        print("{cpu_ns_per_pair:17.3f}{peak_mib:10.1f}{bound_mib:11.1f}{kept_mib:10.1f}".format(**row))


if __name__ == "__main__":
    main()
