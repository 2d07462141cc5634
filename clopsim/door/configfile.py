"""Configuration files: options by their names in TOML, a list on any axis for a grid."""

import json
import re
import shlex
import tomllib
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from clopsim.door.arguments import OPTION_NAMES, option_name
from clopsim.runs.executors import Remark
from clopsim.runs.plan import RECORDS, Config
from clopsim.runs.states import is_run, recorded_config
from clopsim.runs.store import Damaged
from clopsim.training.recipe import Training

EXECUTION: Mapping[str, Any] = {"workers": None, "engine": "local", "scheduler": None, "fail_fast": False}
"""Options, with their defaults, that a file may hold though they change no result."""

GRID = "grid.toml"
"""In the folder of a grid: what its points are, under a line with the checksum of the rest."""

SEAL = "# sha256 of the lines below: "

MOST_POINTS = 500
"""Of a grid: every point has a folder that is held open."""


LONGEST_NAME = 200
"""Bytes of a folder's name; file systems take 255, and a staging name needs some."""


class Grid(NamedTuple):
    """Sweeps by the name of their folder inside the run folder ("" for a single one), and the file that says so."""

    points: Mapping[str, Config]
    text: str


def stands(folder: Path) -> bool:
    """Whether a folder holds a run or a grid of runs, complete or not."""
    return is_run(folder) or (folder / GRID).is_file()


def check_told(folder: Path, told: bool) -> None:
    """ValueError unless there is a run to go on with, or the options were told of the one to start in its place."""
    if not (told or stands(folder)):
        raise ValueError(
            f"out must hold a run to go on with, got {str(folder)!r}, where nothing is to be resumed; start one with "
            "its options, or without --resume"
        )


def say_started_anew(folder: Path) -> None:
    """Remark that a run was to be gone on with where there was none."""
    warnings.warn(f"nothing to resume in {folder}, started anew", Remark, stacklevel=4)


def defaults(record: type[Config | Training]) -> dict[str, Any]:
    """Every option that makes a record, with its default."""
    return record().to_plain()


