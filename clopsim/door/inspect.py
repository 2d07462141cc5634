"""clopsim.inspect: what `clopsim inspect` prints."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.door.answer import Answer, as_path
from clopsim.door.arguments import takes
from clopsim.runs import ready
from clopsim.show.inspection import inspection_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from clopsim.metrics.inspection import Inspection as Found

PICTURES = (".png", ".pdf", ".svg")
FILES = (".npy", ".npz")


class Inspection(Answer):
    """What some embeddings look like, and whether they have collapsed."""

    def __init__(self, found: "Found") -> None:
        """found: of metrics.inspection.inspect."""
        self._found = found
        self.verdict: str = found.report["verdict"]
        self.rule: str = found.report["rule"]

    def report(self) -> str:
        """Every observable, one a line, below the verdict."""
        return inspection_report(self._found.report)

    def to_dict(self) -> dict[str, Any]:
        """Every observable, the spectrum's ranks and the class-wise numbers."""
        return dict(self._found.report)

    def plot(self) -> "Figure":
        """The spectrum and the cosines of sampled pairs, as a matplotlib figure."""
        from clopsim.show import plots

        return plots.draw_inspection(self._found)

    def _draw(self, path: Path) -> None:
        from clopsim.runs import store
        from clopsim.show import plots

        form, content = path.suffix[1:], io.BytesIO()
        with ready.spared(str(path), "the report stands") as drawn:
            self.plot().savefig(content, format=form, dpi=150, metadata=plots.undated(form))
            store.write_atomically(path, content.getvalue())
        self.complete = drawn.done


@takes({})
def inspect(
    z: Any, *, labels: Any = None, views: Any = None, key: str | None = None, out: str | Path | None = None
) -> Inspection:
    """Have these embeddings collapsed? Every observable, and a verdict with its rule.

    z: embeddings (n, d), one a row, n, d >= 2, of any length (rows are normalised first): a NumPy array, a torch tensor
    on any device, nested lists, or the path of a .npy or .npz file. labels: (n,) whole numbers or words, -1 unlabelled.
    views: (n, d), row i the other view of row i, for the alignment. labels and views may be paths too, or where z is an
    .npz file keys of it. key: the array of an .npz file (its only one, else "z"). out: a png, pdf or svg to draw.

    Returns an object with verdict (complete, line, cluster, dimensional or none), rule, to_dict() and plot().
    Errors: ValueError for wrong shapes, kinds or files, and for rows that are zero or not finite.
    Source: RankMe arXiv:2210.02885, alignment and uniformity arXiv:2005.10242, neural collapse arXiv:2008.08186.

    >>> import clopsim
    >>> clopsim.inspect([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]).verdict
    'complete'
    """
    target = as_path(out)
    if target is not None:
        if target.suffix not in PICTURES:
            raise ValueError(f"out must end in {', '.join(PICTURES)}, got {str(target)!r}; name a picture")
        ready.check_file("out", target)
        ready.check_libraries()
    from clopsim.metrics import inspection

    file = Path(z) if isinstance(z, str | Path) else None
    rows = _array(z, "file") if file is None else inspection.load(file, key=key)
    if file is None and key is not None:
        raise ValueError(f"key must be left out for an array, got {key!r}; it names one of an .npz file")
    found = Inspection(
        inspection.inspect(rows, labels=_beside(file, labels, "labels"), views=_beside(file, views, "views"))
    )
    if target is not None:
        found._draw(target)
    return found


def _beside(file: Path | None, given: Any, name: str) -> Any:
    """The array that an argument stands for: a file if it looks like one, else a key of the file, else itself."""
    from clopsim.metrics import inspection

    if given is None:
        return None
    if not isinstance(given, str | Path):
        return _array(given, name)
    if str(given).endswith(FILES):
        return inspection.load(Path(given), name=name)
    if file is None or file.suffix != ".npz":
        raise ValueError(f"{name} must be a .npy file beside a .npy FILE, got {given!r}; a key needs an .npz FILE")
    return inspection.load(file, key=str(given), name=name)


def _array(given: Any, name: str) -> Any:
    """A NumPy array of whatever holds numbers."""
    import numpy as np

    if hasattr(given, "detach"):  # a torch tensor
        given = given.detach().cpu()
        given = given.float() if str(given.dtype) == "torch.bfloat16" else given
    try:
        return np.asarray(given)
    except (ValueError, TypeError) as error:
        why = f"{error}".splitlines()[0]
        raise ValueError(f"{name} must hold numbers, got {type(given).__name__} ({why}); give an array") from None
