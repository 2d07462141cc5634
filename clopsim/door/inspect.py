"""clopsim.inspect: what `clopsim inspect` prints."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.bounds.setting import each_once
from clopsim.door.answer import Answer, as_path
from clopsim.door.arguments import takes
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.show.inspection import comparison_report, inspection_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from clopsim.metrics.comparison import Apart
    from clopsim.metrics.inspection import Inspection as Found

PICTURES = (".png", ".pdf", ".svg")

MOST = 5
"""Tables that stand side by side on a page."""


class _Drawn(Answer):
    """An answer that can be drawn into a file."""

    def plot(self) -> "Figure":
        """The picture."""
        raise NotImplementedError

    def _draw(self, path: Path) -> None:
        from clopsim.runs import store
        from clopsim.show import plots

        form, content = path.suffix[1:].lower(), io.BytesIO()
        with ready.spared(str(path), "the report stands") as drawn:
            self.plot().savefig(content, format=form, dpi=150, metadata=plots.undated(form))
            store.write_atomically(path, content.getvalue())
        self.complete = drawn.done


class Inspection(_Drawn):
    """What some embeddings look like, and whether they have collapsed."""

    def __init__(self, found: "Found", fail_on: Sequence[str] = (), *, every: bool = False) -> None:
        """found: of metrics.inspection.inspect; fail_on: the verdicts with which holds is False; every: all lines."""
        self._found, self.every = found, every
        self.holds = found.report["verdict"] not in fail_on
        self.verdict: str = found.report["verdict"]
        self.rule: str = found.report["rule"]
        self.observations: list[str] = found.report["observations"]

    @property
    def good(self) -> bool:
        """Whether nothing has collapsed."""
        return self.verdict == "none"

    def report(self) -> str:
        """The verdict, and below it the observables that matter most, or all of them."""
        return inspection_report(self._found.report, every=self.every)

    def to_dict(self) -> dict[str, Any]:
        """Every observable, the spectrum and its ranks, and the class-wise numbers."""
        return dict(self._found.report)

    def plot(self) -> "Figure":
        """The spectrum and the cosines of sampled pairs, as a matplotlib figure."""
        from clopsim.show import plots

        return plots.draw_inspection(self._found)


class Comparison(_Drawn):
    """Several tables of embeddings side by side."""

    def __init__(self, each: Sequence[Inspection], names: Sequence[str], apart: "Sequence[Apart]") -> None:
        """apart: how each table but the first lies to the first."""
        self.each, self.names, self.apart = tuple(each), tuple(names), tuple(apart)
        self.holds = all(one.holds for one in each)
        self.verdict = tuple(one.verdict for one in each)

    @property
    def good(self) -> bool:
        """Whether nothing has collapsed in any of them."""
        return all(one.good for one in self.each)

    def report(self) -> str:
        """The verdicts, and the observables in a column for each table."""
        return comparison_report(
            [one.to_dict() for one in self.each],
            self.names,
            [apart._asdict() for apart in self.apart],
            every=self.each[0].every,
        )

    def to_dict(self) -> dict[str, Any]:
        """each: the reports, with the name of their file; beside_first: modality gap and cosine of paired rows."""
        each = [{"file": name, **one.to_dict()} for name, one in zip(self.names, self.each, strict=True)]
        return {"each": each, "beside_first": [apart._asdict() for apart in self.apart]}

    def plot(self) -> "Figure":
        """The spectra about the mean and the cosines of sampled pairs of all tables, as a matplotlib figure."""
        from clopsim.show import plots

        return plots.draw_inspections([one._found for one in self.each], self.names)


@takes({})
def inspect(
    z: Any,
    *more: Any,
    labels: Any = None,
    views: Any = None,
    key: str | None = None,
    skip_bad: bool = False,
    fail_on: str | Sequence[str] | None = None,
    figure: str | Path | None = None,
    all: bool = False,
) -> Inspection | Comparison:
    """Have these embeddings collapsed? Every observable, and a verdict with its rule.

    z: embeddings (n, d), one a row, n, d >= 2, of any length (rows are normalised first): a NumPy array, a torch tensor
    on any device, nested lists, or the path of a .npy, .npz, .pt, .pth, .safetensors, .csv or .parquet file, of a
    folder of shards or of a pattern such as "shard_*.npy". more: up to four further ones to stand beside it, such as
    checkpoints, or the other tower with the modality gap.
    labels: (n,) whole numbers or words; numbers below 0 and nan are unlabelled. views: (n, d), row i the other view of
    row i, for alignment and LiDAR. labels and views may be paths too, or keys or columns of the file z. key: the array
    or column of a file (its only one, else "z" or "embeddings"; csv: how the columns' names begin). An array norm (n,)
    beside unit rows in an .npz, as train writes it, is their length before they were normalised.
    skip_bad: leave out rows that are zero or not finite; the report counts them. fail_on: verdicts, "complete,line" or
    a list, with which holds is False. figure: a png, pdf or svg to draw. all: every line of the report.

    Returns an object with verdict (complete, line, cluster, dimensional, views or none), rule, observations, holds,
    to_dict() and plot(); for several tables one with each, apart, holds, to_dict() and plot().
    Errors: ValueError for wrong shapes, kinds or files, and for rows that are zero or not finite.
    Source: RankMe arXiv:2210.02885, alpha-ReQ NeurIPS 2022, LiDAR arXiv:2312.04000, alignment and uniformity
    arXiv:2005.10242, neural collapse arXiv:2008.08186, modality gap arXiv:2203.02053.

    >>> import clopsim
    >>> clopsim.inspect([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]).verdict
    'complete'
    """
    target = as_path(figure)
    if target is not None:
        if target.suffix.lower() not in PICTURES:
            raise ValueError(f"figure must end in {', '.join(PICTURES)}, got {str(target)!r}; name a picture")
        ready.check_file("figure", target)
        ready.check_libraries()
    every = (z, *more)
    if len(every) > MOST:
        raise ValueError(
            f"file must be given one to {MOST} times, got {len(every)}; name a folder, or a pattern in quotation "
            "marks, to read shards as one table"
        )
    from clopsim.metrics.verdict import KINDS

    if not (fail_on is None or isinstance(fail_on, str | Sequence)):
        raise ValueError(f"fail_on must name verdicts ({', '.join(KINDS)}), got {fail_on!r}; give a list of them")
    kinds = [word.strip() for word in fail_on.split(",")] if isinstance(fail_on, str) else list(fail_on or ())
    if fail_on is not None:
        each_once("fail_on", kinds)
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"fail_on must name verdicts ({', '.join(KINDS)}), got {kind!r}; separate them by commas")
    found: Inspection | Comparison
    names = [str(given) if isinstance(given, str | Path) else f"z{k + 1}" for k, given in enumerate(every)]
    tables, inspected = [], []
    for given, name in zip(every, names, strict=True):
        with _named(name if more else ""):
            tables.append(_table(given, key, labels, views))
    for table, name in zip(tables, names, strict=True):
        with _named(name if more else ""):
            inspected.append(_inspected(table, skip_bad=skip_bad))
    if not more:
        found = Inspection(inspected[0], kinds, every=all)
    else:
        from clopsim.metrics.comparison import apart

        first = (tables[0][0], inspected[0].rows)
        found = Comparison(
            [Inspection(one, kinds, every=all) for one in inspected],
            names,
            [
                apart(first[0], table[0], (first[1], one.rows))
                for table, one in zip(tables[1:], inspected[1:], strict=True)
            ],
        )
    if target is not None:
        found._draw(target)
    return found


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which of several tables an error is, where it does not say so itself."""
    try:
        yield
    except ValueError as error:
        if not name or name in str(error):
            raise
        raise ValueError(f"{error}; in {name!r}") from None


def _table(given: Any, key: str | None, labels: Any, views: Any) -> tuple[Any, Any, Any, Any]:
    """Embeddings, labels, views, and lengths before they were normalised, as arrays."""
    from clopsim.metrics import files, tables

    file = Path(given) if isinstance(given, str | Path) else None
    if file is None and key is not None:
        raise ValueError(f"key must be left out for an array, got {key!r}; it names one of a file's")
    beside = [each for each in (labels, views) if isinstance(each, str) and not files.is_place(each)]
    rows = tables.as_rows(given, "file") if file is None else files.load(file, key=key, beside=beside)
    norms = None if file is None else files.norms_beside(file)
    return rows, _beside(file, labels, "labels"), _beside(file, views, "views"), norms


def _inspected(table: tuple[Any, Any, Any, Any], *, skip_bad: bool) -> "Found":
    from clopsim.metrics import inspection

    rows, labels, views, norms = table
    with progress("inspect") as advance:
        return inspection.inspect(rows, labels=labels, views=views, norms=norms, skip_bad=skip_bad, on_progress=advance)


def _beside(file: Path | None, given: Any, name: str) -> Any:
    """The array that an argument stands for: a file if it looks like one, else a key of the file, else itself."""
    from clopsim.metrics import files, tables

    if given is None:
        return None
    if not isinstance(given, str | Path):
        return tables.as_rows(given, name)
    if files.is_place(given):
        return files.load(Path(given), name=name)
    if file is None or not files.has_keys(file):
        raise ValueError(f"{name} must be a file beside a .npy FILE, got {given!r}; a key needs a FILE that has some")
    return files.load(file, key=str(given), name=name)
