"""What the theory suggests to a run that collapsed, in words."""

import math

from clopsim.bounds.free_norm import effective_rate
from clopsim.bounds.setting import Setting

DEAD_PRODUCT = 0.01
"""Learning rate times weight decay above which small networks were seen to lose rank for good (theory, section 6)."""


def about_rate(threshold: float, setting: Setting, *, rate: float, squared_norm: float) -> str:
    """T5's threshold for the views, and where the run stands if its squared norm is known."""
    source = f"T5, momentum {setting.momentum:g}" if setting.momentum else "T5"
    words = f"{source}: views stay together while the learning rate is below {threshold:.4g} |u|^2"
    if math.isfinite(squared_norm) and squared_norm > 0:
        units = float(effective_rate(rate, squared_norm, setting))
        words += f"; here |u|^2 = {squared_norm:.4g}, so the rate is {units:.3g} times that"
    return words + "."


def about_decay(rate: float, momentum: float, weight_decay: float) -> str:
    """A word on the product of SGD's rate and decay where it is large enough to cost the rank; else nothing."""
    product = rate / (1 - momentum) * weight_decay  # the long-run step of what only decays
    if product <= DEAD_PRODUCT:
        return ""
    return (
        f"Rate x weight decay{' / (1 - momentum)' if momentum else ''} is {product:.3g}: small networks "
        f"lose their rank for good above about {DEAD_PRODUCT:g} to 0.1. Lower the weight decay or the rate."
    )
