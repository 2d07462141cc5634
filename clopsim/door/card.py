"""clopsim.card: what `clopsim card` prints."""

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clopsim.door.answer import Answer, as_path
from clopsim.door.arguments import takes
from clopsim.door.inspect import PICTURES
from clopsim.door.progress import progress
from clopsim.runs import ready
from clopsim.show.card import card_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from clopsim.cards.card import Portrait, Rated
    from clopsim.cards.spectrum import Spectrum

FIELDS: dict[str, Any] = {"temperature": None, "dimension": 8, "samples": 32}


class Card(Answer):
    """What a loss does to embeddings: its spectra, its critical rates, and both simulated."""

    def __init__(self, portrait: "Portrait") -> None:
        """portrait: of cards.card.portrait."""
        self._portrait = portrait
        self._document = ready.finite(portrait.document())
        self.holds: bool = portrait.holds
        self.rates: tuple[Rated, ...] = portrait.rates

    @property
    def good(self) -> bool | None:
        """None, or False if a rate is not where it was predicted: collapse itself is neither good nor bad."""
        return None if self.holds else False

    def spectrum(self, state: Any) -> "Spectrum":
        """The loss at a state, with levels, pull and criticals().

        state: "collapse", "line", "simplex", "orthonormal" or "optimum"; or rows (n, d) of your own, an array or a
        tensor, of which the direction counts.
        Errors: ValueError for another name, a state that this card has not, or another shape.
        """
        if not isinstance(state, str):
            import torch

            return self._portrait.at(torch.as_tensor(state))
        found = self._portrait.spectra
        if state not in found:
            raise ValueError(
                f"state must be one of {', '.join(found)}, got {state!r}; choose one of them, or give rows"
            )
        return found[state]

    def report(self) -> str:
        """The page."""
        return card_report(self._document)

    def to_dict(self) -> dict[str, Any]:
        """Everything on the card as plain numbers and words."""
        return dict(self._document)

    def plot(self) -> "Figure":
        """The spectra, the factors predicted and observed, and where runs end, as a matplotlib figure."""
        from clopsim.show.card_picture import draw_card

        return draw_card(self._document)

    def _draw(self, path: Path) -> None:
        from clopsim.runs import store
        from clopsim.show import plots

        form, content = path.suffix[1:].lower(), io.BytesIO()
        with ready.spared(str(path), "the card stands") as drawn:
            self.plot().savefig(content, format=form, dpi=150, metadata=plots.undated(form))
            store.write_atomically(path, content.getvalue())
        self.complete = drawn.done


@takes(FIELDS)
def card(
    function: str | Callable[..., Any], *, classes: int | None = None, figure: str | Path | None = None, **options: Any
) -> Card:
    """A card for anybody's loss: at which learning rates it collapses, predicted by autograd, and shown by simulation.

    function: a name of clopsim.losses.LOSSES; "merged" (InfoNCE with one copy of every sample); "FILE.py:NAME", whose
    code is run; or a function, also one of clopsim.losses with its options set by functools.partial. A loss of yours
    takes the cosine matrix (n, n), rows i and i + n/2 the views of a sample, or (first, second) or (first, second,
    labels) as those of clopsim.losses, and returns a scalar tensor; it is called in float64. tau: temperature, of named
    losses alone (0.5). samples: n rows for a function of the cosines, N samples with two views each for the others;
    dim: d; rows times d at most 2048. classes: number of balanced classes (default: the first of 4, 3, 2 that divides
    the samples; 0: none); row i is in class i mod classes. figure: a png, pdf or svg to draw.

    It says whether the loss sees cosines only; whether a point, lines and classes on points are stationary; the
    curvatures there and at its own optimum, with multiplicities and radial pulls; every critical rate, 2/(c + 2a)
    ambient and 2/c tangent, or never; what steps at 0.97 and 1.03 of each do; where runs end; what prototypes change.
    Rates are step sizes of gradient descent on unit embeddings, for the loss in its own reduction.

    Returns an object that prints as a page, with spectrum(state), rates, holds, to_dict() and plot().
    Errors: ValueError for a loss that cannot be found, called or differentiated, and for numbers out of range.
    Source: the formula of the rates is T27 (ours, bounds/THEORY.md).

    >>> import clopsim, torch
    >>> def squares(cosines):
    ...     return cosines.triu(1).square().sum()
    >>> found = clopsim.card(squares, samples=4, dim=4, classes=2)
    >>> [level.curvature for level in found.spectrum("collapse").levels]
    [-8.0, 0.0]
    """
    if isinstance(options.get("temperature"), list):
        raise ValueError(f"temperature must be one number, got {options['temperature']!r}; call card once for each")
    target = as_path(figure)
    if target is not None:
        if target.suffix.lower() not in PICTURES:
            raise ValueError(f"figure must end in {', '.join(PICTURES)}, got {str(target)!r}; name a picture")
        ready.check_file("figure", target)
        ready.check_libraries()
    from clopsim.cards import source
    from clopsim.cards.card import portrait
    from clopsim.cards.subject import subject_of

    options = {**FIELDS, **options}
    with contextlib.redirect_stdout(sys.stderr), progress("card") as advance:  # a loss of somebody's may print
        loss = source.loaded(function) if isinstance(function, str) else function
        found = Card(portrait(subject_of(loss, classes=classes, **options), on_progress=advance))
    if target is not None:
        found._draw(target)
    return found
