"""T37: the balanced line of FedRCL's loss, where large ambient steps end: a case of T30."""

from typing import NamedTuple

from clopsim.bounds.effective_rate import attracting_rates
from clopsim.bounds.line import line_state
from clopsim.bounds.line_slopes import line_slopes
from clopsim.bounds.setting import Gradient


class RelaxedLine(NamedTuple):
    """The balanced line: half of every class at each end. Curvatures d - 1 times their number each."""

    pull: float  # a
    ends: float  # the two ends bend towards each other, once
    classes: float  # classes tilt against each other, K - 1 times
    class_ends: float  # ends of classes bend against each other, K - 1 times
    within: float | None  # embeddings of one class at one end spread, 2 K (m/2 - 1) times; None for m = 2


def relaxed_line(*, classes: int, per_class: int, temperature: float, penalty: float) -> RelaxedLine:
    """The line on which half of every class sits at +z*, half at -z*, the views of a sample at opposite ends.

    The levels of line.line_state at the slopes of line_slopes.line_slopes for fedrcl (tight).

    Valid for: K >= 2, m even, the sum, no threshold on the penalty (-1). Source: T37, T30 (ours).
    """
    slopes = line_slopes("fedrcl", classes=classes, per_class=per_class, temperature=temperature, penalty=penalty)
    state = line_state(slopes, classes=classes, per_class=per_class)
    levels = {mode.name: mode.curvature for mode in state.modes}
    return RelaxedLine(
        state.pull, levels["contrast"], levels["classes"], levels["classes, ends"], levels.get("samples, ends")
    )


def relaxed_line_rate(
    *, classes: int, per_class: int, temperature: float, penalty: float, gradient: Gradient = "ambient"
) -> float | None:
    """Learning rate above which the balanced line attracts, 2/(c + 2a) of its lowest level; None where it never does.

    Valid for: as relaxed_line. Source: T37 (ours), by T27.
    """
    line = relaxed_line(classes=classes, per_class=per_class, temperature=temperature, penalty=penalty)
    found = attracting_rates([c for c in line[1:] if c is not None], pull=line.pull, gradient=gradient)
    return found.above if found else None
