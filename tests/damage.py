"""Flip bits in the files of runs and in an archive of arrays: each flip must be detected, healed or harmless.

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

from clopsim.metrics import archive
from clopsim.runs import executors, plan, results, store, training_run
from clopsim.runs import folder as runs
from clopsim.runs.states import describe, recorded_config, recorded_summary
from clopsim.runs.store import Damaged
from tests.kill import CONFIGS, FILES, sweep


def prepare(root: Path) -> None:
    """A complete and an unfinished run of every kind, and an archive."""
    for kind in ("sweep", "train"):
        sweep(root / f"{kind}-complete", CONFIGS[kind])
    half = root / "sweep-unfinished"
    with store.locked(half):
        begun = runs.begin(half, CONFIGS["sweep"], origin=results.origin_now("clopsim sweep"))
        runs.run_all([begun], executors.here)
    ordinary, training_run.write = training_run.write, interrupted
    try:
        sweep(root / "train-unfinished", CONFIGS["train"])
    except Exception as error:
        if "is kept" not in str(error):
            raise
    finally:
        training_run.write = ordinary
    rows = np.random.default_rng(0).normal(size=(20, 3))
    (root / "archive").mkdir()
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
    if case == "archive":
        for name in ("plain.npz", "packed.npz"):
            try:
                found, wanted = archive.read(folder / name), archive.read(pristine / name)
            except ValueError:
                return "detected"
            if not all(
                each in wanted and np.array_equal(each_found, wanted[each]) for each, each_found in found.items()
            ):
                renamed = set(found) != set(wanted)
                if not renamed or any(not any(np.array_equal(a, b) for b in wanted.values()) for a in found.values()):
                    return "believed"
        return "harmless"
    if describe(folder).state == "damaged":
        return "detected"
    if case.endswith("complete"):
        same = recorded_summary(folder) == recorded_summary(pristine)
        return "harmless" if same and recorded_config(folder) == recorded_config(pristine) else "believed"
    kind = case.split("-")[0]
    try:
        sweep(folder, CONFIGS[kind])
    except (Damaged, ValueError):
        return "detected"
    same = all((folder / name).read_bytes() == (whole / name).read_bytes() for name in FILES[kind])
    return "healed" if same else "believed"


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
            whole = root / f"{case.split('-')[0]}-complete"
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
