"""Give every command wrong input: each must refuse it in one line with status 2, at once, and leave nothing.

    python -m tests.wrong 1000 [SEED]

The options come from the commands themselves, so a new one is asked too. Drawn are wrong numbers and words for every
option, lists with gaps and repetitions, absurd sizes, files that are damaged, encrypted, of another kind or not there,
configurations that are none, folders that cannot be, and places that cannot be written. Prints what was given as JSON;
exits with 1 and one line for each input that was taken, died, took long, said more than a line or left something.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import numpy as np
from typer.main import get_command
from typer.testing import CliRunner

from clopsim import cli

SECONDS = 20
"""In which an input must be refused, on a busy machine."""

ROOM = 4 * 2**30
"""Bytes that may be taken beyond what the process has: an absurd size must be refused, not tried."""

HUGE = str(10**20)
NUMBERS = ("x", "", "nan", "inf", "-1", "1,5", "1e999")
WHOLES = ("x", "", "nan", "-1", "1.5", "1e3", HUGE)
LISTS = ("x", ",", "1,,2", "1,1", "nan", "1,", "-1,1", ",1")
BASE = {
    "bounds": "",
    "card": "infonce --samples 6 --dim 3",
    "figures": "collapse_temperatures --quick",
    "inspect": "good.npz --key x",
    "lab": "--out page.html",
    "lessons": "--out notebooks",
    "merge": "share1 share2 --out whole",
    "runs": ".",
    "show": "run",
    "sweep": "--samples 8 --rates 0.5,2 --seeds 2 --steps 10 --clusters 2 --out new",
    "threshold": "collapse --samples 8 --seeds 1",
    "train": "--data clusters --samples 40 --dim 3 --width 4 --batch 0 --steps 3 --no-sharpness --out new",
    "train-sweep": "--data clusters --samples 40 --dim 4 --width 4 --batch 0 --steps 3 "
    "--rate 0.1 --weight 0 --labelled 1 --seeds 1 --out new",
    "verify": "--only T6",
    "zoo": "federated --seeds 1 --out new",
}
"""A line of every command that is right, and quick."""

FREE = {"--key", "--labels", "--views", "--fail-on", "--data", "--device", "--scheduler", "--shard", "--only",
        "--config", "--save-config", "--out", "--report", "--figure", "--runs"}  # fmt: skip
"""Options of other kinds, given below."""

CONFIGS = {
    "unknown": "samplse = 8",
    "table": "[samples]\nx = 8",
    "date": "samples = 2026-01-01",
    "dates": "samples = [2026-01-01]",
    "mixed": 'samples = [8, "x"]',
    "nested": "samples = [[8]]",
    "word": 'samples = "8"',
    "bool": "samples = true",
    "repeated": "seeds = [1, 1]",
    "empty": "seeds = []",
    "fail": 'fail_fast = "yes"',
    "workers": 'workers = "2"',
    "engine": 'engine = "cloud"',
    "cluster": 'engine = "dask"\nscheduler = "tcp://127.0.0.1:1"',
    "syntax": "samples = ",
    "deep": "samples = " + "[" * 5000 + "]" * 5000,
    "huge": f"samples = {HUGE}",
    "nan": "noise = nan",
    "points": f"seed = {list(range(600))}",
}


def commands() -> dict[str, list[tuple[str, str]]]:
    """Every command with its options and what each takes."""
    group = get_command(cli.app)
    found = {}
    for name, command in group.commands.items():
        options = [parameter for parameter in command.params if getattr(parameter, "is_flag", True) is False]
        found[name] = [(option.opts[0], option.metavar or "") for option in options]
    return found


def values() -> Iterator[tuple[str, list[str]]]:
    """Every option with every wrong value for its kind; a later option replaces an earlier one."""
    for command, options in commands().items():
        for option, takes in options:
            if option in FREE or option.startswith("--show") or option.startswith("--install"):
                continue
            wrong = {"NUMBER": NUMBERS, "N": WHOLES}.get(takes)
            if wrong is None:
                wrong = LISTS if takes.endswith(",...") else ("no-such-word", "")
            for value in wrong:
                if (command, option, value) not in RIGHT:
                    yield "value", [command, *BASE[command].split(), f"{option}={value}"]


RIGHT: set[tuple[str, str, str]] = set()
"""Values that look wrong and are not."""


def usage() -> Iterator[tuple[str, list[str]]]:
    """Lines that are no commands."""
    yield "usage", ["no-such-command"]
    yield "usage", ["--no-such-option"]
    for command, line in BASE.items():
        yield "usage", [command, *line.split(), "--no-such-option"]
        yield "usage", [command, *line.split(), "--out"]
        if command not in ("inspect", "merge", "figures"):
            yield "usage", [command, *line.split(), "one", "too", "many"]
    for command in ("card", "inspect", "merge", "show", "threshold"):
        yield "usage", [command]


def files() -> Iterator[tuple[str, list[str]]]:
    """Files and folders that are not what a command takes."""
    bad = [f"bad/{name}" for name in sorted(os.listdir("bad"))]
    for path in [*bad, "no/such.npz", "empty-folder", "run/plan.json", ".", "bad/*.none", "a\nb.npz"]:
        yield "file", ["inspect", path]
        yield "file", ["inspect", "good.npz", "--labels", path if "/" in path else f"./{path}"]
        yield "file", ["inspect", "good.npz", "--views", path if "/" in path else f"./{path}"]
    for path in [*bad, "no/such.npz", "bad", "openml:", "openml:no/such", "CIFAR"]:
        yield "file", ["train", *BASE["train"].split(), "--data", path]
        yield "file", ["train-sweep", *BASE["train-sweep"].split(), "--data", path]
    for name in CONFIGS:
        yield "config", ["sweep", "--out", "new", "--config", f"config/{name}.toml"]
        yield "config", ["train-sweep", "--out", "new", "--config", f"config/{name}.toml"]
    for path in ("config", "config/none.toml", "good.npz", "config/bom.toml", "config/wide.toml"):
        yield "config", ["sweep", "--out", "new", "--config", path]
    yield "folder", ["show", "share1"]
    for path in ["no", "empty-folder", "good.npz", "run", "a\nb", *sorted(map(str, Path("runs-bad").iterdir()))]:
        if path != "run":
            yield "folder", ["show", path]
        yield "folder", ["merge", path, "share2", "--out", "whole"]
    yield "folder", ["runs", "no"]
    yield "folder", ["runs", "good.npz"]
    yield "folder", ["merge", "share1", "--out", "whole"]
    yield "folder", ["merge", "share1", "share1", "--out", "whole"]
    for name in (
        "no.py:f",
        "loss.py",
        "loss.py:none",
        "loss.py:number",
        "broken.py:f",
        "good.npz:f",
        "loss.py:word",
        "",
    ):
        yield "loss", ["card", name]


def places() -> Iterator[tuple[str, list[str]]]:
    """Where nothing can be written."""
    for place in ("good.npz/x", "/proc/no/x", "", "a" * 300, "nul\0l"):
        for command in ("sweep", "train", "train-sweep", "zoo", "merge", "lessons", "lab", "figures"):
            words = BASE[command].split()
            yield "place", [command, *words, f"--out={place}"]
        yield "place", ["figures", "collapse_temperatures", "--quick", f"--runs={place}"]
        for command in ("sweep", "train-sweep"):
            yield "place", [command, *BASE[command].split(), f"--save-config={place}"]
    for place in ("no/such/x.png", "good.npz/x.png", "x.txt", "empty-folder", "", "/proc/x.png"):
        for command, option in (
            ("inspect", "--figure"),
            ("card", "--figure"),
            ("show", "--figure"),
            ("verify", "--report"),
        ):
            yield "place", [command, *BASE[command].split(), f"{option}={place}"]
    for command in ("sweep", "train", "train-sweep", "zoo"):
        for place in ("good.npz", "empty.txt", "run", "strangers"):
            yield "place", [command, *BASE[command].split(), f"--out={place}"]
            if command != "zoo" and (command, place) != ("sweep", "run"):
                yield "place", [command, *BASE[command].split(), f"--out={place}", "--resume"]
        yield "place", [command, *BASE[command].split(), "--out=strangers", "--force"]


def words() -> Iterator[tuple[str, list[str]]]:
    """Options that are words of their own, sizes beyond any machine, and options that do not go together."""
    for name in ("", "none,", ",", "complete,,line", "complete,complete", "no"):
        yield "word", ["inspect", "good.npz", f"--fail-on={name}"]
    for name in ("", "T999", "T4,T4", "NaN"):
        yield "word", ["verify", f"--only={name}"]
    for name in ("", "png,", "png,png", "gif", ","):
        yield "word", ["figures", "collapse_temperatures", "--quick", f"--format={name}"]
    for command in ("sweep", "train-sweep"):
        line = [command, *BASE[command].split()]
        for shard in ("", "0/2", "3/2", "1", "1/0", "x/y", f"1/{HUGE}"):
            yield "word", [*line, f"--shard={shard}"]
        for scheduler in ("", "x", "tcp://", "127.0.0.1:1", "tcp://no.such.host.invalid:1"):
            yield "word", [*line, f"--scheduler={scheduler}"]
        for more in (["--resume", "--force"], ["--engine=dask", "--scheduler=x"]):
            yield "word", [*line, *more]
        yield "size", [*line, f"--seeds={10**9}"]
    for command in ("sweep", "train", "train-sweep"):
        for device in ("", "gpu", "meta", "cuda:99", "cpu:x"):
            yield "word", [command, *BASE[command].split(), f"--device={device}"]
        yield "size", [command, *BASE[command].split(), f"--samples={10**9}"]
        yield "size", [command, *BASE[command].split(), f"--dim={10**9}"]
        yield "size", [command, *BASE[command].split(), f"--steps={10**12}"]
    yield "size", ["sweep", "--out=new", "--samples=200000"]
    yield "size", ["threshold", "collapse", "--samples=200000"]
    yield "size", ["threshold", "collapse", f"--seeds={10**9}"]
    yield "size", ["threshold", "collapse", "--bracket=1e-16"]
    yield "size", ["threshold", "collapse", f"--dim={10**9}"]
    yield "size", ["zoo", "federated", f"--seeds={10**9}"]
    yield "size", ["card", "infonce", f"--samples={10**6}"]
    yield "size", ["train", *BASE["train"].split(), f"--width={10**6}"]
    yield "size", ["train", *BASE["train"].split(), f"--depth={10**6}"]
    yield "size", ["train", *BASE["train"].split(), f"--features={10**9}"]


def prepare(root: Path) -> None:
    """Runs and files to be wrong about."""
    for name in ("bad", "empty-folder", "config", "runs-bad", "strangers"):
        (root / name).mkdir()
    (root / "strangers/diary.txt").write_text("mine")
    (root / "empty.txt").touch()
    (root / "loss.py").write_text("number = 1\ndef word(cosines):\n    return 'x'\n")
    (root / "broken.py").write_text("1 / 0\n")
    for name, text in CONFIGS.items():
        (root / f"config/{name}.toml").write_text(text)
    (root / "config/bom.toml").write_bytes(b"\xef\xbb\xbfsamples = 8")
    (root / "config/wide.toml").write_bytes(b"\xff\xfes\0a\0")
    rows = np.random.default_rng(0).normal(size=(20, 3))
    np.savez(root / "good.npz", x=rows, y=np.arange(20) % 2)
    good = (root / "good.npz").read_bytes()
    bad = root / "bad"
    (bad / "empty.npz").touch()
    (bad / "cut.npz").write_bytes(good[: len(good) // 2])
    (bad / "flipped.npz").write_bytes(good[:90] + bytes(255 - byte for byte in good[90:200]) + good[200:])
    (bad / "text.npz").write_text("x")
    (bad / "text.npy").write_text("hello\n")
    (bad / "empty.npy").touch()
    (bad / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3,")
    (bad / "header.npy").write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999, 99), }"))
    (bad / "size.npy").write_bytes(header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2), }"))
    (bad / "deep.npy").write_bytes(header("(" * 3000 + ")" * 3000))
    np.savez(bad / "words.npz", x=np.array([["a", "b"]] * 5))
    np.savez(bad / "nothing.npz")
    np.savez(bad / "scalar.npz", x=np.float64(1))
    np.savez(bad / "pickle.npz", x=np.array([{}, []], dtype=object))
    np.savez(bad / "nan.npz", x=np.full((20, 3), np.nan))
    for name, position, byte in (("encrypted", 6, 1), ("unknown-method", 8, 99)):  # flags and method of each entry
        data = bytearray(good)
        for sign, offset in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            at = data.find(sign)
            while at >= 0:
                data[at + position + offset] = byte
                at = data.find(sign, at + 1)
        (bad / f"{name}.npz").write_bytes(data)
    with zipfile.ZipFile(bad / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as entry:
        entry.write(header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12}, 3), }}"))
        entry.write(bytes(2**20))
    for ending in ("pt", "safetensors", "parquet", "csv"):
        (bad / f"text.{ending}").write_text("hello\n")
        (bad / f"empty.{ending}").touch()
    (bad / "wide.csv").write_text("1,2,3\n1,2\n1,2,3,4\n")
    (bad / "binary.csv").write_bytes(bytes(range(256)) * 4)
    for words in (
        [*BASE["sweep"].split(), "--out", "run"],
        *([*BASE["sweep"].split(), "--out", f"share{k}", "--shard", f"{k}/2"] for k in (1, 2)),
    ):
        assert run(["sweep", *words]).exit_code == 0
    for name, content in (
        ("json", b"{"), ("deep", b"[" * 10**5), ("list", b"[]"), ("empty", b""), ("binary", bytes(range(256))),
        ("number", b"1" * 10**5),
    ):  # fmt: skip
        for file in ("plan.json", "provenance.json"):
            folder = root / "runs-bad" / f"{name}-{file[:4]}"
            folder.mkdir()
            (folder / file).write_bytes(content)


def header(text: str) -> bytes:
    """The beginning of an .npy file."""
    body = text.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + len(body).to_bytes(4, "little") + body


def run(words: list[str]):
    """What a line of the command does."""
    return CliRunner().invoke(cli.app, words)


class TooLong(BaseException):
    """An input that was not refused at once."""


@contextmanager
def limited(seconds: int, room: int) -> Iterator[None]:
    """End what takes longer, or more memory."""

    def end(*_: object) -> None:
        raise TooLong

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before, limits = signal.signal(signal.SIGALRM, end), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + room, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def there() -> dict[str, tuple[int, int]]:
    """Every file here, with its size and date."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0)
        for path in Path().rglob("*")
    }


