"""Flip bits in the files of runs, of grids and figures and in archives: each must be detected, healed or harmless.

    python -m tests.damage 1000 [SEED]

A complete run is listed and read; an unfinished one is resumed where nothing is detected, and must end with the
bytes of one that was left alone. Prints what became of so many flips as JSON; exits with 1 if one was believed.
"""

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from clopsim.door import configfile
from clopsim.figures import runs as figure_runs
from clopsim.metrics import archive
from clopsim.runs import executors, plan, results, store, training_run
from clopsim.runs import folder as runs
from clopsim.runs.config import Sweep
from clopsim.runs.states import describe, recorded_config, recorded_summary
from clopsim.runs.store import Damaged
from tests.kill import CONFIGS, FILES, sweep


def prepare(root: Path) -> None:
    """A complete and an unfinished run of every kind, a grid, the measurement of a figure, and archives."""
    for kind, config in CONFIGS.items():
        sweep(root / f"{kind}-complete", config)
        if kind != "train":
            half = root / f"{kind}-unfinished"
            with store.locked(half):
                begun = runs.begin(half, config, origin=results.origin_now(f"clopsim {kind}"))
                runs.run_all([begun], executors.here)
    ordinary, training_run.write = training_run.write, interrupted
    try:
        sweep(root / "train-unfinished", CONFIGS["train"])
    except Exception as error:
        if "is kept" not in str(error):
            raise
    finally:
        training_run.write = ordinary
    for name in ("archive", "figure", "grid"):
        (root / name).mkdir()
    (root / "grid" / configfile.GRID).write_bytes(configfile.sealed(configfile.grid(Sweep, POINTS).text))
    rows = np.random.default_rng(0).normal(size=(20, 3))
    figure_runs.keep(root / "figure", FIGURE, figure_runs.Run({"rows": rows}))
    np.savez(root / "archive/plain.npz", x=rows, y=np.arange(20))
    np.savez_compressed(root / "archive/packed.npz", x=rows, y=np.arange(20))


def interrupted(*_: object, **__: object) -> None:
    """In place of the end of a training."""
    raise LookupError("interrupted")


def flip(path: Path, dice: random.Random) -> None:
    """Turn one bit of a file over, or cut it, or fill a stretch with zeros."""
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    way = dice.choice(("bit", "bit", "bit", "cut", "zeros"))
    if way == "bit":
        data[at] ^= 1 << dice.randrange(8)
    elif way == "cut":
        del data[at:]
    else:
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    path.write_bytes(data)


def fate(case: str, folder: Path, whole: Path, pristine: Path) -> str:
    """What becomes of a damaged folder: detected, healed, harmless, or believed."""
    try:
        if case in READ:
            return "harmless" if READ[case](folder, pristine) else "believed"
        if describe(folder).state == "damaged":
            return "detected"
        if case.endswith("complete"):
            same = recorded_summary(folder) == recorded_summary(pristine)
            return "harmless" if same and recorded_config(folder) == recorded_config(pristine) else "believed"
        kind = case.removesuffix("-unfinished")
        sweep(folder, CONFIGS[kind])
    except (Damaged, ValueError):
        return "detected"
    same = all((folder / name).read_bytes() == (whole / name).read_bytes() for name in FILES[kind])
    return "healed" if same else "believed"


def same_arrays(folder: Path, pristine: Path) -> bool:
    """Whether archives that are read hold what they did; a name may have changed, which nothing seals."""
    for name in ("plain.npz", "packed.npz"):
        found, wanted = archive.read(folder / name), archive.read(pristine / name)
        if set(found) == set(wanted):
            if not all(np.array_equal(found[each], wanted[each]) for each in wanted):
                return False
        elif not all(any(np.array_equal(a, b) for b in wanted.values()) for a in found.values()):
            return False
    return True


def same_points(folder: Path, pristine: Path) -> bool:
    """Whether a grid that is gone on with has the sweeps that it had."""
    return configfile.grid(Sweep, {}, recorded=folder).points == configfile.grid(Sweep, {}, recorded=pristine).points


def same_measurement(folder: Path, pristine: Path) -> bool:
    """Whether a figure is drawn from what was measured."""
    found, wanted = (figure_runs.recall(each, FIGURE, quick=False) for each in (folder, pristine))
    if found is None or wanted is None:
        return False
    return np.array_equal(found["rows"], wanted["rows"]) and found.date == wanted.date


READ = {"archive": same_arrays, "grid": same_points, "figure": same_measurement}
"""Folders that are read and nothing more."""

FIGURE = "collapse_sweep"

POINTS = {"samples": [8, 16], "seeds": 2, "gradient": ["ambient", "tangent"]}


def main(flips: int, seed: int = 0) -> dict[str, object]:
    """Damage that many files, one at a time; what became of them, by kind of folder."""
    plan.BATCH["cpu"] = 3 * 16**2
    plan.STEPS = 100
    dice = random.Random(seed)
    ends: dict[str, Counter[str]] = {}
    believed = []
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        prepare(root)
        files = {case.name: [each for each in case.rglob("*") if each.is_file()] for case in sorted(root.iterdir())}
        for _ in range(flips):
            case = dice.choice(sorted(files))
            struck = dice.choice(sorted(files[case])).relative_to(root / case)
            shutil.copytree(root / case, root / "struck")
            flip(root / "struck" / struck, dice)
            whole = root / case.replace("-unfinished", "-complete")
            end = fate(case, root / "struck", whole, root / case)
            ends.setdefault(case, Counter())[end] += 1
            if end == "believed":
                believed.append(f"{case}/{struck}")
            shutil.rmtree(root / "struck")
    return {"flips": flips, "ends": {case: dict(count) for case, count in sorted(ends.items())}, "believed": believed}


if __name__ == "__main__":
    found = main(*(int(word) for word in sys.argv[1:3]))
    print(json.dumps(found, indent=2))
    raise SystemExit(bool(found["believed"]))
