"""Settings of the lab, drawn at random: how often it calls theory wrong. python -m tests.lab_settings [COUNT] [FIRST]

Each setting runs in the page, in a real browser, until it rests or has made some hundred steps; then half of them go on
at another learning rate. One line of JSON for each that ends on "not as predicted", then the verdicts counted, and
status 1 if there was one: theory's formulas are held to Python's, so the page misjudges a run that it says is off them.
"""

import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from clopsim.lab import assemble

STEPS = 600
BASE = ["merged", "merged", "full", "full", "supcon"]
ZOO = ["simo", "antiCollapse", "unhinged", "pauc", "lorac", "blcl", "fedrcl", "sscl", "trimmed", "adt"]
PART = 50  # settings between two signs of life

RUN = """([setting, then, steps]) => {
    const found = [];
    for (const wanted of then ? [setting, then] : [setting]) {
        clopsim.set(wanted);
        if (!found.length) clopsim.reset();
        for (let done = 0; done < steps; done += 20) {
            clopsim.step(20);
            const { verdict, settled } = clopsim.state;
            if (verdict === "not as predicted" || (settled && done > 40)) break;
        }
        const { kind, words, count, state, prediction } = clopsim.state;
        found.push({ kind, words, count, state, said: prediction.text });
        if (state === "diverged") break;
    }
    return found;
}"""


def draw(number: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The setting of a number, and for half of them what changes once it has come to rest."""
    rng = random.Random(number)

    def log(low: float, high: float) -> float:
        return float(f"{low * (high / low) ** rng.random():.4g}")

    setting = {
        "x": log(1 / 16, 16), "tau": log(0.05, 2), "n": 2 * round(log(3, 50)),
        "loss": rng.choice(BASE if rng.random() < 0.5 else ZOO),
        "gradient": rng.choice(["ambient", "ambient", "tangent", "free"]),
        "decay": rng.choice([0, 0, 0, rng.uniform(0, 0.5)]), "lambda": rng.choice([0, 0, 0, log(0.25, 20)]),
        "start": rng.choice(["random", "collapse", "uniform", "views"]), "seed": rng.randint(1, 9999),
        "dim": rng.choice([3, 3, 3, rng.randint(3, 16)]), "momentum": rng.choice([0, 0, 0, 0, rng.uniform(0, 0.95)]),
        "classes": rng.choice([3, 3, rng.randint(2, 8)]), "prototypes": rng.choice(["orthonormal", "simplex"]),
    }  # fmt: skip
    if setting["loss"] in ZOO and rng.random() < 0.8:  # theory speaks of classes of one size, free norms without decay
        K = min(setting["classes"], setting["dim"])
        setting |= {"classes": K, "n": 2 * K * max(2, setting["n"] // (2 * K)), "lambda": 0, "decay": 0}
    then = {"x": float(f"{setting['x'] * 2 ** rng.uniform(-2, 2):.4g}")} if rng.random() < 0.5 else None
    return setting, then


def drive(visit: Any, count: int, *, first: int, steps: int = STEPS) -> tuple[Counter[str], list[dict[str, Any]]]:
    """The verdicts of the settings numbered from first on, counted, and those that called theory wrong.

    visit(expression, *arguments) evaluates in an open page, as in tests/clopsim/lab/conftest.py.
    """
    kinds: Counter[str] = Counter()
    wrong = []
    for number in range(first, first + count):
        setting, then = draw(number)
        for leg, found in enumerate(visit(RUN, setting, then, steps)):
            kinds[found["kind"]] += 1
            if found["kind"] == "not-predicted":
                wrong.append({"number": number, "setting": setting, "then": then if leg else None, **found})
    return kinds, wrong


def main(count: int = 1500, first: int = 0) -> int:
    from playwright.sync_api import sync_playwright

    from tests.browser import ARGUMENTS, CHROMIUM

    kinds: Counter[str] = Counter()
    failures = 0
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.html"
        path.write_text(assemble(), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context(reduced_motion="reduce").new_page()
        page.goto(f"{path.as_uri()}#view=one")
        for start in range(first, first + count, PART):
            part = min(PART, first + count - start)
            counted, wrong = drive(lambda code, *values: page.evaluate(code, list(values)), part, first=start)
            kinds += counted
            failures += len(wrong)
            for one in wrong:
                print(json.dumps(one, ensure_ascii=False), flush=True)
            print(f"{start + part - first} of {count}", end="\r", file=sys.stderr)
        browser.close()
    print(json.dumps({"settings": count, "not as predicted": failures, "verdicts": dict(kinds.most_common())}))
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
