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

from bounds import Setting
from clopsim.outcomes import classify
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
    return {
        "processor": platform.processor() or platform.machine(),
        **threads,
        **{name: version(name) for name in names},
    }


def compare(given: argparse.Namespace) -> dict[str, object]:
    """Every contender has its turn in every round; ratios are of one round, so that load on the machine cancels."""
    z, rate, tau = draw(given.samples, given.dimension, given.runs)
    entered = contenders.every()
    sizes = [(max(1, round(c.share[0] * given.runs)), max(2, round(c.share[1] * given.steps))) for c in entered]
    gaps = single_steps(entered, z, rate, tau)
    seconds = np.zeros((given.rounds, len(entered)))
    for k in range(given.rounds + 1):  # the first is the warm-up
        for c, (contender, (runs, steps)) in enumerate(zip(entered, sizes, strict=True)):
            picked = np.linspace(0, given.runs - 1, runs).astype(int)
            inputs = z[picked], rate[picked], tau[picked]
            start = time.perf_counter()
            contender.advance(*inputs, steps)
            seconds[max(k - 1, 0), c] = (time.perf_counter() - start) / (runs * steps)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    floor, products, exponentials = roofline.bound(given.samples, given.dimension, workers=given.workers)
    pace = [c.name for c in entered].index("clopsim, every step")
    rows = [
        {
            "name": contender.name,
            "median_us": float(np.median(seconds[:, c])) * 1e6,
            "best_us": float(seconds[:, c].min()) * 1e6,
            "times_ours": float(np.median(seconds[:, c] / seconds[:, pace])),
            "gap_of_one_step": gaps[c],
            "timed": sizes[c],
        }
        for c, contender in enumerate(entered)
    ]
    before, after = (
        classify(
            torch.from_numpy(go(z, rate, tau, given.steps)), torch.from_numpy(rate), torch.from_numpy(tau), setting
        )
        for setting in [Setting(0.5, given.dimension, given.samples)]
        for go in (contenders.reference, contenders.ours)
    )
    return {
        "workload": {key: getattr(given, key) for key in ("samples", "dimension", "runs", "steps", "rounds")},
        "contenders": rows,
        "roofline": {"us": floor * 1e6, "gigaflops": products / 1e9, "gigaexponentials": exponentials / 1e9},
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
    print(f", {result['workload']['rounds']} rounds; us per run and step\n")
    print(f"{'':28}{'median':>9}{'best':>9}{'x ours':>9}{'one step':>11}   timed on")
    for row in result["contenders"]:
        runs, steps = row["timed"]
        numbers = f"{row['median_us']:9.2f}{row['best_us']:9.2f}{row['times_ours']:9.2f}{row['gap_of_one_step']:11.0e}"
        print(f"{row['name']:28}{numbers}   {runs} runs, {steps} steps")
    if not find_spec("jax"):
        print("JAX is left out: pip install 'clopsim[bench]'")
    roof = result["roofline"]
    ours = next(row for row in result["contenders"] if row["name"] == "clopsim, every step")
    print(f"{'roofline':28}{roof['us']:9.2f}{'':9}{roof['us'] / ours['median_us']:9.2f}", end="")
    print(f"{'':14}at {roof['gigaflops']:.0f} Gflop/s, {roof['gigaexponentials']:.2f} G exponentials/s")
    same = "the same" if result["same_verdicts"] else f"different in {result['different_verdicts']} runs"
    print(f"\nverdicts of the reference and of clopsim are {same}: {result['verdicts']}")


def print_scaling(result: dict) -> None:
    print(f"\n{'n':>6}{'d':>6}{'runs':>7}{'us per run-step':>18}{'ns per pair':>13}{'peak MiB':>11}{'bound MiB':>11}")
    for row in result["scaling"]:
        print(
            "{n:6}{d:6}{runs:7}{us_per_run_step:18.2f}{ns_per_pair:13.3f}{peak_mib:11.1f}{bound_mib:11.1f}".format(
                **row
            )
        )


if __name__ == "__main__":
    main()
