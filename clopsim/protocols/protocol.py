"""What a protocol is: a record of its setting, a run over seeds, and the claims that its numbers decide.

To add one: a file with a frozen record of its setting, `run(setting, on_progress)` that returns a dataset with a
dimension "seed", and a Protocol; then its line in registry.py. Everything else, from the command to the picture,
follows from the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from clopsim.audit.claim import Verdict as Recorded
from clopsim.bounds.setting import whole_number
from clopsim.protocols.judgement import Judgement, Verdict, judge

Progress = Callable[[float], None]
"""Gets the share of the work that is done, in [0, 1]."""


MOST_SEEDS = 10_000
"""They narrow an interval a hundredfold."""


@dataclass(frozen=True)
class Comparison:
    """One claim as a difference that is positive, seed by seed, where the claim is right."""

    said: str  # the claim, in a sentence
    measure: str  # what is compared, in a few words
    difference: Callable[[xr.Dataset], xr.DataArray]  # (seed,)
    matters: float  # the smallest difference that would matter
    short: Verdict | None = None  # what the short run in `clopsim verify` must say; None: it is too short to tell


def less(measure: str, first: str, second: str) -> Callable[[xr.Dataset], xr.DataArray]:
    """The measure of one variant less that of another, (seed,)."""
    return lambda data: data[measure].sel(variant=first) - data[measure].sel(variant=second)


@dataclass(frozen=True)
class Protocol:
    """How the claims on one system of the zoo are tested."""

    name: str  # after `clopsim zoo`
    identifier: str  # of the claim in the ledger
    system: str  # as its authors call it
    source: str  # of the claims, and what is reconstructed: authors' code, paper, style of
    statement: str  # what the authors say, in a sentence
    assumptions: str  # under which it is tested here
    verdict: Recorded  # what became of it, as the ledger records it
    finding: str  # the same in a sentence or two
    question: str  # in half a line
    setting: Any  # frozen record of a whole run; its field seeds: how many, numbered from 0
    short: Any  # that of the run inside `clopsim verify`
    run: Callable[[Any, Progress], xr.Dataset]
    claims: tuple[Comparison, ...]
    variables: Mapping[str, str]  # long_name of every variable and coordinate
    columns: Mapping[str, str]  # variables of the report's table, each (..., seed), and their heads

    def dataset(self, setting: Any, *, on_progress: Progress = lambda share: None) -> xr.Dataset:
        """Run the setting: variables with long_name and units."""
        found = self.run(setting, on_progress)
        for name, variable in found.variables.items():
            variable.attrs.update(long_name=self.variables[str(name)], units="1")
        return found

    def with_seeds(self, seeds: int | None) -> Any:
        """The setting of a whole run, over so many seeds. Errors: ValueError for seeds < 1."""
        if seeds is None:
            return self.setting
        whole_number("seeds", seeds, low=1, high=MOST_SEEDS)
        return replace(self.setting, seeds=seeds)

    def judged(self, dataset: xr.Dataset) -> list[Judgement]:
        """What the dataset says of every claim, in their order."""
        return [
            judge(np.asarray(claim.difference(dataset).transpose("seed"), dtype=np.float64), matters=claim.matters)
            for claim in self.claims
        ]

    def summary(self, setting: Any, dataset: xr.Dataset) -> dict[str, Any]:
        """Verdicts and the numbers that they rest on, as plain values: what --json prints."""
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(setting).items()}
        rows = []
        for claim, found in zip(self.claims, self.judged(dataset), strict=True):
            each = claim.difference(dataset).to_numpy().tolist()
            rows.append({"claim": claim.said, "measure": claim.measure, **found.to_dict(), "differences": each})
        return {
            "protocol": self.name, "identifier": self.identifier, "system": self.system, "source": self.source,
            "claims": rows, **self._table(dataset), "setting": {"protocol": self.name, **plain},
        }  # fmt: skip

    def _table(self, dataset: xr.Dataset) -> dict[str, Any]:
        """Mean over the seeds of every column, a row for every point of the other axes; and the heads."""
        means = dataset[list(self.columns)].mean("seed")
        axes = [str(axis) for axis in means.dims]
        rows = []
        for place in np.ndindex(*(means.sizes[axis] for axis in axes)):
            one = means.isel(dict(zip(axes, place, strict=True)))
            rows.append({name: one[name].item() for name in (*axes, *self.columns)})
        return {"columns": {**{axis: axis for axis in axes}, **self.columns}, "table": rows}