def read(record: type[Config], path: Path) -> dict[str, Any]:
    """The values of a configuration file by field. Errors: ValueError for an unknown name or a file that is no TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("\ufeff"):
            raise ValueError(
                f"config must be TOML without a byte-order mark, got one in {str(path)!r}; save it as plain UTF-8"
            )
        found = tomllib.loads(text)
    except OSError as error:
        raise ValueError(
            f"config must be a file to read, got {str(path)!r} ({error.strerror}); check the path"
        ) from None
    except RecursionError:
        raise ValueError(
            f"config must be lines of values, got {str(path)!r} with lists too deep; flatten them"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"config must be TOML, got {str(path)!r} ({error}); write lines as in samples = 32") from None
    names = (*defaults(record), *EXECUTION)
    spelt = {option_name(name).removeprefix("--"): name for name in names}
    known = spelt | {name: name for name in names}
    values = {}
    for key, value in found.items():
        if key not in known:
            if any(isinstance(one, dict) for one in (value if isinstance(value, list) else [value])):
                raise ValueError(
                    f"config must be lines of values, got the table {key!r} in {str(path)!r}; take its name out"
                )
            near = get_close_matches(key, known, n=1)
            theirs = [other.kind for other in RECORDS.values() if key.replace("-", "_") in defaults(other)]
            usual = f"the nearest is {near[0]!r}" if near else f"clopsim {record.kind} --help lists them"
            remedy = f"clopsim {theirs[0]} takes it" if theirs else usual
            raise ValueError(f"config must hold options of {record.kind}, got {key!r} in {str(path)!r}; {remedy}")
        if known[key] == "scheduler":
            raise ValueError(
                f"scheduler must be given on the command line, got it in {str(path)!r}; a scheduler runs code as "
                "you, so no file may choose it"
            )
        values[known[key]] = _checked(known[key], value)
    return values


def _checked(name: str, value: Any) -> Any:
    """A value of a file: a number, a word, true or false, or a list of one of them, each once."""
    each = value if isinstance(value, list) else [value]
    if any(not isinstance(one, bool | int | float | str) for one in each):
        raise ValueError(f"{name} must be a number, a word or a list of them in a file, got {value!r}; write it so")
    if len({float if type(one) is int else type(one) for one in each}) > 1:
        raise ValueError(f"{name} must be a list of numbers or of words, got both in {value!r}; keep one of them")
    if len(set(each)) < len(each):
        raise ValueError(f"{name} must hold each value once, got {value!r}; drop the repeated ones")
    if isinstance(EXECUTION.get(name), bool) and not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}; write it without quotation marks")
    return value


def grid(record: type[Config], values: Mapping[str, Any], *, recorded: Path | None = None) -> Grid:
    """The sweeps that values stand for; what is not given is the default, or what the folder `recorded` ran.

    record.lists are axes inside a sweep; a list of any other option makes one sweep for each of its values.
    Errors: ValueError from the records, for too many points, or where the recorded grid differs; store.Damaged.
    """
    base = usual = defaults(record)
    if recorded is not None and (recorded / GRID).is_file():
        _check_seal(recorded / GRID)
        base = {**usual, **read(record, recorded / GRID)}  # a grid of an earlier version lacks what is new
    elif recorded is not None and is_run(recorded):
        found = recorded_config(recorded)
        if not isinstance(found, record):
            again = shlex.join(["clopsim", found.kind, "--out", str(recorded), "--resume"])
            raise ValueError(
                f"out must hold a {record.kind}, got {str(recorded)!r}, a {found.kind}; resume it: {again}"
            )
        base = found.to_plain()
    was, full = ({name: _plain(usual[name], one[name]) for name in usual} for one in (base, {**base, **values}))
    text = _toml(record.kind, full)
    if recorded is not None and (recorded / GRID).is_file() and full != was:
        raise ValueError(f"config must stay what {str(recorded / GRID)!r} says, got another; choose another --out")
    axes = {name: value for name, value in full.items() if isinstance(value, list) and name not in record.lists}
    count = 1
    for name, choices in axes.items():
        if not choices:
            raise ValueError(f"{name} must have at least one value, got none; give one such as {usual[name]!r}")
        count *= len(choices)
    if count > MOST_POINTS:
        raise ValueError(
            f"config must hold at most {MOST_POINTS} sweeps, got {count}; split the grid over several files"
        )
    points: dict[str, Config] = {}
    for choice in product(*axes.values()):
        chosen = dict(zip(axes, choice, strict=True))
        name = _folder_name(",".join(f"{key}={value}" for key, value in chosen.items()), len(points))
        points[name] = record.from_plain({**full, **chosen})
    return Grid(points, text)


def sealed(text: str) -> bytes:
    """A file of options that shows whether it is what was written; still one for --config."""
    return f"{SEAL}{sha256(text.encode()).hexdigest()}\n{text}".encode()


def _check_seal(path: Path) -> None:
    """Errors: Damaged unless the file is what was written; that of an earlier version has no seal."""
    first, _, rest = path.read_bytes().partition(b"\n")
    if first.decode(errors="replace") != f"{SEAL}{sha256(rest).hexdigest()}" and not first.startswith(b"# clopsim "):
        raise Damaged(f"out must be undamaged, got {path} with a wrong checksum; start again in another folder")


def _folder_name(text: str, number: int) -> str:
    """The name of a point's folder, which lies in that of the grid whatever the values are."""
    if len(text.encode()) <= LONGEST_NAME and not re.search(r'[/\\:*?"<>|\x00-\x1f]', text):
        return text
    return f"{number:03d}," + re.sub(r"[^\w.,=+-]", "_", text)[: LONGEST_NAME // 4]


def reproducing_command(config: Config | Training) -> str:
    """The shortest `clopsim ...` line that gives this configuration."""
    words = ["clopsim", config.kind]
    usual = defaults(type(config))
    for name, value in config.to_plain().items():
        option = option_name(name)
        if value == usual[name]:
            continue
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)


def _plain(default: Any, value: Any) -> Any:
    """A TOML value; whole numbers become floats where the default is one."""
    if isinstance(value, list | tuple):
        return [_plain(default, item) for item in value]
    usual = default[0] if isinstance(default, tuple) else default
    decimal = isinstance(usual, float) and isinstance(value, int) and not isinstance(value, bool)
    return float(value) if decimal else value


def _toml(command: str, values: Mapping[str, Any]) -> str:
    """Numbers, words and lists of them look alike in JSON and TOML."""
    lines = (
        f"{OPTION_NAMES.get(name, name).removeprefix('--')} = {json.dumps(value)}" for name, value in values.items()
    )
    return "\n".join([f"# clopsim {command} --config THIS-FILE", *lines, ""])
