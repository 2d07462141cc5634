"""clopsim.zoo: what `clopsim zoo` does."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.door import run
from clopsim.door.answer import Answer, as_path
from clopsim.door.arguments import takes
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.runs.states import PROVENANCE

if TYPE_CHECKING:
    import xarray as xr

    from clopsim.protocols.protocol import Protocol


class Zoo(Answer):
    """The protocols that there are."""

    def __init__(self, protocols: "dict[str, Protocol]") -> None:
        """protocols: by name."""
        self._rows = [
            {
                "name": each.name, "system": each.system, "question": each.question, "source": each.source,
                "claims": [claim.said for claim in each.claims], "seeds": each.setting.seeds,
            }
            for each in protocols.values()
        ]  # fmt: skip

    @property
    def names(self) -> list[str]:
        """What zoo() takes."""
        return [row["name"] for row in self._rows]

    def report(self) -> str:
        """One protocol a line."""
        from clopsim.show.zoo import protocols_table

        return protocols_table(self._rows)

    def to_dict(self) -> dict[str, Any]:
        """The protocols with their claims."""
        return {"protocols": self._rows}


@takes({})
def zoo(
    protocol: str = "", *, seeds: int | None = None, out: str | Path | None = None, force: bool = False
) -> run.ZooRun | Zoo:
    """Test what the authors of other losses claim, on many small networks at once; without a name, list the protocols.

    A claim is a difference between two variants, paired over the seeds: supported where its 95 % t-interval lies above
    0, not supported where it lies below the smallest difference that would matter; else the seeds cannot tell.

    protocol: "federated", ...: those that zoo() lists. seeds: repetitions, 8 or so by default; one cannot tell.
    out: folder to write as the command does (data.nc, summary.json, provenance.json, zoo.png); without it nothing is
    kept on disk. force: replace the folder.

    Returns an object with claims (verdict, mean, low, high, differences), dataset (xarray), summary, plot() (a
    matplotlib figure), to_dict(), folder; without a name one with names.
    Errors: ValueError for an unknown name, seeds < 1, a folder that is in the way.
    Source: of every protocol, its own source: whose claim, and which loss is a reconstruction.

    >>> import clopsim
    >>> "federated" in clopsim.zoo().names
    True
    """
    from clopsim.protocols.registry import PROTOCOLS

    if not isinstance(protocol, str):
        raise ValueError(
            f"protocol must be one of {', '.join(PROTOCOLS)}, got {type(protocol).__name__}; write its name"
        )
    if not protocol:
        for name, value, usual in (("seeds", seeds, None), ("out", out, None), ("force", force, False)):
            if value != usual:
                raise ValueError(f"{name} must come with a protocol, got none; name one of {', '.join(PROTOCOLS)}")
        return Zoo(PROTOCOLS)
    if protocol not in tuple(PROTOCOLS):
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}; clopsim zoo lists them")
    chosen = PROTOCOLS[protocol]
    setting, folder = chosen.with_seeds(seeds), as_path(out)
    ready.check_libraries(*ready.WRITERS, picture=folder is not None)
    from clopsim.runs import store
    from clopsim.runs.folder import check_free

    with nullcontext() if folder is None else store.locked(folder):
        if folder is not None:
            complete = (folder / PROVENANCE).is_file()
            check_free(folder, store.load(folder), complete=complete, force=force)
        return _run(chosen, setting, folder, protocol, seeds)


def _run(chosen: Any, setting: Any, folder: Path | None, protocol: str, seeds: int | None) -> run.ZooRun:
    from clopsim.runs import results
    from clopsim.runs.folder import committed

    origin = results.origin_now(shlex.join(["clopsim", "zoo", protocol, *(["--seeds", str(seeds)] if seeds else [])]))
    with progress("zoo") as advance:
        dataset = chosen.dataset(setting, on_progress=lambda share: advance(share, protocol))
    summary = ready.finite(chosen.summary(setting, dataset))
    if folder is None:
        return run.ZooRun(summary, None, loaded=_attributed(dataset, summary, origin))
    with committed(folder) as staging:
        results.picture(staging / "zoo.png", run.ZooRun(summary, None).plot)
        results.save(staging, _attributed(dataset, summary, origin), summary, origin=origin)
    return run.ZooRun(summary, folder)


def _attributed(dataset: "xr.Dataset", summary: dict[str, Any], origin: dict[str, Any]) -> "xr.Dataset":
    """The dataset with its setting, verdicts and origin."""
    from clopsim.runs import results

    verdicts = {f"verdict_{k}": f"{row['verdict']}: {row['claim']}" for k, row in enumerate(summary["claims"], start=1)}
    return dataset.assign_attrs(
        **summary["setting"],
        **verdicts,
        command=origin["command"],
        git=origin["git"],
        versions=results.listed(origin["versions"]),
    )
