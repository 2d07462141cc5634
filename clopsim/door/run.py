"""Runs as objects: what sweep, train, train_sweep, zoo and merge give back, and open_run from a stored folder."""

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from clopsim.door.answer import BROKE, FAILS, HOLDS, Answer, as_path
from clopsim.door.arguments import takes
from clopsim.door.standing import standing
from clopsim.door.threshold import Thresholds
from clopsim.runs.states import PROVENANCE, kind_of, recorded_summary
from clopsim.show import tables

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from clopsim.runs.store import Store


class Run(Answer):
    """A finished run: its summary, its folder (None: it was kept nowhere) and its data."""

    kind: ClassVar[str]  # the command that makes such a run
    picture: ClassVar[str | None] = None  # its name in the folder

    def __init__(self, summary: Mapping[str, Any], folder: Path | None, *, loaded: "xr.Dataset | None" = None) -> None:
        """loaded: the data of a run without a folder."""
        self.summary = dict(summary)
        self.folder = folder
        self._loaded = loaded

    @cached_property
    def dataset(self) -> "xr.Dataset":
        """data.nc as an xarray dataset, its provenance among the attributes; from a folder it is read where used."""
        if self._loaded is not None:
            return self._loaded
        from clopsim.runs import results

        if self.folder is None:
            raise ValueError("folder must be there for the data, got none; run it again")
        return results.opened(self.folder)

    def plot(self) -> "Figure":
        """The picture of the run, as a matplotlib figure. Errors: ValueError for a kind of run that has none."""
        raise ValueError(f"folder must hold a run with a picture, got a {self.kind}; see its dataset")

    def report(self) -> str:
        """The report of its command."""
        return tables.report(self.summary, self.folder)

    def to_dict(self) -> dict[str, Any]:
        """summary.json: the verdict and what it rests on."""
        return self.summary

    @property
    def status(self) -> int:
        """Exit status of its command: HOLDS unless its bound does not hold or a part of it failed."""
        if not self.summary.get("holds", True):
            return FAILS
        return BROKE if self.summary.get("failures") else HOLDS


class SweepRun(Run):
    """A sweep of the learning rate: dataset, thresholds, holds, plot()."""

    kind, picture = "sweep", "sweep.png"

    @property
    def holds(self) -> bool:
        """Whether every searched threshold is where the bound says."""
        return bool(self.summary["holds"])

    @property
    def thresholds(self) -> Thresholds:
        """Predicted and searched critical rates, one for each temperature and kind."""
        return Thresholds(self.summary["thresholds"])

    def plot(self) -> "Figure":
        """What was observed at every rate, beside what is predicted, as a matplotlib figure."""
        from clopsim.show import plots

        return plots.draw_sweep(self.dataset)


class TrainingSweepRun(Run):
    """A grid of small networks: dataset; the report has one row for every combination."""

    kind = "train-sweep"


class TrainingRun(Run):
    """A trained embedder: dataset, embeddings, labels, split, verdict, plot()."""

    kind, picture = "train", "train.png"

    def __init__(
        self,
        summary: Mapping[str, Any],
        folder: Path | None,
        *,
        loaded: "xr.Dataset | None" = None,
        arrays: "Mapping[str, NDArray[Any]] | None" = None,
    ) -> None:
        """arrays: embeddings.npz of a run without a folder."""
        super().__init__(summary, folder, loaded=loaded)
        self._arrays = arrays

    @cached_property
    def arrays(self) -> "Mapping[str, NDArray[Any]]":
        """embeddings.npz by name: z, norm (before normalising), y, labels (those that the loss saw), split."""
        from clopsim.runs import training_run

        if self._arrays is not None:
            return self._arrays
        if self.folder is None:
            raise ValueError("folder must be there for the embeddings, got none; run it again")
        return training_run.stored_embeddings(self.folder)

    @property
    def good(self) -> bool:
        """Whether the embeddings ended spread."""
        return self.verdict == "spread"

    @property
    def verdict(self) -> str:
        """Where it ended: collapsed, line, cluster, dimensional, views (as inspect), unlearned or spread."""
        return str(self.summary["verdict"])

    @property
    def embeddings(self) -> "NDArray[np.floating[Any]]":
        """(N, dim) unit embeddings of the samples themselves, those to train on first."""
        return self.arrays["z"]

    @property
    def labels(self) -> "NDArray[np.int64]":
        """(N,) true class of every row of the embeddings; -1: none."""
        return self.arrays["y"]

    @property
    def split(self) -> "NDArray[np.str_]":
        """(N,) "train" or "held_out"."""
        return self.arrays["split"]

    def plot(self) -> "Figure":
        """Loss, effective rank, mean resultant length and learning rate along the steps, as a matplotlib figure."""
        from clopsim.show import plots

        return plots.draw_training(self.dataset)


