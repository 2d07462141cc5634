"""python -m tests.rounding: does another rounding change what a test sees? tests/README.md says how to read it.

The numerical tests run with every kind of vector instructions that this processor offers, on one thread and on two, and
once more with the last bits of every start moved. Printed are the tests whose outcome differs, and the assertions that
passed with other numbers: there a run has amplified rounding, and only the tolerance hides it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
NUMERICAL = (
    "bounds", "figures", *(f"clopsim/{room}" for room in ("losses", "metrics", "sphere", "training", "audit")),
    *(f"clopsim/runs/test_{what}.py" for what in ("sweep", "training_sweep", "training_run")),
)  # fmt: skip
LEFT_OUT = (
    # float32 and float64 of one network: their last bits are not moved alike
    "clopsim/training/test_embedders.py::test_the_seed_decides_whatever_the_global_state_device_and_precision",
    "clopsim/sphere/test_engine.py::test_memory_in_use_stays_within_the_bound",  # no two processes use the same
    "figures/test_figures.py::test_the_bits_depend_neither_on_the_process_nor_on_the_number_of_threads",  # asks itself
)
LEVELS = ("default", "avx2", "avx512")
STARTS, SEEN = "CLOPSIM_MOVED_STARTS", "CLOPSIM_SEEN"
RELATIVE, ABSOLUTE = 1e-6, 1e-9
"""Two numbers further apart than both differ: rounding that has not grown stays far below either."""

Seen = dict[str, list[Any]]  # test -> [outcome, [[line, explanation] of every assertion]]


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.rounding", description=__doc__)
    options.add_argument("paths", nargs="*", default=[f"tests/{name}" for name in NUMERICAL], metavar="PATH")
    paths = options.parse_args().paths
    found = {}
    for name, environment in variants().items():
        found[name] = run(paths, environment)
        passed = sum(outcome == "passed" for outcome, _ in found[name].values())
        print(f"{name}: {passed} of {len(found[name])} passed", flush=True)
    different = list(differences(found))
    print("\n".join(different) or "nothing differs")
    sys.exit(1 if different else 0)


def variants() -> dict[str, dict[str, str]]:
    """Environments by name: level of vector instructions and number of threads; the last one moves the starts."""
    best = torch.backends.cpu.get_cpu_capability().lower()
    levels = LEVELS[: LEVELS.index(best) + 1] if best in LEVELS else (best,)
    found = {
        f"{level} {threads}": {"ATEN_CPU_CAPABILITY": level, "OMP_NUM_THREADS": threads}
        for level, threads in product(levels, "12")
    }
    if len(levels) > 1:
        found["default 1"] |= {"MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Prescott"}  # the oldest products too
    return {**found, "moved": {"OMP_NUM_THREADS": "1", STARTS: "1"}}


def run(paths: Sequence[str], environment: Mapping[str, str]) -> Seen:
    """The tests in a process of their own, this module as its plugin."""
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder, "seen.json")
        words = ["-v", "--hypothesis-seed=0", "-p", "tests.rounding", "-o", "enable_assertion_pass_hook=true"]
        words += [f"--deselect=tests/{test}" for test in LEFT_OUT]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *paths], cwd=ROOT, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": "0", **environment, SEEN: str(seen)},
        )  # fmt: skip
        if not seen.exists():
            sys.exit(done.stdout.decode() + done.stderr.decode())
        return json.loads(seen.read_text())


def differences(found: Mapping[str, Seen]) -> Iterable[str]:
    """A line for every test whose outcome differs between the variants, and for the lines in it whose numbers do."""
    for test in dict.fromkeys(test for seen in found.values() for test in seen):
        outcomes = {name: seen.get(test, ["missing", []])[0] for name, seen in found.items()}
        if len(set(outcomes.values())) > 1:
            yield f"{test}: {apart(outcomes)}"
            continue
        told = set()
        for assertions in zip(*(seen[test][1] for seen in found.values()), strict=False):
            line, texts = assertions[0][0], [text for _, text in assertions]
            if line not in told and not same([numbers(text) for text in texts]):
                told.add(line)
                yield f"{test}:{line}: {apart(dict(zip(found, texts, strict=True)))}"


def apart(texts: Mapping[str, str]) -> str:
    """Every text once, with the names of those that say it."""
    names: dict[str, list[str]] = {}
    for name, text in texts.items():
        names.setdefault(text[:200], []).append(name)
    return " | ".join(f"{', '.join(who)}: {text}" for text, who in names.items())


def numbers(text: str) -> list[float]:
    """The numbers with a point or an exponent in a text."""
    whole = re.sub(r"\S*\.\.\.\S*", "", text)  # of what pytest has not cut
    return [float(word) for word in re.findall(r"-?\b\d+\.\d*(?:e[-+]?\d+)?|-?\b\d+e[-+]?\d+|\bnan\b", whole)]


def same(rows: Sequence[Sequence[float]]) -> bool:
    """Whether the numbers of all rows agree, nan with nan."""
    if len({len(row) for row in rows}) > 1:
        return False
    low, high = (np.nan_to_num(f(rows, axis=0), nan=1e99) for f in (np.min, np.max))
    return bool(np.all(high - low <= np.maximum(ABSOLUTE, RELATIVE * np.maximum(abs(low), abs(high)))))


# From here on the plugin.


def pytest_configure(config: pytest.Config) -> None:
    """Take down what is compared out of sight of the assertions, and move the starts where that is asked for."""
    from clopsim.audit.experiments import Experiment
    from clopsim.figures.drawing import Gap

    for kind, shown in ((Experiment, "{0.title}: {0.measured}"), (Gap, "{0.says}: {0.value}")):
        ask = kind.holds.fget
        kind.holds = property(lambda one, ask=ask, shown=shown: note(shown.format(one), shown.format(one)) or ask(one))
    np.testing.assert_allclose = watched(np.testing.assert_allclose)
    torch.testing.assert_close = watched(torch.testing.assert_close)
    if STARTS in os.environ:
        from clopsim.sphere import starts
        from clopsim.training import embedders

        unit, build = starts._unit, embedders.build
        starts._unit = lambda x: moved(unit(x))
        embedders.build = lambda *options, **more: build(*options, **more).apply(move)


def moved(x: torch.Tensor) -> torch.Tensor:
    """Every other number by its last bit; alike in both halves, so that views that coincide still do."""
    chosen = torch.arange(x.numel()) % max(1, x.numel() // 2) % 2 == 0
    return torch.where(chosen.view(x.shape), torch.nextafter(x, 2 * x), x)


@torch.no_grad()
def move(module: torch.nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        if parameter.device.type == "cpu":
            parameter.copy_(moved(parameter))


def watched(compare: Any) -> Any:
    """A comparison of arrays that first notes their size."""

    def compared(actual: Any, *rest: Any, **options: Any) -> None:
        plain = actual.detach().cpu() if isinstance(actual, torch.Tensor) else np.asarray(actual)
        size = torch.as_tensor(plain).double().abs().mean()
        note(compare.__name__, f"mean size {float(size)!r}")
        compare(actual, *rest, **options)

    return compared


seen: Seen = {}
now: list[str] = []


def note(where: Any, text: str) -> None:
    if now:
        first = re.split(r"\n *\+  where|comparison failed|\n\n", text)[0]
        seen[now[-1]][1].append([where, " ".join(first.split())])


def pytest_runtest_logstart(nodeid: str) -> None:
    seen[nodeid] = ["missing", []]
    now[:] = [nodeid]
    torch.manual_seed(0)


def pytest_assertion_pass(item: pytest.Item, lineno: int, orig: str, expl: str) -> None:
    note(lineno, expl)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        seen[report.nodeid][0] = report.outcome


def pytest_sessionfinish() -> None:
    Path(os.environ[SEEN]).write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
