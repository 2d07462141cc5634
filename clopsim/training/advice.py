"""What the theory suggests to a run that collapsed, in words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from clopsim.bounds.free_norm import effective_rate
from clopsim.bounds.setting import Setting

LOST = {"sgd": (0.01, 0.1), "adamw": (0.03, 0.5)}
"""The share that decay takes of a weight at a step, in the long run: where the first small networks were seen to lose
rank for good, and where all had. sgd: theory, section 6. adamw: networks on digits, rates 0.001 to 0.1; an MLP without
batch normalisation lost directions from 0.03 on, and with it, in clopsim sweep --data digits --embedder mlp --optimizer
adamw --momentum 0.9 --rate 0.001,0.01,0.1 --weight-decay 0.1,1,3,10,50,100 --seeds 1 --steps 300, all rank by 0.5."""


class Rates(NamedTuple):
    """What an optimiser does with one of its groups: its kind (sgd, adamw, or another), rate, momentum and decay."""

    kind: str
    rate: float
    momentum: float
    decay: float

    @property
    def share(self) -> float:
        """Of a weight that decay takes at a step, in the long run; 0 where it goes through another preconditioner."""
        if self.kind not in LOST:
            return 0.0
        return self.rate * self.decay / (1 - self.momentum if self.kind == "sgd" else 1)


def about_rate(threshold: float, setting: Setting, *, rate: float, squared_norm: float) -> str:
    """T5's threshold for the views, and where the run stands if its squared norm is known; nothing below it, where the
    rate is not what T5 warns of.
    """
    source = f"T5, momentum {setting.momentum:g}" if setting.momentum else "T5"
    words = f"{source}: views stay together while the learning rate is below {threshold:.4g} |u|^2"
    if math.isfinite(squared_norm) and squared_norm > 0:
        units = float(effective_rate(rate, squared_norm, setting))
        if units < 1:
            return ""
        words += f"; here |u|^2 = {squared_norm:.4g}, so the rate is {units:.3g} times that"
    return words + "."


def about_decay(groups: Sequence[Rates]) -> str:
    """A word on the product of rate and decay where that of a group is large enough to cost the rank; else nothing."""
    most = max(groups, key=lambda group: group.share, default=None)
    if most is None or most.share <= LOST.get(most.kind, (math.inf,))[0]:
        return ""
    first, last = LOST[most.kind]
    momentum = " / (1 - momentum)" if most.kind == "sgd" and most.momentum else ""
    return (
        f"Rate x weight decay{momentum} is {most.share:.3g}: small networks "
        f"lose their rank for good above about {first:g} to {last:g}. Lower the weight decay or the rate."
    )
