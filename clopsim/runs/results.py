"""A run's folder: written whole or not at all, with its provenance."""

import io
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from clopsim.runs import ready, states, store
from clopsim.runs.code import version

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA, SUMMARY, PROVENANCE = states.DATA, states.SUMMARY, states.PROVENANCE
PACKAGES = ("clopsim", "numpy", "scipy", "torch", "matplotlib", "xarray", "scikit-learn")


def save(
    folder: Path,
    dataset: xr.Dataset,
    summary: Mapping[str, Any],
    *,
    origin: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write data.nc and what record() writes."""
    save_data(folder, dataset)
    record(folder, summary, origin=origin, more=more)


def save_data(folder: Path, dataset: xr.Dataset) -> None:
    """Write data.nc."""
    dataset.to_netcdf(folder / DATA, engine="scipy", format="NETCDF3_64BIT")


def opened(folder: Path) -> xr.Dataset:
    """data.nc of a run folder, read where it is used; close it.

    The format holds every value as it is and the file is mapped, so that no size in its header is believed.
    Errors: store.Damaged for what is no such file; OSError.
    """
    try:
        return xr.open_dataset(folder / DATA, engine="scipy")
    except OSError:
        raise
    except Exception as error:  # whatever its readers find wrong
        raise store.Damaged(
            f"out must be undamaged, got {folder / DATA}, which is no file of ours; start again with --force"
        ) from error


def record(
    folder: Path, summary: Mapping[str, Any], *, origin: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> None:
    """Write summary.json and provenance.json, which knows the time and place of the run and every file's checksum.

    origin: origin_now of the start, since what is asked for only now may fail; more: further entries of the provenance.
    """
    (folder / SUMMARY).write_text(json.dumps(ready.finite(summary), indent=2, allow_nan=False) + "\n")
    provenance = {
        "command": origin["command"],
        "argv": sys.argv,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": origin["git"],
        "versions": origin["versions"],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": _threads(),
        **(more or {}),
        "sha256": {path.name: states.checksum(path) for path in sorted(folder.iterdir())},
    }
    provenance = json.loads(json.dumps(provenance))  # as it will be read
    (folder / PROVENANCE).write_text(json.dumps(provenance | {"seal": store.digest_of(provenance)}, indent=2) + "\n")


def picture(path: Path, draw: "Callable[[], Figure]") -> None:
    """Draw a run's picture; where that fails nothing is left of it, and a warning says how to draw it later."""
    with ready.spared(path.name, "clopsim show --figure draws it anew"):
        content = io.BytesIO()
        draw().savefig(content, format=path.suffix[1:], dpi=150)
        try:
            path.write_bytes(content.getvalue())
        except OSError:
            path.unlink(missing_ok=True)
            raise


def attributes(summary: Mapping[str, Any], *, command: str, origin: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Attributes of a dataset: setting, predicted and searched rates per temperature (nan: never), versions, origin.

    A momentum of 0 is left out: the file is then, byte for byte, that of the versions that knew none.
    too_small_x: 1 where n is too small to tell the predicted rate x (T13).

    origin: git hash and versions of the run's start, so that a resume changes no byte; by default those of now.
    """
    origin = origin_now(command) if origin is None else origin
    nan = float("nan")
    flat = {name: value for name, value in summary["setting"].items() if value or name != "momentum"}
    for name in (
        "collapse_rate",
        "uniform_rate",
        "breaking_degree",
        "alignment_uniform_rate",
        "alignment_collapse_rate",
        "antipodal_line_rate",
    ):
        values = [row["predicted"][name] for row in summary["sweep"]]
        flat[f"predicted_{name}"] = [nan if value is None else float(value) for value in values]
    ranges = [row["predicted"]["paper_range"] or (nan, nan) for row in summary["sweep"]]
    flat["paper_range"] = [edge for edges in ranges for edge in edges]
    for name in ("uniform_rate", "alignment_uniform_rate"):
        flat[f"too_small_{name}"] = [int(name in row["predicted"].get("too_small", ())) for row in summary["sweep"]]
    for kind in sorted({row["kind"] for row in summary["thresholds"]}):
        values = [row["observed_rate"] for row in summary["thresholds"] if row["kind"] == kind]
        flat[f"observed_{kind}_rate"] = [nan if value is None else value for value in values]
    flat["holds"] = int(summary["holds"])
    flat["command"] = command
    flat["git"] = origin["git"]
    flat["versions"] = listed(origin["versions"])
    return flat


def origin_now(command: str) -> dict[str, Any]:
    """Where a run that starts now comes from: git hash, versions and the line that reproduces it."""
    return {"git": git_hash(), "versions": versions(), "command": command}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def listed(versions: Mapping[str, str]) -> str:
    """Versions as one attribute of a dataset."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def git_hash() -> str:
    """Commit of this source tree, with "+changes" if it was edited; "unknown" outside a checkout of clopsim."""
    here = Path(__file__)

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here.parent), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # an installed copy inside somebody else's checkout is not ours
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _threads() -> int:
    import torch

    return torch.get_num_threads()