def complaint(words: list[str]) -> str | None:
    """What is wrong with how a wrong line ends, if anything is."""
    before = there()
    try:
        return _judged(words, before)
    finally:
        for new in sorted(set(there()) - set(before)):  # the next one finds the folder as it was
            path = Path(new)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _judged(words: list[str], before: dict[str, tuple[int, int]]) -> str | None:
    try:
        with limited(SECONDS, ROOM):
            result = run(words)
    except TooLong:
        return f"not refused in {SECONDS} s"
    error = None if isinstance(result.exception, SystemExit) else result.exception
    if error is not None:
        return f"died of {type(error).__name__}: {str(error)[:200]}"
    if result.exit_code != 2:
        return f"status {result.exit_code}: {(result.stderr or result.stdout)[:200]!r}"
    if result.stdout or result.stderr.count("\n") != 1 or not result.stderr.startswith("clopsim: "):
        return f"said {result.stdout[:100]!r} and {result.stderr[:300]!r}"
    if len(result.stderr) > 1000:
        return f"said {len(result.stderr)} characters"
    if not result.stderr[:-1].isprintable():
        return f"said {result.stderr!r}, which is not all printable"
    if (after := there()) != before:
        return f"left {sorted(set(after.items()) ^ set(before.items()))}"
    return None


KINDS: tuple[Callable[[], Iterator[tuple[str, list[str]]]], ...] = (values, usage, files, places, words)


def main(count: int, seed: int = 0) -> dict[str, object]:
    """Give so many wrong inputs, drawn evenly; how many of each kind, and what was wrong."""
    wrong, given = [], Counter[str]()
    os.environ.update(NO_COLOR="1", TTY_COMPATIBLE="0")
    with tempfile.TemporaryDirectory() as place, chdir(place):
        prepare(Path(place))
        every = [each for kind in KINDS for each in kind()]
        dice = random.Random(seed)
        dice.shuffle(every)
        for kind, line in every[:count]:
            given[kind] += 1
            if (why := complaint(line)) is not None:
                wrong.append({"line": line, "why": why})
                print(json.dumps(wrong[-1]), file=sys.stderr)
    return {"known": len(every), "given": dict(given), "wrong": len(wrong)}


if __name__ == "__main__":
    found = main(*(int(word) for word in sys.argv[1:3]))
    print(json.dumps(found, indent=2))
    raise SystemExit(bool(found["wrong"]))