class ZooRun(Run):
    """A protocol of the zoo: dataset, claims with their verdicts, plot()."""

    kind, picture = "zoo", "zoo.png"

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Every claim with verdict, measure, mean difference, interval (low, high) and the differences by seed."""
        return list(self.summary["claims"])

    def plot(self) -> "Figure":
        """Every claim's paired differences with mean and interval, as a matplotlib figure."""
        from clopsim.show.zoo import draw_protocol

        return draw_protocol(self.summary)

    def report(self) -> str:
        """Every claim with its verdict, then the measures."""
        from clopsim.show.zoo import protocol_report

        return f"{protocol_report(self.summary)}\n\n{tables.written(self.folder)}".rstrip()


class Share(Answer):
    """A finished share of a sweep (shard="I/N"), to be joined with the others by merge."""

    def __init__(self, store: "Store") -> None:
        """store: of its folder."""
        self.folder = store.folder
        self.shard = "{}/{}".format(*store.share or (1, 1))
        self.failed = sum(store.finished().values())

    def report(self) -> str:
        """One line."""
        return f"share {self.shard} complete, {self.failed} cells failed: {self.folder}"

    def to_dict(self) -> dict[str, Any]:
        """Folder, share, number of cells that failed."""
        return {"folder": str(self.folder), "shard": self.shard, "failed": self.failed}

    @property
    def status(self) -> int:
        """Exit status of its command."""
        return BROKE if self.failed else HOLDS


class Runs(Answer, Mapping[str, "Run | Share"]):
    """Several sweeps, by what tells them apart (a list was given for an option that a sweep has once)."""

    def __init__(self, runs: "Mapping[str, Run | Share]", folder: Path | None = None) -> None:
        """runs: by name; folder: where theirs are (None: kept nowhere)."""
        self._runs = dict(runs)
        self.folder = folder

    def __getitem__(self, name: str) -> "Run | Share":
        return self._runs[name]

    def __iter__(self) -> Any:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def report(self) -> str:
        """A line for every sweep, and where they are."""
        lines = [
            f"{name}: {tables.verdict(one.summary)}" if isinstance(one, Run) else one.report()
            for name, one in self._runs.items()
        ]
        if self.folder is not None and any(isinstance(one, Run) for one in self._runs.values()):
            again = shlex.join(["clopsim", "show", str(self.folder / next(iter(self._runs)))])
            lines += ["", f"{tables.written(self.folder)}, a folder for each:", again]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Their documents by name, and whether all went well."""
        documents = {name: one.to_dict() for name, one in self._runs.items()}
        return {"holds": self.status == HOLDS, "sweeps": documents}

    @property
    def status(self) -> int:
        """Exit status of its command."""
        return min((one.status for one in self._runs.values() if one.status), default=HOLDS)


KINDS: dict[str, type[Run]] = {each.kind: each for each in (SweepRun, TrainingSweepRun, TrainingRun, ZooRun)}


@takes({})
def open_run(folder: str | Path) -> Run:
    """A complete run from its folder, as the object that sweep, train_sweep, train or zoo gave back; nothing is run.

    folder: what out= named, or the command's --out.
    Returns a sweep (dataset, thresholds, holds, plot()), a training (dataset, embeddings, labels, split, verdict,
    plot()), a sweep of trainings (dataset) or a protocol of the zoo (dataset, claims, plot()); all have summary,
    to_dict() and print as the report of the command.
    Errors: ValueError for a folder that is no complete run or is damaged (checksums are compared).
    Source: ours; clopsim runs lists the folders there are.

    >>> import clopsim
    >>> clopsim.open_run(clopsim.sweep(samples=8, rates=[0.5, 2], seeds=1, steps=5, out="stored").folder).holds
    True
    """
    place = as_path(folder, "folder") or Path()
    if not (place / PROVENANCE).is_file():
        raise ValueError(f"folder must be a complete run, got {str(folder)!r}, {standing(place)}")
    summary = recorded_summary(place)
    kind = kind_of(summary)
    if kind not in KINDS:
        raise ValueError(
            f"folder must be a sweep, a training run or a protocol, got {str(folder)!r}; read its summary.json"
        )
    return KINDS[kind](summary, place)


def temporary(folder: Path | None) -> "AbstractContextManager[str | Path]":
    """The folder, or one that goes when the block ends."""
    from tempfile import TemporaryDirectory

    if folder is not None:
        return nullcontext(folder)
    return TemporaryDirectory(prefix="clopsim-", ignore_cleanup_errors=True)  # what is read out is not lost to it
