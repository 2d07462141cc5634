"""What a user wants to know about a loss; every loss of the zoo has its INFO beside its function."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from clopsim.losses.views import shown

Status = Literal["authors' code", "paper", "style of"]
"""Whom a loss follows: the authors' code, a formula of the paper, or a description only. A reconstruction in the style
of a paper must never be called the paper's loss."""

Written = Literal["cosine", "written", "matrix"]
"""In which form the loss is written: as cosines; with squared norms that are 1 on the sphere; through a matrix of rows.
The loss is the same on the sphere, and so are tangent steps; ambient steps are not."""


class Named(partial[Tensor]):
    """A loss with its options set, that prints as the call: info_nce(temperature=0.5)."""

    def __repr__(self) -> str:
        return shown(self)


@dataclass(frozen=True)
class LossInfo:
    """One registered loss, at the defaults of its function."""

    loss: Callable[..., Tensor]  # the function, without a temperature
    formula: str  # one line, for --help and result files
    reduction: str  # what the value is a mean of
    source: str  # arXiv id, and whether it follows the authors' code or is a reconstruction from the paper
    cosine_only: bool  # a function of cosines alone: normalises inside; stationary on a line unless fixed_directions
    at_collapse: Callable[[int, int, int], float]  # N samples, d, K classes alike -> value where all are equal
    status: Status = "authors' code"
    takes_temperature: bool = True
    needs_labels: bool = False  # ValueError without
    written: Written = "cosine"
    fixed_directions: bool = False  # has a vector for each class that is not trained, its option `directions` (K, d)
    of_rows: Callable[..., Tensor] | None = None  # the formula on unit rows z (2N, d), views stacked, and labels (2N,),
    # one a row, without normalising: its gradient in z is the ambient one; None where nothing is normalised anyway
