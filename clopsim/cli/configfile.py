"""Configuration files: options by their names in TOML, a list on any axis for a grid."""

import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from clopsim.cli.shell import OPTION_NAMES, option_name
from clopsim.config import Sweep
from clopsim.states import PROVENANCE, recorded_config
from clopsim.store import PLAN

FIELDS = {field.name: field.default for field in fields(Sweep)}
EXECUTION = ("workers", "engine", "scheduler", "fail_fast")
"""Options that a file may hold though they change no result."""

GRID = "grid.toml"
"""In the folder of a grid: what its points are."""

MOST_POINTS = 500
"""Of a grid: every point has a folder that is held open."""


class Grid(NamedTuple):
    """Sweeps by the name of their folder inside the run folder ("" for a single one), and the file that says so."""

    points: dict[str, Sweep]
    text: str


def read(path: Path) -> dict[str, Any]:
    """The values of a configuration file by field. Errors: ValueError for an unknown name or a file that is no TOML."""
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise ValueError(
            f"config must be a file to read, got {str(path)!r} ({error.strerror}); check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"config must be TOML, got {str(path)!r} ({error}); write lines as in samples = 32") from None
    spelt = {option_name(name).removeprefix("--"): name for name in (*FIELDS, *EXECUTION)}
    known = spelt | {name: name for name in (*FIELDS, *EXECUTION)}
    values = {}
    for key, value in found.items():
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0)[0]
            raise ValueError(
                f"config must hold options of sweep, got {key!r} in {str(path)!r}; the nearest is {near!r}"
            )
        values[known[key]] = value
    return values


def grid(values: Mapping[str, Any], *, recorded: Path | None = None) -> Grid:
    """The sweeps that values stand for; what is not given is the default, or what the folder `recorded` ran.

    temperature and rates are axes inside a sweep; a list of any other option makes one sweep for each of its values.
    Errors: ValueError from the records, for too many points, or where the recorded grid differs; store.Damaged.
    """
    base: dict[str, Any] = dict(FIELDS)
    if recorded is not None and (recorded / GRID).is_file():
        base = read(recorded / GRID)
    elif recorded is not None and ((recorded / PLAN).exists() or (recorded / PROVENANCE).exists()):
        base = asdict(recorded_config(recorded))
    full = {name: _plain(name, {**base, **values}[name]) for name in FIELDS}
    text = _toml(full)
    if recorded is not None and (recorded / GRID).is_file() and text != (recorded / GRID).read_text():
        raise ValueError(f"config must stay what {str(recorded / GRID)!r} says, got another; choose another --out")
    axes = {
        name: value for name, value in full.items() if isinstance(value, list) and name not in ("temperature", "rates")
    }
    count = 1
    for name, choices in axes.items():
        if not choices:
            raise ValueError(f"{name} must have at least one value, got none; give one such as {FIELDS[name]!r}")
        count *= len(choices)
    if count > MOST_POINTS:
        raise ValueError(
            f"config must hold at most {MOST_POINTS} sweeps, got {count}; split the grid over several files"
        )
    points = {}
    for choice in product(*axes.values()):
        chosen = dict(zip(axes, choice, strict=True))
        name = ",".join(f"{key}={value}" for key, value in chosen.items())
        points[name] = Sweep.from_plain({**full, **chosen})
    return Grid(points, text)


def reproducing_command(config: Sweep) -> str:
    """The shortest `clopsim sweep ...` line that gives this configuration."""
    words = ["clopsim", "sweep"]
    for name, default in FIELDS.items():
        value = getattr(config, name)
        if value == default:
            continue
        values: Sequence[object] = (value,)
        if name == "temperature" and isinstance(value, tuple):
            values = value
        elif name == "rates":
            values = (",".join(repr(rate) for rate in value),)
        for item in values:
            words += [option_name(name), str(item)]
    return shlex.join(words)


def _plain(name: str, value: Any) -> Any:
    """A TOML value; whole numbers become floats where the field holds floats."""
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    decimal = name == "rates" or isinstance(FIELDS[name], float)
    return float(value) if decimal and isinstance(value, int) and not isinstance(value, bool) else value


def _toml(values: Mapping[str, Any]) -> str:
    """Numbers, words and lists of them look alike in JSON and TOML."""
    lines = (
        f"{OPTION_NAMES.get(name, name).removeprefix('--')} = {json.dumps(value)}" for name, value in values.items()
    )
    return "\n".join(["# clopsim sweep --config THIS-FILE", *lines, ""])
