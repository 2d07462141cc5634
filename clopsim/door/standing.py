"""What a folder holds that is no complete run, in words, and what to do about it."""

import shlex
from pathlib import Path

from clopsim.door.configfile import GRID
from clopsim.runs import store
from clopsim.runs.states import DATA, describe, is_run, run_folders


def standing(folder: Path) -> str:
    """What stands in a folder without a complete run; what to do; to follow "got FOLDER"."""
    if not folder.is_dir():
        there = "a file" if folder.exists() else "which does not exist"
        return f"{there}; clopsim runs FOLDER lists the runs in a folder"
    runs = shlex.join(["clopsim", "runs", str(folder)])
    if (folder / GRID).is_file():
        inside = list(run_folders(folder))
        one = f", clopsim show {shlex.quote(str(inside[0]))} prints one" if inside else ""
        return f"a grid of {len(inside)} sweeps; {runs} lists them{one}"
    if not (is_run(folder) or (folder / DATA).exists()):
        if any(is_run(path) for path in folder.iterdir() if path.is_dir()):
            return f"a folder of runs; {runs} lists them"
        return "which holds none; clopsim runs FOLDER lists the runs in a folder"
    found = describe(folder)
    if found.state == "share":
        return f"a {found.detail.replace('; join', '; join it')} FOLDER... --out WHOLE"
    if found.state == "damaged":
        return found.detail
    if found.state == "running":
        return f"which is {found.detail}; wait for its end"
    words = ["clopsim", found.kind, "--out", str(folder)]
    if (unfinished := store.load(folder)) and unfinished.share:
        words += ["--shard", "{}/{}".format(*unfinished.share)]
    return f"unfinished, {found.detail}; go on with: {shlex.join([*words, '--resume'])}"
